"""Lists as of a past moment: every stream of the organization folded, and only one page of them kept.

There is no index over the past, and a first page costs in proportion to the organization's history. Memory does not
grow with it: streams are folded some at a time, in a thread, and of each only its place in the list is kept; those of
the page are folded once more to be shown. The places that follow a page are kept for a while, as far as they are not
too many, so that a reader who pages on does not have everything folded again. A view of the past never changes, so
neither do they.
"""

import asyncio
import heapq
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.balance.book import Book
from ledger.balance.view import BalanceView
from ledger.change.standing import Filter, Standing, standing_of
from ledger.domain.fact import Fact
from ledger.domain.identifiers import customer_of, organization_range, relationship_stream
from ledger.domain.relationship import RelationshipState
from ledger.log.reading import facts
from ledger.log.store import Store
from ledger.measure.measured import Measured
from ledger.measure.outlook import Outlook
from ledger.measure.record import Record
from ledger.policy.valuation import Opinion
from ledger.projections.balances import Worth, worth_by_book
from ledger.projections.histories import STREAMS, Pages, histories
from ledger.projections.listing import Key, Listing, Order, after_prefix
from ledger.views import View

PLACES_AHEAD: Final = 20_000
"""Places of a list that are kept for the pages that follow: some 500 bytes each."""
LISTS_KEPT: Final = 4


class Placed(NamedTuple):
    """A relationship of a list of the past."""

    key: Key
    worth: Worth | None
    """Its balance, where it was asked for and a policy is in force."""
    standing: Standing | None = None
    """Its levels, where they were asked for."""


class Basis(NamedTuple):
    """By what relationships of a view are judged, as far as a list asks."""

    opinion: Opinion | None = None
    """What values legs, where balances are asked for."""
    standing: Filter | None = None
    """Which levels are listed; None: they are not asked for."""
    outlook: Outlook | None = None
    """What was published, where levels are asked for."""


class PastLists:
    """Lists of the past, a page at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[Listing, View, Filter | None], _Ahead] = OrderedDict()

    async def page(self, listing: Listing, view: View, basis: Basis, after: Key | None, limit: int) -> list[Placed]:
        """Return at most `limit` relationships after a key, in order, as seen in a view.

        Raises:
            LogDamaged: an event cannot be read.
            StoreFailed, StoreClosed: the store does not answer.
        """
        if listing.order is Order.CUSTOMER_ID:  # Streams are in this order: only those of the page are folded.
            return await list_past(self._store, listing, view, basis, after, limit)
        name = listing, view, basis.standing
        ahead = self._kept.get(name)
        page = None if ahead is None else ahead.page(listing, after, limit)
        if page is not None:
            self._kept.move_to_end(name)
            return page
        placed = await list_past(self._store, listing, view, basis, after, max(limit, PLACES_AHEAD))
        self._kept[name] = _Ahead(after, placed, len(placed) < max(limit, PLACES_AHEAD))
        while len(self._kept) > LISTS_KEPT:
            self._kept.popitem(last=False)
        return placed[:limit]


class _Ahead(NamedTuple):
    """What follows a place in a list."""

    since: Key | None
    """The place; None: the beginning."""
    placed: list[Placed]
    whole: bool
    """Nothing comes after these."""

    def page(self, listing: Listing, after: Key | None, limit: int) -> list[Placed] | None:
        """Return the page after a key, or None where it is not all here."""
        if self.since is not None and (after is None or listing.rank(after) < listing.rank(self.since)):
            return None
        begin = 0
        if after is not None:
            begin = bisect_right(self.placed, listing.rank(after), key=lambda each: listing.rank(each.key))
        page = self.placed[begin : begin + limit]
        return page if self.whole or len(page) == limit else None


async def list_past(
    store: Store, listing: Listing, view: View, basis: Basis, after: Key | None, limit: int
) -> list[Placed]:
    """Return at most `limit` relationships after a key, in order, as seen in a view.

    Raises:
        LogDamaged: an event cannot be read.
        StoreFailed, StoreClosed: the store does not answer.
    """
    begin, end = _range(listing, after)
    found: list[Placed] = []
    while True:
        names = await asyncio.to_thread(store.list_streams, begin, end, STREAMS)
        if begin == _range(listing, after)[0] and listing.customer_id_prefix:
            # A prefix may be a whole customer id, and streams are listed after it.
            names = [relationship_stream(listing.organization_id, listing.customer_id_prefix), *names]
        placed = await asyncio.to_thread(_placed, store, listing, view, basis, names)
        found += (each for each in placed if after is None or listing.rank(each.key) > listing.rank(after))
        ended = len(names) < STREAMS or (listing.order is Order.CUSTOMER_ID and len(found) >= limit)
        if ended or len(found) >= 2 * limit:
            found = heapq.nsmallest(limit, found, key=lambda each: listing.rank(each.key))
        if ended:
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


def _placed(store: Store, listing: Listing, view: View, basis: Basis, stream_ids: Sequence[str]) -> list[Placed]:
    """Return those streams that are listed."""
    placed = []
    for stream_id, pages in histories(store, stream_ids, view.position):
        customer_id = customer_of(stream_id)
        record = _folded(pages, view, basis)
        state, standing = record.state, None
        if not state.version:
            continue
        worth = None
        if basis.opinion is not None and listing.balances is not None:
            seen = BalanceView(view.occur_time, listing.balances.perspective)
            worth = worth_by_book(record.book, basis.opinion, seen)
        if isinstance(record, Record) and basis.standing is not None and basis.outlook is not None:
            standing = standing_of(customer_id, Measured(record, basis.outlook, view.occur_time))
            if not basis.standing.admits(standing):
                continue
        key = _key(listing, customer_id, state, worth, standing)
        if key is not None:
            placed.append(Placed(key, worth, standing))
    return placed


class _Plain:
    """What lists need that do not ask for levels: less than a record, which takes longer to fold."""

    def __init__(self, until: int, with_book: bool) -> None:
        self.state = RelationshipState(until)
        self.book = Book()
        self._with_book = with_book

    def evolve(self, fact: Fact) -> None:
        self.state.evolve(fact)
        if self._with_book:
            self.book.evolve(fact)


def _folded(pages: Pages, view: View, basis: Basis) -> Record | _Plain:
    """Return one stream as it is seen in a view."""
    if basis.standing is None:
        folded: Record | _Plain = _Plain(view.occur_time, basis.opinion is not None)
    else:
        folded = Record(view.occur_time)
    for rows in pages:
        for fact in facts(rows):
            folded.evolve(fact)
    return folded


def _key(
    listing: Listing, customer_id: str, state: RelationshipState, worth: Worth | None, standing: Standing | None
) -> Key | None:
    """Return the place of a relationship, or None where it is not listed."""
    key = listing.place(customer_id, state, worth)
    if key is None or listing.order is not Order.NEXT_CROSSING_ASCENDING:
        return key
    crossing = None if standing is None else standing.next_crossing
    return None if crossing is None else Key(crossing, customer_id)
