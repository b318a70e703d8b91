"""Replays and subscriptions: every event once and in order, through breaks, closings and silences."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from rapport.audit.v1 import audit_service_pb2 as audit
from rapport.audit.v1.recorded_event_pb2 import RecordedEvent
from rapport.events.v1.consent_pb2 import ConsentEvidence, ConsentWithdrawn
from services.client import Client, RapportError, RetryPolicy, decode
from tests.unit.fake_server import FakeServer, fake_server

QUICK = RetryPolicy(first_delay_s=0.001)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as fake:
        yield fake


def batch(*positions: int) -> audit.EventBatch:
    return audit.EventBatch(events=[RecordedEvent(position=position) for position in positions])


def read(*positions: int) -> audit.ReadEventsResponse:
    return audit.ReadEventsResponse(batch=batch(*positions))


def live(*positions: int) -> audit.SubscribeResponse:
    return audit.SubscribeResponse(batch=batch(*positions))


END = audit.ReadEventsResponse(end=audit.End(position=40, delivered=2, complete=True))


async def test_a_replay_that_breaks_goes_on_after_the_last_position(server: FakeServer) -> None:
    server.audit.scripts = [
        [read(3, 4), audit.ReadEventsResponse(progress=audit.Progress(position=20)), grpc.StatusCode.UNAVAILABLE],
        [read(25)],  # Ends as if all were well, without an End frame.
        [read(30, 31), END],
    ]

    async with Client(server.target, retry=QUICK) as client:
        reader = client.read_events(after_position=2)
        positions = [event.position async for event in reader]

    assert [3, 4, 25, 30, 31] == positions
    assert [2, 20, 25] == [request.after_position for request in server.audit.requests]
    assert reader.end is not None
    assert (40, 5, True) == (reader.end.position, reader.end.delivered, reader.end.complete)
    assert 40 == reader.position


async def test_a_replay_with_a_limit_asks_only_for_the_rest(server: FakeServer) -> None:
    server.audit.scripts = [[read(1, 2), grpc.StatusCode.UNAVAILABLE], [read(3), grpc.StatusCode.UNAVAILABLE]]

    async with Client(server.target, retry=QUICK) as client:
        reader = client.read_events(max_events=3)
        positions = [event.position async for event in reader]

    assert [1, 2, 3] == positions
    assert [3, 1] == [request.max_events for request in server.audit.requests]
    assert reader.end is not None
    assert not reader.end.complete


async def test_a_replay_from_a_time_goes_on_from_a_position(server: FakeServer) -> None:
    server.audit.scripts = [[grpc.StatusCode.UNAVAILABLE], [read(8), grpc.StatusCode.UNAVAILABLE], [END]]
    begin = audit.ReadEventsRequest().from_record_time
    begin.FromJsonString("1997-03-31T00:00:00Z")

    async with Client(server.target, retry=QUICK) as client:
        assert [8] == [event.position async for event in client.read_events(from_record_time=begin)]

    starts = [request.WhichOneof("start") for request in server.audit.requests]
    assert ["from_record_time", "from_record_time", "after_position"] == starts


async def test_a_replay_ends_with_what_waiting_does_not_mend(server: FakeServer) -> None:
    server.audit.scripts = [[read(1), (grpc.StatusCode.DATA_LOSS, "LOG_DAMAGED")]]

    async with Client(server.target, retry=QUICK) as client:
        reader = client.read_events()
        with pytest.raises(RapportError, match="LOG_DAMAGED"):
            [event async for event in reader]

    assert 1 == reader.position


async def test_a_replay_on_which_nothing_comes_is_begun_again(server: FakeServer) -> None:
    server.audit.scripts = [[read(1), lambda: asyncio.sleep(30)], [read(2), END]]

    async with Client(server.target, retry=QUICK) as client:
        positions = [event.position async for event in client.read_events(idle_timeout_s=1.0)]

    assert [1, 2] == positions


async def test_a_subscription_outlives_breaks_closings_and_falling_behind(server: FakeServer) -> None:
    closing = audit.Closing(reason=audit.CLOSE_REASON_DRAINING, resume_after=7, retry_after=Duration(nanos=1_000_000))
    server.audit.scripts = [
        [live(1, 2), audit.SubscribeResponse(caught_up=audit.CaughtUp(position=4)), live(5)],
        [grpc.StatusCode.UNAVAILABLE],
        [live(6), audit.SubscribeResponse(closing=closing)],
        [audit.SubscribeResponse(fell_behind=audit.FellBehind(position=8, head=20)), live(8, 9)],
        [audit.SubscribeResponse(heartbeat=audit.Heartbeat(position=12, head=21)), grpc.StatusCode.UNAVAILABLE],
        [live(13), lambda: asyncio.sleep(30)],
    ]
    positions = []

    async with Client(server.target, retry=QUICK) as client:
        subscription = client.subscribe()
        async for event in subscription:
            positions.append(event.position)
            if event.position == 13:
                break

    assert [1, 2, 5, 6, 9, 13] == positions
    assert [0, 5, 5, 7, 9, 12] == [request.after_position for request in server.audit.requests]
    assert 13 == subscription.position


async def test_a_subscription_says_whether_it_caught_up(server: FakeServer) -> None:
    server.audit.scripts = [
        [live(1), audit.SubscribeResponse(caught_up=audit.CaughtUp(position=1)), live(2), lambda: asyncio.sleep(30)]
    ]
    seen = []

    async with Client(server.target, retry=QUICK) as client:
        subscription = client.subscribe()
        async for event in subscription:
            seen.append((event.position, subscription.caught_up))
            if event.position == 2:
                break

    assert [(1, False), (2, True)] == seen


async def test_a_subscription_ends_when_the_log_went_backwards(server: FakeServer) -> None:
    server.audit.scripts = [
        [live(5), grpc.StatusCode.UNAVAILABLE],
        [(grpc.StatusCode.OUT_OF_RANGE, "POSITION_BEYOND_HEAD")],
    ]

    async with Client(server.target, retry=QUICK) as client:
        with pytest.raises(RapportError, match="POSITION_BEYOND_HEAD"):
            [event async for event in client.subscribe()]


def test_an_event_is_decoded_with_its_personal_part_merged() -> None:
    open_part = ConsentWithdrawn(purposes=["newsletter"])
    personal = ConsentWithdrawn(evidence=ConsentEvidence(note="said on the phone"))
    event = RecordedEvent(
        topic="consent.withdrawn.v1", event=open_part.SerializeToString(), personal=personal.SerializeToString()
    )

    decoded = decode(event)

    assert ConsentWithdrawn(purposes=["newsletter"], evidence=personal.evidence) == decoded
    assert decode(RecordedEvent(topic="weather.changed.v1")) is None
