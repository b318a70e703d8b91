"""Lots in a view (reciprocity.md 4, settled.md 34), where example 11.5 does not reach."""

from __future__ import annotations

import pytest

from ledger.balance.lots import LotInView, lots_in_view
from ledger.balance.numbers import Balance, balance, balance_by_scan
from ledger.balance.view import DAY, BalanceView
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.valuation_pb2 import ValuationPolicy
from tests.balance_facts import CUSTOMER, ORGANIZATION, Facts, grant, leg, opinion, policy, rule, use

T = 100 * DAY
GIFT = {"one_sided": x.ONE_SIDED_GIFT}
GOODS = leg(ORGANIZATION, x.CATEGORY_GOODS, 1, "CD/0")


def rates(
    number: int = 1, rate: int = 2, effective_from: int = 0, perspective: int = CUSTOMER, ppm: int = 10**6
) -> ValuationPolicy:
    points = rule(perspective, ORGANIZATION, x.CATEGORY_POINTS_GRANT, "PT/0", rate, redemption_ppm=ppm)
    return policy(number, points, effective_from=effective_from)


def lots(facts: Facts, at: int, *policies: ValuationPolicy) -> list[LotInView]:
    return lots_in_view(facts.book(), opinion(*(policies or (rates(),)), at=at), BalanceView(at, CUSTOMER))


def told(facts: Facts, at: int, *policies: ValuationPolicy, perspective: int = CUSTOMER) -> Balance:
    known, view = opinion(*(policies or (rates(),)), at=at), BalanceView(at, perspective)
    made = balance(facts.book(), known, view)
    assert balance_by_scan(facts.book(), known, view) == made
    return made


def units(lot: LotInView) -> tuple[int, int, int, int]:
    """Return used, outstanding, lapsed and unrecovered."""
    return lot[3:7]


def redeem(facts: Facts, exchange_id: str, n: int, at: int, lot_id: str = "L/1") -> None:
    redeemed = leg(CUSTOMER, x.CATEGORY_POINTS_REDEEM, n, "PT/0")
    facts.record(exchange_id, redeemed, GOODS, at=at, lot_uses=[use(lot_id, n)])


def granted(expires_at: int | None = T + 10, activates_at: int | None = None) -> Facts:
    facts = Facts()
    facts.record("L", grant(100, activates_at=activates_at, expires_at=expires_at), at=T, **GIFT)
    return facts


def test_a_lot_is_there_from_its_grant_and_gone_from_its_end() -> None:
    facts = granted()

    assert [] == lots(facts, T - 1)
    assert [("L/1", "PT/0", 100, 0, 100, 0, 0, T, T + 10, 200, False)] == [tuple(lot) for lot in lots(facts, T)]
    assert [(0, 100, 0, 0)] == [units(lot) for lot in lots(facts, T + 9)]
    assert [(0, 0, 100, 0)] == [units(lot) for lot in lots(facts, T + 10)]
    assert (0, 200, 200, 0) == tuple(told(facts, at).promised for at in (T - 1, T, T + 9, T + 10))


def test_a_lot_without_end_never_lapses() -> None:
    (lot,) = lots(granted(expires_at=None), T + 100_000 * DAY)

    assert (None, 100) == (lot.expires_at, lot.outstanding)


@pytest.mark.parametrize("terms, starts", [(None, T), (T - 5, T), (T, T), (T + 5, T + 5)])
def test_a_lot_is_active_from_the_later_of_its_terms_and_its_grant(terms: int | None, starts: int) -> None:
    (lot,) = lots(granted(activates_at=terms), T)

    assert (starts, 100, 200) == (lot.activates_at, lot.outstanding, lot.promised)  # Not yet active, and promised.


def test_used_is_net_of_restored() -> None:
    facts = granted()
    redeem(facts, "r", 100, at=T + 2)
    facts.reverse("r", at=T + 4)

    assert [(0, 100, 0, 0), (100, 0, 0, 0), (100, 0, 0, 0), (0, 100, 0, 0), (0, 0, 100, 0)] == [
        units(lots(facts, at)[0]) for at in (T + 1, T + 2, T + 3, T + 4, T + 10)
    ]
    assert [200, 0, 0, 200, 0] == [told(facts, at).promised for at in (T + 1, T + 2, T + 3, T + 4, T + 10)]


def test_what_is_restored_of_an_ended_lot_lapses_at_once() -> None:
    facts = granted()
    redeem(facts, "r", 30, at=T + 2)
    facts.reverse("r", at=T + 12)

    assert [(30, 0, 70, 0), (0, 0, 100, 0)] == [units(lots(facts, at)[0]) for at in (T + 11, T + 12)]


def test_a_late_use_is_a_use_at_its_time() -> None:
    facts = granted()
    redeem(facts, "r1", 60, at=T + 5)
    redeem(facts, "r2", 40, at=T + 1)

    assert [(0, 100), (40, 60), (100, 0)] == [units(lots(facts, at)[0])[:2] for at in (T, T + 1, T + 5)]


def test_a_grant_taken_back_leaves_what_was_used_unrecovered() -> None:
    facts = granted()
    redeem(facts, "r", 30, at=T + 2)
    facts.reverse("L", at=T + 4, take_remaining_points=True)

    assert [(30, 70, 0, 0), (30, 0, 0, 30), (30, 0, 0, 30)] == [
        units(lots(facts, at)[0]) for at in (T + 3, T + 4, T + 11)
    ]
    assert (140, 0) == (told(facts, T + 3).promised, told(facts, T + 4).promised)


def test_what_is_restored_to_a_grant_taken_back_is_taken_back_too() -> None:
    facts = granted()
    redeem(facts, "r", 30, at=T + 2)
    facts.reverse("L", at=T + 4, take_remaining_points=True)
    facts.reverse("r", at=T + 6)

    assert (0, 0, 0, 0) == units(lots(facts, T + 6)[0])
    assert 0 == told(facts, T + 6).promised


def test_a_grant_taken_back_after_its_end_leaves_what_lapsed() -> None:
    facts = granted()
    redeem(facts, "r", 30, at=T + 2)
    facts.reverse("L", at=T + 10, take_remaining_points=True)

    assert [(30, 70, 0, 0), (30, 0, 70, 30)] == [units(lots(facts, at)[0]) for at in (T + 9, T + 10)]


def test_a_pending_grant_is_no_lot_until_it_is_posted_and_then_of_what_was_posted() -> None:
    facts = Facts()
    facts.record("L", GOODS, grant(100, expires_at=T + 10), at=T, pending_until=T + 9, **GIFT)
    facts.post("L", [0, 60], at=T + 3, one_sided=x.ONE_SIDED_GIFT)
    dated = rates(), rates(2, rate=5, effective_from=T + 3)

    assert [] == lots(facts, T + 2, *dated)
    assert [("L/2", 60, T + 3, 300)] == [
        (lot.lot_id, lot.granted, lot.activates_at, lot.promised) for lot in lots(facts, T + 3, *dated)
    ]
    assert 300 == told(facts, T + 3, *dated).promised


def test_a_grant_of_which_nothing_was_posted_is_no_lot() -> None:
    facts = Facts()
    facts.record("L", GOODS, grant(100), at=T, pending_until=T + 9, **GIFT)
    facts.post("L", [1, 0], at=T + 3)

    assert [] == lots(facts, T + 5)


def test_a_promise_goes_by_the_version_of_the_grants_time() -> None:
    facts = granted()
    later = rates(2, rate=9, effective_from=T + 1)

    assert 200 == told(facts, T + 5, rates(), later).promised


def test_a_promise_is_seen_from_the_perspective() -> None:
    assert (0, 1) == told_of(told(granted(), T, rates(), perspective=ORGANIZATION))
    assert (700, 0) == told_of(told(granted(), T, rates(rate=7, perspective=ORGANIZATION), perspective=ORGANIZATION))


def told_of(made: Balance) -> tuple[int, int]:
    return made.promised, made.unvalued_lots


def test_a_lot_without_a_rate_is_unvalued_while_something_of_it_is_outstanding() -> None:
    facts = granted()
    facts.record("M", grant(5, "MILE/0"), at=T, **GIFT)

    assert [False, True] == [lot.is_unvalued for lot in lots(facts, T)]
    assert (200, 1) == told_of(told(facts, T))
    redeem(facts, "r", 5, at=T + 1, lot_id="M/1")
    assert (200, 0) == told_of(told(facts, T + 1))
    assert [False, True] == [lot.is_unvalued for lot in lots(facts, T + 1)]


def test_lots_come_by_effective_time_position_and_leg() -> None:
    facts = Facts()
    facts.record("late", grant(1), at=T + 1, **GIFT)
    facts.record("two", grant(1), grant(1), at=T, **GIFT)
    facts.record("more", grant(1), at=T, **GIFT)

    assert ["two/1", "two/2", "more/1", "late/1"] == [lot.lot_id for lot in lots(facts, T + 1)]


def test_points_are_quantities_and_nothing_else() -> None:
    facts = granted()
    redeem(facts, "r", 30, at=T + 2)

    made = told(facts, T + 3)

    assert [(1, 8, "PT/0", 30), (2, 3, "CD/0", 1), (2, 7, "PT/0", 100)] == [each[:4] for each in made.quantities]
    assert (0, 0, 0, 1) == (made.got, made.gave, made.coverage.valued_legs, made.coverage.unvalued_legs)
    assert [3] == [line.category for line in made.lines]
    assert () == made.coverage.one_sided


def test_more_used_than_granted_is_a_defect() -> None:
    facts = granted()
    redeem(facts, "r", 101, at=T + 2)

    with pytest.raises(AssertionError, match="beyond what it held"):
        lots(facts, T + 3)
