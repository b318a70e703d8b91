"""A subscription: frames of what is stored, then of what is recorded, until the caller or a Closing frame ends it.

After FellBehind no event is live before the next CaughtUp. A reader hears something within each heartbeat interval, and
a filtered reader's position moves on at least every 10,000 positions or 5 s, live as well.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from time import monotonic
from typing import Final

from google.protobuf.duration_pb2 import Duration

from ledger.domain.times import timestamp
from ledger.log.following import CaughtUp, Cursor, FellBehind, Follower
from ledger.log.scanning import Page
from rapport.audit.v1 import audit_service_pb2 as messages
from services.audit.frames import batches
from services.audit.replay import PROGRESS_S, Told, progress
from services.audit.translate import SubscriptionPlan
from services.audit.views import View

DRAINING_RETRY_AFTER_S: Final = 1
"""Seconds that a reader is asked to wait when the service stops; another instance, or the next start, answers then."""


class Subscriptions:
    """Makes subscriptions, and ends the wait of all of them when the service stops."""

    def __init__(self, follower: Follower, clock: Callable[[], int], stopping: asyncio.Event, age_max_s: float) -> None:
        """`age_max_s`: seconds after which a subscription is closed with where to resume."""
        self._follower = follower
        self._clock = clock
        self._stopping = stopping
        self._age_max_s = age_max_s
        self._cursors: set[Cursor] = set()
        self._watch: asyncio.Task[None] | None = None

    async def frames(self, plan: SubscriptionPlan, view: View) -> AsyncGenerator[bytes, None]:
        """Yield the frames of a subscription, serialised.

        Raises:
            LogDamaged: an event is missing, or cannot be read.
            StoreFailed, StoreClosed: storage does not answer.
        """
        cursor = Cursor(self._follower, plan.after, plan.selection)
        ends_at = monotonic() + self._age_max_s
        told = Told(plan.after)
        self._cursors.add(cursor)
        self._watch_for_the_end()
        try:
            while (reason := self._reason_to_close(ends_at)) is None:
                due = min(told.at + min(plan.heartbeat_s, PROGRESS_S), ends_at)
                match await cursor.next(max(0.0, due - monotonic())):
                    case Page(rows, _):
                        for frame in batches(rows, await view.tail(rows)):
                            yield frame.wire
                            told.now(frame.last)
                    case CaughtUp(position):
                        yield _response(caught_up=messages.CaughtUp(position=position))
                        told.now(position)
                    case FellBehind(position, head):
                        yield _response(fell_behind=messages.FellBehind(position=position, head=head))
                        told.now(position)
                    case None:
                        pass
                if told.silent_s >= plan.heartbeat_s:
                    yield self._heartbeat(cursor.position)
                    told.now(cursor.position)
                elif told.should_hear(cursor.position):
                    yield progress(cursor.position)
                    told.now(cursor.position)
            yield _closing(reason, cursor.position)
        finally:
            self._cursors.discard(cursor)
            cursor.close()

    def _reason_to_close(self, ends_at: float) -> messages.CloseReason.ValueType | None:
        if self._stopping.is_set():
            return messages.CLOSE_REASON_DRAINING
        if monotonic() >= ends_at:
            return messages.CLOSE_REASON_MAX_AGE
        return None

    def _heartbeat(self, position: int) -> bytes:
        head = max(position, self._follower.position)
        return _response(
            heartbeat=messages.Heartbeat(position=position, head=head, server_time=timestamp(self._clock()))
        )

    def _watch_for_the_end(self) -> None:
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._wake_when_stopping())

    async def _wake_when_stopping(self) -> None:
        await self._stopping.wait()
        for cursor in self._cursors:
            cursor.wake()


def _response(
    *,
    caught_up: messages.CaughtUp | None = None,
    fell_behind: messages.FellBehind | None = None,
    heartbeat: messages.Heartbeat | None = None,
    closing: messages.Closing | None = None,
) -> bytes:
    return messages.SubscribeResponse(
        caught_up=caught_up, fell_behind=fell_behind, heartbeat=heartbeat, closing=closing
    ).SerializeToString()


def _closing(reason: messages.CloseReason.ValueType, resume_after: int) -> bytes:
    seconds = DRAINING_RETRY_AFTER_S if reason == messages.CLOSE_REASON_DRAINING else 0
    return _response(
        closing=messages.Closing(reason=reason, resume_after=resume_after, retry_after=Duration(seconds=seconds))
    )
