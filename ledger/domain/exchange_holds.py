"""Holds: exchanges recorded as pending, and what became of them (reciprocity.md 3).

A hold is posted or voided, at most once; one that is neither by its `pending_until` is expired from then on. That is
derived, never recorded, so it is asked for a time. What is posted counts from the posting's time, not before.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from ledger.domain.exchange_known import VOIDS, Known, packed, unpack
from ledger.domain.fact import Fact
from ledger.domain.times import microseconds
from rapport.events.v1.exchange_pb2 import ExchangePosted, ExchangeRecorded

NO_UNITS: Final[dict[str, int]] = {}


class Holds:
    """Fold of the holds of one relationship that occurred at or before `until`. Mutable inside the fold."""

    __slots__ = ("_ends", "_open", "_resolutions", "_until", "pended", "posted", "voided")

    def __init__(self, until: int) -> None:
        self._until = until
        self._ends: dict[str, int] = {}
        self._resolutions: dict[str, bytes] = {}
        self._open: dict[str, list[tuple[str, int]]] = {}
        # Units by account. They only grow (B2).
        self.pended: defaultdict[str, int] = defaultdict(int)
        self.posted: defaultdict[str, int] = defaultdict(int)
        self.voided: defaultdict[str, int] = defaultdict(int)

    def record(self, event: ExchangeRecorded, legs: list[tuple[str, int]]) -> None:
        """Fold a pending exchange with its (account, units); of one id only the first counts."""
        if event.exchange_id in self._ends:
            return
        self._ends[event.exchange_id] = microseconds(event.pending_until)
        self._open[event.exchange_id] = legs
        for name, units in legs:
            self.pended[name] += units

    def post(self, fact: Fact) -> list[tuple[str, int]] | None:
        """Fold a posting; return (account, units) of what it posts, or None where it does not count."""
        event: ExchangePosted = fact.event  # type: ignore[assignment]  # The topic says so.
        pending = self._resolve(event.exchange_id, fact, 0)
        if pending is None:
            return None
        found = []
        for (name, most), units in zip(pending, event.units, strict=True):
            assert 0 <= units <= most, "more was posted than was pending"  # B3
            self.posted[name] += units
            self.voided[name] += most - units
            if units:
                found.append((name, units))
        return found

    def void(self, fact: Fact) -> None:
        """Fold a voiding."""
        for name, units in self._resolve(fact.event.exchange_id, fact, VOIDS) or ():  # type: ignore[attr-defined]
            self.voided[name] += units

    def ends(self, exchange_id: str) -> int | None:
        """Return when a hold ends, in microseconds; None: it is none."""
        return self._ends.get(exchange_id)

    def resolution(self, exchange_id: str) -> Known | None:
        """Return the posting or voiding of a hold, whenever it takes effect."""
        return unpack(self._resolutions.get(exchange_id))

    def posting_time(self, exchange_id: str) -> int | None:
        """Return from when on a hold is posted in this view, in microseconds; None: it is not."""
        known = self.resolution(exchange_id)
        return None if known is None or known.voids or exchange_id in self._open else known.occur_time

    def pending(self, at: int) -> int:
        """Return how many holds are pending at a time, in microseconds."""
        return sum(at < self._ends[exchange_id] for exchange_id in self._open)

    def expired(self, at: int) -> dict[str, int]:
        """Return the units, by account, of holds that are expired at a time, in microseconds."""
        if not self._open:
            return NO_UNITS
        units: dict[str, int] = {}
        for exchange_id, legs in self._open.items():
            if self._ends[exchange_id] <= at:
                for name, more in legs:
                    units[name] = units.get(name, 0) + more
        return units

    def _resolve(self, exchange_id: str, fact: Fact, flags: int) -> Sequence[tuple[str, int]] | None:
        """Keep a resolution; return what was pending, if it is in this view that it ends."""
        # At most once, and of a known hold: the decisions see to it. Anything else resolves nothing.
        if exchange_id not in self._ends or exchange_id in self._resolutions:
            return None
        self._resolutions[exchange_id] = packed(fact, flags)
        return None if fact.occur_time > self._until else self._open.pop(exchange_id)
