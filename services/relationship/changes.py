"""The rpcs of ChangeService: watch, list, how far changes are found, and whether they are the same made anew."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any, Final, cast

import grpc

from ledger.change.reading import StoredChange, last_of
from ledger.change.verifying import Verification
from ledger.domain.times import timestamp
from rapport.change.v1 import change_service_pb2 as pb
from rapport.change.v1.change_pb2 import RelationshipChange
from services.relationship import page_tokens
from services.relationship.change_tail import ChangeTail
from services.relationship.change_watching import Watches, proven_position
from services.relationship.long_work import looks
from services.relationship.measure_translate import set_time
from services.relationship.translate import PAGE_SIZE_DEFAULT
from services.runtime.app import App
from services.runtime.detecting import Detector
from services.runtime.errors import SlowReader, SubscriberTooSlow
from services.runtime.remote_verification import RemoteVerification
from services.runtime.validation import check

SERVICE: Final = "rapport.change.v1.ChangeService"
WAIT_S: Final = 5.0
"""Seconds that a list waits for its `min_position`, at most."""

Context = grpc.aio.ServicerContext[Any, Any]


class ChangeServicer:
    """Says when relationships change. What is refused, and why, is said in `change_service.proto`."""

    def __init__(self, app: App, detector: Detector, tail: ChangeTail) -> None:
        self._ledger = app.ledger
        self._stopping = app.stopping
        self._runner, self._changes, _ = detector
        self._watches = Watches(app.ledger, self._changes, tail, app.stopping, app.settings.stream_age_max_s)

    async def watch(self, request: pb.WatchRelationshipsRequest, _: Context) -> AsyncGenerator[bytes, None]:
        """Yield the frames of a watch, serialised."""
        check(request)
        begin = await self._watches.begin(request)
        async with aclosing(self._watches.frames(request, begin)) as frames:
            try:
                async for frame in frames:
                    yield frame
            except SlowReader:
                raise SubscriberTooSlow(begin.number) from None

    async def list_changes(self, request: pb.ListChangesRequest, _: Context) -> pb.ListChangesResponse:
        """Return one page of changes."""
        check(request)
        after, size = request.after_number, request.page_size or PAGE_SIZE_DEFAULT
        if request.page_token:
            (after,) = cast("list[int]", page_tokens.read(request, int))
        await proven_position(self._ledger, request)
        if request.min_position:
            await self._runner.wait_for(request.min_position, WAIT_S)
        chosen = request.filter
        page = await self._changes.read(
            partial(
                self._changes.page,
                after,
                size + 1,
                request.organization_id,
                subject_ids=list(chosen.subject_ids),
                kinds=list(chosen.kinds),
            )
        )
        response = pb.ListChangesResponse(
            changes=[told(each) for each in page.changes[:size]],
            position=page.last.position,
            checkpoint=page.last.checkpoint,
        )
        if len(page.changes) > size:
            response.next_page_token = page_tokens.write(request, page.changes[size - 1].number)
        return response

    async def get_detector(self, request: pb.GetDetectorRequest, _: Context) -> pb.GetDetectorResponse:
        """Return how far changes are found."""
        check(request)
        standing = await self._runner.standing()
        response = pb.GetDetectorResponse(
            position=standing.progress.position,
            head_position=standing.head,
            last_number=standing.progress.number,
            horizon_time=timestamp(standing.progress.log_time),
            relationship_count=standing.dues.relationships,
            due_count=standing.dues.due,
            running=standing.running,
            checkpoint=last_of(standing.progress).checkpoint,
        )
        set_time(response.next_due_time, standing.dues.next_due)
        return response

    async def verify(
        self, request: pb.VerifyChangesRequest, _: Context
    ) -> AsyncGenerator[pb.VerifyChangesResponse, None]:
        """Make all changes anew, compare, and tell how far it is. Who goes away ends it."""
        check(request)
        verification, ended = self._runner.verify()
        async with aclosing(looks(ended, verification.abandon, self._stopping, "verification")) as found:
            async for complete in found:
                yield _progress(verification, complete=complete)


def told(change: StoredChange) -> RelationshipChange:
    """Return a change as it was announced."""
    return RelationshipChange.FromString(change.body)


def _progress(verification: Verification | RemoteVerification, *, complete: bool) -> pb.VerifyChangesResponse:
    return pb.VerifyChangesResponse(
        position=verification.position,
        head_position=verification.head,
        change_count=verification.compared,
        complete=complete,
    )


def mount_changes(server: grpc.aio.Server, app: App, detector: Detector) -> None:
    """Add ChangeService to a server. Frames of changes are made as bytes, so that stream has no serializer."""
    tail = ChangeTail(detector.changes)
    app.run_beside(tail.run)
    servicer = ChangeServicer(app, detector, tail)
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "WatchRelationships": grpc.unary_stream_rpc_method_handler(
            servicer.watch, pb.WatchRelationshipsRequest.FromString, None
        ),
        "ListChanges": grpc.unary_unary_rpc_method_handler(
            servicer.list_changes, pb.ListChangesRequest.FromString, pb.ListChangesResponse.SerializeToString
        ),
        "GetDetector": grpc.unary_unary_rpc_method_handler(
            servicer.get_detector, pb.GetDetectorRequest.FromString, pb.GetDetectorResponse.SerializeToString
        ),
        "VerifyChanges": grpc.unary_stream_rpc_method_handler(
            servicer.verify, pb.VerifyChangesRequest.FromString, pb.VerifyChangesResponse.SerializeToString
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)
