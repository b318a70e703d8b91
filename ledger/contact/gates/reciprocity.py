"""Gate 11: do they gain at least as much as they give? (consent.md 6, relationship.md 5).

What the customer got and what they gave, as they value it by the organization's default valuation policy, recent things
weighing more. What is not known passes: nobody valued anything, or nothing was given.
"""

from itertools import islice
from typing import Final

from ledger.balance.book import Book
from ledger.balance.lasting import lasts_until
from ledger.balance.numbers import balance
from ledger.balance.view import DAY, BalanceView
from ledger.contact.drawing import NOT_WEIGHED
from ledger.contact.finding import ADVISE, FAIL, NOT_ASKED, PASS, PASSED, Finding, earliest
from ledger.contact.picture import Picture
from ledger.domain.amounts import half_even
from ledger.domain.errors import Rejected
from ledger.domain.times import END_OF_TIME
from ledger.policy.valuation import Opinion, valuations_of
from rapport.events.v1 import contact_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER

EVIDENCE: Final = 8
"""How many exchanges are named, the latest ones: all of them make the ratio."""


def gate(picture: Picture, question: ContactQuestion, at: int) -> Finding:
    """ADVISE where what the customer got is too little for what they gave, or FAIL if the policy says so."""
    if question.message_class in NOT_WEIGHED:
        return NOT_ASKED
    book, published = picture.book, picture.published
    if book is None or published is None:
        return PASSED
    valuations = valuations_of(published)
    opinion = valuations.opinion(valuations.default_policy_id, 0, at)
    if not opinion.segments:
        return PASSED
    policy = picture.policy
    got, gave = _weighed(
        book, opinion, BalanceView(at, PARTY_CUSTOMER, half_life_days=policy.reciprocity_half_life_days)
    )
    changes_at = _changes_at(book, opinion, at, weighed=bool(got or gave))
    if not gave or half_even(1_000_000 * got, gave) >= policy.reciprocity_floor_ppm:
        return Finding(PASS, changes_at=changes_at)
    return Finding(
        FAIL if policy.reciprocity_denies else ADVISE,
        contact_pb2.DECISION_REASON_CUSTOMER_GIVES_MORE,
        _latest(book, at),
        changes_at=changes_at,
        policy_field="reciprocity_floor_ppm",
    )


def _weighed(book: Book, opinion: Opinion, view: BalanceView) -> tuple[int, int]:
    """Return what the customer got and gave, weighted."""
    try:
        weighed = balance(book, opinion, view)
    except Rejected:  # A sum that leaves 64 bits cannot be told, so it is not known.
        return 0, 0
    return weighed.got_weighted, weighed.gave_weighted


def _changes_at(book: Book, opinion: Opinion, at: int, *, weighed: bool) -> int | None:
    """Return when the ratio may be another: weights step at midnight UTC, legs take effect when they are dated."""
    until = lasts_until(book, opinion._replace(closing=None), BalanceView(at, PARTY_CUSTOMER))
    midnight = (at // DAY + 1) * DAY if weighed else None
    return earliest(midnight, until if until < END_OF_TIME else None)


def _latest(book: Book, at: int) -> tuple[int, ...]:
    """Return the positions of the latest exchanges in force."""
    in_force = (
        exchange.position
        for exchange in reversed(book.exchanges.values())
        if exchange.posted_time is not None
        and exchange.posted_time <= at
        and not (exchange.reversal_position and exchange.reversal_time <= at)
    )
    return tuple(sorted(islice(in_force, EVIDENCE)))
