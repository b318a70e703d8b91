"""GetContactReport: what became of contacts and decisions, counted (relationship.md 10).

What is counted was folded for the report alone, so a long history is counted in a thread.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from ledger.contact.person import person
from ledger.contact.report import ContactReport, contact_report
from ledger.domain.identifiers import policy_stream, relationship_stream
from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from ledger.views import View
from rapport.contact.v1 import contact_service_pb2 as pb
from services.contact import translate
from services.runtime.app import App
from services.runtime.times import set_time
from services.runtime.translating import as_of_told
from services.runtime.validation import check

_EVENTS_AT_ONCE: Final = 500
"""Events of a person that are judged on the event loop: some thirty milliseconds; more are, in a thread."""


class Reporting:
    """Reports on contacts. Lives on one event loop."""

    def __init__(self, app: App) -> None:
        self._ledger = app.ledger

    async def report(self, request: pb.GetContactReportRequest) -> pb.GetContactReportResponse:
        """Report on one customer. What is refused, and why, is said in `contact_service.proto`."""
        check(request)
        begin, end = translate.bounds(request.window, "window")
        stream_id, policies = (
            relationship_stream(request.organization_id, request.customer_id),
            policy_stream(request.organization_id),
        )
        view = await self._ledger.resolve(request.as_of, request.min_position)
        look = await self._ledger.state_at(stream_id, view)
        if not look.version:
            raise translate.unknown(request.organization_id, request.customer_id)
        states: dict[str, Any] = {stream_id: look.state}
        while missing := person(stream_id, states).missing:
            for name in sorted(missing):
                states[name] = (await self._ledger.state_at(name, view._replace(given=False))).state
        published: PolicyState = (await self._ledger.state_at(policies, View(END_OF_TIME, view.position))).state
        count = partial(
            contact_report,
            look.state,
            published.contact.in_force(view.occur_time).policy,
            view.occur_time,
            purposes=published.purposes.current.by_slug,
            linked=[states[name] for name in person(stream_id, states).linked],
            after=START_OF_TIME - 1 if begin is None else begin,
            until=END_OF_TIME if end is None else end,
        )
        events = sum(state.version for state in states.values())
        return _told(count() if events <= _EVENTS_AT_ONCE else await asyncio.to_thread(count), view)


def _told(found: ContactReport, view: View) -> pb.GetContactReportResponse:
    response = pb.GetContactReportResponse(
        contacts=found.contacts,
        needing_decision=found.needing_decision,
        decided=found.decided,
        undecided=found.undecided,
        against_decision=found.against_decision,
        honoured=found.honoured,
        honoured_ppm=found.honoured_ppm,
        contacts_avoided=found.contacts_avoided,
        permits_unused=found.permits_unused,
        permits_void=found.permits_void,
        position=view.position,
        as_of=as_of_told(view.occur_time, view.position),
    )
    for outcome, count in sorted(found.decisions.items()):
        response.decisions.add(outcome=outcome, count=count)
    for each in found.dishonoured:
        told = response.dishonoured.add(
            position=each.position,
            permit_status=int(each.permit_status or 0),
            reasons=each.reasons,
        )
        set_time(told.occur_time, each.occur_time)
    return response
