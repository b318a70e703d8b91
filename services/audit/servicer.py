"""The rpcs of AuditService: translate, ask the log, translate."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import grpc

from ledger.domain.times import microseconds, timestamp
from rapport.audit.v1 import audit_service_pb2 as messages
from services.audit.frames import batches
from services.audit.replay import replay
from services.audit.subscription import Subscriptions
from services.audit.translate import (
    check_event_request,
    find_event,
    replay_plan,
    subscription_plan,
    view_of,
)
from services.runtime.app import App
from services.runtime.errors import SlowReader, SubscriberTooSlow
from services.runtime.validation import check

SERVICE: Final = "rapport.audit.v1.AuditService"

Context = grpc.aio.ServicerContext[Any, Any]


class AuditServicer:
    """The log, replayed, followed and looked up."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._ledger = app.ledger
        self._reads = app.ledger.follower.reads
        self._subscriptions = Subscriptions(
            app.ledger.follower, app.ledger.clock, app.stopping, app.settings.stream_age_max_s
        )

    async def get_head(self, request: messages.GetHeadRequest, _: Context) -> messages.GetHeadResponse:
        """Return where the log ends."""
        check(request)
        head = await self._reads(self._ledger.store.head)
        return messages.GetHeadResponse(
            position=head.position,
            record_time=timestamp(head.record_time),
            log_id=self._ledger.log_id,
            origin=self._ledger.origin,
        )

    async def get_event(self, request: messages.GetEventRequest, _: Context) -> messages.GetEventResponse:
        """Return one event."""
        check_event_request(request)
        view = view_of(self._ledger, self._app.settings, request)
        rows = [await find_event(self._ledger, request)]
        (frame,) = batches(rows, await view.tail(rows))
        (event,) = messages.ReadEventsResponse.FromString(frame.wire).batch.events
        return messages.GetEventResponse(event=event)

    async def read_events(self, request: messages.ReadEventsRequest, _: Context) -> AsyncGenerator[bytes, None]:
        """Yield the frames of a replay, serialised."""
        plan = await replay_plan(self._ledger, request)
        view = view_of(self._ledger, self._app.settings, request)
        async with aclosing(replay(plan, self._reads, view, self._app.stopping)) as frames:
            try:
                async for frame in frames:
                    yield frame
            except SlowReader:
                raise _too_slow(plan.after) from None

    async def subscribe(self, request: messages.SubscribeRequest, _: Context) -> AsyncGenerator[bytes, None]:
        """Yield the frames of a subscription, serialised."""
        plan = await subscription_plan(self._ledger, request)
        view = view_of(self._ledger, self._app.settings, request)
        async with aclosing(self._subscriptions.frames(plan, view)) as frames:
            try:
                async for frame in frames:
                    yield frame
            except SlowReader:
                raise _too_slow(plan.after) from None

    async def resolve_position(
        self, request: messages.ResolvePositionRequest, _: Context
    ) -> messages.ResolvePositionResponse:
        """Return the last position recorded at or before a time."""
        check(request)
        record_time = microseconds(request.record_time)
        # The head comes first: once an event with a later record time is there, no earlier one can follow.
        head = await self._reads(self._ledger.store.head)
        position = await self._reads(self._ledger.store.position_at, record_time)
        return messages.ResolvePositionResponse(position=position, final=head.record_time > record_time)


def _too_slow(after: int) -> SubscriberTooSlow:
    # What is under way when a call ends in an error may be dropped by either end's gRPC, and was seen to be: megabytes
    # that the server had written. So the one position that the reader surely has is where it began; it knows better.
    return SubscriberTooSlow(after)


def mount(server: grpc.aio.Server, app: App) -> None:
    """Add the servicer to the server. Frames of events are made as bytes, so streams have no serializer."""
    servicer = AuditServicer(app)
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "GetHead": grpc.unary_unary_rpc_method_handler(
            servicer.get_head, messages.GetHeadRequest.FromString, messages.GetHeadResponse.SerializeToString
        ),
        "GetEvent": grpc.unary_unary_rpc_method_handler(
            servicer.get_event, messages.GetEventRequest.FromString, messages.GetEventResponse.SerializeToString
        ),
        "ReadEvents": grpc.unary_stream_rpc_method_handler(
            servicer.read_events, messages.ReadEventsRequest.FromString, None
        ),
        "Subscribe": grpc.unary_stream_rpc_method_handler(
            servicer.subscribe, messages.SubscribeRequest.FromString, None
        ),
        "ResolvePosition": grpc.unary_unary_rpc_method_handler(
            servicer.resolve_position,
            messages.ResolvePositionRequest.FromString,
            messages.ResolvePositionResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)
