"""Finding changes, killed between its batches and around its commits: the list is the same in the end (I20)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ledger.change import table
from ledger.change.kept import KeptInMemory
from ledger.log.recorders import open_store
from ledger.projections.sqlite_database import SqliteDatabase
from tests.changed_histories import find, put
from tests.fault.finding_process import find_to_the_head
from tests.forking import fork
from tests.property.test_detector_properties import drawn, whole_of

SEED = 1


@pytest.mark.parametrize("point", ["changes.before_commit", "changes.after_commit"])
def test_killed_around_each_commit_it_loses_and_repeats_nothing(tmp_path: Path, point: str) -> None:
    store = open_store(f"sqlite://{tmp_path}/events.db")
    put(drawn(SEED), store)
    expected = whole_of(SEED)
    assert expected == find(store, store.head().position, KeptInMemory())
    store.close()

    ended: int | None = 1
    killed = 0
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


def _spawn(folder: Path, spec: str) -> int | None:
    finding = fork(find_to_the_head, folder, spec)
    finding.join(120)
    return finding.exitcode
