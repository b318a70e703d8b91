"""Loading in bulk: each item recorded once or told, whatever happens to the stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from rapport.interaction.v1.interaction_service_pb2 import IngestInteractionsItem
from services.client import Client, RequestInvalid, RetryPolicy, Unavailable
from services.client.request_ids import new_request_id
from tests.unit.fake_server import FakeServer, fail, fake_server, status

QUICK = RetryPolicy(first_delay_s=0.001)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as fake:
        yield fake


def items(count: int) -> list[IngestInteractionsItem]:
    return [IngestInteractionsItem(request_id=new_request_id(), customer_id=f"c-{n}") for n in range(count)]


async def test_results_come_in_the_order_of_the_items(server: FakeServer) -> None:
    sent = items(95)

    async with Client(server.target) as client, client.ingest_interactions("acme") as stream:
        pairs = [pair async for pair in stream.load(sent, frame_size=10)]

    assert sent == [item for item, _ in pairs]
    assert list(range(1, 96)) == [outcome.result.position for _, outcome in pairs]
    assert (10, 1) == (server.ingest.frames, server.ingest.streams)


async def test_a_stream_that_breaks_is_resumed_and_nothing_is_recorded_twice(server: FakeServer) -> None:
    async def break_off(number: int, context: Any) -> None:
        if number in {2, 3, 6}:
            await fail(context, grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")

    server.ingest.before_answer = break_off
    sent = items(80)

    async with Client(server.target, retry=QUICK) as client, client.ingest_interactions("acme") as stream:
        pairs = [pair async for pair in stream.load(sent, frame_size=10)]

    assert sent == [item for item, _ in pairs]
    assert all(outcome.error is None for _, outcome in pairs)
    assert {item.request_id for item in sent} == set(server.ingest.recorded)
    assert 30 >= sum(outcome.result.replayed for _, outcome in pairs) >= 10
    assert 4 == server.ingest.streams


async def test_what_was_not_answered_is_sent_again_before_what_was_never_sent(server: FakeServer) -> None:
    async def break_off(number: int, context: Any) -> None:
        if number == 3:
            await fail(context, grpc.StatusCode.UNAVAILABLE)

    server.ingest.before_frame = break_off
    sent = items(80)

    async with Client(server.target, retry=QUICK) as client, client.ingest_interactions("acme", window=2) as stream:
        frames = [sent[begin : begin + 10] for begin in range(0, 80, 10)]
        await asyncio.gather(*(stream.send(frame) for frame in frames))

    assert [item.request_id for item in sent] == list(server.ingest.recorded)


async def test_an_item_that_met_a_passing_obstacle_is_sent_again_alone(server: FakeServer) -> None:
    sent = items(20)
    unlucky = sent[3].request_id
    conflict = status(grpc.StatusCode.ABORTED, "CONCURRENCY_CONFLICT")
    server.ingest.item_error = lambda each, tries: conflict if each == unlucky and tries < 3 else None

    async with Client(server.target, retry=QUICK) as client, client.ingest_interactions("acme") as stream:
        outcomes = await stream.send(sent)

    assert all(outcome.error is None for outcome in outcomes)
    assert 20 == outcomes[3].result.position
    assert 3 == server.ingest.tries[unlucky]
    assert 1 == server.ingest.tries[sent[4].request_id]


async def test_an_items_own_error_is_its_outcome_and_stops_nobody_else(server: FakeServer) -> None:
    sent = items(5)
    refused = {sent[2].request_id: status(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")}
    server.ingest.item_error = lambda each, _: refused.get(each)

    async with Client(server.target) as client, client.ingest_interactions("acme") as stream:
        outcomes = await stream.send(sent)

    assert [None, None, RequestInvalid, None, None] == [each.error and type(each.error) for each in outcomes]


async def test_an_obstacle_that_does_not_pass_is_told_after_four_attempts(server: FakeServer) -> None:
    sent = items(2)
    server.ingest.item_error = lambda each, _: (
        status(grpc.StatusCode.ABORTED, "CONCURRENCY_CONFLICT") if each == sent[0].request_id else None
    )

    async with Client(server.target, retry=QUICK) as client, client.ingest_interactions("acme") as stream:
        outcomes = await stream.send(sent)

    assert outcomes[0].error is not None
    assert outcomes[1].error is None
    assert 4 == server.ingest.tries[sent[0].request_id]


async def test_a_server_that_stays_away_ends_the_load(server: FakeServer) -> None:
    async def away(_: int, context: Any) -> None:
        await fail(context, grpc.StatusCode.UNAVAILABLE)

    server.ingest.before_frame = away

    async with Client(server.target, retry=QUICK) as client, client.ingest_interactions("acme") as stream:
        with pytest.raises(Unavailable):
            [pair async for pair in stream.load(items(100), frame_size=10)]

    assert {} == server.ingest.recorded


async def test_at_most_the_window_is_unanswered(server: FakeServer) -> None:
    gate = asyncio.Event()

    async def hold(_: int, __: Any) -> None:
        await gate.wait()

    server.ingest.before_frame = hold
    async with Client(server.target) as client, client.ingest_interactions("acme", window=2) as stream:
        sends = [asyncio.create_task(stream.send(items(3))) for _ in range(6)]
        async with asyncio.timeout(10):
            while len(stream._sent) < 2:  # noqa: ASYNC110  # It tells nobody that it sent.
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert 2 == len(stream._sent)
        assert 4 == len(stream._waiting)
        gate.set()
        outcomes = await asyncio.gather(*sends)

    assert list(range(1, 19)) == [each.result.position for frame in outcomes for each in frame]


async def test_a_server_that_goes_silent_is_left_and_tried_again(server: FakeServer) -> None:
    async def hang_once(number: int, _: Any) -> None:
        if number == 1:
            await asyncio.sleep(30)

    server.ingest.before_frame = hang_once
    async with (
        Client(server.target, retry=QUICK) as client,
        client.ingest_interactions("acme", timeout_s=1.0) as stream,
    ):
        outcomes = await stream.send(items(3))

    assert [1, 2, 3] == [each.result.position for each in outcomes]
    assert 2 == server.ingest.streams


async def test_leaving_the_stream_lets_nobody_wait_for_ever(server: FakeServer) -> None:
    async def hang(_: int, __: Any) -> None:
        await asyncio.sleep(30)

    server.ingest.before_frame = hang
    async with Client(server.target) as client:
        async with client.ingest_interactions("acme") as stream:
            sending = asyncio.create_task(stream.send(items(1)))
            await asyncio.sleep(0.1)
        with pytest.raises(Exception, match="left"):
            await sending
        with pytest.raises(RuntimeError, match="async with"):
            await stream.send(items(1))


async def test_a_stream_that_is_left_with_everything_answered_ends_well(server: FakeServer) -> None:
    async with Client(server.target) as client:
        for _ in range(2):
            async with client.ingest_interactions("acme") as stream:
                await stream.send(items(3))
        async with client.ingest_interactions("acme"):
            pass

    assert 2 == server.ingest.finished


async def test_a_frame_has_one_to_a_thousand_items(server: FakeServer) -> None:
    async with Client(server.target) as client, client.ingest_interactions("acme") as stream:
        for count in (0, 1001):
            with pytest.raises(ValueError, match="1 to 1000"):
                await stream.send(items(count))
