"""The worked examples of reciprocity.md 11, number by number: the book, the view, the policy, the answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ledger.balance.lots import lots_in_view
from ledger.balance.numbers import OK, Balance, Ratio, balance, balance_by_scan
from ledger.balance.view import DAY, BalanceView
from ledger.balance.viewed import EXPIRED, PENDING, REVERSED, SELECTED, ViewedLeg, legs_in_view
from ledger.domain.times import from_datetime
from ledger.policy.valuation import Opinion, Valuations
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import valuation_pb2 as v
from rapport.relationship.v1 import balance_pb2 as b
from tests.balance_facts import CUSTOMER, ORGANIZATION, Facts, grant, leg, opinion, policy, rule, use, valuations

EUR = 10**9
"""Nanos of the unit of account."""


def day(month: int, number: int) -> int:
    return from_datetime(datetime(2026, month, number, tzinfo=UTC))


def told(facts: Facts, opinion: Opinion, view: BalanceView, position: int | None = None) -> Balance:
    """Return the balance, which the scan says too."""
    book = facts.book(position)
    made = balance(book, opinion, view)
    assert balance_by_scan(book, opinion, view) == made
    return made


ATTENTION = rule(CUSTOMER, CUSTOMER, x.CATEGORY_ATTENTION, "MIN/0", 12 * 10**7, 6 * 10**7, 24 * 10**7, 4)
FULL = (
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2", 10**7),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_GOODS, "EUR/2", 10**7, 8 * 10**6, 10**7, v.VALUATION_METHOD_LIST_PRICE),
    ATTENTION,
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_DATA_DISCLOSED, "DATAPT/0", 5 * 10**8, 10**8, 2 * 10**9, 4),
    rule(CUSTOMER, ORGANIZATION, "SERVICE", "MIN/0", 9 * 10**8, 6 * 10**8, 12 * 10**8, 3),
    rule(CUSTOMER, CUSTOMER, "", "REVIEW/0", 4 * 10**9, 10**9, 5 * 10**9, v.VALUATION_METHOD_IMPUTED),
)


def full_example() -> Facts:
    facts = Facts()
    paid = leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 4_750, "EUR/2")
    facts.record("x1", paid, leg(ORGANIZATION, x.CATEGORY_GOODS, 5_000, "EUR/2"), at=day(3, 1))
    facts.record("x2", leg(CUSTOMER, x.CATEGORY_ATTENTION, 25, "MIN/0"), at=day(3, 2), one_sided=x.ONE_SIDED_GIFT)
    data = leg(CUSTOMER, x.CATEGORY_DATA_DISCLOSED, 6, "DATAPT/0")
    facts.record("x3", data, leg(ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, 12, "MIN/0"), at=day(3, 3))
    facts.record("x4", leg(CUSTOMER, x.CATEGORY_ADVOCACY, 1, "REVIEW/0"), at=day(3, 4), one_sided=x.ONE_SIDED_LATER)
    return facts


def test_the_full_example() -> None:
    made = told(full_example(), opinion(policy(1, *FULL), at=day(3, 31)), BalanceView(day(3, 31), CUSTOMER))

    assert (60_800_000_000, 57_500_000_000, 3_300_000_000) == (made.got, made.gave, made.net)
    assert 138_300_000_000 * 10**6 == made.denominator
    assert (23_861, 27_895, 855_387) == (made.index_ppm, made.raw_ppm, made.confidence_ppm)
    assert is_ratio(made.index, 11, 461)
    assert is_ratio(made.raw, 33, 1183)
    assert is_ratio(made.confidence, 1183, 1383)
    assert made.band is not None
    assert is_ratio(made.band.low, -233, 1377)
    assert is_ratio(made.band.high, 23, 225)
    assert (-169_208, 102_222, False) == (made.band.low.ppm, made.band.high.ppm, made.band.sign_certain)
    assert (OK, b.CUSTOMER_GAINS_UNCERTAIN, "BALANCED") == (made.status, made.customer_gains, made.label)
    assert (day(3, 3), day(3, 4)) == (made.last_got, made.last_gave)


def test_the_full_example_by_method_and_by_line() -> None:
    made = told(full_example(), opinion(policy(1, *FULL), at=day(3, 31)), BalanceView(day(3, 31), CUSTOMER))

    assert [
        ("FACE", 47_500_000_000, 1, 401_522),
        ("LIST_PRICE", 50_000_000_000, 1, 422_654),
        ("MARGINAL_COST", 10_800_000_000, 1, 91_293),
        ("SURVEY_WTA", 6_000_000_000, 2, 50_719),
        ("IMPUTED", 4_000_000_000, 1, 33_812),
    ] == [share[:4] for share in made.coverage.by_method]
    assert [("GIFT", 3_000_000_000, 1, 25_359), ("LATER", 4_000_000_000, 1, 33_812)] == [
        share[:4] for share in made.coverage.one_sided
    ]
    assert (6, 0, 1_000_000) == (made.coverage.valued_legs, made.coverage.unvalued_legs, made.coverage.ppm)
    assert [47_500_000_000, 3_000_000_000, 3_000_000_000, 4_000_000_000, 50_000_000_000, 10_800_000_000] == [
        line.value for line in made.lines
    ]
    assert [line[3:5] for line in made.lines] == [(n, 1) for n in (4_750, 25, 6, 1, 5_000, 12)]


def test_without_kappa_the_index_is_the_raw_one() -> None:
    made = told(full_example(), opinion(policy(1, *FULL, kappa=0), at=day(3, 31)), BalanceView(day(3, 31), CUSTOMER))

    assert (27_895, 27_895, 1_000_000) == (made.index_ppm, made.raw_ppm, made.confidence_ppm)


def attention_at(rate: int) -> v.ValuationRule:
    return rule(CUSTOMER, CUSTOMER, x.CATEGORY_ATTENTION, "MIN/0", rate)


@pytest.mark.parametrize(
    "version, at, gave", [(0, day(3, 31), 900), (2, day(3, 31), 1_200), (1, day(3, 31), 600), (0, day(3, 1), 300)]
)
def test_dated_rates(version: int, at: int, gave: int) -> None:
    facts = Facts()
    for place, when in enumerate((day(2, 10), day(3, 10))):
        minutes = leg(CUSTOMER, x.CATEGORY_ATTENTION, 30, "MIN/0")
        facts.record(f"x{place}", minutes, at=when, one_sided=x.ONE_SIDED_GIFT)
    policies = (
        policy(1, attention_at(10**8), effective_from=day(1, 1)),
        policy(2, attention_at(2 * 10**8), effective_from=day(3, 1)),
    )

    made = told(facts, opinion(*policies, at=at, version=version), BalanceView(at, CUSTOMER))

    assert gave * EUR == made.gave * 100


def two_axes() -> tuple[Facts, Valuations]:
    facts = Facts()
    forty, fifty = (
        leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 4_000, "EUR/2"),
        leg(ORGANIZATION, x.CATEGORY_GOODS, 5_000, "EUR/2"),
    )
    gift = {"one_sided": x.ONE_SIDED_GIFT}
    facts.record("x1", forty, fifty, at=day(3, 1), position=10)
    facts.record("x2", leg(CUSTOMER, x.CATEGORY_ATTENTION, 30, "MIN/0"), at=day(3, 10), position=12, **gift)
    facts.record("x3", leg(ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, 10, "MIN/0"), at=day(3, 5), position=15, **gift)
    facts.reverse("x2", position=18)
    twenty = leg(CUSTOMER, x.CATEGORY_ATTENTION, 20, "MIN/0")
    facts.record("x5", twenty, at=day(3, 10), replaces="x2", position=19, **gift)
    facts.reverse("x1", at=day(3, 28), position=21)
    money = FULL[:2]
    support = rule(CUSTOMER, ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, "MIN/0", 9 * 10**8)
    known = valuations(
        policy(1, *money, support, attention_at(10**8), effective_from=day(1, 1)),
        policy(2, *money, support, attention_at(2 * 10**8), effective_from=day(3, 8)),
        positions=(5, 20),
    )
    return facts, known


def known_at(known: Valuations, position: int, at: int) -> Opinion:
    history = known.history("standard")
    assert history is not None
    messages = [version.message for version in history.versions if version.position <= position]
    return opinion(*messages, at=at)


@pytest.mark.parametrize(
    "position, month_day, got, gave, ppm",
    [
        (position, when, *cell)
        for position, row in {
            14: ((50, 40, 90_909), (50, 43, 61_947), (50, 43, 61_947)),
            17: ((50, 40, 90_909), (59, 43, 131_148), (59, 43, 131_148)),
            19: ((50, 40, 90_909), (59, 42, 140_496), (59, 42, 140_496)),
            20: ((50, 40, 90_909), (59, 44, 121_951), (59, 44, 121_951)),
            21: ((50, 40, 90_909), (59, 44, 121_951), (9, 4, 151_515)),
        }.items()
        for when, cell in zip((4, 12, 30), row, strict=True)
    ],
)
def test_two_time_axes(position: int, month_day: int, got: int, gave: int, ppm: int) -> None:
    facts, known = two_axes()
    at = day(3, month_day)

    made = told(facts, known_at(known, position, at), BalanceView(at, CUSTOMER), position)

    assert (got * EUR, gave * EUR, ppm) == (made.got, made.gave, made.index_ppm)


def test_the_trend_of_the_two_axes_is_an_exact_difference() -> None:
    facts, known = two_axes()
    short = policy(3, *FULL[:2], trend_days=5, effective_from=day(3, 8))
    at = day(3, 12)

    made = told(facts, opinion(short, at=at, version=3), BalanceView(at, CUSTOMER), 17)
    recent = told(facts, opinion(policy(3, *FULL, trend_days=8), at=at, version=3), BalanceView(at, CUSTOMER), 17)

    assert made.trend is None  # Nothing of value in five days.
    lifetime, last = Ratio(9 * EUR + 50 * EUR - 40 * EUR - 36 * EUR // 10, 1), Ratio(9 * EUR - 36 * EUR // 10, 1)
    whole = Ratio(lifetime.numerator, (59 + 40 + 20) * EUR + 36 * EUR // 10)
    part = Ratio(last.numerator, (9 + 20) * EUR + 36 * EUR // 10)
    assert part.less(whole).ppm == recent.trend_ppm
    assert known.default_policy_id == "standard"


LOTS = policy(
    1, rule(CUSTOMER, ORGANIZATION, x.CATEGORY_POINTS_GRANT, "PT/0", 10**7, redemption_ppm=800_000), effective_from=0
)


def lots() -> Facts:
    facts = Facts()
    gift = {"one_sided": x.ONE_SIDED_GIFT}
    facts.record("L1", grant(300, expires_at=day(4, 1)), at=day(1, 10), position=30, **gift)
    facts.record("L2", grant(500, expires_at=day(7, 1)), at=day(2, 1), position=31, **gift)
    cd = leg(ORGANIZATION, x.CATEGORY_GOODS, 1, "CD/0")
    redeem = leg(CUSTOMER, x.CATEGORY_POINTS_REDEEM, 250, "PT/0")
    facts.record("r1", redeem, cd, at=day(3, 15), position=32, lot_uses=[use("L1/1", 250)])
    redeem = leg(CUSTOMER, x.CATEGORY_POINTS_REDEEM, 120, "PT/0")
    facts.record("r2", redeem, cd, at=day(3, 20), position=33, lot_uses=[use("L1/1", 50), use("L2/1", 70)])
    facts.reverse("r1", at=day(4, 10), position=34)
    return facts


@pytest.mark.parametrize(
    "at, position, first, second, promised",
    [
        (day(3, 16), 32, (50, 0), (500, 0), 440),
        (day(4, 2), 32, (0, 50), (500, 0), 400),
        (day(4, 2), 33, (0, 0), (430, 0), 344),
        (day(4, 11), 34, (0, 250), (430, 0), 344),
        (day(3, 16), 34, (50, 0), (500, 0), 440),
        (day(7, 1), 34, (0, 250), (0, 430), 0),
    ],
)
def test_lots(at: int, position: int, first: tuple[int, int], second: tuple[int, int], promised: int) -> None:
    view, rates = BalanceView(at, CUSTOMER), opinion(LOTS, at=at)

    found = lots_in_view(lots().book(position), rates, view)
    made = told(lots(), rates, view, position)

    assert [("L1/1", *first), ("L2/1", *second)] == [(lot.lot_id, lot.outstanding, lot.lapsed) for lot in found]
    assert promised * EUR // 100 == made.promised == sum(lot.promised for lot in found)
    assert (0, 0) == (made.got, made.gave)  # The disc has no rate, and points never count.


HOUR = DAY // 24


def holds() -> Facts:
    facts = Facts()
    legs = (
        leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 10_000, "EUR/2"),
        leg(ORGANIZATION, x.CATEGORY_GOODS, 10_000, "EUR/2"),
    )
    facts.record("h1", *legs, at=day(5, 1), pending_until=day(5, 8), position=39)
    facts.record("h2", *legs, at=day(5, 1), pending_until=day(5, 8), position=40)
    facts.post("h1", [6_000, 6_000], at=day(5, 5), position=41)
    facts.observe(x.CATEGORY_GOODS, day(5, 1), at=day(5, 6), position=42)
    facts.post("h2", [10_000, 10_000], at=day(5, 7), position=43)
    return facts


def legs_of(exchange_id: str, at: int, position: int) -> list[ViewedLeg]:
    legs = legs_in_view(holds().book(position), opinion(policy(1, *FULL), at=at), BalanceView(at, CUSTOMER))
    return [each for each in legs if each.exchange_id == exchange_id]


@pytest.mark.parametrize(
    "at, position, reason",
    [
        (day(5, 6), 42, PENDING),
        (day(5, 6), 43, PENDING),
        (day(5, 8), 42, EXPIRED),
        (day(5, 8), 43, SELECTED),
        (day(5, 7), 43, SELECTED),
        (day(5, 8) - 1, 42, PENDING),
        (day(5, 7) - 1, 43, PENDING),
    ],
)
def test_a_hold_is_pending_expired_or_posted(at: int, position: int, reason: int) -> None:
    assert [reason, reason] == [each.reason for each in legs_of("h2", at, position)]


def test_a_partly_posted_hold_is_one_entry_of_its_posting() -> None:
    (paid, goods), expected = legs_of("h1", day(5, 6), 43), (6_000, day(5, 5), 41)

    assert expected == (paid.units, paid.effective_time, paid.position)
    assert expected == (goods.units, goods.effective_time, goods.position)


def test_quantities_and_pending_of_holds() -> None:
    def at(when: int, position: int) -> tuple[list[tuple[int, ...]], int, int, int]:
        made = told(holds(), opinion(policy(1, *FULL), at=when), BalanceView(when, CUSTOMER), position)
        return [each[3:] for each in made.quantities], made.pending_got, made.pending_gave, made.got

    assert ([(0, 0, 20_000, 0, 0, 0)] * 2, 200 * EUR, 200 * EUR, 0) == at(day(5, 4), 43)
    assert ([(6_000, 0, 20_000, 6_000, 4_000, 0)] * 2, 100 * EUR, 100 * EUR, 60 * EUR) == at(day(5, 6), 43)
    assert ([(6_000, 0, 20_000, 6_000, 4_000, 10_000)] * 2, 0, 0, 60 * EUR) == at(day(5, 8), 42)
    assert ([(16_000, 0, 20_000, 16_000, 4_000, 0)] * 2, 0, 0, 160 * EUR) == at(day(5, 8), 43)


def test_two_perspectives() -> None:
    facts = Facts()
    minutes = leg(CUSTOMER, x.CATEGORY_WAITING, 10, "MIN/0")
    facts.record("x1", leg(ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, 20, "MIN/0"), minutes, at=day(3, 1))
    rates = policy(
        1,
        rule(CUSTOMER, ORGANIZATION, "SERVICE", "MIN/0", EUR),
        rule(CUSTOMER, CUSTOMER, x.CATEGORY_WAITING, "MIN/0", 3 * EUR // 10),
        rule(ORGANIZATION, ORGANIZATION, "SERVICE", "MIN/0", 4 * EUR // 10),
        rule(ORGANIZATION, CUSTOMER, x.CATEGORY_WAITING, "MIN/0", 0),
    )
    known = opinion(rates, at=day(3, 2))

    theirs = told(facts, known, BalanceView(day(3, 2), CUSTOMER))
    ours = told(facts, known, BalanceView(day(3, 2), ORGANIZATION))

    assert (17 * EUR, 395_349, 534_884) == (theirs.net, theirs.index_ppm, theirs.confidence_ppm)
    assert (-8 * EUR, -285_714) == (ours.net, ours.index_ppm)
    assert b.CUSTOMER_GAINS_YES == theirs.customer_gains
    assert b.CUSTOMER_GAINS_UNSPECIFIED == ours.customer_gains
    assert (2, 0) == (ours.coverage.valued_legs, ours.coverage.unvalued_legs)  # A rate of 0 is a statement.


@pytest.mark.parametrize("units, promised", [(1, 0), (3, 2), (5, 2)])
def test_a_promise_is_rounded_half_to_even_for_each_lot(units: int, promised: int) -> None:
    facts = Facts()
    facts.record("L1", grant(units), grant(units), at=day(1, 1), one_sided=x.ONE_SIDED_GIFT)
    rates = policy(1, rule(CUSTOMER, ORGANIZATION, "POINTS", "PT/0", 1, redemption_ppm=500_000))

    made = told(facts, opinion(rates, at=day(1, 2)), BalanceView(day(1, 2), CUSTOMER))

    assert 2 * promised == made.promised


@pytest.mark.parametrize("age, weight", [(0, 1_000_000), (1, 992_327), (90, 500_000), (730, 3_616), (1_793, 1)])
def test_half_life(age: int, weight: int) -> None:
    facts = Facts()
    old, recent = day(1, 5) + 23 * HOUR, day(1, 5) + age * DAY
    facts.record("x1", leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 100, "EUR/2"), at=old, one_sided=x.ONE_SIDED_GIFT)
    view = BalanceView(max(old, recent), CUSTOMER, half_life_days=90)

    made = told(facts, opinion(policy(1, *FULL), at=view.at), view)

    assert (EUR, EUR * weight) == (made.gave, made.gave_weighted)


def test_reversed_legs_say_so() -> None:
    facts, known = two_axes()

    legs = legs_in_view(facts.book(), known_at(known, 21, day(3, 30)), BalanceView(day(3, 30), CUSTOMER))

    assert {"x1": REVERSED, "x2": REVERSED, "x3": SELECTED, "x5": SELECTED} == {
        each.exchange_id: each.reason for each in legs
    }
    assert {(21, day(3, 28))} == {
        (each.reversal_position, each.reversal_time) for each in legs if each.exchange_id == "x1"
    }


def is_ratio(ratio: Ratio | None, numerator: int, denominator: int) -> bool:
    return ratio is not None and ratio.numerator * denominator == numerator * ratio.denominator
