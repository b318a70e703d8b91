"""What a process relays."""

from __future__ import annotations

from services.relay.log_source import LogSource
from services.relay.source import Source
from services.runtime.app import App


def sources_of(app: App) -> list[Source]:
    """Return the sources of a process: the log, and the table of changes."""
    return [LogSource(app.ledger)]
