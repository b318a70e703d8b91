"""One page of a relationship's timeline, read from its stream in parts: memory holds one part and one page."""

import asyncio
import heapq
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from ledger.domain.times import microseconds
from ledger.ledger import Ledger
from ledger.log.reading import metadata
from ledger.log.store import EventRow
from ledger.views import View

_PART_EVENTS: Final = 1_000


class Moment(NamedTuple):
    """The place of a fact in a timeline, which no other fact has."""

    occur_time: int
    """Microseconds."""
    position: int


class Entry(NamedTuple):
    """A fact in a timeline."""

    moment: Moment
    row: EventRow


async def page_of(ledger: Ledger, stream_id: str, view: View, after: Moment | None, limit: int) -> list[Entry]:
    """Return at most `limit` facts of a stream that a view admits, after a moment, in order.

    Raises:
        LogDamaged: an event cannot be read.
        StoreFailed, StoreClosed: the store does not answer.
    """
    reads = ledger.follower.reads
    found: list[Entry] = []
    version = 0
    while rows := await reads(ledger.store.read_stream, stream_id, version, _PART_EVENTS, view.position):
        found = heapq.nsmallest(limit, chain(found, _admitted(rows, view, after)))
        version = rows[-1].version
        if len(rows) < _PART_EVENTS:
            break
        await asyncio.sleep(0)  # SQLite is read on the event loop: let others have a turn.
    return found


def _admitted(rows: Iterable[EventRow], view: View, after: Moment | None) -> Iterator[Entry]:
    for row in rows:
        moment = Moment(microseconds(metadata(row).occur_time), row.position)
        if moment.occur_time <= view.occur_time and (after is None or moment > after):
            yield Entry(moment, row)
