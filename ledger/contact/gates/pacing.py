"""Gate 10: is it a good moment? (consent.md 6, settled.md 65, relationship.md 10).

Not where too many solicitations are unanswered, not where a complaint waits, and not into a purchase that has begun.
All of it ends by the clock or by an act; none of it begins by the clock.
"""

from typing import Final

from ledger.contact.finding import DEFER, FAIL, NOT_ASKED, PASSED, Finding
from ledger.contact.picture import Picture
from ledger.domain.times import MICROSECONDS
from rapport.events.v1 import contact_pb2, interaction_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion
from rapport.events.v1.contact_policy_pb2 import ContactPolicy

UNPACED: Final = frozenset({interaction_pb2.MESSAGE_CLASS_TRANSACTIONAL, interaction_pb2.MESSAGE_CLASS_SERVICE})
"""Classes of messages that come when they are due."""
_DAY: Final = 86_400 * MICROSECONDS


def gate(picture: Picture, question: ContactQuestion, at: int) -> Finding:
    """FAIL for a streak or an open complaint, DEFER while a purchase is begun; the first of these."""
    if question.message_class in UNPACED:
        return NOT_ASKED
    if "conversation" not in picture.state.parts:
        return PASSED
    conversation, policy = picture.state.conversation, picture.policy
    window = policy.streak_window_days * _DAY
    streak = conversation.streak(at, at - window, policy.streak_max)
    if len(streak) >= policy.streak_max:
        evidence = tuple(sorted(each.position for each in streak))
        reason = contact_pb2.DECISION_REASON_UNANSWERED_STREAK
        # One solicitation too few is left when the earliest of these leaves the window.
        return Finding(FAIL, reason, evidence, changes_at=streak[-1].occur_time + window, policy_field="streak_max")
    complaints = conversation.open_complaints()
    if complaints:
        return Finding(FAIL, contact_pb2.DECISION_REASON_COMPLAINT_OPEN, tuple(sorted(complaints)))
    return _checkout(conversation.checkout_before(at), policy, at)


def _checkout(begun: tuple[int, int] | None, policy: ContactPolicy, at: int) -> Finding:
    if begun is None:
        return PASSED
    position, time = begun
    until = time + policy.checkout_seconds * MICROSECONDS
    if at >= until:
        return PASSED
    reason = contact_pb2.DECISION_REASON_CHECKOUT_OPEN
    return Finding(DEFER, reason, (position,), until, until, "checkout_seconds")
