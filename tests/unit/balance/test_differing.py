"""What made two views differ: each cause by itself, the worked examples (11.4), and that the steps add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest

from ledger.balance import differing as d
from ledger.balance.differing import DifferenceMismatch, Side, Step, differences
from ledger.balance.lots import lots_in_view
from ledger.balance.numbers import Ratio, balance
from ledger.balance.view import DAY, BalanceView
from ledger.balance.viewed import legs_in_view
from ledger.policy.valuation import Opinion
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.valuation_pb2 import ValuationPolicy, ValuationRule
from tests.balance_facts import CUSTOMER, ORGANIZATION, Facts, grant, leg, policy, rule, use, valuations

EUR = 10**9
START = 1_767_225_600 * 10**6
"""2026-01-01, 00:00 UTC."""
MARCH = START + 59 * DAY
MONEY = (
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2", 10**7),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_GOODS, "EUR/2", 10**7),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, "MIN/0", 9 * 10**8),
)
POINTS = rule(CUSTOMER, ORGANIZATION, x.CATEGORY_POINTS_GRANT, "PT/0", 10**7, redemption_ppm=800_000)
GIFT = x.ONE_SIDED_GIFT


def day(number: int) -> int:
    """Return the start of a day of March."""
    return MARCH + (number - 1) * DAY


def attention(rate: int) -> ValuationRule:
    return rule(CUSTOMER, CUSTOMER, x.CATEGORY_ATTENTION, "MIN/0", rate)


def pays(cents: int) -> x.Leg:
    return leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, cents, "EUR/2")


def goods(cents: int) -> x.Leg:
    return leg(ORGANIZATION, x.CATEGORY_GOODS, cents, "EUR/2")


def minutes(units: int) -> x.Leg:
    return leg(CUSTOMER, x.CATEGORY_ATTENTION, units, "MIN/0")


STANDARD = (policy(1, *MONEY, POINTS, effective_from=START),)


def side(facts: Facts, at: int, position: int, policies: Sequence[ValuationPolicy] = STANDARD, **view: int) -> Side:
    """Return a view at a time that knows what was recorded up to a position, with the policies given."""
    seen, book = BalanceView(at, view.pop("perspective", CUSTOMER), **view), facts.book(position)
    valued: Opinion = valuations(*policies).opinion("", 0, at)
    legs, lots = legs_in_view(book, valued, seen), lots_in_view(book, valued, seen)
    return Side(seen, position, balance(book, valued, seen), legs, lots)


def told(steps: Sequence[Step]) -> list[tuple[int, int]]:
    """Return causes with the change of net, in whole euros."""
    assert all(step.net % EUR == 0 for step in steps)
    return [(step.cause, step.net // EUR) for step in steps]


def moved(step: Step) -> Fraction:
    return Fraction(step.index.numerator, step.index.denominator)


def index(side: Side) -> Fraction:
    return Fraction(*side.balance.index) if side.balance.index is not None else Fraction(0)


def check_sums(a: Side, b: Side, steps: Sequence[Step]) -> None:
    assert b.balance.net - a.balance.net == sum(step.net for step in steps)
    assert index(b) - index(a) == sum(moved(step) for step in steps)


def two_axes() -> Facts:
    facts = Facts()
    facts.record("x1", pays(4_000), goods(5_000), at=day(1), position=10)
    facts.record("x2", minutes(30), at=day(10), position=12, one_sided=GIFT)
    support = leg(ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, 10, "MIN/0")
    facts.record("x3", support, at=day(5), position=15, one_sided=GIFT)
    facts.reverse("x2", position=18)
    facts.record("x5", minutes(20), at=day(10), replaces="x2", position=19, one_sided=GIFT)
    facts.reverse("x1", at=day(28), position=21)
    return facts


FIRST = policy(1, *MONEY, attention(10**8), effective_from=START)
SECOND = policy(2, *MONEY, attention(2 * 10**8), effective_from=day(8))


def test_the_first_worked_example() -> None:
    facts = two_axes()
    a, b = side(facts, day(12), 19, [FIRST]), side(facts, day(30), 21, [FIRST, SECOND])

    steps = differences(a, b)

    assert [(d.POLICY, -2), (d.CORRECTION, -10)] == told(steps)
    assert [Fraction(-92, 4961), Fraction(40, 1353)] == [moved(step) for step in steps]
    assert (17 * EUR, 5 * EUR) == (a.balance.net, b.balance.net)
    assert (Fraction(17, 121), Fraction(5, 33)) == (index(a), index(b))
    assert [["x5"], ["x1", "x1"]] == [[each.exchange_id for each in step.legs] for step in steps]
    check_sums(a, b, steps)


def test_the_second_worked_example() -> None:
    facts = two_axes()
    a, b = side(facts, day(12), 14, [FIRST]), side(facts, day(30), 21, [FIRST, SECOND])

    steps = differences(a, b)

    # Nothing is common to both but what was corrected, so the new rate of x5 is told with x5.
    assert [(d.CORRECTION, -11), (d.LATE_EVENT, 9)] == told(steps)
    assert (7 * EUR, 5 * EUR) == (a.balance.net, b.balance.net)
    check_sums(a, b, steps)


@pytest.mark.parametrize("at, position", [(12, 19), (30, 21), (1, 9)])
def test_a_view_does_not_differ_from_itself(at: int, position: int) -> None:
    a, b = (side(two_axes(), day(at), position, [FIRST, SECOND], half_life_days=30) for _ in "ab")

    assert [] == differences(a, b)


def test_a_rate_that_is_missing_in_one_view_is_a_matter_of_policy() -> None:
    facts = two_axes()
    without = policy(1, *MONEY, effective_from=START)
    a, b = side(facts, day(12), 12, [without]), side(facts, day(12), 12, [FIRST])

    for steps, change in ((differences(a, b), -3), (differences(b, a), 3)):
        assert [(d.POLICY, change)] == told(steps)
        assert [["x2"]] == [[each.exchange_id for each in step.legs] for step in steps]


def test_another_kappa_moves_the_index_alone() -> None:
    facts = two_axes()
    a = side(facts, day(12), 12, [FIRST])
    b = side(facts, day(12), 12, [policy(1, *MONEY, attention(10**8), effective_from=START, kappa=0)])

    (step,) = differences(a, b)

    assert (d.POLICY, 0, []) == (step.cause, step.net, step.legs)
    assert Fraction(7, 93) - Fraction(7, 113) == moved(step)


def test_before_the_first_policy_there_is_no_index_to_differ_from() -> None:
    facts = two_axes()
    a, b = side(facts, day(12), 12, []), side(facts, day(12), 12, [FIRST])

    assert [(d.POLICY, 7)] == told(differences(a, b))
    assert [(d.POLICY, -7)] == told(differences(b, a))
    assert [Fraction(7, 113)] == [moved(step) for step in differences(a, b)]
    # A policy that is not in force yet has no kappa: only that nothing had happened is told.
    earlier = side(facts, START - DAY, 12, [FIRST])
    assert [(d.AS_OF_MOVED, -7)] == told(differences(b, earlier))
    assert [(d.AS_OF_MOVED, 7)] == told(differences(earlier, b))


def test_what_had_happened_is_late_and_what_happened_since_is_new() -> None:
    facts = Facts()
    facts.record("known", pays(100), at=day(2), position=1, one_sided=GIFT)
    facts.record("late", pays(200), at=day(3), position=2, one_sided=GIFT)
    facts.record("new", pays(400), at=day(3) + 1, position=3, one_sided=GIFT)
    a, b = side(facts, day(3), 1), side(facts, day(9), 3)

    steps = differences(a, b)

    assert [(d.LATE_EVENT, -2), (d.NEW_EVENT, -4)] == told(steps)
    check_sums(a, b, steps)


def test_what_was_known_all_along_comes_and_goes_with_the_view() -> None:
    facts = Facts()
    facts.record("early", pays(100), at=day(2), position=1, one_sided=GIFT)
    facts.record("later", pays(200), at=day(5), position=2, one_sided=GIFT)
    whole, before = side(facts, day(9), 2), side(facts, day(4), 2)
    window = side(facts, day(9), 2, window_from=day(3))

    assert [(d.AS_OF_MOVED, -2)] == told(differences(before, whole))
    assert [(d.AS_OF_MOVED, 2)] == told(differences(whole, before))
    assert [(d.AS_OF_MOVED, 1)] == told(differences(whole, window))
    # A view that knows less: what it lacks was not corrected, and is neither late nor new.
    assert [(d.AS_OF_MOVED, 2)] == told(differences(whole, side(facts, day(9), 1)))


def test_a_reversal_that_was_not_known_is_a_correction_and_one_that_only_takes_effect_is_not() -> None:
    facts = Facts()
    facts.record("x1", pays(100), at=day(2), position=1, one_sided=GIFT)
    facts.reverse("x1", at=day(5), position=2)
    unknown, known_before, known_after = side(facts, day(9), 1), side(facts, day(4), 2), side(facts, day(9), 2)

    assert [(d.CORRECTION, 1)] == told(differences(unknown, known_after))
    assert [(d.AS_OF_MOVED, 1)] == told(differences(known_before, known_after))
    # No longer reversed: b does not know it, or it has not happened yet.
    assert [(d.CORRECTION, -1)] == told(differences(known_after, unknown))
    assert [(d.AS_OF_MOVED, -1)] == told(differences(known_after, known_before))
    assert [] == differences(unknown, known_before)


def test_a_reversal_that_was_not_known_is_a_correction_also_where_the_window_moved_on() -> None:
    facts = Facts()
    facts.record("x1", pays(100), at=day(2), position=1, one_sided=GIFT)
    facts.reverse("x1", position=2)

    steps = differences(side(facts, day(9), 1), side(facts, day(9), 2, window_from=day(3)))

    assert [(d.CORRECTION, 1)] == told(steps)


def test_what_replaces_a_reversed_exchange_is_part_of_the_correction_only_while_it_was_unknown() -> None:
    facts = Facts()
    facts.record("x1", pays(100), at=day(2), position=1, one_sided=GIFT)
    facts.reverse("x1", position=2)
    facts.record("x2", pays(300), at=day(6), replaces="x1", position=3, one_sided=GIFT)

    assert [(d.CORRECTION, -2)] == told(differences(side(facts, day(9), 1), side(facts, day(9), 3)))
    assert [(d.AS_OF_MOVED, -3)] == told(differences(side(facts, day(5), 3), side(facts, day(9), 3)))


def test_a_posting_makes_the_entry_so_it_is_late_or_new_by_the_posting() -> None:
    facts = Facts()
    facts.record("h", pays(500), at=day(1), pending_until=day(8), position=1, one_sided=GIFT)
    facts.post("h", [300], at=day(6), position=2)

    assert [(d.NEW_EVENT, -3)] == told(differences(side(facts, day(5), 1), side(facts, day(7), 2)))
    assert [(d.LATE_EVENT, -3)] == told(differences(side(facts, day(7), 1), side(facts, day(7), 2)))
    assert [(d.AS_OF_MOVED, -3)] == told(differences(side(facts, day(5), 2), side(facts, day(7), 2)))


def test_entries_in_both_views_grow_older() -> None:
    facts = Facts()
    facts.record("old", pays(4_000), goods(5_000), at=day(1), position=1)
    facts.record("new", goods(1_000), at=day(20), position=2, one_sided=GIFT)
    a, b = side(facts, day(10), 1, half_life_days=9), side(facts, day(20), 2, half_life_days=9)

    steps = differences(a, b)

    assert [(d.NEW_EVENT, 10), (d.AGEING, 0)] == told(steps)
    assert [["new"], ["old", "old"]] == [[each.exchange_id for each in step.legs] for step in steps]
    check_sums(a, b, steps)
    # What is added has b's weight at once, and does not age.
    weight = a.legs[0].weight
    assert weight == 500_000
    value = (10 * weight, 90 * weight, 20 * 10**6)
    assert moved(steps[0]) == Fraction(value[0] + 10**7, value[1] + 10**7 + value[2]) - Fraction(
        value[0], value[1] + value[2]
    )


def test_what_is_worth_nothing_changes_nothing_by_growing_older() -> None:
    facts = two_axes()
    worthless = policy(1, *MONEY, attention(0), effective_from=START)
    a, b = (side(facts, day(at), 12, [worthless], half_life_days=2) for at in (12, 14))

    (step,) = differences(a, b)

    assert (d.AGEING, ["x1", "x1"]) == (step.cause, [each.exchange_id for each in step.legs])


def test_a_new_rate_counts_at_the_first_views_weight_and_ageing_at_the_new_rate() -> None:
    facts = two_axes()
    dearer = policy(1, *MONEY, attention(10**9), effective_from=START)
    a, b = side(facts, day(12), 12, [FIRST], half_life_days=2), side(facts, day(14), 12, [dearer], half_life_days=2)

    steps = differences(a, b)

    assert [(d.POLICY, -27), (d.AGEING, 0)] == told(steps)
    check_sums(a, b, steps)


def points() -> Facts:
    """Example 11.5, for which days count from the first of March."""
    facts = Facts()
    facts.record("L1", grant(300, expires_at=day(32)), at=START + 9 * DAY, position=30, one_sided=GIFT)
    facts.record("L2", grant(500, expires_at=day(123)), at=START + 31 * DAY, position=31, one_sided=GIFT)
    redeem = leg(CUSTOMER, x.CATEGORY_POINTS_REDEEM, 250, "PT/0")
    facts.record("r1", redeem, goods(1), at=day(15), lot_uses=[use("L1/1", 250)], position=32)
    late = leg(CUSTOMER, x.CATEGORY_POINTS_REDEEM, 120, "PT/0")
    facts.record("r2", late, goods(1), at=day(20), lot_uses=[use("L1/1", 50), use("L2/1", 70)], position=33)
    facts.reverse("r1", at=day(41), position=34)
    return facts


@pytest.mark.parametrize(
    "position, at, promised",
    [
        (32, 33, Fraction(-2, 5)),  # 50 points were left when L1 ended.
        (33, 33, None),  # They were used in time, as is known now: nothing lapsed.
        (33, 123, Fraction(-86, 25)),  # Of the 500 of L2 70 were used, and 430 lapsed.
        (34, 42, Fraction(-2, 5)),  # What r1 gave back lapsed too, but was not promised in a.
        (32, 123, Fraction(-22, 5)),
    ],
)
def test_points_that_lapsed_are_told_apart_from_points_that_were_used(
    position: int, at: int, promised: Fraction | None
) -> None:
    facts = points()
    a, b = side(facts, day(16), 32), side(facts, day(at), position)

    steps = differences(a, b)

    lapsed = [step for step in steps if step.cause == d.EXPIRY]
    assert ([] if promised is None else [promised]) == [Fraction(step.promised, EUR) for step in lapsed]
    assert all(each.category == x.CATEGORY_POINTS_GRANT for step in lapsed for each in step.legs)
    assert [0] * len(lapsed) == [step.net for step in lapsed]


def test_what_was_pending_and_expired_is_told_and_what_was_posted_is_not() -> None:
    facts = Facts()
    facts.record("h1", pays(10_000), goods(9_000), grant(5), at=day(1), pending_until=day(8), position=39)
    facts.record("h2", pays(10_000), at=day(1), pending_until=day(8), position=40, one_sided=GIFT)
    facts.post("h2", [10_000], at=day(7), position=43)
    a, b = side(facts, day(6), 40), side(facts, day(9), 43)

    steps = differences(a, b)

    assert [(d.NEW_EVENT, -100), (d.EXPIRY, 0)] == told(steps)
    assert 10 * EUR == steps[1].pending  # got - gave was -10 euros of h1.
    assert [1, 2] == [each.leg_no for each in steps[1].legs]
    assert [] == [step for step in differences(a, side(facts, day(7), 40)) if step.cause == d.EXPIRY]


def test_from_the_other_side_all_signs_turn() -> None:
    rates = [
        rule(ORGANIZATION, CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2", 10**7),
        rule(ORGANIZATION, ORGANIZATION, x.CATEGORY_GOODS, "EUR/2", 10**7),
    ]
    facts = Facts()
    facts.record("x1", pays(100), goods(300), at=day(2), position=1)
    mirrored = policy(1, *rates, effective_from=START)
    a = side(facts, day(1), 1, [mirrored], perspective=ORGANIZATION)
    b = side(facts, day(3), 1, [mirrored], perspective=ORGANIZATION)

    assert [(d.AS_OF_MOVED, -2)] == told(differences(a, b))


def test_steps_that_would_not_lead_to_the_other_balance_are_never_told() -> None:
    facts = two_axes()
    a, b = side(facts, day(12), 19, [FIRST]), side(facts, day(30), 21, [FIRST, SECOND])
    wrong = replace(b.balance, got=b.balance.got + 1)
    other = replace(b.balance, index=Ratio(1, 3))

    for broken in (b._replace(balance=wrong), b._replace(balance=other), b._replace(legs=b.legs[:-1])):
        with pytest.raises(DifferenceMismatch):
            differences(a, broken)
        with pytest.raises(DifferenceMismatch):
            differences(broken, a)
