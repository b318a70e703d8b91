"""Relationships that two of our functions judge differently (relationship.md 8)."""

from typing import Final, NamedTuple

from ledger.report.rows import Rows
from ledger.report.shapes import Judgement


class Inconsistency(NamedTuple):
    """One relationship."""

    customer_id: str
    judgements: tuple[Judgement, ...]
    """Those that hold, by function."""


class Consistency:
    """Finds them, up to a number, where rows come in the order of customer ids."""

    needs: Final = (Judgement,)

    def __init__(self, at: int, limit: int) -> None:
        """`at`: microseconds."""
        self._at, self._limit = at, limit
        self.found: list[Inconsistency] = []

    @property
    def full(self) -> bool:
        """Whether more are not wanted."""
        return len(self.found) >= self._limit

    def add(self, rows: Rows) -> None:
        """Take in one relationship."""
        live = tuple(each for each in rows.of(Judgement) if self._at < each.until)
        if len({each.slug for each in live}) > 1:
            self.found.append(Inconsistency(rows.customer_id, live))
