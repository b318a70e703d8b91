"""How all relationships stand, for reports: levels of the detector's tables beside balances of another file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from ledger.change import table
from ledger.change.standing import Standings
from ledger.change.table import NEVER, Watched
from ledger.projections.balances import BALANCES, NO_NET
from ledger.projections.database import Database, Generation, Query
from ledger.projections.sqlite_database import SqliteDatabase
from rapport.events.v1.exchange_pb2 import PARTY_ORGANIZATION
from rapport.type.v1.levels_pb2 import STRENGTH_BAND_MODERATE, STRENGTH_BAND_STRONG


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = SqliteDatabase(tmp_path / "changes.db")
    yield database
    database.close()


class Balances:
    """Answers as the projection `relationships` would: rows in the order of customers, a page at a time."""

    tables = {BALANCES.name: "balances_g1"}  # noqa: RUF012  # Nobody changes it.
    generation = Generation("relationships", 1, 3, "log", 7, 0, 0, "live", BALANCES.name)

    def __init__(self, nets: dict[str, int], size: int) -> None:
        self._rows = sorted(nets.items())
        self._size = size

    def pages(self, sql: str, parameters: Sequence[Any]) -> Iterator[Sequence[tuple[Any, ...]]]:
        assert ("balances_g1" in sql, tuple(parameters)) == (True, ("acme", PARTY_ORGANIZATION))
        yield from (self._rows[at : at + self._size] for at in range(0, len(self._rows), self._size))


def stand(database: Database, **bands: int) -> Standings:
    """Store how some customers of an organization stand."""
    standings = Standings(database)
    with database.writing() as session:
        began = table.begin_anew(session, "log")
    rows = [Watched("acme", name, existing=1, band=band, next_crossing=NEVER) for name, band in bands.items()]
    table.store(database, began, began._replace(position=9, events=1), [], rows, [])
    return standings


@pytest.mark.parametrize("size", [1, 2, 10])
def test_each_has_its_own_net_whoever_else_is_in_either_file(database: Database, size: int) -> None:
    standings = stand(database, b=STRENGTH_BAND_STRONG, d=STRENGTH_BAND_STRONG, e=0, g=STRENGTH_BAND_MODERATE)
    nets = {"a": 1_000, "b": 5, "c": 2_000, "d": -2, "f": 4_000, "g": NO_NET, "h": 8_000}

    found = standings.levels(cast(Query, Balances(nets, size)), "acme", 0)

    assert {level.level: level.net for level in found.levels.bands() if level.net} == {"STRONG": 3}
    assert (found.levels.relationships, found.passed, found.position) == (4, [], 7)


def test_whoever_has_no_balance_has_none_of_another(database: Database) -> None:
    standings = stand(database, a=STRENGTH_BAND_STRONG, z=STRENGTH_BAND_STRONG)

    found = standings.levels(cast(Query, Balances({"m": 3}, 10)), "acme", 0)

    assert not any(level.net for level in found.levels.bands())
