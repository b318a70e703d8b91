"""What a customer wrote: an interaction, and where it is one of the policy's words also a withdrawal, in one append."""

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from ledger.contact.keywords import Read, Reading, read
from ledger.domain.consent_ending import WithdrawalEffect
from ledger.domain.consent_giving import policy_in_force
from ledger.domain.consent_scope import denial_scope
from ledger.domain.consent_state import CONSENT_WITHDRAWN
from ledger.domain.decider import Setting, new_fact, occurrence, past_occurrence
from ledger.domain.fact import Decision
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.interaction import RECORDED
from ledger.domain.relationship import RelationshipState
from rapport.events.v1 import contact_policy_pb2, interaction_pb2
from rapport.events.v1.consent_pb2 import INDICATION_METHOD_KEYWORD, ConsentWithdrawn
from rapport.events.v1.contact_policy_pb2 import KeywordRules
from rapport.events.v1.interaction_pb2 import Channel, InteractionRecorded
from rapport.type.v1.event_context_pb2 import EventContext


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordText:
    """Record what a customer wrote, and do what it plainly says."""

    needs_state: ClassVar[bool] = True

    stream_id: str
    text: str
    channel: Channel.ValueType
    contact_point_id: str = ""
    brand: str = ""
    purpose: str = ""
    """Of the message that it answers; empty: that for which the message was decided, where it was."""
    in_reply_to: int = 0
    """Position of the message that it answers; 0: none."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None
    reads: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read what the organization has published."""
        object.__setattr__(self, "reads", (policy_stream(organization_of(self.stream_id)),))

    def decide(self, state: RelationshipState, setting: Setting) -> Decision:
        """Return the interaction, and the withdrawal where the text is one; the note is a TextNote.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE; not of a withdrawal, which counts as now then.
        """
        rules = policy_in_force(setting, self.reads[0]).keywords
        found = read(self.text, self.channel, rules)
        if found.reading is not Reading.WITHDRAWAL:
            when = occurrence(self.occur_time, setting)
            fact = new_fact(RECORDED, self._interaction(found.reading), when, self.context)
            return Decision((fact,), TextNote(found).encoded())
        when = past_occurrence(self.occur_time, setting)
        withdrawal = self._withdrawal(rules, state)
        effect = WithdrawalEffect.of(state.consents, denial_scope(withdrawal), setting.now)
        facts = (
            new_fact(RECORDED, self._interaction(found.reading), when, self.context),
            new_fact(CONSENT_WITHDRAWN, withdrawal, when, self.context),
        )
        return Decision(facts, TextNote(found, effect, rules.confirm_once).encoded())

    def _interaction(self, reading: Reading) -> InteractionRecorded:
        return InteractionRecorded(
            kind=interaction_pb2.INTERACTION_KIND_MESSAGE,
            direction=interaction_pb2.DIRECTION_INBOUND,
            initiator=interaction_pb2.INITIATOR_CUSTOMER,
            channel=self.channel,
            contact_point_id=self.contact_point_id,
            brand=self.brand,
            in_reply_to=self.in_reply_to,
            needs_reply=reading is Reading.FOR_A_PERSON,
            summary=self.text,
        )

    def _withdrawal(self, rules: KeywordRules, state: RelationshipState) -> ConsentWithdrawn:
        withdrawal = ConsentWithdrawn(method=INDICATION_METHOD_KEYWORD)
        if rules.scope == contact_policy_pb2.KEYWORD_SCOPE_CHANNEL:
            withdrawal.channels.append(self.channel)
        elif rules.scope == contact_policy_pb2.KEYWORD_SCOPE_PURPOSE:
            purpose = self.purpose or self._purpose_answered(state)
            withdrawal.purposes.extend(filter(None, (purpose,)))
        return withdrawal

    def _purpose_answered(self, state: RelationshipState) -> str:
        """Return the purpose for which the message that is answered was decided; empty: nobody knows."""
        contact = state.conversation.contact_at(self.in_reply_to) if self.in_reply_to else None
        decided = state.contacts.find(contact.decision_id) if contact is not None else None
        return "" if decided is None else decided.message.question.purpose


class TextNote(NamedTuple):
    """What the answer to a text says beside positions; kept with the request."""

    read: Read
    effect: WithdrawalEffect | None = None
    confirm_once: bool = False
    """Whether one message may confirm the withdrawal."""

    def encoded(self) -> bytes:
        """Return the note as it is kept: reading, effect or 0, whether to confirm, the word."""
        reading, word = self.read
        return bytes((reading, self.effect or 0, self.confirm_once)) + word.encode()

    @classmethod
    def decoded(cls, note: bytes) -> "TextNote":
        """Return what was kept."""
        reading, effect, confirm_once = note[:3]
        found = Read(Reading(reading), note[3:].decode())
        return cls(found, WithdrawalEffect(effect) if effect else None, bool(confirm_once))
