"""Which legs count in a view, and why the others do not (reciprocity.md 3 and 8, settled.md 30 and 31)."""

from __future__ import annotations

import pytest

from ledger.balance.book import Book
from ledger.balance.quantities import quantities_of
from ledger.balance.view import DAY, BalanceView
from ledger.balance.viewed import (
    AFTER_AS_OF,
    EXPIRED,
    OUTSIDE_WINDOW,
    PENDING,
    POINTS_LEG,
    REVERSED,
    SELECTED,
    UNVALUED,
    VOIDED,
    ViewedLeg,
    legs_in_view,
)
from rapport.events.v1 import exchange_pb2 as x
from tests.balance_facts import CUSTOMER, ORGANIZATION, Facts, book_of, grant, leg, opinion, policy, rule

NOW = 100 * DAY
GIFT = {"one_sided": x.ONE_SIDED_GIFT}
PAID = leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 5, "EUR/2")
GOODS = leg(ORGANIZATION, x.CATEGORY_GOODS, 7, "EUR/2")
DISC = leg(ORGANIZATION, x.CATEGORY_GOODS, 1, "CD/0")
RATES = policy(1, rule(CUSTOMER, CUSTOMER, "", "EUR/2", 3, 2, 4), rule(CUSTOMER, ORGANIZATION, "GOODS", "EUR/2", 10))


def seen(facts: Facts, at: int = NOW, start: int | None = None, end: int | None = None) -> list[ViewedLeg]:
    return legs_in_view(facts.book(), opinion(RATES, at=at), BalanceView(at, CUSTOMER, start, end))


def reasons(facts: Facts, at: int = NOW, start: int | None = None, end: int | None = None) -> list[int]:
    return [each.reason for each in seen(facts, at, start, end)]


def test_a_leg_counts_from_its_instant_on() -> None:
    facts = Facts()
    facts.record("x1", PAID, GOODS, at=NOW)

    assert [SELECTED] * 2 == reasons(facts)
    assert [AFTER_AS_OF] * 2 == reasons(facts, NOW - 1)
    assert [OUTSIDE_WINDOW] * 2 == reasons(facts, NOW + 1, start=NOW)
    assert [OUTSIDE_WINDOW] * 2 == reasons(facts, NOW + 1, end=NOW - 1)


def test_a_selected_leg_says_what_it_is_worth() -> None:
    facts = Facts()
    facts.record("x1", PAID, GOODS, at=NOW - 1, position=4, recorded=NOW)

    paid, goods = seen(facts)

    assert ("x1", 1, CUSTOMER, 1, 5, "EUR/2", NOW - 1, 4, NOW, 0, "") == paid[:11]
    assert (15, 10, 20, False) == (paid.value, paid.low, paid.high, paid.got(CUSTOMER))
    assert (2, 70, 70, 70, True) == (goods.leg_no, goods.value, goods.low, goods.high, goods.got(CUSTOMER))
    assert paid.valuation is not None
    assert (1, 1_000_000, 0, 0) == (paid.valuation.version, paid.weight, paid.reversal_position, paid.reversal_time)


def test_a_leg_without_a_rule_is_unvalued_and_one_of_points_is_points() -> None:
    facts = Facts()
    facts.record("x1", PAID, DISC, grant(3), at=NOW)

    assert [SELECTED, UNVALUED, POINTS_LEG] == reasons(facts)
    assert [15, 0, 0] == [each.value for each in seen(facts)]


def test_a_reversal_counts_from_its_time_on_and_is_known_before() -> None:
    facts = Facts()
    facts.record("x1", PAID, DISC, at=NOW - 5)
    facts.reverse("x1", at=NOW, position=9)

    assert [SELECTED, UNVALUED] == reasons(facts, NOW - 1)
    assert [REVERSED] * 2 == reasons(facts)
    assert [OUTSIDE_WINDOW] * 2 == reasons(facts, end=NOW - 6)
    assert {(9, NOW)} == {(each.reversal_position, each.reversal_time) for each in seen(facts, NOW - 1)}


def test_a_reversal_at_the_original_time_leaves_nothing_at_any_time() -> None:
    facts = Facts()
    facts.record("x1", PAID, GOODS, at=NOW - 5)
    facts.reverse("x1")

    assert [AFTER_AS_OF] * 2 == reasons(facts, NOW - 6)
    assert [REVERSED] * 2 == reasons(facts, NOW - 5)


def hold() -> Facts:
    facts = Facts()
    facts.record("h", PAID, GOODS, DISC, at=NOW - 9, pending_until=NOW - 1, position=2)
    return facts


@pytest.mark.parametrize(
    "at, reason", [(NOW - 10, AFTER_AS_OF), (NOW - 9, PENDING), (NOW - 2, PENDING), (NOW - 1, EXPIRED), (NOW, EXPIRED)]
)
def test_a_hold_that_nobody_resolves_expires(at: int, reason: int) -> None:
    assert [reason] * 3 == reasons(hold(), at)
    assert [reason] * 3 == reasons(hold(), at, end=NOW - 20)  # Windows are asked only of what took effect.


def test_a_voided_hold_is_pending_until_then() -> None:
    facts = hold()
    facts.void("h", at=NOW - 5)

    assert [PENDING] * 3 == reasons(facts, NOW - 6)
    assert [VOIDED] * 3 == reasons(facts, NOW - 5)
    assert [VOIDED] * 3 == reasons(facts, NOW)


def test_of_a_posted_hold_a_leg_with_nothing_posted_is_voided() -> None:
    facts = hold()
    facts.post("h", [2, 0, 1], at=NOW - 5, position=6, recorded=NOW)

    goods, paid, disc = seen(facts)  # The voided leg stays where the exchange was.

    assert (VOIDED, 7, NOW - 9, 2) == (goods.reason, goods.units, goods.effective_time, goods.position)
    assert (SELECTED, 2, NOW - 5, 6, NOW) == (paid.reason, paid.units, *paid[6:9])
    assert (UNVALUED, 1, 3) == (disc.reason, disc.units, disc.leg_no)
    assert [PENDING] * 3 == reasons(facts, NOW - 6)
    assert [5, 7, 1] == [each.units for each in seen(facts, NOW - 6)]


def test_one_sidedness_is_the_postings() -> None:
    facts = hold()
    facts.post("h", [2, 0, 0], at=NOW - 5, one_sided=x.ONE_SIDED_UNOBSERVED)

    assert [(2, 0), (3, 0), (1, x.ONE_SIDED_UNOBSERVED)] == [(each.leg_no, each.one_sided) for each in seen(facts)]


def test_a_posted_hold_is_reversed_as_far_as_it_was_posted() -> None:
    facts = hold()
    facts.post("h", [2, 0, 1], at=NOW - 5)
    facts.reverse("h", at=NOW - 3)

    assert [PENDING] * 3 == reasons(facts, NOW - 6)
    assert [VOIDED, SELECTED, UNVALUED] == reasons(facts, NOW - 4)
    assert [VOIDED, REVERSED, REVERSED] == reasons(facts, NOW - 3)


def test_legs_come_by_effective_time_position_and_number() -> None:
    facts = Facts()
    facts.record("late", PAID, GOODS, at=NOW)
    facts.record("early", PAID, GOODS, at=NOW - 1)
    facts.record("also", PAID, GOODS, at=NOW)

    assert [("early", 1), ("early", 2), ("late", 1), ("late", 2), ("also", 1), ("also", 2)] == [
        (each.exchange_id, each.leg_no) for each in seen(facts)
    ]


def test_weights_go_by_days_and_nothing_is_older_than_new() -> None:
    facts = Facts()
    facts.record("x1", PAID, at=NOW + 3 * DAY, **GIFT)
    facts.record("x2", PAID, at=NOW - 1, **GIFT)
    view = BalanceView(NOW, CUSTOMER, half_life_days=1)

    weights = [each.weight for each in legs_in_view(facts.book(), opinion(RATES, at=NOW), view)]

    assert [500_000, 1_000_000] == weights


def test_a_fact_of_another_subject_moves_the_version_and_the_last_position() -> None:
    facts = Facts()
    facts.record("x1", PAID, GOODS, at=NOW, position=5)
    facts.add("subject.of_another_kind.v1", x.ExchangeVoided(exchange_id="x1"), NOW, position=8)

    book = facts.book()

    assert (2, 8, 2) == (book.version, book.last_position, book.legs)
    assert (0, 0, 0) == (Book().version, Book().last_position, Book().legs)


def test_what_a_fact_cannot_mean_passes_without_effect() -> None:
    facts = hold()
    facts.post("h", [2, 0, 1], at=NOW - 5)
    before = seen(facts)
    facts.post("h", [5, 7, 1], at=NOW - 4)
    facts.void("h", at=NOW - 4)
    facts.record("h", GOODS, at=NOW - 4, **GIFT)
    facts.effective["unknown"] = NOW
    facts.reverse("unknown")
    facts.post("unknown", [1], at=NOW)

    assert before == [each._replace(valuation=before[0].valuation) for each in seen(facts)]
    facts.reverse("h", at=NOW - 3)
    facts.reverse("h", at=NOW - 1)
    assert {NOW - 3} == {each.reversal_time for each in seen(facts)}


def test_a_pending_exchange_is_not_reversed() -> None:
    facts = hold()
    facts.reverse("h")

    assert [EXPIRED] * 3 == reasons(facts)
    assert book_of(facts.facts).exchanges["h"].reversal_position == 0


def test_a_reversal_never_takes_back_what_is_not_there_yet() -> None:
    facts = Facts()
    facts.record("x1", PAID, GOODS, at=NOW - 5)
    facts.reverse("x1", at=NOW - 9)  # No decision records it.

    assert [AFTER_AS_OF] * 2 == reasons(facts, NOW - 6)
    assert [REVERSED] * 2 == reasons(facts, NOW - 5)
    assert {NOW - 5} == {each.reversal_time for each in seen(facts)}
    assert () == quantities_of(facts.book(), NOW - 6)
