"""What every database of projections must do, on SQLite and on PostgreSQL: one suite, both backends (I10, I39)."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any

import pytest

from ledger.domain.errors import Rejected
from ledger.log.following import Follower
from ledger.log.store import Store
from ledger.projections import projector as projector_module
from ledger.projections.advancing import advance
from ledger.projections.database import CheckpointMoved, Database
from ledger.projections.projector import Projector
from ledger.projections.relationships import fold_log, summary
from ledger.testing import fault_points
from rapport.errors.v1 import error_reason_pb2 as reasons
from tests.conftest import ROOT
from tests.projection_databases import (
    PROJECTION,
    Place,
    begun,
    caught_up,
    database,
    log,
    no_faults,
    place,
    projector,
    running,
    store,
)
from tests.projection_log import START, Log, rows_by_fold, rows_of

__all__ = ["database", "log", "no_faults", "place", "projector", "store"]
"""Fixtures of all tests of databases of projections; a test has them by their names."""


def test_rows_are_the_fold_of_every_stream_at_every_checkpoint(database: Database, store: Store, log: Log) -> None:
    log.grow(300)
    generation = begun(database)

    while generation.position < log.head:
        generation = advance(
            PROJECTION, database, store, generation, log.head, batch_events=log.random.choice((1, 3, 40))
        )

        position, rows = rows_of(database)
        assert generation.position == position
        assert rows_by_fold(store, position) == rows


def test_states_folded_from_the_log_are_those_of_the_rows(database: Database, store: Store, log: Log) -> None:
    log.grow(200)
    caught_up(database, store, begun(database))

    states = fold_log(store, log.head)

    _, rows = rows_of(database)
    found = {f"{row[0]}/{row[1]}": row[4:] for row in rows["relationships"]}
    assert found == {stream_id: summary(state) for stream_id, state in states.items()}


def test_a_batch_is_applied_once_whoever_tries_again(database: Database, store: Store, log: Log) -> None:
    log.grow(50)
    generation = begun(database)
    advance(PROJECTION, database, store, generation, log.head)

    with pytest.raises(CheckpointMoved):
        advance(PROJECTION, database, store, generation, log.head)

    assert (log.head, rows_by_fold(store, log.head)) == rows_of(database)


def test_two_processes_that_both_fold_never_apply_a_batch_twice(place: Place, store: Store, log: Log) -> None:
    log.grow(400)
    mine, other = place.database(), place.database()
    generation = begun(mine)

    for number in range(40):
        with contextlib.suppress(CheckpointMoved):
            advance(PROJECTION, (mine, other)[number % 2], store, generation, log.head, batch_events=17)
        if number % 3 == 0:  # Now and then they look; else they act on what they knew.
            found = mine.live(PROJECTION)
            assert found is not None
            generation = found

    position, rows = rows_of(mine)
    assert rows_by_fold(store, position) == rows
    mine.close()
    other.close()


@pytest.mark.parametrize("point", ["projection.before_commit", "projection.after_commit"])
def test_rows_and_checkpoint_are_changed_together(database: Database, store: Store, log: Log, point: str) -> None:
    log.grow(60)
    generation = advance(PROJECTION, database, store, begun(database), 30)
    fault_points.install(fault_points.parse(f"{point}:1:raise"))

    with pytest.raises(fault_points.FaultRaised):
        advance(PROJECTION, database, store, generation, log.head)

    position, rows = rows_of(database)
    assert (30 if "before" in point else log.head) == position
    assert rows_by_fold(store, position) == rows


KILLED = """
import sys
from pathlib import Path
from ledger.log.recorders import open_store
from ledger.projections.advancing import advance
from ledger.projections.postgres_database import PostgresDatabase
from ledger.projections.relationships import Relationships
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.projections.tables import Changes
from ledger.testing import fault_points
url, path, fault = sys.argv[1:]
store = open_store(url)
database = SqliteDatabase(Path(path)) if path else PostgresDatabase(url)
fault_points.install(fault_points.parse(fault))
generation = database.live(Relationships())
while True:
    generation = advance(Relationships(), database, store, generation, 200, 20)
"""


@pytest.mark.parametrize("fault", ["projection.before_commit:3:kill", "projection.after_commit:3:kill"])
def test_a_killed_projector_leaves_whole_batches(place: Place, database: Database, log: Log, fault: str) -> None:
    log.grow(200)
    begun(database)
    arguments = [sys.executable, "-c", KILLED, place.store_url, str(place.path or ""), fault]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}", "PATH": "/usr/bin:/bin"}

    ended = subprocess.run(arguments, env=environment, check=False, timeout=50)

    assert -9 == ended.returncode
    position, rows = rows_of(database)
    assert position in ((40,) if "before" in fault else (40, 60))  # What was not waited for may be lost, but whole.
    assert rows_by_fold(log.store, position) == rows
    found = database.live(PROJECTION)
    assert found is not None
    caught_up(database, log.store, found)
    assert (log.head, rows_by_fold(log.store, log.head)) == rows_of(database)


async def test_it_keeps_up_with_what_is_recorded(projector: Projector, database: Database, log: Log) -> None:
    for _ in range(5):
        log.grow(40)
        await projector.wait_for(log.head, 5)

        position, rows = rows_of(database)
        assert log.head == position == projector.position
        assert rows_by_fold(log.store, position) == rows


async def test_one_that_yields_does_not_rest_while_somebody_waits(
    monkeypatch: pytest.MonkeyPatch, database: Database, store: Store, log: Log
) -> None:
    first, resting = projector_module._first, asyncio.Event()

    async def seen(timeout_s: float, *waits: Coroutine[Any, Any, object]) -> None:
        if timeout_s == projector_module.REST_MAX_S:
            resting.set()
        await first(timeout_s, *waits)

    monkeypatch.setattr(projector_module, "REST_MAX_S", 60.0)
    monkeypatch.setattr(projector_module, "_first", seen)
    async for projector in running(PROJECTION, database, store, yields=10**9):  # noqa: F402  # Not the fixture.
        await projector.wait_for(0, 20)
        for _ in range(3):
            log.grow(5)
            async with asyncio.timeout(20):
                await resting.wait()

            await projector.wait_for(log.head, 20)

            assert (log.head, rows_by_fold(store, log.head)) == rows_of(database)
            resting.clear()


async def test_events_of_no_interest_move_the_checkpoint_on(projector: Projector, log: Log) -> None:
    log.grow(10)
    await projector.wait_for(log.head, 5)

    log.append([log._other("org-9/x", 0) for _ in range(1)])

    await projector.wait_for(log.head, 5)


async def test_a_position_that_does_not_come_is_told(projector: Projector, log: Log) -> None:
    log.grow(5)

    with pytest.raises(Rejected) as refusal:
        await projector.wait_for(1000, 0.2)

    assert reasons.ERROR_REASON_PROJECTION_BEHIND == refusal.value.reason
    assert "1000" == refusal.value.metadata["wanted"]


async def test_another_process_takes_over(place: Place, database: Database, store: Store, log: Log) -> None:
    first = running(PROJECTION, place.database(), store)
    one = await anext(first)
    log.grow(20)
    await one.wait_for(log.head, 5)
    second = running(PROJECTION, place.database(), store)
    other = await anext(second)
    await other.wait_for(log.head, 5)
    assert other._lock is None, "one folds, the other looks"

    await anext(first, None)
    log.grow(20)
    await other.wait_for(log.head, 5)

    assert (log.head, rows_by_fold(store, log.head)) == rows_of(database)
    await anext(second, None)


async def test_who_takes_over_keeps_what_was_folded_since_it_last_looked(
    place: Place, database: Database, store: Store, log: Log
) -> None:
    follower = Follower(store)
    projector = Projector(PROJECTION, place.database(), store, follower, log_id="log", clock=lambda: START)
    log.grow(30)
    live = caught_up(database, store, begun(database))
    assert projector._head < live.position

    assert live == projector._prepared()
    await projector.close()


async def test_a_failure_is_tried_again(place: Place, store: Store, log: Log) -> None:
    follower = Follower(store)
    await follower.start()
    failures: list[tuple[Exception, float]] = []
    projector = Projector(
        PROJECTION,
        place.database(),
        store,
        follower,
        log_id="log",
        clock=lambda: START,
        on_failure=lambda error, wait_s: failures.append((error, wait_s)),
    )
    log.grow(30)
    fault_points.install(fault_points.parse("projection.before_commit:1:eio,projection.before_commit:1:raise"))
    stop = asyncio.Event()
    task = asyncio.create_task(projector.run(stop))

    await projector.wait_for(log.head, 5)

    assert [0.1, 0.2] == [wait_s for _, wait_s in failures]
    standing = await projector.standing()
    assert standing.generation is not None
    assert log.head == standing.generation.position
    stop.set()
    await task
    await follower.close()
