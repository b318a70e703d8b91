"""Filling an empty generation relationship by relationship: as batches would, in portions, and never by halves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ledger.domain.errors import StoreClosed
from ledger.log.following import Follower
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import Store
from ledger.projections import programmes
from ledger.projections.advancing import advance, fill
from ledger.projections.database import Database, Generation
from ledger.projections.programmes import Programmes
from ledger.projections.projector import Projector
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.projections.tables import Row
from tests.changed_histories import put
from tests.programme_histories import drawn_programmes

EVENTS = 120


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(sqlite_url(tmp_path / "events.db"))
    put(drawn_programmes(1, EVENTS), store)
    return store


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return SqliteDatabase(tmp_path / "projections.db")


def new(database: Database, ready_position: int, *, live: bool) -> Generation:
    """Return an empty generation."""
    return database.create(Programmes(), "log", built_time=0, ready_position=ready_position, live=live)


def rows_of(database: Database, generation: Generation) -> dict[str, list[Row]]:
    """Return all rows of a generation."""
    with database.snapshot() as session:
        return {
            table.name: sorted(session.rows(f"SELECT {table.names} FROM {generation.table(table.name)}"))
            for table in Programmes.tables
        }


@pytest.mark.parametrize("portion_rows", [1, 40, 10_000])
def test_what_is_filled_is_what_batches_make(
    monkeypatch: pytest.MonkeyPatch, store: Store, database: Database, portion_rows: int
) -> None:
    monkeypatch.setattr(programmes, "_PORTION_ROWS", portion_rows)
    batched, told = new(database, 0, live=True), list[int]()
    to = store.head().position - 7
    while batched.position < to:
        batched = advance(Programmes(), database, store, batched, to, batch_events=11)

    filled = fill(Programmes(), database, store, new(database, to, live=False), to, told.append)

    assert to == filled.position
    assert batched.checkpoint == filled.checkpoint != ""
    assert rows_of(database, batched) == rows_of(database, filled)
    assert told == sorted(told)
    assert (len(told) > 2) == (portion_rows < 10_000)


def test_what_somebody_may_read_is_not_filled(store: Store, database: Database) -> None:
    live = new(database, 0, live=True)

    assert live is fill(Programmes(), database, store, live, store.head().position, lambda _: None)


async def test_a_first_fold_ends_when_it_is_told_to_and_begins_anew(
    monkeypatch: pytest.MonkeyPatch, store: Store, database: Database, tmp_path: Path
) -> None:
    monkeypatch.setattr(programmes, "_PORTION_ROWS", 1)
    half = new(database, store.head().position, live=True)
    stop = asyncio.Event()

    def end(_: int) -> None:
        raise StoreClosed("enough")

    with pytest.raises(StoreClosed):
        fill(Programmes(), database, store, half, store.head().position, end)
    assert (0, True) == (database.generations("programmes")[0].position, database.count(half) > 0)

    follower = Follower(store)
    projector = Projector(Programmes(), database, store, follower, log_id="log", clock=lambda: 0)
    running = asyncio.ensure_future(projector.run(stop))
    await projector.wait_for(store.head().position, 20)

    database = SqliteDatabase(tmp_path / "projections.db")
    (live,) = database.generations("programmes")
    assert half.number != live.number, "what is there by halves is no beginning"
    stop.set()
    await running
    database.close()
