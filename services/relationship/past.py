"""Lists as of a past moment: every stream of the organization folded, and only one page of them kept.

There is no index over the past, and one answer costs in proportion to the organization's history. Memory does not
grow with it: streams are folded some at a time, in a thread, and of each only its place in the list is kept; those of
the page are folded once more to be shown.
"""

import asyncio
import heapq
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from ledger.domain.identifiers import customer_of, is_relationship, organization_range, relationship_stream
from ledger.domain.relationship import RelationshipState
from ledger.log.reading import facts
from ledger.log.store import EventRow, Store
from ledger.projections.listing import Key, Listing, Order, after_prefix
from ledger.views import View

_STREAMS: Final = 256
"""Streams that are folded in one turn of a thread, at most."""
_EVENTS: Final = 4_096
"""Events that are read at once, about; a longer stream is read in parts."""


async def list_past(store: Store, listing: Listing, view: View, after: Key | None, limit: int) -> list[Key]:
    """Return the places of at most `limit` relationships after a key, in order, as seen in a view.

    Raises:
        LogDamaged: an event cannot be read.
        StoreFailed, StoreClosed: the store does not answer.
    """
    begin, end = _range(listing, after)
    found: list[Key] = []
    while True:
        names = await asyncio.to_thread(store.list_streams, begin, end, _STREAMS)
        if begin == _range(listing, after)[0] and listing.customer_id_prefix:
            # A prefix may be a whole customer id, and streams are listed after it.
            names = [relationship_stream(listing.organization_id, listing.customer_id_prefix), *names]
        places = await asyncio.to_thread(_places, store, listing, view, names)
        wanted = (key for key in places if after is None or _order(key) > _order(after))
        found = heapq.nsmallest(limit, chain(found, wanted), key=_order)
        if len(names) < _STREAMS or (listing.order is Order.CUSTOMER_ID and len(found) == limit):
            return found
        begin = names[-1]


def _range(listing: Listing, after: Key | None) -> tuple[str, str]:
    """Return between which ids the streams lie that may be listed, both exclusive."""
    begin, end = organization_range(listing.organization_id)
    if listing.customer_id_prefix:
        end = begin + after_prefix(listing.customer_id_prefix)
        begin += listing.customer_id_prefix
    if after is not None and listing.order is Order.CUSTOMER_ID:
        begin = max(begin, relationship_stream(listing.organization_id, after.customer_id))
    return begin, end


def _order(key: Key) -> tuple[int, str]:
    return -key.value, key.customer_id


def _places(store: Store, listing: Listing, view: View, stream_ids: Sequence[str]) -> list[Key]:
    """Return the places of those streams that are listed."""
    places = []
    versions = store.versions([stream_id for stream_id in stream_ids if is_relationship(stream_id)])
    for together in _portions(versions):
        for stream_id, rows in _rows(store, view, together, versions):
            state = RelationshipState(view.occur_time)
            known = False
            for page in rows:
                for fact in facts(page):
                    state.evolve(fact)
                    known = True
            place = listing.place(customer_of(stream_id), state) if known else None
            if place is not None:
                places.append(place)
    return places


def _portions(versions: dict[str, int]) -> Iterator[list[str]]:
    """Yield the streams in portions of about `_EVENTS` events."""
    portion: list[str] = []
    events = 0
    for stream_id, version in versions.items():
        if portion and events + version > _EVENTS:
            yield portion
            portion, events = [], 0
        portion.append(stream_id)
        events += version
    if portion:
        yield portion


def _rows(
    store: Store, view: View, stream_ids: list[str], versions: dict[str, int]
) -> Iterator[tuple[str, Iterator[list[EventRow]]]]:
    """Yield for each stream its events up to the view's position, in pages."""
    if len(stream_ids) == 1 and versions[stream_ids[0]] > _EVENTS:
        yield stream_ids[0], _pages(store, view, stream_ids[0])
        return
    for stream_id, rows in store.read_streams(stream_ids).items():
        yield stream_id, iter([[row for row in rows if row.position <= view.position]])


def _pages(store: Store, view: View, stream_id: str) -> Iterator[list[EventRow]]:
    version = 0
    while rows := store.read_stream(stream_id, version, _EVENTS, view.position):
        yield rows
        version = rows[-1].version
