"""Lots of points as the book keeps them (reciprocity.md 4): what was granted, and every use and restoration by time."""

from bisect import insort
from typing import Final

from ledger.balance.spans import Span
from ledger.domain.times import END_OF_TIME

NEVER: Final = END_OF_TIME
"""When a lot ends that does not expire."""


class Lot:
    """The points of one grant. Changed by the fold only."""

    __slots__ = (
        "_moves", "_net", "activates_at", "asset", "effective_time", "ends_at", "expires_at", "granted", "leg_no",
        "lot_id", "position", "promising", "taken_at",
    )  # fmt: skip

    def __init__(
        self, lot_id: str, asset: str, granted: int, effective_time: int, terms: tuple[int | None, int | None]
    ) -> None:
        """Grant a lot; `terms` are the times from which it is active and gone, where the grant says so."""
        activates_at, expires_at = terms
        self.lot_id = lot_id
        """`exchange_id/leg_no` of the grant."""
        self.asset = asset
        self.granted = granted
        """Units, at least 1."""
        self.effective_time = effective_time
        """When the grant took effect. Microseconds, like all times here."""
        self.activates_at = effective_time if activates_at is None else max(activates_at, effective_time)
        self.expires_at = expires_at
        """From when on it is gone; None: never."""
        self.ends_at = NEVER if expires_at is None else expires_at
        """The same as an ordinary number."""
        self.taken_at: int | None = None
        """When the grant was taken back; None: it was not."""
        self.position = 0
        """Log position of the event that granted it."""
        self.leg_no = 0
        """Leg of the grant, from 1."""
        self.promising: Span[Lot] | None = None
        """Where the book notes when something of it is outstanding."""
        self._moves: list[tuple[int, int]] = []
        """(time, units used; negative: restored), by time."""
        self._net = 0
        """Units used less those restored, whenever."""

    def move(self, time: int, units: int) -> None:
        """Use units from a time on; negative ones are restored."""
        insort(self._moves, (time, units))
        self._net += units

    def used(self, time: int) -> int:
        """Return the units used by a time, inclusive, less those restored by then."""
        if not self._moves or time >= self._moves[-1][0]:
            return self._net
        return sum(units for at, units in self._moves if at <= time)

    def outstanding(self, time: int) -> int:
        """Return the units left at a time, from the grant on; none once it has ended or was taken back."""
        if time >= self.ends_at or (self.taken_at is not None and time >= self.taken_at):
            return 0
        left = self.granted - self.used(time)
        assert 0 <= left <= self.granted, "a lot was used beyond what it held"  # B4
        return left

    def promises_until(self) -> int:
        """Return from when on nothing is outstanding any more, by what is known."""
        end = self.ends_at if self.taken_at is None else min(self.ends_at, self.taken_at)
        if self._net == self.granted:
            end = min(end, self._moves[-1][0])
        return end
