"""Spans of time and months (UTC) that reports ask for."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

DAY: Final = 86_400_000_000
"""Microseconds."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """A span of time, (after, until]; None: it is open on that side. Microseconds."""

    after: int | None = None
    until: int | None = None

    def holds(self, time: int) -> bool:
        """Tell whether an instant is in it."""
        return (self.after is None or time > self.after) and (self.until is None or time <= self.until)


def first_of_months(times: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Return months (UTC) with the first of some ascending times in each, in microseconds."""
    firsts: dict[int, int] = {}
    for time in times:
        firsts.setdefault(month_of(time), time)
    return firsts.items()


def month_of(time: int) -> int:
    """Return the month of an instant (UTC), counted from that of the year 0."""
    when = _EPOCH + timedelta(microseconds=time)
    return when.year * 12 + when.month - 1


def month_text(month: int) -> str:
    """Return a month in words. Example: `2026-05`."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
