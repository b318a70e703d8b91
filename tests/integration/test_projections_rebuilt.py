"""What rebuilding a projection must do, on SQLite and on PostgreSQL: lose nothing, and let nothing differ (I15)."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from ledger.domain.errors import Rejected
from ledger.log.store import Store
from ledger.projections.advancing import advance
from ledger.projections.database import CheckpointMoved, Database, Generation, Standstill
from ledger.projections.projector import Projector
from ledger.projections.rebuilding import Phase
from rapport.errors.v1 import error_reason_pb2 as reasons
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
    rebuild,
    running,
    store,
)
from tests.projection_log import START, Log, rows_by_fold, rows_of

__all__ = ["database", "log", "no_faults", "place", "projector", "store"]
"""Fixtures of all tests of databases of projections; a test has them by their names."""


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
