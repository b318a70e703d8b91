"""Finding changes, killed between its batches and around its commits: the list is the same in the end (I20)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.change import table
from ledger.change.kept import KeptInMemory
from ledger.change.reading import Changes
from ledger.change.running import Runner
from ledger.log.following import Follower
from ledger.log.recorders import open_store
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.testing import fault_points
from tests.changed_histories import LOG_ID, find, put
from tests.property.test_detector_properties import drawn, whole_of

ROOT = Path(__file__).resolve().parents[2]
SEED = 1
PROGRAM = "import sys; from tests.fault.test_changes_killed import run; run(*sys.argv[1:])"


def run(folder: str, spec: str) -> None:
    """Find the changes of a log to its head, in a process of its own that a fault may kill."""
    if spec:
        fault_points.install(fault_points.parse(spec))
    asyncio.run(_run(Path(folder)))


async def _run(folder: Path) -> None:
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


@pytest.mark.parametrize("point", ["changes.before_commit", "changes.after_commit"])
def test_killed_around_each_commit_it_loses_and_repeats_nothing(tmp_path: Path, point: str) -> None:
    store = open_store(f"sqlite://{tmp_path}/events.db")
    put(drawn(SEED), store)
    expected = whole_of(SEED)
    assert expected == find(store, store.head().position, KeptInMemory())
    store.close()

    ended, killed = 1, 0
    for attempt in range(40):
        ended = _spawn(tmp_path, f"{point}:{1 + attempt % 4}:kill")
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        killed += 1
    assert ended == 0
    assert killed >= 3

    database = SqliteDatabase(tmp_path / "projections.db")
    with database.snapshot() as session:
        assert expected == table.changes_after(session, 0, 1_000_000, None, {})
    database.close()


def _spawn(folder: Path, spec: str) -> int:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")])}
    command = [sys.executable, "-c", PROGRAM, str(folder), spec]
    return subprocess.run(command, cwd=ROOT, env=environment, timeout=120, check=False).returncode
