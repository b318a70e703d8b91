"""Reading the changes that were announced: for watchers, lists and the relay, in this process or another one.

Numbers are dense over all organizations, so whoever keeps the last number it dealt with resumes after it and misses
nothing. In the process that finds changes, readers are woken at once; elsewhere they look at least every `POLL_S`.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, TypeVar

from ledger.change import table
from ledger.change.table import Progress, StoredChange
from ledger.domain.errors import StoreClosed, StoreFailed
from ledger.log.checkpoint import NOTHING, checkpoint
from ledger.projections.database import Database, Session

__all__ = ["POLL_S", "Changes", "Last", "Next", "Page", "StoredChange", "last_of"]

POLL_S: Final = 0.25
"""Seconds that silence is trusted, at most."""
_THREADS: Final = 2
_RECENT_MAX: Final = 1_000
"""Changes that are kept in memory for those who follow closely: at most so many, about."""

T = TypeVar("T")


class Last(NamedTuple):
    """How far changes are found. All of it from one moment."""

    number: int
    """Of the last change; 0: there is none."""
    position: int
    """Log position up to which changes are found."""
    log_time: int
    """The log's own time there: what is due before it was looked at. Microseconds."""
    past: int
    """Of which past the numbers are: in another one they name other changes (`Progress.past`)."""
    checkpoint: str
    """What the log was up to the position (`log/checkpoint.py`)."""


class Next(NamedTuple):
    """Changes that follow a number."""

    changes: list[StoredChange]
    """In order, of all organizations, without a hole."""
    past: int
    """Of which past they are; where there are none, the past that was seen."""
    checkpoint: str
    """What the log was when they were found, or later."""


class Page(NamedTuple):
    """Some changes, and how far the table was looked through for them."""

    changes: list[StoredChange]
    """In order; only wanted ones."""
    examined: int
    """Number up to which every wanted change is in this page or an earlier one: where to go on."""
    last: Last


class Changes:
    """The table of changes. `after`, `page` and `last` may be called from any thread, and wait for a disk or a server.

    They raise StoreFailed where the database does not answer, and StoreClosed once it is closed.
    """

    def __init__(self, database: Database) -> None:
        """`database`: as `services.runtime.projecting.open_changes` opens it; closed by its owner.

        Raises:
            StoreFailed: the tables cannot be created.
        """
        self._database = database
        table.create(database)
        self._seen = (0, 0)
        """Past and number of the last change, as last seen."""
        self._checkpoint = NOTHING
        """What the log was then, or later."""
        self._recent: list[StoredChange] = []
        """The last changes up to `_seen`, without a hole; empty: what was last seen was not told with its changes."""
        self._moved = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Task[None] | None = None
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="changes")
        self._closed = False

    @property
    def seen(self) -> int:
        """Number of the last change, as last told or seen."""
        return self._seen[1]

    def after(
        self,
        number: int,
        limit: int,
        organization_id: str | None = None,
        *,
        subject_ids: Sequence[str] = (),
        kinds: Sequence[int] = (),
    ) -> list[StoredChange]:
        """Return at most `limit` changes with a greater number, in order of number.

        organization_id: of this organization only; None: of every one. subject_ids, kinds: only these; empty: all.
        """
        return self.page(number, limit, organization_id, subject_ids=subject_ids, kinds=kinds).changes

    def page(
        self,
        number: int,
        limit: int,
        organization_id: str | None = None,
        *,
        subject_ids: Sequence[str] = (),
        kinds: Sequence[int] = (),
    ) -> Page:
        """Return what `after` returns, and how far that is, from one moment: a filter that matches nothing moves on."""
        with self._database.snapshot() as session:
            last = _last(session)
            where: dict[str, Sequence[int | str]] = {"subject_id": subject_ids, "kind": kinds}
            found = table.changes_after(session, number, limit, organization_id, where)
        examined = found[-1].number if len(found) == limit else max(last.number, number)
        return Page(found, examined, last)

    def last(self) -> Last:
        """Return how far changes are found."""
        with self._database.glance() as session:
            return _last(session)

    # On an event loop, one for each `Changes`.

    async def read(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, which runs in a thread. Example: `await changes.read(changes.last)`."""
        if self._closed:
            raise StoreClosed("the changes are closed")
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def next(self, number: int, limit: int) -> Next:
        """Return the next changes of all organizations after a number, from memory where the last ones are kept there.

        Raises:
            StoreFailed, StoreClosed: the table does not answer.
        """
        recent = self._recent
        if recent and number >= recent[0].number - 1 and not self._closed:
            start = number + 1 - recent[0].number
            return Next(recent[start : start + limit], self._seen[0], self._checkpoint)
        page = await self.read(partial(self.page, number, limit))
        return Next(page.changes, page.last.past, page.last.checkpoint)

    async def wait_beyond(self, number: int, timeout_s: float, past: int | None = None) -> bool:
        """Return True once there is a change of a greater number; False when there was none in time.

        past: True as well once the numbers are of another past than this. Any number of readers share one look at the
        table. While the database does not answer nothing is seen.

        Raises:
            StoreClosed: it is closed, so that nobody who waits again and again turns in a circle.
        """
        self._loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._is_beyond(number, past) and not self._closed:
                    if self._looking is None or self._looking.done():
                        self._looking = self._loop.create_task(self._look())
                    await self._moved.wait()
        if self._closed:
            raise StoreClosed("the changes are closed")
        return self._is_beyond(number, past)

    def tell(self, progress: Progress, found: Sequence[StoredChange] = ()) -> None:
        """Say how far changes are stored, so that readers here wake at once. Safe from any thread.

        `found`: the last of them, in order and without a hole, for those who want no others.
        """
        if self._loop is not None and not self._closed:
            with suppress(RuntimeError):  # The loop may be closed while a thread still finds changes.
                self._loop.call_soon_threadsafe(self._hear, last_of(progress), found)

    async def close(self) -> None:
        """Let readers go, and the threads; the database stays open. Calling it twice is the same as calling it once."""
        self._closed = True
        self._wake()
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.to_thread(self._executor.shutdown)

    async def _look(self) -> None:
        """Look at the table once, and rest: whoever still waits then begins anew."""
        with suppress(StoreFailed):
            self._see(await self.read(self.last))
        await asyncio.sleep(POLL_S)
        self._wake()

    def _is_beyond(self, number: int, past: int | None) -> bool:
        seen_past, seen_number = self._seen
        return seen_number > number or (past is not None and seen_past > past)

    def _hear(self, last: Last, found: Sequence[StoredChange]) -> None:
        """Take what was told in, and keep it where it follows what is kept; `_see` drops what is of another past."""
        if (last.past, last.number) > self._seen:
            follows = self._recent and found and found[0].number == self._seen[1] + 1
            kept = [*self._recent[-_RECENT_MAX:], *found] if follows else [*found]
            self._recent = kept if kept and kept[-1].number == last.number else []
        self._see(last)

    def _see(self, last: Last) -> None:
        # A look may end after what was told since it began; of a later past the numbers are smaller.
        seen = (last.past, last.number)
        if seen > self._seen:
            if self._recent and (seen[0] != self._seen[0] or seen[1] != self._recent[-1].number):
                self._recent = []
            self._seen, self._checkpoint = seen, last.checkpoint
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved.clear()


def _last(session: Session) -> Last:
    return last_of(table.progress(session))


def last_of(progress: Progress) -> Last:
    """Return how far changes are found."""
    seen = checkpoint(progress.position, progress.leaf)
    return Last(progress.number, progress.position, progress.log_time, progress.past, seen)
