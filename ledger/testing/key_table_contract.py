"""What every table of keys must do, as tests: subclass `KeyTableContract` and say how a table is opened."""

# A test's name is its sentence.

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import pytest

from ledger.domain.errors import StoreClosed
from ledger.log.keks import WRAPPED_BYTES
from ledger.log.keys import KeyRow, KeyStoreMismatch, KeyTable

OpenTable = Callable[[str], KeyTable]
"""Opens the database of the test for a log_id; each call gives another table on the same database."""

LOG_ID = "0b0e7d0c-5f4a-4a2e-9a52-6f2f8f0f3f01"
OTHER_LOG_ID = "0b0e7d0c-5f4a-4a2e-9a52-6f2f8f0f3f02"
NOON = 1_767_268_800_000_000
"""2026-01-01T12:00:00Z in microseconds."""


class KeyTableContract:
    """Subclasses define the fixture `open_table`, of the type `OpenTable`, on a database that is empty."""

    def test_an_id_without_a_key_is_not_found(self, open_table: OpenTable) -> None:
        with _opened(open_table) as table:
            assert table.find(["acme/c-1"]) == {}
            assert table.find([]) == {}

    def test_created_keys_are_found(self, open_table: OpenTable) -> None:
        rows = _rows(["acme/c-1", "acme/o'neill%_\\", "acme/müller"], 1)
        with _opened(open_table) as table:
            assert table.create(rows) == _by_id(rows)
            assert table.find([row.key_id for row in rows] + ["acme/c-2"]) == _by_id(rows)

    def test_the_first_key_under_an_id_stays(self, open_table: OpenTable) -> None:
        with _opened(open_table) as table:
            (first,) = rows = _rows(["acme/c-1"], 1)
            table.create(rows)

            in_force = table.create(_rows(["acme/c-2", "acme/c-1"], 2))

            assert in_force["acme/c-1"] == first
            assert table.find(["acme/c-1", "acme/c-2"]) == in_force

    def test_many_keys_are_created_and_found_at_once(self, open_table: OpenTable) -> None:
        rows = _rows((f"acme/c-{number}" for number in range(5_000)), 1)
        with _opened(open_table) as table:
            assert table.create(rows) == _by_id(rows)
            assert table.find([row.key_id for row in rows]) == _by_id(rows)

    def test_a_destroyed_key_is_a_tombstone_for_ever(self, open_table: OpenTable) -> None:
        rows = _rows(["acme/c-1", "acme/c-2"], 1)
        with _opened(open_table) as table:
            table.create(rows)
            table.destroy(["acme/c-1"], NOON)
            table.destroy(["acme/c-1"], NOON + 1)

            found = table.find(["acme/c-1", "acme/c-2"])
            assert found["acme/c-1"].destroyed
            assert found["acme/c-2"] == rows[1]
            assert table.create(_rows(["acme/c-1"], 2))["acme/c-1"].destroyed
            assert table.find(["acme/c-1"])["acme/c-1"].wrapped == bytes(WRAPPED_BYTES)

    def test_destroying_before_there_was_a_key_prevents_it(self, open_table: OpenTable) -> None:
        with _opened(open_table) as table:
            table.destroy(["acme/c-1"], NOON)

            assert table.create(_rows(["acme/c-1"], 1))["acme/c-1"].destroyed

    def test_another_table_on_the_same_database_sees_all_of_it(self, open_table: OpenTable) -> None:
        rows = _rows(["acme/c-1", "acme/c-2"], 1)
        with _opened(open_table) as first, _opened(open_table) as second:
            first.create(rows)
            assert second.find(["acme/c-1", "acme/c-2"]) == _by_id(rows)
            second.destroy(["acme/c-1"], NOON)
            assert first.find(["acme/c-1"])["acme/c-1"].destroyed
        with _opened(open_table) as third:
            assert third.find(["acme/c-2"])["acme/c-2"] == rows[1]

    def test_a_table_of_another_log_is_refused(self, open_table: OpenTable) -> None:
        with _opened(open_table), pytest.raises(KeyStoreMismatch) as refusal:
            open_table(OTHER_LOG_ID)

        assert LOG_ID in str(refusal.value)
        assert OTHER_LOG_ID in str(refusal.value)

    def test_of_creations_at_once_one_wins_for_all(self, open_table: OpenTable) -> None:
        ids = [f"acme/c-{number}" for number in range(3_000)]
        writers = 4
        barrier = Barrier(writers)

        def create(writer: int) -> dict[str, KeyRow]:
            with _opened(open_table) as table:
                barrier.wait(timeout=30)
                # In different orders: neither may wait for the other for ever.
                return table.create(_rows(ids if writer % 2 else reversed(ids), writer + 1))

        with ThreadPoolExecutor(writers) as pool:
            results = list(pool.map(create, range(writers)))

        with _opened(open_table) as table:
            assert results == [table.find(ids)] * writers

    def test_a_closed_table_says_so(self, open_table: OpenTable) -> None:
        table = open_table(LOG_ID)
        table.close()
        table.close()

        with pytest.raises(StoreClosed):
            table.find(["acme/c-1"])
        with pytest.raises(StoreClosed):
            table.create(_rows(["acme/c-1"], 1))
        with pytest.raises(StoreClosed):
            table.destroy(["acme/c-1"], NOON)

    def test_it_says_what_it_is(self, open_table: OpenTable) -> None:
        with _opened(open_table) as table:
            assert {"engine", "version"} <= table.description().keys()


@contextmanager
def _opened(open_table: OpenTable) -> Iterator[KeyTable]:
    table = open_table(LOG_ID)
    try:
        yield table
    finally:
        table.close()


def _rows(key_ids: Iterable[str], writer: int) -> list[KeyRow]:
    """Return rows that differ between writers and ids; a table never looks inside a wrapped key."""
    return [
        KeyRow(key_id, f"kek-{writer}", bytes([writer]) + number.to_bytes(WRAPPED_BYTES - 1, "big"))
        for number, key_id in enumerate(key_ids)
    ]


def _by_id(rows: Iterable[KeyRow]) -> dict[str, KeyRow]:
    return {row.key_id: row for row in rows}
