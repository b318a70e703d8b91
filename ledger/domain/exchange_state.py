"""The fold of a relationship's exchanges: which ids are taken and by what, and the gross totals (reciprocity.md 1, 3).

A state built with `until=T` counts an exchange that occurred at or before T, and takes it back if its reversal's
effective time is at or before T; before that it counts in full. Ids are kept whatever T is.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from struct import Struct
from typing import Final, NamedTuple

from ledger.domain.amounts import INT64_MAX
from ledger.domain.fact import Fact
from ledger.domain.legs import legs, parts
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.events.v1.exchange_pb2 import Category, ExchangeRecorded, ExchangeReversed, Party

EXCHANGE_RECORDED: Final = "exchange.recorded.v1"
EXCHANGE_REVERSED: Final = "exchange.reversed.v1"

# A relationship may hold 100,000 exchanges: each is one byte string, a third of what separate objects would take.
_HEAD: Final = Struct("<QIqB")
_pack: Final = _HEAD.pack
_DEFAULTED: Final = 1
_CLAMPED: Final = 2


class Quantity(NamedTuple):
    """Gross total of one category and asset given by one party, in units. Both counters only grow."""

    giver: Party.ValueType
    category: Category.ValueType
    asset: str
    posted: int
    """Reversed units included."""
    reversed: int

    @property
    def given(self) -> int:
        """What counts, never below 0; the other party received it."""
        return self.posted - self.reversed


class Known(NamedTuple):
    """An exchange or a reversal as it was recorded."""

    position: int
    version: int
    occur_time: int
    """Microseconds; of a reversal its effective time."""
    flags: int
    event: bytes
    """Serialised."""

    @property
    def defaulted(self) -> bool:
        """The caller gave no occur_time."""
        return bool(self.flags & _DEFAULTED)

    @property
    def clamped(self) -> bool:
        """The caller's time lay slightly ahead of the clock and was set back to it."""
        return bool(self.flags & _CLAMPED)

    def recorded(self) -> ExchangeRecorded:
        """Return the exchange."""
        return ExchangeRecorded.FromString(self.event)

    def reversal(self) -> ExchangeReversed:
        """Return the reversal."""
        return ExchangeReversed.FromString(self.event)


class ExchangeState:
    """Fold of the exchanges of one relationship. Mutable inside the fold (settled.md 21)."""

    __slots__ = (
        "_exchanges", "_first", "_last", "_posted", "_reversals", "_reversed", "_reversed_by", "_span_known", "_until",
        "count", "one_sided", "reversed",
    )  # fmt: skip

    def __init__(self, until: int = END_OF_TIME) -> None:
        self._until = until
        self._exchanges: dict[str, bytes] = {}
        self._reversals: dict[str, bytes] = {}
        self._reversed_by: dict[str, str] = {}
        self._posted: defaultdict[str, int] = defaultdict(int)
        self._reversed: defaultdict[str, int] = defaultdict(int)
        self._first = END_OF_TIME
        self._last = START_OF_TIME
        self._span_known = True
        self.count = 0
        """Exchanges in force: recorded and not reversed."""
        self.reversed = 0
        """Exchanges reversed."""
        self.one_sided = 0
        """Of those in force, how many lack the legs of one party."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order; facts of other subjects pass by."""
        fold = FOLDS.get(fact.topic)
        if fold is not None:
            fold(self, fact)

    def record(self, fact: Fact) -> None:
        """Fold an `exchange.recorded.v1`; the commonest fact here, so this is one straight run."""
        position, version, _, occur_time, _, message, metadata = fact
        event: ExchangeRecorded = message  # type: ignore[assignment]  # The topic says so.
        exchange = event.SerializeToString()
        flags = _DEFAULTED if metadata.occur_time_defaulted else _CLAMPED if metadata.occur_time_clamped else 0
        self._exchanges.setdefault(event.exchange_id, _pack(position, version, occur_time, flags) + exchange)
        if occur_time > self._until:
            return
        self.count += 1
        if event.one_sided:
            self.one_sided += 1
        if occur_time < self._first:  # noqa: PLR1730 # Calls of min and max would cost a fifth of the fold.
            self._first = occur_time
        if occur_time > self._last:  # noqa: PLR1730
            self._last = occur_time
        posted = self._posted
        for name, units in legs(exchange):
            posted[name] += units

    def reverse(self, fact: Fact) -> None:
        """Fold an `exchange.reversed.v1`."""
        position, version, _, occur_time, _, message, metadata = fact
        event: ExchangeReversed = message  # type: ignore[assignment]  # The topic says so.
        flags = _CLAMPED if metadata.occur_time_clamped else 0
        packed = _pack(position, version, occur_time, flags) + event.SerializeToString()
        self._reversals.setdefault(event.reversal_id, packed)
        # At most once, and of a known exchange: the decisions see to it. Anything else takes nothing back.
        original = self.find(event.exchange_id)
        if original is None or event.exchange_id in self._reversed_by:
            return
        self._reversed_by[event.exchange_id] = event.reversal_id
        if original.occur_time <= self._until and occur_time <= self._until:
            self._take_back(original)

    def find(self, exchange_id: str) -> Known | None:
        """Return the exchange of an id, reversed or not."""
        return _unpack(self._exchanges.get(exchange_id))

    def find_reversal(self, reversal_id: str) -> Known | None:
        """Return the reversal of an id."""
        return _unpack(self._reversals.get(reversal_id))

    def reversal_of(self, exchange_id: str) -> Known | None:
        """Return the reversal that took an exchange back, whenever it takes effect."""
        reversal_id = self._reversed_by.get(exchange_id)
        return None if reversal_id is None else self.find_reversal(reversal_id)

    def posted(self, account: str) -> int:
        """Return the units of an account (`legs.account`), reversed ones included."""
        return self._posted.get(account, 0)

    def quantities(self) -> list[Quantity]:
        """Return the totals, ordered by giver, category and asset."""
        totals = sorted(Quantity(*parts(name), n, self._reversed.get(name, 0)) for name, n in self._posted.items())
        # B3, and what the decisions promise: nothing on the wire is wrapped.
        assert all(0 <= total.reversed <= total.posted <= INT64_MAX for total in totals), "totals are out of bounds"
        return totals

    def span(self) -> tuple[int, int] | None:
        """Return when the first and the last exchange in force occurred, in microseconds; None where there is none."""
        if not self._span_known:
            self._first = min(self._occur_times(), default=END_OF_TIME)
            self._last = max(self._occur_times(), default=START_OF_TIME)
            self._span_known = True
        return (self._first, self._last) if self.count else None

    def _take_back(self, original: Known) -> None:
        # Only where an end of the span is taken back must the span be looked for again, when it is next asked for.
        self._span_known = self._span_known and self._first < original.occur_time < self._last
        self.count -= 1
        self.reversed += 1
        if original.recorded().one_sided:
            self.one_sided -= 1
        for name, units in legs(original.event):
            self._reversed[name] += units
            assert self._reversed[name] <= self._posted[name], "more was taken back than was posted"  # B3

    def _occur_times(self) -> Iterator[int]:
        for exchange_id, packed in self._exchanges.items():
            occur_time = _occur_time(packed)
            if occur_time <= self._until and not self._taken_back(exchange_id):
                yield occur_time

    def _taken_back(self, exchange_id: str) -> bool:
        reversal_id = self._reversed_by.get(exchange_id)
        return reversal_id is not None and _occur_time(self._reversals[reversal_id]) <= self._until


FOLDS: Final[Mapping[str, Callable[[ExchangeState, Fact], None]]] = {
    EXCHANGE_RECORDED: ExchangeState.record,
    EXCHANGE_REVERSED: ExchangeState.reverse,
}
"""How each topic of exchanges is folded."""


def given(quantities: Sequence[Quantity], giver: Party.ValueType) -> dict[str, int]:
    """Return what a party gave in all, less what was taken back, in units by asset."""
    units: dict[str, int] = {}
    for quantity in quantities:
        if quantity.giver == giver:
            units[quantity.asset] = units.get(quantity.asset, 0) + quantity.given
    return units


def _unpack(packed: bytes | None) -> Known | None:
    if packed is None:
        return None
    position, version, occur_time, flags = _HEAD.unpack_from(packed)
    return Known(position, version, occur_time, flags, packed[_HEAD.size :])


def _occur_time(packed: bytes) -> int:
    occur_time: int = _HEAD.unpack_from(packed)[2]
    return occur_time
