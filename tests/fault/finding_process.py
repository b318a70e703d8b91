"""A process that finds the changes of a log to its head, and may be killed by a fault meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ledger.change.reading import Changes
from ledger.change.running import Runner
from ledger.log.following import Follower
from ledger.log.recorders import open_store
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.testing import fault_points
from tests.changed_histories import LOG_ID


def find_to_the_head(folder: Path, spec: str) -> None:
    """Find the changes of the log in a folder; spec: a fault, or nothing."""
    if spec:
        fault_points.install(fault_points.parse(spec))
    asyncio.run(_find(folder))


async def _find(folder: Path) -> None:
    store, database = open_store(f"sqlite://{folder}/events.db"), SqliteDatabase(folder / "projections.db")
    follower, stop = Follower(store, poll_s=0.02), asyncio.Event()
    await follower.start()
    runner = Runner(
        database, store, follower, Changes(database), log_id=LOG_ID, clock=lambda: 0, mark=None, mark_interval_s=1.0,
        events_max=9, timers_max=4,
    )  # fmt: skip
    task = asyncio.create_task(runner.run(stop))
    await runner.wait_for(store.head().position, 120)
    stop.set()
    await task
    await follower.close()
    store.close()
