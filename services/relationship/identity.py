"""Which customer ids are one person, by which links, and who said so (relationship.md 14)."""

from __future__ import annotations

from typing import NamedTuple

from ledger.domain.fact import Fact
from ledger.domain.identifiers import customer_of, organization_of, relationship_stream
from ledger.domain.identity import IDENTITY_LINKED, IDENTITY_UNLINKED
from ledger.ledger import Ledger
from ledger.measure.record import Record
from ledger.views import View
from rapport.events.v1.identity_pb2 import IdentityLinked, IdentityUnlinked
from rapport.relationship.v1 import explaining_pb2 as pb
from services.relationship import translate
from services.relationship.measure_translate import set_time
from services.relationship.measuring import linked_streams
from services.runtime.translating import as_of_told


class _Known(NamedTuple):
    """A link, and what ended it."""

    link: IdentityLinked
    position: int
    time: int
    ended: tuple[int, str] | None = None
    """Position and reason."""


async def explain_identity(ledger: Ledger, request: pb.ExplainIdentityRequest) -> pb.ExplainIdentityResponse:
    """Return the links of the whole person; refuse as `relationship_service.proto` says."""
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    view = await ledger.resolve(request.as_of, request.min_position)
    own = Record(view.occur_time)
    await ledger.feed(stream_id, view, own.evolve)
    if not own.version:
        raise translate.unknown(request.organization_id, request.customer_id)
    streams = (stream_id, *await linked_streams(ledger, stream_id, own.state, view))
    response = pb.ExplainIdentityResponse(
        person_customer_ids=sorted(map(customer_of, streams)),
        position=view.position,
        as_of=as_of_told(view.occur_time, view.position),
    )
    for known in await _links(ledger, streams, view):
        row = response.links.add(link=known.link, position=known.position, live=known.ended is None)
        set_time(row.linked_time, known.time)
        if known.ended is not None:
            row.unlinked_position, row.unlink_reason = known.ended
    return response


async def _links(ledger: Ledger, streams: tuple[str, ...], view: View) -> list[_Known]:
    """Return the links that the streams tell of, by position: each stands in both of its streams."""
    links: dict[str, _Known] = {}
    for name in streams:
        await _note_all(ledger, links, name, view)
    organization_id = organization_of(streams[0])
    ends = {relationship_stream(organization_id, each) for known in links.values() for each in _ends(known.link)}
    told = frozenset(links)
    for name in sorted(ends.difference(streams)):  # Of links that ended: who was linked is another person now.
        await _note_all(ledger, links, name, view, told)
    return sorted(links.values(), key=lambda each: each.position)


async def _note_all(
    ledger: Ledger, links: dict[str, _Known], name: str, view: View, only: frozenset[str] | None = None
) -> None:
    for fact in await ledger.facts(name, view._replace(given=False)):
        if fact.occur_time <= view.occur_time:
            _note(links, fact, only)


def _ends(link: IdentityLinked) -> tuple[str, str]:
    return link.customer_a_id, link.customer_b_id


def _note(links: dict[str, _Known], fact: Fact, only: frozenset[str] | None = None) -> None:
    """Note a link, or its end; `only`: links of these ids alone."""
    event = fact.event
    if only is not None and getattr(event, "link_id", None) not in only:
        return
    if fact.topic == IDENTITY_LINKED:
        assert isinstance(event, IdentityLinked)
        known = links.get(event.link_id)
        position = fact.position if known is None else min(known.position, fact.position)
        links[event.link_id] = _Known(event, position, fact.occur_time, known and known.ended)
    elif fact.topic == IDENTITY_UNLINKED:
        assert isinstance(event, IdentityUnlinked)
        known = links.get(event.link_id)
        if known is not None:
            position = fact.position if known.ended is None else min(known.ended[0], fact.position)
            links[event.link_id] = known._replace(ended=(position, event.reason))
