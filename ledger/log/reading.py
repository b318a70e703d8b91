"""Stored rows, read back: as facts for folds, as parts for replay.

`facts` is the path every fold takes: it parses the metadata and the open part by the static registry of topics, and
nothing else. A row whose topic this release does not know gives no fact (a fold must not guess), and is replayed all
the same. Bytes that are not what the write path stores are `LogDamaged`, named by their position.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from google.protobuf.message import DecodeError, Message

from ledger.domain.errors import LogDamaged
from ledger.domain.fact import Fact
from ledger.domain.times import MICROSECONDS
from ledger.log.envelope import MalformedState, State, split_state
from ledger.log.store import EventRow, Store
from ledger.log.topics import MESSAGE_BY_TOPIC
from rapport.events.v1.metadata_pb2 import EventMetadata

PAGE_EVENTS: Final = 1024
"""Events that a page of the log holds at most: some milliseconds of work between two turns of an event loop."""

_unpack_length = struct.Struct(">I").unpack_from
_parse_metadata = EventMetadata.FromString
_parse_by_topic: dict[str, Callable[[bytes], Message]] = {
    topic: message_class.FromString for topic, message_class in MESSAGE_BY_TOPIC.items()
}


def facts(rows: Iterable[EventRow]) -> Iterator[Fact]:
    """Yield the facts of `rows`, in their order; rows of unknown topics are passed over.

    One at a time, so that a fold that lets go of each fact before the next keeps memory, and the garbage collector,
    out of its way: a list costs a third more.

    Raises:
        LogDamaged: a row's bytes cannot be read.
    """
    # Every rebuild passes here once per event, so what is named elsewhere is written out: `split_state` by three
    # lengths, `Fact(...)` by the constructor that it calls.
    unpack, parse_by_topic, parse_metadata = _unpack_length, _parse_by_topic, _parse_metadata
    new, fact_class, microseconds = tuple.__new__, Fact, MICROSECONDS
    for row in rows:
        position, _, version, topic, record_time, _, state = row
        parse = parse_by_topic.get(topic)
        if parse is None:
            continue
        try:
            (event_at,) = unpack(state)
            event_at += 8  # Behind the lengths of metadata and event.
            (event_size,) = unpack(state, event_at - 4)
            sealed_at = event_at + event_size
            (sealed_size,) = unpack(state, sealed_at)
            if sealed_at + 4 + sealed_size != len(state):
                raise MalformedState("the lengths do not add up")
            metadata = parse_metadata(state[4 : event_at - 4])
            occur = metadata.occur_time
            values = (
                position,
                version,
                record_time,
                occur.seconds * microseconds + occur.nanos // 1000,
                topic,
                parse(state[event_at:sealed_at]),
                metadata,
            )
        except (struct.error, MalformedState, DecodeError) as error:
            raise _damaged(row, error) from error
        yield new(fact_class, values)


def fact(row: EventRow) -> Fact | None:
    """Return the fact of one row; None where its topic is unknown.

    Raises:
        LogDamaged: the row's bytes cannot be read.
    """
    return next(facts((row,)), None)


def parts(row: EventRow) -> State:
    """Return the three stored parts of a row, none of them parsed.

    Raises:
        LogDamaged: they cannot be told apart.
    """
    try:
        return split_state(row.state)
    except MalformedState as error:
        raise _damaged(row, error) from error


def metadata(row: EventRow) -> EventMetadata:
    """Return the metadata of a row, whatever its topic.

    Raises:
        LogDamaged: the row's bytes cannot be read.
    """
    try:
        return _parse_metadata(parts(row).metadata)
    except DecodeError as error:
        raise _damaged(row, error) from error


def pages(store: Store, after: int, to: int, size: int = PAGE_EVENTS) -> Iterator[list[EventRow]]:
    """Yield every event with `after` < position <= `to`, in pages, for rebuilds; `to` is at most the head.

    Raises:
        LogDamaged: a position is missing.
    """
    while after < to:
        page = store.read_log(after, size, to)
        check_dense(page, after, at_least=min(to, after + size))
        yield page
        after = page[-1].position


def check_dense(rows: list[EventRow], after: int, at_least: int = 0) -> None:
    """Let pass rows that begin after `after`, follow each other without holes, and reach `at_least`.

    Raises:
        LogDamaged: a position is missing; it names the first one.
    """
    # Positions rise, so they are dense as soon as the last one is as far away as there are rows.
    last = rows[-1].position if rows else after
    if last == after + len(rows) and last >= at_least:
        return
    expected = after + 1
    for row in rows:
        if row.position != expected:
            break
        expected += 1
    raise LogDamaged(expected, "the event that was stored here is missing")


def _damaged(row: EventRow, error: Exception) -> LogDamaged:
    # The reason names lengths and types; bytes of the row stay out of it.
    return LogDamaged(row.position, f"the stored {row.topic} cannot be read: {error}")
