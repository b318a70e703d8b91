"""What was said in the window: counted once for all measures of an instant that ask (relationship.md 10)."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ledger.domain.moments import Moments
    from ledger.measure.measured import Measured


class Stretch(NamedTuple):
    """What occurred in the window, of some moments: later than its start, up to the instant."""

    moments: Moments
    first: int
    """Place of the first of them."""
    last: int
    """Place after the last of them."""

    @property
    def within(self) -> int:
        """How many there are."""
        return self.last - self.first

    def left_after(self, end: int) -> int:
        """Return how many are left once what is not later than an instant, in microseconds, has left the window."""
        gone = bisect_right(self.moments.times, end, self.first)
        return self.last - gone if gone < self.last else 0

    def leaves_at(self, window: int) -> int | None:
        """Return when the first of them leaves the window, in microseconds; None: there is none."""
        return self.moments.times[self.first] + window if self.last > self.first else None


class Spoken(NamedTuple):
    """What was said, in the window."""

    inbound: Stretch
    outbound: Stretch
    requests: Stretch
    """What needs a reply."""


def spoken(m: Measured) -> Spoken:
    """Return what was said."""
    talk = m.record.talk
    return Spoken(in_window(talk.inbound, m), in_window(talk.outbound, m), in_window(talk.requests, m))


def in_window(moments: Moments, m: Measured) -> Stretch:
    """Return what occurred in the window."""
    times, at = moments.times, m.at
    if not times:
        return Stretch(moments, 0, 0)
    last = len(times) if times[-1] <= at else bisect_right(times, at)
    return Stretch(moments, bisect_right(times, at - m.outlook.rules.window, 0, last), last)
