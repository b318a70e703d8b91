"""ListRelationships by index, confidence and net: what GetBalance says of each at the time that the list names."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from ledger.domain.decider import Step
from ledger.domain.exchange import RecordExchange, ReverseExchange
from ledger.domain.identifiers import policy_stream
from ledger.domain.interaction import RecordInteraction
from ledger.domain.policy import RegisterAsset
from ledger.domain.valuation_policy import PublishValuationPolicy
from ledger.requests import Request
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1 import valuation_pb2 as v
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from rapport.projection.v1 import projection_service_pb2 as projection_pb
from rapport.projection.v1.projection_service_pb2_grpc import ProjectionServiceStub
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.balance_pb2 import ViewRef, ViewSpec
from rapport.relationship.v1.relationship_pb2 import Relationship
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.amount_pb2 import Amount
from rapport.type.v1.as_of_pb2 import AsOf
from services.relationship import servicer
from services.runtime.run import ServiceModule
from services.runtime.settings import Secret
from tests.server import Serving, serving
from tests.valuation_policies import policy, rule

MODULES: tuple[ServiceModule, ...] = (servicer,)
MARCH = 1_740_787_200_000_000
DAY = 86_400_000_000
EURO = 10**9
CUSTOMER, ORGANIZATION = x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION
POLICY = policy_stream("acme")
ASSETS = [
    RegisterAsset(stream_id=POLICY, asset=p.AssetRegistered(asset=asset, kind=kind, max_units_per_leg=10_000))
    for asset, kind in (("EUR/2", p.ASSET_KIND_MONEY), ("CD/0", p.ASSET_KIND_ITEM))
]
ASCENDING = {pb.RELATIONSHIP_ORDER_INDEX_ASCENDING, pb.RELATIONSHIP_ORDER_NET_ASCENDING}
ORDERS = {
    pb.RELATIONSHIP_ORDER_INDEX_ASCENDING: "index_ppm",
    pb.RELATIONSHIP_ORDER_INDEX_DESCENDING: "index_ppm",
    pb.RELATIONSHIP_ORDER_CONFIDENCE_DESCENDING: "confidence_ppm",
    pb.RELATIONSHIP_ORDER_NET_ASCENDING: "net_nanos",
    pb.RELATIONSHIP_ORDER_NET_DESCENDING: "net_nanos",
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path, MODULES) as running:
        await record(running, *ASSETS)
        yield running


@pytest.fixture
def stub(server: Serving) -> RelationshipServiceStub:
    return RelationshipServiceStub(server.channel)


async def record(server: Serving, *steps: Step) -> int:
    """Record all in one request; return the position of the last."""
    request = Request("/test/Record", "acme", uuid.uuid4().bytes, RecordInteractionRequest())
    return (await server.app.ledger.execute(request, steps)).position


def visit(customer: str) -> RecordInteraction:
    event = i.InteractionRecorded(kind=i.INTERACTION_KIND_VISIT, direction=i.DIRECTION_INBOUND)
    return RecordInteraction(f"acme/{customer}", event, MARCH)


def purchase(exchange_id: str, customer: str, cents: int, pieces: int = 1, at: int = MARCH) -> RecordExchange:
    pays = x.Leg(giver=CUSTOMER, category=x.CATEGORY_MONEY_PAYMENT, amount=Amount(units=cents, asset="EUR/2"))
    gets = x.Leg(giver=ORGANIZATION, category=x.CATEGORY_GOODS, amount=Amount(units=pieces, asset="CD/0"))
    event = x.ExchangeRecorded(exchange_id=exchange_id, legs=[pays, gets])
    return RecordExchange(stream_id=f"acme/{customer}", event=event, occur_time=at)


def reversal(exchange_id: str, customer: str) -> ReverseExchange:
    event = x.ExchangeReversed(exchange_id=exchange_id, reversal_id=f"r-{exchange_id}", at_original=True)
    return ReverseExchange(stream_id=f"acme/{customer}", event=event)


def publication(euros_a_piece: int, effective_from: int = 0, **more: Any) -> PublishValuationPolicy:
    """A euro is a euro to both; a CD is worth so many euros to the customer, and costs us half of that."""
    worth, cost = euros_a_piece * EURO, euros_a_piece * EURO // 2
    of_goods: dict[str, Any] = {"category": x.CATEGORY_GOODS, "asset": "CD/0"}
    rules = [
        rule("paid"),
        rule("goods", worth, side=v.SIDE_GET, **of_goods),
        rule("paid-us", perspective=ORGANIZATION, side=v.SIDE_GET),
        rule("goods-cost", cost, perspective=ORGANIZATION, **of_goods),
    ]
    return PublishValuationPolicy(stream_id=POLICY, policy=policy(*rules, effective_from=effective_from, **more))


def listing(order: pb.RelationshipOrder.ValueType = pb.RELATIONSHIP_ORDER_UNSPECIFIED, **more: Any) -> Any:
    return pb.ListRelationshipsRequest(organization_id="acme", order_by=order, **more)


async def all_pages(stub: RelationshipServiceStub, request: pb.ListRelationshipsRequest) -> list[Relationship]:
    found: list[Relationship] = []
    while True:
        page = await stub.ListRelationships(request)
        found += page.relationships
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def ids(stub: RelationshipServiceStub, request: pb.ListRelationshipsRequest) -> list[str]:
    return [each.customer_id for each in await all_pages(stub, request)]


async def history(server: Serving, seed: int) -> int:
    """Record purchases, reversals and visits under changing policies; return the head."""
    chance = random.Random(seed)
    bought: list[tuple[str, str]] = []
    await record(server, publication(10, kappa_nanos=10 * EURO), *[visit(f"c-{number:02}") for number in range(8)])
    # Chance leaves these alone: some who have an index, and one who has none.
    await record(server, visit("visitor"), *[purchase(f"s-{seed}-{number}", f"s-{number}", 500) for number in range(6)])
    for number in range(60):
        customer, at = f"c-{chance.randrange(25):02}", MARCH + chance.randrange(30) * DAY
        if chance.random() < 0.2 and bought:
            await record(server, reversal(*bought.pop(chance.randrange(len(bought)))))
        else:
            await record(server, purchase(f"x-{seed}-{number}", customer, chance.randrange(500, 3000, 500), at=at))
            bought.append((f"x-{seed}-{number}", customer))
        if number == 30:
            await record(server, publication(20, MARCH + 10 * DAY, kappa_nanos=20 * EURO))
    return server.app.ledger.head.position


async def test_every_list_says_what_the_balances_say(server: Serving, stub: RelationshipServiceStub, seed: int) -> None:
    head = await history(server, seed)
    everybody = await ids(stub, listing(min_position=head))
    for perspective in (CUSTOMER, ORGANIZATION):
        balances = {}
        for order, field in ORDERS.items():
            chosen = {"balance": {"perspective": perspective}}
            found = await all_pages(stub, listing(order, filter=chosen, min_position=head, page_size=4))
            for each in found:
                if each.customer_id not in balances:
                    balances[each.customer_id] = await balance_of(stub, each)
                mine, full = each.balance, balances[each.customer_id]
                assert perspective == mine.perspective
                for name in ("got_nanos", "gave_nanos", "net_nanos", "confidence_ppm", "index_ppm"):
                    assert getattr(full, name) == getattr(mine, name), (each.customer_id, name)
                assert full.HasField("index_ppm") == mine.HasField("index_ppm")
            sign = 1 if order in ASCENDING else -1
            keys = [(sign * getattr(each.balance, field), each.customer_id) for each in found]
            assert sorted(keys) == keys
            listed = {each.customer_id for each in found}
            if field == "net_nanos":
                assert set(everybody) == listed
            else:
                assert {name for name, each in balances.items() if each.HasField("index_ppm")} >= listed
                assert 5 < len(listed) < len(everybody)


async def balance_of(stub: RelationshipServiceStub, listed: Relationship) -> Any:
    """Return the balance that GetBalance tells at the moment of a list."""
    as_of = AsOf(occur_time=listed.balance.occur_time, position=listed.position)
    view = ViewRef(spec=ViewSpec(as_of=as_of, perspective=listed.balance.perspective))
    request = pb.GetBalanceRequest(organization_id="acme", customer_id=listed.customer_id, view=view)
    return (await stub.GetBalance(request)).balance


QUESTIONS: list[dict[str, Any]] = [
    {"balance": {}},
    {"balance": {"perspective": ORGANIZATION, "net_nanos_min": 0}},
    {"balance": {"index_ppm_min": -200_000, "index_ppm_max": 400_000}, "exchanges_min": 2},
    {"balance": {"confidence_ppm_min": 500_000}, "customer_id_prefix": "c-1"},
    {"balance": {"net_nanos_max": -1}, "units": {"giver": CUSTOMER, "asset": "EUR/2"}, "units_min": 1500},
]


async def test_lists_of_now_and_of_the_past_are_the_same(
    server: Serving, stub: RelationshipServiceStub, seed: int
) -> None:
    head = await history(server, seed)
    compared = 0
    for question in QUESTIONS:
        for order in (*ORDERS, pb.RELATIONSHIP_ORDER_CUSTOMER_ID, pb.RELATIONSHIP_ORDER_INTERACTIONS_DESCENDING):
            now = await all_pages(stub, listing(order, filter=question, min_position=head, page_size=5))
            if not now:
                continue
            as_of = AsOf(occur_time=now[0].balance.occur_time, position=head)
            past = await all_pages(stub, listing(order, filter=question, as_of=as_of, page_size=5))

            assert [(each.customer_id, each.balance) for each in past] == [
                (each.customer_id, each.balance) for each in now
            ], (question, order)
            assert all(each.HasField("balance") for each in now)
            compared += len(now)
    assert compared > 100


async def test_a_list_about_something_else_tells_no_balance(server: Serving, stub: RelationshipServiceStub) -> None:
    head = await record(server, publication(10), purchase("x-1", "a", 500))

    (found,) = await all_pages(stub, listing(min_position=head))

    assert not found.HasField("balance")


async def test_bounds_are_inclusive_and_hold_together(server: Serving, stub: RelationshipServiceStub) -> None:
    purchases = [purchase(f"x-{name}", name, cents) for name, cents in (("a", 1000), ("b", 1500), ("c", 500))]
    head = await record(server, publication(10, kappa_nanos=0), *purchases, visit("d"))

    async def among(**bounds: int) -> list[str]:
        return await ids(stub, listing(filter={"balance": bounds}, min_position=head))

    # Gave 10, 15 and 5 euros for a CD worth 10: net 0, -5, +5 euros; index 0, -1/5, 1/3.
    assert ["a", "b", "c", "d"] == await among()
    assert ["a", "c", "d"] == await among(net_nanos_min=0)
    assert ["b"] == await among(net_nanos_max=-5 * EURO)
    assert ["a", "b"] == await among(index_ppm_min=-200_000, index_ppm_max=0)
    assert ["c"] == await among(index_ppm_min=333_333, net_nanos_min=1)
    assert ["a", "b", "c"] == await among(confidence_ppm_min=0)
    assert ["a", "b", "c"] == await among(confidence_ppm_min=10**6)


async def test_without_a_policy_lists_by_balance_are_empty_and_others_go_on(
    server: Serving, stub: RelationshipServiceStub
) -> None:
    head = await record(server, purchase("x-1", "a", 500), visit("b"))
    request = listing(pb.RELATIONSHIP_ORDER_NET_DESCENDING, min_position=head)
    assert [] == await ids(stub, request)
    assert ["a", "b"] == await ids(stub, listing(filter={"balance": {}}))

    published = await record(server, publication(10))

    request.min_position = published
    assert ["a", "b"] == await ids(stub, request)
    assert ["a"] == await ids(stub, listing(pb.RELATIONSHIP_ORDER_INDEX_DESCENDING, min_position=published))


async def test_another_opinion_on_the_past_orders_everybody_anew(
    server: Serving, stub: RelationshipServiceStub
) -> None:
    await record(server, publication(10), purchase("x-1", "cheap", 100, 1), purchase("x-2", "many", 9000, 8))
    by_net = listing(pb.RELATIONSHIP_ORDER_NET_DESCENDING)
    by_net.min_position = await record(server, visit("cheap"))
    assert ["cheap", "many"] == await ids(stub, by_net)

    by_net.min_position = await record(server, publication(100))

    assert ["many", "cheap"] == await ids(stub, by_net)


async def test_a_version_that_begins_later_changes_nothing_yet(server: Serving, stub: RelationshipServiceStub) -> None:
    await record(server, publication(10), purchase("x-1", "a", 500))
    request = listing(filter={"balance": {}})
    tomorrow = server.app.ledger.clock() + DAY
    request.min_position = await record(server, publication(1000, tomorrow, kappa_nanos=EURO), visit("b"))

    found = await all_pages(stub, request)

    assert [5 * EURO, 0] == [each.balance.net_nanos for each in found]
    assert (5 * 10**6 + 17) // 35 == found[0].balance.index_ppm, "kappa is still that of the first version"


async def test_a_bound_beyond_its_range_is_refused(stub: RelationshipServiceStub) -> None:
    for bounds in ({"index_ppm_min": -1_000_001}, {"confidence_ppm_min": 1_000_001}, {"perspective": 9}):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListRelationships(listing(filter={"balance": bounds}))
        assert grpc.StatusCode.INVALID_ARGUMENT == refused.value.code()


@pytest.mark.postgres
async def test_it_is_the_same_on_postgresql(tmp_path: Path, postgres_url: str, seed: int) -> None:
    async with serving(tmp_path, MODULES, store_url=Secret(postgres_url)) as running:
        stub = RelationshipServiceStub(running.channel)
        await record(running, *ASSETS)
        await test_every_list_says_what_the_balances_say(running, stub, seed)
        await test_lists_of_now_and_of_the_past_are_the_same(running, stub, seed + 1)
        rebuild = projection_pb.RebuildProjectionRequest(name="relationships")
        frames = [frame async for frame in ProjectionServiceStub(running.channel).RebuildProjection(rebuild)]
        assert projection_pb.REBUILD_PHASE_SWAPPED == frames[-1].phase
