"""The live projection of a process: kept up to the log, asked, rebuilt.

It is woken by the follower when the log grows, and asks at least once a second whatever it hears. Folding happens in a
thread, so that the event loop goes on answering. Of several processes only the one that holds the lock folds; the
others look how far it is, and one of them takes over when it ends. Were two to fold all the same, the checkpoint lets
only one of them through.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from ledger.domain.errors import Rejected, StoreClosed
from ledger.log.checkpoint import holds
from ledger.log.following import Follower
from ledger.log.store import Store
from ledger.projections.advancing import BATCH_EVENTS, advance, afresh, fill
from ledger.projections.backing_off import back_off_s
from ledger.projections.database import LIVE, CheckpointMoved, Database, Generation, Lock, Query
from ledger.projections.rebuilding import Rebuild, lock_name, tidy
from ledger.projections.tables import Projection
from rapport.errors.v1 import error_reason_pb2 as reasons

T = TypeVar("T")

POLL_S: Final = 1.0
"""Seconds that silence of the log is trusted, at most."""
PACE_S: Final = 0.05
"""Seconds between batches while nobody waits: many small ones would cost those who record more than they gain."""
REST_MAX_S: Final = 1.0
"""Seconds that one which yields rests after a batch, at most."""
GIVE_WAY_MAX_S: Final = 5.0
"""Seconds that a batch gives way to other work, at most."""
_LOOK_S: Final = 0.02
"""Seconds between looks at what another process folds, while somebody waits for it."""
_THREADS: Final = 4  # One folds, one may rebuild, two answer.


class Standing(NamedTuple):
    """Where a projection stands."""

    generation: Generation | None
    """None: nothing was folded yet."""
    rows: int
    rebuilding: bool


class Projector:
    """One projection in one process. Lives on one event loop."""

    def __init__(
        self,
        projection: Projection,
        database: Database,
        store: Store,
        follower: Follower,
        *,
        log_id: str,
        clock: Callable[[], int],
        on_failure: Callable[[Exception, float], None] | None = None,
        batch_events: int = BATCH_EVENTS,
        folds: bool = True,
        yields: int = 0,
        pace_s: float | None = None,
        ask: Callable[[int], None] | None = None,
    ) -> None:
        """`on_failure` is told each error that folding met, and in how many seconds it is tried again.

        `folds`: False where another process is to keep up with the log; this one reads what it has. `yields`: how many
        times as long as a batch took it rests before the next one, while nobody waits: for one that shares a process
        with work that must not wait. `pace_s`: how long it rests at least once it has caught up, by default `PACE_S`.
        What comes meanwhile is one batch, which is cheaper, too. `batch_events`: of a batch at most, while nobody
        waits. `ask`: told the position that somebody here waits for, where another process folds.
        """
        self.projection = projection
        self.position = 0
        """Checkpoint of the live generation, as last seen here; may be read from any thread."""
        self._folding = projection
        """As it folds the live generation."""
        self._database = database
        self._store = store
        self._follower = follower
        self._log_id = log_id
        self._clock = clock
        self._on_failure = on_failure
        self._batch_events = batch_events
        self._folds = folds
        self._yields = yields
        self._pace_s = PACE_S if pace_s is None else pace_s
        self._ask = ask
        self._stepped_s = 0.0
        """CPU seconds that the last batch took."""
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"projection-{projection.name}")
        self._ready_position: int | None = None
        self._lock: Lock | None = None
        self._generation: Generation | None = None
        self._head = 0
        self._moved = asyncio.Event()
        self._hurry = asyncio.Event()
        self._waiting = 0
        self._wanted = 0
        """Position that others wait for."""
        self._gives_way: Callable[[], bool] = bool
        self._rebuilds: set[Rebuild] = set()
        self._stop = asyncio.Event()
        self._closed = False

    async def run(self, stop: asyncio.Event) -> None:
        """Keep up with the log until `stop` is set, then let go of everything."""
        self._stop = stop
        failures = 0
        try:
            while not stop.is_set():
                try:
                    await self._in_thread(self._timed_step)
                    failures = 0
                    self._tell_moved()
                    await self._rest(stop)
                except Exception as error:  # noqa: BLE001  # Whatever it is, lists are stale and not wrong; try again.
                    failures += 1
                    pause_s = back_off_s(failures)
                    if self._on_failure is not None and not stop.is_set():
                        self._on_failure(error, pause_s)
                    await _first(pause_s, stop.wait())
        finally:
            await self.close()

    async def close(self) -> None:
        """End rebuilds, let go of locks and the database. Calling it twice is the same as calling it once."""
        if self._closed:
            return
        self._closed = True
        for rebuild in self._rebuilds:
            rebuild.abandon()
        await asyncio.to_thread(self._executor.shutdown)
        if self._lock is not None:
            self._lock.release()
        self._database.close()

    async def wait_for(self, position: int, timeout_s: float) -> None:
        """Return once everything up to `position` is in it, and it is no half of a first fold.

        Raises:
            Rejected: PROJECTION_BEHIND, after `timeout_s`.
        """
        if self._is_at(position):
            return
        self._waiting += 1
        self._hurry.set()
        if self._ask is not None:
            self._ask(position)
        try:
            async with asyncio.timeout(timeout_s):
                while not self._is_at(position):
                    await self._moved.wait()
        except TimeoutError:
            raise Rejected(
                reasons.ERROR_REASON_PROJECTION_BEHIND,
                "the list did not reach the position in time",
                position=self.position,
                wanted=max(position, self._ready_position or 0),
            ) from None
        finally:
            self._waiting -= 1

    def hurry(self, position: int) -> None:
        """Rest no more before everything up to a position is in it: in another process somebody waits for that."""
        self._wanted = max(self._wanted, position)
        self._hurry.set()

    def give_way(self, to: Callable[[], bool]) -> None:
        """Begin no batch while `to` says that other work is late, unless somebody waits; not for long."""
        self._gives_way = to

    async def read(self, ask: Callable[[Query], T]) -> T:
        """Return what `ask` finds out, in a thread, from one moment of the live generation.

        Raises:
            Rejected: PROJECTION_BEHIND: there is none yet.
            StoreFailed, StoreClosed: the database does not answer.
        """
        found = await self._in_thread(partial(self._database.read, self.projection, lambda query: (ask(query),)))
        if found is None:
            raise Rejected(
                reasons.ERROR_REASON_PROJECTION_BEHIND, "the list is not there yet", position=0, wanted=self._head
            )
        return found[0]

    async def standing(self) -> Standing:
        """Return where it stands."""
        return await self._in_thread(self._standing)

    def rebuild(self, *, replace_different: bool = False) -> tuple[Rebuild, "asyncio.Future[None]"]:
        """Begin to rebuild it; return where its progress is told, and how it ends: with the errors of `Rebuild.run`."""
        rebuild = Rebuild(
            projection=self.projection,
            database=self._database,
            store=self._store,
            log_id=self._log_id,
            clock=self._clock,
            replace_different=replace_different,
        )
        self._rebuilds.add(rebuild)
        ended = asyncio.ensure_future(self._in_thread(rebuild.run))
        ended.add_done_callback(lambda _: self._rebuilds.discard(rebuild))
        return rebuild, ended

    # In a thread, one call after the other.

    def _timed_step(self) -> None:
        began_s = time.thread_time()
        self._step()
        self._stepped_s = time.thread_time() - began_s

    def _step(self) -> None:
        """Fold one batch, or see how far another process is."""
        if self._lock is not None and not self._lock.held():
            self._lock.release()
            self._lock = self._generation = None
        self._head = self._store.head().position
        if self._lock is None and self._folds:
            self._lock = self._database.try_lock(_live_lock(self.projection.name, self.projection.fold_version))
        if self._lock is None:
            self._see(self._database.live(self.projection))
            return
        live, self._generation = self._generation or self._prepared(), None  # Whatever fails, it is looked at anew.
        try:
            self._generation = self._advanced(live)
        except CheckpointMoved:
            self._generation = self._prepared()  # A rebuild was swapped in, or the lock was lost on the way.
        self._see(self._generation)

    def _advanced(self, live: Generation) -> Generation:
        """Return the live generation as it is a batch later; at first that is everything."""
        live = fill(self._folding, self._database, self._store, live, self._head, lambda _: self._go_on())
        batch_events = self._batch_events if self.has_time else BATCH_EVENTS
        return advance(self._folding, self._database, self._store, live, self._head, batch_events)

    def _go_on(self) -> None:
        if self._stop.is_set():  # To look is safe in any thread.
            raise StoreClosed("the projections are closed")

    def _see(self, generation: Generation | None) -> None:
        self._ready_position = None if generation is None else generation.ready_position
        self.position = 0 if generation is None else generation.position

    def _prepared(self) -> Generation:
        """Return the live generation; begin one where there is none, or where it is of another log."""
        self._folding = afresh(self.projection)
        generations = self._database.generations(self.projection.name)
        # Read after them: another process may have folded beyond the head that was read before.
        self._head = self._store.head().position
        for generation in generations:
            if self._is_of_another_past(generation) or self._is_half(generation):
                self._database.drop(generation)
        live = self._database.live(self.projection)
        if live is None:
            live = self._database.create(
                self.projection, self._log_id, built_time=self._clock(), ready_position=self._head, live=True
            )
        self._drop_leftovers(live)
        return live

    def _is_of_another_past(self, generation: Generation) -> bool:
        """Tell whether it is of another log, or of one that was put back from a copy since."""
        beyond = generation.log_id != self._log_id or generation.position > self._head
        return beyond or not holds(self._store, generation.checkpoint)

    def _is_half(self, generation: Generation) -> bool:
        """Tell whether it was to be filled, and that did not end: it may have rows, which are no beginning."""
        is_ours = generation.state == LIVE and generation.fold_version == self.projection.fold_version
        return is_ours and generation.position == 0 < generation.ready_position

    def _drop_leftovers(self, live: Generation) -> None:
        """Drop what rebuilds that did not end left, and what other releases kept and nobody folds any more."""
        if (lock := self._database.try_lock(lock_name(self.projection))) is not None:
            try:
                tidy(self._database, self.projection)
            finally:
                lock.release()
        for generation in self._database.generations(self.projection.name):
            if generation.fold_version != live.fold_version:
                lock = self._database.try_lock(_live_lock(generation.name, generation.fold_version))
                if lock is not None:
                    try:
                        self._database.drop(generation)
                    finally:
                        lock.release()

    def _standing(self) -> Standing:
        generations = self._database.generations(self.projection.name)
        live = self._database.live(self.projection)
        rebuilding = False
        if any(generation.number != (live and live.number) for generation in generations):
            lock = self._database.try_lock(lock_name(self.projection))
            rebuilding = lock is None
            if lock is not None:
                lock.release()
        return Standing(live, self._database.count(live) if live is not None else 0, rebuilding)

    # On the event loop.

    def _is_at(self, position: int) -> bool:
        return self._ready_position is not None and self.position >= max(position, self._ready_position)

    @property
    def has_time(self) -> bool:
        """Whether nobody waits. May be asked in any thread."""
        return not self._waiting and self.position >= self._wanted

    def _tell_moved(self) -> None:
        self._moved.set()
        self._moved.clear()

    async def _rest(self, stop: asyncio.Event) -> None:
        """Wait until there is something to do."""
        if self._lock is None:
            await _first(_LOOK_S if self._waiting else POLL_S, stop.wait(), self._hurry.wait())
        elif self.position >= self._head:
            await _first(POLL_S, stop.wait(), self._follower.wait_for(self.position + 1, POLL_S))
            await self._pause(max(self._pace_s, rest_s(self._stepped_s, self._yields)), stop)
        elif self._yields:
            await self._pause(rest_s(self._stepped_s, self._yields), stop)
        self._hurry.clear()

    async def _pause(self, for_s: float, stop: asyncio.Event) -> None:
        until_s = time.monotonic() + GIVE_WAY_MAX_S
        while self.has_time and not stop.is_set():
            self._hurry.clear()  # Nobody waits: it is of somebody who was answered meanwhile.
            await _first(for_s, stop.wait(), self._hurry.wait())
            if not self._gives_way() or time.monotonic() > until_s:
                return
            for_s = _LOOK_S

    async def _in_thread(self, call: Callable[[], T]) -> T:
        if self._closed:
            raise StoreClosed("the projections are closed")
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def rest_s(took_s: float, times: int) -> float:
    """Return for how long to rest after a batch that took some time, in seconds."""
    return min(took_s * times, REST_MAX_S)


def _live_lock(name: str, fold_version: int) -> str:
    """Return the lock that the process holds which folds a projection, as its fold version is."""
    return f"{name}.v{fold_version}"


async def _first(timeout_s: float, *waits: Coroutine[Any, Any, object]) -> None:
    """Return when the first of some waits ends, or time is up; the error of one that ended is raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
