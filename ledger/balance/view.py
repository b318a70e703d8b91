"""The point of view of a balance (reciprocity.md 7): everything that decides its numbers beside facts and policy."""

from typing import Final, NamedTuple

from ledger.domain.times import MICROSECONDS, START_OF_TIME

DAY: Final = 86_400 * MICROSECONDS
"""Microseconds of a day, in UTC."""


class BalanceView(NamedTuple):
    """A point of view, resolved. What is known is not part of it: that is which facts the book was given."""

    at: int
    """What occurred by then is seen, inclusive. Microseconds."""
    perspective: int
    """Whose gain it is about, a `Party`."""
    window_from: int | None = None
    """Entries take effect after it, in microseconds; None: no bound. A window filters entries and coverage only."""
    window_to: int | None = None
    """Entries take effect by then, inclusive, in microseconds; at most `at`. None: `at`."""
    half_life_days: int = 0
    """Days after which an entry weighs half, 1 to 3650; 0: all weigh the same."""

    @property
    def after(self) -> int:
        """Entries take effect after this. Microseconds."""
        return START_OF_TIME - 1 if self.window_from is None else self.window_from

    @property
    def until(self) -> int:
        """Entries take effect by this, inclusive. Microseconds."""
        return self.at if self.window_to is None else min(self.window_to, self.at)
