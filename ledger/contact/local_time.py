"""Exact arithmetic on local time: hours of the day, calendar days, weeks and months (consent.md 6, settled.md 68).

Local time is a function of the instant, so hours that a change of clocks skips or doubles need no rule of their own.
All instants are microseconds. What is looked for is found by stepping over the changes of a zone's offset from UTC,
never by trying minutes. The database is that of the package `tzdata`, the same on every machine.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from ledger.domain.time_zones import zone
from ledger.domain.times import MICROSECONDS
from rapport.events.v1 import preference_pb2
from rapport.events.v1.preference_pb2 import LocalWindow

MINUTE: Final = 60 * MICROSECONDS
DAY: Final = 86_400 * MICROSECONDS
NEVER: Final = 253_402_300_799 * MICROSECONDS
"""The last second of the year 9999: said of a window that does not open."""

_CYCLE: Final = 146_097 * DAY
"""400 years, after which the calendar and its weekdays repeat."""
_LATE: Final = 200_000_000_000 * MICROSECONDS
"""In the year 8307. Zones follow their last rule by then, so a cycle later or earlier is the same."""
_EARLY: Final = -62_000_000_000 * MICROSECONDS
"""In the year 5: before every rule."""
_STEP: Final = timedelta(days=2)
"""Less than between any two changes of an offset, of which a test reads all in the database."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WINDOW_DAYS_MAX: Final = 9
"""What covers more days than this on end covers all days: windows repeat every week."""
_HORIZON: Final = 400 * DAY
"""How far an opening is looked for: every change of clocks within a year is passed."""


class Hours:
    """A set of local times: those inside some windows, or outside all of them."""

    __slots__ = ("_inside", "_windows")

    def __init__(self, windows: Iterable[LocalWindow], *, inside: bool) -> None:
        """`inside`: whether the set is what the windows cover, or what they leave."""
        self._windows = tuple([_window(each) for each in windows])
        self._inside = inside

    def holds(self, local: int) -> bool:
        """Tell whether a local time, in microseconds since 1970-01-01T00:00 on that clock, is in the set."""
        return (self._covered_until(local) is not None) == self._inside

    def next(self, local: int, *, holds: bool) -> int | None:
        """Return the first local time at or after one that is in the set, or that is not. None: there is none."""
        if holds == self._inside:
            return local if self._covered_until(local) is not None else self._next_start(local)
        end: int | None = local
        while end is not None and end - local <= _WINDOW_DAYS_MAX * DAY:
            local_end = end
            end = self._covered_until(local_end)
            if end is None:
                return local_end
        return None

    def _covered_until(self, local: int) -> int | None:
        """Return the latest end of the windows that cover a local time, or None where none does."""
        today = local // DAY
        return max(
            (
                end
                for window in self._windows
                # A window lasts at most a day, so it began today or the day before.
                for day in (today, today - 1)
                if window.weekdays[day % 7] and (end := window.end(day)) > local >= window.start(day)
            ),
            default=None,
        )

    def _next_start(self, local: int) -> int | None:
        today = local // DAY
        return min(
            (
                start
                for window in self._windows
                for day in range(today, today + 8)
                if window.weekdays[day % 7] and (start := window.start(day)) > local
            ),
            default=None,
        )


class _Window(NamedTuple):
    """A span of local time that begins on some days of the week."""

    start_of_day: int
    """Microseconds after midnight."""
    length: int
    """Microseconds."""
    weekdays: tuple[bool, ...]
    """Whether it begins on a day, by that day's number since 1970-01-01 modulo 7."""

    def start(self, day: int) -> int:
        return day * DAY + self.start_of_day

    def end(self, day: int) -> int:
        return self.start(day) + self.length


def _window(message: LocalWindow) -> _Window:
    start, end = message.start_minute * MINUTE, message.end_minute * MINUTE
    # 1970-01-01 was a Thursday, number 4 of ISO 8601.
    weekdays = tuple([not message.weekdays or (day + 3) % 7 + 1 in message.weekdays for day in range(7)])
    return _Window(start, (end - start - 1) % DAY + 1, weekdays)


Constraint = tuple[str, Hours]
"""The name of a zone, and the local times at which something holds there."""


def allowed(constraints: Iterable[Constraint], at: int) -> bool:
    """Tell whether all constraints hold at an instant."""
    return all(hours.holds(at + offset_at(name, at)) for name, hours in constraints)


def first_allowed(constraints: Sequence[Constraint], at: int) -> int:
    """Return the first instant at or after one at which all constraints hold; NEVER where none is within reach."""
    instant, settled = at, 0
    while settled < len(constraints):
        for constraint in constraints:
            found = first_instant(*constraint, instant, holds=True, limit=at + _HORIZON)
            if found is None:
                return NEVER
            settled = settled + 1 if found == instant else 1
            instant = found
            if settled >= len(constraints):
                break
    return instant


def first_broken(constraints: Iterable[Constraint], at: int) -> int | None:
    """Return the first instant after `at`, when all constraints hold, at which one does not; None: there is none."""
    limit = at + _HORIZON
    ends = [first_instant(*constraint, at, holds=False, limit=limit) for constraint in constraints]
    return min((end for end in ends if end is not None), default=None)


def first_instant(name: str, hours: Hours, at: int, *, holds: bool, limit: int) -> int | None:
    """Return the first instant in [at, limit) at which a zone's local time is in a set, or is not, or None."""
    while at < limit:
        offset, change = segment(name, at)
        local = hours.next(at + offset, holds=holds)
        if local is not None and local - offset < change:
            return local - offset if local - offset < limit else None
        at = change
    return None


def period_of(name: str, period: int, at: int) -> tuple[int, int]:
    """Return the calendar period of a zone in which an instant lies: [start, end).

    A day begins at the first instant at which the clock shows it, or a later one where it is skipped; where the clock
    goes back over midnight the hour before it belongs to the day that has begun. Weeks begin on Monday.
    """
    day = (at + offset_at(name, at)) // DAY
    if start_of_day(name, day + 1) <= at:  # The clock shows yesterday once more.
        day += 1
    first, after = _BOUNDS[period](day)
    return start_of_day(name, first), start_of_day(name, after)


def start_of_day(name: str, day: int) -> int:
    """Return the first instant at which the local time of a zone is at or after the midnight that begins a day.

    `day`: number since 1970-01-01.
    """
    midnight = day * DAY
    at = midnight - 2 * DAY  # No zone is as far from UTC.
    while True:
        offset, change = segment(name, at)
        start = max(at, midnight - offset)
        if start < change:
            return start
        at = change


def _day_bounds(day: int) -> tuple[int, int]:
    return day, day + 1


def _week_bounds(day: int) -> tuple[int, int]:
    monday = day - (day + 3) % 7
    return monday, monday + 7


def _month_bounds(day: int) -> tuple[int, int]:
    # A cycle of years has whole weeks and months, so dates beyond those that Python knows are those of a cycle before.
    cycles, rest = divmod(day, 146_097)
    date = _EPOCH + timedelta(days=rest)
    first = rest - date.day + 1
    after = (date.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first + cycles * 146_097, (after - _EPOCH).days + cycles * 146_097


_BOUNDS: Final[dict[int, Callable[[int], tuple[int, int]]]] = {
    preference_pb2.PERIOD_DAY: _day_bounds,
    preference_pb2.PERIOD_WEEK: _week_bounds,
    preference_pb2.PERIOD_MONTH: _month_bounds,
}
"""First day of the period that has a day, and first day of the next one."""


def offset_at(name: str, at: int) -> int:
    """Return by how much the clocks of a zone are ahead of UTC at an instant, in microseconds."""
    return segment(name, at)[0]


def segment(name: str, at: int) -> tuple[int, int]:
    """Return a zone's offset from UTC at an instant, and until when it stays so at least, both in microseconds."""
    shift = 0
    if at >= _LATE:
        shift = ((at - _LATE) // _CYCLE + 1) * _CYCLE
    elif at < _EARLY:
        return _segments_of(name, 5)[1][0], _EARLY
    year = (_EPOCH + timedelta(microseconds=at - shift)).year
    starts, offsets = _segments_of(name, year)
    place = bisect_right(starts, at - shift) - 1
    return offsets[place], starts[place + 1] + shift


@lru_cache(4096)
def _segments_of(name: str, year: int) -> tuple[list[int], list[int]]:
    """Return when the stretches of one offset begin in a year of UTC, then when the year ends; and their offsets."""
    begins, ends = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    starts, offsets = [_micros(begins)], [_offset(name, begins)]
    moment = begins
    while moment < ends:
        after = min(moment + _STEP, ends)
        offset = _offset(name, after)
        if offset != offsets[-1]:
            change = _change(name, moment, after)
            if change < ends:
                starts.append(_micros(change))
                offsets.append(offset)
        moment = after
    return [*starts, _micros(ends)], offsets


def _change(name: str, before: datetime, after: datetime) -> datetime:
    """Return the first second at which the offset is that of `after`; at `before` it is another."""
    offset = _offset(name, after)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=1) // 2)
        if _offset(name, middle) == offset:
            after = middle
        else:
            before = middle
    return after


def _offset(name: str, moment: datetime) -> int:
    offset = moment.astimezone(zone(name)).utcoffset()
    assert offset is not None, "a zone has an offset at every time"
    return offset // timedelta(microseconds=1)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
