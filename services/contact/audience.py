"""FindAudience: everybody who asked for a topic, each with a simulated decision, in the order of their ids.

Who asked is known to a projection, a page at a time; each page is decided as of the position that its states are at. So
memory does not grow with the audience, and a search that broke off goes on after the last customer it told of.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from ledger.domain.errors import Violation
from ledger.domain.identifiers import customer_of, relationship_stream
from ledger.projections.projector import Projector
from ledger.projections.wanted import customers_wanting
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.events.v1 import contact_pb2
from rapport.events.v1.contact_pb2 import ContactDecided
from services.contact.answers import tell_simulated
from services.contact.sights import Asked, Sight, Sights
from services.contact.simulating import decided
from services.runtime.app import App
from services.runtime.limits import Stopping
from services.runtime.translating import as_of_told
from services.runtime.validation import check

PAGE_CUSTOMERS: Final = 200
"""Customers that are decided together: their states are in memory at once, and the event loop waits for them."""
PROGRESS_CUSTOMERS: Final = 1_000
"""Customers looked at after which a reader is told how far it is."""

_PERMIT_ONLY: Final = frozenset((contact_pb2.DECISION_OUTCOME_PERMIT,))


class Audience:
    """Finds audiences. Lives on one event loop."""

    def __init__(self, app: App, sights: Sights, projector: Projector) -> None:
        self._sights = sights
        self._projector = projector
        self._stopping = app.stopping

    async def frames(
        self, request: pb.FindAudienceRequest, wait_s: float
    ) -> AsyncGenerator[pb.FindAudienceResponse, None]:
        """Yield the frames of a search. What is refused, and why, is said in `contact_service.proto`.

        wait_s: how long to wait for the request's `min_position`.

        Raises:
            Stopping: the service stops; a frame said after whom to go on.
        """
        check(request, *_faults(request))
        await self._projector.wait_for(request.min_position, wait_s)
        outcomes = frozenset(request.outcomes) or _PERMIT_ONLY
        progress = pb.AudienceProgress(last_customer_id=request.after_customer_id)
        told_count = 0
        while True:
            progress.position, asked = await self._page(request, progress.last_customer_id)
            if not asked:
                break
            sight = await self._sights.now(asked)
            members = _members(asked, sight, outcomes, progress)
            for member in members:
                yield pb.FindAudienceResponse(member=member)
            if progress.looked_at_count - told_count >= PROGRESS_CUSTOMERS or self._stopping.is_set():
                told_count = progress.looked_at_count
                yield pb.FindAudienceResponse(progress=progress)
            if self._stopping.is_set():
                raise Stopping("the service is stopping; go on after the last customer")
            if len(asked) < PAGE_CUSTOMERS:
                break
        progress.done = True
        yield pb.FindAudienceResponse(progress=progress)

    async def _page(self, request: pb.FindAudienceRequest, after: str) -> tuple[int, list[Asked]]:
        """Return the next customers who asked for the topic, and the position as of which they did."""
        organization_id, question = request.organization_id, request.question
        position, customers = await self._projector.read(
            lambda query: (
                query.generation.position,
                customers_wanting(query, organization_id, question.topic, after, PAGE_CUSTOMERS),
            )
        )
        return position, [
            Asked(relationship_stream(organization_id, customer_id), question) for customer_id in customers
        ]


def _members(
    asked: Sequence[Asked], sight: Sight, outcomes: frozenset[int], progress: pb.AudienceProgress
) -> list[pb.AudienceMember]:
    """Return those of a page whose answer is wanted; count all but who took it back since the projection read of it."""
    members = []
    view = sight.view
    told = as_of_told(view.occur_time, view.position)
    for each in asked:
        if each.question.topic not in sight.states[each.stream_id].preferences.wanted_topics():
            continue
        answer = decided(each, sight)
        _count(progress, answer)
        if answer.outcome in outcomes:
            member = pb.AudienceMember(customer_id=customer_of(each.stream_id))
            tell_simulated(member.decision, answer, view.occur_time, view, told)
            members.append(member)
    progress.last_customer_id = customer_of(asked[-1].stream_id)
    return members


def _count(progress: pb.AudienceProgress, answer: ContactDecided) -> None:
    progress.looked_at_count += 1
    progress.permit_count += answer.outcome == contact_pb2.DECISION_OUTCOME_PERMIT
    progress.defer_count += answer.outcome == contact_pb2.DECISION_OUTCOME_DEFER
    progress.deny_count += answer.outcome == contact_pb2.DECISION_OUTCOME_DENY


def _faults(request: pb.FindAudienceRequest) -> tuple[Violation, ...]:
    if request.question.topic:
        return ()
    return (Violation("question.topic", "must be the topic that customers asked for"),)
