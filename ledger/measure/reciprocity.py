"""What the customer got against what they gave, as the strength and announcements read it (relationship.md 5 and 15).

The strength takes a ratio of sums that fade with age. Announcements take the exact index of reciprocity.md 6, which has
a prior and no half-life, so that it does not jump on cents. Both have the perspective of the customer, and values from
the valuation policy that the relationship policy names.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.balance.book import POINTS
from ledger.balance.slices import Slice, Span, slices_of
from ledger.balance.view import BalanceView
from ledger.domain.amounts import half_even
from ledger.domain.decay import FULL
from ledger.domain.times import START_OF_TIME
from ledger.measure.results import Ratio, unknown
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE, UNKNOWN_REASON_NOT_VALUED

if TYPE_CHECKING:
    from ledger.measure.measured import Measured

_EVER: Final = START_OF_TIME - 1


class Weighed(NamedTuple):
    """What the customer got and gave, in nanos of the unit of account * ppm of decay."""

    got: int = 0
    gave: int = 0
    got_fresh: int = 0
    """In nanos: the same without decay."""
    gave_fresh: int = 0
    legs: int = 0
    """Legs of any age, valued or not."""
    valued: int = 0
    """Those with a value."""

    @property
    def unbounded(self) -> bool:
        """Whether the customer got something and gave nothing: the ratio has no bound."""
        return self.got > 0 == self.gave


_NOTHING: Final = Weighed()


def weighed(m: Measured) -> Weighed:
    """Return what was got and given.

    Costs a few look-ups for each kind of leg, and for each day as far back as decay reaches.
    """
    opinion, book, at = m.outlook.opinion, m.record.book, m.at
    if opinion is None:
        if not book.lanes:
            return _NOTHING
        return Weighed(legs=sum(bisect_right(lane.times, at) for lane in book.lanes.values()))
    view = BalanceView(at, PARTY_CUSTOMER, half_life_days=m.outlook.rules.half_life_days)
    return _added(slices_of(book, opinion, view, Span(_EVER, at, at)))


def ratio(of: Weighed) -> Ratio:
    """Return got / gave, which generosity carries beyond 1; unknown where neither has a value.

    Where it is unbounded, it is 1 / 1: ask `unbounded`.
    """
    if of.gave:
        return Ratio(of.got, of.gave)
    if of.got:
        return Ratio(1, 1)
    return unknown(UNKNOWN_REASON_NOT_VALUED if of.legs > of.valued else UNKNOWN_REASON_NO_EVIDENCE)


def share(of: Weighed) -> Ratio:
    """Return what the strength takes of it: min(got, gave) / gave (relationship.md 5)."""
    found = ratio(of)
    return found if found.unknown is not None else Ratio(min(found.n, found.d), found.d)


def exact_index(m: Measured) -> int | None:
    """Return the customer's index without half-life in ppm, which the clock alone does not move.

    None: there is no index, as nothing has a value.
    """
    opinion, book, at = m.outlook.opinion, m.record.book, m.at
    if opinion is None or opinion.closing is None:
        return None
    slices = slices_of(book, opinion, BalanceView(at, PARTY_CUSTOMER), Span(_EVER, at, at))
    found = _added(slices)
    if not found.got + found.gave:
        return None
    prior = 2 * opinion.closing.kappa_nanos * FULL
    return half_even(FULL * (found.got - found.gave), found.got + found.gave + prior)


def evidence(m: Measured, most: int) -> tuple[int, ...]:
    """Return the positions of the latest exchanges in effect that are no mere points, ascending, at most `most`."""
    found: list[int] = []
    for exchange in reversed(m.record.book.exchanges.values()):
        if len(found) == most:
            break
        time = exchange.posted_time
        if time is None or time > m.at or (exchange.reversal_position and exchange.reversal_time <= m.at):
            continue
        if all(leg.category in POINTS for leg in exchange.legs):
            continue
        found.append(exchange.position if exchange.resolution is None else exchange.resolution.position)
    return tuple(sorted(found))


def _added(slices: list[Slice]) -> Weighed:
    got = gave = got_fresh = gave_fresh = legs = valued = 0
    for giver, _, _, _, rate, units, count, weighted, _, _ in slices:
        legs += count
        if rate is None:
            continue
        valued += count
        if giver == PARTY_CUSTOMER:
            gave += weighted * rate.rate
            gave_fresh += units * rate.rate
        else:
            got += weighted * rate.rate
            got_fresh += units * rate.rate
    return Weighed(got, gave, got_fresh, gave_fresh, legs, valued)
