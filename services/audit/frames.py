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


_NONE: Final = b"\x40\x01"
_WITHHELD: Final = b"\x40\x03"
_POSITION_LOW: Final = [bytes((0x08, low | 0x80)) for low in range(128)]
_stream_size = _Numbers(b"\x1a")
_version = _Numbers(b"\x20")
_topic = _Topics()
_metadata_size = _Numbers(b"\x32")
_event_size = _Numbers(b"\x3a")
_recorded_size = _Numbers(b"\x0a")  # Field `events` of a batch.
_unpack_length = struct.Struct(">I").unpack_from


def batches(rows: Sequence[EventRow], tail: Tail | None = None) -> Iterator[Frame]:
    """Yield frames that hold `rows` in their order, cut at 256 events or 256 KiB; nothing for no rows.

    tail: of the view; without one the view is OPEN. Made frame by frame, as they are taken.

    Raises:
        LogDamaged: the stored bytes of an event cannot be told apart.
    """
    parts: list[bytes] = [b""]
    size = 0
    last = 0
    for event in _recorded(rows, tail):
        prefix = _recorded_size[len(event)]
        more = len(prefix) + len(event)
        if len(parts) > 2 * FRAME_EVENTS_MAX or (size and size + more > FRAME_BYTES_MAX - 8):
            yield _frame(parts, size, rows[last - 1].position)
            parts, size = [b""], 0
        parts += (prefix, event)
        size += more
        last += 1
    if size:
        yield _frame(parts, size, rows[last - 1].position)


def recorded_event(row: EventRow, tail: Tail | None = None) -> bytes:
    """Return one serialised `RecordedEvent`.

    Raises:
        LogDamaged: the stored bytes cannot be told apart.
    """
    return next(_recorded((row,), tail))


def _frame(parts: list[bytes], size: int, last: int) -> Frame:
    parts[0] = b"\x0a" + varint(size)  # Field `batch` of the response.
    return Frame(b"".join(parts), last)


def _recorded(rows: Sequence[EventRow], tail: Tail | None) -> Iterator[bytes]:
    """Yield each row as a serialised `RecordedEvent`."""
    # Replay passes here once per event. Of neighbours, position differs in its last seven bits, and all events of a
    # group commit share their record time: both are written once for many.
    unpack = _unpack_length
    high, time, shared = -1, -1, b""
    for row in rows:
        position, stream_id, version, topic, record_time, _, state = row
        try:
            (metadata_size,) = unpack(state)
            event_at = metadata_size + 8
            (event_size,) = unpack(state, event_at - 4)
            sealed_at = event_at + event_size + 4
            (sealed_size,) = unpack(state, sealed_at - 4)
        except struct.error:
            raise _damaged(row) from None
        if sealed_at + sealed_size != len(state):
            raise _damaged(row)
        if position >> 7 != high or record_time != time:
            high, time = position >> 7, record_time
            shared = _end_of_position_and_time(high, time)
        stream = stream_id.encode()
        yield b"".join(
            (
                _POSITION_LOW[position & 0x7F],
                shared,
                _stream_size[len(stream)],
                stream,
                _version[version],
                _topic[topic],
                _metadata_size[metadata_size],
                state[4 : event_at - 4],
                _event_size[event_size],
                state[event_at : sealed_at - 4],
                tail(row, sealed_at) if tail is not None else _WITHHELD if sealed_size else _NONE,
            )
        )


def _end_of_position_and_time(high: int, record_time: int) -> bytes:
    """Return what follows the lowest seven bits of a position: its rest, then the record time as a Timestamp."""
    seconds, micros = divmod(record_time, MICROSECONDS)
    content = b"\x08" + varint(seconds)
    if micros:
        content += b"\x10" + varint(micros * 1000)
    return varint(high) + field(b"\x12", content)


def _damaged(row: EventRow) -> LogDamaged:
    return LogDamaged(row.position, f"the stored {row.topic} cannot be read: its lengths do not add up")
