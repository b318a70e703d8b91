"""The full example of the design of reciprocity (section 11.1) as the messages a service would answer with."""

from __future__ import annotations

from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from rapport.events.v1 import exchange_pb2 as exchange
from rapport.events.v1 import valuation_pb2 as valuation
from rapport.relationship.v1 import balance_pb2 as balances
from rapport.relationship.v1 import relationship_service_pb2 as messages
from rapport.type.v1.amount_pb2 import Amount

TOKEN: Final = b"\x01the view of the example\xff"
DAY_S: Final = 86_400
FIRST_S: Final = 1_772_323_200
"""2026-03-01, 00:00 UTC."""
DENOMINATOR: Final = 138_300_000_000 * 10**6


class Leg(NamedTuple):
    """One row of the example's table."""

    category: exchange.Category.ValueType
    giver: exchange.Party.ValueType
    units: int
    asset: str
    rate_nanos: int
    method: valuation.ValuationMethod.ValueType
    contribution_ppm: int
    without_ppm: int

    @property
    def value_nanos(self) -> int:
        return self.units * self.rate_nanos

    @property
    def sign(self) -> int:
        return -1 if self.giver == exchange.PARTY_CUSTOMER else 1


C, O = exchange.PARTY_CUSTOMER, exchange.PARTY_ORGANIZATION  # noqa: E741  # As in the table.
METHODS = valuation.ValuationMethod
LEGS: Final = (
    Leg(exchange.CATEGORY_MONEY_PAYMENT, C, 4_750, "EUR/2", 10**7, METHODS.VALUATION_METHOD_FACE, -343_456, 559_471),
    Leg(exchange.CATEGORY_GOODS, O, 5_000, "EUR/2", 10**7, METHODS.VALUATION_METHOD_LIST_PRICE, 361_533, -528_879),
    Leg(exchange.CATEGORY_ATTENTION, C, 25, "MIN/0", 12 * 10**7, METHODS.VALUATION_METHOD_SURVEY_WTA, -21_692, 46_563),
    Leg(
        exchange.CATEGORY_DATA_DISCLOSED,
        C,
        6,
        "DATAPT/0",
        5 * 10**8,
        METHODS.VALUATION_METHOD_SURVEY_WTA,
        -21_692,
        46_563,
    ),
    Leg(
        exchange.CATEGORY_SERVICE_SUPPORT,
        O,
        12,
        "MIN/0",
        9 * 10**8,
        METHODS.VALUATION_METHOD_MARGINAL_COST,
        78_091,
        -58_824,
    ),
    Leg(exchange.CATEGORY_ADVOCACY, C, 1, "REVIEW/0", 4 * 10**9, METHODS.VALUATION_METHOD_IMPUTED, -28_923, 54_356),
)


def at(day: int) -> Timestamp:
    """Return midnight of a day of the example, from 0."""
    return Timestamp(seconds=FIRST_S + day * DAY_S)


def view() -> balances.View:
    resolved = balances.ViewSpec(perspective=C)
    resolved.as_of.occur_time.CopyFrom(at(29))
    resolved.as_of.position = 21
    policy = balances.PolicyVersion(policy_id="retail", version=1, digest=b"\x07" * 32)
    return balances.View(resolved=resolved, position=21, policies=[policy], model_version=1, token=TOKEN)


def ratio(numerator: int, denominator: int = DENOMINATOR) -> balances.Ratio:
    return balances.Ratio(numerator=str(numerator), denominator=str(denominator))


def balance() -> balances.Balance:
    """The header."""
    answer = balances.Balance(
        view=view(),
        status=balances.BALANCE_STATUS_OK,
        unit_of_account="EUR",
        got_nanos=60_800_000_000,
        gave_nanos=57_500_000_000,
        net_nanos=3_300_000_000,
        index=ratio(3_300_000_000 * 10**6),
        index_ppm=23_861,
        raw_ppm=27_895,
        confidence_ppm=855_387,
        band=balances.Band(
            low=ratio(-233, 1377), high=ratio(23, 225), low_ppm=-169_208, high_ppm=102_222, sign_certain=False
        ),
        label="BALANCED",
        customer_gains=balances.CUSTOMER_GAINS_UNCERTAIN,
        kappa_nanos=10 * 10**9,
        trend_ppm=0,
        promised_nanos=4_400_000_000,
        pending_got_nanos=1_000_000_000,
        pending_gave_nanos=2_500_000_000,
        last_got_time=at(4),
        last_gave_time=at(5),
    )
    answer.coverage.CopyFrom(coverage())
    for each in sorted(LEGS, key=lambda leg: (leg.giver, leg.category)):
        answer.lines.add(
            giver=each.giver,
            category=each.category,
            asset=each.asset,
            units=each.units,
            legs=1,
            value_nanos=each.value_nanos,
            low_nanos=each.value_nanos,
            high_nanos=each.value_nanos,
        )
    answer.lines.add(giver=C, category=exchange.CATEGORY_WAITING, asset="MIN/0", unvalued_units=15, unvalued_legs=2)
    return answer


def coverage() -> balances.Coverage:
    answer = balances.Coverage(valued_legs=6, unvalued_legs=2, coverage_ppm=750_000)
    answer.by_method.add(key="FACE", value_nanos=47_500_000_000, legs=1, share_ppm=401_522)
    answer.unvalued.add(key="WAITING MIN/0", legs=2, units=15)
    answer.one_sided.add(key="UNOBSERVED", value_nanos=10_800_000_000, legs=3, share_ppm=91_293)
    answer.observed.add(category=exchange.CATEGORY_ATTENTION, since=at(0))
    return answer


def entry(ordinal: int) -> balances.Entry:
    """The leg of that row, from 1; leg `n` is of exchange `x<n>` and took effect on day n - 1."""
    leg = LEGS[ordinal - 1]
    return balances.Entry(
        ordinal=ordinal,
        exchange_id=f"x{ordinal}",
        leg_no=1,
        effective_time=at(ordinal - 1),
        record_time=at(10),
        position=9 + ordinal,
        category=leg.category,
        giver=leg.giver,
        amount=Amount(units=leg.units, asset=leg.asset),
        rule_id=f"rule-{ordinal}",
        policy=balances.PolicyVersion(policy_id="retail", version=1),
        rate_nanos=leg.rate_nanos,
        method=leg.method,
        weight_ppm=1_000_000,
        value_nanos=leg.value_nanos,
        contribution_numerator=str(leg.sign * leg.value_nanos * 10**6),
        contribution_ppm=leg.contribution_ppm,
    )


def exclusion(exchange_id: str, reason: balances.ExclusionReason.ValueType) -> balances.Exclusion:
    leg = balances.Entry(exchange_id=exchange_id, leg_no=1, effective_time=at(7), position=16, giver=C)
    leg.category, leg.amount.units, leg.amount.asset = exchange.CATEGORY_WAITING, 15, "MIN/0"
    return balances.Exclusion(entry=leg, reason=reason)


def lot() -> balances.Lot:
    return balances.Lot(
        lot_id="g1/1", asset="POINT/0", granted=300, used=250, outstanding=50, promised_nanos=4_400_000_000
    )


def driver(ordinal: int) -> balances.Driver:
    return balances.Driver(ordinal=ordinal, index_without=ratio(1, 2), index_without_ppm=LEGS[ordinal - 1].without_ppm)


def trailer() -> balances.Trailer:
    return balances.Trailer(
        entries=6,
        got_nanos=60_800_000_000,
        gave_nanos=57_500_000_000,
        index=ratio(3_300_000_000 * 10**6),
        digest=b"\x09" * 32,
    )


Part = messages.ExplainBalanceResponse


def explanation() -> list[Part]:
    """All parts, in order."""
    return [
        Part(balance=balance()),
        *(Part(entry=entry(ordinal)) for ordinal in range(1, 7)),
        Part(exclusion=exclusion("x7", balances.EXCLUSION_REASON_UNVALUED)),
        Part(exclusion=exclusion("x8", balances.EXCLUSION_REASON_PENDING)),
        Part(lot=lot()),
        Part(driver=driver(1)),
        Part(trailer=trailer()),
    ]
