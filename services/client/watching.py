"""A watch: changes of relationships, each once and in order, for as long as the caller likes."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from rapport.change.v1 import change_service_pb2 as messages
from rapport.change.v1.change_service_pb2_grpc import ChangeServiceStub
from services.client.frames import Endless

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from google.protobuf.duration_pb2 import Duration
    from grpc import aio

    from rapport.change.v1.change_pb2 import RelationshipChange
    from services.client.calls import Calls

IDLE_TIMEOUT_S: Final = 35.0
"""Seconds without any frame after which a watch is taken for broken; the server sends a heartbeat every 10."""


class Watch(Endless[messages.WatchRelationshipsResponse]):
    """A watch: iterate over it for the changes, now and as they are found, for as long as you like.

    It begins again after the last number whenever the stream breaks or the server closes it, for ever: a server that is
    away is waited for. Each change comes once, in order; keep `number` and `checkpoint` beside what you did with it, in
    one transaction, to go on in another process.
    """

    def __init__(self, calls: Calls, request: messages.WatchRelationshipsRequest) -> None:
        super().__init__(calls, "watch", IDLE_TIMEOUT_S)
        self._request = request
        self.number = request.after_number
        """The last number handed out, or passed because nothing there was wanted. Resume after it."""
        self.checkpoint = request.checkpoint
        """What the log was when that number was told, or later: were it put back, resuming with it is refused."""
        self.caught_up = False
        """True while changes come as they are found; False while older ones are read, and after a break."""

    async def __aiter__(self) -> AsyncIterator[RelationshipChange]:
        """Yield the changes in order of their numbers.

        Raises:
            RapportError: CHANGE_IN_FUTURE, CHANGES_BEGUN_ANEW, and others that waiting does not mend.
        """
        async with aclosing(self.frames()) as frames:
            async for frame in frames:
                for change in frame.batch.changes:
                    if change.number > self.number:
                        self._pass(change.number)
                        yield change

    def _open(self) -> aio.UnaryStreamCall[Any, messages.WatchRelationshipsResponse]:
        return self._calls.stub(ChangeServiceStub).WatchRelationships(self._request)

    def _before(self, frame: messages.WatchRelationshipsResponse) -> Duration | None:
        self._keep(frame.checkpoint)
        return frame.closing.retry_after if frame.HasField("closing") else None

    def _note(self, frame: messages.WatchRelationshipsResponse) -> None:
        match frame.WhichOneof("frame"):
            case "batch":
                self._pass(frame.batch.changes[-1].number)
            case "caught_up":
                self._pass(frame.caught_up.number)
                self.caught_up = True
            case "heartbeat":
                self._pass(frame.heartbeat.number)
            case "fell_behind":
                self.caught_up = False
            case "closing":
                self._pass(frame.closing.resume_after)
            case _:
                pass

    def _keep(self, checkpoint: str) -> None:
        """Keep what the log is now, before anything of a frame is handed out: it holds for earlier numbers as well."""
        if checkpoint:
            self.checkpoint = self._request.checkpoint = checkpoint

    def _pass(self, number: int) -> None:
        # From now on a number is named, also where none was: after a break "now" would be later than it was.
        self.number = max(self.number, number)
        self._request.after_number = self.number
