"""Every stream of an organization, read some at a time: for lists of the past, and for what is made anew of all."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from ledger.domain.identifiers import is_relationship
from ledger.log.store import EventRow, Store

STREAMS: Final = 256
"""Streams that are looked at together, at most."""
EVENTS: Final = 4_096
"""Events that are read at once, about; a longer stream is read in parts."""

Pages = Iterator[list[EventRow]]


def stream_pages(store: Store, after: str, before: str) -> Iterator[list[str]]:
    """Yield the ids of all streams with after < id < before, in order, `STREAMS` at a time; the last page has fewer."""
    while True:
        names = store.list_streams(after, before, STREAMS)
        yield names
        if len(names) < STREAMS:
            return
        after = names[-1]


def histories(store: Store, stream_ids: Sequence[str], to: int) -> Iterator[tuple[str, Pages]]:
    """Yield the relationships among some streams that have events up to a position, each with these, in pages."""
    versions = store.versions([stream_id for stream_id in stream_ids if is_relationship(stream_id)])
    for together in _portions(versions):
        for stream_id, pages in _read(store, together, versions, to):
            first = next(pages, [])
            if first:
                yield stream_id, chain((first,), pages)


def pages_of(store: Store, stream_id: str, to: int) -> Pages:
    """Yield the events of one stream up to a position, in pages."""
    version = 0
    while rows := store.read_stream(stream_id, version, EVENTS, to):
        yield rows
        if len(rows) < EVENTS:
            return
        version = rows[-1].version


def _portions(versions: dict[str, int]) -> Iterator[list[str]]:
    """Yield the streams in portions of about `EVENTS` events."""
    portion: list[str] = []
    events = 0
    for stream_id, version in versions.items():
        if portion and events + version > EVENTS:
            yield portion
            portion, events = [], 0
        portion.append(stream_id)
        events += version
    if portion:
        yield portion


def _read(store: Store, stream_ids: list[str], versions: dict[str, int], to: int) -> Iterator[tuple[str, Pages]]:
    if len(stream_ids) == 1 and versions[stream_ids[0]] > EVENTS:
        yield stream_ids[0], pages_of(store, stream_ids[0], to)
        return
    for stream_id, rows in store.read_streams(stream_ids).items():
        yield stream_id, iter([[row for row in rows if row.position <= to]])
