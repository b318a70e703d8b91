"""Memberships: joins and leaves of the customer, by programme (relationship.md 3, settled.md 46)."""

from typing import NamedTuple

from ledger.domain.moments import Moments
from ledger.measure.ties import Word


class Programme(NamedTuple):
    """What the customer did about one programme."""

    joins: Moments
    leaves: Moments

    def words(self) -> list[Word]:
        """Return joins and leaves together, in any order."""
        return [
            (time, position, told is self.joins)
            for told in (self.joins, self.leaves)
            for time, position in zip(told.times, told.positions, strict=True)
        ]


class Memberships:
    """Joins and leaves by programme, and which memberships are live."""

    __slots__ = ("_told", "joined", "programmes")

    def __init__(self) -> None:
        self.programmes: dict[str, Programme] = {}
        """By code; empty: which one was not said."""
        self.joined: dict[str, tuple[int, int]] = {}
        """Live memberships: occur time and position of the first join that no leave follows, by programme."""
        self._told: dict[int, tuple[int, str, bool]] = {}
        """What was said, by position, to be taken back by."""

    def say(self, time: int, position: int, programme: str, *, joins: bool) -> None:
        """Put a join or a leave in its place."""
        self._told[position] = time, programme, joins
        known = self.programmes.get(programme)
        if known is None:
            known = self.programmes[programme] = Programme(Moments(), Moments())
        known[not joins].add(time, position)
        self._settle(programme, known)

    def take_back(self, position: int) -> None:
        """Take back what was said at a position, if anything was."""
        told = self._told.pop(position, None)
        if told is not None:
            time, programme, joins = told
            known = self.programmes[programme]
            known[not joins].remove(time, position)
            self._settle(programme, known)

    def earliest(self) -> int | None:
        """Return the position of the earliest join of a live membership, or None."""
        return min(self.joined.values())[1] if self.joined else None

    def _settle(self, programme: str, known: Programme) -> None:
        joins, leaves = known
        first = joins.place(leaves.times[-1], leaves.positions[-1]) if len(leaves) else 0
        if first < len(joins):
            self.joined[programme] = joins.times[first], joins.positions[first]
        else:
            self.joined.pop(programme, None)
