"""Which policy versions a balance rests on: those that say what a leg is worth, and the one in force at its time."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from ledger.balance.book import Book
from ledger.balance.view import BalanceView
from ledger.policy.valuation import Opinion, Valuation


def versions_asked(book: Book, opinion: Opinion, view: BalanceView) -> list[Valuation]:
    """Return the closing version, and those that value a leg which took effect by the view's time, or is pending.

    Whatever the view's window, for promises and trend have none. Ordered by policy and version. Costs a look-up for
    each lane of the book and each version.
    """
    closing, segments = opinion.closing, opinion.segments
    if len(segments) == 1 and segments[0][1] is closing:
        return [closing]
    asked = {} if closing is None else {(closing.policy_id, closing.version): closing}
    for i, (start, valuation) in enumerate(segments):
        if start > view.at:
            break
        end = min(segments[i + 1][0] - 1, view.at) if i + 1 < len(segments) else view.at
        if valuation is not closing and _any_leg(book, view, start, end):
            asked[valuation.policy_id, valuation.version] = valuation
    return [valuation for _, valuation in sorted(asked.items())]


def _any_leg(book: Book, view: BalanceView, start: int, end: int) -> bool:
    """Tell whether a leg took effect between two times, both inclusive."""
    for lane in book.lanes.values():
        if bisect_left(lane.times, start) < bisect_right(lane.times, end):
            return True
    return any(start <= time <= end for time in _others(book, view))


def _others(book: Book, view: BalanceView) -> Iterator[int]:
    """Yield the times that decide the rates of what is in no lane: what is reversed later, and what is pending."""
    for leg in book.reversed_later.at(view.at):
        yield leg.effective_time
    for exchange in book.holds.at(view.at):
        yield exchange.time
