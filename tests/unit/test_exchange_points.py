"""Points are lots: what may be granted, which lots a redemption uses, and what a reversal takes or gives back (4)."""

from collections.abc import Callable, Iterator

import pytest

from ledger.domain.exchange import RecordExchange
from ledger.domain.lots import Lot, LotBook, Use
from ledger.domain.times import END_OF_TIME, text, timestamp
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.exchange_pb2 import ExchangeRecorded, Leg
from tests.exchange_pairs import (
    CUSTOMER,
    NOW,
    ORGANIZATION,
    STREAM,
    TOLERANCE,
    Pair,
    fields,
    goods,
    grant,
    grants,
    leg,
    pays,
    post,
    record,
    redeem,
    redeems,
    refusal,
    reverse,
    told,
    uses,
)

DAY = 86_400_000_000
JAN = 1_767_225_600_000_000
"""1 January 2026."""
LATER = JAN + 400 * DAY


def at(month: int, day: int) -> int:
    """Return the midnight that begins a day of 2026, in UTC."""
    return JAN + (sum((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[: month - 1]) + day - 1) * DAY


def pair(now: int = LATER) -> Pair:
    return Pair(now=now)


def used(where: Pair, step: RecordExchange) -> list[tuple[str, int]]:
    """Return (exchange of the grant, units) of what a redemption uses, in order."""
    (fact,) = where.decide(step)
    return [(exchange_id, units) for _, exchange_id, _, units in uses(fact)]


def available(where: Pair, when: int, asset: str = "PT/0") -> int:
    """Return how many points can be used at a time, as a refusal tells it."""
    ask = record("ask", leg(CUSTOMER, x.CATEGORY_POINTS_REDEEM, 10_000, asset), goods(), at=when)
    return int(refusal(where, ask).metadata["available"])


# --- Form ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", [category for category in x.Category.values() if category not in (0, 7)])
def test_only_granted_points_have_terms(category: x.Category.ValueType) -> None:
    terms = grants(1, expires_at=NOW).lot_terms
    bad = leg(CUSTOMER, category, 1, "PT/0", lot_terms=terms)

    violations = refusal(Pair(), record("x1", goods(), bad)).violations

    assert ["legs[1].lot_terms"] == [v.field for v in violations if "lot_terms" in v.field]


@pytest.mark.parametrize(
    "activates, expires", [(None, NOW - 1000), (None, NOW - 1001), (NOW, NOW), (NOW + 1, NOW), (NOW - 9000, NOW - 5000)]
)
def test_a_lot_must_end_after_it_is_granted_and_active(activates: int | None, expires: int) -> None:
    rejected = refusal(Pair(), record("x1", pays(), grants(1, activates, expires), path="exchange"))

    assert ("LOT_TERMS_INVALID", ["exchange.legs[1].lot_terms.expires_at"]) == (told(rejected), fields(rejected))


@pytest.mark.parametrize("activates, expires", [(None, None), (NOW, None), (None, NOW - 999), (NOW, NOW + 1), (5, NOW)])
def test_terms_that_are_fine(activates: int | None, expires: int | None) -> None:
    assert 1 == len(Pair().decide(record("x1", pays(), grants(1, activates, expires))))


def test_a_grant_without_a_time_is_compared_with_now_and_its_resend_stays_the_same() -> None:
    where = Pair()
    assert "LOT_TERMS_INVALID" == told(refusal(where, grant("g1", grants(1, None, NOW), at=None)))
    where.apply(grant("g1", grants(1, None, NOW + 1), at=None))
    where.now += 60_000_000

    assert () == where.decide(grant("g1", grants(1, None, NOW + 1), at=None))


def test_points_are_redeemed_for_something() -> None:
    rejected = refusal(Pair(), record("x1", redeems(1), pays(), one_sided=x.ONE_SIDED_LATER, path="exchange"))

    assert ("REDEMPTION_WITHOUT_COUNTER_LEG", ["exchange.legs"]) == (told(rejected), fields(rejected))


def test_points_are_redeemed_at_once() -> None:
    rejected = refusal(Pair(), record("x1", redeems(1), goods(), until=NOW))

    assert ("REDEMPTION_PENDING", ["pending_until"]) == (told(rejected), fields(rejected))


CHANGES: list[tuple[str, Callable[[Leg], object]]] = [
    ("legs[1].lot_terms", lambda changed: changed.ClearField("lot_terms")),
    ("legs[1].lot_terms.activates_at", lambda changed: changed.lot_terms.activates_at.CopyFrom(timestamp(NOW + 1))),
    ("legs[1].lot_terms.activates_at", lambda changed: changed.lot_terms.ClearField("activates_at")),
    ("legs[1].lot_terms.expires_at", lambda changed: changed.lot_terms.expires_at.CopyFrom(timestamp(NOW + 8))),
]


@pytest.mark.parametrize("path, change", CHANGES)
def test_any_changed_term_under_the_same_id_is_refused_and_named(path: str, change: Callable[[Leg], object]) -> None:
    event = ExchangeRecorded(exchange_id="x1", legs=[pays(), grants(1, NOW, NOW + 9)])
    where = Pair().apply(RecordExchange(stream_id=STREAM, event=event, occur_time=5))
    again = ExchangeRecorded()
    again.CopyFrom(event)
    change(again.legs[1])

    rejected = refusal(where, RecordExchange(stream_id=STREAM, event=again, occur_time=5))

    assert ("EXCHANGE_ID_REUSED", path) == (told(rejected), rejected.metadata["field"])


def test_a_resend_of_a_redemption_is_the_same_though_the_ledger_chose_its_lots() -> None:
    where = pair().apply(grant("g1", grants(10), at=at(1, 1))).apply(redeem("x1", 10, at(1, 2)))

    assert () == where.decide(redeem("x1", 10, at(1, 2)))
    assert "legs[0].amount.units" == refusal(where, redeem("x1", 9, at(1, 2))).metadata["field"]


# --- Which lots ------------------------------------------------------------------------------------------------------


def test_the_lot_that_ends_first_is_used_first_then_the_one_active_first_then_by_place() -> None:
    where = pair()
    where.apply(grant("never", grants(10), at=at(1, 1)))
    where.apply(grant("late", grants(10, at(1, 5), at(6, 1)), at=at(1, 1)))
    where.apply(grant("both", grants(10, None, at(6, 1)), grants(10, None, at(6, 1)), at=at(1, 4)))
    where.apply(grant("after", grants(10, at(1, 2), at(6, 1)), at=at(1, 4)))
    where.apply(grant("first", grants(10, None, at(5, 1)), at=at(1, 9)))

    (fact,) = where.decide(redeem("x1", 55, at(2, 1)))

    assert [
        (1, "first", 1, 10),
        (1, "both", 1, 10),
        (1, "both", 2, 10),
        (1, "after", 1, 10),
        (1, "late", 1, 10),
        (1, "never", 1, 5),
    ] == uses(fact)


@pytest.mark.parametrize("when, units", [(at(1, 9), 0), (at(1, 10), 7), (at(4, 1) - 1, 7), (at(4, 1), 0)])
def test_a_lot_is_active_from_its_time_to_before_its_end(when: int, units: int) -> None:
    assert units == available(pair().apply(grant("g1", grants(7, at(1, 10), at(4, 1)), at=at(1, 1))), when)


def test_a_lot_is_not_active_before_it_was_granted() -> None:
    where = pair().apply(grant("g1", grants(7, at(1, 1)), at=at(1, 10)))

    assert (0, 7) == (available(where, at(1, 10) - 1), available(where, at(1, 10)))


def test_what_is_missing_is_told_by_leg_and_asset() -> None:
    where = pair().apply(grant("g1", grants(7), at=at(1, 1)))

    rejected = refusal(where, record("x1", goods(), redeems(8), at=at(2, 1), path="exchange"))

    assert ("LOT_INSUFFICIENT", ["exchange.legs[1].amount.units"]) == (told(rejected), fields(rejected))
    assert {"asset": "PT/0", "available": "7"} == rejected.metadata


def test_points_of_another_asset_are_others() -> None:
    where = pair()
    where.policy.assets["MILES/0"] = where.policy.assets["PT/0"]
    where.apply(grant("g1", grants(7), grants(5, asset="MILES/0"), at=at(1, 1)))

    assert (7, 5) == (available(where, at(2, 1)), available(where, at(2, 1), "MILES/0"))
    (fact,) = where.decide(record("x1", redeems(7), goods(), redeems(2, "MILES/0"), redeems(3, "MILES/0"), at=at(2, 1)))
    assert [(1, "g1", 1, 7), (3, "g1", 2, 2), (4, "g1", 2, 3)] == uses(fact)


def test_a_later_leg_finds_what_an_earlier_one_leaves() -> None:
    where = pair().apply(grant("g1", grants(7, None, at(6, 1)), at=at(1, 1))).apply(grant("g2", grants(5), at=at(1, 1)))

    (fact,) = where.decide(record("x1", redeems(6), redeems(4), goods(), at=at(2, 1)))
    assert [(1, "g1", 1, 6), (2, "g1", 1, 1), (2, "g2", 1, 3)] == uses(fact)
    rejected = refusal(where, record("x1", redeems(6), redeems(7), goods(), at=at(2, 1)))
    assert (["legs[1].amount.units"], "6") == (fields(rejected), rejected.metadata["available"])


def test_a_redemption_cannot_use_lots_of_its_own_exchange() -> None:
    where = pair()

    assert "LOT_INSUFFICIENT" == told(refusal(where, record("x1", redeems(5), grants(5), at=at(1, 1))))
    where.apply(grant("g1", grants(5), at=at(1, 1)))
    assert [("g1", 5)] == used(where, record("x1", redeems(5), grants(5), at=at(1, 1)))


def test_a_redemption_at_the_clock_and_one_slightly_ahead_use_what_is_active_now() -> None:
    where = Pair().apply(grant("g1", grants(5, NOW), at=NOW - 9)).apply(grant("g2", grants(5, NOW + 1), at=NOW - 9))

    assert [[("g1", 5)]] * 2 == [used(where, redeem("x1", 5, when)) for when in (None, NOW + TOLERANCE)]
    assert "LOT_INSUFFICIENT" == told(refusal(where, redeem("x1", 6, None)))


def test_a_use_costs_the_same_however_often_the_lot_was_used_before() -> None:
    lot = Lot("g1", 1, "PT/0", 10_000, 0, END_OF_TIME, 1)
    book = LotBook()
    book.grant(lot)
    for time in range(5_000):
        book.use(Use("g1", 1, 1), time)
    looked_at = CountedSteps(lot.steps)
    lot.steps = looked_at

    assert 5_000 == lot.available(5_000)
    book.use(Use("g1", 1, 1), 5_000)

    assert looked_at.walks == 0


class CountedSteps(list[tuple[int, int]]):
    """Steps of a lot that count how often all of them are looked at."""

    walks = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        self.walks += 1
        return super().__iter__()


# --- At every time ---------------------------------------------------------------------------------------------------


def test_a_backdated_use_cannot_spend_what_was_used_since() -> None:
    where = pair().apply(grant("g1", grants(10), at=at(1, 1))).apply(redeem("x1", 7, at(3, 1)))

    assert (3, 3) == (available(where, at(2, 1)), available(where, at(4, 1)))
    assert [("g1", 3)] == used(where, redeem("x2", 3, at(2, 1)))


def test_what_was_restored_later_is_not_there_before() -> None:
    where = pair().apply(grant("g1", grants(10), at=at(1, 1))).apply(redeem("x1", 10, at(3, 1)))
    where.apply(reverse("x1", at=at(5, 1)))

    assert [0, 0, 0, 10] == [available(where, when) for when in (at(2, 1), at(3, 1), at(5, 1) - 1, at(5, 1))]


def test_restored_at_the_original_it_was_never_used() -> None:
    where = pair().apply(grant("g1", grants(10), at=at(1, 1))).apply(redeem("x1", 10, at(3, 1))).apply(reverse("x1"))

    assert [10, 10, 10] == [available(where, when) for when in (at(2, 1), at(3, 1), at(5, 1))]


def test_a_late_redemption_may_use_a_lot_that_has_ended_since() -> None:
    where = pair().apply(grant("g1", grants(10, None, at(4, 1)), at=at(1, 1)))

    assert [("g1", 10)] == used(where, redeem("x1", 10, at(4, 1) - 1))
    assert "LOT_INSUFFICIENT" == told(refusal(where, redeem("x1", 1, at(4, 1))))


def test_units_of_an_ended_lot_lapse_when_they_are_restored_and_do_not_come_back_for_the_past() -> None:
    where = pair().apply(grant("g1", grants(10, None, at(4, 1)), at=at(1, 1))).apply(redeem("x1", 10, at(2, 1)))
    where.apply(reverse("x1", at=at(4, 10)))

    assert [0, 0, 0] == [available(where, when) for when in (at(1, 15), at(3, 1), at(4, 10))]


def test_the_worked_example_of_lots() -> None:
    """reciprocity.md 11.5."""
    where = pair()
    where.apply(grant("L1", grants(300, at(1, 10), at(4, 1)), at=at(1, 10)))
    where.apply(grant("L2", grants(500, at(2, 1), at(7, 1)), at=at(2, 1)))

    assert [("L1", 250)] == used(where, redeem("r1", 250, at(3, 15)))
    where.apply(redeem("r1", 250, at(3, 15)))
    assert [("L1", 50), ("L2", 70)] == used(where, redeem("r2", 120, at(3, 20)))
    where.apply(redeem("r2", 120, at(3, 20))).apply(reverse("r1", at=at(4, 10)))

    assert [0, 430, 430, 0] == [available(where, when) for when in (at(1, 31), at(3, 16), at(4, 11), at(7, 1))]
    assert "LOT_INSUFFICIENT" == told(refusal(where, redeem("r3", 431, at(4, 11))))
    # Taken back at its time instead, r1 would leave its units for the redemptions of March.
    assert [("L1", 250), ("L2", 180)] == used(back_at_original(), redeem("r3", 430, at(3, 25)))


def back_at_original() -> Pair:
    where = pair().apply(grant("L1", grants(300, None, at(4, 1)), at=at(1, 10)))
    where.apply(grant("L2", grants(500, None, at(7, 1)), at=at(2, 1))).apply(redeem("r1", 250, at(3, 15)))
    return where.apply(redeem("r2", 120, at(3, 20))).apply(reverse("r1"))


# --- Pending grants --------------------------------------------------------------------------------------------------


def test_pending_points_become_a_lot_when_they_are_posted_as_far_as_they_are() -> None:
    where = pair().apply(record("g1", pays(), grants(10), at=at(1, 1), until=at(3, 1)))
    assert 0 == available(where, at(2, 15))

    where.apply(post("g1", 1177, 6, at=at(2, 1)))

    assert [0, 6, 6] == [available(where, when) for when in (at(1, 15), at(2, 1), at(5, 1))]


def test_points_posted_in_no_units_are_no_lot() -> None:
    where = pair().apply(record("g1", pays(), goods(), grants(10), at=at(1, 1), until=at(3, 1)))
    where.apply(post("g1", 1177, 1, 0, at=at(2, 1)))

    assert () == where.exchanges.lots.granted_by("g1")


def test_points_posted_after_their_end_lapse_at_once() -> None:
    where = pair().apply(record("g1", pays(), grants(10, None, at(1, 15)), at=at(1, 1), until=at(3, 1)))

    where.apply(post("g1", at=at(2, 1)))

    assert [0, 0, 0] == [available(where, when) for when in (at(1, 10), at(2, 1), at(5, 1))]
    assert 1 == len(where.decide(reverse("g1")))


def test_of_equal_lots_the_one_posted_first_is_used_first() -> None:
    where = pair().apply(record("g1", pays(), grants(10), at=at(1, 1), until=at(3, 1)))
    where.apply(grant("g2", grants(10), at=at(2, 1))).apply(post("g1", at=at(2, 1)))

    assert [("g2", 10), ("g1", 1)] == used(where, redeem("x1", 11, at(2, 1)))


# --- Reversals of grants ---------------------------------------------------------------------------------------------


def test_an_unused_grant_is_taken_back_and_its_points_are_gone_at_every_time() -> None:
    where = pair().apply(grant("g1", grants(10), at=at(1, 1))).apply(reverse("g1", at=at(3, 1)))

    assert [0, 0] == [available(where, when) for when in (at(2, 1), at(4, 1))]


def consumed() -> Pair:
    where = pair().apply(record("g1", pays(), goods(), grants(10), at=at(1, 1)))
    return where.apply(redeem("x1", 4, at(2, 1)))


@pytest.mark.parametrize("when", [None, at(1, 15), at(2, 1), at(3, 1)])
def test_a_grant_of_which_something_is_used_is_not_taken_back(when: int | None) -> None:
    rejected = refusal(consumed(), reverse("g1", at=when, path="reversal"))

    assert ("LOT_CONSUMED", ["reversal.take_remaining_points"]) == (told(rejected), fields(rejected))
    assert {"used": "4", "last_use_time": text(at(2, 1))} == rejected.metadata


@pytest.mark.parametrize("when, accepted", [(None, False), (at(2, 1) - 1, False), (at(2, 1), True), (at(3, 1), True)])
def test_what_remains_is_taken_when_asked_not_before_the_last_use(when: int | None, accepted: bool) -> None:
    where, step = consumed(), reverse("g1", at=when, take_remaining_points=True)

    if not accepted:
        assert "LOT_CONSUMED" == told(refusal(where, step))
        return
    assert 0 == available(where.apply(step), at(5, 1))
    assert 0 == where.exchanges.quantities()[0].given


def test_what_was_restored_by_then_does_not_stand_in_the_way() -> None:
    where = consumed().apply(reverse("x1", at=at(3, 1)))

    assert "LOT_CONSUMED" == told(refusal(where, reverse("g1", "r2", at=at(3, 1) - 1)))
    assert 1 == len(where.decide(reverse("g1", "r2", at=at(3, 1))))


def test_the_last_use_counts_though_it_was_reversed() -> None:
    where = consumed().apply(redeem("x2", 1, at(4, 1))).apply(reverse("x2", "r2"))

    step = reverse("g1", "r3", at=at(3, 1), take_remaining_points=True)

    assert ("LOT_CONSUMED", text(at(4, 1))) == (
        told(refusal(where, step)),
        refusal(where, step).metadata["last_use_time"],
    )


def test_a_restoration_after_the_grant_is_taken_back_restores_nothing() -> None:
    where = consumed().apply(reverse("g1", "r1", at=at(3, 1), take_remaining_points=True))

    where.apply(reverse("x1", "r2", at=at(4, 1)))

    assert [0, 0] == [available(where, when) for when in (at(2, 15), at(5, 1))]


def test_the_flag_is_part_of_a_reversals_content() -> None:
    where = consumed().apply(reverse("g1", at=at(3, 1), take_remaining_points=True))

    assert () == where.decide(reverse("g1", at=at(3, 1), take_remaining_points=True))
    assert "take_remaining_points" == refusal(where, reverse("g1", at=at(3, 1))).metadata["field"]


def test_one_exchange_may_pay_in_points_and_money_and_grant_new_ones() -> None:
    where = pair().apply(grant("g1", grants(10), at=at(1, 1)))
    where.apply(record("x1", redeems(10), pays(500), goods(2), grants(5), at=at(2, 1)))
    assert 5 == available(where, at(3, 1))

    where.apply(reverse("x1"))

    assert 10 == available(where, at(3, 1))
    again = record("x2", redeems(6), pays(900), goods(2), grants(9), at=at(2, 1), replaces="x1")
    assert [("g1", 6)] == used(where, again)
    totals = {(each.category, each.asset): each.given for each in where.apply(again).exchanges.quantities()}
    assert (900, 6, 19) == (
        totals[x.CATEGORY_MONEY_PAYMENT, "EUR/2"],
        totals[x.CATEGORY_POINTS_REDEEM, "PT/0"],
        totals[x.CATEGORY_POINTS_GRANT, "PT/0"],
    )


def test_reversing_refuses_early_times_before_consumed_lots_and_those_before_future_ones() -> None:
    where = consumed()

    def reason(when: int) -> str:
        return told(refusal(where, reverse("g1", at=when, expected_version=9)))

    assert ["REVERSAL_BEFORE_ORIGINAL", "LOT_CONSUMED"] == [
        reason(at(1, 1) - 1),
        reason(LATER + 10 * TOLERANCE),
    ]


def test_a_lot_is_named_by_leg_whoever_else_gives_in_the_exchange() -> None:
    where = pair().apply(record("g1", goods(), pays(), grants(3), grants(4), at=at(1, 1)))

    (fact,) = where.decide(record("x1", goods(), redeems(5), at=at(2, 1)))

    assert [(2, "g1", 3, 3), (2, "g1", 4, 2)] == uses(fact)
    assert [ORGANIZATION, CUSTOMER] == [each.giver for each in fact.event.legs]  # type: ignore[attr-defined]
