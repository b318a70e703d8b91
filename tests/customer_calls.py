"""Requests to CustomerService, of one organization and of one customer unless said otherwise."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.times import MICROSECONDS, timestamp
from rapport.customer.v1 import customer_service_pb2 as pb
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from rapport.events.v1 import attribute_pb2, identity_pb2, preference_pb2
from rapport.events.v1.consent_pb2 import INDICATED_BY_SUBJECT
from rapport.events.v1.disclosure_pb2 import (
    Provenance,
)
from rapport.events.v1.exchange_pb2 import CATEGORY_GOODS, ONE_SIDED_GIFT, PARTY_ORGANIZATION, Leg
from rapport.events.v1.interaction_pb2 import (
    CHANNEL_EMAIL,
    DIRECTION_INBOUND,
    INITIATOR_CUSTOMER,
    INTERACTION_KIND_MESSAGE,
    InteractionRecorded,
)
from rapport.events.v1.policy_pb2 import ASSET_KIND_ITEM, AssetRegistered
from rapport.exchange.v1.exchange_service_pb2 import RecordExchangeRequest
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.exchange.v1.operation_pb2 import Exchange
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from rapport.interaction.v1.interaction_service_pb2_grpc import InteractionServiceStub
from rapport.policy.v1.policy_service_pb2 import RegisterAssetsRequest
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.type.v1.amount_pb2 import Amount
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.event_context_pb2 import EventContext
from tests.server import Serving, serving

DAY = 86_400 * MICROSECONDS
MARCH = 1_740_787_200_000_000
KEY = "purchase.plans"
NOTIFY, OTHER = identity_pb2.PROMISE_KIND_NOTIFY_ME, identity_pb2.PROMISE_KIND_OTHER


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
def stub(server: Serving) -> CustomerServiceStub:
    return CustomerServiceStub(server.channel)


def who(customer_id: str = "c-1") -> dict[str, Any]:
    return {"organization_id": "acme", "customer_id": customer_id}


def new(customer_id: str = "c-1", at: int | None = None) -> dict[str, Any]:
    """Return what the requests of all writes have in common."""
    occur_time = None if at is None else timestamp(at)
    return {**who(customer_id), "request_id": str(uuid.uuid4()), "occur_time": occur_time}


def verify(
    contact_point_id: str, customer_id: str = "c-1", at: int | None = None, **more: Any
) -> pb.VerifyIdentifierRequest:
    identifier = identity_pb2.IdentifierVerified(contact_point_id=contact_point_id, kind="email", **more)
    return pb.VerifyIdentifierRequest(**new(customer_id, at), identifier=identifier)


def declare(at: int | None = None, customer_id: str = "c-1", **kind: Any) -> pb.DeclarePreferenceRequest:
    preference = preference_pb2.PreferenceDeclared(**kind)
    return pb.DeclarePreferenceRequest(**new(customer_id, at), preference=preference)


def language(tag: str) -> preference_pb2.LanguagePreference:
    return preference_pb2.LanguagePreference(language=tag)


def link(one: str, other: str, link_id: str = "l-1", at: int | None = None, actor: str = "") -> pb.LinkCustomersRequest:
    event = identity_pb2.IdentityLinked(link_id=link_id, customer_a_id=one, customer_b_id=other, evidence="email")
    return pb.LinkCustomersRequest(
        organization_id="acme",
        request_id=str(uuid.uuid4()),
        link=event,
        occur_time=None if at is None else timestamp(at),
        context=EventContext(actor=actor),
    )


def unlink(one: str, other: str, link_id: str = "l-1") -> pb.UnlinkCustomersRequest:
    return pb.UnlinkCustomersRequest(
        organization_id="acme",
        request_id=str(uuid.uuid4()),
        customer_a_id=one,
        customer_b_id=other,
        unlink=identity_pb2.IdentityUnlinked(link_id=link_id, reason="wrong"),
    )


def disclose(code: str = "soon", position: int = 1, **more: Any) -> pb.DiscloseAttributeRequest:
    fields: dict[str, Any] = {"key": KEY, "indicated_by": INDICATED_BY_SUBJECT, **more}
    event = attribute_pb2.AttributeDisclosed(code=code, interaction_position=position, **fields)
    return pb.DiscloseAttributeRequest(**new(), attribute=event)


def infer(code: str = "soon") -> pb.InferAttributeRequest:
    event = attribute_pb2.AttributeInferred(key=KEY, code=code, rule="last.purchase")
    return pb.InferAttributeRequest(**new(), attribute=event)


def make(promise_id: str = "p-1", at: int | None = None, **more: Any) -> pb.MakePromiseRequest:
    promise = identity_pb2.PromiseMade(promise_id=promise_id, **{"kind": OTHER, **more})
    return pb.MakePromiseRequest(**new(at=at), promise=promise)


def trigger(promise_id: str = "p-1", at: int | None = None) -> pb.TriggerPromiseRequest:
    return pb.TriggerPromiseRequest(**new(at=at), trigger=identity_pb2.PromiseTriggered(promise_id=promise_id))


def keep(promise_id: str = "p-1", at: int | None = None) -> pb.KeepPromiseRequest:
    return pb.KeepPromiseRequest(**new(at=at), kept=identity_pb2.PromiseKept(promise_id=promise_id))


async def talk(server: Serving, customer_id: str = "c-1", at: int | None = None) -> int:
    """Record an interaction; return its position."""
    interaction = InteractionRecorded(
        kind=INTERACTION_KIND_MESSAGE,
        direction=DIRECTION_INBOUND,
        initiator=INITIATOR_CUSTOMER,
        channel=CHANNEL_EMAIL,
    )
    request = RecordInteractionRequest(**new(customer_id, at), interaction=interaction)
    answer = await InteractionServiceStub(server.channel).RecordInteraction(request)
    return int(answer.position)


async def give_a_disc(server: Serving, customer_id: str) -> None:
    """Register what discs are counted in, and record that one was given away."""
    disc = AssetRegistered(asset="CD/0", kind=ASSET_KIND_ITEM, max_units_per_leg=9)
    register = RegisterAssetsRequest(organization_id="acme", request_id=str(uuid.uuid4()), assets=[disc])
    await PolicyServiceStub(server.channel).RegisterAssets(register)
    legs = [Leg(giver=PARTY_ORGANIZATION, category=CATEGORY_GOODS, amount=Amount(units=1, asset="CD/0"))]
    gift = Exchange(exchange_id="x-1", occur_time=timestamp(MARCH + 3), one_sided=ONE_SIDED_GIFT, legs=legs)
    recorded = RecordExchangeRequest(**who(customer_id), request_id=str(uuid.uuid4()), exchange=gift)
    await ExchangeServiceStub(server.channel).RecordExchange(recorded)


async def shown(stub: CustomerServiceStub, customer_id: str = "c-1", as_of: AsOf | None = None) -> Any:
    return await stub.GetCustomer(pb.GetCustomerRequest(**who(customer_id), as_of=as_of))


async def slots(stub: CustomerServiceStub, **asked: Any) -> list[tuple[str, str, str, str]]:
    """Return (key, provenance, standing, code) of each slot answered."""
    answer = await stub.GetAttributes(pb.GetAttributesRequest(**who(), **asked))
    return [
        (
            told.key,
            Provenance.Name(told.provenance)[11:],
            pb.AttributeStanding.Name(told.standing)[19:],
            told.code,
        )
        for told in answer.slots
    ]
