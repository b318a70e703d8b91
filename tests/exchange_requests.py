"""Requests to ExchangeService about customer 42 of `shop`, and the server that they are sent to."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.times import timestamp
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1.policy_pb2 import AssetRegistered
from rapport.exchange.v1 import exchange_service_pb2 as pb
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.exchange.v1.operation_pb2 import Exchange, Operation, Posting, Reversal, Voiding
from rapport.policy.v1 import policy_service_pb2 as policy_pb
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from services.consent import servicer as consent_servicer
from services.exchange import servicer as exchange_servicer
from services.policy import servicer as policy_servicer
from tests.exchange_pairs import CUSTOMER, ORGANIZATION, given, goods, pays
from tests.server import Serving, serving

MARCH = 1_740_787_200_000_000
EUR = AssetRegistered(asset="EUR/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=10_000)
CD = AssetRegistered(asset="CD/0", kind=p.ASSET_KIND_ITEM, max_units_per_leg=100)
DATA = AssetRegistered(asset="DATAPT/0", kind=p.ASSET_KIND_DATA, max_units_per_leg=100)
PT = AssetRegistered(asset="PT/0", kind=p.ASSET_KIND_POINTS, max_units_per_leg=100)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path, (exchange_servicer, policy_servicer, consent_servicer), batch_items_max=10) as running:
        policy = PolicyServiceStub(running.channel)
        await policy.RegisterAssets(register(EUR, CD, DATA, PT))
        yield running


@pytest.fixture
def stub(server: Serving) -> ExchangeServiceStub:
    return ExchangeServiceStub(server.channel)


def new_id() -> str:
    return str(uuid.uuid4())


def register(*assets: AssetRegistered, organization_id: str = "shop") -> policy_pb.RegisterAssetsRequest:
    return policy_pb.RegisterAssetsRequest(organization_id=organization_id, request_id=new_id(), assets=assets)


def exchange(exchange_id: str = "x1", **values: Any) -> Exchange:
    return Exchange(**{"exchange_id": exchange_id, "occur_time": timestamp(MARCH), "legs": [pays(), goods()], **values})


def record(exchange_id: str = "x1", expected_version: int | None = None, **values: Any) -> pb.RecordExchangeRequest:
    return pb.RecordExchangeRequest(
        organization_id="shop",
        customer_id="42",
        request_id=new_id(),
        expected_version=expected_version,
        exchange=exchange(exchange_id, **values),
    )


def reverse(exchange_id: str = "x1", reversal_id: str = "r1", **values: Any) -> pb.ReverseExchangeRequest:
    values = values or {"at_original": True}
    return pb.ReverseExchangeRequest(
        organization_id="shop",
        customer_id="42",
        request_id=new_id(),
        reversal=Reversal(exchange_id=exchange_id, reversal_id=reversal_id, **values),
    )


def post(exchange_id: str = "h1", **values: Any) -> pb.PostExchangeRequest:
    posting = Posting(**{"exchange_id": exchange_id, "occur_time": timestamp(MARCH + 5), **values})
    return pb.PostExchangeRequest(organization_id="shop", customer_id="42", request_id=new_id(), posting=posting)


def void(exchange_id: str = "h1", **values: Any) -> pb.VoidExchangeRequest:
    voiding = Voiding(**{"exchange_id": exchange_id, "occur_time": timestamp(MARCH + 5), **values})
    return pb.VoidExchangeRequest(organization_id="shop", customer_id="42", request_id=new_id(), voiding=voiding)


def apply(*operations: Operation) -> pb.ApplyExchangesRequest:
    return pb.ApplyExchangesRequest(organization_id="shop", request_id=new_id(), operations=operations)


def recording(exchange_id: str, customer_id: str = "42", **values: Any) -> Operation:
    return Operation(customer_id=customer_id, record=exchange(exchange_id, **values))


def reversing(exchange_id: str, reversal_id: str, customer_id: str = "42") -> Operation:
    reversal = Reversal(exchange_id=exchange_id, reversal_id=reversal_id, at_original=True)
    return Operation(customer_id=customer_id, reverse=reversal)


async def totals(server: Serving, customer_id: str = "42") -> dict[str, int]:
    look = await server.app.ledger.current(f"shop/{customer_id}")
    quantities = look.state.exchanges.quantities()
    return {**given(quantities, CUSTOMER), **given(quantities, ORGANIZATION)}
