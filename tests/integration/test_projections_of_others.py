"""What becomes of a projection that another release folded, or that is of another log: on SQLite and PostgreSQL."""

from __future__ import annotations

from ledger.log.store import Store
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
