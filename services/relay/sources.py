"""What a process relays: the log, and the table of changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ledger.change.reading import Changes
from services.relay.change_source import ChangeSource
from services.relay.log_source import LogSource
from services.relay.source import Source
from services.runtime.app import App
from services.runtime.projecting import open_database


class Sources(NamedTuple):
    """Sources, and how to let go of them."""

    all: tuple[Source, ...]
    close: Callable[[], Awaitable[None]]


def sources_of(app: App) -> Sources:
    """Open the sources of a process.

    Raises:
        StoreFailed: the table of changes cannot be opened.
    """
    database = open_database(app.settings)
    changes = Changes(database)

    async def close() -> None:
        await changes.close()
        database.close()

    log_id = app.ledger.log_id
    return Sources((LogSource(app.ledger), ChangeSource(changes, log_id)), close)
