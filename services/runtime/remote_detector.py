"""Changes found by a process beside this one, or by another process altogether: what `Runner` is for those found here.

Finding changes is arithmetic in Python. In a thread of the server it would take turns with every call (ADR 0026). So a
child finds them, told where the log is whenever it has grown, and tells how far it is whenever it has come further.
The tables are the truth: what is not told is seen there a moment later. A child that ended is started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from ledger.change import table
from ledger.change.reading import Changes
from ledger.change.running import Standing, behind, standing
from ledger.change.table import Progress, StoredChange
from ledger.domain.errors import StoreClosed, StoreFailed
from ledger.ledger import Ledger
from ledger.projections.database import Database
from services.runtime.detector_child import Child, Report
from services.runtime.logs import get_log
from services.runtime.remote_verification import RemoteVerification
from services.runtime.settings import Settings

LOOK_S: Final = 0.25
"""Seconds between looks at the tables, while nobody tells."""
PACE_S: Final = 0.002
"""Seconds between two lines to the child, at least: many writes are one line."""
BACK_OFF_MIN_S: Final = 0.5
BACK_OFF_MAX_S: Final = 30.0
"""Seconds before a child is started again: the least after it lived for that long, twice as many each time else."""


class RemoteDetector:
    """Says how far changes are found elsewhere. Lives on one event loop."""

    def __init__(self, database: Database, ledger: Ledger, changes: Changes, settings: Settings) -> None:
        """`database` is closed with it. Whether there is a child at all is said by the settings."""
        self.changes = changes
        self.progress = Progress()
        """As last told or seen; may be read from any thread."""
        self.due_count = 0
        """How many relationships the clock will look at again, as last told; may be read from any thread."""
        self._database = database
        self._ledger = ledger
        self._settings = settings
        self._child: Child | None = None
        self._report: Report | None = None
        """What the child told last; None: nothing yet."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._moved = asyncio.Event()
        self._grown_to = 0
        self._telling = False
        self._told_s = 0.0

    @property
    def healthy(self) -> bool:
        """Whether the child is there and has begun."""
        return self._report is not None

    @property
    def child_pid(self) -> int | None:
        """Process id of the child; None: none is there."""
        return None if self._child is None else self._child.pid

    async def run(self, stop: asyncio.Event) -> None:
        """Keep a child until `stop` is set, then end it and let go of everything."""
        self._loop = asyncio.get_running_loop()
        self._ledger.store.listen(self._grown)
        try:
            if self._settings.detector == "process":
                await self._keep(stop)
            else:
                await self._look_on(stop, None)
        finally:
            await self.changes.close()
            self._database.close()

    async def wait_for(self, position: int, timeout_s: float) -> None:
        """Return once changes are found up to a position.

        Raises:
            Rejected: PROJECTION_BEHIND, after `timeout_s`.
        """
        if self._child is not None:
            self._child.lines.write([position, False])
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.progress.position < position or self.progress.sweep:
                    await self._next()
        if self.progress.position < position or self.progress.sweep:
            raise behind(self.progress, position)

    def hurry(self, position: int) -> None:
        """Let the child not rest before what reports are made of is at a position: somebody here waits for that."""
        if self._child is not None:
            self._child.lines.write([min(position, self._ledger.head.position), True])

    async def standing(self) -> Standing:
        """Return where finding stands; `running`: the child of this process finds."""
        runs = self._report is not None and self._report.running
        head = (await self._ledger.follower.reads(self._ledger.store.head)).position
        return await self.changes.read(lambda: standing(self._database, head, running=runs))

    def verify(self) -> tuple[RemoteVerification, asyncio.Future[None]]:
        """Begin to make all changes anew, in one more process; return where its progress is told, and how it ends."""
        verification = RemoteVerification()
        return verification, asyncio.ensure_future(verification.run(self._settings))

    # The child.

    async def _keep(self, stop: asyncio.Event) -> None:
        """Have a child until `stop` is set: one after the other, if need be."""
        assert self._loop is not None
        back_off_s = BACK_OFF_MIN_S
        while not stop.is_set():
            began_s = self._loop.time()
            try:
                code = await self._live(stop)
            except OSError as error:
                get_log().error("detector.not_started", text=str(error), retry_after_s=back_off_s)
            else:
                if stop.is_set():
                    return
                if self._loop.time() - began_s > BACK_OFF_MAX_S:
                    back_off_s = BACK_OFF_MIN_S
                get_log().error("detector.ended", code=code, retry_after_s=back_off_s)
            await self._look_on(stop, back_off_s)
            back_off_s = min(2 * back_off_s, BACK_OFF_MAX_S)

    async def _live(self, stop: asyncio.Event) -> int:
        """Start a child, listen to it until it ends or is to end; return its exit code."""
        child = await Child.start(self._settings)
        self._child = child
        tasks = {asyncio.ensure_future(self._listen(child)), asyncio.ensure_future(stop.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._child = self._report = None
            code = await child.end()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return code

    async def _listen(self, child: Child) -> None:
        while (values := await child.lines.read()) is not None:
            report = Report.read(values)
            if self._child is child:
                self._report, self.due_count = report, report.due_count
            self._see(report.progress, report.found)

    def _grown(self, position: int) -> None:
        """Let the child hear that the log has grown. Called in any thread, after each commit, so cheap."""
        self._grown_to = position
        if self._telling or self._child is None or self._loop is None:
            return
        self._telling = True
        with suppress(RuntimeError):  # The loop may be closed while a thread still appends.
            self._loop.call_soon_threadsafe(self._tell_soon)

    def _tell_soon(self) -> None:
        assert self._loop is not None
        rest_s = self._told_s + PACE_S - self._loop.time()
        if rest_s > 0:
            self._loop.call_later(rest_s, self._tell)
        else:
            self._tell()

    def _tell(self) -> None:
        assert self._loop is not None
        self._telling, self._told_s = False, self._loop.time()
        if self._child is not None and self._grown_to > self.progress.position:
            self._child.lines.write([self._grown_to, False])

    # The tables.

    async def _look_on(self, stop: asyncio.Event, for_s: float | None) -> None:
        """Look how far changes are found by others, until `stop` is set or time is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                while not stop.is_set():
                    await self._look()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_S):
                            await stop.wait()

    async def _next(self) -> None:
        """Wait until more is found; look for oneself where nobody tells."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self._moved.wait()
        except TimeoutError:
            await self._look()

    async def _look(self) -> None:
        with suppress(StoreFailed, StoreClosed):
            self._see(await self.changes.read(self._stored))

    def _stored(self) -> Progress:
        with self._database.snapshot() as session:
            return table.progress(session)

    def _see(self, progress: Progress, found: Sequence[StoredChange] = ()) -> None:
        self.progress = progress
        self.changes.tell(progress, found)
        self._ledger.follower.wake(progress.position)  # It may be the child's own mark.
        self._moved.set()
        self._moved.clear()
