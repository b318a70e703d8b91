"""The exchanges in which the customer gave money: what makes some legal bases (consent.md 2 and 8).

Found out when a decision asks, and remembered: the fold of exchanges is read with every purchase, this seldom.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple, Protocol

from ledger.domain.exchange_known import Known, unpack
from rapport.events.v1.exchange_pb2 import CATEGORY_MONEY_PAYMENT, PARTY_CUSTOMER, ExchangeRecorded


class Exchanges(Protocol):
    """What became of exchanges."""

    def effective_time(self, exchange_id: str) -> int | None:
        """Return from when on an exchange is posted, in microseconds; None: it is not, in this view."""
        ...

    def resolution_of(self, exchange_id: str) -> Known | None:
        """Return the posting or voiding of a hold in this view."""
        ...

    def in_force(self, exchange_id: str) -> bool:
        """Tell whether an exchange is posted and not taken back in this view."""
        ...


class Paid(NamedTuple):
    """An exchange in which the customer gave money."""

    time: int
    """When it took effect, in microseconds."""
    position: int
    """Log position of the event that recorded it."""


class _Seen(NamedTuple):
    time: int
    position: int
    exchange_id: str


class _Hold(NamedTuple):
    exchange_id: str
    position: int
    legs: tuple[int, ...]
    """Indexes of the legs of money."""


class Purchases:
    """Index of the exchanges of one relationship. To be asked with the same, growing, mapping."""

    __slots__ = ("_looked_at", "_pending", "_posted")

    def __init__(self) -> None:
        self._looked_at = 0
        self._posted: list[_Seen] = []
        """By time, then position."""
        self._pending: list[_Hold] = []
        """When they count is known later, if ever."""

    def latest(self, kept: Mapping[str, bytes], exchanges: Exchanges, at: int) -> Paid | None:
        """Return the latest one in force that took effect at or before a time, in microseconds, or None.

        `kept`: exchanges by id, in the order in which they were recorded, as `exchange_known` packs them.
        """
        self._look_at(kept)
        self._settle(exchanges)
        for index in range(bisect_right(self._posted, at, key=_time) - 1, -1, -1):
            seen = self._posted[index]
            if exchanges.in_force(seen.exchange_id):
                return Paid(seen.time, seen.position)
        return None

    def _settle(self, exchanges: Exchanges) -> None:
        """Put what was pending, and is posted, among the rest; what was voided, or posted without money, never counts.

        A hold is posted or voided once and for all, so nobody has to look at it again.
        """
        pending = []
        for hold in self._pending:
            resolution = exchanges.resolution_of(hold.exchange_id)
            if resolution is None:
                pending.append(hold)
                continue
            time = exchanges.effective_time(hold.exchange_id)
            if time is not None and any(resolution.posting().units[leg] for leg in hold.legs):
                insort(self._posted, _Seen(time, hold.position, hold.exchange_id))
        self._pending = pending

    def _look_at(self, kept: Mapping[str, bytes]) -> None:
        for exchange_id, packed in islice(kept.items(), self._looked_at, None):
            known = unpack(packed)
            assert known is not None, "there is no exchange without its event"
            event = known.recorded()
            legs = _money(event)
            if not legs:
                continue
            if event.HasField("pending_until"):
                self._pending.append(_Hold(exchange_id, known.position, legs))
            else:
                insort(self._posted, _Seen(known.occur_time, known.position, exchange_id))
        self._looked_at = len(kept)


def _money(event: ExchangeRecorded) -> tuple[int, ...]:
    return tuple(
        index
        for index, leg in enumerate(event.legs)
        if leg.giver == PARTY_CUSTOMER and leg.category == CATEGORY_MONEY_PAYMENT
    )


def _time(seen: _Seen) -> int:
    return seen.time
