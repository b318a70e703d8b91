"""How long a balance stays as it is when nothing is recorded: until the next thing that time alone changes.

So a balance of now, asked for again, need not be made again (reciprocity.md 9.3). Time alone lets legs take effect that
are dated later, reversals too; it ends holds, lots and the days that the trend looks back on, and brings versions of
policies into force.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from ledger.balance.book import Book
from ledger.balance.lanes import Lane
from ledger.balance.view import DAY, BalanceView
from ledger.domain.times import END_OF_TIME
from ledger.policy.valuation import Opinion


def lasts_until(book: Book, opinion: Opinion, view: BalanceView) -> int:
    """Return the first time at which the balance may be another than at the view's, in microseconds.

    For views without window and half-life, whose time is all that moves on. Costs a look-up for each lane of the book.
    """
    assert view.window_from is view.window_to is None, "a window stays where it is"
    assert not view.half_life_days, "weights change at midnight"
    return min(_changes(book, opinion, view.at), default=END_OF_TIME)


def _changes(book: Book, opinion: Opinion, at: int) -> Iterator[int]:
    yield from _next_in(book.lanes.values(), at)
    for account in book.accounts.values():
        # Also what bounds the spans of holds and of legs reversed later, and all of a lot but its end.
        yield from _next_in(
            (
                account.taken,
                account.reversed,
                account.pended,
                account.hold_posted,
                account.hold_voided,
                account.expiring,
            ),
            at,
        )
    for lot in book.promising.at(at):
        yield lot.ends_at
    yield from (declared for declared, _, _ in book.observations if declared > at)
    yield from (start for start, _ in opinion.segments if start > at)
    if opinion.closing is not None:
        back = opinion.closing.trend_days * DAY
        # A leg is no longer recent once as many days have passed.
        yield from (time + back for time in _next_in(book.lanes.values(), at - back))
        yield from (leg.effective_time + back for leg in book.reversed_later.at(at) if leg.effective_time > at - back)


def _next_in(lanes: Iterable[Lane], at: int) -> Iterator[int]:
    """Yield of each lane the first time after another."""
    for lane in lanes:
        place = bisect_right(lane.times, at)
        if place < len(lane.times):
            yield lane.times[place]
