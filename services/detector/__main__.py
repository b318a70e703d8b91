"""Find changes, and nothing else: `python -m services.detector`. Serves nothing.

With the number of a socket as its argument it belongs to the process at the other end: it is told there when the log
has grown, tells how far it is, and ends with it. `verify` after that: make all changes anew, tell, and end. Without
arguments it finds changes until SIGTERM or SIGINT, for services of which none finds them (`RAPPORT_DETECTOR=off`).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from ledger.change.table import StoredChange
from ledger.change.verifying import Abandoned, Verification
from services.runtime import process
from services.runtime.app import App, open_app
from services.runtime.detecting import find_here
from services.runtime.detector_child import Lines, Report, few
from services.runtime.logs import Logging, configure
from services.runtime.projecting import open_changes, programmes_of
from services.runtime.remote_verification import WORD, verdict
from services.runtime.run import live, read_settings, watch_ledger
from services.runtime.settings import Settings

NICE: Final = 5
"""By how much one that makes changes anew yields to those who serve, and find new ones."""
LATE_EVENTS: Final = 64
"""So many events are to be looked at when reports give way to changes."""
TURN_S: Final = 0.02
"""Seconds that reports wait at each relationship, at most, while changes are looked for."""
_TELL_S: Final = 0.25
_PR_SET_PDEATHSIG: Final = 1


def main(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Find changes, or make them anew, until told to end; exit codes as those of a service."""
    end = socket.socket(fileno=int(words[0])) if words else None
    if end is not None:
        _belong_to_parent()
    settings = read_settings(environ)
    logging = configure(settings.log_format, settings.log_level)
    process.harden()  # What an operator should know was told by the parent.
    live(_live(settings, environ, logging, end, verifies=WORD in words), settings, logging)


def _belong_to_parent() -> None:
    """Leave it to the parent when to end; where it is killed the system kills this one (on Linux)."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # Supervisors send them to everybody; the parent drains first.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def _live(
    settings: Settings, environ: Mapping[str, str], logging: Logging, end: socket.socket | None, *, verifies: bool
) -> None:
    parent = None if end is None else await Lines.over(end)
    app = await open_app(settings, environ, logging)
    try:
        if parent is not None and verifies:
            os.nice(NICE)
            await _verify(app, parent)
        else:
            await _find(app, parent)
    finally:
        await app.ledger.close()
        if parent is not None:
            parent.close()


async def _find(app: App, parent: Lines | None) -> None:
    """Find changes until told to end."""
    stop = asyncio.Event()
    last: list[Report] = []

    def tell(found: Sequence[StoredChange]) -> None:
        report = Report(runner.progress, runner.due_count, runner.running, few(found))
        if parent is not None and last != [report] and parent.write(report.values()):
            last[:] = [report]

    runner = find_here(app, tell, beside_writers=False).runner
    programmes = programmes_of(app, folds=True, turn=lambda: runner.idle.wait(TURN_S))
    process.spare_the_collector(process.GC_FINDING)
    process.take_short_turns()
    told = 0

    def late() -> bool:
        return max(told, runner.head) > runner.progress.position + LATE_EVENTS

    programmes.give_way(late)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(runner.run(stop))
        tasks.create_task(programmes.run(stop))
        tasks.create_task(watch_ledger(app)(stop))
        if parent is None:
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            return
        while (heard := await parent.read()) is not None:
            told, hurry = heard
            if hurry:
                programmes.hurry(told)
            runner.hear(told)
            app.ledger.follower.wake(told)
        stop.set()


async def _verify(app: App, parent: Lines) -> None:
    """Make all changes anew, and tell how far that is and how it ended."""
    database = open_changes(app.settings)
    verification = Verification(database, app.ledger.store, app.ledger.log_id)
    running = asyncio.ensure_future(asyncio.to_thread(verification.run))
    gone = asyncio.ensure_future(parent.read())
    try:
        while not running.done() and not gone.done():
            await asyncio.wait((running, gone), timeout=_TELL_S, return_when=asyncio.FIRST_COMPLETED)
            parent.write(_progress(verification))
    finally:
        verification.abandon()
        await asyncio.wait((running,))
        gone.cancel()
        database.close()
    error = running.exception()
    if not isinstance(error, Abandoned):
        assert error is None or isinstance(error, Exception)
        parent.write({**_progress(verification), **verdict(error)})


def _progress(verification: Verification) -> dict[str, list[int]]:
    return {"at": [verification.position, verification.head, verification.compared]}


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
