"""Gate 5: what makes it lawful? (consent.md 2 and 6, settled.md 62 to 64).

The registry says which messages and which bases a purpose allows. Its bases are tried in its order; the first that
holds is the one the answer rests on. Whether a denial beats it is asked by gate 4.
"""

from collections.abc import Sequence
from typing import Final

from ledger.contact.finding import FAIL, PASS, Finding, earliest
from ledger.contact.grounds import Ground, grounds, next_end
from ledger.contact.picture import Picture
from ledger.contact.terms import Said, said
from rapport.events.v1 import consent_pb2, contact_pb2, contact_policy_pb2, interaction_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion
from rapport.events.v1.contact_policy_pb2 import Purpose

_CONSENT: Final = consent_pb2.LEGAL_BASIS_CONSENT


def gate(picture: Picture, question: ContactQuestion, at: int, told: Said | None = None) -> Finding:
    """PASS with the basis and the facts that make it, FAIL where there is none; the first reason that fits, in order.

    `told`: what `said` returns, where it is at hand.
    """
    purpose = picture.purposes.get(question.purpose)
    if purpose is None:
        return Finding(FAIL, contact_pb2.DECISION_REASON_PURPOSE_UNKNOWN)
    if not allows_class(purpose, question.message_class):
        return Finding(FAIL, contact_pb2.DECISION_REASON_CLASS_NOT_ALLOWED)
    if question.legal_basis and question.legal_basis not in purpose.legal_bases:
        return Finding(FAIL, contact_pb2.DECISION_REASON_BASIS_NOT_ALLOWED)
    return _first_that_holds(picture, question, purpose, told or said(picture, question, at), at)


def allows_class(purpose: Purpose, message_class: int) -> bool:
    """Tell whether a purpose may be used with a class of message; marketing never is a transaction."""
    if (
        purpose.purpose_class == contact_policy_pb2.PURPOSE_CLASS_MARKETING
        and message_class == interaction_pb2.MESSAGE_CLASS_TRANSACTIONAL
    ):
        return False
    return message_class in purpose.message_classes


def _first_that_holds(picture: Picture, question: ContactQuestion, purpose: Purpose, told: Said, at: int) -> Finding:
    bases = (question.legal_basis,) if question.legal_basis else purpose.legal_bases
    changes_at = told.changes_at
    over: list[Ground] = []
    for basis in bases:
        if told.consents and told.verdict.legal_basis == basis:
            return Finding(PASS, evidence=told.verdict.evidence, changes_at=changes_at, legal_basis=basis)
        for ground in grounds(picture, question, basis, at):
            if ground.holds:
                changes_at = earliest(changes_at, next_end(ground))
                field = ground.policy_field
                return Finding(
                    PASS, evidence=ground.evidence, changes_at=changes_at, policy_field=field, legal_basis=basis
                )
            over.append(ground)
    return _nothing_holds(told if _CONSENT in bases else None, over, changes_at)


def _nothing_holds(told: Said | None, over: Sequence[Ground], changes_at: int | None) -> Finding:
    """Return why no basis holds. `told`: None where consent is none of the bases tried. `over`: grounds that ended."""
    verdict = None if told is None else told.verdict
    if verdict is not None and verdict.denied is not None:  # What the denial ended says no more.
        return Finding(FAIL, contact_pb2.DECISION_REASON_NO_BASIS, verdict.evidence, changes_at=changes_at)
    if verdict is not None and verdict.unconfirmed:
        return Finding(
            FAIL, contact_pb2.DECISION_REASON_CONSENT_UNCONFIRMED, verdict.unconfirmed, changes_at=changes_at
        )
    expired = () if verdict is None else verdict.expired
    if expired or over:
        evidence = tuple(sorted({*expired, *(position for ground in over for position in ground.evidence)}))
        field = "" if expired else over[0].policy_field
        return Finding(
            FAIL,
            contact_pb2.DECISION_REASON_CONSENT_EXPIRED,
            evidence,
            changes_at=changes_at,
            policy_field=field,
        )
    if verdict is not None and verdict.unspecific:
        return Finding(FAIL, contact_pb2.DECISION_REASON_NOTICE_NOT_SPECIFIC, verdict.unspecific, changes_at=changes_at)
    return Finding(FAIL, contact_pb2.DECISION_REASON_NO_BASIS, changes_at=changes_at)
