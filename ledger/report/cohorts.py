"""Who came back (relationship.md 9): cohorts by programme and month of joining, with a 95 % interval in integers.

A member counts from `join + until` on; younger ones are counted apart. They came back with something that they began in
[join + from, join + until), by instants. A customer is a member of a cohort once, by the first join of the programme in
that month; the cohort of all months adds the months up.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import isqrt
from typing import Final, NamedTuple

from ledger.measure.results import Ratio, unknown
from ledger.measure.rules import Rules
from ledger.report.rows import Rows
from ledger.report.shapes import ActDay, Join
from ledger.report.spans import DAY, Span, month_of, month_text
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_TOO_FEW

_MILLION: Final = 10**6
_Z2: Final = 1960**2
"""The square of 1.960, in millionths."""


class CohortsAsked(NamedTuple):
    """Which cohorts, and what counts as coming back."""

    from_days: int
    until_days: int
    """Greater than `from_days`."""
    programme: str = ""
    """Only this one; empty: all."""
    joined: Span = Span()
    by_month: bool = False
    from_first_act: bool = False


class Cohort(NamedTuple):
    """What became of those who joined."""

    programme: str
    month: str
    """`YYYY-MM`; empty: all months."""
    members: int
    """Whose time is over."""
    returned: int
    censored: int
    """Whose time is not over."""
    rate: Ratio
    interval: tuple[int, int] | None
    """In ppm, rounded outwards; None: no members."""
    alarm: bool


class Cohorts:
    """Adds up who came back."""

    def __init__(self, asked: CohortsAsked, rules: Rules, at: int) -> None:
        """`at`: microseconds."""
        self._asked, self._rules, self._at = asked, rules, at
        self._counts: dict[tuple[str, str], list[int]] = {}
        self.needs: Final = (ActDay,) if asked.from_first_act else (Join, ActDay)
        """Kinds of rows."""

    def add(self, rows: Rows) -> None:
        """Take in one customer."""
        asked = self._asked
        days: list[ActDay] = rows.of(ActDay)
        joins: Iterable[Join] = rows.of(Join)
        if asked.from_first_act:
            joins = [Join("", month_of(days[0].first), days[0].first)] if days else []
        for programme, month, time in joins:
            if (asked.programme and programme != asked.programme) or not asked.joined.holds(time):
                continue
            key = programme, month_text(month) if asked.by_month else ""
            counts = self._counts.setdefault(key, [0, 0, 0])
            end = time + asked.until_days * DAY
            if end > self._at:
                counts[2] += 1
                continue
            counts[0] += 1
            counts[1] += acted_in(days, time + asked.from_days * DAY, end)

    def cohorts(self) -> list[Cohort]:
        """Return the cohorts, by programme and month."""
        return [
            Cohort(programme, month, members, returned, censored, *self._judge(members, returned))
            for (programme, month), (members, returned, censored) in sorted(self._counts.items())
        ]

    def _judge(self, members: int, returned: int) -> tuple[Ratio, tuple[int, int] | None, bool]:
        interval = wilson(members, returned) if members else None
        if members < max(self._rules.return_members_min, 1):
            return unknown(UNKNOWN_REASON_TOO_FEW), interval, False
        rate = Ratio(returned, members)
        return rate, interval, rate.ppm < self._rules.return_alarm_below


def wilson(n: int, k: int) -> tuple[int, int]:
    """Return the Wilson 95 % interval of k of n in ppm, rounded outwards; n is at least 1."""
    d = _MILLION * n + _Z2
    c = _MILLION**2 * k + 500_000 * _Z2
    h = isqrt(_MILLION**2 * _Z2 * (4 * _MILLION * k * (n - k) + _Z2 * n) // (4 * n)) + 1
    return max(0, (c - h) // d), min(_MILLION, -(-(c + h) // d))


def acted_in(days: Sequence[ActDay], begin: int, end: int) -> bool:
    """Tell whether something was begun in [begin, end), in microseconds, which is a day long at least."""
    place = bisect_left(days, begin // DAY, key=lambda each: each.day)
    if place < len(days) and days[place].day == begin // DAY:
        if days[place].last >= begin:
            return True
        place += 1
    return place < len(days) and days[place].first < end
