"""Gates 10 to 12: is it a good moment, do they gain at least as much as they give, is it worth their time?"""

from __future__ import annotations

from typing import Any

import pytest

from ledger.contact.finding import ADVISE, DEFER, FAIL, NOT_ASKED, PASS, PASSED, Finding
from ledger.contact.gates import pacing, reciprocity, waste
from ledger.contact.gates.waste import Attention, social_breakeven
from ledger.domain.contact_policy import filled
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import valuation_pb2 as v
from rapport.type.v1.amount_pb2 import Amount
from tests.balance_facts import CUSTOMER, ORGANIZATION, leg, policy, rule
from tests.contact_histories import DAY, HOUR, MINUTE, SECOND, History, did, instant, moment, question, sent

T = moment("2026-05-01T12:00Z")
MIDNIGHT = moment("2026-05-02")
MARKETING, SERVICE, TRANSACTIONAL = i.MESSAGE_CLASS_MARKETING, i.MESSAGE_CLASS_SERVICE, i.MESSAGE_CLASS_TRANSACTIONAL
COMMUNITY, SURVEY = i.MESSAGE_CLASS_COMMUNITY, i.MESSAGE_CLASS_SURVEY
VOICE, WEB = i.CHANNEL_VOICE_LIVE, i.CHANNEL_WEB
PAID, SERVED, ATTENTION = x.CATEGORY_MONEY_PAYMENT, x.CATEGORY_SERVICE_SUPPORT, x.CATEGORY_ATTENTION


def asked(gate: Any, history: History, at: int | str = T, **values: Any) -> Finding:
    found: Finding = gate(history.picture(at), question(**values), instant(at))
    return found


def because(name: str) -> d.DecisionReason.ValueType:
    return d.DecisionReason.Value(f"DECISION_REASON_{name}")


def under(**values: Any) -> History:
    """Return a history under a contact policy."""
    history = History()
    history.publish(p.ContactPolicy(version=1, **values))
    return history


def sent_daily(history: History, count: int, **values: Any) -> list[int]:
    """Record messages, the last a day before T."""
    return [history.add(sent(**values), T - days * DAY) for days in range(count, 0, -1)]


# Gate 10.


def test_the_fifth_unanswered_solicitation_stops_the_sixth_and_the_fourth_does_not() -> None:
    history = History()
    positions = sent_daily(history, 4)
    assert asked(pacing.gate, history) == PASSED
    positions.append(history.add(sent(), T - HOUR))

    found = asked(pacing.gate, history)

    evidence, changes_at = tuple(positions), T - 4 * DAY + 180 * DAY
    reason = because("UNANSWERED_STREAK")
    assert found == Finding(FAIL, reason, evidence, changes_at=changes_at, policy_field="streak_max")
    assert asked(pacing.gate, history, changes_at - 1).result == FAIL
    assert asked(pacing.gate, history, changes_at) == PASSED


def test_the_streak_and_its_window_are_the_policys() -> None:
    history = under(streak_max=2, streak_window_days=10)
    first, second, third = (history.add(sent(), T - days * DAY) for days in (12, 9, 1))

    found = asked(pacing.gate, history)

    assert (FAIL, (second, third), T + DAY) == (found.result, found.evidence, found.changes_at)
    assert first not in found.evidence


@pytest.mark.parametrize(
    "act, ends",
    [
        (did("MESSAGE"), True),
        (did("REPLY"), True),
        (did("COMPLAINT"), True),
        (did("REPLY", initiator=i.INITIATOR_ORGANIZATION), False),
        (did("GREETING"), False),
        (did("PURCHASE"), False),
        (did("VIEW", direction=i.DIRECTION_OBSERVED), False),
        (did("MEETING", direction=i.DIRECTION_MUTUAL), True),
    ],
)
def test_what_the_customer_began_and_addressed_to_us_ends_a_streak(act: i.InteractionRecorded, ends: bool) -> None:
    history = History()
    sent_daily(history, 5)
    position = history.add(act, T - HOUR)
    history.add(i.InteractionRecorded(kind=i.INTERACTION_KIND_COMPLAINT_RESOLVED, refers_to=position), T - HOUR)

    assert (asked(pacing.gate, history) == PASSED) == ends


def test_answers_bounces_transactions_and_talks_do_not_lengthen_a_streak() -> None:
    history = History()
    query = history.add(did("QUESTION"), T - 9 * DAY)
    lost, *_ = sent_daily(history, 5)
    history.add(sent(in_reply_to=query), T - HOUR)
    history.add(i.InteractionRecorded(kind=i.INTERACTION_KIND_BOUNCED, refers_to=lost), T - HOUR)
    history.add(sent(message_class=TRANSACTIONAL), T - HOUR)
    history.add(sent(kind=i.INTERACTION_KIND_CALL, direction=i.DIRECTION_MUTUAL), T - HOUR)
    assert asked(pacing.gate, history) == PASSED

    follow_up = history.add(sent(in_reply_to=lost), T - HOUR)

    assert asked(pacing.gate, history).evidence[-1] == follow_up


def test_an_open_complaint_fails_until_it_is_resolved() -> None:
    history = History()
    first = history.add(did("COMPLAINT"), T - 9 * DAY)
    second = history.add(did("COMPLAINT"), T - 8 * DAY)
    assert asked(pacing.gate, history) == Finding(FAIL, because("COMPLAINT_OPEN"), (first, second))

    history.add(i.InteractionRecorded(kind=i.INTERACTION_KIND_COMPLAINT_RESOLVED, refers_to=first), T - DAY)

    assert asked(pacing.gate, history).evidence == (second,)


def test_a_begun_checkout_defers_for_half_an_hour_also_after_the_purchase() -> None:
    history = History()
    begun = history.add(did("CHECKOUT_STARTED"), T)
    history.add(did("PURCHASE"), T + MINUTE)
    end = T + 30 * MINUTE

    found = asked(pacing.gate, history, T + 2 * MINUTE)

    assert found == Finding(DEFER, because("CHECKOUT_OPEN"), (begun,), end, end, "checkout_seconds")
    assert asked(pacing.gate, history, end - 1).result == DEFER
    assert asked(pacing.gate, history, end) == PASSED


def test_the_streak_is_told_before_the_complaint_and_the_complaint_before_the_checkout() -> None:
    history = History()
    complaint = history.add(did("COMPLAINT"), T - 9 * DAY)
    history.add(did("CHECKOUT_STARTED"), T - MINUTE)
    assert asked(pacing.gate, history).evidence == (complaint,)
    for _ in range(5):
        history.add(sent(), T - MINUTE)

    assert asked(pacing.gate, history).reason == because("UNANSWERED_STREAK")


def test_what_is_due_is_not_asked_for_a_good_moment() -> None:
    history = History()
    history.add(did("COMPLAINT"), T)

    for message_class in (TRANSACTIONAL, SERVICE):
        assert asked(pacing.gate, history, message_class=message_class) == NOT_ASKED
    for message_class in (MARKETING, SURVEY, COMMUNITY):
        assert asked(pacing.gate, history, message_class=message_class).result == FAIL


# Gate 11.

EUROS = policy(
    1,
    rule(CUSTOMER, CUSTOMER, PAID, "EUR/2", 10_000_000),
    rule(CUSTOMER, ORGANIZATION, "", "EUR/2", 10_000_000),
    rule(CUSTOMER, CUSTOMER, ATTENTION, "SEC/0", 3_000_000),
)


def valued(policy: Any = EUROS, **contact_policy: Any) -> History:
    """Return a history in which euros are valued at their face, and seconds of attention."""
    history = under(**contact_policy)
    history.publish(v.ValuationPolicyPublished(policy=policy))
    return history


def exchanged(history: History, got: int, gave: int, at: int, name: str = "order-1") -> int:
    """Record an exchange, in cents."""
    legs = []
    if gave:
        legs.append(leg(CUSTOMER, PAID, gave, "EUR/2"))
    if got:
        legs.append(leg(ORGANIZATION, SERVED, got, "EUR/2"))
    return history.add(x.ExchangeRecorded(exchange_id=name, legs=legs), at)


def test_who_got_less_than_they_gave_is_a_reason_to_think_again() -> None:
    history = valued()
    position = exchanged(history, 800, 1_000, T - DAY)

    found = asked(reciprocity.gate, history)

    advice = Finding(
        ADVISE, because("CUSTOMER_GIVES_MORE"), (position,), changes_at=MIDNIGHT, policy_field="reciprocity_floor_ppm"
    )
    assert found == advice
    denying = valued(reciprocity_denies=True)
    exchanged(denying, 800, 1_000, T - DAY)
    assert asked(reciprocity.gate, denying).result == FAIL


@pytest.mark.parametrize("floor, result", [(799_999, PASS), (800_000, PASS), (800_001, ADVISE)])
def test_the_floor_itself_is_enough(floor: int, result: int) -> None:
    history = valued(reciprocity_floor_ppm=floor)
    exchanged(history, 800, 1_000, T - DAY)

    found = asked(reciprocity.gate, history)

    assert (result, MIDNIGHT) == (found.result, found.changes_at)


@pytest.mark.parametrize("days, result", [(10, PASS), (3_650, ADVISE)])
def test_recent_things_weigh_more(days: int, result: int) -> None:
    history = valued(reciprocity_half_life_days=days)
    exchanged(history, 0, 1_000, T - 20 * DAY)
    exchanged(history, 260, 0, T, "order-2")

    assert asked(reciprocity.gate, history).result == result


def test_what_is_not_known_passes() -> None:
    nobody_values = History()
    exchanged(nobody_values, 800, 1_000, T - DAY)
    nothing_given = valued()
    exchanged(nothing_given, 800, 0, T - DAY)
    values_nothing_there_is = valued(policy(1, rule(CUSTOMER, CUSTOMER, ATTENTION, "SEC/0", 1)))
    exchanged(values_nothing_there_is, 800, 1_000, T - DAY)

    assert asked(reciprocity.gate, History()) == PASSED
    assert asked(reciprocity.gate, nobody_values) == PASSED
    assert asked(reciprocity.gate, values_nothing_there_is) == PASSED
    assert asked(reciprocity.gate, nothing_given).result == PASS


def test_a_reversed_exchange_counts_no_more_and_one_dated_later_not_yet() -> None:
    history = valued()
    exchanged(history, 800, 1_000, T - DAY)
    history.add(x.ExchangeReversed(exchange_id="order-1"), T - HOUR)

    assert asked(reciprocity.gate, history).result == PASS


def test_messages_that_are_due_are_not_asked_who_gives_more_or_whether_they_are_worth_it() -> None:
    history = valued()
    exchanged(history, 800, 1_000, T - DAY)

    for gate in (reciprocity.gate, waste.gate):
        for message_class in (TRANSACTIONAL, SERVICE, COMMUNITY):
            assert asked(gate, history, message_class=message_class, **COSTLY) == NOT_ASKED
        assert asked(gate, history, message_class=SURVEY, **COSTLY).result == ADVISE


# Gate 12.


def euros(cents: int, asset: str = "EUR/2") -> Amount:
    return Amount(units=cents, asset=asset)


CHEAP: dict[str, Any] = {"expected_cost": euros(2), "expected_margin": euros(4_000)}
COSTLY: dict[str, Any] = {"expected_cost": euros(2), "expected_margin": euros(4)}
POLICY = filled(p.ContactPolicy())
RATED = Attention(3_000_000, "EUR", None)


@pytest.mark.parametrize(
    "cost, attention, breakeven",
    [
        (2, Attention(0, "EUR", None), 500),
        (2, RATED, 1_100),
        (0, RATED, 600),  # However cheap: volume has a limit.
        (2, RATED._replace(unit_of_account="USD"), 500),
    ],
)
def test_the_breakeven_is_that_of_the_example(cost: int, attention: Attention, breakeven: int) -> None:
    asks = question(expected_cost=euros(cost), expected_margin=euros(4_000))

    assert breakeven == social_breakeven(asks, POLICY, attention)


def test_attention_takes_as_long_as_the_channel_and_the_policy_say() -> None:
    own = filled(p.ContactPolicy(attention_seconds=[p.ChannelAttention(channel=WEB, seconds=16)]))

    assert social_breakeven(question(channel=VOICE, **CHEAP), POLICY, RATED) == 500 + 60 * 75
    assert social_breakeven(question(channel=WEB, **CHEAP), POLICY, RATED) == 500
    assert social_breakeven(question(channel=WEB, **CHEAP), own, RATED) == 500 + 16 * 75
    assert social_breakeven(question(**CHEAP), own, RATED) == 1_100


def test_scales_of_an_asset_make_no_difference() -> None:
    for scale, factor in ((0, 1), (6, 10**6), (12, 10**12)):
        asset = f"EUR/{scale}"
        asks = question(expected_cost=euros(2 * factor, asset), expected_margin=euros(4_000 * factor, asset))
        assert social_breakeven(asks, POLICY, RATED) == 500 + 6


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"expected_cost": euros(2)},
        {"expected_margin": euros(2)},
        {"expected_cost": euros(2), "expected_margin": euros(0)},
        {"expected_cost": euros(2), "expected_margin": euros(5, "USD/2")},
        {"expected_cost": euros(2), "expected_margin": euros(5, "EUR/3")},
    ],
)
def test_an_unknown_breakeven_passes(values: dict[str, Any]) -> None:
    history = valued()
    sent_daily(history, 1)

    assert asked(waste.gate, history, T + 60 * DAY, **values) == PASSED


def test_nobody_knows_the_response_before_the_first_solicitation_matures() -> None:
    history = valued(waste_denies=True)
    unknown = because("RESPONSE_UNKNOWN")
    assert asked(waste.gate, history, **COSTLY) == Finding(ADVISE, unknown)
    history.add(sent(), T)
    history.add(did("REPLY"), T + HOUR)

    found = asked(waste.gate, history, T + DAY, **CHEAP)

    assert found == Finding(ADVISE, unknown, changes_at=T + 14 * DAY)
    assert asked(waste.gate, history, T + 14 * DAY - 1, **CHEAP).reason == unknown
    assert asked(waste.gate, history, T + 14 * DAY, **CHEAP) == PASSED


def test_a_response_below_the_social_breakeven_is_waste_and_at_it_it_is_not() -> None:
    for denies, result in ((False, ADVISE), (True, FAIL)):
        history = valued(waste_denies=denies)
        for number in range(1_000):
            history.add(sent(), T + number * SECOND)
        history.add(did("PURCHASE"), T + 1_000 * SECOND)
        at = T + 15 * DAY
        below = because("BELOW_SOCIAL_BREAKEVEN")

        found = asked(waste.gate, history, at, **CHEAP)

        # One of a thousand, where 1,100 of a million pay for cost and attention, and 500 for the cost alone.
        assert found == Finding(result, below, policy_field="waste_denies")
        history.add(did("OFFER_ACCEPTED", in_reply_to=history.facts[5][1].position), T + 1_001 * SECOND)
        assert asked(waste.gate, history, at, **CHEAP) == PASSED
        one_more = history.copy()
        one_more.add(sent(), T + DAY + HOUR)
        assert asked(waste.gate, one_more, at, **CHEAP) == Finding(PASS, changes_at=T + 15 * DAY + HOUR)


@pytest.mark.parametrize("count, result", [(1_000, PASS), (1_001, ADVISE)])
def test_a_response_that_is_the_breakeven_is_enough(count: int, result: int) -> None:
    history = valued()
    for number in range(count):
        history.add(sent(), T + number * SECOND)
    history.add(did("PURCHASE"), T + HOUR)
    worth = {"channel": WEB, "expected_cost": euros(2), "expected_margin": euros(2_000)}

    assert asked(waste.gate, history, T + 15 * DAY, **worth).result == result


def test_the_worth_of_attention_is_that_of_the_version_in_force() -> None:
    dearer = policy(2, rule(CUSTOMER, CUSTOMER, ATTENTION, "SEC/0", 9_000_000), effective_from=T + 20 * DAY)
    history = valued()
    history.publish(v.ValuationPolicyPublished(policy=dearer))
    for number in range(500):
        history.add(sent(), T + number * SECOND)
    history.add(did("PURCHASE"), T + HOUR)
    change = T + 20 * DAY

    assert asked(waste.gate, history, change - 1, **CHEAP) == Finding(PASS, changes_at=change)
    assert asked(waste.gate, history, change, **CHEAP).result == ADVISE  # 2,000 ppm answer, 2,300 would have to.
