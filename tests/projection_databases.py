"""Databases of projections for tests, on SQLite and on PostgreSQL, with a log to fold and a projector to run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.log.following import Follower
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import Store
from ledger.projections.advancing import advance
from ledger.projections.database import Database, Generation
from ledger.projections.postgres_database import PostgresDatabase
from ledger.projections.projector import Projector
from ledger.projections.rebuilding import Rebuild
from ledger.projections.relationships import Relationships
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.testing import fault_points
from tests.projection_log import START, Log

PROJECTION = Relationships()


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
