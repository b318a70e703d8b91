"""Watching: frames of what was announced, then of what is found, until the caller or a closing frame ends it.

After `fell_behind` no change is live before the next `caught_up`. A watcher hears something within each heartbeat.

Numbers hold within one past of the log. Whoever watches while changes are begun anew, because the log was put back and
grew to another past, is refused to go on: what they keep names changes that were, and may never have been.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import lru_cache, partial
from time import monotonic
from typing import Final, NamedTuple

from google.protobuf.duration_pb2 import Duration

from ledger.change.reading import Changes, Page, StoredChange
from ledger.domain.errors import Rejected
from ledger.domain.times import timestamp
from ledger.ledger import Ledger
from ledger.log.checkpoint import NOTHING, holds, position_of
from rapport.change.v1 import change_service_pb2 as pb
from rapport.errors.v1 import error_reason_pb2 as reasons
from services.relationship.change_tail import ChangeTail, Selection, Watcher

HEARTBEAT_S: Final = 10.0
DRAINING_RETRY_AFTER_S: Final = 1
"""Seconds that a watcher is asked to wait when the service stops; another instance, or the next start, answers then."""
_PAGE: Final = 500
_REST_S: Final = 1.0
"""Seconds between looks at a table that has less than was handed out: it is being made again."""


class Begin(NamedTuple):
    """Where a watch begins."""

    number: int
    """After this change."""
    past: int
    """Of which past that is."""


class Watches:
    """Makes watches, and ends the wait of all of them when the service stops."""

    def __init__(
        self, ledger: Ledger, changes: Changes, tail: ChangeTail, stopping: asyncio.Event, age_max_s: float
    ) -> None:
        """`age_max_s`: seconds after which a watch is closed with where to resume."""
        self._ledger = ledger
        self._changes = changes
        self._tail = tail
        self._stopping = stopping
        self._age_max_s = age_max_s
        self._watchers: set[Watcher] = set()
        self._watch: asyncio.Task[None] | None = None

    async def begin(self, request: pb.WatchRelationshipsRequest) -> Begin:
        """Return where a watch begins.

        Raises:
            Rejected: CHANGE_IN_FUTURE, CHANGES_BEGUN_ANEW.
        """
        last = await self._changes.read(self._changes.last)
        if request.WhichOneof("start") != "after_number":
            return Begin(last.number, last.past)
        proven = await proven_position(self._ledger, request)
        # Where changes are found again after their table was lost, a number may not be there again yet.
        if request.after_number > last.number and proven <= last.position:
            raise Rejected(
                reasons.ERROR_REASON_CHANGE_IN_FUTURE,
                "the number lies beyond the last change; start from one that was answered before",
                number=request.after_number,
                last=last.number,
            )
        return Begin(request.after_number, last.past)

    async def frames(self, request: pb.WatchRelationshipsRequest, begin: Begin) -> AsyncGenerator[bytes, None]:
        """Yield the frames of a watch, serialised.

        Raises:
            Rejected: CHANGES_BEGUN_ANEW.
            StoreFailed, StoreClosed: storage does not answer.
        """
        number, past = begin
        chosen = request.filter
        selection = Selection(request.organization_id, frozenset(chosen.subject_ids), frozenset(chosen.kinds))
        ends_at = monotonic() + self._age_max_s
        self._watch_for_the_end()
        live = await self._open(selection)
        past = _same_past(live.past, past, number)
        try:
            while not self._is_over(ends_at):
                async for page in self._stored(selection, number, live):
                    past = _same_past(page.last.past, past, number)
                    moved, number = page.examined > number, page.examined
                    if page.changes:
                        yield batch(page.changes, self._checkpoint(live, number))
                    elif not moved:
                        yield await self._heartbeat(live, number)
                        await live.wait(_REST_S)
                    if self._is_over(ends_at):
                        break
                else:
                    if not live.outlived:
                        number = max(number, live.since)
                        yield await self._caught_up(live, number)
                        async for frame, told in self._live(live, number, ends_at):
                            yield frame
                            number = told
                if live.fell_behind:
                    yield self._fell_behind(live, number)
                if live.ended:
                    self._close(live)
                    live = await self._open(selection)
                    past = _same_past(live.past, past, number)
            yield self._closing(live, number)
        finally:
            self._close(live)

    async def _stored(self, selection: Selection, number: int, live: Watcher) -> AsyncGenerator[Page, None]:
        """Yield what the table has after a number, until what is queued follows it."""
        organization_id, subjects, kinds = selection
        while number < live.since and not live.outlived:
            page = await self._changes.read(
                partial(
                    self._changes.page,
                    number,
                    _PAGE,
                    organization_id,
                    subject_ids=sorted(subjects),
                    kinds=sorted(kinds),
                )
            )
            changes = [change for change in page.changes if change.number <= live.since]
            number = min(page.examined, live.since)
            yield Page(changes, number, page.last)

    async def _live(self, live: Watcher, number: int, ends_at: float) -> AsyncGenerator[tuple[bytes, int], None]:
        """Yield frames of what is found, each with the number to resume after, until the watch ends or falls behind."""
        heard_at = monotonic()
        while not live.ended and not self._is_over(ends_at):
            await live.wait(max(0.0, min(heard_at + HEARTBEAT_S, ends_at) - monotonic()))
            # The table may have been ahead of the tail when the watch began, and what it had then was told, or passed.
            taken = [change for change in live.take() if change.number > number]
            if taken:
                number, heard_at = taken[-1].number, monotonic()
                yield batch(taken, self._checkpoint(live, number)), number
            elif monotonic() >= heard_at + HEARTBEAT_S and not live.ended:
                # What was handed out meanwhile was not for this watcher.
                number, heard_at = max(number, self._tail.number), monotonic()
                yield await self._heartbeat(live, number), number

    async def _open(self, selection: Selection) -> Watcher:
        watcher = await self._tail.open(selection)
        self._watchers.add(watcher)
        return watcher

    def _close(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)
        self._tail.close(watcher)

    def _is_over(self, ends_at: float) -> bool:
        return self._stopping.is_set() or monotonic() >= ends_at

    async def _caught_up(self, live: Watcher, number: int) -> bytes:
        last = await self._changes.read(self._changes.last)
        frame = pb.WatchCaughtUp(number=number, position=last.position)
        return _frame(self._checkpoint(live, number), caught_up=frame)

    async def _heartbeat(self, live: Watcher, number: int) -> bytes:
        last = await self._changes.read(self._changes.last)
        server_time = timestamp(self._ledger.clock())
        frame = pb.WatchHeartbeat(number=number, position=last.position, server_time=server_time)
        return _frame(self._checkpoint(live, number), heartbeat=frame)

    def _fell_behind(self, live: Watcher, number: int) -> bytes:
        frame = pb.WatchFellBehind(number=number, last_number=self._tail.number)
        return _frame(self._checkpoint(live, number), fell_behind=frame)

    def _closing(self, live: Watcher, number: int) -> bytes:
        draining = self._stopping.is_set()
        retry_after = Duration(seconds=DRAINING_RETRY_AFTER_S if draining else 0)
        frame = pb.WatchClosing(resume_after=number, draining=draining, retry_after=retry_after)
        return _frame(self._checkpoint(live, number), closing=frame)

    def _checkpoint(self, live: Watcher, number: int) -> str:
        """Return what the log was when a number was given, or later; NOTHING where that is not known here."""
        known = not live.outlived and number <= self._tail.number
        return self._tail.checkpoint if known else NOTHING

    def _watch_for_the_end(self) -> None:
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._wake_when_stopping())

    async def _wake_when_stopping(self) -> None:
        await self._stopping.wait()
        for watcher in self._watchers:
            watcher.wake()


def _same_past(seen: int, past: int, number: int) -> int:
    """Return the past that a watch goes on in: a later one only where it has passed nothing yet.

    The tail may see a later past after the table does: an earlier one says nothing.

    Raises:
        Rejected: CHANGES_BEGUN_ANEW.
    """
    if seen > past and number:
        raise Rejected(
            reasons.ERROR_REASON_CHANGES_BEGUN_ANEW,
            "the log was put back and has another past, so changes are found anew; start over after number 0",
            number=number,
        )
    return max(seen, past)


async def proven_position(ledger: Ledger, request: pb.WatchRelationshipsRequest | pb.ListChangesRequest) -> int:
    """Return the position up to which the log is the one that a request's number was told of; 0: that is not known.

    Raises:
        Rejected: CHANGES_BEGUN_ANEW.
        StoreFailed, StoreClosed: storage does not answer.
    """
    if not request.after_number or request.checkpoint == NOTHING:
        return 0  # Number 0 is the same in every past.
    position = position_of(request.checkpoint)
    if not await ledger.follower.reads(holds, ledger.store, request.checkpoint):
        raise Rejected(
            reasons.ERROR_REASON_CHANGES_BEGUN_ANEW,
            "the log was put back and has another past than when the number was told; start over after number 0",
            position=position,
        )
    return position


def batch(changes: Sequence[StoredChange], checkpoint: str) -> bytes:
    """Return a frame of changes, serialised: their stored bytes joined, in field 1 of field 1."""
    return _field(b"".join(_field(change.body) for change in changes)) + _only(checkpoint)


@lru_cache(maxsize=8)
def _only(checkpoint: str) -> bytes:
    """Return a frame of nothing but a checkpoint: a thousand watchers are told the same one."""
    return _frame(checkpoint)


def _field(content: bytes) -> bytes:
    """Return what stands for field 1 with this content."""
    length, size = len(content), bytearray(b"\x0a")
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    size.append(length)
    return bytes(size) + content


def _frame(
    checkpoint: str,
    *,
    caught_up: pb.WatchCaughtUp | None = None,
    heartbeat: pb.WatchHeartbeat | None = None,
    fell_behind: pb.WatchFellBehind | None = None,
    closing: pb.WatchClosing | None = None,
) -> bytes:
    return pb.WatchRelationshipsResponse(
        caught_up=caught_up, heartbeat=heartbeat, fell_behind=fell_behind, closing=closing, checkpoint=checkpoint
    ).SerializeToString()
