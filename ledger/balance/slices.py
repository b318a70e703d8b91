"""Legs of one giver, category, asset, one-sidedness and rate, added up: what every number of a balance is made of.

`slices_of` adds them up in a few look-ups for each lane of a book; `slices_of_legs` leg by leg. Both say the same.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ledger.balance.book import POINTS, Book
from ledger.balance.lanes import Lane
from ledger.balance.view import DAY, BalanceView
from ledger.balance.viewed import SELECTED, UNVALUED, ViewedLeg, weight
from ledger.domain.decay import FULL, decay_table
from ledger.policy.valuation import Opinion, Rate, Valuation


class Slice(NamedTuple):
    """Legs that are selected, or would be had they a rate; at least one."""

    giver: int
    """A `Party`."""
    category: int
    """A `Category`, none of points."""
    asset: str
    one_sided: int
    """A `OneSided`."""
    rate: Rate | None
    """None: they have no value."""
    units: int
    legs: int
    weighted: int
    """Sum of units * weight in ppm."""
    last: int
    """Effective time of the latest, in microseconds."""


def slices_of(book: Book, opinion: Opinion, view: BalanceView, after: int, until: int) -> list[Slice]:
    """Return the slices of what took effect after one time and up to another, both in microseconds.

    `until` is at most `view.at`, which says what is reversed. Costs a few look-ups for each lane and rate, whatever the
    number of legs; with a half-life, for each day too.
    """
    slices = []
    for (giver, category, asset, one_sided), lane in book.lanes.items():
        times = lane.times
        if category in POINTS or not times:
            continue
        totals = lane.totals()
        first, end = bisect_right(times, after), bisect_right(times, until)
        for start, stop, rate in _stretches(times, first, end, opinion, (view.perspective, giver, category, asset)):
            units = totals[stop] - totals[start]
            weighted = _weighted(lane, start, stop, view) if view.half_life_days else units * FULL
            slices.append(
                Slice(giver, category, asset, one_sided, rate, units, stop - start, weighted, times[stop - 1])
            )
    slices += _reversed_later(book, opinion, view, after, until)
    return slices


def slices_of_legs(legs: Iterable[ViewedLeg], after: int, until: int) -> Iterator[Slice]:
    """Yield a slice for each leg of a view without window that took effect after one time and up to another."""
    for leg in legs:
        if leg.reason in {SELECTED, UNVALUED} and after < leg.effective_time <= until:
            weighted = leg.units * leg.weight
            yield Slice(
                leg.giver, leg.category, leg.asset, leg.one_sided, leg.rate, leg.units, 1, weighted, leg.effective_time
            )  # fmt: skip


def _stretches(
    times: list[int], first: int, end: int, opinion: Opinion, asked: tuple[int, int, int, str]
) -> Iterator[tuple[int, int, Rate | None]]:
    """Yield (start, stop, rate) of the stretches of `times[first:end]` that have one rate each."""
    start, rate = first, None
    for from_time, valuation in opinion.segments:
        if start == end:
            return
        following = valuation.rate(*asked)
        if following == rate:
            continue
        stop = bisect_left(times, from_time, start, end)
        if start < stop:
            yield start, stop, rate
        start, rate = stop, following
    if start < end:
        yield start, end, rate


def _weighted(lane: Lane, start: int, stop: int, view: BalanceView) -> int:
    """Return the sum of units * weight of a stretch, a day at a time, from the latest until they weigh nothing."""
    times, totals = lane.times, lane.totals()
    today, table = view.at // DAY, decay_table(view.half_life_days)
    weighted = 0
    while start < stop:
        day = times[stop - 1] // DAY
        if today - day >= len(table):
            break
        of_day = bisect_left(times, day * DAY, start, stop)
        weighted += table[today - day] * (totals[stop] - totals[of_day])
        stop = of_day
    return weighted


def _reversed_later(book: Book, opinion: Opinion, view: BalanceView, after: int, until: int) -> Iterator[Slice]:
    for giver, category, asset, one_sided, units, effective_time in book.reversed_later.at(view.at):
        if category in POINTS or not after < effective_time <= until:
            continue
        rate = rate_of(opinion.valuation_at(effective_time), view.perspective, giver, category, asset)
        weighted = units * weight(effective_time, view)
        yield Slice(giver, category, asset, one_sided, rate, units, 1, weighted, effective_time)


def rate_of(valuation: Valuation | None, perspective: int, giver: int, category: int, asset: str) -> Rate | None:
    """Return the rate of a version; None where there is no version, or no rule of it."""
    return None if valuation is None else valuation.rate(perspective, giver, category, asset)
