"""Frames of events as wire bytes, joined by hand from what is stored.

Metadata and event are stored serialised, and a `RecordedEvent` on the wire is its fields one after the other. So an
event is copied into its frame without being parsed or serialised again, which makes replay several times as fast
(performance.md 4). Two things are used of the wire format: fields may come in any order, and field 1 of both
`ReadEventsResponse` and `SubscribeResponse` is the batch, so one frame serves both. That the generated classes read
these bytes as what they should be is tested for generated events of every view.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from ledger.domain.errors import LogDamaged
from ledger.domain.times import MICROSECONDS
from ledger.log.store import EventRow

FRAME_EVENTS_MAX: Final = 256
"""Events of a frame at most."""

FRAME_BYTES_MAX: Final = 256 * 1024
"""Bytes of a frame at most; one event that is larger is a frame by itself."""

Tail = Callable[[EventRow, int], bytes]
"""What a view adds to an event: given the row and where in its state the sealed part begins, fields 8 to 11."""


class Frame(NamedTuple):
    """A response with a batch of events."""

    wire: bytes
    last: int
    """Position of its last event."""


def varint(number: int) -> bytes:
    """Return a number as protobuf writes it; a negative one as 64 bits in two's complement."""
    number &= 0xFFFFFFFFFFFFFFFF
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def field(tag: bytes, content: bytes) -> bytes:
    """Return a length-delimited field."""
    return tag + varint(len(content)) + content


class _Numbers(dict[int, bytes]):
    """A tag and then a varint, by number; those up to 64 KiB are kept once they were needed."""

    def __init__(self, tag: bytes) -> None:
        super().__init__()
        self._tag = tag

    def __missing__(self, number: int) -> bytes:
        written = self._tag + varint(number)
        if number < 65_536:
            self[number] = written
        return written


class _Topics(dict[str, bytes]):
    """Field `topic`, by topic; a bounded number of them is kept, because stored topics may be anything."""

    def __missing__(self, topic: str) -> bytes:
        written = field(b"\x2a", topic.encode())
        if len(self) < 1_000:
            self[topic] = written
        return written


class _Shape(NamedTuple):
    """What is the same for all events whose metadata and open part have the same two sizes."""

    parts_of: Callable[[bytes], tuple[int, bytes, int, bytes, int]]
    """Takes a state apart: size and content of the metadata, size and content of the event, size of the sealed part."""
    metadata: bytes
    """How field `metadata` begins."""
    event: bytes
    """How field `event` begins."""
    sealed_at: int
    """Where the sealed part begins in the state."""


class _Shapes(dict[tuple[int, int], _Shape]):
    """Shapes by the sizes of metadata and event; a bounded number of them is kept."""

    def __missing__(self, sizes: tuple[int, int]) -> _Shape:
        metadata, event = sizes
        layout = struct.Struct(f">I{metadata}sI{event}sI")
        shape = _Shape(layout.unpack_from, b"\x32" + varint(metadata), b"\x3a" + varint(event), layout.size)
        if len(self) < 4_096:
            self[sizes] = shape
        return shape


_NONE: Final = b"\x40\x01"
_WITHHELD: Final = b"\x40\x03"
_POSITION_LOW: Final = [bytes((0x08, low | 0x80)) for low in range(128)]
_stream_size = _Numbers(b"\x1a")
_version = _Numbers(b"\x20")
_topic = _Topics()
_shapes = _Shapes()
_recorded_size = _Numbers(b"\x0a")  # Field `events` of a batch.


def batches(rows: Sequence[EventRow], tail: Tail | None = None) -> Iterator[Frame]:
    """Yield frames that hold `rows` in their order, cut at 256 events or 256 KiB; nothing for no rows.

    tail: of the view; without one the view is OPEN. Made frame by frame, as they are taken.

    Raises:
        LogDamaged: the stored bytes of an event cannot be told apart.
    """
    for start in range(0, len(rows), FRAME_EVENTS_MAX):
        chunk = rows[start : start + FRAME_EVENTS_MAX]
        events = _recorded(chunk, tail)
        sizes = list(map(len, events))
        if sum(sizes) + 5 * len(sizes) < FRAME_BYTES_MAX:
            yield _frame(events, sizes, chunk[-1].position)
        else:
            yield from _cut(chunk, events, sizes)


def recorded_event(row: EventRow, tail: Tail | None = None) -> bytes:
    """Return one serialised `RecordedEvent`.

    Raises:
        LogDamaged: the stored bytes cannot be told apart.
    """
    (event,) = _recorded((row,), tail)
    return event


def _frame(events: Sequence[bytes], sizes: Sequence[int], last: int) -> Frame:
    """Return the response whose batch holds these serialised events."""
    prefixes = [_recorded_size[size] for size in sizes]
    parts = [b""] * (2 * len(events) + 1)
    parts[1::2] = prefixes
    parts[2::2] = events
    parts[0] = b"\x0a" + varint(sum(sizes) + sum(map(len, prefixes)))  # Field `batch` of the response.
    return Frame(b"".join(parts), last)


def _cut(rows: Sequence[EventRow], events: Sequence[bytes], sizes: Sequence[int]) -> Iterator[Frame]:
    """Yield events that are too large for one frame in several."""
    first, size = 0, 0
    for index, more in enumerate(sizes):
        if index > first and size + more + 5 > FRAME_BYTES_MAX - 5:
            yield _frame(events[first:index], sizes[first:index], rows[index - 1].position)
            first, size = index, 0
        size += more + 5  # An event's tag and size take at most 5 bytes, and so do those of the batch.
    yield _frame(events[first:], sizes[first:], rows[-1].position)


def _recorded(rows: Sequence[EventRow], tail: Tail | None) -> list[bytes]:
    """Return each row as a serialised `RecordedEvent`."""
    # Replay passes here once per event. Of neighbours, position differs in its last seven bits, and all events of a
    # group commit share their record time: both are written once for many. Entries are below 64 KiB, so the lower
    # two bytes of a size are all of it; that the others are 0 is seen when the state is taken apart.
    shapes, positions, stream_sizes, versions, topics = _shapes, _POSITION_LOW, _stream_size, _version, _topic
    join = b"".join
    recorded: list[bytes] = []
    high, time, shared = -1, -1, b""
    for row in rows:
        position, stream_id, version, topic, record_time, _, state = row
        try:
            metadata_size = state[2] << 8 | state[3]
            event_size = state[metadata_size + 6] << 8 | state[metadata_size + 7]
            parts_of, metadata_tag, event_tag, sealed_at = shapes[metadata_size, event_size]
            metadata_told, metadata, event_told, event, sealed_size = parts_of(state)
        except (IndexError, struct.error):
            raise _damaged(row) from None
        if metadata_told != metadata_size or event_told != event_size or sealed_at + sealed_size != len(state):
            raise _damaged(row)
        if position >> 7 != high or record_time != time:
            high, time = position >> 7, record_time
            shared = _end_of_position_and_time(high, time)
        stream = stream_id.encode()
        recorded.append(
            join(
                (
                    positions[position & 0x7F],
                    shared,
                    stream_sizes[len(stream)],
                    stream,
                    versions[version],
                    topics[topic],
                    metadata_tag,
                    metadata,
                    event_tag,
                    event,
                    tail(row, sealed_at) if tail is not None else _WITHHELD if sealed_size else _NONE,
                )
            )
        )
    return recorded


def _end_of_position_and_time(high: int, record_time: int) -> bytes:
    """Return what follows the lowest seven bits of a position: its rest, then the record time as a Timestamp."""
    seconds, micros = divmod(record_time, MICROSECONDS)
    content = b"\x08" + varint(seconds)
    if micros:
        content += b"\x10" + varint(micros * 1000)
    return varint(high) + field(b"\x12", content)


def _damaged(row: EventRow) -> LogDamaged:
    return LogDamaged(row.position, f"the stored {row.topic} cannot be read: its lengths do not add up")
