"""What became of a permit (consent.md 6).

A permit ends when a contact names its decision, when it is given back, or by the clock. A no or a suppression recorded
after it voids it at once, and for good, whatever follows: who asks again gets a new permit, or none.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from ledger.contact.gates.denial import BINDING_BY_CONSENT, objectable
from ledger.contact.gates.suppression import blocks
from ledger.domain.consent_scope import Cell
from ledger.domain.contact import Decided
from ledger.domain.purposes import BUILT_IN_REGISTRY
from ledger.domain.relationship import RelationshipState
from rapport.events.v1 import consent_pb2
from rapport.events.v1.contact_policy_pb2 import Purpose


class PermitStatus(IntEnum):
    """What became of a permit; numbers as in `rapport.contact.v1.PermitStatus`."""

    OPEN = 1
    USED = 2
    EXPIRED = 3
    ABORTED = 4
    VOID = 5
    NOT_A_PERMIT = 6
    UNKNOWN = 7
    NOT_THIS_CONTACT = 8


class Permit(NamedTuple):
    """What became of a permit, and what made it so."""

    status: PermitStatus
    position: int = 0
    """Of the contact that used it, of its giving back, or of what voided it; 0 for any other status."""


UNKNOWN: Final = Permit(PermitStatus.UNKNOWN)


def permit_status(
    state: RelationshipState,
    decision_id: int,
    at: int,
    *,
    purposes: Mapping[str, Purpose] = BUILT_IN_REGISTRY.by_slug,
    linked: Sequence[RelationshipState] = (),
) -> Permit:
    """Return what became of the permit of a decision at an instant, in microseconds.

    First match: it is unknown; gave no permit; was used; was given back; is over; is void; is open. `purposes`: the
    registry, which says what a denial binds. `linked`: states of the person's other customer ids, whose denials count.
    """
    decided = state.contacts.find(decision_id)
    if decided is None:
        return UNKNOWN
    if not decided.permits:
        return Permit(PermitStatus.NOT_A_PERMIT)
    used = state.conversation.contact_of(decision_id)
    if used is not None:
        return Permit(PermitStatus.USED, used)
    aborted = state.contacts.aborted(decision_id)
    if aborted is not None:
        return Permit(PermitStatus.ABORTED, aborted.position)
    if at >= decided.expires:
        return Permit(PermitStatus.EXPIRED)
    voided = voided_by(decided, state, purposes, linked)
    return Permit(PermitStatus.VOID, voided) if voided else Permit(PermitStatus.OPEN)


def voided_by(
    decided: Decided,
    state: RelationshipState,
    purposes: Mapping[str, Purpose],
    linked: Sequence[RelationshipState] = (),
) -> int:
    """Return the position of the first act recorded after a PERMIT that voids it; 0: there is none."""
    return min((act.position for act in voiding(decided, state, purposes, linked)), default=0)


class Voiding(NamedTuple):
    """An act recorded after a PERMIT that voids it."""

    position: int
    occur_time: int
    """Microseconds."""


def voiding(
    decided: Decided,
    state: RelationshipState,
    purposes: Mapping[str, Purpose],
    linked: Sequence[RelationshipState] = (),
) -> Iterator[Voiding]:
    """Yield the acts recorded after a PERMIT that void it, in any order."""
    for act in (*_denied(decided, (state, *linked), purposes), *_suppressed(decided, state)):
        if act.position > decided.position:
            yield act


def _denied(
    decided: Decided, states: Sequence[RelationshipState], purposes: Mapping[str, Purpose]
) -> Iterator[Voiding]:
    """Yield the person's denials and objections that bind what was permitted."""
    message = decided.message
    question = message.question
    purpose = purposes.get(question.purpose)
    cell = Cell(question.purpose, question.channel, question.contact_point_id, question.brand)
    rests_on_consent = message.legal_basis == consent_pb2.LEGAL_BASIS_CONSENT
    binds = rests_on_consent or purpose is None or purpose.purpose_class not in BINDING_BY_CONSENT
    for state in states:
        if binds:
            for scope, denials in state.consents.acts.denials.items():
                if scope.denies(cell):
                    yield from (Voiding(denial.position, denial.occur_time) for denial in denials)
        if objectable(purpose):
            for objection in state.objections.raised():
                if objection.scope.denies(cell):
                    yield Voiding(objection.position, objection.occur_time)


def _suppressed(decided: Decided, state: RelationshipState) -> Iterator[Voiding]:
    question = decided.message.question
    added = state.suppressions.all()
    return (Voiding(each.position, each.occur_time) for each in added if blocks(each.message, question))
