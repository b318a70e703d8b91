"""Legs of one giver, category, asset, one-sidedness and rate, added up: what every number of a balance is made of.

`slices_of` adds them up in a few look-ups for each lane of a book; `slices_of_legs` leg by leg. Both say the same.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from ledger.balance.book import POINTS, Book
from ledger.balance.lanes import Lane
from ledger.balance.view import DAY, BalanceView
from ledger.balance.viewed import SELECTED, UNVALUED, ViewedLeg, weight
from ledger.domain.decay import FULL, decay_table
from ledger.domain.times import END_OF_TIME
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
    recent: int
    """The same of those that took effect lately, as far back as was asked."""
    last: int
    """Effective time of the latest, in microseconds."""


class Span(NamedTuple):
    """Which legs are asked for, by effective time in microseconds."""

    after: int
    until: int
    """Inclusive; at most the view's time, which says what is reversed."""
    recent_after: int
    """What took effect after it is recent."""


def slices_of(book: Book, opinion: Opinion, view: BalanceView, span: Span) -> list[Slice]:
    """Return the slices of what took effect in a span.

    Costs a few look-ups for each lane and rate, whatever the number of legs; with a half-life, for each day too.
    """
    after, until, recent_after = span
    slices = []
    for (giver, category, asset, one_sided), lane in book.lanes.items():
        times = lane.times
        start, end = bisect_right(times, after), bisect_right(times, until)
        if start == end or category in POINTS:
            continue
        totals = lane.totals()
        recent_start = bisect_right(times, recent_after)
        for rate, before in _rates(opinion.segments, view.perspective, giver, category, asset):
            stop = bisect_left(times, before, start, end)
            if start == stop:
                continue
            units = totals[stop] - totals[start]
            since = min(max(start, recent_start), stop)
            if view.half_life_days:
                recent = _weighted(lane, since, stop, view)
                weighted = recent + _weighted(lane, start, since, view)
            else:
                weighted = units * FULL
                recent = (totals[stop] - totals[since]) * FULL
            slices.append(
                Slice(giver, category, asset, one_sided, rate, units, stop - start, weighted, recent, times[stop - 1])
            )
            start = stop
            if start == end:
                break
    slices += _reversed_later(book, opinion, view, span)
    return slices


def slices_of_legs(legs: Iterable[ViewedLeg], recent_after: int) -> Iterator[Slice]:
    """Yield a slice for each leg that is selected, or would be had it a rate."""
    for leg in legs:
        if leg.reason in {SELECTED, UNVALUED}:
            weighted, time = leg.units * leg.weight, leg.effective_time
            recent = weighted if time > recent_after else 0
            yield Slice(
                leg.giver, leg.category, leg.asset, leg.one_sided, leg.rate, leg.units, 1, weighted, recent, time
            )  # fmt: skip


@lru_cache(maxsize=4096)
def _rates(
    segments: tuple[tuple[int, Valuation], ...], perspective: int, giver: int, category: int, asset: str
) -> tuple[tuple[Rate | None, int], ...]:
    """Return (rate, until when it holds), ascending, in microseconds and exclusive; equal neighbours are one."""
    found: list[tuple[Rate | None, int]] = []
    rate = None
    for from_time, valuation in segments:
        following = valuation.rate(perspective, giver, category, asset)
        if following != rate:
            found.append((rate, from_time))
            rate = following
    return (*found, (rate, END_OF_TIME))


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


def _reversed_later(book: Book, opinion: Opinion, view: BalanceView, span: Span) -> Iterator[Slice]:
    for giver, category, asset, one_sided, units, effective_time in book.reversed_later.at(view.at):
        if category in POINTS or not span.after < effective_time <= span.until:
            continue
        rate = rate_of(opinion.valuation_at(effective_time), view.perspective, giver, category, asset)
        weighted = units * weight(effective_time, view)
        recent = weighted if effective_time > span.recent_after else 0
        yield Slice(giver, category, asset, one_sided, rate, units, 1, weighted, recent, effective_time)


def rate_of(valuation: Valuation | None, perspective: int, giver: int, category: int, asset: str) -> Rate | None:
    """Return the rate of a version; None where there is no version, or no rule of it."""
    return None if valuation is None else valuation.rate(perspective, giver, category, asset)
