"""Gate 4: did they say no? (consent.md 6, settled.md 60 to 63).

Denials and objections of the whole person count, those of every linked customer id. A later live grant lifts a denial,
and nothing but its lifting an objection.
"""

from typing import Final

from ledger.contact.finding import FAIL, PASS, Finding, earliest
from ledger.contact.grounds import any_ground, next_end
from ledger.contact.picture import Picture
from ledger.contact.terms import Said, said
from rapport.events.v1 import consent_pb2, contact_pb2, contact_policy_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion
from rapport.events.v1.contact_policy_pb2 import Purpose

BINDING_BY_CONSENT: Final = frozenset({contact_policy_pb2.PURPOSE_CLASS_SERVICE, contact_policy_pb2.PURPOSE_CLASS_DUTY})
"""Classes whose purposes a denial binds only where they rest on consent; it binds those of every other class."""

_REASONS: Final[dict[int, contact_pb2.DecisionReason.ValueType]] = {
    consent_pb2.CONSENT_STATUS_WITHDRAWN: contact_pb2.DECISION_REASON_CONSENT_WITHDRAWN,
    consent_pb2.CONSENT_STATUS_REFUSED: contact_pb2.DECISION_REASON_CONSENT_REFUSED,
    consent_pb2.CONSENT_STATUS_REVOKED: contact_pb2.DECISION_REASON_CONSENT_REVOKED,
    consent_pb2.CONSENT_STATUS_INVALIDATED: contact_pb2.DECISION_REASON_CONSENT_INVALIDATED,
}


def gate(picture: Picture, question: ContactQuestion, at: int, told: Said | None = None) -> Finding:
    """FAIL where a denial or an objection stands that binds the purpose.

    The reason of a denial is the status that it gives the cell; a denial is told before an objection. `told`: what
    `said` returns, where it is at hand.
    """
    told = told or said(picture, question, at)
    purpose = picture.purposes.get(question.purpose)
    binds, changes_at = denial_binds(picture, question, purpose, told, at)
    changes_at = earliest(changes_at, told.changes_at)
    if binds:
        assert told.verdict.denied is not None
        return Finding(FAIL, _REASONS[told.verdict.denied.status], told.verdict.evidence, changes_at=changes_at)
    objections = standing_objections(picture, told) if objectable(purpose) else ()
    if objections:
        return Finding(FAIL, contact_pb2.DECISION_REASON_OBJECTED, objections, changes_at=changes_at)
    return Finding(PASS, changes_at=changes_at)


def denial_binds(
    picture: Picture, question: ContactQuestion, purpose: Purpose | None, told: Said, at: int
) -> tuple[bool, int | None]:
    """Tell whether a denial stands that binds the purpose; and when another basis that decides it ends, or None."""
    if told.verdict.denied is None:
        return False, None
    if purpose is None or purpose.purpose_class not in BINDING_BY_CONSENT:
        return True, None
    if question.legal_basis:
        return question.legal_basis == consent_pb2.LEGAL_BASIS_CONSENT, None
    if consent_pb2.LEGAL_BASIS_CONSENT not in purpose.legal_bases:
        return False, None
    ground = any_ground(picture, question, purpose.legal_bases, at)
    return ground is None, None if ground is None else next_end(ground)


def objectable(purpose: Purpose | None) -> bool:
    """Tell whether an objection binds a purpose; of one that nobody registered it does."""
    return purpose is None or purpose.objectable != contact_policy_pb2.OBJECTABLE_NONE


def standing_objections(picture: Picture, told: Said) -> tuple[int, ...]:
    """Return the positions of the objections of the whole person that cover what is asked, ascending."""
    states = (picture.state, *picture.linked)
    found = [state.objections.against(told.cell) for state in states if "objections" in state.parts]
    return tuple(sorted(position for positions in found for position in positions))
