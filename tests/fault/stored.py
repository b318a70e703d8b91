"""Reading back what a killed server left behind."""

from __future__ import annotations

from pathlib import Path

from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import EventRow


def log_of(url: str) -> list[EventRow]:
    """Return the whole log of a store, opened by nobody else."""
    store = open_store(url)
    try:
        return store.read_log(0, store.head().position + 1)
    finally:
        store.close()


def embedded_log(data_dir: Path) -> list[EventRow]:
    """Return the whole log in the data directory of an embedded server."""
    return log_of(sqlite_url(data_dir / "events.db"))
