"""The rpcs of ProjectionService, and the projections of this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import grpc

from ledger.domain.errors import Rejected
from ledger.domain.times import timestamp
from ledger.projections.projector import Projector
from ledger.projections.rebuilding import Phase, Progress
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.projection.v1 import projection_service_pb2 as pb
from rapport.projection.v1 import projection_service_pb2_grpc as stubs
from services.relationship.long_work import looks
from services.runtime.app import App
from services.runtime.validation import check

Context = grpc.aio.ServicerContext[Any, Any]

_PHASES: Final = {
    Phase.FOLDING: pb.REBUILD_PHASE_FOLDING,
    Phase.COMPARING: pb.REBUILD_PHASE_COMPARING,
    Phase.SWAPPED: pb.REBUILD_PHASE_SWAPPED,
}


class ProjectionServicer(stubs.ProjectionServiceServicer):
    """Says where projections stand, and rebuilds them."""

    def __init__(self, app: App, projectors: Sequence[Projector]) -> None:
        self._ledger = app.ledger
        self._stopping = app.stopping
        self._projectors = {projector.projection.name: projector for projector in projectors}

    async def ListProjections(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ListProjectionsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListProjectionsResponse:
        """Return where each projection stands."""
        check(request)
        projections = [await _told(self._projectors[name]) for name in sorted(self._projectors)]
        head = await self._ledger.follower.reads(self._ledger.store.head)
        return pb.ListProjectionsResponse(projections=projections, head=head.position)

    async def RebuildProjection(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RebuildProjectionRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.RebuildProjectionResponse]:
        """Rebuild a projection, and tell how far it is. Who goes away ends it."""
        check(request)
        projector = self._projectors.get(request.name)
        if projector is None:
            raise Rejected(
                reasons.ERROR_REASON_PROJECTION_UNKNOWN,
                "there is no projection of this name",
                name=request.name,
                known=",".join(sorted(self._projectors)),
            )
        async with aclosing(self._rebuild(projector, request.replace_different)) as frames:
            async for frame in frames:
                yield frame

    async def _rebuild(
        self, projector: Projector, replace_different: bool
    ) -> AsyncGenerator[pb.RebuildProjectionResponse, None]:
        rebuild, ended = projector.rebuild(replace_different=replace_different)
        async with aclosing(looks(ended, rebuild.abandon, self._stopping, "rebuild")) as found:
            async for _ in found:
                yield _frame(rebuild.progress)


async def _told(projector: Projector) -> pb.Projection:
    generation, rows, rebuilding = await projector.standing()
    told = pb.Projection(
        name=projector.projection.name,
        fold_version=projector.projection.fold_version,
        rows=rows,
        rebuilding=rebuilding,
    )
    if generation is not None:
        told.position = generation.position
        told.built_time.CopyFrom(timestamp(generation.built_time))
    return told


def _frame(progress: Progress) -> pb.RebuildProjectionResponse:
    return pb.RebuildProjectionResponse(
        phase=_PHASES[progress.phase],
        position=progress.position,
        head=progress.head,
        events_per_second=progress.events_per_second,
        rows_different=progress.rows_different,
    )
