"""Simulated, explained and replayed decisions through gRPC: from any point of view, and nothing recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.times import MICROSECONDS, microseconds, timestamp
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.contact.v1 import decision_pb2 as d
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1.contact_pb2 import (
    DECISION_OUTCOME_DENY,
    DECISION_OUTCOME_PERMIT,
    DECISION_REASON_CUSTOMER_GIVES_MORE,
    GATE_DENIAL,
)
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, FrequencyCap
from rapport.events.v1.exchange_pb2 import CATEGORY_MONEY_PAYMENT, ONE_SIDED_GIFT, PARTY_CUSTOMER, Leg
from rapport.events.v1.identity_pb2 import IdentityLinked, ProfileDeclared
from rapport.events.v1.interaction_pb2 import CHANNEL_SMS
from rapport.events.v1.policy_pb2 import ASSET_KIND_MONEY, AssetRegistered
from rapport.events.v1.preference_pb2 import PERIOD_DAY, ChannelPreference, PreferenceDeclared
from rapport.events.v1.valuation_pb2 import (
    SIDE_GET,
    SIDE_GIVE,
    VALUATION_METHOD_IMPUTED,
    ValuationPolicy,
    ValuationRule,
)
from rapport.exchange.v1.operation_pb2 import Exchange
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.event_context_pb2 import EventContext
from rapport.type.v1.window_pb2 import Window
from services.client import Client, NotFound, RapportError, RequestInvalid, amount
from tests.contact_calls import ORGANIZATION, PERMIT, PURPOSE, Shop, item, mail, one_a_month, question, told
from tests.server import Serving, serving

SECOND = MICROSECONDS
WITHDRAWN = ("DENY", "CONSENT_WITHDRAWN")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
async def shop(server: Serving) -> AsyncIterator[Shop]:
    async with Client(server.target) as client:
        yield Shop(client)


def given(**values: Any) -> pb.HypotheticalFact:
    return pb.HypotheticalFact(consent_given=c.ConsentGiven(purposes=[PURPOSE]), **values)


async def test_what_is_supposed_is_never_told_by_the_position_of_an_event(shop: Shop) -> None:
    known = await shop.give()
    await shop.withdraw()
    head = await shop.head()
    refusal = pb.HypotheticalFact(consent_refused=c.ConsentRefused(purposes=[PURPOSE]))

    simulated = await shop.simulate(as_of=AsOf(position=known), added=[refusal])

    assert ("DENY", "CONSENT_REFUSED") == told(simulated)
    evidence = [each.evidence_positions for each in simulated.trace if each.gate == GATE_DENIAL]
    assert [[head + 1]] == evidence


async def test_a_simulation_says_what_a_decision_would_and_leaves_the_log_unchanged(shop: Shop) -> None:
    """Property 10."""
    await shop.give()
    head = await shop.head()

    simulated = await shop.simulate()
    (batched,) = (await shop.client.batch_simulate_decisions(ORGANIZATION, [item()])).decisions
    await shop.simulate(added=[given()], as_of=AsOf(position=head))
    assert head == await shop.head()

    decided = await shop.decide()
    for each in (simulated, batched):
        assert (0, True) == (each.decision_id, each.simulated)
        assert head == each.position == each.as_of.position
        for name in ("outcome", "decisive_reason", "trace", "legal_basis", "basis_positions", "read_set", "question"):
            assert getattr(decided, name) == getattr(each, name), name


async def test_any_moment_can_be_asked_about_by_what_had_happened_and_by_what_was_known(shop: Shop) -> None:
    """Worked example 7: a withdrawal that arrives late."""
    given_at = await shop.give(occur_time=timestamp(1_740_787_200 * SECOND))
    withdrawn_at = await shop.withdraw(occur_time=timestamp(1_738_368_000 * SECOND))

    assert WITHDRAWN == told(await shop.simulate())
    assert PERMIT == told(await shop.simulate(as_of=AsOf(position=given_at)))
    early = AsOf(occur_time=timestamp(1_740_787_199 * SECOND), position=withdrawn_at)
    assert WITHDRAWN == told(await shop.simulate(as_of=early))
    unheard = AsOf(occur_time=timestamp(1_740_787_199 * SECOND), position=given_at)
    assert ("DENY", "SUBJECT_UNKNOWN") == told(await shop.simulate(as_of=unheard))
    decision = await shop.simulate(as_of=AsOf(occur_time=timestamp(1_800_000_000 * SECOND)))
    assert 1_800_000_000 * SECOND == microseconds(decision.decide_time) == microseconds(decision.as_of.occur_time)


async def test_views_that_nobody_can_have_are_refused(shop: Shop) -> None:
    await shop.give()
    for as_of, reason in (
        (AsOf(position=10**6), "KNOWN_AT_IN_FUTURE"),
        (AsOf(record_time=timestamp(4_102_444_800 * SECOND)), "KNOWN_AT_NOT_SETTLED"),
    ):
        with pytest.raises(RapportError) as refused:
            await shop.simulate(as_of=as_of)
        assert reason == refused.value.reason_name


async def test_facts_that_did_not_happen_count_in_the_order_of_their_times_and_are_gone_afterwards(shop: Shop) -> None:
    denied = await shop.give()
    await shop.withdraw()
    assert PERMIT == told(await shop.simulate(added=[given()]))
    assert WITHDRAWN == told(await shop.simulate())
    assert ("DENY", "SUBJECT_UNKNOWN") == told(await shop.simulate("nobody"))
    assert PERMIT == told(await shop.simulate("nobody", added=[given()]))
    assert ("DENY", "SUBJECT_UNKNOWN") == told(await shop.simulate("nobody"))

    refusal = pb.HypotheticalFact(consent_refused=c.ConsentRefused(purposes=["marketing"]))
    objection = pb.HypotheticalFact(objection_raised=c.ObjectionRaised())
    assert ("DENY", "CONSENT_REFUSED") == told(await shop.simulate(added=[given(), refusal]))
    assert ("DENY", "OBJECTED") == told(await shop.simulate("nobody", added=[given(), objection]))
    bounced = c.SuppressionAdded(reason=c.SUPPRESSION_REASON_LEGAL)
    suppressed = pb.HypotheticalFact(suppression_added=bounced)
    assert ("DENY", "SUPPRESSED_LEGAL") == told(await shop.simulate("nobody", added=[given(), suppressed]))
    averse = PreferenceDeclared(channels=ChannelPreference(averse=[question().channel]))
    preferring = pb.HypotheticalFact(preference_declared=averse)
    assert ("DENY", "CHANNEL_AVERSE") == told(await shop.simulate("nobody", added=[given(), preferring]))
    assert denied < await shop.head()


async def test_a_fact_of_a_later_time_than_the_one_asked_about_does_not_count(shop: Shop) -> None:
    position = await shop.give()
    at = 4_102_444_800 * SECOND  # The year 2100.
    withdrawal = pb.HypotheticalFact(consent_withdrawn=c.ConsentWithdrawn(), occur_time=timestamp(at))

    before = AsOf(occur_time=timestamp(at - 1), position=position)
    assert PERMIT == told(await shop.simulate(as_of=before, added=[withdrawal]))
    then = AsOf(occur_time=timestamp(at), position=position)
    assert WITHDRAWN == told(await shop.simulate(as_of=then, added=[withdrawal]))


async def test_a_profile_and_contacts_that_did_not_happen_limit_too(shop: Shop) -> None:
    await shop.give()
    await shop.publish(one_a_month())
    contact = pb.HypotheticalFact(interaction_recorded=mail())
    profile = pb.HypotheticalFact(profile_declared=ProfileDeclared(jurisdiction="DE"))

    assert ("DENY", "FREQUENCY_ORGANIZATION") == told(await shop.simulate(added=[contact]))
    assert PERMIT == told(await shop.simulate(added=[profile]))


async def test_another_policy_decides_whether_it_is_published_or_only_given(shop: Shop) -> None:
    await shop.give()
    await shop.publish(one_a_month(1, effective_from_time=timestamp(4_102_444_800 * SECOND)))
    await shop.decide()

    assert PERMIT == told(await shop.simulate())
    published = await shop.simulate(contact_policy_version=1)
    assert (("DENY", "FREQUENCY_ORGANIZATION"), 1) == (told(published), published.contact_policy_version)
    assert ("DENY", "FREQUENCY_ORGANIZATION") == told(await shop.simulate(contact_policy=one_a_month(0)))
    with pytest.raises(NotFound) as unknown:
        await shop.simulate(contact_policy_version=2)
    assert "POLICY_UNKNOWN" == unknown.value.reason_name


async def test_what_is_wrong_with_a_given_policy_is_named(shop: Shop) -> None:
    twice = FrequencyCap(count=1, period=PERIOD_DAY)
    with pytest.raises(RequestInvalid) as refused:
        await shop.simulate(contact_policy=ContactPolicy(caps=[twice, twice]), contact_policy_version=1)

    fields = [each.field for each in refused.value.violations]
    assert "contact_policy_version" in fields
    assert "contact_policy.caps[1]" in fields


async def test_a_decision_replays_to_the_same_bytes_also_after_much_more_was_recorded(shop: Shop) -> None:
    """Property 5."""
    await shop.give()
    await shop.publish(one_a_month())
    ids = [(await shop.decide()).decision_id for _ in range(3)]
    await shop.withdraw()
    ids.append((await shop.decide()).decision_id)
    await shop.publish(one_a_month(2))
    await shop.give()

    for decision_id in ids:
        explained = await shop.client.explain_decision(ORGANIZATION, "c-1", decision_id)
        assert (True, []) == (explained.identical, list(explained.differs_in))
        assert decision_id == explained.recorded.decision_id


async def test_what_was_recorded_later_about_earlier_changes_the_answer_and_is_named(shop: Shop) -> None:
    await shop.give(occur_time=timestamp(1_740_787_200 * SECOND))
    decision = await shop.decide()
    await shop.client.record_interaction(ORGANIZATION, "c-1", mail(channel=CHANNEL_SMS))
    late = await shop.withdraw(occur_time=timestamp(1_738_368_000 * SECOND))
    await shop.client.record_interaction(ORGANIZATION, "c-1", mail(channel=CHANNEL_SMS))
    explained = await shop.client.explain_decision(ORGANIZATION, "c-1", decision.decision_id)

    assert PERMIT == told(explained.recorded)
    assert WITHDRAWN == told(explained.later)
    assert [late] == list(explained.changed_by_positions)
    assert (d.PERMIT_STATUS_VOID, late) == (explained.permit_status, explained.permit_position)
    before = await shop.client.explain_decision(
        ORGANIZATION, "c-1", decision.decision_id, as_of=AsOf(position=late - 1)
    )
    assert (PERMIT, []) == (told(before.later), list(before.changed_by_positions))


async def test_a_decision_does_not_count_against_itself_and_what_came_after_its_instant_does_not_matter(
    shop: Shop,
) -> None:
    await shop.give()
    await shop.publish(one_a_month())
    decision = await shop.decide()
    await shop.client.record_interaction(ORGANIZATION, "c-1", mail(decision_id=decision.decision_id))
    await shop.withdraw()
    explained = await shop.client.explain_decision(ORGANIZATION, "c-1", decision.decision_id)

    assert PERMIT == told(explained.later)
    assert [] == list(explained.changed_by_positions)
    assert d.PERMIT_STATUS_USED == explained.permit_status


async def test_a_later_instant_can_be_asked_about_and_what_changes_it_is_named(shop: Shop) -> None:
    await shop.give()
    decision = await shop.decide()
    withdrawn = await shop.withdraw()
    later = AsOf(occur_time=timestamp(4_102_444_800 * SECOND))
    explained = await shop.client.explain_decision(ORGANIZATION, "c-1", decision.decision_id, as_of=later)

    assert WITHDRAWN == told(explained.later)
    assert [withdrawn] == list(explained.changed_by_positions)


async def test_a_link_and_what_it_brings_are_named_together(shop: Shop) -> None:
    await shop.give("c-1", occur_time=timestamp(1_740_787_200 * SECOND))
    await shop.client.record_interaction(ORGANIZATION, "other", mail())
    decision = await shop.decide("c-1")
    late = await shop.withdraw("other", occur_time=timestamp(1_750_000_000 * SECOND))
    link = IdentityLinked(link_id="l", customer_a_id="c-1", customer_b_id="other", evidence="told")
    linked = await shop.client.link_customers(
        ORGANIZATION, link, occur_time=timestamp(1_750_000_000 * SECOND), context=EventContext(actor="clerk")
    )
    explained = await shop.client.explain_decision(ORGANIZATION, "c-1", decision.decision_id)

    assert WITHDRAWN == told(explained.later)
    assert explained.identical
    # Either of the two events of the link makes it one.
    assert list(explained.changed_by_positions) in ([late, linked.position_a], [late, linked.position_b])


async def test_only_a_decision_of_the_customer_is_explained(shop: Shop) -> None:
    position = await shop.give()
    decision = await shop.decide()
    for customer_id, decision_id in (("c-2", decision.decision_id), ("c-1", position), ("c-1", 10**6)):
        with pytest.raises(NotFound) as refused:
            await shop.client.explain_decision(ORGANIZATION, customer_id, decision_id)
        assert "DECISION_UNKNOWN" == refused.value.reason_name
    with pytest.raises(NotFound):
        await shop.client.explain_decision(
            ORGANIZATION, "c-1", decision.decision_id, as_of=AsOf(position=decision.decision_id - 1)
        )


async def test_who_asked_is_told(shop: Shop) -> None:
    context = EventContext(actor="campaign-7")
    response = await shop.client.decide(ORGANIZATION, "c-1", question(), context=context)
    explained = await shop.client.explain_decision(ORGANIZATION, "c-1", response.decision.decision_id)

    assert ("campaign-7", response.record_time) == (explained.actor, explained.record_time)


async def simulated(shop: Shop, **asked: Any) -> tuple[list[pb.ChangedDecision], list[pb.SimulationProgress]]:
    frames = [frame async for frame in shop.client.simulate_policy(ORGANIZATION, **asked)]
    return (
        [frame.changed for frame in frames if frame.HasField("changed")],
        [frame.progress for frame in frames if frame.HasField("progress")],
    )


async def test_another_policy_is_tried_on_what_was_decided(shop: Shop) -> None:
    for name in ("a", "b", "a"):
        await shop.give(name)
        await shop.client.record_interaction("elsewhere", name, mail())
        await shop.client.decide("elsewhere", name, question())
    recorded = [await shop.decide(name) for name in ("a", "b", "a", "nobody", "a")]
    head = await shop.head()

    changed, (last,) = await simulated(shop, contact_policy=one_a_month(0))

    assert ["a", "a"] == [each.customer_id for each in changed]
    assert [recorded[2].decision_id, recorded[4].decision_id] == [each.recorded.decision_id for each in changed]
    assert [("DENY", "FREQUENCY_ORGANIZATION")] * 2 == [told(each.simulated) for each in changed]
    assert recorded[2] == changed[0].recorded
    assert (0, True) == (changed[0].simulated.decision_id, changed[0].simulated.simulated)
    assert (5, 2, True, head) == (last.decisions_count, last.changed_count, last.done, last.position)
    permit, deny = DECISION_OUTCOME_PERMIT, DECISION_OUTCOME_DENY
    assert {(permit, permit): 2, (permit, deny): 2, (deny, deny): 1} == {
        (move.recorded, move.simulated): move.count for move in last.moves
    }
    assert head == await shop.head()


async def test_all_decisions_can_be_had_and_those_of_a_span_of_time(shop: Shop) -> None:
    await shop.give()
    await shop.publish(one_a_month())
    decisions = [await shop.decide() for _ in range(3)]
    times = [
        (await shop.client.explain_decision(ORGANIZATION, "c-1", each.decision_id)).record_time for each in decisions
    ]

    everything, _ = await simulated(shop, contact_policy_version=1, all=True)
    assert [each.decision_id for each in decisions] == [each.recorded.decision_id for each in everything]
    assert [told(each) for each in decisions] == [told(each.simulated) for each in everything]
    window = Window(to=times[1])
    getattr(window, "from").CopyFrom(times[0])
    some, _ = await simulated(shop, contact_policy=ContactPolicy(), all=True, window=window)
    assert [decisions[1].decision_id] == [each.recorded.decision_id for each in some]
    assert [PERMIT] == [told(each.simulated) for each in some]


async def test_a_simulation_of_a_policy_needs_one_that_is_there_and_a_window_that_can_be(shop: Shop) -> None:
    with pytest.raises(RequestInvalid) as nothing:
        await simulated(shop)
    assert ["contact_policy_version"] == [each.field for each in nothing.value.violations]
    with pytest.raises(NotFound):
        await simulated(shop, contact_policy_version=1)
    window = Window(to=timestamp(SECOND))
    getattr(window, "from").CopyFrom(timestamp(SECOND))
    with pytest.raises(RapportError) as empty:
        await simulated(shop, contact_policy=ContactPolicy(), window=window)
    assert "WINDOW_INVALID" == empty.value.reason_name


async def test_exchanges_are_weighed_also_where_not_all_books_fit_in_memory(server: Serving, shop: Shop) -> None:
    customers = [f"c-{n}" for n in range(6)]
    euro = AssetRegistered(asset="EUR/2", kind=ASSET_KIND_MONEY, max_units_per_leg=10**6)
    await shop.client.register_assets(ORGANIZATION, [euro])
    rules = [
        ValuationRule(
            rule_id=f"side-{side}",
            perspective=PARTY_CUSTOMER,
            side=side,
            any_category=True,
            source="what was paid",
            asset="EUR/2",
            rate_nanos=10**7,
            high_nanos=10**7,
            method=VALUATION_METHOD_IMPUTED,
        )
        for side in (SIDE_GIVE, SIDE_GET)
    ]
    policy = ValuationPolicy(
        policy_id="standard",
        unit_of_account="EUR",
        effective_from_time=timestamp(SECOND),
        kappa_nanos=10**9,
        rules=rules,
    )
    await shop.client.publish_valuation_policy(ORGANIZATION, policy)
    for name in customers:
        await shop.give(name)
        gift = Leg(giver=PARTY_CUSTOMER, category=CATEGORY_MONEY_PAYMENT, amount=amount("5.00 EUR/2"))
        exchange = Exchange(exchange_id="x", legs=[gift], one_sided=ONE_SIDED_GIFT)
        await shop.client.record_exchange(ORGANIZATION, name, exchange)
    server.app.books._kept._weight_max = 1

    response = await shop.client.batch_simulate_decisions(ORGANIZATION, [item(name) for name in customers])
    decided = await shop.client.batch_decide(ORGANIZATION, [item(name) for name in customers])

    assert 1 == len(server.app.books)
    for decision in (*response.decisions, *decided.decisions):
        assert PERMIT == told(decision)
        assert ("standard", DECISION_REASON_CUSTOMER_GIVES_MORE) == (
            decision.valuation_policy_id,
            decision.trace[10].reason,
        )
    for name, decision in zip(customers, decided.decisions, strict=True):
        assert (await shop.client.explain_decision(ORGANIZATION, name, decision.decision_id)).identical
