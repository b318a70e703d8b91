"""Units by time, kept so that those of any span are summed in a few steps, however many there are.

A lane knows no rate and no policy. One whose legs share giver, category and asset serves every policy and perspective:
a policy cuts time into stretches of one rate, and a stretch is two look-ups.
"""

from bisect import bisect_left, bisect_right
from itertools import accumulate


class Lane:
    """Units in the order of their times. Additions usually come in order; one that comes late is put in its place."""

    __slots__ = ("_totals", "_units", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        """Microseconds, ascending; as many as there are additions."""
        self._units: list[int] = []
        self._totals: list[int] = [0]
        """Sums of the first 0, 1, 2 ... units, as far as they are known; the rest is summed when next asked for."""

    def add(self, time: int, units: int) -> None:
        """Add units, at least 1, at a time in microseconds."""
        assert units > 0, "counters only grow"  # B2
        times = self.times
        if not times or time >= times[-1]:
            times.append(time)
            self._units.append(units)
            return
        i = bisect_right(times, time)
        times.insert(i, time)
        self._units.insert(i, units)
        del self._totals[i + 1 :]

    def remove(self, time: int, units: int) -> None:
        """Remove what was added with exactly these."""
        i = bisect_left(self.times, time)
        while self._units[i] != units:
            i += 1
        assert self.times[i] == time, "only what was added is removed"
        del self.times[i]
        del self._units[i]
        del self._totals[i + 1 :]

    def totals(self) -> list[int]:
        """Return the sums of the first 0, 1, 2 ... units in the order of `times`. Not to be changed."""
        known = len(self._totals) - 1
        if known < len(self._units):
            self._totals += accumulate(self._units[known:], initial=self._totals.pop())
        return self._totals

    def until(self, time: int) -> int:
        """Return the sum of units up to a time in microseconds, inclusive."""
        return self.totals()[bisect_right(self.times, time)]
