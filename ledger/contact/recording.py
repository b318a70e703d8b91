"""Recording a contact that names its decision: it is recorded in any case, and told how it stood (consent.md 6).

A withdrawal after the PERMIT voids it, and recording the contact shows that. How it stood is found out when the contact
is recorded, from what had been recorded before, and kept with the request: whoever repeats it hears the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ledger.contact.permits import PermitStatus
from ledger.contact.person import person
from ledger.contact.standing import stood
from ledger.domain.conversation import Contact
from ledger.domain.decider import Setting
from ledger.domain.fact import Decision
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.interaction import RecordInteraction
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from rapport.events.v1.interaction_pb2 import InteractionRecorded

_LAST: Final = 2**63
"""Position of what is not recorded yet: after everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordContact:
    """Record one interaction that names a decision; the note says how it stood with it."""

    needs_state: ClassVar[bool] = True

    record: RecordInteraction
    reads: tuple[str, ...]
    """The organization's policies, and the streams of the person's other customer ids, as far as they are known."""

    @property
    def stream_id(self) -> str:
        """The relationship that it is recorded in."""
        return self.record.stream_id

    def decide(self, state: RelationshipState, setting: Setting) -> Decision:
        """Return the fact, with the PermitStatus as note: one byte.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        facts, _ = self.record.decide(state, setting)
        states = {**setting.others, self.stream_id: state}
        status = _standing(self.stream_id, states, self.record.interaction, facts[0].occur_time)
        return Decision(facts, bytes((status,)))


def noted(note: bytes) -> PermitStatus:
    """Return what the note of a contact's decision says."""
    (number,) = note
    return PermitStatus(number)


def _standing(stream_id: str, states: Mapping[str, Any], contact: InteractionRecorded, occur_time: int) -> PermitStatus:
    """Return how a contact stands with the decision that it names, before it is recorded itself."""
    state: RelationshipState = states[stream_id]
    published: PolicyState = states[policy_stream(organization_of(stream_id))]
    row = Contact(
        position=_LAST,
        occur_time=occur_time,
        channel=contact.channel,
        message_class=contact.message_class,
        topic=contact.topic,
        decision_id=contact.decision_id,
        contact_point_id=contact.contact_point_id,
        brand=contact.brand,
        sender_id=contact.sender_id,
        in_reply_to=contact.in_reply_to,
        kind=contact.kind,
        historical_import=False,
        answers=False,
    )
    return stood(
        row,
        state,
        used=state.conversation.contact_of(contact.decision_id) is not None,
        purposes=published.purposes.current.by_slug,
        linked=[states[name] for name in person(stream_id, states).linked],
    )
