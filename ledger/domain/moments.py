"""Positions by the times at which something occurred, in order: the events of any span are found in a few steps."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final, cast

_NONE: Final = cast("array[int]", ())
"""The columns of all that are empty, which are many and most of them stay so; nobody can add to it."""


class Moments:
    """Positions in the order (time, position) of relationship.md 2, rule 5; 16 bytes each.

    Additions usually come in order; one that comes late is put in its place.
    """

    __slots__ = ("positions", "times")

    def __init__(self, moments: Iterable[tuple[int, int]] = ()) -> None:
        """Start with some pairs of time, in microseconds, and position, in any order."""
        self.times = self.positions = _NONE
        for time, position in sorted(moments):
            self.add(time, position)

    def __len__(self) -> int:
        return len(self.times)

    def place(self, time: int, position: int) -> int:
        """Return how many come before a time and position."""
        times = self.times
        first = bisect_left(times, time)
        if first == len(times) or times[first] > time:
            return first
        return bisect_left(self.positions, position, first, bisect_right(times, time, first))

    def has(self, time: int, position: int) -> bool:
        """Tell whether a position is here with a time."""
        at = self.place(time, position)
        return at < len(self.times) and self.times[at] == time and self.positions[at] == position

    def add(self, time: int, position: int) -> None:
        """Put a position in its place."""
        times = self.times
        if not times:
            self.times, self.positions = array("q", (time,)), array("q", (position,))
            return
        last = times[-1]
        if time > last or (time == last and position > self.positions[-1]):
            times.append(time)
            self.positions.append(position)
            return
        at = self.place(time, position)
        times.insert(at, time)
        self.positions.insert(at, position)

    def remove(self, time: int, position: int) -> None:
        """Remove a position, which is here with that time."""
        at = self.place(time, position)
        assert self.times[at] == time, "only what was added is removed"
        assert self.positions[at] == position, "only what was added is removed"
        del self.times[at]
        del self.positions[at]

    def until(self, time: int) -> int:
        """Return how many are at or before a time."""
        return bisect_right(self.times, time)

    def before(self, time: int) -> int:
        """Return how many are before a time."""
        return bisect_left(self.times, time)
