"""A projection beside work that must not wait: small batches, long rests, and none of that for whoever waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ledger.change import table
from ledger.domain.identifiers import is_relationship
from ledger.log.following import Follower
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import Store
from ledger.projections import advancing
from ledger.projections import projector as projector_module
from ledger.projections.advancing import advance
from ledger.projections.database import Database
from ledger.projections.programmes import Programmes
from ledger.projections.projector import Projector
from ledger.projections.relationships import Relationships
from ledger.projections.sqlite_database import SqliteDatabase
from services.runtime.projecting import open_changes, open_database
from services.runtime.settings import from_environment
from tests.projection_log import START, Log

SOON_S = 0.3
"""Long after a batch that nothing holds up."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(sqlite_url(tmp_path / "events.db"))
    yield store
    store.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = SqliteDatabase(tmp_path / "projections.db")
    yield database
    database.close()


@pytest.fixture
def log(store: Store, seed: int) -> Log:
    return Log(store, seed)


@asynccontextmanager
async def running(database: Database, store: Store, **ways: Any) -> AsyncIterator[Projector]:
    follower = Follower(store)
    await follower.start()
    projector = Projector(
        Relationships(), database, store, follower, log_id="log", clock=lambda: START, **{"pace_s": 0.01, **ways}
    )
    stop = asyncio.Event()
    task = asyncio.create_task(projector.run(stop))
    yield projector
    stop.set()
    await task
    await follower.close()


async def kept_up(projector: Projector, log: Log) -> None:
    """Wait until everything is in it, as one who looks and does not ask for it."""
    async with asyncio.timeout(20):
        while projector.position < log.head:  # noqa: ASYNC110  # Who asks for it is not made to wait.
            await asyncio.sleep(0.01)


async def test_it_gives_way_to_what_is_late(
    monkeypatch: pytest.MonkeyPatch, database: Database, store: Store, log: Log
) -> None:
    monkeypatch.setattr(projector_module, "GIVE_WAY_MAX_S", 60.0)
    late = False
    async with running(database, store) as projector:
        projector.give_way(lambda: late)
        log.grow(5)
        await kept_up(projector, log)

        late = True
        log.grow(5)
        await asyncio.sleep(SOON_S)
        assert projector.position < log.head

        late = False
        await kept_up(projector, log)


async def test_it_gives_way_for_some_time_only(
    monkeypatch: pytest.MonkeyPatch, database: Database, store: Store, log: Log
) -> None:
    monkeypatch.setattr(projector_module, "GIVE_WAY_MAX_S", SOON_S)
    async with running(database, store) as projector:
        projector.give_way(lambda: True)
        log.grow(5)
        await projector.wait_for(log.head, 20)
        await asyncio.sleep(0.05)
        log.grow(5)
        await kept_up(projector, log)


async def test_who_waits_here_or_elsewhere_is_given_way_to(
    monkeypatch: pytest.MonkeyPatch, database: Database, store: Store, log: Log
) -> None:
    monkeypatch.setattr(projector_module, "GIVE_WAY_MAX_S", 60.0)
    async with running(database, store) as projector:
        projector.give_way(lambda: True)
        for wait in (waited, hurried):
            log.grow(5)
            await asyncio.sleep(0.05)

            await wait(projector, log)

            assert projector.position == log.head


async def test_who_was_answered_hurries_it_no_more(
    monkeypatch: pytest.MonkeyPatch, database: Database, store: Store, log: Log
) -> None:
    monkeypatch.setattr(projector_module, "GIVE_WAY_MAX_S", 60.0)
    asked = 0

    def late() -> bool:
        nonlocal asked
        asked += 1
        return True

    async with running(database, store) as projector:
        log.grow(5)
        await kept_up(projector, log)
        await asyncio.sleep(0.05)
        projector.hurry(log.head)
        projector.give_way(late)
        log.grow(5)
        began_s = time.monotonic()
        async with asyncio.timeout(20):
            while asked < 3:  # noqa: ASYNC110  # Nobody tells of a question.
                await asyncio.sleep(0.01)

        assert time.monotonic() - began_s >= projector_module._LOOK_S, "it rests between two looks at what is late"


async def waited(projector: Projector, log: Log) -> None:
    """Wait for everything."""
    await projector.wait_for(log.head, 20)


async def hurried(projector: Projector, log: Log) -> None:
    """Let another process wait for everything."""
    projector.hurry(log.head)
    await kept_up(projector, log)


async def test_batches_are_small_while_nobody_waits(
    monkeypatch: pytest.MonkeyPatch, database: Database, store: Store, log: Log
) -> None:
    sizes = []
    advance = advancing.advance

    def noted(*arguments: Any) -> Any:
        sizes.append(arguments[-1])
        return advance(*arguments)

    monkeypatch.setattr(projector_module, "advance", noted)
    async with running(database, store, batch_events=3, yields=1) as projector:
        log.grow(20)
        await kept_up(projector, log)
        assert set(sizes) == {3}
        sizes.clear()

        log.grow(20)
        await projector.wait_for(log.head, 20)

        assert advancing.BATCH_EVENTS in sizes


async def test_another_process_hears_what_somebody_here_waits_for(database: Database, store: Store, log: Log) -> None:
    asked: list[int] = []
    async with running(database, store, folds=False, ask=asked.append) as reader, running(database, store) as folding:
        log.grow(5)

        await reader.wait_for(log.head, 20)

        assert asked == [log.head]
        assert folding.position == log.head


def test_reports_let_others_work_before_each_relationship(store: Store, database: Database, log: Log) -> None:
    turns: list[int] = []
    projection = Programmes(turn=lambda: turns.append(1))
    live = database.create(projection, "log", built_time=START, ready_position=0, live=True)
    log.grow(30)
    customers = len({row.stream_id for row in store.read_log(0, 1_000) if is_relationship(row.stream_id)})

    advance(projection, database, store, live, log.head)
    assert 2 * customers == len(turns), "once to fold it, and once to make its rows"

    again = projection.afresh()
    assert again.turn is projection.turn


def test_finding_changes_waits_for_no_projection(tmp_path: Path) -> None:
    settings = from_environment({"RAPPORT_DATA_DIR": str(tmp_path)})
    projections, changes = open_database(settings), open_changes(settings)
    try:
        with projections.writing(), ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: table.create(changes)).result(10)
    finally:
        projections.close()
        changes.close()
