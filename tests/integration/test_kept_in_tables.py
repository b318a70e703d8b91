"""What the detector remembers of its own tables is what they hold, whatever was stored and asked (settled.md 41)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.change import table
from ledger.change.kept import KeptInTables, Owner
from ledger.change.table import NEVER, Progress, ProgressMoved, Watched
from ledger.projections.database import Database
from ledger.projections.postgres_database import PostgresDatabase
from ledger.projections.sqlite_database import SqliteDatabase
from tests.postgres_server import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

OWNERS: tuple[Owner, ...] = tuple(("acme", f"c-{number}") for number in range(8))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        database: Database = SqliteDatabase(tmp_path / "projections.db")
    else:
        database = PostgresDatabase(request.getfixturevalue("postgres_url"))
    table.create(database)
    yield database
    database.close()


def begun(database: Database) -> Progress:
    with database.writing() as session:
        return table.begin_anew(session, "log")


def row(owner: Owner, due: int, version: int = 1) -> Watched:
    return Watched(*owner, due=due, version=version, levels=f'{{"number":{version}}}')


def test_it_answers_as_the_tables_do(database: Database, seed: int) -> None:
    draw, kept, progress = random.Random(seed), KeptInTables(database), begun(database)
    for step in range(300):
        if draw.random() < 0.4:
            rows = [
                row(owner, draw.choice((NEVER, draw.randrange(100))), step)
                for owner in draw.sample(OWNERS, draw.randrange(4))
            ]
            after = progress._replace(events=progress.events + 1)
            kept.store(progress, after, [], rows, [])
            progress = after
        owners = draw.sample(OWNERS, 3)
        before, limit, now = draw.randrange(110), draw.choice((1, 2, 20)), draw.randrange(110)
        with database.snapshot() as session:
            watched = table.watched_by(session, owners)
            due, first = table.watched_due(session, before, limit), table.next_due(session)

        assert kept.watched(owners) == watched
        assert kept.due(before, limit) == due
        found = kept.next_due(now)
        assert found == first or (found is not None and now < found <= (NEVER if first is None else first))


def test_what_is_not_stored_is_not_remembered(database: Database) -> None:
    kept, progress = KeptInTables(database), begun(database)
    after = progress._replace(events=1)
    kept.store(progress, after, [], [row(OWNERS[0], 5)], [])

    with pytest.raises(ProgressMoved):
        kept.store(progress, after, [], [row(OWNERS[0], 3, version=2)], [])

    assert kept.watched(OWNERS[:1]) == {OWNERS[0]: row(OWNERS[0], 5)}
    assert kept.due(5, 10) == []
    assert kept.due(6, 10) == [row(OWNERS[0], 5)]


def test_what_another_process_stored_is_seen_after_forgetting(database: Database) -> None:
    kept, other, progress = KeptInTables(database), KeptInTables(database), begun(database)
    first = progress._replace(events=1)
    kept.store(progress, first, [], [row(OWNERS[0], NEVER)], [])
    assert kept.next_due(0) is None
    other.store(first, first._replace(events=2), [], [row(OWNERS[0], 7, version=2)], [])

    kept.forget()

    assert kept.watched(OWNERS[:1]) == {OWNERS[0]: row(OWNERS[0], 7, version=2)}
    assert (kept.next_due(0), kept.due(8, 1)) == (7, [row(OWNERS[0], 7, version=2)])
