"""Two servers over one database redeem the same lots at once: exactly the points that there are can be spent (4, 9.1).

Most redemptions are sent to both servers under one exchange_id, some in batches whose other operation is refused, and
some are taken back. Of each exchange one server records it and the other finds it there; nothing is used twice, nothing
is lost, and lots are used in their order.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import NamedTuple
from uuid import uuid4

import grpc
import pytest

from rapport.audit.v1.audit_service_pb2 import EventFilter
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.policy_pb2 import ASSET_KIND_ITEM, ASSET_KIND_POINTS, AssetRegistered
from rapport.exchange.v1 import exchange_service_pb2 as messages
from rapport.exchange.v1 import operation_pb2 as op
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.exchange.v1.operation_pb2 import Exchange, Operation, Posting, Reversal
from rapport.policy.v1.policy_service_pb2 import RegisterAssetsRequest
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from services.client import Client
from tests.exchange_pairs import goods, grants, redeems
from tests.fault.test_two_servers import postgres_keys_url
from tests.postgres_server import postgres_server, postgres_url
from tests.refusals import metadata_of, reason_of, status_of
from tests.server import ServerProcess

__all__ = ["postgres_keys_url", "postgres_server", "postgres_url"]

CUSTOMERS = 5
LOTS = 6
POINTS = 30
"""In each lot."""
REDEMPTIONS = 80
"""Of each customer, of 1 to 5 points: more than there are."""
AT_ONCE = 12
CENTURY = 4_102_444_800_000_000
ENDS = (CENTURY + 1, None, CENTURY, CENTURY, None, CENTURY + 1)
"""Of the lots, in the order of their granting: some are equal."""
ORDER = (3, 4, 1, 6, 2, 5)
"""Legs of the lots, in the order of use."""

AGAIN = {grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE}


class Told(NamedTuple):
    """What a server said to an operation: its outcome, or the reason of its refusal."""

    outcome: int
    position: int = 0
    reason: str = ""
    available: int = 0


async def apply(channel: grpc.aio.Channel, *operations: Operation) -> Told:
    """Carry out a batch, and tell of its first operation; what may be sent again is, as a client would."""
    request = messages.ApplyExchangesRequest(organization_id="acme", request_id=str(uuid4()), operations=operations)
    while True:
        try:
            answer = await ExchangeServiceStub(channel).ApplyExchanges(request, timeout=30)
        except grpc.aio.AioRpcError as error:
            if error.code() in AGAIN:
                continue
            status = status_of(error)
            return Told(0, reason=reason_of(status), available=int(metadata_of(status).get("available", 0)))
        return Told(answer.results[0].outcome, answer.results[0].position)


def redeeming(customer: str, exchange_id: str, units: int) -> Operation:
    return Operation(customer_id=customer, record=Exchange(exchange_id=exchange_id, legs=[redeems(units), goods()]))


def reversing(customer: str, exchange_id: str) -> Operation:
    reversal = Reversal(exchange_id=exchange_id, reversal_id=f"back-{exchange_id}", at_original=True)
    return Operation(customer_id=customer, reverse=reversal)


async def prepare(channel: grpc.aio.Channel) -> None:
    """Register the assets, and grant every customer all lots in one exchange."""
    assets = [
        AssetRegistered(asset="PT/0", kind=ASSET_KIND_POINTS, max_units_per_leg=10_000),
        AssetRegistered(asset="CD/0", kind=ASSET_KIND_ITEM, max_units_per_leg=10),
    ]
    register = RegisterAssetsRequest(organization_id="acme", request_id=str(uuid4()), assets=assets)
    await PolicyServiceStub(channel).RegisterAssets(register)
    lots = [grants(POINTS, expires_at=ends) for ends in ENDS]
    granted = Exchange(exchange_id="lots", legs=lots, one_sided=x.ONE_SIDED_GIFT)
    operations = [Operation(customer_id=f"c-{number}", record=granted) for number in range(CUSTOMERS)]
    assert op.OUTCOME_APPLIED == (await apply(channel, *operations)).outcome


class Race:
    """Redemptions of all customers by two servers."""

    def __init__(self, channels: list[grpc.aio.Channel], seed: int) -> None:
        self.channels = channels
        self.winners: Counter[int] = Counter()
        self._chance = Random(seed)
        self._limit = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Redeem by chance, then the rest to the last point, and find that nothing is left."""
        await prepare(self.channels[0])
        redemptions = [
            self.redeem(f"c-{number % CUSTOMERS}", f"x-{number}", self._chance.randint(1, 5), self._chance.random())
            for number in range(CUSTOMERS * REDEMPTIONS)
        ]
        await asyncio.gather(*redemptions)
        await asyncio.gather(*(self.spend_the_rest(f"c-{number}") for number in range(CUSTOMERS)))

    async def redeem(self, customer: str, exchange_id: str, units: int, chance: float) -> None:
        """Redeem by both servers at once; sometimes in a refused batch first, sometimes taken back afterwards."""
        async with self._limit:
            if chance < 0.2:
                unknown = Operation(customer_id=customer, post=Posting(exchange_id="nothing"))
                refused = await apply(self.channels[0], redeeming(customer, f"lost-{exchange_id}", units), unknown)
                assert refused.reason in ("EXCHANGE_UNKNOWN", "LOT_INSUFFICIENT")
            asked = redeeming(customer, exchange_id, units)
            both = await asyncio.gather(*(apply(channel, asked) for channel in self.channels))
            self.judge(both, units)
            if chance > 0.9 and any(each.outcome for each in both):
                back = await apply(self.channels[1], reversing(customer, exchange_id))
                assert op.OUTCOME_APPLIED == back.outcome

    def judge(self, both: list[Told], units: int) -> None:
        """See that one recorded it and the other found it there, or that there were too few points."""
        for told in both:
            assert told.outcome or (told.reason == "LOT_INSUFFICIENT" and told.available < units), told
        done = [told for told in both if told.outcome]
        if done:  # A redemption taken back meanwhile may let one of the two through.
            assert 1 == sum(told.outcome == op.OUTCOME_APPLIED for told in done), both
            assert 1 == len({told.position for told in done}), both
            self.winners[[told.outcome for told in both].index(op.OUTCOME_APPLIED)] += 1

    async def spend_the_rest(self, customer: str) -> None:
        """Redeem what is left, by the server that is told how much there is, and one more by both."""
        first, second = self.channels
        left = (await apply(first, redeeming(customer, "all", CUSTOMERS * LOTS * POINTS))).available
        if left:
            assert op.OUTCOME_APPLIED == (await apply(second, redeeming(customer, "rest", left))).outcome
        for channel in self.channels:
            assert Told(0, reason="LOT_INSUFFICIENT") == await apply(channel, redeeming(customer, "more", 1))


async def check_log(target: str) -> None:
    """Follow every lot through the log: each redemption takes what is left of the lots in order, and all is spent."""
    only = EventFilter(organization_id="acme", topics=["exchange.recorded.v1", "exchange.reversed.v1"])
    left = {f"acme/c-{number}": dict.fromkeys(ORDER, POINTS) for number in range(CUSTOMERS)}
    used: dict[tuple[str, str], dict[int, int]] = {}
    async with Client(target) as client:
        async for event in client.read_events(filter=only):
            lots = left[event.stream_id]
            if event.topic == "exchange.reversed.v1":
                reversal = x.ExchangeReversed.FromString(event.event)
                for lot, units in used[event.stream_id, reversal.exchange_id].items():
                    lots[lot] += units
                continue
            exchange = x.ExchangeRecorded.FromString(event.event)
            if exchange.exchange_id != "lots":
                uses = {use.grant_leg_no: use.units for use in exchange.lot_uses}
                assert taken_in_order(lots, exchange.legs[0].amount.units) == uses, event.position
                used[event.stream_id, exchange.exchange_id] = uses
    assert all(not any(lots.values()) for lots in left.values()), left


def taken_in_order(left: dict[int, int], units: int) -> dict[int, int]:
    """Take units from lots in their order; return how many of which."""
    taken: dict[int, int] = {}
    for lot in ORDER:
        part = min(units, left[lot])
        left[lot] -= part
        units -= part
        if part:
            taken[lot] = part
    assert not units, "more was redeemed than was left"
    return taken


async def race(targets: list[str], seed: int) -> None:
    channels = [grpc.aio.insecure_channel(target) for target in targets]
    contest = Race(channels, seed)
    try:
        await contest.run()
    finally:
        for channel in channels:
            await channel.close()
    await check_log(targets[0])
    assert 2 == len(contest.winners), f"one server won every race: they did not meet (seed {seed})"


@pytest.mark.postgres
@pytest.mark.timeout(180)
async def test_two_servers_on_one_postgresql_database_spend_every_point_once(
    tmp_path: Path, postgres_url: str, postgres_keys_url: str, seed: int
) -> None:
    settings = {"RAPPORT_STORE_URL": postgres_url, "RAPPORT_KEYS_URL": postgres_keys_url}
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(tmp_path, settings=settings)) for _ in range(2)]
        await race([server.target for server in servers], seed)


@pytest.mark.timeout(180)
async def test_two_servers_on_one_sqlite_file_spend_every_point_once(tmp_path: Path, seed: int) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(tmp_path)) for _ in range(2)]
        await race([server.target for server in servers], seed)
