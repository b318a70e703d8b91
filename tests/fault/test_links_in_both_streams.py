"""A link stands in both streams or in neither: raced by two servers over one database, and cut off by a kill."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import grpc
import pytest

from rapport.audit.v1.audit_service_pb2 import EventFilter
from rapport.customer.v1 import customer_service_pb2 as pb
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from rapport.events.v1.identity_pb2 import IdentifierVerified, IdentityLinked, IdentityUnlinked
from services.client import Client
from tests.fault.stored import embedded_log
from tests.fault.test_two_servers import postgres_keys_url
from tests.postgres_server import postgres_server, postgres_url
from tests.refusals import metadata_of, reason_of, status_of
from tests.server import ServerProcess

__all__ = ["postgres_keys_url", "postgres_server", "postgres_url"]

PAIRS = 150
"""Linked in one round."""
ROUNDS = 8
"""How often all race before it is said that one server wins every race: on a busy computer they meet less often."""
AT_ONCE = 12
"""Pairs of links under way."""
LINKED, UNLINKED = "identity.linked.v1", "identity.unlinked.v1"


def verified(customer_id: str) -> pb.VerifyIdentifierRequest:
    identifier = IdentifierVerified(contact_point_id=f"cp-{customer_id}", kind="email")
    return pb.VerifyIdentifierRequest(
        organization_id="acme", customer_id=customer_id, request_id=str(uuid4()), identifier=identifier
    )


def linking(one: str, other: str, link_id: str) -> pb.LinkCustomersRequest:
    link = IdentityLinked(link_id=link_id, customer_a_id=one, customer_b_id=other, evidence="email")
    return pb.LinkCustomersRequest(organization_id="acme", request_id=str(uuid4()), link=link)


def unlinking(one: str, other: str, link_id: str) -> pb.UnlinkCustomersRequest:
    unlink = IdentityUnlinked(link_id=link_id, reason="wrong")
    return pb.UnlinkCustomersRequest(
        organization_id="acme", request_id=str(uuid4()), customer_a_id=one, customer_b_id=other, unlink=unlink
    )


async def link(stub: CustomerServiceStub, request: pb.LinkCustomersRequest) -> str:
    """Link, as often as the answer says that it may be repeated; return the cause of a refusal, or nothing."""
    while True:
        try:
            await stub.LinkCustomers(request, timeout=30)
        except grpc.aio.AioRpcError as error:
            if error.code() in {grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE}:
                continue
            status = status_of(error)
            assert "LINK_NOT_ALLOWED" == reason_of(status)
            return metadata_of(status)["cause"]
        return ""


async def race(targets: list[str]) -> None:
    """Link pairs by both servers at once, from either side, until each of them has won; take every other link back."""
    channels = [grpc.aio.insecure_channel(target) for target in targets]
    stubs = [CustomerServiceStub(channel) for channel in channels]
    limit = asyncio.Semaphore(AT_ONCE)
    answers: set[tuple[str, str]] = set()
    pairs = 0
    try:
        while pairs < PAIRS * ROUNDS and len(answers) < 2:
            numbers = range(pairs, pairs + PAIRS)
            answers.update(await asyncio.gather(*(link_by_both(stubs, number, limit) for number in numbers)))
            pairs += PAIRS
        await seen_by_all(stubs, pairs)
    finally:
        for channel in channels:
            await channel.close()
    assert {("", "LINKED"), ("LINKED", "")} == answers, "one server won every race: they did not meet"
    await in_both_streams(targets[0], pairs)


async def link_by_both(stubs: list[CustomerServiceStub], number: int, limit: asyncio.Semaphore) -> tuple[str, str]:
    """Link a pair, take an even one back, both at once by both; return what the servers said to the linking."""
    names = f"a-{number}", f"b-{number}"
    async with limit:
        for name in names:
            await stubs[0].VerifyIdentifier(verified(name))
        asked = linking(*names, link_id=f"l-{number}-0"), linking(*names[::-1], link_id=f"l-{number}-1")
        one, other = await asyncio.gather(*map(link, stubs, asked))
        if number % 2 == 0:
            link_id = f"l-{number}-{int(bool(one))}"
            ends = (stub.UnlinkCustomers(unlinking(*names, link_id)) for stub in stubs)
            ended = await asyncio.gather(*ends, return_exceptions=True)
            assert 1 == sum(not isinstance(answer, BaseException) for answer in ended), ended
    return one, other


async def seen_by_all(stubs: list[CustomerServiceStub], pairs: int) -> None:
    """See that every server tells the links that were left."""
    for number in range(pairs):
        for name in (f"a-{number}", f"b-{number}"):
            asked = pb.GetCustomerRequest(organization_id="acme", customer_id=name)
            seen = [await stub.GetCustomer(asked) for stub in stubs]
            assert [number % 2, number % 2] == [len(told.links) for told in seen]


async def in_both_streams(target: str, pairs: int) -> None:
    """See that every link and every end of one stands twice, at neighbouring positions in two streams."""
    only = EventFilter(organization_id="acme", topics=[LINKED, UNLINKED])
    async with Client(target) as client:
        events = [event async for event in client.read_events(filter=only)]
    assert 2 * (pairs + pairs // 2) == len(events)
    for one, other in zip(events[::2], events[1::2], strict=True):
        assert (one.topic, one.event, one.position + 1) == (other.topic, other.event, other.position)
        assert {one.stream_id[5], other.stream_id[5]} == {"a", "b"}
        assert one.stream_id[6:] == other.stream_id[6:]


@pytest.mark.postgres
@pytest.mark.timeout(180)
async def test_of_two_links_of_the_same_two_one_is_made_on_one_postgresql_database(
    tmp_path: Path, postgres_url: str, postgres_keys_url: str
) -> None:
    settings = {"RAPPORT_STORE_URL": postgres_url, "RAPPORT_KEYS_URL": postgres_keys_url}
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(tmp_path, settings=settings)) for _ in range(2)]
        await race([server.target for server in servers])


@pytest.mark.timeout(180)
async def test_of_two_links_of_the_same_two_one_is_made_on_one_sqlite_file(tmp_path: Path) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(tmp_path)) for _ in range(2)]
        await race([server.target for server in servers])


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "point, stored",
    # Opening a log takes the way of an append, with nothing to store.
    [("append.before_commit:2", 0), ("append.after_commit:2", 2), ("group.before_ack:1", 2)],
)
async def test_a_link_cut_off_by_a_kill_is_in_both_streams_or_in_neither(
    tmp_path: Path, point: str, stored: int
) -> None:
    asked = linking("a", "b", "l-1")
    with ServerProcess(tmp_path) as server:
        async with grpc.aio.insecure_channel(server.target) as channel:
            for name in "ab":
                await CustomerServiceStub(channel).VerifyIdentifier(verified(name))

    with ServerProcess(tmp_path, settings={"RAPPORT_TEST_FAULT": f"{point}:kill"}) as killed:
        async with grpc.aio.insecure_channel(killed.target) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await CustomerServiceStub(channel).LinkCustomers(asked, timeout=30)
        assert -9 == killed.wait()
    assert stored == len([row for row in embedded_log(tmp_path) if row.topic == LINKED])

    with ServerProcess(tmp_path) as server:
        async with grpc.aio.insecure_channel(server.target) as channel:
            again = await CustomerServiceStub(channel).LinkCustomers(asked)
    assert again.replayed == bool(stored)
    assert ["acme/a", "acme/b"] == [row.stream_id for row in embedded_log(tmp_path) if row.topic == LINKED]
