"""Calls against a server in this process: deadlines, repetitions with the same request id, pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from services.client import Client, RapportError, RetryPolicy, Unavailable
from tests.unit.fake_server import FakeServer, fake_server

QUICK = RetryPolicy(first_delay_s=0.001)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as fake:
        yield fake


async def test_a_passing_failure_is_repeated_with_the_same_request_id(server: FakeServer) -> None:
    server.consents.failures = [
        (grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN", None),
        (grpc.StatusCode.ABORTED, "CONCURRENCY_CONFLICT", None),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS", 0.01),
    ]
    told: list[str] = []

    async with Client(server.target, retry=QUICK, on_retry=lambda error, _: told.append(error.reason_name)) as client:
        answer = await client.withdraw_consent("acme", "c-1")

    assert 4 == answer.position
    assert ["OUTCOME_UNKNOWN", "CONCURRENCY_CONFLICT", "TOO_MANY_CALLS"] == told
    assert 1 == len({request.request_id for request in server.consents.requests})


async def test_the_fifth_attempt_is_not_made(server: FakeServer) -> None:
    server.consents.failures = [(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", None)] * 9

    async with Client(server.target, retry=QUICK) as client:
        with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
            await client.withdraw_consent("acme", "c-1")

    assert 4 == len(server.consents.requests)


async def test_successes_earn_the_right_to_repeat_again(server: FakeServer) -> None:
    failure = (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", None)
    async with Client(server.target, retry=QUICK) as client:
        for _ in range(3):
            server.consents.failures = [failure] * 4
            with pytest.raises(Unavailable):
                await client.withdraw_consent("acme", "c-1")
        throttled = len(server.consents.requests)
        server.consents.failures = []
        for _ in range(40):
            await client.withdraw_consent("acme", "c-1")
        server.consents.failures = [failure] * 2
        await client.withdraw_consent("acme", "c-1")

    assert throttled < 12  # Of the third call not every attempt was made: most calls failed.
    assert throttled + 43 == len(server.consents.requests)


async def test_a_refusal_is_not_repeated(server: FakeServer) -> None:
    server.consents.failures = [(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED", None)]

    async with Client(server.target, retry=QUICK) as client:
        with pytest.raises(RapportError, match="REQUEST_ID_REUSED"):
            await client.withdraw_consent("acme", "c-1", request_id="019aa7a0-0000-7000-8000-000000000000")

    assert ["019aa7a0-0000-7000-8000-000000000000"] == [each.request_id for each in server.consents.requests]


async def test_every_attempt_has_a_deadline(server: FakeServer) -> None:
    async with Client(server.target, timeout_s=7) as client:
        await client.withdraw_consent("acme", "c-1")
        await client.withdraw_consent("acme", "c-1", timeout_s=3)

    # The transport rounds a deadline up by a few milliseconds.
    assert 3.1 < server.consents.deadlines[0] < 7.1
    assert 0 < server.consents.deadlines[1] < 3.1


async def test_nobody_at_the_target_is_said_so() -> None:
    async with Client("127.0.0.1:1", retry=QUICK) as client:
        with pytest.raises(Unavailable) as raised:
            await client.withdraw_consent("acme", "c-1")

    assert raised.value.outcome_unknown
    assert "" == raised.value.reason_name.removeprefix("UNSPECIFIED")


async def test_a_server_that_comes_back_is_found_again(server: FakeServer) -> None:
    port = int(server.target.rpartition(":")[2])
    async with Client(server.target, retry=RetryPolicy(patience_s=20, longest_delay_s=0.2)) as client:
        await client.withdraw_consent("acme", "c-1")
        await server.server.stop(None)
        waiting = asyncio.create_task(client.withdraw_consent("acme", "c-1"))
        await asyncio.sleep(0.3)
        await server.start(port)

        answer = await waiting

    assert 2 == answer.position


async def test_pages_are_fetched_as_they_are_needed(server: FakeServer) -> None:
    server.relationships.customers = [f"c-{number:02d}" for number in range(25)]

    async with Client(server.target) as client:
        listed = [each.customer_id async for each in client.list_relationships("acme", page_size=10)]
        first = await anext(client.list_relationships("acme", page_size=10))

    assert server.relationships.customers == listed
    assert "c-00" == first.customer_id
    assert 4 == server.relationships.pages
