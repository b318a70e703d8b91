"""The second step of a double opt-in (consent.md 4, rule 4): a token confirms the consent that carries its SHA-256."""

from dataclasses import dataclass, field
from struct import Struct
from typing import ClassVar, Final

from ledger.domain.consent_giving import Consenting, grants_to_recipients, policy_in_force, refuse_denied
from ledger.domain.consent_scope import Scope
from ledger.domain.consent_state import CONSENT_CONFIRMED, ConsentState
from ledger.domain.consent_status import Grant
from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.recipient_grant import DAY
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import ConsentConfirmed, ConsentEvidence, ConsentGiven
from rapport.type.v1.event_context_pb2 import EventContext

_NOTE: Final = Struct(">Q")


@dataclass(frozen=True, slots=True)
class ConfirmConsent:
    """Record that the customer brought back the token of a consent, for all of its purposes or some."""

    needs_state: ClassVar[bool] = True
    names_positions: ClassVar[bool] = True

    stream_id: str
    token_sha256: bytes
    """SHA-256 of the token; the token itself is kept nowhere."""
    purposes: tuple[str, ...] = ()
    """Empty: all of the consent."""
    evidence: ConsentEvidence | None = None
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None
    reads: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read what the organization has published."""
        object.__setattr__(self, "reads", (policy_stream(organization_of(self.stream_id)),))

    def decide(self, state: Consenting, setting: Setting) -> Decision:
        """Return the fact, and a grant for each recipient of the consent; the note is its position.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE. CONFIRMATION_NOT_POSSIBLE with `cause`: UNKNOWN, where no consent carries
                the token; USED; EXPIRED, more than the policy's days after the consent; PURPOSES, where one is not of
                the consent. CONSENT_WITHDRAWN_SINCE, where the customer said no meanwhile.
        """
        when = occurrence(self.occur_time, setting)
        policy = policy_in_force(setting, self.reads[0])
        scope, grant = self._find(state.consents)
        if when.time - grant.occur_time > policy.confirmation_days * DAY:
            raise _not_possible("EXPIRED", f"the token can be used for {policy.confirmation_days} days; ask again")
        if not scope.purposes.issuperset(self.purposes):
            raise _not_possible("PURPOSES", "a purpose is not one of the consent; name those it has, or none for all")
        left = scope.narrowed(self.purposes) if self.purposes else scope
        refuse_denied(
            state.consents.acts,
            left,
            sorted(left.purposes),
            lambda denial: denial.position > grant.position or denial.occur_time >= grant.occur_time,
        )
        event = ConsentConfirmed(given_position=grant.position, purposes=self.purposes, evidence=self.evidence)
        facts = [new_fact(CONSENT_CONFIRMED, event, when, self.context)]
        consent = state.consents.awaiting.get(grant.position)
        if consent is not None:
            confirmed = _narrowed(consent, left)
            facts += grants_to_recipients(confirmed, when, policy, self.context, grant)
        return Decision(tuple(facts), _NOTE.pack(grant.position))

    def _find(self, consents: ConsentState) -> tuple[Scope, Grant]:
        positions = consents.tokens.get(self.token_sha256, ())
        found = [each for each in map(consents.find, positions) if each is not None]
        if not found:
            raise _not_possible("UNKNOWN", "no consent of this customer carries the token; check customer and token")
        if any(grant.confirmed_position for _, grant in found):
            raise _not_possible("USED", "the token was used; a token confirms once")
        return found[-1]


def _narrowed(consent: ConsentGiven, left: Scope) -> ConsentGiven:
    narrowed = ConsentGiven()
    narrowed.CopyFrom(consent)
    del narrowed.purposes[:]
    narrowed.purposes.extend(purpose for purpose in consent.purposes if purpose in left.purposes)
    return narrowed


def _not_possible(cause: str, message: str) -> Rejected:
    return Rejected(reasons.ERROR_REASON_CONFIRMATION_NOT_POSSIBLE, message, cause=cause)


def confirmed_position(note: bytes) -> int:
    """Return the position of the consent that a confirmation confirms, from the note of its decision."""
    position: int = _NOTE.unpack(note)[0]
    return position
