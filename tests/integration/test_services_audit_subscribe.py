"""AuditService over gRPC: subscriptions (audit.md 2, I18, I21, I22)."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from rapport.audit.v1 import audit_service_pb2 as messages
from tests.audit_calls import (
    Audited,
    auditing,
    caught_up,
    customers,
    kinds,
    next_batch,
    positions,
    refusal,
    refusal_of,
    subscribed,
)
from tests.stored_log import state


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Audited]:
    async with auditing(tmp_path) as server:
        yield server


# Subscriptions.


async def test_a_subscription_catches_up_says_so_and_goes_on_live(server: Audited) -> None:
    server.writer.append(customers(700))
    call = server.audit.Subscribe(messages.SubscribeRequest(after_position=1))

    stored = await caught_up(call)
    began = time.perf_counter()
    server.writer.append(customers(2))
    live = await next_batch(call)

    assert list(range(2, 702)) == positions(stored)
    assert 701 == stored[-1].caught_up.position
    assert [702, 703] == positions(live)
    assert time.perf_counter() - began < 2
    call.cancel()


async def test_a_subscription_from_the_head_gets_only_what_comes(server: Audited) -> None:
    server.writer.append(customers(10))
    call = server.audit.Subscribe(messages.SubscribeRequest(from_head=True))
    (first,) = await caught_up(call)

    server.writer.append(customers(1))

    assert 11 == first.caught_up.position
    assert [12] == positions(await next_batch(call))
    call.cancel()


async def test_a_quiet_subscription_beats_and_its_position_moves_on(server: Audited) -> None:
    request = messages.SubscribeRequest(
        after_position=1, heartbeat=Duration(seconds=1), filter=messages.EventFilter(organization_id="other")
    )
    call = server.audit.Subscribe(request)
    await caught_up(call)
    server.writer.append(customers(10))

    (beat,) = await subscribed(call, bool)

    assert "heartbeat" == beat.WhichOneof("frame")
    assert (11, 11) == (beat.heartbeat.position, beat.heartbeat.head)
    assert abs(beat.heartbeat.server_time.seconds - time.time()) < 5
    call.cancel()


@pytest.mark.timeout(30)
async def test_a_filtered_live_subscription_hears_of_progress_by_time_and_by_positions(server: Audited) -> None:
    request = messages.SubscribeRequest(
        from_head=True, heartbeat=Duration(seconds=60), filter=messages.EventFilter(organization_id="other")
    )
    call = server.audit.Subscribe(request)
    await caught_up(call)

    for _ in range(12):
        server.writer.append(["acme/c-1"] * 1_000)
    by_positions = await subscribed(call, lambda frame: frame.progress.position > 5_000, timeout_s=3)
    server.writer.append(customers(1))
    by_time = await subscribed(call, lambda frame: frame.progress.position >= 12_002, timeout_s=8)

    assert {"progress"} == set(kinds(by_positions)) == set(kinds(by_time))
    call.cancel()


async def test_a_subscription_is_closed_with_where_to_resume_when_the_service_stops(server: Audited) -> None:
    server.writer.append(customers(3))
    request = messages.SubscribeRequest(filter=messages.EventFilter(organization_id="other"))
    call = server.audit.Subscribe(request)
    await caught_up(call)

    began = time.perf_counter()
    server.serving.stop.set()
    frames = await subscribed(call, lambda _: False)

    assert messages.CLOSE_REASON_DRAINING == frames[-1].closing.reason
    assert 4 == frames[-1].closing.resume_after
    assert frames[-1].closing.retry_after.seconds > 0
    assert grpc.StatusCode.OK == await call.code()
    assert time.perf_counter() - began < 4, "it was cut off when the grace ended"


async def test_a_subscription_is_closed_when_it_is_too_old(tmp_path: Path) -> None:
    async with auditing(tmp_path, stream_age_max_s=1) as server:
        frames = await subscribed(server.audit.Subscribe(messages.SubscribeRequest()), lambda _: False)

        assert ["batch", "caught_up", "closing"] == kinds(frames)
        assert messages.CLOSE_REASON_MAX_AGE == frames[-1].closing.reason
        assert 1 == frames[-1].closing.resume_after


async def test_a_replay_that_the_service_cannot_finish_has_no_end_and_says_where_it_was(server: Audited) -> None:
    large = state(text="x" * 60_000)
    for _ in range(8):
        server.writer.append(customers(100), stored=large)
    call = server.audit.ReadEvents(messages.ReadEventsRequest())
    frames: list[Any] = [await anext(aiter(call))]

    server.serving.stop.set()
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        frames += [frame async for frame in call]

    assert "SHUTTING_DOWN" == refusal_of(ended.value).reason
    assert not any(frame.HasField("end") for frame in frames)


async def test_readers_that_come_and_go_while_others_write_miss_nothing_and_get_nothing_twice(
    server: Audited, seed: int
) -> None:
    rng = random.Random(seed)
    total = 4_000

    async def write() -> None:
        left = total
        while left:
            size = min(left, rng.choice([1, 1, 5, 100, 400]))
            server.writer.append(["acme/c-1"] * size)
            left -= size
            await asyncio.sleep(rng.random() * 0.01)

    async def follow(delay_s: float) -> list[int]:
        await asyncio.sleep(delay_s)
        found: list[int] = []
        after = 0
        while after < total + 1:
            call = server.audit.Subscribe(messages.SubscribeRequest(after_position=after))
            leave_after = rng.randrange(1, 40)
            async for frame in call:
                found += [event.position for event in frame.batch.events]
                leave_after -= 1
                after = found[-1] if found else 0
                if after > total or not leave_after:
                    break
            call.cancel()
        return found

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        readers = [tasks.create_task(follow(number * 0.03)) for number in range(10)]

    assert all(list(range(1, total + 2)) == reader.result() for reader in readers)


@pytest.mark.timeout(60)
async def test_a_reader_that_stalls_is_ended_with_where_to_resume_and_holds_up_nobody(tmp_path: Path) -> None:
    async with auditing(tmp_path, write_timeout_s=3) as server:
        for _ in range(8):
            server.writer.append(customers(50), stored=state(text="x" * 60_000))
        stalled = server.audit.Subscribe(messages.SubscribeRequest())
        first = await anext(aiter(stalled))
        quick = server.audit.Subscribe(messages.SubscribeRequest(from_head=True))
        await caught_up(quick)

        delays = []
        for _ in range(40):
            began = time.perf_counter()
            server.writer.append(customers(1))
            await next_batch(quick)
            delays.append(time.perf_counter() - began)
            await asyncio.sleep(0.1)
        assert 1 == server.serving.app.limits.streams, "the stalled one is let go although nobody reads it"
        frames: list[Any] = [first]
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            frames += [frame async for frame in stalled]

        refused = refusal_of(ended.value)
        assert (grpc.StatusCode.RESOURCE_EXHAUSTED, "SUBSCRIBER_TOO_SLOW") == refused[:2]
        got = positions(frames)
        resume_after = int(refused.metadata["resume_after"])
        assert list(range(1, len(got) + 1)) == got
        assert resume_after <= got[-1], "what was written and not read is lost with the call"
        assert max(delays) < 2.5, "it was held up until the stalled one was let go"
        quick.cancel()


@pytest.mark.timeout(60)
async def test_a_slow_reader_falls_behind_is_told_and_catches_up(server: Audited) -> None:
    call = server.audit.Subscribe(messages.SubscribeRequest(from_head=True))
    await caught_up(call)

    for _ in range(60):  # 36 MB, far more than transport and queue hold.
        server.writer.append(customers(10), stored=state(text="x" * 60_000))
        await asyncio.sleep(0.005)
    for _ in range(20):
        server.writer.append(["acme/c-1"] * 100)
        await asyncio.sleep(0.005)
    frames = await subscribed(call, lambda frame: frame.caught_up.position == 2_601, timeout_s=30)

    assert "fell_behind" in kinds(frames)
    assert list(range(2, 2_602)) == positions(frames)
    assert_protocol(frames)
    call.cancel()


def assert_protocol(frames: list[messages.SubscribeResponse]) -> None:
    """Hold a subscription to its rules: positions rise; FellBehind and CaughtUp take turns."""
    position, is_live = 0, True
    for frame in frames:
        kind = frame.WhichOneof("frame")
        match kind:
            case "batch":
                assert 0 < len(frame.batch.events) <= 256
                for event in frame.batch.events:
                    assert event.position > position
                    position = event.position
            case "fell_behind":
                assert is_live, "told twice"
                is_live = False
                assert frame.fell_behind.position >= position
            case "caught_up":
                assert not is_live
                is_live = True
            case _:
                pass


async def test_streams_are_capped_before_any_work(tmp_path: Path) -> None:
    async with auditing(tmp_path, streams_max=2) as server:
        calls = [server.audit.Subscribe(messages.SubscribeRequest()) for _ in range(2)]
        for call in calls:
            await caught_up(call)

        refused = await refusal(subscribed(server.audit.Subscribe(messages.SubscribeRequest()), bool))
        calls[0].cancel()
        await asyncio.sleep(0.2)
        again = server.audit.Subscribe(messages.SubscribeRequest())
        await caught_up(again)

        assert (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS") == refused[:2]
        again.cancel()
        calls[1].cancel()
