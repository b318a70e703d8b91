"""Views and clicks, which are many and of which only kind and time are ever asked: 17 bytes each.

Also the places of interactions that a view does not see yet, for a correction may bring one of them into it.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

_NOTHING: Final = 0


class Passing:
    """Kinds and times by the positions of the originals."""

    __slots__ = ("_kinds", "_positions", "_times")

    def __init__(self) -> None:
        self._positions = array("q")
        self._times = array("q")
        self._kinds = array("B")

    def append(self, position: int, time: int, kind: int) -> None:
        """Add one after all others. Kind 0: it does not count."""
        self._positions.append(position)
        self._times.append(time)
        self._kinds.append(kind)

    def find(self, position: int) -> int | None:
        """Return the place of an original, or None."""
        at = bisect_left(self._positions, position)
        return at if at < len(self._positions) and self._positions[at] == position else None

    def clear(self, at: int) -> tuple[int, int]:
        """Let one count no more; return its kind until now, and its time in microseconds."""
        kind, self._kinds[at] = self._kinds[at], _NOTHING
        return kind, self._times[at]

    def of_kind(self, kind: int) -> Iterator[tuple[int, int]]:
        """Yield time and position of those of a kind."""
        for time, position, each in zip(self._times, self._positions, self._kinds, strict=True):
            if each == kind:
                yield time, position
