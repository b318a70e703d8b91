"""A replay: frames of events up to an end that is fixed when it begins, and then the End frame.

A stream without an End frame is not finished. Every frame holds a position after which a reader may resume, and between
two of them at most 10,000 positions are examined, or 5 s go by.
"""

import asyncio
from collections.abc import AsyncGenerator
from time import monotonic
from typing import Final

from ledger.log.scanning import WINDOW_POSITIONS, Reads, scan
from rapport.audit.v1 import audit_service_pb2 as messages
from services.audit.frames import batches
from services.audit.translate import ReplayPlan
from services.audit.views import View
from services.runtime.limits import Stopping

PROGRESS_POSITIONS: Final = WINDOW_POSITIONS
"""Positions examined without a match after which a reader is told. The page that reaches it may examine as many."""

PROGRESS_S: Final = 5.0
"""Seconds after which a reader is told how far it is (audit.md 2, rule 4)."""


class Told:
    """How far a reader was told, by frames that were written, and when."""

    __slots__ = ("at", "position")

    def __init__(self, position: int) -> None:
        self.position = position
        self.at = monotonic()

    def now(self, position: int) -> None:
        """Note that a frame was written that ends at `position`."""
        self.position = position
        self.at = monotonic()

    @property
    def silent_s(self) -> float:
        """Seconds since the last frame."""
        return monotonic() - self.at

    def should_hear(self, position: int) -> bool:
        """Tell whether a Progress frame is due when everything up to `position` was examined."""
        behind = position - self.position
        return behind >= PROGRESS_POSITIONS or (behind > 0 and self.silent_s >= PROGRESS_S)


async def replay(plan: ReplayPlan, reads: Reads, view: View, stopping: asyncio.Event) -> AsyncGenerator[bytes, None]:
    """Yield the frames of a replay, serialised.

    Raises:
        Stopping: the service stops; a Progress frame said where to resume.
        LogDamaged: an event is missing, or cannot be read.
    """
    told = Told(plan.after)
    pages = scan(reads, plan.selection, plan.after, plan.to)
    position, delivered = plan.after, 0
    while position < plan.to and not (plan.events_max and delivered >= plan.events_max):
        rows, position = await pages.next()
        if plan.events_max and delivered + len(rows) > plan.events_max:
            rows = rows[: plan.events_max - delivered]
            position = rows[-1].position
        delivered += len(rows)
        for frame in batches(rows, await view.tail(rows)):
            yield frame.wire
            told.now(frame.last)
        if stopping.is_set() and position < plan.to:
            yield progress(position)
            raise Stopping("the service is stopping; resume after the last position")
        if told.should_hear(position):
            yield progress(position)
            told.now(position)
    yield _end(position, delivered, complete=position >= plan.to)


def progress(position: int) -> bytes:
    """Return a Progress frame; the same bytes for a replay and a subscription."""
    return messages.ReadEventsResponse(progress=messages.Progress(position=position)).SerializeToString()


def _end(position: int, delivered: int, *, complete: bool) -> bytes:
    end = messages.End(position=position, delivered=delivered, complete=complete)
    return messages.ReadEventsResponse(end=end).SerializeToString()
