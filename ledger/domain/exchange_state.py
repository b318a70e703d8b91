"""The fold of a relationship's exchanges: which ids are taken and by what, and the gross totals (reciprocity.md 1, 3).

A state built with `until=T` counts what was posted at or before T: an exchange outright when it occurred, a pending one
when it was posted. It takes an exchange back if its reversal's effective time is at or before T; before that it counts
in full. Ids are kept whatever T is.

A plain exchange, posted at once and without points, runs straight through. Holds and lots are kept apart (`Holds`,
`LotBook`), made when the first one comes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.domain.amounts import INT64_MAX
from ledger.domain.exchange_holds import NO_UNITS, Holds
from ledger.domain.exchange_known import CLAMPED, DEFAULTED, Known, occur_time_of, pack, packed, unpack
from ledger.domain.fact import Fact
from ledger.domain.legs import NotPlain, all_legs, legs, parts
from ledger.domain.lots import Lot, LotBook, Use
from ledger.domain.purchases import Paid, Purchases
from ledger.domain.times import END_OF_TIME, START_OF_TIME, microseconds
from rapport.events.v1.exchange_pb2 import (
    CATEGORY_POINTS_GRANT,
    Category,
    ExchangePosted,
    ExchangeRecorded,
    ExchangeReversed,
    Party,
)

EXCHANGE_RECORDED: Final = "exchange.recorded.v1"
EXCHANGE_POSTED: Final = "exchange.posted.v1"
EXCHANGE_VOIDED: Final = "exchange.voided.v1"
EXCHANGE_REVERSED: Final = "exchange.reversed.v1"


class Quantity(NamedTuple):
    """Gross total of one category and asset given by one party, in units. All but `hold_expired` only grow."""

    giver: Party.ValueType
    category: Category.ValueType
    asset: str
    posted: int
    """Reversed units included, and those of holds."""
    reversed: int
    pended: int = 0
    """Units of exchanges recorded as pending, whatever became of them."""
    hold_posted: int = 0
    """Of those, posted ones."""
    hold_voided: int = 0
    """Of those, voided ones."""
    hold_expired: int = 0
    """Of those, ones that were neither in time."""

    @property
    def given(self) -> int:
        """What counts, never below 0; the other party received it."""
        return self.posted - self.reversed


class ExchangeState:
    """Fold of the exchanges of one relationship. Mutable inside the fold (settled.md 21)."""

    __slots__ = (
        "_exchanges", "_first", "_holds", "_last", "_lots", "_posted", "_purchases", "_reversals", "_reversed",
        "_reversed_by", "_span_known", "_until", "count", "one_sided", "reversed",
    )  # fmt: skip

    def __init__(self, until: int = END_OF_TIME) -> None:
        self._until = until
        self._exchanges: dict[str, bytes] = {}
        self._reversals: dict[str, bytes] = {}
        self._reversed_by: dict[str, str] = {}
        self._posted: defaultdict[str, int] = defaultdict(int)
        self._reversed: defaultdict[str, int] = defaultdict(int)
        self._holds: Holds | None = None
        self._lots: LotBook | None = None
        self._purchases: Purchases | None = None
        self._first = END_OF_TIME
        self._last = START_OF_TIME
        self._span_known = True
        self.count = 0
        """Exchanges in force: posted and not reversed."""
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
        flags = DEFAULTED if metadata.occur_time_defaulted else CLAMPED if metadata.occur_time_clamped else 0
        self._exchanges.setdefault(event.exchange_id, pack(position, version, occur_time, flags) + exchange)
        if occur_time > self._until:
            return
        try:
            plain = legs(exchange)
        except NotPlain:
            self._record_otherwise(event, fact)
            return
        self.count += 1
        if event.one_sided:
            self.one_sided += 1
        if occur_time < self._first:  # noqa: PLR1730 # Calls of min and max would cost a fifth of the fold.
            self._first = occur_time
        if occur_time > self._last:  # noqa: PLR1730
            self._last = occur_time
        posted = self._posted
        for name, units in plain:
            posted[name] += units

    def post(self, fact: Fact) -> None:
        """Fold an `exchange.posted.v1`: from now on the hold counts as far as it was posted."""
        event: ExchangePosted = fact.event  # type: ignore[assignment]  # The topic says so.
        posted = None if self._holds is None else self._holds.post(fact)
        if posted is not None:
            self._count(fact.occur_time, bool(event.one_sided), posted)
            exchange = self.find(event.exchange_id)
            assert exchange is not None, "a hold is an exchange"
            self._grant(exchange.recorded(), event.units, fact)

    def void(self, fact: Fact) -> None:
        """Fold an `exchange.voided.v1`."""
        if self._holds is not None:
            self._holds.void(fact)

    def reverse(self, fact: Fact) -> None:
        """Fold an `exchange.reversed.v1`."""
        event: ExchangeReversed = fact.event  # type: ignore[assignment]  # The topic says so.
        self._reversals.setdefault(event.reversal_id, packed(fact))
        # At most once, and of a known exchange: the decisions see to it. Anything else takes nothing back.
        original = self.find(event.exchange_id)
        if original is None or event.exchange_id in self._reversed_by:
            return
        self._reversed_by[event.exchange_id] = event.reversal_id
        if fact.occur_time <= self._until:
            self._take_back(event.exchange_id, original, fact.occur_time)

    def find(self, exchange_id: str) -> Known | None:
        """Return the exchange of an id, reversed or not."""
        return unpack(self._exchanges.get(exchange_id))

    def find_reversal(self, reversal_id: str) -> Known | None:
        """Return the reversal of an id."""
        return unpack(self._reversals.get(reversal_id))

    def reversal_of(self, exchange_id: str) -> Known | None:
        """Return the reversal that took an exchange back, whenever it takes effect."""
        reversal_id = self._reversed_by.get(exchange_id)
        return None if reversal_id is None else self.find_reversal(reversal_id)

    def pending_until(self, exchange_id: str) -> int | None:
        """Return when a hold ends, in microseconds; None: the exchange was never pending, or is not in this view."""
        return None if self._holds is None else self._holds.ends(exchange_id)

    def resolution_of(self, exchange_id: str) -> Known | None:
        """Return the posting or voiding of a hold in this view, whenever it takes effect."""
        return None if self._holds is None else self._holds.resolution(exchange_id)

    def effective_time(self, exchange_id: str) -> int | None:
        """Return from when on an exchange is posted, in microseconds; None: it is not, in this view."""
        if self._holds is not None and self._holds.ends(exchange_id) is not None:
            return self._holds.posting_time(exchange_id)
        kept = self._exchanges.get(exchange_id)
        return None if kept is None or (time := occur_time_of(kept)) > self._until else time

    def in_force(self, exchange_id: str) -> bool:
        """Tell whether an exchange is posted and not taken back, in this view."""
        return self.effective_time(exchange_id) is not None and not self._taken_back(exchange_id)

    def last_paid(self, at: int) -> Paid | None:
        """Return the latest exchange in force in which the customer gave money, at or before a time, or None.

        `at`: microseconds.
        """
        if self._purchases is None:
            self._purchases = Purchases()
        return self._purchases.latest(self._exchanges, self, at)

    @property
    def lots(self) -> LotBook:
        """The points granted, for decisions; views of the past have a fold of their own."""
        if self._lots is None:
            self._lots = LotBook()
        return self._lots

    def posted(self, account: str) -> int:
        """Return the units of an account (`legs.account`), reversed ones included."""
        return self._posted.get(account, 0)

    def pended(self, account: str) -> int:
        """Return the units of an account that were ever pending, whatever became of them."""
        return 0 if self._holds is None else self._holds.pended.get(account, 0)

    def pending(self, at: int) -> int:
        """Return how many exchanges are pending at a time, in microseconds; it lies not after `until`."""
        return 0 if self._holds is None else self._holds.pending(at)

    def quantities(self, at: int = START_OF_TIME) -> list[Quantity]:
        """Return the totals, ordered by giver, category and asset.

        `at` is the time of the view, in microseconds, for `hold_expired`; by default none is.
        """
        if self._holds is None:
            totals = sorted(Quantity(*parts(name), n, self._reversed.get(name, 0)) for name, n in self._posted.items())
        else:
            totals = sorted(self._with_holds(self._holds, at))
        # B3, and what the decisions promise: nothing on the wire is wrapped.
        assert all(0 <= total.reversed <= total.posted <= INT64_MAX for total in totals), "totals are out of bounds"
        return totals

    def span(self) -> tuple[int, int] | None:
        """Return when the first and the last exchange in force took effect, in microseconds; None: there is none."""
        if not self._span_known:
            self._first = min(self._effective_times(), default=END_OF_TIME)
            self._last = max(self._effective_times(), default=START_OF_TIME)
            self._span_known = True
        return (self._first, self._last) if self.count else None

    def _record_otherwise(self, event: ExchangeRecorded, fact: Fact) -> None:
        """Fold an exchange that is pending, or moves points."""
        units = all_legs(event)
        if event.HasField("pending_until"):
            if self._holds is None:
                self._holds = Holds(self._until)
            self._holds.record(event, units)
            return
        self._count(fact.occur_time, bool(event.one_sided), units)
        self._grant(event, [number for _, number in units], fact)
        for use in event.lot_uses:
            self.lots.use(Use(use.exchange_id, use.grant_leg_no, use.units), fact.occur_time)

    def _count(self, effective_time: int, one_sided: bool, units: Sequence[tuple[str, int]]) -> None:
        self.count += 1
        self.one_sided += one_sided
        self._first = min(self._first, effective_time)
        self._last = max(self._last, effective_time)
        for name, more in units:
            self._posted[name] += more

    def _grant(self, event: ExchangeRecorded, units: Sequence[int], fact: Fact) -> None:
        """Take in the lots that an exchange, or the posting of one, grants."""
        for leg_no, (leg, granted) in enumerate(zip(event.legs, units, strict=True), start=1):
            if leg.category == CATEGORY_POINTS_GRANT and granted:
                terms, active_from = leg.lot_terms, fact.occur_time
                if terms.HasField("activates_at"):
                    active_from = max(active_from, microseconds(terms.activates_at))
                expires_at = microseconds(terms.expires_at) if terms.HasField("expires_at") else END_OF_TIME
                lot = Lot(event.exchange_id, leg_no, leg.amount.asset, granted, active_from, expires_at, fact.position)
                self.lots.grant(lot)

    def _take_back(self, exchange_id: str, original: Known, at: int) -> None:
        effective_time = self.effective_time(exchange_id)
        if effective_time is None:
            return
        # Only where an end of the span is taken back must the span be looked for again, when it is next asked for.
        self._span_known = self._span_known and self._first < effective_time < self._last
        self.count -= 1
        self.reversed += 1
        event = original.recorded()
        one_sided, units = self._in_force(event)
        if one_sided:
            self.one_sided -= 1
        for name, less in units:
            self._reversed[name] += less
            assert self._reversed[name] <= self._posted[name], "more was taken back than was posted"  # B3
        if self._lots is not None:
            self._lots.take_back(exchange_id)
            for use in event.lot_uses:
                self._lots.restore(Use(use.exchange_id, use.grant_leg_no, use.units), at)

    def _in_force(self, event: ExchangeRecorded) -> tuple[bool, Sequence[tuple[str, int]]]:
        """Return whether what an exchange posted is one-sided, and its (account, units)."""
        resolution = self.resolution_of(event.exchange_id)
        if resolution is None:
            return bool(event.one_sided), all_legs(event)
        posting = resolution.posting()
        posted = [(name, units) for (name, _), units in zip(all_legs(event), posting.units, strict=True)]
        return bool(posting.one_sided), posted

    def _with_holds(self, holds: Holds, at: int) -> Iterator[Quantity]:
        expired = holds.expired(at) if at > START_OF_TIME else NO_UNITS
        for name in self._posted.keys() | holds.pended.keys():
            pended, posted, voided = holds.pended.get(name, 0), holds.posted.get(name, 0), holds.voided.get(name, 0)
            quantity = Quantity(
                *parts(name),
                self._posted.get(name, 0),
                self._reversed.get(name, 0),
                pended,
                posted,
                voided,
                expired.get(name, 0),
            )
            assert posted + voided + quantity.hold_expired <= pended <= INT64_MAX, "more was resolved than was pending"
            yield quantity

    def _effective_times(self) -> Iterator[int]:
        for exchange_id in self._exchanges:
            time = self.effective_time(exchange_id)
            if time is not None and not self._taken_back(exchange_id):
                yield time

    def _taken_back(self, exchange_id: str) -> bool:
        reversal_id = self._reversed_by.get(exchange_id)
        return reversal_id is not None and occur_time_of(self._reversals[reversal_id]) <= self._until


FOLDS: Final[Mapping[str, Callable[[ExchangeState, Fact], None]]] = {
    EXCHANGE_RECORDED: ExchangeState.record,
    EXCHANGE_REVERSED: ExchangeState.reverse,
    EXCHANGE_POSTED: ExchangeState.post,
    EXCHANGE_VOIDED: ExchangeState.void,
}
"""How each topic of exchanges is folded."""
