"""The projection `programmes` on both stores: at every checkpoint its rows are those of a fold from zero."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ledger.log.reading import pages
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import Store
from ledger.measure.outlook import outlook_of
from ledger.projections.advancing import advance
from ledger.projections.database import Database, Generation, KeptRows, Query
from ledger.projections.postgres_database import PostgresDatabase
from ledger.projections.programmes import Base, Programmes, base_of, kept_rows
from ledger.projections.rebuilding import Rebuild
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.report.basis import basis_of
from ledger.report.rows import Rows
from ledger.report.shapes import KINDS
from tests.changed_histories import put
from tests.programme_histories import by_fold, drawn_programmes, latest_time, published_at

ENGINES = ["sqlite", "postgresql"]


def kept(database: Database) -> tuple[Base, list[Rows]]:
    """Return what is kept."""

    def ask(query: Query) -> tuple[Base, list[Rows]]:
        return base_of(query, "acme"), list(kept_rows(query, "acme", KINDS))

    found = database.read(Programmes(), ask)
    assert found is not None
    return found


def fail(projection: Programmes, database: Database, store: Store, generation: Generation) -> None:
    """Fold a batch of two that comes to nothing, as where the database does not answer."""
    folding = projection.begin(store, KeptRows(database, generation))
    to = min(generation.position + 2, store.head().position)
    for page in pages(store, generation.position, to):
        folding.fold(page)
    folding.changes(store, to)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed, pieces_max", [(0, 10_000), (1, 200), (2, 0)])
def test_rows_are_those_of_a_fold_from_zero_at_every_checkpoint(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str, seed: int, pieces_max: int
) -> None:
    draw, history = random.Random(seed), drawn_programmes(seed, 60)
    store = open_store(sqlite_url(tmp_path / "events.db"))
    put(history, store)
    address = request.getfixturevalue("postgres_url") if engine == "postgresql" else ""
    database: Database = PostgresDatabase(address) if address else SqliteDatabase(tmp_path / "projections.db")
    projection = Programmes(pieces_max)
    generation = database.create(projection, "log", built_time=0, ready_position=0, live=True)

    while generation.position < history.head:
        if draw.random() < 0.1:
            fail(projection, database, store, generation)
        generation = advance(projection, database, store, generation, history.head, draw.choice([1, 2, 3, 5]))

        base, rows = kept(database)
        at = generation.position
        assert by_fold(history, at) == rows
        outlook = outlook_of(published_at(history, at), latest_time(history, at))
        assert (basis_of(outlook), latest_time(history, at)) == (base.basis, base.latest_time)

    rebuild = Rebuild(projection=projection, database=database, store=store, log_id="log", clock=lambda: 0)
    rebuild.run()
    assert 0 == rebuild.progress.rows_different
    database.close()
    store.close()
