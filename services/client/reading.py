"""The log: replayed, followed, looked up."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.duration_pb2 import Duration

from rapport.audit.v1 import audit_service_pb2 as messages
from rapport.audit.v1 import recorded_event_pb2 as recorded
from rapport.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from services.client.calls import Subject, ended_early
from services.client.errors import RapportError
from services.client.frames import Endless, read_frames
from services.client.values import timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp
    from grpc import aio

    from rapport.audit.v1.recorded_event_pb2 import RecordedEvent
    from services.client.calls import Calls

IDLE_TIMEOUT_S: Final = 30.0
"""Seconds without any frame after which a replay is taken for broken; the server sends progress every 5."""


class EventReader:
    """A replay: iterate over it for the events, `async for event in reader`.

    A stream that breaks is opened again after the last position, until the End frame: each event comes once, in order.
    """

    def __init__(self, calls: Calls, request: messages.ReadEventsRequest, idle_timeout_s: float) -> None:
        self._calls = calls
        self._request = request
        self._idle_timeout_s = idle_timeout_s
        self._delivered = 0
        self.position = request.after_position
        """The last position handed out, or passed because nothing there matched. Resume after it."""
        self.end: messages.End | None = None
        """The last frame, once it came: up to which position everything that matches was handed out."""

    async def __aiter__(self) -> AsyncIterator[RecordedEvent]:
        """Yield the events in position order.

        Raises:
            RapportError: POSITION_BEYOND_HEAD, LOG_DAMAGED, PERSONAL_VIEW_DISABLED, or the server stays away.
        """
        attempts = self._calls.attempts()
        while self.end is None and not self._all_delivered():
            try:
                call = self._calls.stub(AuditServiceStub).ReadEvents(self._remaining())
                async with aclosing(read_frames(call, self._idle_timeout_s)) as frames:
                    async for frame in frames:
                        attempts.succeeded()
                        for event in frame.batch.events:
                            self.position = event.position
                            self._delivered += 1
                            yield event
                        self._note(frame)
                if self.end is None:
                    raise ended_early("replay")
            except RapportError as error:
                await self._calls.wait_or_raise(error, attempts)

    def _all_delivered(self) -> bool:
        """Tell whether `max_events` came, and only the End frame was lost; 0 left would mean no limit."""
        if not self._request.max_events or self._delivered < self._request.max_events:
            return False
        self.end = messages.End(position=self.position, delivered=self._delivered, complete=False)
        return True

    def _note(self, frame: messages.ReadEventsResponse) -> None:
        match frame.WhichOneof("frame"):
            case "progress":
                self.position = max(self.position, frame.progress.position)
            case "end":
                self.position = max(self.position, frame.end.position)
                self.end = messages.End(
                    position=frame.end.position, delivered=self._delivered, complete=frame.end.complete
                )
            case _:
                pass

    def _remaining(self) -> messages.ReadEventsRequest:
        """Return the request for what was not handed out yet."""
        request = messages.ReadEventsRequest()
        request.CopyFrom(self._request)
        if self.position > 0:
            request.after_position = self.position
        if request.max_events:
            request.max_events -= self._delivered
        return request


class Subscription(Endless[messages.SubscribeResponse]):
    """A subscription: iterate over it for the events, now and as they commit, for as long as you like.

    It begins again after the last position whenever the stream breaks or the server closes it, for ever: a server that
    is away is waited for. Each event comes once, in order; keep `position` to go on in another process.
    """

    def __init__(self, calls: Calls, request: messages.SubscribeRequest) -> None:
        super().__init__(calls, "subscription", 3.0 * request.heartbeat.seconds + 5.0)
        self._request = request
        self.position = request.after_position
        """The last position handed out, or passed because nothing there matched. Resume after it."""
        self.head = 0
        """Head of the log, as far as the server said. 0: not said yet."""
        self.caught_up = False
        """True while events arrive as they commit; False while history is read, and after a break."""

    async def __aiter__(self) -> AsyncIterator[RecordedEvent]:
        """Yield the events in position order.

        Raises:
            RapportError: POSITION_BEYOND_HEAD, LOG_DAMAGED, and others that waiting does not mend.
        """
        async with aclosing(self.frames()) as frames:
            async for frame in frames:
                for event in frame.batch.events:
                    if event.position > self.position:
                        self.position = event.position
                        yield event

    def _open(self) -> aio.UnaryStreamCall[Any, messages.SubscribeResponse]:
        return self._calls.stub(AuditServiceStub).Subscribe(self._request)

    def _before(self, frame: messages.SubscribeResponse) -> Duration | None:
        return frame.closing.retry_after if frame.HasField("closing") else None

    def _note(self, frame: messages.SubscribeResponse) -> None:
        match frame.WhichOneof("frame"):
            case "batch":
                self._pass(frame.batch.events[-1].position)
            case "progress":
                self._pass(frame.progress.position)
            case "caught_up":
                self._pass(frame.caught_up.position)
                self.head = max(self.head, self.position)
                self.caught_up = True
            case "heartbeat":
                self._pass(frame.heartbeat.position)
                self.head = frame.heartbeat.head
            case "fell_behind":
                self._pass(frame.fell_behind.position)
                self.head = frame.fell_behind.head
                self.caught_up = False
            case "closing":
                self._pass(frame.closing.resume_after)
            case _:
                pass

    def _pass(self, position: int) -> None:
        self.position = max(self.position, position)
        if position > 0:
            self._request.after_position = self.position


class Audit(Subject):
    """AuditService."""

    async def get_head(self, *, timeout_s: float | None = None) -> messages.GetHeadResponse:
        """Return where the log ends, and its name."""
        return await self._calls.call(self._audit.GetHead, messages.GetHeadRequest(), timeout_s)

    async def get_event(
        self,
        position: int,
        *,
        view: recorded.EventView.ValueType = recorded.EVENT_VIEW_OPEN,
        purpose: str = "",
        timeout_s: float | None = None,
    ) -> messages.GetEventResponse:
        """Return one event by its position.

        Raises:
            RapportError: EVENT_UNKNOWN, PERSONAL_VIEW_DISABLED.
        """
        request = messages.GetEventRequest(position=position, view=view, purpose=purpose)
        return await self._calls.call(self._audit.GetEvent, request, timeout_s)

    async def get_event_of_stream(
        self,
        stream_id: str,
        version: int,
        *,
        view: recorded.EventView.ValueType = recorded.EVENT_VIEW_OPEN,
        purpose: str = "",
        timeout_s: float | None = None,
    ) -> messages.GetEventResponse:
        """Return one event by its stream and version.

        Raises:
            RapportError: EVENT_UNKNOWN, PERSONAL_VIEW_DISABLED.
        """
        place = messages.StreamVersion(stream_id=stream_id, version=version)
        request = messages.GetEventRequest(stream_version=place, view=view, purpose=purpose)
        return await self._calls.call(self._audit.GetEvent, request, timeout_s)

    async def resolve_position(
        self, record_time: datetime | Timestamp, *, timeout_s: float | None = None
    ) -> messages.ResolvePositionResponse:
        """Return the last position recorded at or before a time, and whether that can still change."""
        request = messages.ResolvePositionRequest(record_time=timestamp(record_time))
        return await self._calls.call(self._audit.ResolvePosition, request, timeout_s)

    def read_events(
        self,
        *,
        after_position: int = 0,
        from_record_time: datetime | Timestamp | None = None,
        to_position: int | None = None,
        filter: messages.EventFilter | None = None,  # noqa: A002  # The name of the field.
        view: recorded.EventView.ValueType = recorded.EVENT_VIEW_OPEN,
        max_events: int = 0,
        purpose: str = "",
        idle_timeout_s: float = IDLE_TIMEOUT_S,
    ) -> EventReader:
        """Return a replay of the log, or of what a filter selects of it, up to its head or `to_position`."""
        request = messages.ReadEventsRequest(
            to_position=to_position, filter=filter, view=view, max_events=max_events, purpose=purpose
        )
        if from_record_time is None:
            request.after_position = after_position
        else:
            request.from_record_time.CopyFrom(timestamp(from_record_time))
        return EventReader(self._calls, request, idle_timeout_s)

    def subscribe(
        self,
        *,
        after_position: int = 0,
        from_record_time: datetime | Timestamp | None = None,
        from_head: bool = False,
        filter: messages.EventFilter | None = None,  # noqa: A002  # The name of the field.
        view: recorded.EventView.ValueType = recorded.EVENT_VIEW_OPEN,
        purpose: str = "",
        heartbeat_s: int = 5,
    ) -> Subscription:
        """Return a subscription: history after a position, then what commits, without end. `heartbeat_s`: 1 to 60."""
        request = messages.SubscribeRequest(
            filter=filter, view=view, purpose=purpose, heartbeat=Duration(seconds=heartbeat_s)
        )
        if from_record_time is not None:
            request.from_record_time.CopyFrom(timestamp(from_record_time))
        elif from_head:
            request.from_head = True
        else:
            request.after_position = after_position
        return Subscription(self._calls, request)

    @property
    def _audit(self) -> AuditServiceStub:
        return self._calls.stub(AuditServiceStub)
