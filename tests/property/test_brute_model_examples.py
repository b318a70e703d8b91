"""The brute model against the worked examples of reciprocity.md 11, before anything is compared with it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from tests.conftest import ROOT
from tests.oracles.brute_model import balance, lots, seen_legs
from tests.oracles.exact import decay, half_even, largest_remainder
from tests.oracles.flat_facts import Fact, Leg, Policy, Rule, View
from tests.oracles.worked_examples import (
    DATED_RATES,
    FULL_EXAMPLE,
    HOLDS,
    LATEST,
    LOTS,
    SUPPORT_CALL,
    TWO_AXES,
    day,
)

EUR = 10**9


def test_it_stays_short_enough_to_be_checked_by_eye() -> None:
    assert 200 > len((ROOT / "tests/oracles/brute_model.py").read_text().splitlines())


def test_the_full_example_11_1() -> None:
    facts, policies = FULL_EXAMPLE

    found = balance(facts, policies, View(day(2, 1), LATEST))

    assert (60_800_000_000, 57_500_000_000, 3_300_000_000) == (found["got"], found["gave"], found["net"])
    assert 138_300_000_000 * 10**6 == found["denominator"]
    assert (Fraction(11, 461), 23_861) == (found["index"], found["index_ppm"])
    assert (27_895, 855_387) == (found["raw_ppm"], found["confidence_ppm"])
    assert (Fraction(-233, 1377), Fraction(23, 225)) == found["band"]
    assert (-169_208, 102_222) == found["band_ppm"]
    assert (False, "UNCERTAIN", "BALANCED") == (found["sign_certain"], found["customer_gains"], found["label"])
    assert [-343_456, 361_533, -21_692, -21_692, 78_091, -28_923] == found["contributions"]
    assert {
        "FACE": 401_522,
        "LIST_PRICE": 422_654,
        "SURVEY_WTA": 50_719,
        "MARGINAL_COST": 91_293,
        "IMPUTED": 33_812,
    } == {method: share[2] for method, share in found["by_method"].items()}


def test_the_full_example_without_each_leg() -> None:
    facts, policies = FULL_EXAMPLE

    without = [
        balance([facts[0]._replace(legs=facts[0].legs[:i] + facts[0].legs[i + 1 :])], policies, View(day(2, 1), LATEST))
        for i in range(6)
    ]

    assert [559_471, -528_879, 46_563, 46_563, -58_824, 54_356] == [each["index_ppm"] for each in without]


def test_without_an_assumption_the_index_is_raw() -> None:
    facts, (policy,) = FULL_EXAMPLE

    assert 27_895 == balance(facts, [policy._replace(kappa=0)], View(day(2, 1), LATEST))["index_ppm"]


@pytest.mark.parametrize("view, gave", [(View(day(4, 1), LATEST), 9), (View(day(4, 1), LATEST, version=2), 12),
                                        (View(day(3, 1), LATEST), 3)])  # fmt: skip
def test_dated_rates_11_2(view: View, gave: int) -> None:
    assert gave * EUR == balance(*DATED_RATES, view)["gave"]


@pytest.mark.parametrize(
    "known, at, expected",
    [
        *((known, day(3, 4), (50, 40, 90_909)) for known in (14, 17, 19, 20, 21)),
        *((14, at, (50, 43, 61_947)) for at in (day(3, 12), day(3, 30))),
        *((17, at, (59, 43, 131_148)) for at in (day(3, 12), day(3, 30))),
        *((19, at, (59, 42, 140_496)) for at in (day(3, 12), day(3, 30))),
        *((20, at, (59, 44, 121_951)) for at in (day(3, 12), day(3, 30))),
        (21, day(3, 12), (59, 44, 121_951)),
        (21, day(3, 30), (9, 4, 151_515)),
    ],
)
def test_two_time_axes_11_3(known: int, at: int, expected: tuple[int, int, int]) -> None:
    found = balance(*TWO_AXES, View(at, known))

    assert expected == (found["got"] // EUR, found["gave"] // EUR, found["index_ppm"])


@pytest.mark.parametrize(
    "at, known, first, second, promised",
    [
        (day(3, 16), 32, (50, 0), (500, 0), 440),
        (day(4, 2), 32, (0, 50), (500, 0), 400),
        (day(4, 2), 33, (0, 0), (430, 0), 344),
        (day(4, 11), 34, (0, 250), (430, 0), 344),
        (day(3, 16), 34, (50, 0), (500, 0), 440),
        (day(7, 1), 34, (0, 250), (0, 430), 0),
    ],
)
def test_lots_11_5(at: int, known: int, first: tuple[int, int], second: tuple[int, int], promised: int) -> None:
    found = balance(*LOTS, View(at, known))

    assert [first, second] == [(lot["outstanding"], lot["lapsed"]) for lot in found["lots"]]
    assert promised * EUR // 100 == found["promised"]


@pytest.mark.parametrize(
    "at, known, first, second",
    [
        (day(5, 6), 42, "", "PENDING"),
        (day(5, 6), 43, "", "PENDING"),
        (day(5, 8), 42, "", "EXPIRED"),
        (day(5, 8), 43, "", ""),
        (day(5, 7), 43, "", ""),
        (day(5, 4), 43, "PENDING", "PENDING"),
    ],
)
def test_holds_11_6(at: int, known: int, first: str, second: str) -> None:
    legs = seen_legs(*HOLDS, View(at, known))

    assert {("h1", first), ("h2", second)} == {(each.exchange_id, each.reason) for each in legs}


def test_a_partly_posted_hold_counts_in_part_and_the_rest_is_voided() -> None:
    found = balance(*HOLDS, View(day(5, 6), 43))

    assert (60 * EUR, 60 * EUR, 100 * EUR, 100 * EUR) == tuple(
        found[name] for name in ("got", "gave", "pending_got", "pending_gave")
    )
    assert (6_000, 0, 20_000, 6_000, 4_000, 0) == found["quantities"]["CUSTOMER", "MONEY_PAYMENT", "EUR/2"]


def test_two_perspectives_11_7() -> None:
    customer, organization = (
        balance(*SUPPORT_CALL, View(day(2, 1), LATEST, perspective)) for perspective in ("CUSTOMER", "ORGANIZATION")
    )

    assert (17 * EUR, 395_349, 534_884) == tuple(customer[name] for name in ("net", "index_ppm", "confidence_ppm"))
    assert (-8 * EUR, -285_714, "") == tuple(organization[name] for name in ("net", "index_ppm", "customer_gains"))


@pytest.mark.parametrize(
    "n, d, expected",
    [(1, 2, 0), (3, 2, 2), (5, 2, 2), (7, 2, 4), (-1, 2, 0), (-3, 2, -2), (-5, 2, -2), (1, 3, 0), (2, 3, 1),
     (-2, 3, -1), (10**18 + 1, 2, 5 * 10**17)],
)  # fmt: skip
def test_half_goes_to_even_11_8(n: int, d: int, expected: int) -> None:
    assert expected == half_even(n, d)


@pytest.mark.parametrize(
    "weights, total, expected",
    [
        ((1, 1, 1), 100, [34, 33, 33]),
        ((1, 1), 1, [1, 0]),
        ((3, 3, 1), 5, [2, 2, 1]),
        ((50, 30, 20), 999, [499, 300, 200]),
    ],
)
def test_what_is_left_goes_to_the_largest_remainder_11_8(
    weights: tuple[int, ...], total: int, expected: list[int]
) -> None:
    assert expected == largest_remainder([Fraction(total * weight, sum(weights)) for weight in weights], total)


@pytest.mark.parametrize("units, expected", [(1, 0), (3, 2), (5, 2)])
def test_a_promise_is_rounded_once_11_8(units: int, expected: int) -> None:
    rule = Rule("points", "CUSTOMER", "GET", "POINTS_GRANT", "PT/0", 1, 1, 1, "IMPUTED", 500_000)
    grant = Fact("RECORDED", 2, day(1, 2), "g", (Leg("ORGANIZATION", "POINTS_GRANT", units, "PT/0"),))
    policy, view = Policy(1, "p", 1, 0, (rule,)), View(day(1, 3), LATEST)

    assert [expected] == [lot["promised"] for lot in lots([grant], view, seen_legs([grant], [policy], view))]


def test_weights_at_half_life_11_9() -> None:
    ages = (0, 1, 30, 45, 89, 90, 100, 365, 730, 1_793, 1_794)

    assert [1_000_000, 992_327, 793_700, 707_106, 503_865, 500_000, 462_937, 60_138, 3_616, 1, 0] == [
        decay(age, 90) for age in ages
    ]


@pytest.mark.parametrize(
    "half_life, digest",
    [(7, "a7838be5ac7ba91e"), (30, "d753c3b45568fde8"), (90, "66129d74b7b4e9f7"), (180, "963f5470e17bb797")],
)
def test_tables_of_weights_11_9(half_life: int, digest: str) -> None:
    table = [decay(0, half_life)]
    while table[-1]:
        table.append(decay(len(table), half_life))

    assert hashlib.sha256("\n".join(map(str, table)).encode()).hexdigest().startswith(digest)


def test_days_of_the_examples_are_those_of_the_calendar() -> None:
    assert datetime(2026, 3, 28, tzinfo=UTC).timestamp() * 10**6 == day(3, 28)
