"""What every database of projections must do, on SQLite and on PostgreSQL: one suite, both backends (I10, I39)."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.errors import Rejected
from ledger.log.following import Follower
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import Store
from ledger.projections import projector as projector_module
from ledger.projections.advancing import advance
from ledger.projections.database import CheckpointMoved, Database, Generation, Standstill
from ledger.projections.postgres_database import PostgresDatabase
from ledger.projections.projector import Projector
from ledger.projections.rebuilding import Phase, Rebuild
from ledger.projections.relationships import RELATIONSHIPS, UNITS, Relationships, fold_log, summary
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.projections.tables import Changes
from ledger.testing import fault_points
from rapport.errors.v1 import error_reason_pb2 as reasons
from tests.conftest import ROOT
from tests.postgres_server import postgres_server, postgres_url
from tests.projection_log import START, Log, rows_by_fold, rows_of

__all__ = ["postgres_server", "postgres_url"]

PROJECTION = Relationships()


class Younger(Relationships):
    """The next release of the same projection."""

    fold_version = Relationships.fold_version + 1  # type: ignore[misc]  # Final in the release that is.


class WithoutBalances(Relationships):
    """The release before balances: fewer tables."""

    fold_version = 1  # type: ignore[misc]  # The same.
    tables = (RELATIONSHIPS, UNITS)  # type: ignore[assignment,misc]


@dataclass(frozen=True)
class Place:
    """Where a log and its projections are kept."""

    store_url: str
    path: Path | None

    def database(self) -> Database:
        """Open the projections, as a process of its own would."""
        return SqliteDatabase(self.path) if self.path is not None else PostgresDatabase(self.store_url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        return Place(sqlite_url(tmp_path / "events.db"), tmp_path / "projections.db")
    return Place(request.getfixturevalue("postgres_url"), None)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = open_store(place.store_url)
    yield store
    store.close()


@pytest.fixture
def database(place: Place, store: Store) -> Iterator[Database]:
    database = place.database()
    yield database
    database.close()


@pytest.fixture
def log(store: Store, seed: int) -> Log:
    return Log(store, seed)


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    yield
    fault_points.install(None)


def begun(database: Database, position: int = 0) -> Generation:
    return database.create(PROJECTION, "log", built_time=START, ready_position=position, live=True)


def caught_up(database: Database, store: Store, generation: Generation, batch_events: int = 1000) -> Generation:
    head = store.head().position
    while generation.position < head:
        generation = advance(PROJECTION, database, store, generation, head, batch_events)
    return generation


def rebuild(database: Database, store: Store, *, replace_different: bool = False) -> Rebuild:
    return Rebuild(
        projection=PROJECTION,
        database=database,
        store=store,
        log_id="log",
        clock=lambda: START,
        replace_different=replace_different,
    )


@pytest.fixture
async def projector(database: Database, store: Store) -> AsyncIterator[Projector]:
    async for projector in running(PROJECTION, database, store):
        yield projector


async def running(
    projection: Relationships, database: Database, store: Store, yields: int = 0
) -> AsyncIterator[Projector]:
    follower = Follower(store)
    await follower.start()
    projector = Projector(projection, database, store, follower, log_id="log", clock=lambda: START, yields=yields)
    stop = asyncio.Event()
    task = asyncio.create_task(projector.run(stop))
    yield projector
    stop.set()
    await task
    await follower.close()


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


def test_a_rebuild_of_a_right_projection_takes_its_place(database: Database, store: Store, log: Log) -> None:
    log.grow(300)
    old = caught_up(database, store, begun(database))
    rebuilding = rebuild(database, store)

    rebuilding.run()

    progress = rebuilding.progress
    assert (Phase.SWAPPED, log.head, 0) == (progress.phase, progress.position, progress.rows_different)
    (live,) = database.generations(PROJECTION.name)
    assert old.number < live.number
    assert (log.head, rows_by_fold(store, log.head)) == rows_of(database)


ALTERED = [
    "UPDATE relationships_g1 SET interactions = interactions + 1 WHERE customer_id = 'c-1'",
    "DELETE FROM relationships_g1 WHERE customer_id = 'c-1'",
    "INSERT INTO relationships_g1 VALUES ('org-0', 'c-1x', 1, 1, 1, 1, 1, 1)",
    "UPDATE relationship_units_g1 SET units = units + 1 WHERE customer_id = 'c-1' AND asset = 'CD/0'",
]


@pytest.mark.parametrize("statement", ALTERED)
def test_one_altered_row_keeps_the_rebuilt_one_out(database: Database, store: Store, log: Log, statement: str) -> None:
    """The control of I15."""
    log.streams = [stream for stream in log.streams if stream.startswith("org-0")]
    log.grow(300)
    caught_up(database, store, begun(database))
    with database.writing() as session:
        assert 1 == session.change(statement)
    altered = rows_of(database)

    with pytest.raises(Rejected) as refusal:
        rebuild(database, store).run()

    assert reasons.ERROR_REASON_REBUILD_DIFFERS == refusal.value.reason
    assert "1" == refusal.value.metadata["rows"]
    assert "org-0 c-1" in refusal.value.metadata["first_key"]
    assert altered == rows_of(database)
    assert 1 == len(database.generations(PROJECTION.name)), "what was built must be gone"


def test_a_rebuild_replaces_what_is_wrong_when_it_may(database: Database, store: Store, log: Log) -> None:
    log.grow(300)
    caught_up(database, store, begun(database))
    with database.writing() as session:
        session.change("DELETE FROM relationship_units_g1")

    rebuild(database, store, replace_different=True).run()

    assert (log.head, rows_by_fold(store, log.head)) == rows_of(database)


def test_what_is_folded_until_the_last_moment_is_not_lost_by_a_swap(
    place: Place, database: Database, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.grow(100)
    caught_up(database, store, begun(database))
    other, standstill = place.database(), database.standstill
    positions = []

    def after_more(generation: Generation) -> AbstractContextManager[Standstill]:
        log.grow(10)
        live = other.live(PROJECTION)
        assert live is not None
        positions.append(caught_up(other, store, live).position)
        return standstill(generation)

    monkeypatch.setattr(database, "standstill", after_more)
    rebuild(database, store).run()

    assert [110, 120] == positions
    assert (120, rows_by_fold(store, 120)) == rows_of(database)
    other.close()


def test_only_one_rebuild_runs_at_a_time(place: Place, database: Database, store: Store) -> None:
    other = place.database()
    begun(database)
    lock = other.try_lock("relationships.rebuild")
    assert lock is not None

    with pytest.raises(Rejected) as refusal:
        rebuild(database, store).run()
    lock.release()
    rebuild(database, store).run()

    assert reasons.ERROR_REASON_PROJECTION_REBUILDING == refusal.value.reason
    other.close()


def test_a_swap_stops_the_one_that_folded_before(database: Database, store: Store, log: Log) -> None:
    log.grow(50)
    old = caught_up(database, store, begun(database))
    rebuild(database, store).run()
    log.grow(50)

    with pytest.raises(CheckpointMoved):
        advance(PROJECTION, database, store, old, log.head)


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
    async for projector in running(PROJECTION, database, store, yields=10**9):
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


async def test_a_rebuild_beside_writers_and_readers_loses_nothing(
    projector: Projector, database: Database, store: Store, log: Log
) -> None:
    log.grow(500)
    await projector.wait_for(log.head, 5)
    positions = []

    _, ended = projector.rebuild()
    while not ended.done():
        log.grow(10)
        positions.append(await projector.read(lambda query: query.generation.position))
    await ended

    await projector.wait_for(log.head, 5)
    assert (log.head, rows_by_fold(store, log.head)) == rows_of(database)
    assert sorted(positions) == positions, "a reader saw a position go backwards"


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


async def test_a_new_fold_version_is_built_at_start(place: Place, database: Database, store: Store, log: Log) -> None:
    log.grow(100)
    caught_up(database, store, begun(database))
    start = running(Younger(), place.database(), store)
    projector = await anext(start)

    await projector.wait_for(0, 5)

    assert log.head == projector.position
    (live,) = database.generations(PROJECTION.name)
    assert (Younger.fold_version, log.head) == (live.fold_version, live.position)
    await anext(start, None)


async def test_a_database_of_the_release_before_balances_is_filled_anew_and_its_tables_go(
    place: Place, database: Database, store: Store, log: Log
) -> None:
    log.grow(150)
    before = database.create(WithoutBalances(), "log", built_time=START, ready_position=0, live=True)
    start = running(PROJECTION, place.database(), store)
    projector = await anext(start)

    await projector.wait_for(0, 5)

    assert (log.head, rows_by_fold(store, log.head)) == rows_of(database)
    (live,) = database.generations(PROJECTION.name)
    assert before.number < live.number
    await anext(start, None)


async def test_what_another_process_of_another_release_folds_is_kept(
    place: Place, database: Database, store: Store, log: Log
) -> None:
    log.grow(50)
    older = running(PROJECTION, place.database(), store)
    one = await anext(older)
    await one.wait_for(log.head, 5)
    younger = running(Younger(), place.database(), store)
    other = await anext(younger)
    await other.wait_for(log.head, 5)

    kept = [generation.fold_version for generation in database.generations(PROJECTION.name)]
    assert [Younger.fold_version, Relationships.fold_version] == kept
    await anext(older, None)
    await anext(younger, None)


async def test_what_a_dead_rebuild_left_is_dropped_at_the_next_start(
    place: Place, database: Database, store: Store, log: Log
) -> None:
    log.grow(30)
    live = caught_up(database, store, begun(database))
    left = database.create(PROJECTION, "log", built_time=START, ready_position=0, live=False)
    advance(PROJECTION, database, store, left, 20)
    start = running(PROJECTION, place.database(), store)
    projector = await anext(start)

    await projector.wait_for(log.head, 5)

    assert [live.number] == [each.number for each in database.generations(PROJECTION.name)]
    assert not (await projector.standing()).rebuilding
    await anext(start, None)


async def test_a_log_put_back_from_a_copy_is_folded_anew(
    place: Place, database: Database, store: Store, log: Log
) -> None:
    log.grow(30)
    ahead = begun(database)
    database.apply(PROJECTION, ahead, 1000, Changes(rows={"relationships": [("org-0", "z", 9, 999, 1, 1, 9, 9)]}))
    start = running(PROJECTION, place.database(), store)
    projector = await anext(start)

    await projector.wait_for(log.head, 5)

    assert (log.head, rows_by_fold(store, log.head)) == rows_of(database)
    await anext(start, None)


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


async def test_a_projection_of_another_log_is_thrown_away(
    place: Place, database: Database, store: Store, log: Log
) -> None:
    log.grow(30)
    generation = database.create(PROJECTION, "elsewhere", built_time=START, ready_position=0, live=True)
    caught_up(database, store, generation)
    start = running(PROJECTION, place.database(), store)
    projector = await anext(start)

    await projector.wait_for(log.head, 5)

    (live,) = database.generations(PROJECTION.name)
    assert "log" == live.log_id
    await anext(start, None)


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
