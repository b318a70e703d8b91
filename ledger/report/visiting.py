"""How often customers came, and how many came back within some calendar days (UTC; settled.md 39)."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.report.rows import Rows
from ledger.report.shapes import NOT_BACK, Person

WITHIN_DAYS: Final = (7, 30, 90)
COUNTS_MAX: Final = 8


class VisitsAsked(NamedTuple):
    """What is counted, and how it is laid out."""

    within_days: Sequence[int] = WITHIN_DAYS
    counts_max: int = COUNTS_MAX
    purchases_only: bool = False


class Visiting:
    """Counts customers."""

    needs: Final = (Person,)

    def __init__(self, asked: VisitsAsked) -> None:
        self.asked = asked
        self.customers = 0
        """Who came at least once."""
        self._times: Counter[int] = Counter()
        self._back: Counter[int] = Counter()

    def add(self, rows: Rows) -> None:
        """Take in one relationship."""
        for person in rows.of(Person):
            times, back = person.sessions, person.back_after
            if self.asked.purchases_only:
                times, back = person.purchases, person.bought_back_after
            if times:
                self.customers += 1
                self._times[min(times, self.asked.counts_max)] += 1
                self._back[back] += back != NOT_BACK

    def distribution(self) -> list[tuple[int, bool, int]]:
        """Return (how often, or more, how many customers) from 1 on; the last holds all above."""
        last = self.asked.counts_max
        return [(times, times == last, self._times[times]) for times in range(1, last + 1)]

    def returned(self) -> list[tuple[int, int]]:
        """Return (days, how many came back within them), each number of days once, ascending."""
        return [
            (days, sum(count for back, count in self._back.items() if back <= days))
            for days in sorted(set(self.asked.within_days))
        ]
