"""Two servers over one database take the same exchange back at once, a thousand times (reciprocity.md 3).

Of two reversals exactly one wins; the other is told EXCHANGE_ALREADY_REVERSED, with the winner's id and position.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import grpc
import pytest

from rapport.audit.v1.audit_service_pb2 import EventFilter
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.policy_pb2 import ASSET_KIND_ITEM, ASSET_KIND_MONEY, AssetRegistered
from rapport.exchange.v1 import exchange_service_pb2 as messages
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.exchange.v1.operation_pb2 import Exchange, Operation, Reversal
from rapport.policy.v1.policy_service_pb2 import RegisterAssetsRequest
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.relationship.v1.relationship_service_pb2 import GetRelationshipRequest
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.amount_pb2 import Amount
from services.client import Client
from tests.fault.test_two_servers import postgres_keys_url
from tests.postgres_server import postgres_server, postgres_url
from tests.refusals import metadata_of, reason_of, status_of
from tests.server import ServerProcess

__all__ = ["postgres_keys_url", "postgres_server", "postgres_url"]

EXCHANGES = 1_000
CUSTOMERS = 25
AT_ONCE = 12
"""Pairs of reversals under way."""

LEGS = [
    x.Leg(giver=x.PARTY_CUSTOMER, category=x.CATEGORY_MONEY_PAYMENT, amount=Amount(units=1_177, asset="EUR/2")),
    x.Leg(giver=x.PARTY_ORGANIZATION, category=x.CATEGORY_GOODS, amount=Amount(units=1, asset="CD/0")),
]


@dataclass(frozen=True)
class Answer:
    """What one server said to a reversal."""

    reversal_id: str
    position: int
    """Of the reversal that stands, whoever's it is."""
    winner: str
    """reversal_id of the reversal that stands."""


def customer_of(number: int) -> str:
    return f"c-{number % CUSTOMERS}"


async def record_all(channel: grpc.aio.Channel) -> None:
    """Register the assets and record the exchanges, in batches."""
    assets = [
        AssetRegistered(asset="EUR/2", kind=ASSET_KIND_MONEY, max_units_per_leg=10_000),
        AssetRegistered(asset="CD/0", kind=ASSET_KIND_ITEM, max_units_per_leg=10),
    ]
    register = RegisterAssetsRequest(organization_id="acme", request_id=str(uuid4()), assets=assets)
    await PolicyServiceStub(channel).RegisterAssets(register)
    operations = [
        Operation(customer_id=customer_of(number), record=Exchange(exchange_id=f"x-{number}", legs=LEGS))
        for number in range(EXCHANGES)
    ]
    for start in range(0, EXCHANGES, 250):
        batch = messages.ApplyExchangesRequest(
            organization_id="acme", request_id=str(uuid4()), operations=operations[start : start + 250]
        )
        await ExchangeServiceStub(channel).ApplyExchanges(batch)


async def reverse(channel: grpc.aio.Channel, number: int, reversal_id: str) -> Answer:
    """Take one exchange back; a call that says that it may be repeated is repeated, as a client would."""
    request = messages.ReverseExchangeRequest(
        organization_id="acme",
        customer_id=customer_of(number),
        request_id=str(uuid4()),
        reversal=Reversal(exchange_id=f"x-{number}", reversal_id=reversal_id, at_original=True),
    )
    while True:
        try:
            done = await ExchangeServiceStub(channel).ReverseExchange(request, timeout=30)
        except grpc.aio.AioRpcError as error:
            if error.code() in {grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE}:
                continue
            status = status_of(error)
            assert "EXCHANGE_ALREADY_REVERSED" == reason_of(status)
            named = metadata_of(status)
            return Answer(reversal_id, int(named["position"]), named["reversal_id"])
        return Answer(reversal_id, done.result.position, reversal_id)


async def race(targets: list[str]) -> None:
    """Record all, reverse each exchange by every server at once, and see who won."""
    channels = [grpc.aio.insecure_channel(target) for target in targets]
    limit = asyncio.Semaphore(AT_ONCE)

    async def reverse_by_all(number: int) -> tuple[Answer, ...]:
        async with limit:
            both = (reverse(channel, number, f"r-{number}-{name}") for name, channel in enumerate(channels))
            return tuple(await asyncio.gather(*both))

    try:
        await record_all(channels[0])
        answers = list(await asyncio.gather(*map(reverse_by_all, range(EXCHANGES))))
        for channel in channels:
            await nothing_is_left(channel)
    finally:
        for channel in channels:
            await channel.close()
    check(answers, await reversals(targets[0]))


async def nothing_is_left(channel: grpc.aio.Channel) -> None:
    """See that what each customer gave and got is all reversed, as this server tells it."""
    for customer in range(CUSTOMERS):
        request = GetRelationshipRequest(organization_id="acme", customer_id=f"c-{customer}")
        told = await RelationshipServiceStub(channel).GetRelationship(request)
        counts = EXCHANGES // CUSTOMERS
        assert (0, counts) == (told.relationship.exchanges.count, told.relationship.exchanges.reversed)
        assert all(each.posted == each.reversed > 0 for each in told.relationship.quantities)


async def reversals(target: str) -> dict[int, str]:
    """Return the reversal_id at each position of the log that holds a reversal."""
    only = EventFilter(organization_id="acme", topics=["exchange.reversed.v1"])
    async with Client(target) as client:
        return {
            event.position: x.ExchangeReversed.FromString(event.event).reversal_id
            async for event in client.read_events(filter=only)
        }


def check(answers: list[tuple[Answer, ...]], stored: dict[int, str]) -> None:
    """See that of each pair one won, the other named it, and the log holds the winner and nobody else."""
    assert EXCHANGES == len(answers) == len(stored)
    wins = [0, 0]
    for pair in answers:
        winners = [place for place, answer in enumerate(pair) if answer.winner == answer.reversal_id]
        assert 1 == len(winners), pair
        wins[winners[0]] += 1
        assert 1 == len({(answer.winner, answer.position) for answer in pair}), pair
        assert pair[0].winner == stored[pair[0].position], pair
    assert all(wins), "one server won every race: they did not meet"


@pytest.mark.postgres
@pytest.mark.timeout(180)
async def test_one_of_two_reversals_wins_on_one_postgresql_database(
    tmp_path: Path, postgres_url: str, postgres_keys_url: str
) -> None:
    settings = {"RAPPORT_STORE_URL": postgres_url, "RAPPORT_KEYS_URL": postgres_keys_url}
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(tmp_path, settings=settings)) for _ in range(2)]
        await race([server.target for server in servers])


@pytest.mark.timeout(180)
async def test_one_of_two_reversals_wins_on_one_sqlite_file(tmp_path: Path) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(tmp_path)) for _ in range(2)]
        await race([server.target for server in servers])
