"""Explanations: every entry's part, what an index would be without it, and what does not count and why (11.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ledger.balance.explaining import Explanation, ExplanationMismatch, both_of
from ledger.balance.numbers import Balance, Ratio, balance
from ledger.balance.view import DAY, BalanceView
from ledger.balance.viewed import POINTS_LEG, REVERSED, UNVALUED, ViewedLeg, legs_in_view
from ledger.policy.valuation import Opinion
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.valuation_pb2 import ValuationPolicy
from tests.balance_facts import CUSTOMER, ORGANIZATION, Facts, grant, leg, opinion, policy, rule

NOON = DAY // 2
LATER = 40 * DAY
LEGS = (
    leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 4_750, "EUR/2"),
    leg(ORGANIZATION, x.CATEGORY_GOODS, 5_000, "EUR/2"),
    leg(CUSTOMER, x.CATEGORY_ATTENTION, 25, "MIN/0"),
    leg(CUSTOMER, x.CATEGORY_DATA_DISCLOSED, 6, "DATAPT/0"),
    leg(ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, 12, "MIN/0"),
    leg(CUSTOMER, x.CATEGORY_ADVOCACY, 1, "REVIEW/0"),
)
RATES = (
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2", 10**7),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_GOODS, "EUR/2", 10**7, 8 * 10**6),
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_ATTENTION, "MIN/0", 12 * 10**7),
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_DATA_DISCLOSED, "DATAPT/0", 5 * 10**8),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, "MIN/0", 9 * 10**8),
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_ADVOCACY, "REVIEW/0", 4 * 10**9),
)


def example() -> Facts:
    facts = Facts()
    facts.record("x1", *LEGS, at=NOON)
    return facts


def seen(
    facts: Facts, *policies: ValuationPolicy, half_life_days: int = 0
) -> tuple[Balance, list[ViewedLeg], BalanceView, Opinion]:
    view = BalanceView(LATER, CUSTOMER, half_life_days=half_life_days)
    valued = opinion(*(policies or (policy(1, *RATES),)), at=LATER)
    book = facts.book()
    return balance(book, valued, view), legs_in_view(book, valued, view), view, valued


def explained(facts: Facts, *policies: ValuationPolicy, half_life_days: int = 0) -> Explanation:
    made, legs, view, _ = seen(facts, *policies, half_life_days=half_life_days)
    return Explanation(made, legs, view.perspective)


def test_the_contributions_of_the_full_example_add_up_to_its_index() -> None:
    entries = list(explained(example()).entries())

    assert [-343_456, 361_533, -21_692, -21_692, 78_091, -28_923] == [entry.ppm for entry in entries]
    assert 23_861 == sum(entry.ppm for entry in entries)
    assert [-47_500, 50_000, -3_000, -3_000, 10_800, -4_000] == [entry.numerator // 10**12 for entry in entries]
    assert list(range(1, 7)) == [entry.ordinal for entry in entries]


def test_the_index_without_each_entry_of_the_full_example() -> None:
    drivers = explained(example()).drivers(6)

    without = {driver.ordinal: driver.without.ppm for driver in drivers if driver.without is not None}
    assert {1: 559_471, 2: -528_879, 3: 46_563, 4: 46_563, 5: -58_824, 6: 54_356} == without


def test_the_entries_that_move_the_index_most_come_first_and_the_earlier_of_two_that_move_it_alike() -> None:
    drivers = explained(example()).drivers(100)

    assert [2, 1, 5, 6, 3, 4] == [driver.ordinal for driver in drivers]
    assert [2, 1] == [driver.ordinal for driver in explained(example()).drivers(2)]
    assert [] == explained(example()).drivers(0)


def test_of_entries_alike_the_earlier_one_is_told_also_where_there_is_room_for_one() -> None:
    facts = Facts()
    for number, cents in enumerate((5, 900, 900, 900)):
        one = leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, cents, "EUR/2")
        facts.record(f"x{number}", one, at=NOON, one_sided=x.ONE_SIDED_LATER)

    assert [2] == [driver.ordinal for driver in explained(facts).drivers(1)]


def test_without_the_only_entry_there_is_no_index() -> None:
    facts = Facts()
    facts.record("x1", LEGS[0], at=NOON, one_sided=x.ONE_SIDED_LATER)

    ((ordinal, without),) = explained(facts).drivers(5)

    assert (1, None) == (ordinal, without)


def test_where_all_is_one_side_and_nothing_is_assumed_no_entry_moves_the_index_and_the_first_come_first() -> None:
    facts = Facts()
    for number, cents in enumerate((5, 900, 70)):
        one = leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, cents, "EUR/2")
        facts.record(f"x{number}", one, at=NOON, one_sided=x.ONE_SIDED_LATER)

    drivers = explained(facts, policy(1, *RATES, kappa=0)).drivers(2)

    assert [1, 2] == [driver.ordinal for driver in drivers]
    assert [-1_000_000] * 2 == [driver.without.ppm for driver in drivers if driver.without is not None]


def test_an_explanation_goes_on_after_an_ordinal() -> None:
    whole = explained(example())

    assert list(whole.entries())[4:] == list(whole.entries(after=4))
    assert [] == list(whole.entries(after=9))
    assert 6 == len(whole)


def test_entries_weigh_by_age_with_a_half_life() -> None:
    facts = Facts()
    facts.record("old", *LEGS[:2], at=NOON)
    facts.record("new", *LEGS[:2], at=LATER - 1)

    entries = list(explained(facts, half_life_days=40).entries())

    assert [500_000, 500_000] == [each.leg.weight for each in entries[:2]]
    assert -47_500_000_000 * 500_000 == entries[0].numerator
    made, *_ = seen(facts, half_life_days=40)
    assert made.index is not None
    assert made.index.numerator == sum(each.numerator for each in entries)
    assert made.index_ppm == sum(each.ppm for each in entries)


def test_a_reversed_leg_is_told_twice_and_once_by_the_reversal() -> None:
    facts = example()
    facts.reverse("x1", at=2 * DAY, recorded=3 * DAY)

    whole = explained(facts)

    assert 0 == len(whole)
    assert {REVERSED} == {each.reason for each in whole.exclusions()}
    original, twin = both_of(whole.exclusions()[0])
    assert (NOON, 1, NOON) == (original.effective_time, original.position, original.record_time)
    assert (2 * DAY, 2, 3 * DAY) == (twin.effective_time, twin.position, twin.record_time)
    assert original.value == twin.value == 47_500_000_000  # At the original's rate; who tells the twin turns its sign.


def test_what_is_not_valued_and_points_are_excluded_with_their_reasons() -> None:
    facts = Facts()
    facts.record("x1", LEGS[0], grant(500), leg(CUSTOMER, x.CATEGORY_WAITING, 3, "MIN/0"), at=NOON)

    whole = explained(facts)

    assert [(2, POINTS_LEG), (3, UNVALUED)] == [(each.leg_no, each.reason) for each in whole.exclusions()]
    assert [(whole.exclusions()[0],)] == [both_of(whole.exclusions()[0])]
    assert 1 == len(whole)


@pytest.mark.parametrize("wrong", [{"got": 1}, {"gave": 1}, {"index": Ratio(1, 7)}, {"index": None}])
def test_legs_that_do_not_add_up_to_the_balance_are_never_told(wrong: dict[str, object]) -> None:
    made, legs, view, _ = seen(example())

    with pytest.raises(ExplanationMismatch):
        Explanation(replace(made, **wrong), legs, view.perspective)  # type: ignore[arg-type]  # Named above.


def test_a_leg_that_is_missing_is_found() -> None:
    made, legs, view, _ = seen(example())

    for missing in range(len(legs)):
        rest: Sequence[ViewedLeg] = [each for index, each in enumerate(legs) if index != missing]
        with pytest.raises(ExplanationMismatch):
            Explanation(made, rest, view.perspective)


def test_without_a_policy_there_is_nothing_to_explain_but_that_nothing_is_valued() -> None:
    facts = example()
    view = BalanceView(LATER, CUSTOMER)
    nothing = Opinion((), None)

    whole = Explanation(balance(facts.book(), nothing, view), legs_in_view(facts.book(), nothing, view), CUSTOMER)

    assert 0 == len(whole)
    assert [UNVALUED] * 6 == [each.reason for each in whole.exclusions()]
    assert [] == whole.drivers(3)
