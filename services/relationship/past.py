"""Lists as of a past moment: every stream of the organization folded, and only one page of them kept.

There is no index over the past, and one answer costs in proportion to the organization's history. Memory does not
grow with it: streams are folded some at a time, in a thread, and of each only its place in the list is kept; those of
the page are folded once more to be shown.
"""

import asyncio
import heapq
from collections.abc import Sequence
from itertools import chain

from ledger.domain.identifiers import customer_of, organization_range, relationship_stream
from ledger.domain.relationship import RelationshipState
from ledger.log.reading import facts
from ledger.log.store import Store
from ledger.projections.histories import STREAMS, histories
from ledger.projections.listing import Key, Listing, Order, after_prefix
from ledger.views import View


async def list_past(store: Store, listing: Listing, view: View, after: Key | None, limit: int) -> list[Key]:
    """Return the places of at most `limit` relationships after a key, in order, as seen in a view.

    Raises:
        LogDamaged: an event cannot be read.
        StoreFailed, StoreClosed: the store does not answer.
    """
    begin, end = _range(listing, after)
    found: list[Key] = []
    while True:
        names = await asyncio.to_thread(store.list_streams, begin, end, STREAMS)
        if begin == _range(listing, after)[0] and listing.customer_id_prefix:
            # A prefix may be a whole customer id, and streams are listed after it.
            names = [relationship_stream(listing.organization_id, listing.customer_id_prefix), *names]
        places = await asyncio.to_thread(_places, store, listing, view, names)
        wanted = (key for key in places if after is None or _order(key) > _order(after))
        found = heapq.nsmallest(limit, chain(found, wanted), key=_order)
        if len(names) < STREAMS or (listing.order is Order.CUSTOMER_ID and len(found) == limit):
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
    for stream_id, pages in histories(store, stream_ids, view.position):
        state = RelationshipState(view.occur_time)
        for rows in pages:
            for fact in facts(rows):
                state.evolve(fact)
        place = listing.place(customer_of(stream_id), state) if state.version else None
        if place is not None:
            places.append(place)
    return places
