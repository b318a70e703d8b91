"""Frames joined by hand are, to the generated classes, what a serialiser would have written."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.errors import LogDamaged
from ledger.domain.times import timestamp
from ledger.log.entries import entry_bytes, leaf_hash
from ledger.log.envelope import join_state, split_state
from ledger.log.store import EventRow
from ledger.log.topics import MESSAGE_BY_TOPIC
from rapport.audit.v1 import audit_service_pb2 as messages
from rapport.audit.v1 import recorded_event_pb2 as recorded
from rapport.events.v1.metadata_pb2 import EventMetadata
from services.audit.frames import FRAME_BYTES_MAX, FRAME_EVENTS_MAX, batches, varint
from services.audit.views import EntryView, OpenView

IDS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}/[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}", fullmatch=True)
METADATA = st.builds(
    EventMetadata,
    occur_time=st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999).map(timestamp),
    actor=st.text(max_size=10),
    request_id=st.binary(max_size=16),
    external_id=st.text(max_size=10),
    historical_import=st.booleans(),
).map(EventMetadata.SerializeToString)
ROWS = st.lists(
    st.builds(
        EventRow,
        position=st.integers(1, 2**63 - 1),
        stream_id=IDS | st.text(max_size=20),
        version=st.integers(0, 2**63 - 1),
        topic=st.sampled_from(sorted(MESSAGE_BY_TOPIC)) | st.text(max_size=20),
        record_time=st.integers(0, 253_402_300_799_999_999),
        salt=st.binary(min_size=16, max_size=16),
        state=st.builds(join_state, METADATA, st.binary(max_size=300), st.binary(max_size=100)),
    ),
    min_size=1,
    max_size=4,
)


def row(position: int, state: bytes = join_state(b"", b"event")) -> EventRow:
    return EventRow(position, "acme/c-1", position, "consent.given.v1", 1_767_225_600_000_000, b"s" * 16, state)


def expected_event(stored: EventRow) -> recorded.RecordedEvent:
    """Return what a row is in the open view, built by the generated classes."""
    metadata, event, sealed = split_state(stored.state)
    return recorded.RecordedEvent(
        position=stored.position,
        record_time=timestamp(stored.record_time),
        stream_id=stored.stream_id,
        version=stored.version,
        topic=stored.topic,
        metadata=EventMetadata.FromString(metadata),
        event=event,
        personal_state=recorded.PERSONAL_STATE_WITHHELD if sealed else recorded.PERSONAL_STATE_NONE,
    )


def replayed(wire: bytes) -> Sequence[recorded.RecordedEvent]:
    return messages.ReadEventsResponse.FromString(wire).batch.events


@given(ROWS)
def test_an_event_is_read_by_the_generated_classes_as_what_is_stored(rows: list[EventRow]) -> None:
    (frame,) = batches(rows)

    assert [expected_event(stored) for stored in rows] == list(replayed(frame.wire))
    assert rows[-1].position == frame.last


@given(ROWS)
def test_one_frame_serves_replay_and_subscription(rows: list[EventRow]) -> None:
    (frame,) = batches(rows)

    assert replayed(frame.wire) == messages.SubscribeResponse.FromString(frame.wire).batch.events


@given(ROWS)
async def test_the_entry_view_adds_entry_and_leaf_hash(rows: list[EventRow]) -> None:
    (frame,) = batches(rows, await EntryView().tail(rows))

    for stored, event in zip(rows, replayed(frame.wire), strict=True):
        entry = entry_bytes(stored)
        open_event = expected_event(stored)
        open_event.entry, open_event.leaf_hash = entry, leaf_hash(entry)
        assert open_event == event


async def test_the_open_view_adds_nothing() -> None:
    assert await OpenView().tail([row(1)]) is None


def test_frames_are_cut_at_256_events() -> None:
    rows = [row(position) for position in range(1, 2 * FRAME_EVENTS_MAX + 2)]

    sizes = [(len(replayed(frame.wire)), frame.last) for frame in batches(rows)]

    assert [(256, 256), (256, 512), (1, 513)] == sizes


@given(st.lists(st.integers(0, 65_000), min_size=1, max_size=20))
def test_frames_are_cut_at_256_kib_and_hold_every_event(sizes: list[int]) -> None:
    rows = [row(number, join_state(b"", b"x" * size)) for number, size in enumerate(sizes, 1)]

    frames = list(batches(rows))

    assert [1 + number for number in range(len(sizes))] == [e.position for f in frames for e in replayed(f.wire)]
    assert all(len(frame.wire) <= FRAME_BYTES_MAX for frame in frames)
    assert [frame.last for frame in frames] == [replayed(frame.wire)[-1].position for frame in frames]


def test_one_event_that_is_larger_than_a_frame_is_a_frame_by_itself() -> None:
    large = row(2, join_state(b"", b"x" * 65_000))
    rows = [row(1), large, row(3)]

    frames = list(
        batches(rows, lambda stored, _: b"\x52" + varint(300_000) + bytes(300_000) if stored is large else b"")
    )

    assert [[1], [2], [3]] == [[event.position for event in replayed(frame.wire)] for frame in frames]


def test_no_rows_make_no_frame() -> None:
    assert [] == list(batches([]))


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_that_of_protobuf(number: int) -> None:
    written = messages.Progress(position=number).SerializeToString()

    assert written == (b"\x08" + varint(number) if number else b"")


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"\x00\x00\x00",
        join_state(b"", b"")[:-1],
        join_state(b"ab", b"cd")[:-1],
        join_state(b"ab", b"cd") + b"x",
        b"\x00\x01" + join_state(b"ab", b"cd")[2:],
        b"\x00\x00\x00\x02ab\x01\x00\x00\x02cd\x00\x00\x00\x00",
        b"\x00\x00\x00\x02ab\x00\x00\x00\x02cd\x00\x00\x00\x01",
    ],
)
def test_a_state_that_cannot_be_taken_apart_is_damage_at_its_position(state: bytes) -> None:
    with pytest.raises(LogDamaged) as damage:
        list(batches([row(1), row(2, state)]))

    assert {"position": "2"} == damage.value.metadata


@given(st.binary(max_size=40))
def test_any_state_is_a_frame_or_damage(state: bytes) -> None:
    try:
        (frame,) = batches([row(1, state)])
    except LogDamaged:
        return
    assert frame.last == 1
    assert 3 == len(split_state(state))
