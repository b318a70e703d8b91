"""What the tests of RelationshipService record, straight into the ledger, and what they ask: of one organization."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.decider import Step
from ledger.domain.exchange import RecordExchange, ReverseExchange
from ledger.domain.identifiers import policy_stream
from ledger.domain.interaction import RecordInteraction, RetractInteraction
from ledger.domain.policy import RegisterAsset
from ledger.domain.times import timestamp
from ledger.requests import Request
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import policy_pb2 as p
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.relationship_pb2 import Relationship
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.amount_pb2 import Amount
from rapport.type.v1.as_of_pb2 import AsOf
from services.relationship import servicer
from services.runtime.run import ServiceModule
from tests.server import Serving, serving

MODULES: tuple[ServiceModule, ...] = (servicer,)
MARCH = 1_740_787_200_000_000
DAY = 86_400_000_000
ASSETS = [
    RegisterAsset(stream_id=policy_stream("acme"), asset=asset)
    for asset in (
        p.AssetRegistered(asset="EUR/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=10_000),
        p.AssetRegistered(asset="CD/0", kind=p.ASSET_KIND_ITEM, max_units_per_leg=100),
    )
]
CUSTOMER, ORGANIZATION = x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path, MODULES) as running:
        await record(running, *ASSETS)
        yield running


@pytest.fixture
def stub(server: Serving) -> RelationshipServiceStub:
    return RelationshipServiceStub(server.channel)


async def record(server: Serving, *steps: Step, message: RecordInteractionRequest | None = None) -> int:
    """Record all in one request; return the position of the last."""
    request = Request("/test/Record", "acme", uuid.uuid4().bytes, message or RecordInteractionRequest())
    return (await server.app.ledger.execute(request, steps)).position


def visit(customer: str = "c-1", at: int = MARCH, **fields: Any) -> RecordInteraction:
    event = i.InteractionRecorded(kind=i.INTERACTION_KIND_VISIT, direction=i.DIRECTION_INBOUND, **fields)
    return RecordInteraction(f"acme/{customer}", event, at)


def purchase(exchange_id: str, cents: int = 1250, customer: str = "c-1", at: int = MARCH) -> RecordExchange:
    pays = x.Leg(giver=CUSTOMER, category=x.CATEGORY_MONEY_PAYMENT, amount=Amount(units=cents, asset="EUR/2"))
    gets = x.Leg(giver=ORGANIZATION, category=x.CATEGORY_GOODS, amount=Amount(units=1, asset="CD/0"))
    event = x.ExchangeRecorded(exchange_id=exchange_id, legs=[pays, gets])
    return RecordExchange(stream_id=f"acme/{customer}", event=event, occur_time=at)


def reversal(exchange_id: str, customer: str = "c-1") -> ReverseExchange:
    event = x.ExchangeReversed(exchange_id=exchange_id, reversal_id=f"r-{exchange_id}", at_original=True)
    return ReverseExchange(stream_id=f"acme/{customer}", event=event)


def asked(customer: str = "c-1", **more: Any) -> pb.GetRelationshipRequest:
    return pb.GetRelationshipRequest(organization_id="acme", customer_id=customer, **more)


def listing(**more: Any) -> pb.ListRelationshipsRequest:
    return pb.ListRelationshipsRequest(organization_id="acme", **more)


def as_of(occur_time: int | None = None, position: int | None = None) -> AsOf:
    view = AsOf(occur_time=None if occur_time is None else timestamp(occur_time))
    if position is not None:
        view.position = position
    return view


def ids(relationships: Sequence[Relationship]) -> list[str]:
    return [each.customer_id for each in relationships]


async def history(server: Serving, seed: int) -> int:
    """Record some of everything for a few dozen customers; return the head."""
    chance = random.Random(seed)
    bought: list[tuple[str, str]] = []
    for number in range(120):
        customer = f"c-{chance.randrange(25):02}"
        at = MARCH + chance.randrange(30) * DAY
        kind = chance.randrange(6)
        if kind < 2:
            await record(server, visit(customer, at))
        elif kind < 4:
            await record(server, purchase(f"x-{seed}-{number}", chance.randrange(1, 5) * 100, customer, at))
            bought.append((f"x-{seed}-{number}", customer))
        elif kind == 4 and bought:
            exchange_id, owner = bought.pop(chance.randrange(len(bought)))
            await record(server, reversal(exchange_id, owner))
        else:
            position = await record(server, visit(customer, at))
            retraction = i.InteractionRetracted(original_position=position)
            await record(server, RetractInteraction(f"acme/{customer}", retraction))
    return server.app.ledger.head.position


async def all_pages(stub: RelationshipServiceStub, request: pb.ListRelationshipsRequest) -> list[Relationship]:
    found: list[Relationship] = []
    while True:
        page = await stub.ListRelationships(request)
        assert all(page.position == each.position for each in page.relationships)
        found += page.relationships
        if not page.next_page_token:
            return found
        assert request.page_size == len(page.relationships)
        request.page_token = page.next_page_token


def without_time(found: list[Relationship]) -> list[Relationship]:
    for each in found:
        each.as_of.ClearField("occur_time")
    return found
