"""Finding changes in a process: kept up to the log, by one process of several, and marking time where nobody writes.

Woken by the follower when the log grows, and asking at least once a second whatever it hears. Finding happens in a
thread. Of several processes the one that holds the lock finds; the others look how far it is, and one of them takes
over when it ends. Were two to find all the same, the progress lets only one of them through.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from ledger.change import table
from ledger.change.finding import EVENTS_MAX, TIMERS_MAX, Finder
from ledger.change.kept import KeptInTables
from ledger.change.marks import Marks, believed
from ledger.change.reading import Changes
from ledger.change.table import Dues, Progress, ProgressMoved, StoredChange
from ledger.change.verifying import Verification
from ledger.domain.errors import Rejected, StoreClosed
from ledger.domain.times import MICROSECONDS
from ledger.log.checkpoint import checkpoint, holds, leaf_of
from ledger.log.following import Follower
from ledger.log.store import Store
from ledger.projections.backing_off import back_off_s
from ledger.projections.database import Database, Lock
from rapport.errors.v1 import error_reason_pb2 as reasons

T = TypeVar("T")

POLL_S: Final = 1.0
"""Seconds that silence of the log is trusted, at most."""
PACE_MIN_S: Final = 0.004
PACE_MAX_S: Final = 0.02
"""Seconds from the end of a batch to the next one, beside writers, while few events come: as long as the batch took,
within these.

Many small ones would cost those who record more than they gain. What comes after a silence is looked at at once.
"""
_DUE_S: Final = 0.04
"""Seconds between looks, at least, while something is due and the log's time does not come."""
REST_MAX_S: Final = 0.5
"""Seconds that a batch is followed by at most, while the log grows faster than changes are found."""
COUNT_S: Final = 10.0
"""Seconds between counts of what is due."""
_LOOK_S: Final = 0.25
"""Seconds between looks at what another process found."""
_THREADS: Final = 2  # One finds, one verifies.

Mark = Callable[[int], Awaitable[None]]
"""Appends a mark past an instant, in microseconds, unless there is one."""


class Standing(NamedTuple):
    """Where finding stands."""

    progress: Progress
    head: int
    """Position of the head of the log."""
    dues: Dues
    running: bool
    """Whether this process finds changes; False: another one does, or none yet."""


@dataclass(slots=True)
class _Times:
    """When what was done last, by a clock that only runs forward, in seconds."""

    counted_s: float = -COUNT_S
    """What is due was counted."""
    tried_s: float = -POLL_S
    """The lock was asked for."""
    ended_s: float = 0.0
    """The last batch ended."""
    stepped_s: float = 0.0
    """How long that took."""


class Runner:
    """Finds changes in one process. Lives on one event loop."""

    def __init__(
        self,
        database: Database,
        store: Store,
        follower: Follower,
        changes: Changes,
        *,
        log_id: str,
        clock: Callable[[], int],
        mark: Mark | None,
        mark_interval_s: float,
        on_failure: Callable[[Exception, float], None] | None = None,
        on_alarm: Callable[[int], None] | None = None,
        on_moved: Callable[[Sequence[StoredChange]], None] | None = None,
        beside_writers: bool = True,
        running_s: Callable[[], float] = time.monotonic,
        events_max: int = EVENTS_MAX,
        timers_max: int = TIMERS_MAX,
    ) -> None:
        """`database` is closed with the runner.

        mark: None: no mark is ever made. on_failure: told each error, and in how many seconds it is tried again.
        on_alarm: told by how many microseconds the clock is ahead of that of the database, when no mark is made for it.
        on_moved: told after each batch what it found, and after each look at another process nothing, on the event
        loop.
        beside_writers: whether others record in this process. They share one interpreter with what finds changes, and
        get every other moment; where there are none, nobody gains from a rest.
        """
        self.changes = changes
        """What was found, for readers; told at once."""
        self.progress = Progress()
        """As last seen here; may be read from any thread."""
        self.due_count = 0
        """How many relationships the clock will look at again, as last counted; may be read from any thread."""
        self._database = database
        self._store = store
        self._follower = follower
        self._log_id = log_id
        self._clock = clock
        self._mark = mark
        self._marks = Marks(mark_interval_s)
        self._on_failure = on_failure
        self._on_alarm = on_alarm
        self._on_moved = on_moved
        self._beside_writers = beside_writers
        self._running_s = running_s
        self._events_max = events_max
        self._timers_max = timers_max
        self._kept = KeptInTables(database)
        self._finder = Finder(store, self._kept, log_id)
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="changes-finder")
        self._verifying: set[Verification] = set()
        self._lock: Lock | None = None
        self._began = False
        self._next_due: int | None = None
        self._times = _Times()
        self._grew = False
        self._head = 0
        self._heard = 0
        """Position that the log is said to have reached; 0: nothing was said, or it proved wrong."""
        self._found: Sequence[StoredChange] = ()
        """What the last batch found."""
        self.idle = threading.Event()
        """Set while nothing is looked at: whoever computes in the same interpreter and has time may wait for that."""
        self.idle.set()
        self._moved = asyncio.Event()
        self._hurry = asyncio.Event()
        self._woken = asyncio.Event()
        self._following: asyncio.Task[bool] | None = None
        self._closed = False

    async def run(self, stop: asyncio.Event) -> None:
        """Find changes until `stop` is set, then let go of everything."""
        failures = 0
        stopping = asyncio.ensure_future(self._hurry_at(stop))
        try:
            while not stop.is_set():
                try:
                    await self._in_thread(self._busy_step)
                    self._tell_moved()
                    await self._mark_when_due()
                    failures = 0
                    await self._rest(stop)
                except Exception as error:  # noqa: BLE001  # Whatever it is, changes are late and not lost; try again.
                    failures += 1
                    pause_s = back_off_s(failures)
                    if self._on_failure is not None and not stop.is_set():
                        self._on_failure(error, pause_s)
                    await _within(pause_s, stop)
        finally:
            stopping.cancel()
            if self._following is not None:
                self._following.cancel()
            await self.close()

    async def close(self) -> None:
        """Let go of the lock, the threads and the database. Calling it twice is the same as calling it once."""
        if self._closed:
            return
        self._closed = True
        for verification in self._verifying:
            verification.abandon()
        await asyncio.to_thread(self._executor.shutdown)
        await self.changes.close()
        if self._lock is not None:
            self._lock.release()
        self._database.close()

    async def wait_for(self, position: int, timeout_s: float) -> None:
        """Return once changes are found up to a position.

        Raises:
            Rejected: PROJECTION_BEHIND, after `timeout_s`.
        """
        self.hurry()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.progress.position < position or self.progress.sweep:
                    await self._moved.wait()
        if self.progress.position < position or self.progress.sweep:
            raise behind(self.progress, position)

    def hurry(self) -> None:
        """Rest no longer before the next batch: somebody waits for it."""
        self._hurry.set()
        self._woken.set()

    def hear(self, position: int) -> None:
        """Take it that the log has grown to a position: somebody says so who knows."""
        self._heard = max(self._heard, position)
        self._woken.set()

    @property
    def running(self) -> bool:
        """Whether this process finds changes; False: another one does, or none yet."""
        return self._lock is not None

    @property
    def head(self) -> int:
        """Position of the head of the log, as last seen here; may be read from any thread."""
        return self._head

    async def standing(self) -> Standing:
        """Return where finding stands."""
        return await self._in_thread(self._standing)

    def verify(self) -> "tuple[Verification, asyncio.Future[None]]":
        """Begin to make all changes anew; return where its progress is told, and how it ends: as `Verification.run`."""
        verification = Verification(self._database, self._store, self._log_id)
        self._verifying.add(verification)
        ended = asyncio.ensure_future(self._in_thread(verification.run))
        ended.add_done_callback(lambda _: self._verifying.discard(verification))
        return verification, ended

    # In a thread, one call after the other.

    def _busy_step(self) -> None:
        self.idle.clear()
        try:
            self._step()
        finally:
            self.idle.set()

    def _step(self) -> None:
        """Find and store what one batch brings, or see how far another process is."""
        if self._lock is not None and not self._lock.held():
            self._lock.release()
            self._lock = None
            self._forget()
        head, began_s = self._reached(), time.monotonic()
        self._grew, self._head, self._found = head > self._head > 0, head, ()
        if (
            self._lock is None and began_s >= self._times.tried_s + POLL_S
        ):  # To PostgreSQL it is a connection each time.
            self._lock, self._began, self._times.tried_s = self._database.try_lock(table.LOCK), False, began_s
        if self._lock is None:
            self._see()
            return
        if not self._began:
            self._begin()
        try:
            self._find()
            self._times.ended_s = time.monotonic()
            self._times.stepped_s = self._times.ended_s - began_s
        except BaseException:
            self._forget()
            self._began = False
            raise

    def _reached(self) -> int:
        """Return a position that the log has reached: as was heard, or else where it ends."""
        if self._heard > self.progress.position and self._began:
            return self._heard
        return self._store.head().position

    def _begin(self) -> None:
        """Go on where changes were found up to; begin anew where they are those of another log, or of one put back."""
        with self._database.snapshot() as session:
            progress = table.progress(session)
        self._head = self._store.head().position
        if progress.log_id != self._log_id or not self._is_of_this_past(progress):
            with self._database.writing() as session:
                progress = table.begin_anew(session, self._log_id)
            self.changes.tell(progress)
        self._forget()
        self.progress, self._began = progress, True
        self._count()

    def _is_of_this_past(self, progress: Progress) -> bool:
        """Tell whether the last event looked at is still the one of its position: then it stands on the same events."""
        if not progress.leaf:
            return progress.position <= self._head
        return holds(self._store, checkpoint(progress.position, progress.leaf))

    def _find(self) -> None:
        found = self._finder.find(self.progress, self._head, self._events_max, self._timers_max)
        if found is None:
            if self._heard > self.progress.position:
                self._heard = 0  # It was said of a log that was put back since.
            self._next_due = self._kept.next_due(self._clock())
            return
        after = found.progress
        if found.last is not None:
            after = after._replace(leaf=leaf_of(found.last))
        try:
            self._kept.store(self.progress, after, found.changes, found.watched, found.aggregates)
        except ProgressMoved:
            self._began = False  # The lock was lost on the way, and somebody else goes on.
            self._forget()
            return
        self.progress, self._found = after, found.changes
        self.changes.tell(after, found.changes)
        if not self._is_busy():
            self._count()

    def _forget(self) -> None:
        """Forget what is in memory of the log and the tables."""
        self._finder.forget()
        self._kept.forget()

    def _count(self) -> None:
        self._next_due = self._kept.next_due(self._clock())
        if self._running_s() >= self._times.counted_s + COUNT_S:  # It looks at each of them.
            self._times.counted_s = self._running_s()
            with self._database.snapshot() as session:
                self.due_count = table.due_count(session)

    def _see(self) -> None:
        with self._database.glance() as session:
            self.progress = table.progress(session)
        self.changes.tell(self.progress)

    def _standing(self) -> Standing:
        head = self._store.head().position
        return standing(self._database, head, running=self.running)

    # On the event loop.

    async def _mark_when_due(self) -> None:
        """Ask for a mark, if something is due by this process's clock and the log's time is behind."""
        if self._mark is None or self._lock is None or self._is_busy():
            return
        running_s, now = self._running_s(), self._clock()
        self._marks.see(self.progress.log_time, running_s)
        if not self._marks.wanted(self._next_due, now, running_s):
            return
        # What was counted was in the future then, and may have been less than the first of all.
        due = self._next_due = await self._in_thread(lambda: self._kept.next_due(now))
        if due is None or not self._marks.wanted(due, now, running_s):
            return
        self._marks.tried(running_s)
        of_database = await self._in_thread(lambda: table.clock(self._database))
        if believed(now, of_database):
            await self._mark(due)
        elif self._on_alarm is not None and of_database is not None:
            self._on_alarm(now - of_database)

    def _is_busy(self) -> bool:
        return self.progress.position < self._head or bool(self.progress.sweep)

    def _tell_moved(self) -> None:
        self._moved.set()
        self._moved.clear()
        if self._on_moved is not None:
            self._on_moved(self._found)

    async def _rest(self, stop: asyncio.Event) -> None:
        """Wait until there is something to do."""
        if self._lock is None:
            await _within(_LOOK_S, stop)
        elif not self._is_busy() and self._began:
            await self._rest_until_woken()
            pace_s = self._times.ended_s + min(max(self._times.stepped_s, PACE_MIN_S), PACE_MAX_S) - time.monotonic()
            if self._beside_writers and pace_s > 0:
                await _within(pace_s, self._hurry)
        elif self._beside_writers and self._grew:
            # Somebody writes meanwhile: they get every other moment.
            await _within(min(self._times.stepped_s, REST_MAX_S), self._hurry)
        self._hurry.clear()

    async def _rest_until_woken(self) -> None:
        """Wait until the log may have grown, something is due, or somebody hurries."""
        rest_s = POLL_S
        if self._next_due is not None:
            rest_s = min(max((self._next_due - self._clock()) / MICROSECONDS, _DUE_S), POLL_S)
        self._woken.clear()
        if self._hurry.is_set() or self._heard > self.progress.position:
            return
        if not self._heard:
            self._follow()
        await _within(rest_s, self._woken)

    def _follow(self) -> None:
        """Let the follower wake this, unless it is to already. Who is told of what is new asks nobody."""
        if self._following is None or self._following.done():
            self._following = asyncio.ensure_future(self._follower.wait_for(self.progress.position + 1, POLL_S))
            self._following.add_done_callback(self._followed)

    def _followed(self, waited: "asyncio.Task[bool]") -> None:
        if not waited.cancelled():
            waited.exception()  # Were the log damaged, the next batch would say so.
        self._woken.set()

    async def _hurry_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.hurry()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        if self._closed:
            raise StoreClosed("changes are found no more")
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def standing(database: Database, head: int, *, running: bool) -> Standing:
    """Return where finding stands, from its tables."""
    with database.snapshot() as session:
        return Standing(table.progress(session), head, table.dues(session), running)


def behind(progress: Progress, wanted: int) -> Rejected:
    """Return what is raised when changes were not found up to a position in time."""
    return Rejected(
        reasons.ERROR_REASON_PROJECTION_BEHIND,
        "changes were not found up to the position in time",
        position=progress.position,
        wanted=wanted,
    )


async def _within(timeout_s: float, event: asyncio.Event) -> None:
    """Return when something happens, or time is up."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
