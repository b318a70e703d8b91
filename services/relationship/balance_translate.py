"""Balances, explanations, differences and statements to messages, filled in place: what is made apart is copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.balance import coverage as parts
from ledger.balance import statement as statements
from ledger.balance.differing import Step
from ledger.balance.explaining import Driver, Entry, Explanation, both_of
from ledger.balance.lots import LotInView
from ledger.balance.numbers import MODEL_VERSION, Balance, Ratio
from ledger.balance.quantities import Quantity
from ledger.balance.view import BalanceView
from ledger.balance.viewed import ViewedLeg
from ledger.domain.amounts import INT64_MAX
from ledger.domain.errors import Rejected
from ledger.policy.valuation import Valuation
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.relationship.v1 import balance_pb2 as shapes
from rapport.relationship.v1 import relationship_service_pb2 as messages
from rapport.relationship.v1.statement_pb2 import Statement, StatementTotal
from services.runtime.times import set_time


def tell_view(
    told: shapes.View, view: BalanceView, policy: tuple[str, int, bytes], versions: Iterable[Valuation]
) -> None:
    """Fill in a view, but for its `as_of` and token. `policy`: its id, and version and digest or 0."""
    spec = told.resolved
    spec.perspective = view.perspective  # type: ignore[assignment]  # A number of the enum, kept as an int.
    if view.window_from is not None:
        _set_time(getattr(spec.window, "from"), view.window_from)
    if view.window_to is not None:
        _set_time(spec.window.to, view.window_to)
    spec.half_life_days = view.half_life_days
    valuation = spec.valuation
    valuation.policy_id, valuation.version, valuation.digest = policy
    told.model_version = MODEL_VERSION
    for each in versions:
        told.policies.add(policy_id=each.policy_id, version=each.version, digest=each.digest)


def tell_as_of(told: shapes.View, at: int, position: int) -> None:
    """Fill in what a view knows, up to a position, of what had occurred by a time in microseconds."""
    as_of = told.resolved.as_of
    _set_time(as_of.occur_time, at)
    as_of.position = position
    told.position = position


def tell_balance(told: shapes.Balance, balance: Balance) -> None:
    """Fill in a balance, but for its view."""
    told.status = balance.status
    told.unit_of_account = balance.unit_of_account
    told.got_nanos = balance.got
    told.gave_nanos = balance.gave
    told.net_nanos = balance.net
    told.confidence_ppm = balance.confidence_ppm
    told.label = balance.label
    told.customer_gains = balance.customer_gains
    told.kappa_nanos = balance.kappa_nanos
    told.promised_nanos = balance.promised
    told.pending_got_nanos = balance.pending_got
    told.pending_gave_nanos = balance.pending_gave
    told.unvalued_lots = balance.unvalued_lots
    _tell_index(told, balance)
    _tell_coverage(told.coverage, balance.coverage)
    _tell_quantities(told, balance.quantities)
    for giver, category, asset, *line in balance.lines:
        units, legs, value, low, high, unvalued_units, unvalued_legs = line
        told.lines.add(
            giver=giver,
            category=category,
            asset=asset,
            units=units,
            legs=legs,
            value_nanos=value,
            low_nanos=low,
            high_nanos=high,
            unvalued_units=unvalued_units,
            unvalued_legs=unvalued_legs,
        )
    if balance.last_got is not None:
        _set_time(told.last_got_time, balance.last_got)
    if balance.last_gave is not None:
        _set_time(told.last_gave_time, balance.last_gave)


def _tell_index(told: shapes.Balance, balance: Balance) -> None:
    index, band, raw_ppm, trend_ppm = balance.index, balance.band, balance.raw_ppm, balance.trend_ppm
    if trend_ppm is not None:
        told.trend_ppm = trend_ppm
    if index is None or band is None or raw_ppm is None:
        return
    tell_ratio(told.index, index)
    told.index_ppm = index.ppm
    told.raw_ppm = raw_ppm
    tell_ratio(told.band.low, band.low)
    tell_ratio(told.band.high, band.high)
    told.band.low_ppm = band.low.ppm
    told.band.high_ppm = band.high.ppm
    told.band.sign_certain = band.sign_certain


def _tell_coverage(told: shapes.Coverage, coverage: parts.Coverage) -> None:
    told.SetInParent()  # Also where there is nothing.
    told.valued_legs = coverage.valued_legs
    told.unvalued_legs = coverage.unvalued_legs
    ppm = coverage.ppm
    if ppm is not None:
        told.coverage_ppm = ppm
    for shares, add in (
        (coverage.by_method, told.by_method.add),
        (coverage.unvalued, told.unvalued.add),
        (coverage.one_sided, told.one_sided.add),
    ):
        for key, value, legs, share_ppm, units in shares:
            add(key=key, value_nanos=value, legs=legs, share_ppm=share_ppm, units=units)
    for category, since in coverage.observed:
        observed = told.observed.add(category=category)
        _set_time(observed.since, since)


def _tell_quantities(told: shapes.Balance, quantities: Sequence[Quantity]) -> None:
    add = told.quantities.add
    for giver, category, asset, posted, taken, pended, hold_posted, hold_voided, hold_expired in quantities:
        add(
            giver=giver,
            category=category,
            asset=asset,
            posted=posted,
            reversed=taken,
            pended=pended,
            hold_posted=hold_posted,
            hold_voided=hold_voided,
            hold_expired=hold_expired,
        )


def tell_ratio(told: shapes.Ratio, ratio: Ratio) -> None:
    """Fill in a ratio."""
    told.numerator = str(ratio.numerator)
    told.denominator = str(ratio.denominator)


def explanation(
    header: shapes.Balance,
    digest: bytes,
    explained: Explanation,
    lots: Sequence[LotInView],
    drivers: Sequence[Driver],
    start_after: int,
) -> Iterator[messages.ExplainBalanceResponse]:
    """Yield the messages of an explanation, in order."""
    yield messages.ExplainBalanceResponse(balance=header)
    for each in explained.entries(start_after):
        message = messages.ExplainBalanceResponse()
        _tell_entry(message.entry, each)
        yield message
    for leg in explained.exclusions():
        for sign, one in zip((1, -1), both_of(leg), strict=False):
            message = messages.ExplainBalanceResponse()
            message.exclusion.reason = leg.reason  # type: ignore[assignment]  # A number of the enum.
            tell_leg(message.exclusion.entry, one, sign)
            yield message
    for lot in lots:
        message = messages.ExplainBalanceResponse()
        tell_lot(message.lot, lot)
        yield message
    for driver in drivers:
        message = messages.ExplainBalanceResponse()
        _tell_driver(message.driver, driver)
        yield message
    message = messages.ExplainBalanceResponse()
    _tell_trailer(message.trailer, explained, digest)
    yield message


def _tell_entry(told: shapes.Entry, entry: Entry) -> None:
    tell_leg(told, entry.leg)
    told.ordinal = entry.ordinal
    told.contribution_numerator = str(entry.numerator)
    told.contribution_ppm = entry.ppm


def tell_leg(told: shapes.Entry, leg: ViewedLeg, sign: int = 1) -> None:
    """Fill in an entry that contributes nothing; `sign` -1: it takes the value back."""
    told.exchange_id = leg.exchange_id
    told.leg_no = leg.leg_no
    _set_time(told.effective_time, leg.effective_time)
    _set_time(told.record_time, leg.record_time)
    told.position = leg.position
    told.category = leg.category  # type: ignore[assignment]  # A number of the enum, kept as an int.
    told.giver = leg.giver  # type: ignore[assignment]  # The same.
    told.amount.units = leg.units
    told.amount.asset = leg.asset
    told.weight_ppm = leg.weight
    told.contribution_numerator = "0"
    if leg.rate is not None and leg.valuation is not None:
        told.rule_id = leg.rate.rule_id
        told.policy.policy_id = leg.valuation.policy_id
        told.policy.version = leg.valuation.version
        told.rate_nanos = leg.rate.rate
        told.method = leg.rate.method  # type: ignore[assignment]  # The same.
        told.value_nanos = sign * leg.value


def tell_lot(told: shapes.Lot, lot: LotInView) -> None:
    """Fill in a lot."""
    told.lot_id = lot.lot_id
    told.asset = lot.asset
    told.granted = lot.granted
    told.used = lot.used
    told.outstanding = lot.outstanding
    told.lapsed = lot.lapsed
    told.unrecovered = lot.unrecovered
    _set_time(told.activates_at, lot.activates_at)
    if lot.expires_at is not None:
        _set_time(told.expires_at, lot.expires_at)
    told.promised_nanos = lot.promised
    told.is_unvalued = lot.is_unvalued


def _tell_driver(told: shapes.Driver, driver: Driver) -> None:
    told.ordinal = driver.ordinal
    if driver.without is not None:
        tell_ratio(told.index_without, driver.without)
        told.index_without_ppm = driver.without.ppm


def _tell_trailer(told: shapes.Trailer, explained: Explanation, digest: bytes) -> None:
    balance = explained.balance
    told.entries = len(explained)
    told.got_nanos = balance.got
    told.gave_nanos = balance.gave
    if balance.index is not None:
        tell_ratio(told.index, balance.index)
    told.digest = digest


def tell_step(told: shapes.DiffStep, step: Step, perspective: int, entries_max: int) -> None:
    """Fill in a step of a difference with at most so many of its legs.

    Raises:
        Rejected: VALUE_OUT_OF_RANGE.
    """
    if max(map(abs, (step.net, step.promised, step.pending))) > INT64_MAX:
        raise Rejected(reasons.ERROR_REASON_VALUE_OUT_OF_RANGE, "a step between the views would leave 64 bits")
    told.cause = step.cause  # type: ignore[assignment]  # A number of the enum, kept as an int.
    told.net_nanos = step.net
    tell_ratio(told.index, step.index)
    told.promised_nanos = step.promised
    told.pending_nanos = step.pending
    told.entries_count = len(step.legs)
    for leg in step.legs[:entries_max]:
        entry = told.entries.add()
        tell_leg(entry, leg)
        if not leg.reason:
            value = leg.value * leg.weight
            entry.contribution_numerator = str(value if leg.got(perspective) else -value)


def tell_statement(
    told: Statement, statement: statements.Statement, zone: tzinfo, lines: Sequence[statements.Line]
) -> None:
    """Fill in sums, and the days of some lines.

    Raises:
        Rejected: VALUE_OUT_OF_RANGE.
    """
    # The opening is no part of the balance, whose sums were found to fit.
    if max(statement.closing) > INT64_MAX:
        raise Rejected(reasons.ERROR_REASON_VALUE_OUT_OF_RANGE, "a sum of this statement would leave 64 bits")
    _tell_total(told.opening, statement.opening)
    _tell_total(told.closing, statement.closing)
    told.lines_count = len(statement.lines)
    day = None
    for line in lines:
        date = statements.day_of(line.leg.effective_time, zone).isoformat()
        if day is None or day.date != date:
            day = told.days.add(date=date)
        entry = day.lines.add()
        leg = line.leg
        _set_time(entry.effective_time, leg.effective_time)
        entry.exchange_id = leg.exchange_id
        entry.leg_no = leg.leg_no
        entry.giver = leg.giver  # type: ignore[assignment]  # A number of the enum, kept as an int.
        entry.category = leg.category  # type: ignore[assignment]  # The same.
        entry.amount.units = leg.units
        entry.amount.asset = leg.asset
        if line.value is not None:
            entry.value_nanos = line.value
        entry.running_net_nanos = line.running_net


def _tell_total(told: StatementTotal, total: statements.Total) -> None:
    told.SetInParent()  # Also where it is nothing.
    told.got_nanos = total.got
    told.gave_nanos = total.gave
    told.net_nanos = total.net


def _set_time(told: Timestamp, time: int) -> None:
    told.SetInParent()  # Also where it is the first instant of 1970.
    set_time(told, time)
