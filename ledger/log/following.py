"""Following the log: one tail reader per process, and cursors that catch up from storage and then go live.

The `Follower` is the only one in a process that asks the store for what is new. It is woken by whoever appends, here or
in another process, and asks by itself at least once a second whatever it hears (A6, I18). It expects position
last + 1; a hole is `LogDamaged`, never waited out or skipped. It feeds any number of readers, each through a queue of
at most 4 batches; one that does not keep up is told so and reads from storage again, and holds up nobody.

A `Cursor` is one reader's way through the log: it may start anywhere, reads from storage at its reader's own pace until
it has caught up, and then gets events as they commit, without a hole and without an event twice. Subscriptions,
projections and the relay are cursors.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, NamedTuple

from ledger.domain.errors import LedgerError, LogDamaged, StoreClosed, StoreFailed
from ledger.log.reading import PAGE_EVENTS, check_dense
from ledger.log.scanning import EVERYTHING, WINDOW_POSITIONS, Page, Reads, Scan, Selection, scan
from ledger.log.store import EventRow, Store
from ledger.testing.fault_points import reach

POLL_S: Final = 1.0
"""Seconds that a follower trusts silence, at most."""

BATCH_EVENTS: Final = 256
"""Events of a batch at most."""

QUEUE_BATCHES: Final = 4
"""Batches that wait for one reader at most (audit.md 2, backpressure)."""

_READ_THREADS = 2


class Batch:
    """Some events as they were committed, shared by all readers."""

    __slots__ = ("_streams", "_topics", "rows")

    def __init__(self, rows: Sequence[EventRow]) -> None:
        self.rows = rows
        """At least one, in order of position."""
        self._streams: frozenset[str] | None = None
        self._topics: frozenset[str] | None = None

    @property
    def last(self) -> int:
        """Position of the last event."""
        return self.rows[-1].position

    @property
    def streams(self) -> frozenset[str]:
        """Streams that the events belong to."""
        if self._streams is None:
            self._streams = frozenset([row.stream_id for row in self.rows])
        return self._streams

    @property
    def topics(self) -> frozenset[str]:
        """Topics of the events."""
        if self._topics is None:
            self._topics = frozenset([row.topic for row in self.rows])
        return self._topics

    def may_match(self, selection: Selection) -> bool:
        """Tell whether any event may be wanted: one look for the whole batch, which spares most readers the rest."""
        if selection.topics is not None and selection.topics.isdisjoint(self.topics):
            return False
        if selection.streams:
            return not selection.streams.isdisjoint(self.streams)
        if selection.organization_id:
            prefix = f"{selection.organization_id}/"
            return any(stream_id.startswith(prefix) for stream_id in self.streams)
        return True


class Live:
    """One reader's queue at the follower. Made by `Follower.open`, to be closed by its reader; lives on the loop."""

    __slots__ = (
        "_batches",
        "_beyond",
        "_changed",
        "_follower",
        "_selection",
        "_told",
        "after",
        "examined",
        "fell_behind",
    )

    def __init__(self, follower: "Follower", selection: Selection, after: int, beyond: int) -> None:
        self.after = after
        """Every event after this position is offered; those before are in storage."""
        self._beyond = beyond
        self.examined = after
        """Once the queue is empty: every wanted event up to here was taken."""
        self.fell_behind = False
        """The queue was full and was dropped; nothing is offered any more."""
        self._follower = follower
        self._selection = selection
        self._batches: deque[Batch] = deque()
        self._changed = asyncio.Event()
        self._told = after

    def take(self) -> Batch | None:
        """Return the next batch, which may hold unwanted events among the wanted; None: none is waiting.

        Raises:
            LedgerError: the follower has failed, and nothing will be offered any more.
        """
        if self._batches:
            self._changed.clear()  # Whoever takes something looks around before it waits.
            return self._batches.popleft()
        if self._follower.failure is not None:
            raise self._follower.failure
        self._told = self.examined
        return None

    async def wait(self, timeout_s: float) -> None:
        """Return when there is something to take, the queue was dropped, somebody called `wake`, or time is up."""
        if not self._batches and not self.fell_behind and self._follower.failure is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
        self._changed.clear()

    def wake(self) -> None:
        """End a `wait` that is under way, or else the next one."""
        self._changed.set()

    def close(self) -> None:
        """Take no more. Calling it twice is the same as calling it once."""
        self._follower.forget(self)

    def offer(self, batch: Batch) -> None:
        """Queue a batch, or drop the queue when there is no room; for the follower."""
        if self.fell_behind:
            return
        self.examined = batch.last
        if batch.last <= self._beyond:
            return
        if batch.may_match(self._selection):
            self._queue(batch)
            self._changed.set()
        elif self.examined - self._told >= WINDOW_POSITIONS:
            # Nothing for this reader, who is woken once in a while all the same: so that its cursor moves on (I21).
            self._changed.set()

    def _queue(self, batch: Batch) -> None:
        waiting = self._batches
        if waiting and len(waiting[-1].rows) + len(batch.rows) <= BATCH_EVENTS:
            waiting[-1] = Batch([*waiting[-1].rows, *batch.rows])
        elif len(waiting) < QUEUE_BATCHES:
            waiting.append(batch)
        else:
            waiting.clear()
            self.fell_behind = True


class Follower:
    """The tail reader of a process. Everything but `wake` belongs to the event loop that it was started on."""

    def __init__(
        self,
        store: Store,
        *,
        executor: Executor | None = None,
        poll_s: float = POLL_S,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Prepare to follow `store`; nothing happens before `start`.

        executor: where the store is read. Default: on the loop where reads are local, which makes them shorter than
        a hop to a thread and back; else two threads of the follower's own.
        on_failure: called once, should the follower end by a hole in the log or a defect: an alarm.
        """
        self._own_executor: ThreadPoolExecutor | None = None
        if executor is None and not store.reads_are_local:
            executor = self._own_executor = ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="follower")
        self.reads = Reads(store, executor)
        """The store, to be read from this loop; for everybody who reads pages of the log."""
        self.position = 0
        """Last position seen; everything up to here was offered to whoever was there to take it."""
        self.failure: LedgerError | None = None
        """Why the follower ended, if it did; every wait raises it."""
        self._store = store
        self._poll_s = poll_s
        self._on_failure = on_failure
        self._readers: dict[Live, None] = {}
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._waiting_numbers = itertools.count()
        self._woken = asyncio.Event()
        self._wake_is_due = False
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow after the head of the log as it is now.

        Raises:
            StoreFailed, StoreClosed: the head cannot be read.
        """
        self._loop = asyncio.get_running_loop()
        self.position = (await self.reads(self._store.head)).position
        self._store.listen(self.wake)
        self._task = self._loop.create_task(self._follow(), name="follower")
        self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Follow no more; whoever waits gets StoreClosed. Calling it twice is the same as calling it once."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._fail(StoreClosed("the log is followed no more"))
        if self._own_executor is not None:
            self._own_executor.shutdown(wait=False)

    def wake(self, position: int = 0) -> None:
        """Say that the log may have grown, to `position` or by anything. Safe from any thread; does not block."""
        if self._closed or self._wake_is_due or 0 < position <= self.position or self._loop is None:
            return
        if not self._readers and not self._waiting:
            return  # Nobody listens, and whoever begins to calls this. Each look costs as much as a small write.
        self._wake_is_due = True
        with suppress(RuntimeError):  # The loop may be closed while a thread still appends.
            self._loop.call_soon_threadsafe(self._woken.set)

    def open(self, selection: Selection = EVERYTHING, beyond: int = 0) -> Live:
        """Return a queue that is offered every event after `Live.after`, which is the last position seen so far.

        beyond: batches that end at or before this position take no place in the queue: the reader has them already.
        """
        live = Live(self, selection, self.position, beyond)
        self._readers[live] = None
        self.wake()  # Without listeners the position may be old.
        return live

    def forget(self, live: Live) -> None:
        """Offer nothing more to a queue."""
        self._readers.pop(live, None)

    async def wait_for(self, position: int, timeout_s: float) -> bool:
        """Return True once the log is known to reach `position`; False when it did not in time.

        Raises:
            LedgerError: the follower has failed; LogDamaged where the log has a hole.
        """
        if position <= self.position:
            return True
        if self.failure is not None:
            raise self.failure
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (position, next(self._waiting_numbers), future))
        self.wake()  # Somebody knows of more than we do, so it is worth looking.
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        finally:
            if future.cancelled():
                self._forget_waits()
        return True

    def _forget_waits(self) -> None:
        """Drop waits that were given up: a position that never comes must not be kept for ever."""
        self._waiting = [wait for wait in self._waiting if not wait[2].done()]
        heapq.heapify(self._waiting)

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._woken.wait()
            self._woken.clear()
            self._wake_is_due = False
            try:
                await self._advance()
            except StoreFailed:
                # It is asked again at the next poll; whoever waits has a timeout, and readers of storage are told.
                await asyncio.sleep(self._poll_s)

    async def _advance(self) -> None:
        """Read and offer what is new; without readers only look how far the log reaches."""
        while True:
            if not self._readers:
                head = await self._head()
                if self._readers:
                    continue  # Somebody came meanwhile, and begins after the old position.
                self._reached(head)
                return
            rows = await self.reads(self._store.read_log, self.position, PAGE_EVENTS)
            check_dense(rows, self.position)
            if not rows:
                await self._head()
                return
            for start in range(0, len(rows), BATCH_EVENTS):
                reach("follow.before_deliver")
                self._offer(Batch(rows[start : start + BATCH_EVENTS]))
            if len(rows) < PAGE_EVENTS:
                return
            await asyncio.sleep(0)  # Readers take what they were given before they get more.

    async def _head(self) -> int:
        head = await self.reads(self._store.head)
        if head.position < self.position:
            raise LogDamaged(self.position, f"the log went backwards and ends at {head.position}")
        return head.position

    def _offer(self, batch: Batch) -> None:
        for live in tuple(self._readers):
            live.offer(batch)
        self._reached(batch.last)

    def _reached(self, position: int) -> None:
        self.position = position
        while self._waiting and self._waiting[0][0] <= position:
            _resolve(heapq.heappop(self._waiting)[2])

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            return
        error = task.exception()
        assert error is not None, "following ends by an error, or is cancelled"
        self._fail(error if isinstance(error, LedgerError) else LedgerError(f"the follower failed: {error!r}"))
        if self._on_failure is not None and not isinstance(error, StoreClosed):
            self._on_failure(error)

    def _fail(self, error: LedgerError) -> None:
        self.failure = self.failure or error
        for live in self._readers:
            live.wake()
        for _, _, future in self._waiting:
            _resolve(future, self.failure)
        self._waiting.clear()


class CaughtUp(NamedTuple):
    """From here on events come as they commit."""

    position: int


class FellBehind(NamedTuple):
    """The reader was too slow for live events; storage is read again, and nothing is lost."""

    position: int
    """Everything wanted up to here was returned."""
    head: int


class Cursor:
    """One reader's way through the log, after any position. To be closed by its reader."""

    def __init__(self, follower: Follower, after: int, selection: Selection = EVERYTHING) -> None:
        """Begin after position `after`, which is at most the head."""
        self.position = after
        """Every wanted event up to here was returned."""
        self._follower = follower
        self._selection = selection
        self._scan: Scan | None = None
        self._live: Live | None = None
        self._caught_up = False

    @property
    def caught_up(self) -> bool:
        """Whether events come as they commit, rather than from storage."""
        return self._caught_up

    async def next(self, timeout_s: float) -> Page | CaughtUp | FellBehind | None:
        """Return what comes next; None when nothing came in time, or after `wake`.

        A page may be empty: then only the position moved on. Where nothing wanted comes for long, `position` moves
        on although None is returned. After FellBehind no event is live before the next CaughtUp.

        Raises:
            LogDamaged: a position is missing, or an event cannot be read.
            StoreFailed, StoreClosed: storage does not answer. After StoreFailed it may be called again.
        """
        if self._caught_up:
            return await self._next_live(timeout_s)
        return await self._next_stored()

    def wake(self) -> None:
        """Let a `next` that waits for events return."""
        if self._live is not None:
            self._live.wake()

    def close(self) -> None:
        """Let go of the follower."""
        self._caught_up = False
        if self._live is not None:
            self._live.close()
            self._live = None

    async def _next_stored(self) -> Page | CaughtUp:
        """Read storage up to the head, then take a place at the follower, then read what lies between the two."""
        reads = self._follower.reads
        while self._scan is None or self._scan.examined >= self._scan.to:
            if self._live is not None and not self._live.fell_behind:
                self._caught_up = True
                self._scan = None
                return CaughtUp(self.position)
            self.close()  # The queue was full before storage was read to where it began: once more.
            to = (await reads(reads.store.head)).position
            if to - self.position <= PAGE_EVENTS:
                # Near enough: what is written while the last page is read fits into the queue.
                self._live = self._follower.open(self._selection, beyond=to)
                to = max(to, self._live.after)
            self._scan = scan(reads, self._selection, self.position, max(to, self.position))
        try:
            page = await self._scan.next()
        except BaseException:
            # It may have read what it did not return: begin again at `position`, and with a new place at the follower.
            self._scan = None
            self.close()
            raise
        self.position = page.examined
        return page

    async def _next_live(self, timeout_s: float) -> Page | FellBehind | None:
        live = self._live
        assert live is not None
        batch = live.take()
        if batch is None and not live.fell_behind:
            await live.wait(timeout_s)
            batch = live.take()
        if live.fell_behind:
            self.close()
            return FellBehind(self.position, self._follower.position)
        if batch is None:
            self.position = max(self.position, live.examined)
            return None
        # Storage may have been read beyond the place at which the queue began.
        rows = [row for row in batch.rows if row.position > self.position and self._selection.matches(row)]
        self.position = max(self.position, batch.last)
        return Page(rows, self.position)


def _resolve(future: "asyncio.Future[None]", error: BaseException | None = None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
