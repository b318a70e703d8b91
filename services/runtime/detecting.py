"""Changes of relationships in this process: found by one process of several, beside the server, and read here.

Opened by whoever first asks, and shared. Where changes are found is a setting: in a child of this process, in a thread
of it, or elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple
from uuid import uuid4

from ledger.change.reading import Changes
from ledger.change.running import Runner
from ledger.change.standing import Standings
from ledger.change.table import StoredChange
from ledger.domain.identifiers import LEDGER_STREAM, organization_of
from ledger.domain.log_time import MarkTime
from ledger.domain.times import MICROSECONDS
from ledger.ledger import Ledger
from ledger.projections.database import Database
from ledger.requests import Request
from rapport.events.v1.ledger_pb2 import TimeMarked
from services.runtime.app import App
from services.runtime.logs import describe, get_log
from services.runtime.projecting import open_changes
from services.runtime.remote_detector import RemoteDetector

_METHOD: Final = "/rapport.change.v1.ChangeService/MarkTime"
"""No rpc: how the log remembers who asked for a mark."""


SERVICE: Final = "rapport.change.v1.Detector"
"""Its name in health, where it is a child of this process."""


class FoundHere(NamedTuple):
    """What finds changes in this process, and reads them."""

    runner: Runner
    changes: Changes


class Detector(NamedTuple):
    """What a process has of the changes of relationships."""

    runner: Runner | RemoteDetector
    """Says how far changes are found, and verifies."""
    changes: Changes
    standings: Standings


def detector_of(app: App) -> Detector:
    """Return the detector of a process, which runs beside the server; for `mount`.

    Raises:
        StoreFailed: where changes are kept cannot be opened.
    """
    if app.detectors:
        there: Detector = app.detectors[0]
        return there
    detector = _opened(app)
    runner = detector.runner
    app.detectors.append(detector)
    app.metrics.watch_changes(lambda: (runner.progress.position, runner.progress.number, runner.due_count))
    app.run_beside(runner.run)
    return detector


def _opened(app: App) -> Detector:
    database = open_changes(app.settings)
    if app.settings.detector == "thread":
        here = find_here(app, database=database)
        return Detector(here.runner, here.changes, Standings(database))
    changes = Changes(database)
    remote = RemoteDetector(database, app.ledger, changes, app.settings)
    if app.settings.detector == "process":
        app.health.watch(SERVICE, lambda: remote.healthy)
    return Detector(remote, changes, Standings(database))


def find_here(
    app: App,
    on_moved: Callable[[Sequence[StoredChange]], None] | None = None,
    *,
    database: Database | None = None,
    beside_writers: bool = True,
) -> FoundHere:
    """Return what finds changes in this process once it is run. `beside_writers`: others record in this process.

    Raises:
        StoreFailed: where changes are kept cannot be opened.
    """
    log, ledger = get_log(), app.ledger

    def tell(error: Exception, back_off_s: float) -> None:
        told = describe(error, with_text=app.settings.development)
        log.error("changes.failed", retry_after_s=back_off_s, **told)

    def alarm(ahead: int) -> None:
        log.error("changes.clock_ahead", ahead_s=ahead / MICROSECONDS)

    database = database or open_changes(app.settings)
    changes = Changes(database)
    runner = Runner(
        database,
        ledger.store,
        ledger.follower,
        changes,
        log_id=ledger.log_id,
        clock=ledger.clock,
        mark=marking(ledger),
        mark_interval_s=app.settings.mark_interval_s,
        on_failure=tell,
        on_alarm=alarm,
        on_moved=on_moved,
        beside_writers=beside_writers,
    )
    return FoundHere(runner, changes)


def marking(ledger: Ledger) -> Callable[[int], Coroutine[Any, Any, None]]:
    """Return what moves the log's time past an instant, in microseconds, unless it is there."""

    async def mark(due: int) -> None:
        request = Request(_METHOD, organization_of(LEDGER_STREAM), uuid4().bytes, TimeMarked())
        await ledger.execute(request, [MarkTime(due)])

    return mark
