"""What becomes of a projection that another release folded, or that is of another log: on SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.log.checkpoint import checkpoint_at
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import Store
from ledger.projections.advancing import advance
from ledger.projections.database import Database
from ledger.projections.relationships import RELATIONSHIPS, UNITS, Relationships
from ledger.projections.tables import Changes
from tests.projection_databases import (
    PROJECTION,
    Place,
    begun,
    caught_up,
    database,
    log,
    no_faults,
    place,
    running,
    store,
)
from tests.projection_log import START, Log, rows_by_fold, rows_of

__all__ = ["database", "log", "no_faults", "place", "store"]
"""Fixtures of all tests of databases of projections; a test has them by their names."""


class Younger(Relationships):
    """The next release of the same projection."""

    fold_version = Relationships.fold_version + 1  # type: ignore[misc]  # Final in the release that is.


class WithoutBalances(Relationships):
    """The release before balances: fewer tables."""

    fold_version = 1  # type: ignore[misc]  # The same.
    tables = (RELATIONSHIPS, UNITS)  # type: ignore[assignment,misc]


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


async def test_a_log_put_back_that_grew_to_another_past_is_folded_anew(
    place: Place, database: Database, store: Store, log: Log, tmp_path: Path
) -> None:
    """It is as long as the projection, or longer: its length alone says nothing."""
    log.grow(30)
    caught_up(database, store, begun(database))
    other_store = open_store(sqlite_url(tmp_path / "other.db"))
    other = Log(other_store, 1)
    while other.head < log.head + 10:
        other.grow(10)
    start = running(PROJECTION, place.database(), other_store)
    projector = await anext(start)

    await projector.wait_for(other.head, 5)

    assert (other.head, rows_by_fold(other_store, other.head)) == rows_of(database)
    await anext(start, None)
    other_store.close()


async def test_a_generation_of_an_earlier_release_is_kept_and_gets_a_checkpoint(
    place: Place, database: Database, store: Store, log: Log
) -> None:
    log.grow(30)
    before = caught_up(database, store, begun(database))
    with database.writing() as session:
        session.change("ALTER TABLE projections DROP COLUMN checkpoint")
    start = running(PROJECTION, place.database(), store)
    projector = await anext(start)
    await projector.wait_for(log.head, 5)
    (kept,) = database.generations(PROJECTION.name)
    assert kept == before._replace(checkpoint="")

    log.grow(1)
    await projector.wait_for(log.head, 5)

    (live,) = database.generations(PROJECTION.name)
    assert (before.number, checkpoint_of(store, log.head)) == (live.number, live.checkpoint)
    await anext(start, None)


@pytest.mark.parametrize("batch_events", [7, 1000])
def test_the_checkpoint_is_that_of_the_last_event_of_each_batch(
    database: Database, store: Store, log: Log, batch_events: int
) -> None:
    log.grow(30)
    generation = begun(database)
    while generation.position < log.head:
        generation = advance(PROJECTION, database, store, generation, log.head, batch_events)
        assert checkpoint_of(store, generation.position) == generation.checkpoint
    assert [generation] == database.generations(PROJECTION.name)


def checkpoint_of(store: Store, position: int) -> str:
    row = store.get(position)
    assert row is not None
    return checkpoint_at(row)


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
