"""The rpcs of RelationshipService. Mounted with the projection that lists need, and the service for that."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, cast

import grpc

from ledger.domain.identifiers import relationship_stream
from ledger.domain.times import END_OF_TIME
from ledger.projections.projector import Projector
from ledger.views import View
from rapport.projection.v1 import projection_service_pb2_grpc as projection_stubs
from rapport.relationship.v1 import explaining_pb2 as explaining
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1 import relationship_service_pb2_grpc as stubs
from services.relationship import page_tokens, timeline, translate
from services.relationship.balances import Balances
from services.relationship.changes import mount_changes
from services.relationship.explaining import differ, explain
from services.relationship.identity import explain_identity
from services.relationship.lists import Lists
from services.relationship.measures import Measures
from services.relationship.personae import explain_persona
from services.relationship.projections import ProjectionServicer
from services.relationship.reports import mount_reports
from services.relationship.timeline import Moment
from services.relationship.translate import PAGE_SIZE_DEFAULT, wants_now
from services.runtime.app import App
from services.runtime.detecting import Detector, detector_of
from services.runtime.projecting import programmes_of, projector_of
from services.runtime.translating import as_of_told
from services.runtime.validation import check

SERVICE: Final = "rapport.relationship.v1.RelationshipService"
PROJECTION_SERVICE: Final = "rapport.projection.v1.ProjectionService"

WAIT_S: Final = 5.0
"""Seconds that a list waits for its `min_position`, at most."""
_PART_OF_DEADLINE: Final = 0.8
"""How much of the time that a call has left it may wait, so that it can still say that it waited in vain."""

Context = grpc.aio.ServicerContext[Any, Any]


def mount(server: grpc.aio.Server, app: App) -> None:
    """Add RelationshipService and what goes with it to a server; projections and the detector run beside it."""
    projector = projector_of(app)
    programmes = programmes_of(app)
    detector = detector_of(app)
    stubs.add_RelationshipServiceServicer_to_server(Servicer(app, projector, detector), server)
    projection_stubs.add_ProjectionServiceServicer_to_server(ProjectionServicer(app, (projector, programmes)), server)
    mount_changes(server, app, detector)
    mount_reports(server, app, projector, programmes, detector)


class Servicer(stubs.RelationshipServiceServicer):
    """Shows relationships. What is refused, and why, is said in `relationship_service.proto`."""

    def __init__(self, app: App, projector: Projector, detector: Detector) -> None:
        self._ledger = app.ledger
        self._balances = Balances(app.ledger, app.books)
        self._lists = Lists(app.ledger, projector, detector)
        self._measures = Measures(app.ledger)

    async def GetRelationship(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetRelationshipRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetRelationshipResponse:
        """Return one relationship."""
        check(request)
        response = pb.GetRelationshipResponse()
        await self._measures.get(request, response.relationship)
        return response

    async def BatchGetRelationships(  # noqa: N802  # Named by the proto.
        self,
        request: pb.BatchGetRelationshipsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.BatchGetRelationshipsResponse:
        """Return many relationships, all at one position."""
        check(request)
        return await self._measures.batch(request)

    async def ListRelationships(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ListRelationshipsRequest,
        context: Context,
    ) -> pb.ListRelationshipsResponse:
        """Return one page of an organization's relationships."""
        remaining_s: float | None = context.time_remaining()
        # None: there is no deadline, whatever its type says.
        wait_s = min(WAIT_S, _PART_OF_DEADLINE * (remaining_s or WAIT_S / _PART_OF_DEADLINE))
        return await self._lists.page(request, wait_s)

    async def ListTimeline(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ListTimelineRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListTimelineResponse:
        """Return one page of what happened in a relationship."""
        check(request)
        stream_id = relationship_stream(request.organization_id, request.customer_id)
        now = wants_now(request.as_of)
        after, shown = None, 0
        if request.page_token:
            occur_time, position, given, shown, *last = cast(
                "list[int]", page_tokens.read(request, int, int, int, int, int, int)
            )
            view, after = View(occur_time, position, bool(given)), Moment(*last)
        else:
            view = await self._ledger.resolve(request.as_of, request.min_position)
            shown = view.occur_time
            if now:
                view = view._replace(occur_time=END_OF_TIME)  # What a faster clock recorded counts too.
        look = await self._ledger.state_at(stream_id, view)
        if not look.version:
            raise translate.unknown(request.organization_id, request.customer_id)
        if now:
            shown = max(shown, look.state.last_occur_time or shown)
        size = request.page_size or PAGE_SIZE_DEFAULT
        entries = await timeline.page_of(self._ledger, stream_id, view, after, size + 1)
        response = pb.ListTimelineResponse(
            entries=[translate.timeline_entry(row, look.state, view.position) for _, row in entries[:size]],
            position=view.position,
            as_of=as_of_told(shown, view.position),
        )
        if len(entries) > size:
            last = list(entries[size - 1].moment)
            response.next_page_token = page_tokens.write(
                request, view.occur_time, view.position, int(view.given), shown, *last
            )
        return response

    async def GetBalance(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetBalanceRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetBalanceResponse:
        """Return what a party of a relationship gained and gave."""
        return await self._balances.get(request)

    async def ExplainBalance(  # noqa: N802  # A generator, whatever the stub says.
        self,
        request: pb.ExplainBalanceRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncGenerator[pb.ExplainBalanceResponse, None]:
        """Yield a balance and every leg that makes it up."""
        async with aclosing(self._balances.explain(request)) as messages:
            async for message in messages:
                yield message

    async def DiffViews(  # noqa: N802  # Named by the proto.
        self,
        request: pb.DiffViewsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.DiffViewsResponse:
        """Return what made two views differ."""
        return await self._balances.diff(request)

    async def GetStatement(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetStatementRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetStatementResponse:
        """Return one page of what could be shown to the customer."""
        return await self._balances.statement(request)

    async def ExplainRelationship(  # noqa: N802  # A generator, whatever the stub says.
        self,
        request: explaining.ExplainRelationshipRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncGenerator[explaining.ExplainRelationshipResponse, None]:
        """Yield every measure with the events that made it so."""
        check(request)
        async with aclosing(explain(self._ledger, self._measures.measuring, request)) as messages:
            async for message in messages:
                yield message

    async def DiffRelationship(  # noqa: N802  # Named by the proto.
        self,
        request: explaining.DiffRelationshipRequest,
        context: Context,  # noqa: ARG002
    ) -> explaining.DiffRelationshipResponse:
        """Return in what two views differ."""
        check(request)
        return await differ(self._ledger, self._measures.measuring, request)

    async def ExplainIdentity(  # noqa: N802  # Named by the proto.
        self,
        request: explaining.ExplainIdentityRequest,
        context: Context,  # noqa: ARG002
    ) -> explaining.ExplainIdentityResponse:
        """Return the links by which customer ids are one person."""
        check(request)
        return await explain_identity(self._ledger, request)

    async def ExplainPersona(  # noqa: N802  # Named by the proto.
        self,
        request: explaining.ExplainPersonaRequest,
        context: Context,  # noqa: ARG002
    ) -> explaining.ExplainPersonaResponse:
        """Return whether a customer belongs to a persona, clause by clause."""
        check(request)
        return await explain_persona(self._ledger, self._measures.measuring, request)
