"""AuditService over gRPC: replay, filters, look-ups and views (audit.md 2)."""

import random
from collections.abc import AsyncIterator, Awaitable
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from ledger.domain.times import timestamp
from ledger.log.entries import entry_bytes, leaf_hash
from ledger.log.envelope import join_state
from ledger.log.sealing import SEAL_RANDOM_BYTES, Place, seal
from ledger.log.store import EventRow
from rapport.audit.v1 import audit_service_pb2 as messages
from rapport.audit.v1 import recorded_event_pb2 as recorded
from rapport.events.v1.interaction_pb2 import InteractionRecorded
from rapport.events.v1.metadata_pb2 import EventMetadata
from services.runtime.app import App
from tests.audit_calls import (
    Audited,
    auditing,
    customers,
    events,
    positions,
    refusal,
    replay,
    stored_metadata,
    subscribed,
)
from tests.refusals import fields_of, reason_of
from tests.refusals import refusal as status_of_refusal
from tests.stored_log import START, Writer, state


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Audited]:
    async with auditing(tmp_path) as server:
        yield server


# Replay.


async def test_a_replay_holds_every_event_in_order_and_ends_with_end(server: Audited) -> None:
    for _ in range(3):
        server.writer.append(customers(500))

    frames = await replay(server)

    assert list(range(1, 1502)) == positions(frames)
    assert messages.End(position=1501, delivered=1501, complete=True) == frames[-1].end
    assert {"batch"} == {frame.WhichOneof("frame") for frame in frames[:-1]}
    assert all(len(frame.batch.events) <= 256 for frame in frames)
    for row, event in zip(server.rows(), events(frames), strict=True):
        assert (row.stream_id, row.version, row.topic) == (event.stream_id, event.version, event.topic)
        assert timestamp(row.record_time) == event.record_time
        assert row.state == join_state(event.metadata.SerializeToString(), event.event)
        assert recorded.PERSONAL_STATE_NONE == event.personal_state


async def test_a_replay_of_nothing_is_an_end(server: Audited) -> None:
    (frame,) = await replay(server, messages.ReadEventsRequest(after_position=1))

    assert messages.End(position=1, delivered=0, complete=True) == frame.end


async def test_after_is_exclusive_and_to_is_inclusive(server: Audited) -> None:
    server.writer.append(customers(20))

    frames = await replay(server, messages.ReadEventsRequest(after_position=5, to_position=9))

    assert [6, 7, 8, 9] == positions(frames)
    assert messages.End(position=9, delivered=4, complete=True) == frames[-1].end


@pytest.mark.parametrize("after, to, end", [(9, 4, 9), (0, 0, 0), (21, 2**63 + 5, 21), (3, 2**64 - 1, 21)])
async def test_an_end_outside_the_log_is_brought_inside(server: Audited, after: int, to: int, end: int) -> None:
    server.writer.append(customers(20))

    frames = await replay(server, messages.ReadEventsRequest(after_position=after, to_position=to))

    assert list(range(after + 1, end + 1)) == positions(frames)
    assert (end, True) == (frames[-1].end.position, frames[-1].end.complete)


async def test_the_end_is_fixed_when_the_replay_begins(server: Audited) -> None:
    server.writer.append(customers(2_000))
    call = server.audit.ReadEvents(messages.ReadEventsRequest())
    frames: list[Any] = [await anext(aiter(call))]

    server.writer.append(customers(1_000))
    frames += [frame async for frame in call]

    assert 2_001 == positions(frames)[-1]
    assert 2_001 == frames[-1].end.position


@pytest.mark.parametrize("limit", [1, 255, 256, 257, 600])
async def test_max_events_ends_a_replay_that_is_then_not_complete(server: Audited, limit: int) -> None:
    server.writer.append(customers(700))

    frames = await replay(server, messages.ReadEventsRequest(max_events=limit))
    rest = await replay(server, messages.ReadEventsRequest(after_position=frames[-1].end.position))

    assert list(range(1, limit + 1)) == positions(frames)
    assert messages.End(position=limit, delivered=limit, complete=False) == frames[-1].end
    assert list(range(1, 702)) == positions(frames) + positions(rest)


async def test_max_events_that_are_all_there_are_complete(server: Audited) -> None:
    server.writer.append(customers(9))

    frames = await replay(server, messages.ReadEventsRequest(max_events=10))

    assert messages.End(position=10, delivered=10, complete=True) == frames[-1].end


async def test_a_start_by_record_time_is_inclusive(server: Audited) -> None:
    first = server.writer.append(customers(5)).record_time
    second = server.writer.append(customers(5), now=first + 1_000).record_time

    at_second = await replay(server, messages.ReadEventsRequest(from_record_time=timestamp(second)))
    before = await replay(server, messages.ReadEventsRequest(from_record_time=timestamp(second - 1)))
    after = await replay(server, messages.ReadEventsRequest(from_record_time=timestamp(second + 1)))
    ancient = await replay(server, messages.ReadEventsRequest(from_record_time=timestamp(-(10**15))))

    assert list(range(7, 12)) == positions(at_second) == positions(before)
    assert [] == positions(after)
    assert list(range(1, 12)) == positions(ancient)


async def test_a_start_beyond_the_head_is_refused_with_the_head_and_the_log(server: Audited) -> None:
    for call in (
        replay(server, messages.ReadEventsRequest(after_position=2)),
        replay(server, messages.ReadEventsRequest(after_position=2**64 - 1)),
        subscribed(server.audit.Subscribe(messages.SubscribeRequest(after_position=2)), bool),
    ):
        refused = await refusal(call)
        assert (grpc.StatusCode.OUT_OF_RANGE, "POSITION_BEYOND_HEAD") == refused[:2]
        assert {"head": "1", "log_id": server.serving.app.ledger.log_id} == {
            name: refused.metadata[name] for name in ("head", "log_id")
        }


async def test_an_event_that_cannot_be_read_is_data_loss_at_its_position(server: Audited) -> None:
    server.writer.append(customers(3))
    server.writer.append(customers(1), stored=b"garbage")

    refused = await refusal(replay(server))

    assert (grpc.StatusCode.DATA_LOSS, "LOG_DAMAGED", {"position": "5"}) == refused[:3]


# Filters.


def mixed_log(writer: Writer, seed: int) -> None:
    """Write some thousand events of three organizations, hot and cold customers, several topics and names."""
    rng = random.Random(seed)
    topics = ["interaction.recorded.v1", "consent.given.v1", "consent.withdrawn.v1", "unknown.topic.v1"]
    for number in range(600):
        organization = rng.choice(["acme", "acme", "acm", "acme-2"])
        hot = rng.random() < 0.5
        streams = [f"{organization}/c-{0 if hot else rng.randrange(400)}" for _ in range(rng.randrange(1, 40))]
        content = state(external_id=f"order-{number % 7}")
        writer.append(streams, topic=rng.choice(topics), stored=content, now=START + number)


FILTERS: list[dict[str, Any]] = [
    {},
    {"organization_id": "acme"},
    {"organization_id": "acme", "customer_ids": ["c-3"]},
    {"organization_id": "acme", "customer_ids": ["c-0", "c-3", "c-4", "never"]},
    {"organization_id": "acme", "customer_ids": [f"c-{number}" for number in range(400)]},
    {"topics": ["consent.*"]},
    {"topics": ["consent.given.v1", "unknown.topic.v1"]},
    {"topics": ["nothing.*"]},
    {"organization_id": "acme-2", "topics": ["interaction.*"]},
    {"external_id": "order-5"},
    {"external_id": "order"},
    {"organization_id": "acm", "customer_ids": ["c-0"], "topics": ["consent.*"], "external_id": "order-1"},
]


def wanted(row: EventRow, chosen: dict[str, Any]) -> bool:
    """Say naively whether a filter selects a row."""
    organization, _, customer = row.stream_id.partition("/")
    if chosen.get("organization_id", organization) != organization:
        return False
    if "customer_ids" in chosen and customer not in chosen["customer_ids"]:
        return False
    patterns = chosen.get("topics", [row.topic])
    if not any(row.topic == p or (p[-1] == "*" and row.topic.startswith(p[:-1])) for p in patterns):
        return False
    name = chosen.get("external_id")
    return name is None or stored_metadata(row).external_id == name


async def test_every_filter_selects_what_it_says_from_any_position(server: Audited, seed: int) -> None:
    mixed_log(server.writer, seed)
    rows = server.rows()

    for chosen in FILTERS:
        for after in (0, 1, len(rows) // 2, len(rows) - 7, len(rows)):
            frames = await replay(
                server, messages.ReadEventsRequest(after_position=after, filter=messages.EventFilter(**chosen))
            )
            expected = [row.position for row in rows if row.position > after and wanted(row, chosen)]
            assert expected == positions(frames), (chosen, after)
            assert messages.End(position=len(rows), delivered=len(expected), complete=True) == frames[-1].end


async def test_a_filter_with_a_limit_resumes_where_it_stopped(server: Audited, seed: int) -> None:
    mixed_log(server.writer, seed)
    chosen = FILTERS[3]
    expected = [row.position for row in server.rows() if wanted(row, chosen)]

    found: list[int] = []
    after, complete = 0, False
    while not complete:
        request = messages.ReadEventsRequest(
            after_position=after, filter=messages.EventFilter(**chosen), max_events=100
        )
        frames = await replay(server, request)
        found += positions(frames)
        after, complete = frames[-1].end.position, frames[-1].end.complete

    assert expected == found


async def test_a_filter_that_matches_nothing_still_moves_on(server: Audited) -> None:
    for _ in range(30):
        server.writer.append(["acme/c-1"] * 1_000)

    frames = await replay(server, messages.ReadEventsRequest(filter=messages.EventFilter(organization_id="other")))

    told = [0, *(frame.progress.position for frame in frames if frame.HasField("progress")), frames[-1].end.position]
    assert max(later - earlier for earlier, later in pairwise(told)) <= 10_000
    assert sorted(told) == told
    assert 30_001 == told[-1]


# Requests that break a rule.


@pytest.mark.parametrize(
    "request_, fields",
    [
        (messages.ReadEventsRequest(filter=messages.EventFilter(customer_ids=["c-1"])), ["filter.organization_id"]),
        (messages.ReadEventsRequest(view=recorded.EVENT_VIEW_PERSONAL), ["purpose"]),
        (messages.ReadEventsRequest(view=99), ["view"]),  # type: ignore[arg-type]
        (
            messages.ReadEventsRequest(
                filter=messages.EventFilter(organization_id="UPPER", topics=["Consent.*", "a*"]), purpose="p" * 257
            ),
            ["filter.organization_id", "filter.topics[0]", "filter.topics[1]", "purpose"],
        ),
        (messages.SubscribeRequest(heartbeat=Duration(nanos=999_999_999)), ["heartbeat"]),
        (messages.SubscribeRequest(heartbeat=Duration(seconds=61)), ["heartbeat"]),
        (messages.SubscribeRequest(filter=messages.EventFilter(customer_ids=["c-1"])), ["filter.organization_id"]),
        (messages.GetEventRequest(), ["event"]),
        (messages.GetEventRequest(position=1, view=recorded.EVENT_VIEW_PERSONAL, purpose=" "), ["purpose"]),
        (messages.ResolvePositionRequest(), ["record_time"]),
    ],
)
async def test_a_request_that_breaks_rules_is_told_every_field(
    server: Audited, request_: Any, fields: list[str]
) -> None:
    match request_:
        case messages.ReadEventsRequest():
            work: Awaitable[Any] = replay(server, request_)
        case messages.SubscribeRequest():
            work = subscribed(server.audit.Subscribe(request_), bool)
        case messages.GetEventRequest():
            work = server.audit.GetEvent(request_)
        case _:
            work = server.audit.ResolvePosition(request_)

    status = await status_of_refusal(work)

    assert "REQUEST_INVALID" == reason_of(status)
    assert fields == sorted(fields_of(status))


# Look-ups.


async def test_the_head_names_the_log(server: Audited) -> None:
    head = server.writer.append(customers(3))

    answer = await server.audit.GetHead(messages.GetHeadRequest())

    assert (head.position, timestamp(head.record_time)) == (answer.position, answer.record_time)
    assert (server.serving.app.ledger.log_id, server.serving.app.ledger.origin) == (answer.log_id, answer.origin)


async def test_an_event_is_found_by_position_and_by_version(server: Audited) -> None:
    server.writer.append(["acme/c-1", "acme/c-2", "acme/c-1"])

    by_position = await server.audit.GetEvent(messages.GetEventRequest(position=4))
    place = messages.StreamVersion(stream_id="acme/c-1", version=2)
    by_version = await server.audit.GetEvent(messages.GetEventRequest(stream_version=place))

    assert by_position == by_version
    assert (4, "acme/c-1", 2) == (
        by_position.event.position,
        by_position.event.stream_id,
        by_position.event.version,
    )


@pytest.mark.parametrize(
    "request_",
    [
        messages.GetEventRequest(position=0),
        messages.GetEventRequest(position=2),
        messages.GetEventRequest(position=2**64 - 1),
        messages.GetEventRequest(stream_version=messages.StreamVersion(stream_id="acme/c-1", version=1)),
        messages.GetEventRequest(stream_version=messages.StreamVersion(stream_id="@ledger/@log", version=0)),
        messages.GetEventRequest(stream_version=messages.StreamVersion(stream_id="@ledger/@log", version=2**64 - 1)),
    ],
)
async def test_an_event_that_is_not_there_is_not_found(server: Audited, request_: messages.GetEventRequest) -> None:
    refused = await refusal(server.audit.GetEvent(request_))

    assert (grpc.StatusCode.NOT_FOUND, "EVENT_UNKNOWN") == refused[:2]


async def test_a_time_resolves_to_the_last_position_recorded_up_to_it(server: Audited) -> None:
    first = server.writer.append(customers(5)).record_time
    second = server.writer.append(customers(5), now=first + 1_000).record_time

    async def resolve(time_: int) -> tuple[int, bool]:
        answer = await server.audit.ResolvePosition(messages.ResolvePositionRequest(record_time=timestamp(time_)))
        return answer.position, answer.final

    assert (6, True) == await resolve(first)
    assert (6, True) == await resolve(second - 1)
    assert (11, False) == await resolve(second)
    assert (11, False) == await resolve(second + 1)
    assert (0, True) == await resolve(0)


# Views.


async def test_the_entry_view_gives_what_proofs_cover(server: Audited) -> None:
    server.writer.append(customers(3))

    frames = await replay(server, messages.ReadEventsRequest(view=recorded.EVENT_VIEW_ENTRY))

    for row, event in zip(server.rows(), events(frames), strict=True):
        assert entry_bytes(row) == event.entry
        assert leaf_hash(event.entry) == event.leaf_hash


async def test_the_personal_view_is_off_unless_it_was_switched_on(server: Audited) -> None:
    request = messages.ReadEventsRequest(view=recorded.EVENT_VIEW_PERSONAL, purpose="audit 7")

    for work in (
        replay(server, request),
        server.audit.GetEvent(
            messages.GetEventRequest(position=1, view=recorded.EVENT_VIEW_PERSONAL, purpose="audit 7")
        ),
    ):
        refused = await refusal(work)
        assert (grpc.StatusCode.FAILED_PRECONDITION, "PERSONAL_VIEW_DISABLED") == refused[:2]


def sealed_state(app: App, stream_id: str, version: int, personal: bytes) -> bytes:
    data_key = app.ledger.keys.ensure([stream_id]).require(stream_id)
    metadata, event = EventMetadata().SerializeToString(), InteractionRecorded(campaign="x").SerializeToString()
    place = Place(stream_id, version, "interaction.recorded.v1", metadata, event)
    return join_state(metadata, event, seal(data_key, stream_id, place, personal, random.randbytes(SEAL_RANDOM_BYTES)))


async def test_the_personal_view_opens_what_is_sealed_and_says_what_was_erased(tmp_path: Path) -> None:
    async with auditing(tmp_path, personal_view=True) as server:
        for stream_id in ("acme/c-1", "acme/c-2"):
            server.writer.append([stream_id], stored=sealed_state(server.serving.app, stream_id, 1, b"\x0a\x03Ada"))
        server.writer.append(["acme/c-3"])
        server.serving.app.ledger.keys.destroy(["acme/c-2"], START)
        request = messages.ReadEventsRequest(
            after_position=1, view=recorded.EVENT_VIEW_PERSONAL, purpose="access request 7"
        )

        opened = events(await replay(server, request))
        withheld = events(await replay(server, messages.ReadEventsRequest(after_position=1)))

        assert [(recorded.PERSONAL_STATE_PRESENT, b"\x0a\x03Ada"), (recorded.PERSONAL_STATE_ERASED, b"")] == [
            (event.personal_state, event.personal) for event in opened[:2]
        ]
        assert recorded.PERSONAL_STATE_NONE == opened[2].personal_state == withheld[2].personal_state
        assert [recorded.PERSONAL_STATE_WITHHELD] * 2 == [event.personal_state for event in withheld[:2]]
        assert not any(event.personal for event in withheld)
        assert '"purpose": "access request 7"' in server.serving.logged()
        assert "Ada" not in server.serving.logged()


async def test_a_sealed_part_in_the_wrong_place_is_damage_and_no_erasure(tmp_path: Path) -> None:
    async with auditing(tmp_path, personal_view=True) as server:
        moved = sealed_state(server.serving.app, "acme/c-1", 2, b"\x0a\x03Ada")
        server.writer.append(["acme/c-1"], stored=moved)
        request = messages.ReadEventsRequest(view=recorded.EVENT_VIEW_PERSONAL, purpose="audit")

        refused = await refusal(replay(server, request))

        assert (grpc.StatusCode.DATA_LOSS, "LOG_DAMAGED", {"position": "2"}) == refused[:3]
