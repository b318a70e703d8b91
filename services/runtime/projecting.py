"""The projections of this process: opened by whoever first asks for one, shared, and kept up beside the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.projections.database import Database
from ledger.projections.postgres_database import PostgresDatabase
from ledger.projections.programmes import Programmes
from ledger.projections.projector import Projector
from ledger.projections.relationships import Relationships
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.projections.tables import Projection
from services.runtime.app import App
from services.runtime.logs import describe, get_log
from services.runtime.remote_detector import RemoteDetector
from services.runtime.settings import Settings

FILE: Final = "projections.db"
CHANGES_FILE: Final = "changes.db"
"""In the data folder of the embedded shape."""
_PROGRAMMES_YIELD: Final = 4
"""A fifth of the time, at most, of the process in which changes are found."""
_PROGRAMMES_PACE_S: Final = 0.25
"""Reports that nobody waits for may be so much older than the log: events cost a third where many are a batch."""
_PROGRAMMES_BATCH_EVENTS: Final = 32
"""Some ten milliseconds: so long changes are found at half their rate, at most."""


def projector_of(app: App) -> Projector:
    """Return the projection of relationships, which runs beside the server; for `mount`.

    Raises:
        StoreFailed: where it is kept cannot be opened.
    """
    return _shared(app, Relationships())


def programmes_of(app: App, *, folds: bool | None = None, turn: Callable[[], object] | None = None) -> Projector:
    """Return the projection of what reports are made of, as `projector_of`.

    Who writes should not take turns with it, so it is folded where changes are found: `folds`, by default in this
    process only if that finds changes in a thread of its own. Changes must not wait for it either; reports may:
    `turn` is called before each relationship of a batch, and may wait, unless somebody waits for a report.
    """
    here = app.settings.detector == "thread" if folds is None else folds

    def ask(position: int) -> None:
        for detector in app.detectors:
            if isinstance(detector.runner, RemoteDetector):
                detector.runner.hurry(position)

    def pause() -> None:
        if turn is not None and projector.has_time:
            turn()

    projector = _shared(
        app,
        Programmes(turn=pause),
        folds=here,
        yields=_PROGRAMMES_YIELD,
        pace_s=_PROGRAMMES_PACE_S,
        batch_events=_PROGRAMMES_BATCH_EVENTS,
        ask=ask,
    )
    return projector


def open_database(settings: Settings) -> Database:
    """Open where projections are kept: beside the events, never among them.

    Raises:
        StoreFailed: it cannot be opened.
    """
    return _opened_database(settings, FILE)


def open_changes(settings: Settings) -> Database:
    """Open where changes are kept: in a file of their own, so that finding them waits for no projection's lock.

    Raises:
        StoreFailed: it cannot be opened.
    """
    return _opened_database(settings, CHANGES_FILE)


def _opened_database(settings: Settings, file: str) -> Database:
    address = settings.store_address
    if address.startswith("sqlite"):
        return SqliteDatabase(settings.data_dir / file)
    return PostgresDatabase(address)


def _shared(app: App, projection: Projection, **ways: Any) -> Projector:
    for there in app.projectors:
        if there.projection.name == projection.name:
            return there
    projector = _opened(app, projection, ways)
    app.projectors.append(projector)
    app.metrics.watch_projection(projection.name, lambda: projector.position)
    app.run_beside(projector.run)
    return projector


def _opened(app: App, projection: Projection, ways: dict[str, Any]) -> Projector:
    log = get_log()

    def tell(error: Exception, back_off_s: float) -> None:
        told = describe(error, with_text=app.settings.development)
        log.error("projection.failed", projection=projection.name, retry_after_s=back_off_s, **told)

    ledger = app.ledger
    return Projector(
        projection,
        open_database(app.settings),
        ledger.store,
        ledger.follower,
        log_id=ledger.log_id,
        clock=ledger.clock,
        on_failure=tell,
        **ways,
    )
