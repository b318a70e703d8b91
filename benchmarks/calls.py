"""Single calls that a benchmark makes around what it measures."""

from __future__ import annotations

from time import perf_counter, sleep
from typing import Any, Final

import grpc

from benchmarks.load import ORGANIZATION
from rapport.change.v1.change_service_pb2 import GetDetectorRequest
from rapport.change.v1.change_service_pb2_grpc import ChangeServiceStub
from rapport.events.v1.exchange_pb2 import CATEGORY_GOODS, CATEGORY_MONEY_PAYMENT, ONE_SIDED_GIFT, Party
from rapport.events.v1.policy_pb2 import ASSET_KIND_MONEY, AssetRegistered
from rapport.events.v1.valuation_pb2 import SIDE_GET, SIDE_GIVE, VALUATION_METHOD_FACE, ValuationPolicy
from rapport.exchange.v1.exchange_service_pb2 import RecordExchangeRequest
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.policy.v1.policy_service_pb2 import PublishValuationPolicyRequest, RegisterAssetsRequest
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.projection.v1.projection_service_pb2 import (
    REBUILD_PHASE_SWAPPED,
    ListProjectionsRequest,
    Projection,
    RebuildProjectionRequest,
)
from rapport.projection.v1.projection_service_pb2_grpc import ProjectionServiceStub
from services.client.request_ids import new_request_id

TIMEOUT_S: Final = 3_600.0


def register_money(target: str) -> None:
    """Put the asset of the exchange mix on the register."""
    asset = AssetRegistered(asset="EUR/2", kind=ASSET_KIND_MONEY, max_units_per_leg=1_000_000_000)
    request = RegisterAssetsRequest(organization_id=ORGANIZATION, request_id=new_request_id(), assets=[asset])
    with grpc.insecure_channel(target) as channel:
        _stub(PolicyServiceStub, channel).RegisterAssets(request, timeout=TIMEOUT_S)


def publish_rates(target: str) -> int:
    """Publish what balances are measured under: money at face, goods between four fifths and all of their price.

    Returns the position of the publication.
    """
    rates = ((Party.PARTY_CUSTOMER, SIDE_GIVE, SIDE_GET), (Party.PARTY_ORGANIZATION, SIDE_GET, SIDE_GIVE))
    policy = ValuationPolicy(policy_id="bench", unit_of_account="EUR")
    policy.effective_from_time.FromSeconds(1)
    for perspective, paid, goods in rates:
        for side, category, low in ((paid, CATEGORY_MONEY_PAYMENT, 10_000_000), (goods, CATEGORY_GOODS, 8_000_000)):
            policy.rules.add(
                rule_id=f"r{len(policy.rules)}",
                perspective=perspective,
                side=side,
                category=category,
                asset="EUR/2",
                rate_nanos=10_000_000,
                low_nanos=low,
                high_nanos=10_000_000,
                method=VALUATION_METHOD_FACE,
                source="made up for the benchmark",
            )
    request = PublishValuationPolicyRequest(organization_id=ORGANIZATION, request_id=new_request_id(), policy=policy)
    with grpc.insecure_channel(target) as channel:
        answer = _stub(PolicyServiceStub, channel).PublishValuationPolicy(request, timeout=TIMEOUT_S)
        return int(answer.published.position)


def record_exchange(target: str, customer_id: str) -> None:
    """Record one more exchange of a relationship, now."""
    request = RecordExchangeRequest(organization_id=ORGANIZATION, request_id=new_request_id(), customer_id=customer_id)
    request.exchange.exchange_id = new_request_id()
    request.exchange.one_sided = ONE_SIDED_GIFT
    leg = request.exchange.legs.add(giver=Party.PARTY_CUSTOMER, category=CATEGORY_MONEY_PAYMENT)
    leg.amount.units, leg.amount.asset = 1_000, "EUR/2"
    with grpc.insecure_channel(target) as channel:
        _stub(ExchangeServiceStub, channel).RecordExchange(request, timeout=TIMEOUT_S)


def wait_for_projections(target: str) -> list[Projection]:
    """Return the projections once all of them have seen the whole log.

    Raises:
        TimeoutError: they do not get there.
    """
    until = perf_counter() + TIMEOUT_S
    with grpc.insecure_channel(target) as channel:
        stub = _stub(ProjectionServiceStub, channel)
        while perf_counter() < until:
            answer = stub.ListProjections(ListProjectionsRequest(), timeout=TIMEOUT_S)
            if all(projection.position >= answer.head for projection in answer.projections):
                return list(answer.projections)
            sleep(0.05)
    raise TimeoutError("the projections do not catch up")


def wait_for_changes(target: str) -> None:
    """Return once the detector has looked through the whole log.

    Raises:
        TimeoutError: it does not get there.
    """
    until = perf_counter() + TIMEOUT_S
    with grpc.insecure_channel(target) as channel:
        stub = _stub(ChangeServiceStub, channel)
        while perf_counter() < until:
            answer = stub.GetDetector(GetDetectorRequest(), timeout=TIMEOUT_S)
            if answer.position >= answer.head_position:
                return
            sleep(0.05)
    raise TimeoutError("the detector does not catch up")


def rebuild(target: str, name: str) -> float:
    """Rebuild a projection beside the live one, compare and swap; return the seconds that it took.

    Raises:
        RuntimeError: it did not end in a swap, or found differences.
    """
    started = perf_counter()
    with grpc.insecure_channel(target) as channel:
        request = RebuildProjectionRequest(name=name)
        frames = list(_stub(ProjectionServiceStub, channel).RebuildProjection(request, timeout=TIMEOUT_S))
    if not frames or frames[-1].phase != REBUILD_PHASE_SWAPPED or frames[-1].rows_different:
        raise RuntimeError(f"the rebuild of {name} ended otherwise than by a swap of equal rows")
    return perf_counter() - started


def _stub(stub: Any, channel: grpc.Channel) -> Any:
    """Return a stub on a blocking channel; its types are those of the asynchronous one."""
    return stub(channel)
