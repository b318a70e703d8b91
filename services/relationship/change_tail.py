"""The tail of the changes: read once for a process, and handed to the watchers that want each.

A watcher asks for an organization, and maybe for some subjects and kinds. Changes are looked up in two dictionaries, so
one change costs what those pay who get it, however many watch others. A queue is bounded: who does not take what is
handed to it falls behind, alone, and goes on from the table. Where changes are found anew because the log is another
one, numbers begin again, and watchers of before are let go.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from contextlib import suppress
from itertools import chain
from typing import Final, NamedTuple

from ledger.change.reading import Changes, Last, Next, StoredChange
from ledger.domain.errors import StoreClosed, StoreFailed
from ledger.log.checkpoint import NOTHING

QUEUE_MAX: Final = 1_000
"""Changes that wait for one watcher."""
_PAGE: Final = 1_000
_WAIT_S: Final = 60.0
_RETRY_S: Final = 1.0


class Selection(NamedTuple):
    """Which changes a watcher wants."""

    organization_id: str
    subject_ids: frozenset[str] = frozenset()
    """Empty: all."""
    kinds: frozenset[int] = frozenset()
    """Empty: all."""


class Watcher:
    """One reader's queue. Made by `ChangeTail.open`, to be closed by its reader."""

    def __init__(self, selection: Selection, past: int, number: int) -> None:
        self.selection = selection
        self.past = past
        """Of which past the numbers are (`Progress.past`)."""
        self.since = number
        """What is queued has greater numbers; up to here the table must be read."""
        self.fell_behind = False
        self.outlived = False
        """The past is over: nothing is queued any more, and the numbers of the next one name other changes."""
        self._queue: deque[StoredChange] = deque()
        self._woken = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether nothing is queued any more: it fell behind, or its past is over."""
        return self.fell_behind or self.outlived

    def take(self) -> list[StoredChange]:
        """Return what is queued, in order, and empty the queue."""
        taken = list(self._queue)
        self._queue.clear()
        self._woken.clear()
        return taken

    async def wait(self, timeout_s: float) -> None:
        """Return when something is queued, when nothing is any more, when it is woken, or when time is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()

    def wake(self) -> None:
        """Let `wait` return."""
        self._woken.set()

    def outlive(self) -> None:
        """Say that its past is over."""
        self.outlived = True
        self._queue.clear()
        self._woken.set()

    def offer(self, change: StoredChange) -> None:
        """Queue a change that is selected, unless too many wait."""
        if self.ended:
            return
        if len(self._queue) >= QUEUE_MAX:
            self.fell_behind = True
            self._queue.clear()
        else:
            self._queue.append(change)
        self._woken.set()


class ChangeTail:
    """Hands new changes to watchers. Lives on one event loop."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self.number = 0
        """Of the last change handed out."""
        self.past = 0
        """Of which past that is (`Progress.past`)."""
        self.checkpoint = NOTHING
        """What the log was when that was found, or later."""
        self._ready = asyncio.Event()
        self._every: defaultdict[str, set[Watcher]] = defaultdict(set)
        """Watchers of all subjects, by organization."""
        self._some: defaultdict[tuple[str, str], set[Watcher]] = defaultdict(set)
        """Watchers of some subjects, by organization and subject."""

    async def run(self, stop: asyncio.Event) -> None:
        """Hand out what is found until `stop` is set."""
        stopping = asyncio.ensure_future(stop.wait())
        following = asyncio.ensure_future(self._follow())
        try:
            await asyncio.wait((stopping, following), return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                await following  # Raises what ended it.
        finally:
            stopping.cancel()
            following.cancel()
            await asyncio.gather(stopping, following, return_exceptions=True)

    async def open(self, selection: Selection) -> Watcher:
        """Return a queue that gets what is handed out from now on; wait until it is known where that begins."""
        await self._ready.wait()
        watcher = Watcher(selection, self.past, self.number)
        for group in self._groups(selection):
            group.add(watcher)
        return watcher

    def close(self, watcher: Watcher) -> None:
        """Hand nothing more to a watcher."""
        selection = watcher.selection
        for group in self._groups(selection):
            group.discard(watcher)
        for subject_id in selection.subject_ids:
            if not self._some[selection.organization_id, subject_id]:
                del self._some[selection.organization_id, subject_id]

    def _groups(self, selection: Selection) -> list[set[Watcher]]:
        organization_id = selection.organization_id
        if not selection.subject_ids:
            return [self._every[organization_id]]
        return [self._some[organization_id, subject_id] for subject_id in selection.subject_ids]

    async def _follow(self) -> None:
        self._begin(await self._read_last())
        self._ready.set()
        while True:
            try:
                if await self._changes.wait_beyond(self.number, _WAIT_S, self.past):
                    found = await self._changes.next(self.number, _PAGE)
                    if found.past == self.past:
                        self._hand_out(found)
                    else:
                        self._begin(await self._read_last())
            except StoreClosed:
                return
            except StoreFailed:
                await asyncio.sleep(_RETRY_S)  # Watchers hear nothing meanwhile, and lose nothing.

    def _begin(self, last: Last) -> None:
        """Hand out what comes after a change; let go of who watched another past."""
        self.past, self.number, self.checkpoint = last.past, last.number, last.checkpoint
        for groups in (self._every.values(), self._some.values()):
            for watcher in chain.from_iterable(groups):
                watcher.outlive()

    async def _read_last(self) -> Last:
        while True:
            try:
                return await self._changes.read(self._changes.last)
            except StoreFailed:
                await asyncio.sleep(_RETRY_S)

    def _hand_out(self, found: Next) -> None:
        self.checkpoint = found.checkpoint
        for change in found.changes:
            self.number = change.number
            for watchers in (
                self._every.get(change.organization_id, ()),
                self._some.get((change.organization_id, change.subject_id), ()),
            ):
                for watcher in watchers:
                    if not watcher.selection.kinds or change.kind in watcher.selection.kinds:
                        watcher.offer(change)
