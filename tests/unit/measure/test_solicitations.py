"""What became of solicitations: the example, formulas and test lines of relationship.md 10, settled.md 43 to 45."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest

from ledger.domain.responses import OptOut
from ledger.measure.measured import Measured
from ledger.measure.results import Ratio, Solicitations
from ledger.measure.solicitations import CampaignPart, SolicitationRow, campaigns, each, next_maturity
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_policy_pb2 import ChannelAttention
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, SolicitationRules
from rapport.events.v1.valuation_pb2 import ValuationPolicyPublished
from rapport.relationship.v1 import measures_pb2 as why
from rapport.type.v1 import levels_pb2 as levels
from rapport.type.v1.amount_pb2 import Amount
from tests.balance_facts import CUSTOMER, policy, rule
from tests.contact_histories import DAY, HOUR, did, moment, objected, refused, sent, withdrawn
from tests.measured_histories import MeasuredHistory, traded

T = moment("2026-01-05T12:00Z")
A = 14 * DAY
SMS, POSTAL, CHAT = i.CHANNEL_SMS, i.CHANNEL_POSTAL, i.CHANNEL_CHAT
BOUGHT, REPLIED = levels.SOLICITATION_OUTCOME_BOUGHT, levels.SOLICITATION_OUTCOME_REPLIED
OPTED_OUT, NO_RESPONSE = levels.SOLICITATION_OUTCOME_OPTED_OUT, levels.SOLICITATION_OUTCOME_NO_RESPONSE
OPEN = levels.SOLICITATION_OUTCOME_UNSPECIFIED


def euros(cents: int, asset: str = "EUR/2") -> Amount:
    return Amount(units=cents, asset=asset)


def value_attention(made: MeasuredHistory, nanos: int = 3_000_000) -> None:
    """Publish what a second of a customer's attention is worth."""
    attention = rule(CUSTOMER, CUSTOMER, x.CATEGORY_ATTENTION, "SEC/0", nanos)
    made.publish(ValuationPolicyPublished(policy=policy(1, attention)))


def permit(made: MeasuredHistory, at: int, **values: Any) -> int:
    """Record a decision that was told what an answer is worth."""
    question = d.ContactQuestion(channel=i.CHANNEL_EMAIL, message_class=i.MESSAGE_CLASS_MARKETING, **values)
    decided = d.ContactDecided(
        outcome=d.DECISION_OUTCOME_PERMIT, question=question, legal_basis=c.LEGAL_BASIS_SOFT_OPT_IN
    )
    return made.add(decided, at)


def the_example(cents: int = 2) -> MeasuredHistory:
    """Return a hundred delivered: two bought, one replied, one opted out, ninety-six nothing."""
    made = MeasuredHistory()
    value_attention(made)
    answers = {0: "PURCHASE", 30: "OFFER_ACCEPTED", 60: "REPLY", 90: "LEAVE"}
    for number in range(100):
        at = T + number * 2 * A
        decision = permit(made, at, expected_margin=euros(4_000))
        made.add(sent(decision_id=decision, cost=euros(cents)), at)
        if number in answers:
            made.add(did(answers[number]), at + DAY)
    return made


def solicited(made: MeasuredHistory, at: int, **values: Any) -> Solicitations:
    return made.measured(at, **values).solicitations


def outcomes(found: Solicitations) -> tuple[int, int, int, int]:
    return found.bought, found.replied, found.opted_out, found.no_response


def rows(made: MeasuredHistory, at: int) -> list[SolicitationRow]:
    return list(each(made.measured(at)))


def test_the_worked_example() -> None:
    found = solicited(the_example(), T + 200 * A)

    assert (100, 100, 2, 1, 1, 96) == found[:6]
    assert (30_000, 970_000) == (found.response.ppm, found.waste.ppm)
    assert 97 * 8 == found.wasted_seconds == 776
    assert ((("EUR/2", 194),), 0) == (found.wasted_costs, found.uncosted)
    assert (500, 1_100) == (found.breakeven.ppm, found.social_breakeven.ppm)


def test_at_no_cost_the_social_breakeven_is_still_above_0() -> None:
    found = solicited(the_example(cents=0), T + 200 * A)

    assert (0, 600) == (found.breakeven.ppm, found.social_breakeven.ppm)


def test_where_no_cost_is_on_record_attention_alone_makes_the_social_breakeven() -> None:
    made = MeasuredHistory()
    value_attention(made)
    made.add(sent(decision_id=permit(made, T, expected_margin=euros(4_000))), T)

    found = solicited(made, T + A)

    assert (why.UNKNOWN_REASON_NO_EVIDENCE, 600) == (found.breakeven.unknown, found.social_breakeven.ppm)
    assert 1 == found.uncosted


def test_breakeven_takes_means_of_what_is_known() -> None:
    made = MeasuredHistory()
    value_attention(made)
    made.add(sent(decision_id=permit(made, T, expected_margin=euros(1_000)), cost=euros(3)), T)
    made.add(sent(decision_id=permit(made, T, expected_margin=euros(3, "EUR/0")), cost=euros(500, "EUR/4")), T)
    made.add(sent(channel=POSTAL, decision_id=permit(made, T, expected_cost=euros(10))), T)
    made.add(sent(channel=CHAT, attention_seconds=4), T)
    made.add(sent(cost=euros(77, "USD/2")), T)

    found = solicited(made, T)

    # Costs 0.03, 0.05 and 0.10; margins 10 and 3; 8 + 8 + 20 + 4 + 8 seconds of five, each worth 0.003.
    cost, margin = Fraction(18, 300), Fraction(13, 2)
    assert round(1_000_000 * cost / margin) == found.breakeven.ppm
    assert round(1_000_000 * (cost + Fraction(48 * 3, 5 * 1_000)) / margin) == found.social_breakeven.ppm


def test_the_social_breakeven_is_never_below_the_plain_one(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(20):
        made = MeasuredHistory()
        value_attention(made, draw.randrange(10**7))
        for _ in range(draw.randrange(1, 6)):
            values = {"expected_margin": euros(draw.randrange(1, 5_000))} if draw.random() < 0.8 else {}
            cost = {"cost": euros(draw.randrange(100))} if draw.random() < 0.8 else {}
            channel = draw.choice([i.CHANNEL_EMAIL, SMS, CHAT])
            made.add(sent(decision_id=permit(made, T, **values), channel=channel, **cost), T)
        found = solicited(made, T)
        if found.breakeven.unknown is None:
            assert found.social_breakeven.ppm >= found.breakeven.ppm


def test_without_a_margin_no_breakeven_is_known() -> None:
    made = MeasuredHistory()
    value_attention(made)
    made.add(sent(cost=euros(2)), T)
    assert why.UNKNOWN_REASON_NO_MARGIN == solicited(made, T).breakeven.unknown
    assert why.UNKNOWN_REASON_NO_MARGIN == solicited(made, T).social_breakeven.unknown

    made.add(sent(decision_id=permit(made, T, expected_margin=euros(-5))), T)
    assert why.UNKNOWN_REASON_NO_MARGIN == solicited(made, T).breakeven.unknown


def test_attention_that_nobody_valued_or_valued_in_another_currency_counts_nothing() -> None:
    made = MeasuredHistory()
    made.add(sent(decision_id=permit(made, T, expected_margin=euros(4_000, "USD/2")), cost=euros(2, "USD/2")), T)
    assert 500 == solicited(made, T).social_breakeven.ppm

    value_attention(made)
    assert (500, 500) == (solicited(made, T).breakeven.ppm, solicited(made, T).social_breakeven.ppm)


def test_rates_are_of_matured_ones_only_also_where_the_reply_came_early() -> None:
    made = MeasuredHistory()
    assert why.UNKNOWN_REASON_NO_EVIDENCE == solicited(made, T).response.unknown
    made.add(sent(), T)
    made.add(did("REPLY"), T + HOUR)

    early, due = solicited(made, T + A - 1), solicited(made, T + A)

    assert (1, 0, why.UNKNOWN_REASON_NOTHING_MATURED) == (early.delivered, early.matured, early.response.unknown)
    assert why.UNKNOWN_REASON_NOTHING_MATURED == early.waste.unknown
    assert (1, 1, 1_000_000, 0) == (due.delivered, due.matured, due.response.ppm, due.waste.ppm)
    assert T + A == next_maturity(made.measured(T + HOUR))
    assert None is next_maturity(made.measured(T + A))


def test_attention_is_the_events_own_else_the_channels_else_nothing() -> None:
    made = MeasuredHistory()
    for values in ({}, {"channel": SMS}, {"channel": POSTAL, "attention_seconds": 90}, {"channel": CHAT}):
        made.add(sent(**values), T)

    assert 8 + 5 + 90 + 0 == solicited(made, T + A).wasted_seconds
    assert [8, 5, 90, 0] == [row.seconds for row in rows(made, T)]
    rules = SolicitationRules(attention=[ChannelAttention(channel=CHAT, seconds=7)])
    assert 8 + 5 + 90 + 7 == solicited(made, T + A, under=RelationshipPolicy(solicitations=rules)).wasted_seconds


def test_cost_is_told_by_asset_and_what_has_none_is_counted() -> None:
    made = MeasuredHistory()
    for cost in (euros(2), euros(3), euros(9, "USD/2"), None):
        made.add(sent(cost=cost), T)
    made.add(sent(cost=euros(50)), T + HOUR)
    made.add(did("PURCHASE"), T + 2 * HOUR)

    found = solicited(made, T + 2 * A)

    assert ((("EUR/2", 5), ("USD/2", 9)), 1) == (found.wasted_costs, found.uncosted)


@pytest.mark.parametrize(
    "event, expected",
    [
        (did("PURCHASE"), BOUGHT),
        (did("OFFER_ACCEPTED"), BOUGHT),
        (did("MESSAGE"), REPLIED),
        (did("CALL", direction=i.DIRECTION_MUTUAL), REPLIED),
        (did("MARKED_SPAM", refers_to=1), OPTED_OUT),
        (did("LEAVE"), OPTED_OUT),
        (withdrawn("marketing"), OPTED_OUT),
        (objected("marketing"), OPTED_OUT),
        (refused("marketing"), NO_RESPONSE),
        (did("VISIT", direction=i.DIRECTION_OBSERVED), NO_RESPONSE),
        (did("OFFER_DECLINED"), NO_RESPONSE),
    ],
)
def test_what_makes_which_outcome(event: Any, expected: int) -> None:
    made = MeasuredHistory()
    made.add(sent(), T)
    made.add(event, T + A - 1)
    assert [OPEN] == [row.outcome for row in rows(made, T + A - 1)]
    assert [expected] == [row.outcome for row in rows(made, T + A)]


def test_at_maturity_every_act_is_too_late() -> None:
    made = MeasuredHistory()
    made.add(sent(), T)
    for event in (did("PURCHASE"), did("REPLY", in_reply_to=1), withdrawn("marketing"), objected()):
        made.add(event, T + A)

    assert (0, 0, 0, 1) == outcomes(solicited(made, T + A))


def test_an_opt_out_is_credited_to_the_latest_delivered_and_never_covers_a_better_outcome() -> None:
    made = MeasuredHistory()
    for days in (0, 1, 2):
        made.add(sent(), T + days * DAY)
    made.add(did("REPLY"), T + 2 * DAY + HOUR)
    assert (0, 1, 0, 2) == outcomes(solicited(made, T + A + 2 * DAY))

    made.add(withdrawn(), T + 2 * DAY + 2 * HOUR)
    assert (0, 1, 0, 2) == outcomes(solicited(made, T + A + 2 * DAY))
    made.add(objected(), T + DAY + HOUR, recorded=T + 3 * DAY)
    made.add(withdrawn(), T + DAY + 2 * HOUR, recorded=T + 3 * DAY)
    assert (0, 1, 1, 1) == outcomes(solicited(made, T + A + 2 * DAY))


def test_one_more_that_nobody_answers_never_lowers_the_waste() -> None:
    made, wastes = MeasuredHistory(), []
    for number in range(12):
        made.add(sent(), T + number * A)
        if number in {0, 1, 5}:
            made.add(did("PURCHASE"), T + number * A + DAY)
        else:
            before = solicited(made, T + number * A).waste
            wastes.append((before, solicited(made, T + (number + 1) * A).waste))

    assert all(before.ppm <= after.ppm for before, after in wastes)


def test_what_bounced_was_not_delivered_and_a_late_delivery_matures_late() -> None:
    made = MeasuredHistory()
    lost, slow = made.add(sent(campaign="spring"), T), made.add(sent(campaign="spring"), T)
    made.add(did("BOUNCED", refers_to=lost), T + HOUR)
    made.add(did("DELIVERED", refers_to=slow), T + 3 * DAY)

    assert (1, 0) == solicited(made, T + A)[:2]
    assert (1, 1) == solicited(made, T + A + 3 * DAY)[:2]
    assert {"spring": CampaignPart(1, 0, 0, T + A + 3 * DAY)} == campaigns(made.measured(T + A))
    assert {"spring": CampaignPart(1, 1, 1, None)} == campaigns(made.measured(T + A + 3 * DAY))


def test_pressure_is_of_the_window_and_prospects_are_told_apart() -> None:
    made = MeasuredHistory()
    for days in (0, 100, 150, 179):
        made.add(sent(), T + days * DAY)
    made.add(sent(message_class=i.MESSAGE_CLASS_TRANSACTIONAL), T + 179 * DAY)

    assert (666_667, True) == _pressure(made, T + 180 * DAY - 1)
    assert (500_000, True) == _pressure(made, T + 180 * DAY)
    bought = made.add(did("PURCHASE"), T + 181 * DAY)
    assert (500_000, False) == _pressure(made, T + 181 * DAY)
    assert [True] * 4 == [row.prospect for row in rows(made, T + 181 * DAY)]
    made.add(sent(), T + 182 * DAY)
    assert [False] == [row.prospect for row in rows(made, T + 182 * DAY)][4:]
    made.add(i.InteractionRetracted(original_position=bought), T + 182 * DAY)
    assert _pressure(made, T + 182 * DAY)[1]


def _pressure(made: MeasuredHistory, at: int) -> tuple[int, bool]:
    found = solicited(made, at)
    return found.pressure_per_30_days.ppm, found.prospect


def test_relevance_is_by_the_last_rating_of_what_was_delivered() -> None:
    made = MeasuredHistory()
    messages = [made.add(sent(), T) for _ in range(4)]
    service = made.add(sent(message_class=i.MESSAGE_CLASS_TRANSACTIONAL), T)
    for position in (messages[0], service):
        made.add(did("RELEVANCE_RATED", refers_to=position, relevant=True), T + HOUR)
    made.add(did("RELEVANCE_RATED", refers_to=messages[1], relevant=False), T + HOUR)
    made.add(did("RELEVANCE_RATED", refers_to=messages[2]), T + HOUR)
    assert (2, 1, 250_000) == _relevance(made)

    again = made.add(did("RELEVANCE_RATED", refers_to=messages[1], relevant=True), T + 2 * HOUR)
    assert (2, 2, 500_000) == _relevance(made)
    made.add(i.InteractionRetracted(original_position=again), T + 2 * HOUR)
    made.add(did("BOUNCED", refers_to=messages[0]), T + 2 * HOUR)
    assert (1, 0, 0) == _relevance(made)
    assert why.UNKNOWN_REASON_NO_EVIDENCE == solicited(MeasuredHistory(), T).relevance.unknown


def _relevance(made: MeasuredHistory) -> tuple[int, int, int]:
    found = solicited(made, T + DAY)
    return found.rated, found.relevant, found.relevance.ppm


def test_one_relevant_of_ten_thousand_is_a_hundred_ppm() -> None:
    assert 100 == Ratio(1, 10_000).ppm


def test_a_row_says_everything_about_a_solicitation() -> None:
    made = MeasuredHistory()
    decision = permit(made, T)
    position = made.add(
        sent(
            decision_id=decision, campaign="spring", programme="club", tactic=i.TACTIC_DISCOUNT, channel=SMS,
            message_class=i.MESSAGE_CLASS_SURVEY, cost=euros(2),
        ), T
    )  # fmt: skip
    made.add(did("RELEVANCE_RATED", refers_to=position, relevant=True), T)
    made.add(did("PURCHASE"), T + HOUR)

    assert [
        SolicitationRow(
            position=position,
            delivered_time=T,
            campaign="spring",
            programme="club",
            tactic=i.TACTIC_DISCOUNT,
            message_class=i.MESSAGE_CLASS_SURVEY,
            channel=SMS,
            outcome=BOUGHT,
            matured_at=T + A,
            seconds=5,
            cost=("EUR/2", 2),
            decision_id=decision,
            legal_basis=c.LEGAL_BASIS_SOFT_OPT_IN,
            prospect=True,
            followed=True,
            rated=True,
            relevant=True,
        )
    ] == rows(made, T + A)


def test_what_follows_is_credited_once_and_not_where_it_had_an_incentive() -> None:
    def followed(*events: Any) -> list[bool]:
        made = MeasuredHistory()
        made.add(sent(campaign="spring"), T)
        made.add(sent(), T + DAY)
        for event in events:
            made.add(event, T + 2 * DAY)
        return [row.followed for row in rows(made, T + 2 * DAY)]

    assert [False, False] == followed()
    assert [False, True] == followed(did("PURCHASE"))
    assert [True, False] == followed(did("PURCHASE", campaign="spring"))
    assert [False, True] == followed(did("VISIT", direction=i.DIRECTION_OBSERVED))
    assert [False, True] == followed(did("REPLY", initiator=i.INITIATOR_UNSPECIFIED))
    assert [False, False] == followed(did("CLICK", direction=i.DIRECTION_OBSERVED))
    assert [False, False] == followed(did("PURCHASE", incentivised=True))
    assert [False, False] == followed(did("OFFER_ACCEPTED", incentivised=True))
    assert [False, False] == followed(did("LEAVE"), withdrawn())
    assert [True, True] == followed(did("PURCHASE", incentivised=True), did("REPLY"), did("CALL", in_reply_to=1))


def test_a_purchase_with_a_discount_among_its_legs_had_an_incentive() -> None:
    made = MeasuredHistory()
    made.add(sent(), T)
    made.add(did("PURCHASE", order_id="o-1"), T + DAY)
    assert [True] == [row.followed for row in rows(made, T + DAY)]

    exchange = traded("x", paid=500, got=700)
    exchange.cause_ref = "o-1"
    exchange.legs[0].category = x.CATEGORY_DISCOUNT
    made.add(exchange, T + DAY)
    assert [False] == [row.followed for row in rows(made, T + DAY)]


def test_corrections_move_a_solicitation_and_its_cost() -> None:
    made = MeasuredHistory()
    first, second = made.add(sent(cost=euros(2)), T), made.add(sent(cost=euros(3)), T + DAY)
    made.add(did("REPLY"), T + 2 * DAY)
    assert (0, 1, 0, 1) == outcomes(solicited(made, T + 2 * A))
    assert (("EUR/2", 2),) == solicited(made, T + 2 * A).wasted_costs

    later = i.InteractionCorrected(original_position=first, replacement=sent(cost=euros(9), tactic=i.TACTIC_SURVEY))
    made.add(later, T + DAY + HOUR, recorded=T + 3 * DAY)
    assert (("EUR/2", 3),) == solicited(made, T + 2 * A).wasted_costs
    assert [0, i.TACTIC_SURVEY] == [row.tactic for row in rows(made, T + 2 * A)]

    made.add(i.InteractionRetracted(original_position=second), T + 3 * DAY)
    assert (1, 1, 0, 1, 0, 0) == solicited(made, T + 2 * A)[:6]


def test_a_record_kept_up_answers_as_one_made_anew() -> None:
    made = the_example()
    measured = made.measured(T + 200 * A)
    record = made.record(position=0)

    for name, fact in made.facts:
        if name.endswith("/c"):
            record.evolve(fact)
            found = Measured(record, measured.outlook, fact.record_time).solicitations
            assert sum(outcomes(found)) == found.matured <= found.delivered

    assert measured.solicitations == Measured(record, measured.outlook, measured.at).solicitations


def test_the_counts_are_those_that_the_contact_decision_counts() -> None:
    made = the_example()
    made.add(objected(), T + 198 * A + DAY)
    at = T + 200 * A

    found, response = solicited(made, at), made.record().state.conversation.response(at, A)

    assert (response.matured, response.bought, response.replied) == (found.matured, found.bought, found.replied)
    opt_outs = [OptOut(T + 198 * A + DAY, 10**6)]
    assert made.record().state.conversation.response(at, A, opt_outs).opted_out == found.opted_out == 2


def test_evidence_names_the_latest() -> None:
    made = MeasuredHistory()
    positions = [made.add(sent(), T + number * HOUR) for number in range(70)]
    made.add(did("REPLY", in_reply_to=positions[3]), T + 71 * HOUR)
    made.add(did("RELEVANCE_RATED", refers_to=positions[0], relevant=True), T + 71 * HOUR)

    evidence = solicited(made, T + 2 * A).evidence

    assert (positions[3],) == evidence["response"]
    assert tuple(positions[6:]) == evidence["waste"] == evidence["pressure_per_30_days"]
    assert (72,) == evidence["relevance"]
    assert {"response", "waste", "pressure_per_30_days", "relevance"} == set(evidence)
