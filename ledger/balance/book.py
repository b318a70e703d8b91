"""The book of one relationship: its exchanges, kept for every view (reciprocity.md 1, 3, 4 and 9.3).

A book is the fold of what was recorded up to some position. It knows nothing of views and policies, so one book answers
for every time, window, perspective and policy; what was known at an earlier position is the fold of fewer facts. Legs
stand in lanes by their effective time, not in the order in which they were recorded: sums over time stay right when
something arrives late.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import ClassVar, Final, NamedTuple

from ledger.balance.grants import Lot
from ledger.balance.lanes import Lane
from ledger.balance.spans import Span, Spans
from ledger.domain.fact import Fact
from ledger.domain.made_late import MadeLate
from ledger.domain.times import microseconds
from rapport.events.v1.exchange_pb2 import (
    CATEGORY_POINTS_GRANT,
    CATEGORY_POINTS_REDEEM,
    ExchangePosted,
    ExchangeRecorded,
    ExchangeReversed,
    ExchangeVoided,
    Leg,
    ObservationDeclared,
)

EXCHANGE_RECORDED: Final = "exchange.recorded.v1"
EXCHANGE_POSTED: Final = "exchange.posted.v1"
EXCHANGE_VOIDED: Final = "exchange.voided.v1"
EXCHANGE_REVERSED: Final = "exchange.reversed.v1"
OBSERVATION_DECLARED: Final = "exchange.observation_declared.v1"

_BOOK_PIECES: Final = 5
"""Pieces that take as much memory as a book takes before its first event."""

POINTS: Final = frozenset({CATEGORY_POINTS_GRANT, CATEGORY_POINTS_REDEEM})
"""Categories of promises, which are no part of got and gave."""


class BookLeg(NamedTuple):
    """One thing given, as it was recorded."""

    giver: int
    """A `Party`."""
    category: int
    """A `Category`."""
    units: int
    """At least 1."""
    asset: str
    """`CODE/scale`."""


class Resolution(NamedTuple):
    """The posting or voiding of a pending exchange."""

    time: int
    """Microseconds."""
    position: int
    record_time: int
    """Microseconds."""
    one_sided: int
    """A `OneSided`, of what was posted."""
    units: tuple[int, ...]
    """Posted units of each leg; empty: all was voided."""


@dataclass(slots=True, eq=False)
class Exchange:
    """An exchange with what became of it, whatever the time of a view. Changed by the fold only."""

    exchange_id: str
    time: int
    """When it happened. Microseconds, like all times here."""
    position: int
    record_time: int
    one_sided: int
    """A `OneSided`."""
    replaces: str
    """The exchange it was recorded in place of; empty: none."""
    legs: tuple[BookLeg, ...]
    pending_until: int | None = None
    """From when on it is expired unless resolved; None: it was posted at once."""
    resolution: Resolution | None = None
    reversal_position: int = 0
    """0: not reversed."""
    reversal_time: int = 0
    reversal_record_time: int = 0
    hold: Span["Exchange"] | None = None
    """Where the book notes while it is pending."""
    terms: Mapping[int, tuple[int | None, int | None]] | None = None
    """By index of a leg that grants points: when they become active and when they are gone, where it says so."""
    uses: tuple[tuple[str, int], ...] = ()
    """Lots used, and how many units of each."""

    @property
    def posted_time(self) -> int | None:
        """When its legs took effect; None: they have not, whatever the time."""
        if self.pending_until is None:
            return self.time
        resolution = self.resolution
        return resolution.time if resolution is not None and resolution.units else None

    def posted_units(self) -> Sequence[int]:
        """Return what was posted of each leg, in order; nothing where nothing was."""
        if self.pending_until is None:
            return [leg.units for leg in self.legs]
        return () if self.resolution is None else self.resolution.units


class Counted(NamedTuple):
    """A leg that counts until its exchange is reversed."""

    giver: int
    category: int
    asset: str
    one_sided: int
    units: int
    effective_time: int
    """Microseconds."""


class Account:
    """Gross totals of one giver, category and asset, each by time (reciprocity.md 1)."""

    __slots__ = ("expiring", "hold_posted", "hold_voided", "lanes", "pended", "reversed", "taken")

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        """What was posted and never reversed, by effective time; one for each reason of one-sidedness."""
        self.taken = Lane()
        """What was posted and reversed, by effective time."""
        self.reversed = Lane()
        """The same by the time of the reversal."""
        self.pended = Lane()
        self.hold_posted = Lane()
        self.hold_voided = Lane()
        self.expiring = Lane()
        """What is pending and was not resolved, by the time from which it is expired."""


LaneKey = tuple[int, int, str, int]
"""Giver, category, asset and one_sided."""
AccountKey = tuple[int, int, str]
"""Giver, category and asset."""


class Book(MadeLate):
    """Fold of one relationship's exchange facts in position order. To be continued with later facts only."""

    __slots__ = (
        "accounts", "exchange_version", "exchanges", "holds", "lanes", "last_position", "legs", "lots", "observations",
        "promising", "reversed_later", "version",
    )  # fmt: skip

    LATE: ClassVar = {"holds": Spans, "lots": dict, "observations": list, "promising": Spans, "reversed_later": Spans}

    reversed_later: Spans[Counted]
    """Legs from when they took effect until they were reversed."""
    holds: Spans[Exchange]
    """Exchanges while they are pending."""
    lots: dict[str, Lot]
    """By `exchange_id/leg_no` of the grant, in the order in which they became known."""
    promising: Spans[Lot]
    """Lots while something of them is outstanding."""
    observations: list[tuple[int, int, int]]
    """(when it was declared, category, since when), in microseconds, as recorded."""

    def __init__(self) -> None:
        self.version = 0
        """Version of the stream; 0 before its first event."""
        self.exchange_version = 0
        """Version of the last event folded that belongs to the exchanges, as in a relationship's state; 0: none."""
        self.last_position = 0
        """Log position of the last event folded."""
        self.exchanges: dict[str, Exchange] = {}
        self.legs = 0
        """How many legs are known, whatever became of them."""
        self.lanes: dict[LaneKey, Lane] = {}
        """Legs that were posted and never reversed."""
        self.accounts: dict[AccountKey, Account] = {}

    @property
    def pieces(self) -> int:
        """For how many events and legs of memory it counts."""
        return _BOOK_PIECES + self.version + self.legs

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order; a fact of another subject only moves the version and the last position."""
        self.version = fact.version
        self.last_position = fact.position
        fold = _FOLDS.get(fact.topic)
        if fold is not None:
            self.exchange_version = fact.version
            fold(self, fact)

    # What a fact cannot mean, such as a second posting, the decisions refuse; the fold lets it pass without effect.

    def _record(self, fact: Fact) -> None:
        position, _, record_time, time, _, message, _ = fact
        event: ExchangeRecorded = message  # type: ignore[assignment]  # The topic says so.
        exchange_id = event.exchange_id
        if exchange_id in self.exchanges:
            return
        messages = event.legs
        legs = tuple([_book_leg(leg) for leg in messages])
        exchange = Exchange(exchange_id, time, position, record_time, event.one_sided, event.replaces, legs)
        self.exchanges[exchange_id] = exchange
        self.legs += len(legs)
        for leg in legs:
            if leg.category in POINTS:
                exchange.terms = _terms(messages)
                exchange.uses = tuple((f"{use.exchange_id}/{use.grant_leg_no}", use.units) for use in event.lot_uses)
                break
        if event.HasField("pending_until"):
            exchange.pending_until = microseconds(event.pending_until)
            self._pend(exchange, exchange.pending_until)
        else:
            self._take_effect(exchange, exchange.one_sided, time, position)

    def _pend(self, exchange: Exchange, until: int) -> None:
        exchange.hold = self.holds.add(exchange.time, until, exchange)
        for leg in exchange.legs:
            account = self._account(leg)
            account.pended.add(exchange.time, leg.units)
            account.expiring.add(until, leg.units)

    def _post(self, fact: Fact) -> None:
        event: ExchangePosted = fact.event  # type: ignore[assignment]  # The topic says so.
        self._resolve(event.exchange_id, fact, event.one_sided, tuple(event.units))

    def _void(self, fact: Fact) -> None:
        event: ExchangeVoided = fact.event  # type: ignore[assignment]  # The topic says so.
        self._resolve(event.exchange_id, fact, 0, ())

    def _resolve(self, exchange_id: str, fact: Fact, one_sided: int, units: tuple[int, ...]) -> None:
        exchange = self.exchanges.get(exchange_id)
        if exchange is None or exchange.pending_until is None or exchange.resolution is not None:
            return
        time = fact.occur_time
        exchange.resolution = Resolution(time, fact.position, fact.record_time, one_sided, units)
        self.holds.discard(exchange.hold)
        exchange.hold = self.holds.add(exchange.time, time, exchange)
        for index, leg in enumerate(exchange.legs):
            account, posted = self._account(leg), units[index] if units else 0
            account.expiring.remove(exchange.pending_until, leg.units)
            if posted:
                account.hold_posted.add(time, posted)
            if posted < leg.units:
                account.hold_voided.add(time, leg.units - posted)
        if units:
            self._take_effect(exchange, one_sided, time, fact.position)

    def _take_effect(self, exchange: Exchange, one_sided: int, time: int, position: int) -> None:
        lanes = self.lanes
        for (giver, category, _, asset), units in zip(exchange.legs, exchange.posted_units(), strict=True):
            if units:
                lane = lanes.get((giver, category, asset, one_sided))
                if lane is None:
                    lane = self._new_lane((giver, category, asset, one_sided))
                lane.add(time, units)
        if exchange.terms is not None:
            self._grant(exchange, time, position)
            for lot_id, units in exchange.uses:
                self._move_lot(lot_id, time, units)

    def _grant(self, exchange: Exchange, time: int, position: int) -> None:
        units = exchange.posted_units()
        for index, terms in (exchange.terms or {}).items():
            if units[index]:
                lot_id = f"{exchange.exchange_id}/{index + 1}"
                lot = Lot(lot_id, exchange.legs[index].asset, units[index], time, terms)
                lot.position, lot.leg_no = position, index + 1
                self.lots[lot_id] = lot
                lot.promising = self.promising.add(time, lot.promises_until(), lot)

    def _reverse(self, fact: Fact) -> None:
        event: ExchangeReversed = fact.event  # type: ignore[assignment]  # The topic says so.
        exchange = self.exchanges.get(event.exchange_id)
        posted_time = None if exchange is None else exchange.posted_time
        if exchange is None or posted_time is None or exchange.reversal_position:
            return
        time = max(fact.occur_time, posted_time)
        exchange.reversal_position, exchange.reversal_time = fact.position, time
        exchange.reversal_record_time = fact.record_time
        one_sided = exchange.one_sided if exchange.resolution is None else exchange.resolution.one_sided
        for index, ((giver, category, _, asset), units) in enumerate(
            zip(exchange.legs, exchange.posted_units(), strict=True)
        ):
            if units:
                leg = Counted(giver, category, asset, one_sided, units, posted_time)
                self._take_back(leg, time)
                self._take_lot(f"{exchange.exchange_id}/{index + 1}", time)
        for lot_id, units in exchange.uses:
            self._move_lot(lot_id, time, -units)

    def _take_back(self, leg: Counted, time: int) -> None:
        giver, category, asset, one_sided, units, effective_time = leg
        self.lanes[giver, category, asset, one_sided].remove(effective_time, units)
        account = self.accounts[giver, category, asset]
        account.taken.add(effective_time, units)
        account.reversed.add(time, units)
        self.reversed_later.add(effective_time, time, leg)

    def _take_lot(self, lot_id: str, time: int) -> None:
        lot = self.lots.get(lot_id)
        if lot is not None:
            lot.taken_at = time
            self._promise(lot)

    def _move_lot(self, lot_id: str, time: int, units: int) -> None:
        lot = self.lots.get(lot_id)
        if lot is not None:
            lot.move(time, units)
            self._promise(lot)

    def _promise(self, lot: Lot) -> None:
        self.promising.discard(lot.promising)
        lot.promising = self.promising.add(lot.effective_time, lot.promises_until(), lot)

    def _observe(self, fact: Fact) -> None:
        event: ObservationDeclared = fact.event  # type: ignore[assignment]  # The topic says so.
        self.observations.append((fact.occur_time, event.category, microseconds(event.since)))

    def _account(self, leg: BookLeg) -> Account:
        return self._account_of((leg.giver, leg.category, leg.asset))

    def _account_of(self, key: AccountKey) -> Account:
        account = self.accounts.get(key)
        if account is None:
            account = self.accounts[key] = Account()
            # In the order in which answers list them; new ones are rare.
            self.accounts = dict(sorted(self.accounts.items()))
        return account

    def _new_lane(self, key: LaneKey) -> Lane:
        lane = self.lanes[key] = Lane()
        self._account_of(key[:3]).lanes.append(lane)
        return lane


def _book_leg(leg: Leg) -> BookLeg:
    amount = leg.amount
    return BookLeg(leg.giver, leg.category, amount.units, intern(amount.asset))


def _terms(legs: Sequence[Leg]) -> dict[int, tuple[int | None, int | None]]:
    """Return the lot terms of the legs that grant points, by their index."""
    found = {}
    for index, leg in enumerate(legs):
        if leg.category == CATEGORY_POINTS_GRANT:
            terms = leg.lot_terms
            activates_at = microseconds(terms.activates_at) if terms.HasField("activates_at") else None
            expires_at = microseconds(terms.expires_at) if terms.HasField("expires_at") else None
            found[index] = (activates_at, expires_at)
    return found


_FOLDS: Final[Mapping[str, Callable[[Book, Fact], None]]] = {
    EXCHANGE_RECORDED: Book._record,  # noqa: SLF001 # The table of the class's own folds.
    EXCHANGE_POSTED: Book._post,  # noqa: SLF001
    EXCHANGE_VOIDED: Book._void,  # noqa: SLF001
    EXCHANGE_REVERSED: Book._reverse,  # noqa: SLF001
    OBSERVATION_DECLARED: Book._observe,  # noqa: SLF001
}
TOPICS: Final = tuple(_FOLDS)
"""What is folded here; facts of other topics only move the version and the last position."""
