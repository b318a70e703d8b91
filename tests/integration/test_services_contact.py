"""ContactService through gRPC, on both stores: decisions, their permits, retries, races, and linked customers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.times import microseconds
from rapport.contact.v1 import decision_pb2 as d
from rapport.contact.v1.contact_service_pb2 import DecideItem
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentStatus, Validity
from rapport.events.v1.contact_pb2 import Gate, GateResult
from rapport.events.v1.identity_pb2 import IdentityLinked, IdentityUnlinked
from rapport.events.v1.interaction_pb2 import CHANNEL_SMS, MESSAGE_CLASS_SURVEY
from rapport.type.v1.event_context_pb2 import EventContext
from services.client import Client, NotFound, RapportError, RequestInvalid, new_request_id
from services.runtime.settings import Secret
from tests.contact_calls import ORGANIZATION, PERMIT, Shop, item, mail, one_a_month, question, told
from tests.server import Serving, serving


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Serving]:
    store: dict[str, Any] = (
        {} if request.param == "sqlite" else {"store_url": Secret(request.getfixturevalue("postgres_url"))}
    )
    async with serving(tmp_path, **store) as running:
        yield running


@pytest.fixture
async def shop(server: Serving) -> AsyncIterator[Shop]:
    async with Client(server.target) as client:
        yield Shop(client)


async def test_a_contact_is_permitted_after_a_consent_and_denied_after_its_withdrawal(shop: Shop) -> None:
    given = await shop.give()
    first = await shop.decide()
    withdrawn = await shop.withdraw()
    second = await shop.decide()

    assert PERMIT == told(first)
    assert [given] == list(first.basis_positions)
    assert (first.decision_id, given + 1) == (first.position, first.position)
    assert not first.simulated
    assert 3600 * 10**6 == microseconds(first.permit_expires_time) - microseconds(first.decide_time)
    assert ("DENY", "CONSENT_WITHDRAWN") == told(second)
    (denied,) = [each for each in second.trace if each.gate == Gate.Value("GATE_DENIAL")]
    assert [withdrawn] == list(denied.evidence_positions)


async def test_the_answer_tells_all_twelve_gates_in_order_the_question_and_what_it_rests_on(shop: Shop) -> None:
    await shop.give()
    decision = await shop.decide(topic="wine")

    assert [each for each in Gate.values() if each] == [each.gate for each in decision.trace]
    assert GateResult.Value("GATE_RESULT_PASS") == decision.trace[0].result
    assert question(topic="wine") == decision.question
    assert [("shop/c-1", 1), ("shop/@policy", 0)] == [(read.stream_id, read.version) for read in decision.read_set]
    assert (0, 0, 1) == (decision.contact_policy_version, decision.purposes_version, decision.model_version)
    assert decision.tzdata_version


async def test_who_is_unknown_is_denied_and_the_denial_is_recorded_and_makes_nobody_known(shop: Shop) -> None:
    for _ in range(2):
        decision = await shop.decide("nobody")

        assert ("DENY", "SUBJECT_UNKNOWN") == told(decision)
        assert decision.decision_id == await shop.head()


async def test_a_repeated_request_gets_the_same_answer_and_records_one_event(shop: Shop) -> None:
    await shop.give()
    request_id = new_request_id()
    first = await shop.client.decide(ORGANIZATION, "c-1", question(), request_id=request_id)
    await shop.withdraw()
    head = await shop.head()
    second = await shop.client.decide(ORGANIZATION, "c-1", question(), request_id=request_id)

    assert (False, True) == (first.replayed, second.replayed)
    assert (first.decision, first.record_time) == (second.decision, second.record_time)
    assert head == await shop.head()
    with pytest.raises(RapportError) as refused:
        await shop.client.decide(ORGANIZATION, "c-1", question(channel=CHANNEL_SMS), request_id=request_id)
    assert "REQUEST_ID_REUSED" == refused.value.reason_name


async def test_of_many_decisions_at_once_a_cap_lets_through_one(shop: Shop) -> None:
    """Worked example 11, and more than two."""
    await shop.publish(one_a_month())
    await shop.give()

    decisions = await asyncio.gather(*(shop.decide() for _ in range(8)))

    assert Counter({PERMIT: 1, ("DENY", "FREQUENCY_ORGANIZATION"): 7}) == Counter(map(told, decisions))
    assert 8 == len({each.decision_id for each in decisions})


async def test_items_of_a_batch_are_decided_each_on_what_the_earlier_ones_left(shop: Shop) -> None:
    await shop.publish(one_a_month())
    await shop.give("c-1")
    await shop.give("c-2")

    response = await shop.client.batch_decide(ORGANIZATION, [item("c-1"), item("c-2"), item("c-1"), item("c-3")])

    first, second, third, fourth = response.decisions
    assert [PERMIT, PERMIT] == [told(first), told(second)]
    assert ("DENY", "FREQUENCY_ORGANIZATION") == told(third)
    assert ("DENY", "SUBJECT_UNKNOWN") == told(fourth)
    (full,) = [each for each in third.trace if each.gate == Gate.Value("GATE_FREQUENCY")]
    assert [first.decision_id] == list(full.evidence_positions)
    assert [first.decision_id + n for n in range(4)] == [each.decision_id for each in response.decisions]


async def test_a_repeated_batch_gets_the_same_answers(shop: Shop) -> None:
    await shop.give()
    items, request_id = [item("c-1"), item("c-2")], new_request_id()
    first = await shop.client.batch_decide(ORGANIZATION, items, request_id=request_id)
    await shop.withdraw()
    second = await shop.client.batch_decide(ORGANIZATION, items, request_id=request_id)

    assert second.replayed
    assert list(first.decisions) == list(second.decisions)


async def test_a_batch_of_five_hundred_is_decided(shop: Shop) -> None:
    await shop.give("c-7")

    response = await shop.client.batch_decide(ORGANIZATION, [item(f"c-{n}") for n in range(500)], timeout_s=30)

    assert {7} == {n for n, each in enumerate(response.decisions) if told(each) == PERMIT}


async def test_what_a_linked_customer_takes_back_counts_at_once_and_no_more_after_unlinking(shop: Shop) -> None:
    await shop.give("a")
    for name in ("b", "c"):
        await shop.client.record_interaction(ORGANIZATION, name, mail())
    assert PERMIT == told(await shop.decide("a"))
    await link(shop, "a", "b")
    await link(shop, "b", "c")
    assert PERMIT == told(await shop.decide("a"))

    await shop.withdraw("c")  # Linked to `a` over `b` only.
    decision = await shop.decide("a")
    assert ("DENY", "CONSENT_WITHDRAWN") == told(decision)
    assert ["shop/a", "shop/b", "shop/c", "shop/@policy"] == [read.stream_id for read in decision.read_set]
    (batched,) = (await shop.client.batch_decide(ORGANIZATION, [item("a")])).decisions
    assert ("DENY", "CONSENT_WITHDRAWN") == told(batched) == told(await shop.simulate("a"))

    unlink = IdentityUnlinked(link_id="b-c", reason="wrong")
    await shop.client.unlink_customers(ORGANIZATION, "b", "c", unlink, context=EventContext(actor="clerk"))
    assert PERMIT == told(await shop.decide("a"))


async def test_many_linked_at_the_moment_of_deciding_are_all_read(shop: Shop) -> None:
    """Whoever decides knows of none of the links before the decision, for nobody was read."""
    names = [f"p-{n:02}" for n in range(12)]
    for name in names:
        await shop.give(name)
    for one, other in pairwise(names):
        await link(shop, one, other)
    await shop.withdraw(names[-1])

    assert ("DENY", "CONSENT_WITHDRAWN") == told(await shop.decide(names[0]))


async def link(shop: Shop, one: str, other: str) -> None:
    linked = IdentityLinked(link_id=f"{one}-{other}", customer_a_id=one, customer_b_id=other, evidence="told")
    await shop.client.link_customers(ORGANIZATION, linked, context=EventContext(actor="clerk"))


async def test_a_permit_is_used_once_and_recording_the_contact_says_how_it_stands(shop: Shop) -> None:
    await shop.give()
    decision = await shop.decide()
    request_id = new_request_id()

    first = await shop.client.record_interaction(
        ORGANIZATION, "c-1", mail(decision_id=decision.decision_id), request_id=request_id
    )
    again = await shop.client.record_interaction(
        ORGANIZATION, "c-1", mail(decision_id=decision.decision_id), request_id=request_id
    )
    second = await contact(shop, decision_id=decision.decision_id)

    assert d.PERMIT_STATUS_OPEN == first.permit_status
    assert (True, d.PERMIT_STATUS_OPEN, first.position) == (again.replayed, again.permit_status, again.position)
    assert d.PERMIT_STATUS_USED == second
    assert d.PERMIT_STATUS_UNSPECIFIED == await contact(shop)


async def contact(shop: Shop, **values: Any) -> d.PermitStatus.ValueType:
    return (await shop.client.record_interaction(ORGANIZATION, "c-1", mail(**values))).permit_status


async def test_a_withdrawal_after_a_permit_voids_it_and_recording_the_contact_says_so(shop: Shop) -> None:
    await shop.give()
    decision = await shop.decide()
    withdrawn = await shop.withdraw()
    explained = await shop.client.explain_decision(ORGANIZATION, "c-1", decision.decision_id)

    assert (d.PERMIT_STATUS_VOID, withdrawn) == (explained.permit_status, explained.permit_position)
    assert d.PERMIT_STATUS_VOID == await contact(shop, decision_id=decision.decision_id)


async def test_what_a_linked_customer_takes_back_voids_a_permit_too(shop: Shop) -> None:
    await shop.give()
    await shop.client.record_interaction(ORGANIZATION, "b", mail())
    await link(shop, "c-1", "b")
    decision = await shop.decide()
    await shop.withdraw("b")

    assert d.PERMIT_STATUS_VOID == await contact(shop, decision_id=decision.decision_id)


async def test_a_contact_that_is_another_one_or_names_no_permit_is_recorded_all_the_same(shop: Shop) -> None:
    denied = await shop.decide()
    await shop.give()
    permitted = (await shop.decide()).decision_id

    assert d.PERMIT_STATUS_NOT_A_PERMIT == await contact(shop, decision_id=denied.decision_id)
    assert d.PERMIT_STATUS_UNKNOWN == await contact(shop, decision_id=1)
    for other in ({"channel": CHANNEL_SMS}, {"message_class": MESSAGE_CLASS_SURVEY}, {"sender_id": "partner"}):
        decision = await shop.decide()
        assert d.PERMIT_STATUS_NOT_THIS_CONTACT == await contact(shop, decision_id=decision.decision_id, **other)
    assert d.PERMIT_STATUS_OPEN == await contact(shop, decision_id=permitted, contact_point_id="cp", brand="b")


async def test_a_permit_that_is_given_back_frees_its_place(shop: Shop) -> None:
    await shop.publish(one_a_month())
    await shop.give()
    decision = await shop.decide()
    assert ("DENY", "FREQUENCY_ORGANIZATION") == told(await shop.decide())

    aborted = await shop.client.abort_contact(ORGANIZATION, "c-1", decision.decision_id, "changed.mind")

    assert PERMIT == told(await shop.decide())
    explained = await shop.client.explain_decision(ORGANIZATION, "c-1", decision.decision_id)
    assert (d.PERMIT_STATUS_ABORTED, aborted.position) == (explained.permit_status, explained.permit_position)
    with pytest.raises(RapportError) as refused:
        await shop.client.abort_contact(ORGANIZATION, "c-1", decision.decision_id)
    assert "PERMIT_NOT_OPEN" == refused.value.reason_name
    assert {"decision_id": str(decision.decision_id), "permit_status": "ABORTED"} == refused.value.metadata


async def test_only_a_decision_of_the_customer_can_be_given_back(shop: Shop) -> None:
    await shop.give()
    decision = await shop.decide()

    for customer_id, decision_id in (("c-2", decision.decision_id), ("c-1", 1), ("c-1", 10**6)):
        with pytest.raises(NotFound) as refused:
            await shop.client.abort_contact(ORGANIZATION, customer_id, decision_id)
        assert "DECISION_UNKNOWN" == refused.value.reason_name


async def test_every_fault_of_a_question_is_named(shop: Shop) -> None:
    with pytest.raises(RequestInvalid) as refused:
        await shop.client.batch_decide(
            ORGANIZATION, [item(), DecideItem(customer_id="@", question=question(brand="B"))]
        )

    assert ["items[1].customer_id", "items[1].question.brand"] == [each.field for each in refused.value.violations]


async def test_a_consent_for_some_uses_shows_as_used_up_where_decisions_find_it_so(shop: Shop) -> None:
    once = ConsentGiven(purposes=["marketing.direct"], validity=Validity(uses=1))
    position = (await shop.client.give_consent(ORGANIZATION, "c-1", once)).position

    async def shown() -> str:
        (consent,) = (await shop.client.get_consents(ORGANIZATION, "c-1")).consents
        assert [position] == list(consent.evidence_positions)
        return ConsentStatus.Name(consent.status).removeprefix("CONSENT_STATUS_")

    unused = await shown()
    first = await shop.decide()
    open_permit = await shown()
    second = await shop.decide()
    await shop.client.abort_contact(ORGANIZATION, "c-1", first.decision_id)
    given_back = await shown()
    third = await shop.decide()
    await shop.client.record_interaction(ORGANIZATION, "c-1", mail(decision_id=third.decision_id))

    assert [PERMIT, ("DENY", "CONSENT_EXPIRED"), PERMIT] == [told(first), told(second), told(third)]
    assert ["GIVEN", "EXPIRED", "GIVEN", "EXPIRED"] == [unused, open_permit, given_back, await shown()]
