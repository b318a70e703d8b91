"""Preferential repurchase: repeats without an incentive against all there could have been (relationship.md 6)."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.measure.results import PreferenceMeasure
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, StrengthRules
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE
from tests.balance_facts import CUSTOMER, ORGANIZATION, leg
from tests.contact_histories import DAY
from tests.measured_histories import START, MeasuredHistory, acted

LATER = START + 1000 * DAY
DISCOUNT, REDEEM, GRANT = x.CATEGORY_DISCOUNT, x.CATEGORY_POINTS_REDEEM, x.CATEGORY_POINTS_GRANT


def bought(*incentivised: bool | None) -> MeasuredHistory:
    """Return a history of purchases, one a day; None: nobody said whether it had an incentive."""
    history = MeasuredHistory()
    for day, said in enumerate(incentivised):
        history.add(purchase(said), START + day * DAY)
    return history


def purchase(said: bool | None = None, **values: Any) -> i.InteractionRecorded:
    event = acted("PURCHASE", **values)
    if said is not None:
        event.incentivised = said
    return event


def order(exchange_id: str, category: x.Category.ValueType, order_id: str = "o") -> x.ExchangeRecorded:
    """Return an exchange of an order: money against goods, with a leg of a category."""
    giver = CUSTOMER if category == REDEEM else ORGANIZATION
    asset = "PTS/0" if category in {REDEEM, GRANT} else "EUR/2"
    legs = [leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 10, "EUR/2"), leg(ORGANIZATION, x.CATEGORY_GOODS, 12, "EUR/2")]
    return x.ExchangeRecorded(exchange_id=exchange_id, cause_ref=order_id, legs=[*legs, leg(giver, category, 2, asset)])


def preference(history: MeasuredHistory, **more: Any) -> PreferenceMeasure:
    return history.measured(LATER, **more).preference


def of(found: PreferenceMeasure) -> tuple[int, int, int]:
    """Return repeats, those without incentive, and purchases elsewhere."""
    return found.repeats, found.unincentivised, found.elsewhere


# The examples of the page.


def test_six_purchases_two_incentives_and_one_elsewhere_are_375000() -> None:
    history = bought(False, False, True, True, False, False)
    history.add(acted("PURCHASE_ELSEWHERE"), START + 7 * DAY)

    found = preference(history)

    assert (5, 3, 1) == of(found)
    assert (375_000, 400_000) == (found.preference.ppm, found.incentivised_share.ppm)
    assert (2, 3, 4, 5, 6, 7) == found.evidence


def test_who_only_bought_at_a_discount_prefers_nothing() -> None:
    found = preference(bought(*[True] * 21))

    assert (20, 0, 0) == of(found)
    assert (0, 1_000_000) == (found.preference.ppm, found.incentivised_share.ppm)


@pytest.mark.parametrize("purchases", [0, 1])
def test_without_an_occasion_to_buy_again_it_is_not_known(purchases: int) -> None:
    found = preference(bought(*[False] * purchases))

    assert UNKNOWN_REASON_NO_EVIDENCE == found.preference.unknown == found.incentivised_share.unknown


def test_buying_elsewhere_is_an_occasion_and_no_repeat() -> None:
    history = bought(False)
    history.add(acted("PURCHASE_ELSEWHERE"), START + DAY)

    found = preference(history)

    assert (0, 0, 1) == of(found)
    assert (0, None) == (found.preference.ppm, found.preference.unknown)
    assert UNKNOWN_REASON_NO_EVIDENCE == found.incentivised_share.unknown


def test_the_prior_is_that_of_the_policy() -> None:
    bold = RelationshipPolicy(strength=StrengthRules(preference_prior=1))

    assert 500_000 == preference(bought(False, False), under=bold).preference.ppm


# What never moves it the wrong way.


@pytest.mark.parametrize("base", [(False, False), (True, False, None), (False, True, True, False)])
def test_an_incentivised_repeat_never_raises_it_and_another_never_lowers_it(base: tuple[bool | None, ...]) -> None:
    plain = preference(bought(*base)).preference.ppm

    assert plain >= preference(bought(*base, True)).preference.ppm
    assert plain <= preference(bought(*base, False)).preference.ppm


def test_the_first_purchase_is_dropped_whatever_its_incentive() -> None:
    assert of(preference(bought(False, False))) == of(preference(bought(True, False)))


def test_a_purchase_that_happened_first_is_the_first_however_late_it_was_heard_of() -> None:
    history = bought(False, True)
    history.add(purchase(said=True), START - DAY, recorded=START + 2 * DAY)

    found = preference(history)

    assert (2, 1, 0) == of(found)
    assert (1, 2) == found.evidence


# Returns.


def returned(position: int, **values: Any) -> i.InteractionRecorded:
    return acted("RETURN", refers_to=position, **values)


@pytest.mark.parametrize("which", [1, 2, 3])
def test_returning_equals_never_having_bought(which: int) -> None:
    said = [False, True, False]
    history = bought(*said)
    history.add(returned(which), START + 5 * DAY)

    never = bought(*(each for place, each in enumerate(said, start=1) if place != which))

    assert of(preference(never)) == of(preference(history))


def test_a_partial_return_returns_nothing_and_two_full_ones_no_more_than_one() -> None:
    history = bought(False, False, False)
    history.add(returned(2, partial=True), START + 5 * DAY)
    partly = preference(history)
    first = history.add(returned(2), START + 6 * DAY)
    second = history.add(returned(2), START + 7 * DAY)
    twice = preference(history)
    history.add(i.InteractionRetracted(original_position=first), START + 8 * DAY)
    once = preference(history)
    history.add(i.InteractionRetracted(original_position=second), START + 9 * DAY)

    assert (2, 2, 0) == of(partly) == of(preference(history))
    assert (1, 1, 0) == of(twice) == of(once)


def test_a_return_that_names_no_purchase_before_it_returns_nothing() -> None:
    history = bought(False, False)
    history.add(returned(4), START + 5 * DAY)
    history.add(purchase(), START + 6 * DAY)
    history.add(returned(3), START + 7 * DAY)
    history.add(returned(0), START + 7 * DAY)

    assert (2, 2, 0) == of(preference(history))


def test_a_return_follows_the_purchase_through_its_corrections() -> None:
    history = bought(False, False, False)
    correction = history.add(
        i.InteractionCorrected(original_position=2, replacement=purchase(said=True)), START + DAY, recorded=LATER - 9
    )
    history.add(returned(correction), LATER - 8)

    whole = preference(history)
    history.add(i.InteractionCorrected(original_position=2, replacement=acted("VISIT")), START, recorded=LATER - 7)
    visit = preference(history)
    history.add(i.InteractionCorrected(original_position=2, replacement=purchase()), START, recorded=LATER - 6)

    assert (1, 1, 0) == of(whole) == of(visit) == of(preference(history))


def test_a_retracted_purchase_is_none() -> None:
    history = bought(False, True, False)
    history.add(i.InteractionRetracted(original_position=2), START + 5 * DAY)

    assert (1, 1, 0) == of(preference(history))


def test_what_is_sold_to_the_customer_outbound_is_no_act_of_theirs() -> None:
    history = bought(False)
    history.add(purchase(direction=i.DIRECTION_OUTBOUND), START + DAY)

    assert (0, 0, 0) == of(preference(history))


# Incentives by the legs of the order.


@pytest.mark.parametrize("category, incentive", [(DISCOUNT, True), (REDEEM, True), (GRANT, False)])
@pytest.mark.parametrize("exchange_first", [False, True])
def test_a_discount_or_points_redeemed_incite_and_points_earned_do_not(
    category: x.Category.ValueType, incentive: bool, exchange_first: bool
) -> None:
    history = bought(False)
    events = [purchase(order_id="o"), order("e", category)]
    for event in reversed(events) if exchange_first else events:
        history.add(event, START + DAY)

    assert (1, 0 if incentive else 1, 0) == of(preference(history))


def test_what_the_caller_said_goes_before_the_legs() -> None:
    history = bought(False)
    history.add(purchase(said=False, order_id="o"), START + DAY)
    history.add(order("e", DISCOUNT), START + DAY)

    assert (1, 1, 0) == of(preference(history))


def test_a_policy_may_leave_the_legs_alone() -> None:
    history = bought(False)
    history.add(purchase(order_id="o"), START + DAY)
    history.add(order("e", DISCOUNT), START + DAY)
    plain = RelationshipPolicy(strength=StrengthRules(incentive_by_legs=False))

    assert (1, 1, 0) == of(preference(history, under=plain))
    assert (1, 0, 0) == of(preference(history))


def test_the_discount_of_another_order_or_of_none_incites_nothing() -> None:
    history = bought(False, None)
    history.add(purchase(order_id="mine"), START + 2 * DAY)
    history.add(order("e", DISCOUNT, "other"), START + 2 * DAY)
    history.add(order("f", DISCOUNT, ""), START + 2 * DAY)

    assert (2, 2, 0) == of(preference(history))


def test_an_incentive_lasts_as_long_as_one_of_its_exchanges_stands() -> None:
    history = bought(False)
    history.add(purchase(order_id="o"), START + DAY)
    history.add(purchase(order_id="o"), START + DAY)
    history.add(order("e", DISCOUNT), START + DAY)
    history.add(order("f", REDEEM), START + DAY)

    history.add(x.ExchangeReversed(exchange_id="e", reversal_id="r1"), START + 2 * DAY)
    one = preference(history)
    history.add(x.ExchangeReversed(exchange_id="e", reversal_id="r1"), START + 3 * DAY)
    again = preference(history)
    history.add(x.ExchangeReversed(exchange_id="f", reversal_id="r2"), START + 4 * DAY)

    assert (2, 0, 0) == of(one) == of(again)
    assert (2, 2, 0) == of(preference(history))


def test_a_pending_discount_incites_once_it_is_posted() -> None:
    history = bought(False)
    history.add(purchase(order_id="o"), START + DAY)
    pending = order("e", DISCOUNT)
    pending.pending_until.FromMicroseconds(START + 9 * DAY)
    history.add(pending, START + DAY)
    before = preference(history)
    history.add(x.ExchangePosted(exchange_id="e", units=[10, 12, 2]), START + 2 * DAY)

    assert (1, 1, 0) == of(before)
    assert (1, 0, 0) == of(preference(history))


@pytest.mark.parametrize(
    "end", [x.ExchangePosted(exchange_id="e", units=[10, 12, 0]), x.ExchangeVoided(exchange_id="e")]
)
def test_a_discount_that_was_never_posted_incites_nothing(end: x.ExchangePosted | x.ExchangeVoided) -> None:
    history = bought(False)
    history.add(purchase(order_id="o"), START + DAY)
    pending = order("e", DISCOUNT)
    pending.pending_until.FromMicroseconds(START + 9 * DAY)
    history.add(pending, START + DAY)
    history.add(end, START + 2 * DAY)

    assert (1, 1, 0) == of(preference(history))


def test_what_happened_after_the_instant_is_not_seen() -> None:
    history = bought(False)
    history.add(purchase(order_id="o"), START + DAY)
    history.add(order("e", DISCOUNT), START + 2 * DAY)
    history.add(x.ExchangeReversed(exchange_id="e", reversal_id="r"), START + 3 * DAY)
    history.add(returned(2), START + 4 * DAY)
    history.add(acted("PURCHASE_ELSEWHERE"), START + 5 * DAY)

    found = [of(history.measured(START + n * DAY, until=START + n * DAY).preference) for n in range(6)]

    assert [(0, 0, 0), (1, 1, 0), (1, 0, 0), (1, 1, 0), (0, 0, 0), (0, 0, 1)] == found


def test_the_first_purchase_is_remembered_though_it_was_returned() -> None:
    history = bought(False, False)
    history.add(returned(1), START + 5 * DAY)
    buying = history.measured(LATER).record.acts.buying

    assert (True, START) == (buying.ever(), buying.first_time())
    history.add(i.InteractionRetracted(original_position=1), START + 6 * DAY)
    assert START + DAY == history.measured(LATER).record.acts.buying.first_time()
    assert MeasuredHistory().measured(LATER).record.acts.buying.first_time() is None
