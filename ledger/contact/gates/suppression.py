"""Gate 2: can they be reached? (consent.md 5, settled.md 66).

Suppressions of linked ids do not count: they belong to the address, which that id has.
"""

from collections.abc import Callable
from typing import Final

from ledger.contact.finding import FAIL, PASSED, Finding
from ledger.contact.picture import Picture
from rapport.events.v1 import consent_pb2, contact_pb2, interaction_pb2
from rapport.events.v1.consent_pb2 import SuppressionAdded
from rapport.events.v1.contact_pb2 import ContactQuestion


def gate(picture: Picture, question: ContactQuestion, at: int) -> Finding:  # noqa: ARG001  # No clock ends one.
    """FAIL where a suppression stands that blocks what is asked; the first reason in the order of the table."""
    if "suppressions" not in picture.state.parts:
        return PASSED
    blocking = [each for each in picture.state.suppressions.standing() if blocks(each.message, question)]
    if not blocking:
        return PASSED
    reason = min(_REASONS[each.message.reason] for each in blocking)
    evidence = tuple(each.position for each in blocking if _REASONS[each.message.reason] == reason)
    return Finding(FAIL, reason, evidence)


def blocks(suppression: SuppressionAdded, question: ContactQuestion) -> bool:
    """Tell whether a suppression that stands blocks what is asked.

    One that names a channel blocks that channel only. The contact point narrows nothing but HARD_BOUNCE: who has
    complained, has died, or is on a list is so at every point.
    """
    if suppression.channel and suppression.channel != question.channel:
        return False
    reach = _REACH.get(suppression.reason)
    return reach is not None and reach(suppression, question)


def _blocks_the_point(suppression: SuppressionAdded, question: ContactQuestion) -> bool:
    return not suppression.contact_point_id or suppression.contact_point_id == question.contact_point_id


def _blocks_all(suppression: SuppressionAdded, question: ContactQuestion) -> bool:  # noqa: ARG001  # As the others.
    return True


def _blocks_all_but_transactions(suppression: SuppressionAdded, question: ContactQuestion) -> bool:  # noqa: ARG001
    return question.message_class != interaction_pb2.MESSAGE_CLASS_TRANSACTIONAL


_REACH: Final[dict[int, Callable[[SuppressionAdded, ContactQuestion], bool]]] = {
    consent_pb2.SUPPRESSION_REASON_HARD_BOUNCE: _blocks_the_point,
    consent_pb2.SUPPRESSION_REASON_COMPLAINT: _blocks_all_but_transactions,
    consent_pb2.SUPPRESSION_REASON_DECEASED: _blocks_all,
    consent_pb2.SUPPRESSION_REASON_LEGAL: _blocks_all,
    consent_pb2.SUPPRESSION_REASON_EXTERNAL_LIST: _blocks_all_but_transactions,
}
_REASONS: Final = {
    consent_pb2.SUPPRESSION_REASON_HARD_BOUNCE: contact_pb2.DECISION_REASON_SUPPRESSED_BOUNCE,
    consent_pb2.SUPPRESSION_REASON_COMPLAINT: contact_pb2.DECISION_REASON_SUPPRESSED_COMPLAINT,
    consent_pb2.SUPPRESSION_REASON_DECEASED: contact_pb2.DECISION_REASON_SUPPRESSED_DECEASED,
    consent_pb2.SUPPRESSION_REASON_LEGAL: contact_pb2.DECISION_REASON_SUPPRESSED_LEGAL,
    consent_pb2.SUPPRESSION_REASON_EXTERNAL_LIST: contact_pb2.DECISION_REASON_SUPPRESSED_LIST,
}
"""Numbers of the reasons ascend in the order of the table."""
