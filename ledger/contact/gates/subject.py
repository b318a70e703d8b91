"""Gate 1: do we know them? (consent.md 6)."""

from ledger.contact.finding import FAIL, PASSED, Finding
from ledger.contact.picture import Picture
from rapport.events.v1 import contact_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion


def gate(picture: Picture, question: ContactQuestion, at: int) -> Finding:  # noqa: ARG001  # As every gate.
    """FAIL for who is unknown or erased, and for a contact point never verified as theirs, or no longer theirs.

    Erasure comes first: of who is erased nothing else may be told (property 14). A stream that holds only keys and
    decisions is that of somebody unknown.
    """
    state = picture.state
    if state.erased_position:
        return Finding(FAIL, contact_pb2.DECISION_REASON_SUBJECT_ERASED, (state.erased_position,))
    if not state.known:
        return Finding(FAIL, contact_pb2.DECISION_REASON_SUBJECT_UNKNOWN)
    if question.contact_point_id and state.profile.identifier(question.contact_point_id) is None:
        return Finding(FAIL, contact_pb2.DECISION_REASON_CONTACT_POINT_UNKNOWN)
    return PASSED
