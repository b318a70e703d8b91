"""Points of view: an AsOf resolved to an instant and a position, and streams folded as seen from there.

`reciprocity.md` section 7 and settled.md 16: both bounds are inclusive; a view is never answered from the nearest one
or from the present instead.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.streams import initial_state
from ledger.domain.times import microseconds, text
from ledger.log.reading import facts
from ledger.log.scanning import Reads
from ledger.log.store import EventRow, Head
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.type.v1.as_of_pb2 import AsOf

PAGE_EVENTS: Final = 2_000
"""Events read and folded in one turn of the event loop: some ten milliseconds."""
FED_EVENTS: Final = 250
"""The same for folds that cost more for each event. A call takes several turns, so each must be short."""


class View(NamedTuple):
    """What had occurred by `occur_time`, as far as it was recorded up to `position`; both inclusive."""

    occur_time: int
    """Microseconds."""
    position: int
    given: bool = False
    """The caller chose the position, so it may split a batch."""


class Look(NamedTuple):
    """A stream's state in a view. The state may be shared: read it at once, keep and change nothing of it."""

    state: Any
    view: View
    version: int
    """Version of the stream's last event up to the view's position; 0: there is none."""
    last_position: int


class Views:
    """Resolves points of view and folds streams as of them."""

    def __init__(self, reads: Reads, clock: Callable[[], int]) -> None:
        self._reads = reads
        self._clock = clock

    async def resolve(self, as_of: AsOf | None, head: Head) -> View:
        """Return the view that an AsOf means while the log ends at `head`.

        Raises:
            Rejected: KNOWN_AT_IN_FUTURE, KNOWN_AT_NOT_SETTLED.
        """
        kind = None if as_of is None else as_of.WhichOneof("known_at")
        if as_of is None or kind is None:
            position, occur_time = head.position, max(self._clock(), head.record_time)
        elif kind == "position":
            position = as_of.position
            occur_time = await self._record_time_of(position, head)
        else:
            occur_time = microseconds(as_of.record_time)
            position = await self._settled_position(occur_time, head)
        if as_of is not None and as_of.HasField("occur_time"):
            occur_time = microseconds(as_of.occur_time)
        return View(occur_time, position, given=kind is not None)

    async def look(self, stream_id: str, view: View) -> Look:
        """Return a stream folded as of a view. Costs in proportion to the stream, never to the log.

        Raises:
            Rejected: KNOWN_AT_INSIDE_BATCH, when the view's position splits what one request recorded in the stream.
        """
        state = initial_state(stream_id, view.occur_time)
        version = last_position = 0
        async for fact in self._facts(stream_id, view):
            state.evolve(fact)
            version, last_position = fact.version, fact.position
        return Look(state, view, version, last_position)

    async def facts(self, stream_id: str, view: View) -> list[Fact]:
        """Return the facts of a stream recorded up to the view's position, in that order.

        Raises:
            Rejected: as `look`.
        """
        return [fact async for fact in self._facts(stream_id, view)]

    async def feed(self, stream_id: str, view: View, evolve: Callable[[Fact], None], after_version: int = 0) -> None:
        """Give the facts of a stream after a version, recorded up to the view's position, to a fold, in that order.

        Raises:
            Rejected: as `look`; the fold has them all then.
        """
        async for fact in self._facts(stream_id, view, after_version, FED_EVENTS):
            evolve(fact)

    async def _facts(
        self, stream_id: str, view: View, version: int = 0, turn_events: int = PAGE_EVENTS
    ) -> AsyncIterator[Fact]:
        last: Fact | None = None
        while rows := await self._page(stream_id, version, turn_events, view):
            for last in facts(rows):
                yield last
            version = rows[-1].version
            if len(rows) < turn_events:
                break
            await asyncio.sleep(0)
        if view.given and last is not None:
            await self._refuse_split(stream_id, last)

    async def _page(self, stream_id: str, version: int, limit: int, view: View) -> list[EventRow]:
        return await self._reads(self._reads.store.read_stream, stream_id, version, limit, view.position)

    async def _record_time_of(self, position: int, head: Head) -> int:
        if position > head.position:
            raise Rejected(
                reasons.ERROR_REASON_KNOWN_AT_IN_FUTURE,
                "the position lies beyond the head of the log",
                position=position,
                head=head.position,
            )
        row = await self._reads(self._reads.store.get, max(position, 1))
        return row.record_time if row is not None else 0

    async def _settled_position(self, record_time: int, head: Head) -> int:
        # Another event may still get the head's record time, or any later one.
        if record_time >= head.record_time:
            raise Rejected(
                reasons.ERROR_REASON_KNOWN_AT_NOT_SETTLED,
                "events may still get this record time; ask for an earlier one, or by position",
                head_record_time=text(head.record_time),
            )
        return await self._reads(self._reads.store.position_at, record_time)

    async def _refuse_split(self, stream_id: str, last: Fact) -> None:
        """Refuse a view that ends between two events which one request recorded in this stream."""
        rows = await self._reads(self._reads.store.read_stream, stream_id, last.version, PAGE_EVENTS)
        end = 0
        for fact in facts(rows):
            if not last.metadata.request_id or fact.metadata.request_id != last.metadata.request_id:
                break
            end = fact.position
        if end:
            raise Rejected(
                reasons.ERROR_REASON_KNOWN_AT_INSIDE_BATCH,
                "the position splits a batch; ask for the position of the batch's last event",
                last_position=end,
            )
