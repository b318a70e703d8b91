"""Lists of relationships, a page at a time: of the projection, by how they stand, or folded as of the past.

How relationships stand is found by the detector, and what else lists ask for is kept by the projection. Where a list
asks for both, the one that knows its order leads, and the other says of some of them at a time which are listed; a
filter that few pass costs in proportion to those that it was asked about. The two are read one after the other: a page
reflects the log up to the position that both had reached, and under way may already know what came after.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from ledger.change import standing as by_standing
from ledger.change.standing import Filter, Standing
from ledger.domain.identifiers import policy_stream, relationship_stream
from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME
from ledger.measure.outlook import outlook_of
from ledger.policy.valuation import valuations_of
from ledger.projections.balances import Worth
from ledger.projections.listing import Key, Listed, Listing, Order
from ledger.views import Look, View
from rapport.relationship.v1 import relationship_service_pb2 as pb
from services.relationship import page_tokens, translate
from services.relationship.past import Basis, PastLists
from services.relationship.standings import standing_filter, tell_standing
from services.relationship.translate import PAGE_SIZE_DEFAULT, tell, wants_now

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from ledger.projections.projector import Projector
    from services.runtime.detecting import Detector

_TOGETHER_EVENTS: Final = 50_000
"""Events of the relationships whose states are brought in at once, about."""
_ASKED_AT_ONCE: Final = 500
"""Relationships that one of the two sources tells of, for the other to say which are listed."""
_BY_STANDING: Final = {
    Order.CUSTOMER_ID: by_standing.Order.CUSTOMER_ID,
    Order.NEXT_CROSSING_ASCENDING: by_standing.Order.NEXT_CROSSING,
}


class _Found(NamedTuple):
    """What a page is made of, and one more where there is one."""

    position: int
    rows: list[_Row]
    valued_at: int = 0


class _Row(NamedTuple):
    """A relationship of a page."""

    key: Key
    version: int
    worth: Worth | None = None
    standing: Standing | None = None


class Lists:
    """Answers ListRelationships. Lives on one event loop."""

    def __init__(self, ledger: Ledger, projector: Projector, detector: Detector) -> None:
        self._ledger = ledger
        self._projector = projector
        self._detector = detector
        self._past = PastLists(ledger.store)

    async def page(self, request: pb.ListRelationshipsRequest, wait_s: float) -> pb.ListRelationshipsResponse:
        """Return one page; wait at most so many seconds for the request's `min_position`."""
        listing, which = translate.listing(request), standing_filter(request)
        size = request.page_size or PAGE_SIZE_DEFAULT
        if wants_now(request.as_of):
            return await self._page_now(request, listing, which, size, wait_s)
        return await self._page_past(request, listing, which, size)

    async def _page_now(
        self, request: pb.ListRelationshipsRequest, listing: Listing, which: Filter | None, size: int, wait_s: float
    ) -> pb.ListRelationshipsResponse:
        """Return a page of what is kept, as of the position it is at."""
        after = _key(page_tokens.read(request, int, str)) if request.page_token else None
        if which is None:
            await self._projector.wait_for(request.min_position, wait_s)
            found = await self._projected(listing, after, size + 1)
        else:
            if _is_narrow(listing):
                await self._projector.wait_for(request.min_position, wait_s)
            await self._detector.runner.wait_for(request.min_position, wait_s)
            lead = self._standing if listing.order in _BY_STANDING else self._projected_standing
            found = await lead(listing, which, after, size + 1)
        response = pb.ListRelationshipsResponse(position=found.position)
        for some in _portions(found.rows[:size]):
            await self._tell_some(response, listing, found.valued_at, some)
        if len(found.rows) > size:
            response.next_page_token = page_tokens.write(request, *found.rows[size - 1].key)
        return response

    async def _projected(self, listing: Listing, after: Key | None, limit: int) -> _Found:
        """Return what the projection lists."""
        position, valued_at, listed = await self._projector.read(
            lambda query: (query.generation.position, listing.valued_at(query), listing.ask(query, after, limit))
        )
        return _Found(position, [_row(each) for each in listed], valued_at)

    async def _standing(self, listing: Listing, which: Filter, after: Key | None, limit: int) -> _Found:
        """Return what is listed in an order by standing: of those that stand so, what the projection says, if asked."""
        narrow = _is_narrow(listing)
        order, some = _BY_STANDING[listing.order], _ASKED_AT_ONCE if narrow else limit
        position, valued_at, rows = END_OF_TIME, 0, list[_Row]()
        while len(rows) < limit:
            page = await self._detector.changes.read(
                partial(self._detector.standings.list, which, order, some, after and (after.value, after.customer_id))
            )
            position = min(position, page.last.position)
            stand = {each.customer_id: each for each in page.standings}
            keys = {name: _key_of(each, listing) for name, each in stand.items()}
            if narrow and stand:
                asked = replace(listing, order=Order.CUSTOMER_ID, customer_ids=tuple(stand))
                at, valued_at, listed = await self._projected_of(asked)
                position = min(position, at)
                rows += (
                    _Row(keys[name], each.version, listed[name], each) for name, each in stand.items() if name in listed
                )
            else:
                rows += (_Row(keys[name], each.version, None, each) for name, each in stand.items())
            if not page.more:
                break
            after = keys[page.standings[-1].customer_id]
        return _Found(position, rows[:limit], valued_at)

    async def _projected_of(self, listing: Listing) -> tuple[int, int, dict[str, Worth | None]]:
        """Return the position, the time of balances, and those of some customers that are listed."""
        found = await self._projected(listing, None, len(listing.customer_ids))
        return found.position, found.valued_at, {row.key.customer_id: row.worth for row in found.rows}

    async def _projected_standing(self, listing: Listing, which: Filter, after: Key | None, limit: int) -> _Found:
        """Return what is listed in an order of the projection: of those listed there, what stands as asked."""
        position, valued_at, rows = END_OF_TIME, 0, list[_Row]()
        while len(rows) < limit:
            listed = await self._projected(listing, after, _ASKED_AT_ONCE)
            names = [row.key.customer_id for row in listed.rows]
            stand, last = await self._detector.changes.read(
                partial(self._detector.standings.of, listing.organization_id, names)
            )
            position, valued_at = min(position, listed.position, last.position), listed.valued_at
            for row in listed.rows:
                each = stand.get(row.key.customer_id)
                if each is not None and which.admits(each):
                    rows.append(row._replace(standing=each))
            if len(listed.rows) < _ASKED_AT_ONCE:
                break
            after = listed.rows[-1].key
        return _Found(position, rows[:limit], valued_at)

    async def _tell_some(
        self, response: pb.ListRelationshipsResponse, listing: Listing, valued_at: int, some: list[_Row]
    ) -> None:
        """Add relationships as of the answer's position: from the cached state where nothing came since."""
        position, organization_id = response.position, listing.organization_id
        streams = {each.key.customer_id: relationship_stream(organization_id, each.key.customer_id) for each in some}
        looks = await self._ledger.current_many(tuple(streams.values()))
        told = {customer_id: response.relationships.add() for customer_id in streams}
        moved: dict[str, Look] = {}
        for customer_id, stream_id in streams.items():
            look = looks[stream_id]
            if look.last_position <= position:
                tell(told[customer_id], organization_id, customer_id, look, position)
            else:
                moved[customer_id] = look
        for customer_id, current in moved.items():
            look = await self._ledger.state_at(streams[customer_id], View(END_OF_TIME, position))
            look = look._replace(view=View(current.view.occur_time, position))
            tell(told[customer_id], organization_id, customer_id, look, position)
        for each in some:
            if not told[each.key.customer_id].version:
                response.relationships.remove(told[each.key.customer_id])  # It began while the page was looked for.
                continue
            translate.tell_balance(told[each.key.customer_id], listing, each.worth, valued_at)
            if each.standing is not None:
                tell_standing(told[each.key.customer_id].standing, each.standing)

    async def _page_past(
        self, request: pb.ListRelationshipsRequest, listing: Listing, which: Filter | None, size: int
    ) -> pb.ListRelationshipsResponse:
        """Return a page of what is folded anew, as of the view of the first page."""
        after = None
        if request.page_token:
            occur_time, position, *last = page_tokens.read(request, int, int, int, str)
            view, after = View(cast("int", occur_time), cast("int", position)), _key(last)
        else:
            occur_time, position, _ = await self._ledger.resolve(request.as_of, request.min_position)
            view = View(occur_time, position)  # A list is no place to refuse a relationship for a split batch.
        placed = await self._past.page(listing, view, await self._basis(listing, which, view), after, size + 1)
        response = pb.ListRelationshipsResponse(position=view.position)
        for (_, customer_id), worth, standing in placed[:size]:
            look = await self._ledger.state_at(relationship_stream(listing.organization_id, customer_id), view)
            told = response.relationships.add()
            tell(told, listing.organization_id, customer_id, look, view.position, view.occur_time)
            translate.tell_balance(told, listing, worth, view.occur_time)
            if standing is not None:
                tell_standing(told.standing, standing)
        if len(placed) > size:
            end = placed[size - 1].key
            response.next_page_token = page_tokens.write(request, view.occur_time, view.position, *end)
        return response

    async def _basis(self, listing: Listing, which: Filter | None, view: View) -> Basis:
        """Return what was published in a view, as far as it is asked for: it obeys the position, not the time."""
        if listing.balances is None and which is None:
            return Basis()
        known = View(END_OF_TIME, view.position)
        published: PolicyState = (await self._ledger.state_at(policy_stream(listing.organization_id), known)).state
        opinion = None if listing.balances is None else valuations_of(published).opinion("", 0, view.occur_time)
        return Basis(opinion, which, None if which is None else outlook_of(published, view.occur_time))


def _is_narrow(listing: Listing) -> bool:
    """Tell whether a list asks for what only the projection knows."""
    plain = Listing(organization_id=listing.organization_id, customer_id_prefix=listing.customer_id_prefix)
    return replace(listing, order=Order.CUSTOMER_ID) != plain or listing.order not in _BY_STANDING


def _key_of(standing: Standing, listing: Listing) -> Key:
    crossing = standing.next_crossing if listing.order is Order.NEXT_CROSSING_ASCENDING else None
    return Key(crossing or 0, standing.customer_id)


def _key(values: list[page_tokens.Value]) -> Key:
    value, customer_id = values
    return Key(cast("int", value), cast("str", customer_id))


def _row(listed: Listed) -> _Row:
    return _Row(listed.key, listed.version, listed.worth)


def _portions(rows: list[_Row]) -> list[list[_Row]]:
    """Return a page in portions of so many events that their states may be in memory at once."""
    portions: list[list[_Row]] = []
    events = _TOGETHER_EVENTS
    for each in rows:
        if events + each.version > _TOGETHER_EVENTS:
            portions.append([])
            events = 0
        portions[-1].append(each)
        events += each.version
    return portions
