"""Lots of points, as far as decisions need them: which may be used when, and for how many units (reciprocity.md 4).

A lot is what one leg granted. A use counts from its time on, until its redemption's reversal takes effect if it is ever
reversed. So how much of a lot is used is a step function of time, kept as its steps. A use at t is possible if it fits
under the lot's units at *every* time from t to the lot's end: a backdated one cannot spend what was spent since, and
what was restored counts only where it was.

A lot whose grant is reversed can be used no more, at no time: its units were taken back as unused.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

_NO_STEPS: Final[list[tuple[int, int]]] = []


class Use(NamedTuple):
    """Units of one lot that a redemption uses."""

    exchange_id: str
    """Of the grant."""
    leg_no: int
    """Of the grant, from 1."""
    units: int


class Insufficient(Exception):
    """There are fewer units to be used at that time than were asked for."""

    def __init__(self, available: int) -> None:
        super().__init__(f"{available} units are available")
        self.available = available


class Lot:
    """What one POINTS_GRANT leg granted. Changed only by its LotBook."""

    __slots__ = ("asset", "exchange_id", "granted", "in_the_end", "leg_no", "order", "steps", "taken_back")

    def __init__(
        self, exchange_id: str, leg_no: int, asset: str, granted: int, active_from: int, expires_at: int, position: int
    ) -> None:
        self.exchange_id = exchange_id
        self.leg_no = leg_no
        self.asset = asset
        self.granted = granted
        self.order = (expires_at, active_from, position, leg_no)
        """By which lots are used up: the first to end, to become active, to be recorded, to be named."""
        self.steps = _NO_STEPS
        """(time, units more in use from then on), by time; less before more at one time. Replaced by the first use."""
        self.in_the_end = 0
        """Units in use after the last step."""
        self.taken_back = False
        """The grant is reversed, whenever that takes effect."""

    @property
    def expires_at(self) -> int:
        """From when on it is gone, in microseconds; `END_OF_TIME` (ledger.domain.times): never."""
        return self.order[0]

    @property
    def active_from(self) -> int:
        """From when on it may be used: the later of its terms and its grant's effective time. Microseconds."""
        return self.order[1]

    def most_used(self, start: int) -> int:
        """Return the most units in use at any one time from `start` on. After the lot's end it is never more."""
        if not self.steps or self.steps[-1][0] <= start:
            return self.in_the_end  # Most uses come in the order of their times, thousands of one lot.
        used = most = 0
        for time, more in self.steps:
            used += more
            if time <= start or used > most:
                most = used  # Of what was before `start`, only the last counts.
        return most

    def available(self, at: int) -> int:
        """Return how many units a use at a time may take."""
        if self.taken_back or not self.active_from <= at < self.expires_at:
            return 0
        return self.granted - self.most_used(at)

    @property
    def is_spent(self) -> bool:
        """Nothing is left in the end, so nothing can be taken at any time; or it ended before it was active."""
        return self.active_from >= self.expires_at or self.in_the_end >= self.granted

    @property
    def last_use(self) -> int:
        """Return the time of the latest use ever recorded, reversed ones included; there is one."""
        return max(time for time, more in self.steps if more > 0)

    def step(self, time: int, more: int) -> None:
        """Count units in use from a time on; fewer, where `more` is negative."""
        if self.steps is _NO_STEPS:
            self.steps = []
        insort(self.steps, (time, more))
        self.in_the_end += more
        # B4, whose other half is that steps down only undo steps up.
        assert more < 0 or self.most_used(time) <= self.granted, "more of a lot is used than was granted"


_order = attrgetter("order")


class LotBook:
    """Every lot of one relationship. What decisions ask costs as much as the lots they touch."""

    __slots__ = ("_by_exchange", "_open")

    def __init__(self) -> None:
        self._by_exchange: dict[str, tuple[Lot, ...]] = {}
        self._open: dict[str, list[Lot]] = {}
        """By asset, in the order of use: lots of which something is left in the end. The rest need no looking at."""

    def grant(self, lot: Lot) -> None:
        """Take in a lot."""
        self._by_exchange[lot.exchange_id] = (*self._by_exchange.get(lot.exchange_id, ()), lot)
        if not lot.is_spent:  # One that ended before it was active lapses at once.
            insort(self._open.setdefault(lot.asset, []), lot, key=_order)

    def use(self, use: Use, at: int) -> None:
        """Count a use from a time on; of a lot that nobody granted, nothing."""
        self._step(use, at, use.units)

    def restore(self, use: Use, at: int) -> None:
        """Count a use no more from a time on: its redemption is reversed then."""
        self._step(use, at, -use.units)

    def take_back(self, exchange_id: str) -> None:
        """Take back what an exchange granted: it is reversed."""
        for lot in self._by_exchange.get(exchange_id, ()):
            self._close(lot)
            lot.taken_back = True

    def granted_by(self, exchange_id: str) -> Sequence[Lot]:
        """Return the lots that an exchange granted, by leg."""
        return self._by_exchange.get(exchange_id, ())

    def choose(self, asset: str, units: int, at: int, already: Sequence[Use] = ()) -> list[Use]:
        """Return what a redemption at a time uses, in the order of use; `already` is what it uses beside.

        Raises:
            Insufficient: there is less.
        """
        beside: dict[tuple[str, int], int] = {}
        for use in already:
            beside[use.exchange_id, use.leg_no] = beside.get((use.exchange_id, use.leg_no), 0) + use.units
        chosen, missing = [], units
        for lot in self._usable(asset, at):
            taken = min(missing, lot.available(at) - beside.get((lot.exchange_id, lot.leg_no), 0))
            if taken > 0:
                chosen.append(Use(lot.exchange_id, lot.leg_no, taken))
                missing -= taken
                if not missing:
                    return chosen
        raise Insufficient(units - missing)

    def _usable(self, asset: str, at: int) -> Iterator[Lot]:
        found = self._open.get(asset, [])
        return (found[index] for index in range(bisect_right(found, at, key=_expires_at), len(found)))

    def _step(self, use: Use, at: int, more: int) -> None:
        lot = next((lot for lot in self.granted_by(use.exchange_id) if lot.leg_no == use.leg_no), None)
        if lot is None:
            return
        was_spent = lot.is_spent
        lot.step(at, more)
        if lot.is_spent and not was_spent:
            self._close(lot)
        elif was_spent and not lot.is_spent and not lot.taken_back:
            insort(self._open.setdefault(lot.asset, []), lot, key=_order)

    def _close(self, lot: Lot) -> None:
        found = self._open.get(lot.asset, [])
        index = bisect_right(found, lot.order, key=_order) - 1
        if index >= 0 and found[index] is lot:
            del found[index]


def _expires_at(lot: Lot) -> int:
    return lot.order[0]
