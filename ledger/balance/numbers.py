"""The numbers of a balance, exactly as reciprocity.md 6 defines them.

All sums are integers of any size, ratios stay exact, and each figure is rounded once, when it is told. `balance`
answers from the sums that the book keeps; `balance_by_scan` makes the same from every leg, to check it by.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.balance.book import POINTS, Book
from ledger.balance.coverage import Coverage, Line, Side, Tally
from ledger.balance.lots import Promised, lots_in_view, promised_by_lots, promised_of
from ledger.balance.quantities import Quantity, quantities_by_scan, quantities_of
from ledger.balance.slices import Slice, Span, rate_of, slices_of, slices_of_legs
from ledger.balance.view import DAY, BalanceView
from ledger.balance.viewed import PENDING, ViewedLeg, legs_in_view
from ledger.domain.amounts import INT64_MAX, half_even
from ledger.domain.decay import FULL
from ledger.domain.errors import Rejected
from ledger.domain.times import START_OF_TIME
from ledger.policy.valuation import Opinion, Valuation
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER
from rapport.relationship.v1.balance_pb2 import (
    BALANCE_STATUS_NO_POLICY,
    BALANCE_STATUS_NO_VALUED_EXCHANGES,
    BALANCE_STATUS_OK,
    CUSTOMER_GAINS_NO,
    CUSTOMER_GAINS_UNCERTAIN,
    CUSTOMER_GAINS_UNSPECIFIED,
    CUSTOMER_GAINS_YES,
    BalanceStatus,
    CustomerGains,
)

MODEL_VERSION: Final = 1
"""Version of this arithmetic; a view token of another is refused."""
OK: Final = BALANCE_STATUS_OK
NO_VALUED_EXCHANGES: Final = BALANCE_STATUS_NO_VALUED_EXCHANGES
NO_POLICY: Final = BALANCE_STATUS_NO_POLICY

_EVER: Final = START_OF_TIME - 1
"""Before every time: legs after it are all legs."""


class Ratio(NamedTuple):
    """An exact ratio, not reduced."""

    numerator: int
    denominator: int
    """Above 0."""

    @property
    def ppm(self) -> int:
        """The ratio in millionths, rounded half to even."""
        return half_even(FULL * self.numerator, self.denominator)

    def less(self, other: "Ratio") -> "Ratio":
        """Return this ratio less another, exactly."""
        if self.denominator == other.denominator:
            return Ratio(self.numerator - other.numerator, self.denominator)
        return Ratio(
            self.numerator * other.denominator - other.numerator * self.denominator,
            self.denominator * other.denominator,
        )


class Band(NamedTuple):
    """The index at its least and at its greatest, over all rates between low and high."""

    low: Ratio
    """What was got at low rates, what was given at high ones; 0/1 where that is nothing."""
    high: Ratio
    """The reverse."""

    @property
    def sign_certain(self) -> bool:
        """Whether both ends have the same sign, which is not 0."""
        return self.low.numerator > 0 or self.high.numerator < 0


@dataclass(frozen=True, slots=True)
class Balance:
    """What a party of a relationship gained and gave, in one view. Values in nanos of the unit of account."""

    status: BalanceStatus.ValueType
    unit_of_account: str
    """Empty without a policy."""
    got: int
    """G. Unweighted, at most 2^63 - 1, like `gave`."""
    gave: int
    """V."""
    got_weighted: int
    """g: sum of value * weight in ppm."""
    gave_weighted: int
    """u."""
    kappa_nanos: int
    """Of the version in force at the view's time; 0 without a policy."""
    denominator: int
    """D = g + u + 2k, with k = kappa * 10^6. 0 where all of these are."""
    index: Ratio | None
    """(g - u) / D; None unless the status is OK, as all that follow up to `label`."""
    raw: Ratio | None
    """(g - u) / (g + u)."""
    band: Band | None
    label: str
    """Empty where there is no index."""
    customer_gains: CustomerGains.ValueType
    """UNSPECIFIED where there is no index, and from the organization's perspective."""
    trend: Ratio | None
    """Index over the last `trend_days` less the index over all time, whatever the window. None: one of them is."""
    promised: int
    """Worth of outstanding lots."""
    unvalued_lots: int
    """Outstanding lots that have no rate."""
    pending_got: int
    """At the rates of the exchange's time; whatever the window, like `promised` and `quantities`."""
    pending_gave: int
    coverage: Coverage
    quantities: tuple[Quantity, ...]
    """Ordered by giver, category and asset."""
    last_got: int | None
    """Effective time of the last selected leg that the perspective got, in microseconds; None: there is none."""
    last_gave: int | None
    lines: tuple[Line, ...]
    """Ordered by giver, category and asset."""

    @property
    def net(self) -> int:
        """What was got less what was given."""
        return self.got - self.gave

    @property
    def confidence(self) -> Ratio:
        """(g + u) / D, 0 where there is nothing of value: how much is evidence, not assumption."""
        return Ratio(self.got_weighted + self.gave_weighted, self.denominator or 1)

    @property
    def index_ppm(self) -> int | None:
        """The index in millionths, rounded half to even."""
        return None if self.index is None else self.index.ppm

    @property
    def raw_ppm(self) -> int | None:
        """The raw index in millionths, rounded half to even."""
        return None if self.raw is None else self.raw.ppm

    @property
    def confidence_ppm(self) -> int:
        """The confidence in millionths, rounded half to even."""
        return self.confidence.ppm

    @property
    def trend_ppm(self) -> int | None:
        """The trend in millionths, an exact difference rounded once."""
        return None if self.trend is None else self.trend.ppm


class _Weighed(NamedTuple):
    """Got and gave, weighted by age."""

    got: int
    gave: int


class _Parts(NamedTuple):
    """What a balance is put together from."""

    selected: Tally
    lifetime: _Weighed
    recent: _Weighed
    promised: Promised
    pending: _Weighed
    quantities: tuple[Quantity, ...]


def balance(book: Book, opinion: Opinion, view: BalanceView) -> Balance:
    """Return the balance of a relationship in a view.

    Costs in proportion to the lanes of the book, the rates they have, and what is pending and outstanding; not to the
    legs.

    Raises:
        Rejected: VALUE_OUT_OF_RANGE, when a sum would leave 64 bits.
    """
    ever = Span(_EVER, view.at, _trend_start(opinion.closing, view))
    slices = slices_of(book, opinion, view, ever)
    lifetime, recent = _weighed(slices, view.perspective)
    if view.window_from is not None or view.until < view.at:
        slices = slices_of(book, opinion, view, ever._replace(after=view.after, until=view.until))
    parts = _Parts(
        selected=Tally(slices, view.perspective),
        lifetime=lifetime,
        recent=recent,
        promised=promised_of(book.promising.at(view.at), opinion, view),
        pending=_pending(book, opinion, view),
        quantities=quantities_of(book, view.at),
    )
    return _put_together(parts, book, opinion.closing, view)


def balance_by_scan(book: Book, opinion: Opinion, view: BalanceView) -> Balance:
    """Return the same balance, made from every leg as the view sees it.

    Raises:
        Rejected: VALUE_OUT_OF_RANGE, when a sum would leave 64 bits.
    """
    recent_after = _trend_start(opinion.closing, view)
    unbounded = legs_in_view(book, opinion, view._replace(window_from=None, window_to=None))
    lifetime, recent = _weighed(slices_of_legs(unbounded, recent_after), view.perspective)
    legs = legs_in_view(book, opinion, view)
    parts = _Parts(
        selected=Tally(slices_of_legs(legs, recent_after), view.perspective),
        lifetime=lifetime,
        recent=recent,
        promised=promised_by_lots(lots_in_view(book, opinion, view)),
        pending=_pending_by_legs(legs, view),
        quantities=quantities_by_scan(book, view.at),
    )
    return _put_together(parts, book, opinion.closing, view)


def _trend_start(closing: Valuation | None, view: BalanceView) -> int:
    """Return the time, in microseconds, after which legs are recent."""
    return view.at - (0 if closing is None else closing.trend_days) * DAY


def _weighed(slices: Iterable[Slice], perspective: int) -> tuple[_Weighed, _Weighed]:
    """Return got and gave of all slices, and of what is recent in them."""
    got = gave = recent_got = recent_gave = 0
    for giver, _, _, _, rate, _, _, weighted, recent, _ in slices:
        if rate is None:
            continue
        if giver == perspective:
            gave += weighted * rate.rate
            recent_gave += recent * rate.rate
        else:
            got += weighted * rate.rate
            recent_got += recent * rate.rate
    return _Weighed(got, gave), _Weighed(recent_got, recent_gave)


def _pending(book: Book, opinion: Opinion, view: BalanceView) -> _Weighed:
    got = gave = 0
    for exchange in book.holds.at(view.at):
        valuation = opinion.valuation_at(exchange.time)
        for giver, category, units, asset in exchange.legs:
            rate = rate_of(valuation, view.perspective, giver, category, asset)
            if rate is None or category in POINTS:
                continue
            if giver == view.perspective:
                gave += units * rate.rate
            else:
                got += units * rate.rate
    return _Weighed(got, gave)


def _pending_by_legs(legs: Iterable[ViewedLeg], view: BalanceView) -> _Weighed:
    pending = [leg for leg in legs if leg.reason == PENDING and leg.category not in POINTS]
    got = sum(leg.value for leg in pending if leg.got(view.perspective))
    return _Weighed(got, sum(leg.value for leg in pending) - got)


def _put_together(parts: _Parts, book: Book, closing: Valuation | None, view: BalanceView) -> Balance:
    got, gave = parts.selected.got, parts.selected.gave
    g, u = got.weighted, gave.weighted
    k = FULL * (0 if closing is None else closing.kappa_nanos)
    status: BalanceStatus.ValueType = NO_POLICY
    gains: CustomerGains.ValueType = CUSTOMER_GAINS_UNSPECIFIED
    index, raw, band, label = None, None, None, ""
    if closing is not None:
        status = NO_VALUED_EXCHANGES
        if g + u:
            status = OK
            index, raw, band = Ratio(g - u, g + u + 2 * k), Ratio(g - u, g + u), _band(got, gave, k)
            label = _label(index, closing)
            gains = _customer_gains(band, view.perspective)
            _check(index, band)
    lines = parts.selected.lines()
    made = Balance(
        status=status,
        unit_of_account="" if closing is None else closing.unit_of_account,
        got=got.value,
        gave=gave.value,
        got_weighted=g,
        gave_weighted=u,
        kappa_nanos=0 if closing is None else closing.kappa_nanos,
        denominator=g + u + 2 * k,
        index=index,
        raw=raw,
        band=band,
        label=label,
        customer_gains=gains,
        trend=_trend(parts, k),
        promised=parts.promised.nanos,
        unvalued_lots=parts.promised.unvalued_lots,
        pending_got=parts.pending.got,
        pending_gave=parts.pending.gave,
        coverage=parts.selected.coverage(_observed(book, view.at)),
        quantities=parts.quantities,
        last_got=got.last,
        last_gave=gave.last,
        lines=lines,
    )
    _refuse_overflow(made)
    return made


def _band(got: Side, gave: Side, k: int) -> Band:
    return Band(_end(got.low, gave.high, k), _end(got.high, gave.low, k))


def _end(g: int, u: int, k: int) -> Ratio:
    return Ratio(g - u, (g + u + 2 * k) or 1)


def _check(index: Ratio, band: Band) -> None:
    ends = (band.low.denominator, index.denominator, band.high.denominator)
    assert -ends[0] <= band.low.numerator, "an index is at least -1"  # B5
    assert band.low.numerator * ends[1] <= index.numerator * ends[0], "the band contains the index"
    assert index.numerator * ends[2] <= band.high.numerator * ends[1], "the band contains the index"
    assert band.high.numerator <= ends[2], "an index is at most 1"


def _label(index: Ratio, closing: Valuation) -> str:
    """Return the name of the index's distance from 0, by exact ratios (reciprocity.md 6.2); the last takes the rest."""
    distance = abs(index.numerator) * FULL
    for name, up_to_ppm in closing.labels:
        if distance <= up_to_ppm * index.denominator:
            return name
    return closing.labels[-1].name if closing.labels else ""


def _customer_gains(band: Band, perspective: int) -> CustomerGains.ValueType:
    if perspective != PARTY_CUSTOMER:
        return CUSTOMER_GAINS_UNSPECIFIED
    if band.low.numerator >= 0:
        return CUSTOMER_GAINS_YES
    if band.high.numerator < 0:
        return CUSTOMER_GAINS_NO
    return CUSTOMER_GAINS_UNCERTAIN


def _trend(parts: _Parts, k: int) -> Ratio | None:
    (g, u), (recent_g, recent_u) = parts.lifetime, parts.recent
    if not g + u or not recent_g + recent_u:
        return None
    return Ratio(recent_g - recent_u, recent_g + recent_u + 2 * k).less(Ratio(g - u, g + u + 2 * k))


def _observed(book: Book, at: int) -> tuple[tuple[int, int], ...]:
    """Return (category, since when) of what was declared by a time, the earliest for each category."""
    since: dict[int, int] = {}
    for declared, category, time in book.observations:
        if declared <= at:
            since[category] = min(time, since.get(category, time))
    return tuple(sorted(since.items()))


def _refuse_overflow(made: Balance) -> None:
    """Refuse what cannot be told in 64 bits; sums of weights are told as decimals and may be wider."""
    coverage = made.coverage
    assert made.got >= 0 <= made.gave, "values are never negative"  # B9
    largest = max(made.got, made.gave, made.promised, made.pending_got, made.pending_gave)
    for line in made.lines:
        largest = max(largest, line.units, line.high, line.unvalued_units)
    for shares in (coverage.by_method, coverage.unvalued, coverage.one_sided):
        for share in shares:
            largest = max(largest, share.value, share.units)
    for quantity in made.quantities:
        largest = max(largest, quantity.posted, quantity.pended)
    if largest > INT64_MAX:
        raise Rejected(
            reasons.ERROR_REASON_VALUE_OUT_OF_RANGE,
            "a sum of this view would leave 64 bits; ask for a shorter window",
            asset=made.unit_of_account,
        )
