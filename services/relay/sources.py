"""What a process relays: the log, and the table of changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ledger.change.reading import Changes
from services.relay.change_source import ChangeSource
from services.relay.log_source import LogSource
from services.relay.source import Source
from services.runtime.app import App
from services.runtime.detecting import detector_of
from services.runtime.projecting import open_changes

Close = Callable[[], Awaitable[None]]


class Sources(NamedTuple):
    """Sources, and how to let go of them."""

    all: tuple[Source, ...]
    close: Close


def sources_of(app: App) -> Sources:
    """Open the sources of a process.

    Raises:
        StoreFailed: the table of changes cannot be opened.
    """
    changes, close = _changes(app)
    return Sources((LogSource(app.ledger), ChangeSource(changes, app.ledger.log_id)), close)


def _changes(app: App) -> tuple[Changes, Close]:
    """Return the table of changes: that of the detector, where one runs here, for it wakes its readers at once."""
    if app.detectors:
        return detector_of(app).changes, _leave_open
    database = open_changes(app.settings)
    changes = Changes(database)

    async def close() -> None:
        await changes.close()
        database.close()

    return changes, close


async def _leave_open() -> None:
    """Do nothing: the detector closes what is its own."""
