"""What the tests of balances through gRPC record of one relationship, and how they ask for what it comes to."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.decider import Step
from ledger.domain.exchange import RecordExchange, ReverseExchange
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import RegisterAsset
from ledger.domain.times import timestamp
from ledger.domain.valuation_policy import PublishValuationPolicy
from ledger.requests import Request
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1.valuation_pb2 import ValuationPolicy, ValuationRule
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from rapport.relationship.v1 import balance_pb2 as b
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.window_pb2 import Window
from services.relationship import servicer
from services.runtime.run import ServiceModule
from services.runtime.settings import Secret
from tests.balance_facts import CUSTOMER, ORGANIZATION, leg, policy, rule
from tests.server import Serving, serving

MODULES: tuple[ServiceModule, ...] = (servicer,)
EUR = 10**9
DAY = 86_400 * 10**6
MARCH = 1_772_323_200 * 10**6
"""2026-03-01, 00:00 UTC."""
GIFT = x.ONE_SIDED_GIFT
KINDS = {
    "EUR/2": p.ASSET_KIND_MONEY,
    "MIN/0": p.ASSET_KIND_TIME,
    "PT/0": p.ASSET_KIND_POINTS,
    "DATAPT/0": p.ASSET_KIND_DATA,
    "REVIEW/0": p.ASSET_KIND_ADVOCACY,
}
RULES = (
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2", 10**7),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_GOODS, "EUR/2", 10**7, 8 * 10**6, 10**7, method=2),
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_DATA_DISCLOSED, "DATAPT/0", 5 * 10**8, 10**8, 2 * 10**9, method=4),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, "MIN/0", 9 * 10**8, 6 * 10**8, 12 * 10**8, method=3),
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_ADVOCACY, "REVIEW/0", 4 * 10**9, 10**9, 5 * 10**9, method=7),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_POINTS_GRANT, "PT/0", 10**7, redemption_ppm=800_000),
)


def day(number: int) -> int:
    """Return the start of a day of March."""
    return MARCH + (number - 1) * DAY


def attention(rate: int) -> ValuationRule:
    return rule(CUSTOMER, CUSTOMER, x.CATEGORY_ATTENTION, "MIN/0", rate, rate // 2, 2 * rate, method=4)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def server(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Serving]:
    store = {} if request.param == "sqlite" else {"store_url": Secret(request.getfixturevalue("postgres_url"))}
    async with serving(tmp_path, MODULES, **store) as running:
        await prepare(running)
        yield running


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[Serving]:
    """A server for what does not depend on the store. Nothing finds changes beside it: that has books of its own."""
    async with serving(tmp_path, MODULES, detector="off") as running:
        await prepare(running)
        yield running


@pytest.fixture
def stub(server: Serving) -> RelationshipServiceStub:
    return RelationshipServiceStub(server.channel)


@pytest.fixture
def ask(quick: Serving) -> RelationshipServiceStub:
    return RelationshipServiceStub(quick.channel)


async def prepare(server: Serving) -> None:
    stream = policy_stream("acme")
    assets = [p.AssetRegistered(asset=name, kind=kind, max_units_per_leg=10**6) for name, kind in KINDS.items()]
    await record(server, *(RegisterAsset(stream_id=stream, asset=asset) for asset in assets))


async def record(server: Serving, *steps: Step) -> int:
    """Record all in one request; return the position of the last."""
    request = Request("/test/Record", "acme", uuid.uuid4().bytes, RecordInteractionRequest())
    return (await server.app.ledger.execute(request, steps)).position


async def publish(server: Serving, made: ValuationPolicy) -> int:
    made.digest = b""
    return await record(server, PublishValuationPolicy(stream_id=policy_stream("acme"), policy=made))


def exchange(exchange_id: str, *legs: x.Leg, at: int, customer: str = "anna", **values: Any) -> RecordExchange:
    event = x.ExchangeRecorded(exchange_id=exchange_id, legs=legs, **values)
    return RecordExchange(stream_id=f"acme/{customer}", event=event, occur_time=at)


def reversal(exchange_id: str, at: int | None = None) -> ReverseExchange:
    event = x.ExchangeReversed(exchange_id=exchange_id, reversal_id=f"r-{exchange_id}")
    if at is None:
        event.at_original = True
    else:
        event.at.CopyFrom(timestamp(at))
    return ReverseExchange(stream_id="acme/anna", event=event)


def pays(cents: int) -> x.Leg:
    return leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, cents, "EUR/2")


def goods(cents: int) -> x.Leg:
    return leg(ORGANIZATION, x.CATEGORY_GOODS, cents, "EUR/2")


def minutes(units: int) -> x.Leg:
    return leg(CUSTOMER, x.CATEGORY_ATTENTION, units, "MIN/0")


def full_example() -> RecordExchange:
    return exchange(
        "x1",
        pays(4_750),
        goods(5_000),
        minutes(25),
        leg(CUSTOMER, x.CATEGORY_DATA_DISCLOSED, 6, "DATAPT/0"),
        leg(ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, 12, "MIN/0"),
        leg(CUSTOMER, x.CATEGORY_ADVOCACY, 1, "REVIEW/0"),
        at=day(5),
    )


def spec(at: int | None = None, position: int | None = None, **more: Any) -> b.ViewRef:
    made = b.ViewSpec(**more)
    if at is not None:
        made.as_of.occur_time.CopyFrom(timestamp(at))
    if position is not None:
        made.as_of.position = position
    return b.ViewRef(spec=made)


def window(begin: int | None, end: int | None) -> Window:
    made = Window()
    if begin is not None:
        getattr(made, "from").CopyFrom(timestamp(begin))
    if end is not None:
        made.to.CopyFrom(timestamp(end))
    return made


def asked(view: b.ViewRef | None = None, customer: str = "anna", **more: Any) -> pb.GetBalanceRequest:
    return pb.GetBalanceRequest(organization_id="acme", customer_id=customer, view=view, **more)


def explained(view: b.ViewRef | None = None, **more: Any) -> pb.ExplainBalanceRequest:
    return pb.ExplainBalanceRequest(organization_id="acme", customer_id="anna", view=view, **more)


def compared(one: b.ViewRef | None, other: b.ViewRef | None, **more: Any) -> pb.DiffViewsRequest:
    return pb.DiffViewsRequest(organization_id="acme", customer_id="anna", a=one, b=other, **more)


def statement(view: b.ViewRef | None = None, **more: Any) -> pb.GetStatementRequest:
    return pb.GetStatementRequest(organization_id="acme", customer_id="anna", view=view, **more)


async def get(stub: RelationshipServiceStub, view: b.ViewRef | None = None, **more: Any) -> b.Balance:
    return (await stub.GetBalance(asked(view, **more))).balance


async def parts(stub: RelationshipServiceStub, request: pb.ExplainBalanceRequest) -> list[pb.ExplainBalanceResponse]:
    return [part async for part in stub.ExplainBalance(request)]


def by_token(balance: b.Balance) -> b.ViewRef:
    return b.ViewRef(token=balance.view.token)


def ratio(of: b.Ratio) -> Fraction:
    return Fraction(int(of.numerator), int(of.denominator))


async def two_axes(server: Serving) -> dict[str, int]:
    """Record example 11.3; return the position of each event by its number there."""
    at: dict[str, int] = {}
    support = leg(ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, 10, "MIN/0")
    await publish(server, policy(1, *RULES, attention(10**8), effective_from=day(-58)))
    at["10"] = await record(server, exchange("x1", pays(4_000), goods(5_000), at=day(1)))
    at["12"] = await record(server, exchange("x2", minutes(30), at=day(10), one_sided=GIFT))
    at["15"] = await record(server, exchange("x3", support, at=day(5), one_sided=GIFT))
    corrected = exchange("x5", minutes(20), at=day(10), replaces="x2", one_sided=GIFT)
    at["19"] = await record(server, reversal("x2"), corrected)
    at["20"] = await publish(server, policy(2, *RULES, attention(2 * 10**8), effective_from=day(8)))
    at["21"] = await record(server, reversal("x1", at=day(28)))
    return at
