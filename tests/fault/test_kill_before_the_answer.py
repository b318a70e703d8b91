"""A server is killed between a posting, a redemption and their answer; both are sent again, and happen once (9.1)."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import grpc
import pytest

from rapport.events.v1.policy_pb2 import ASSET_KIND_ITEM, ASSET_KIND_MONEY, ASSET_KIND_POINTS, AssetRegistered
from rapport.exchange.v1 import exchange_service_pb2 as messages
from rapport.exchange.v1 import operation_pb2 as op
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.exchange.v1.operation_pb2 import Exchange, Operation, Posting
from rapport.policy.v1.policy_service_pb2 import RegisterAssetsRequest
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from tests.exchange_pairs import goods, grants, pays, redeems
from tests.fault.stored import embedded_log
from tests.refusals import metadata_of, refusal
from tests.server import ServerProcess

HOLD = Exchange(exchange_id="h1", legs=[pays(), grants(10)])
HOLD.pending_until.FromMicroseconds(4_102_444_800_000_000)
POSTED = [1177, 7]


def redeeming(exchange_id: str, units: int) -> Operation:
    return Operation(customer_id="42", record=Exchange(exchange_id=exchange_id, legs=[redeems(units), goods()]))


OPERATIONS = [Operation(customer_id="42", post=Posting(exchange_id="h1", units=POSTED)), redeeming("x1", 3)]
"""What the server is killed over: points become a lot, and some of them are used."""


def batch(*operations: Operation) -> messages.ApplyExchangesRequest:
    return messages.ApplyExchangesRequest(organization_id="acme", request_id=str(uuid4()), operations=operations)


async def prepare(channel: grpc.aio.Channel) -> None:
    """Register the assets, and record a hold of points."""
    kinds = {"EUR/2": ASSET_KIND_MONEY, "PT/0": ASSET_KIND_POINTS, "CD/0": ASSET_KIND_ITEM}
    assets = [AssetRegistered(asset=name, kind=kind, max_units_per_leg=10_000) for name, kind in kinds.items()]
    register = RegisterAssetsRequest(organization_id="acme", request_id=str(uuid4()), assets=assets)
    await PolicyServiceStub(channel).RegisterAssets(register)
    await ExchangeServiceStub(channel).ApplyExchanges(batch(Operation(customer_id="42", record=HOLD)))


def topics(data_dir: Path) -> list[str]:
    return [row.topic for row in embedded_log(data_dir) if row.stream_id == "acme/42"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "point, was_stored",
    # Opening a log takes the way of an append, with nothing to store.
    [("append.before_commit:2", False), ("append.after_commit:2", True), ("group.before_ack:1", True)],
)
async def test_what_is_sent_again_after_a_kill_happens_once(tmp_path: Path, point: str, was_stored: bool) -> None:
    cut_off = batch(*OPERATIONS)
    with ServerProcess(tmp_path) as server:
        async with grpc.aio.insecure_channel(server.target) as channel:
            await prepare(channel)

    with ServerProcess(tmp_path, settings={"RAPPORT_TEST_FAULT": f"{point}:kill"}) as killed:
        async with grpc.aio.insecure_channel(killed.target) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as lost:
                await ExchangeServiceStub(channel).ApplyExchanges(cut_off, timeout=30)
        assert (grpc.StatusCode.UNAVAILABLE, -9) == (lost.value.code(), killed.wait())
    assert (3 if was_stored else 1) == len(topics(tmp_path))

    with ServerProcess(tmp_path) as server:
        async with grpc.aio.insecure_channel(server.target) as channel:
            stub = ExchangeServiceStub(channel)
            again = await stub.ApplyExchanges(cut_off)
            anew = await stub.ApplyExchanges(batch(*OPERATIONS))
            short = await refusal(stub.ApplyExchanges(batch(redeeming("x2", 5))))

    assert again.replayed == was_stored
    assert [op.OUTCOME_APPLIED] * 2 == [result.outcome for result in again.results]
    assert [op.OUTCOME_ALREADY_APPLIED] * 2 == [result.outcome for result in anew.results]
    assert [result.position for result in again.results] == [result.position for result in anew.results]
    assert "4" == metadata_of(short)["available"]
    assert ["exchange.recorded.v1", "exchange.posted.v1", "exchange.recorded.v1"] == topics(tmp_path)
