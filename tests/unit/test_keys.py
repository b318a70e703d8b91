"""The key store on SQLite: the contract of the table, its file, leases, and what stays destroyed."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from hmac import digest as hmac_digest
from pathlib import Path

import pytest

from ledger.domain.errors import StoreClosed, StoreFailed, StoreRefused
from ledger.log.keks import WRAPPED_BYTES, Keks, kek_id
from ledger.log.keys import (
    KEY_LEASE_S,
    KeyDestroyed,
    KeyMissing,
    KeyRow,
    KeyStore,
    KeyUnreadable,
    key_check,
)
from ledger.log.sqlite_keys import SqliteKeyTable
from ledger.testing import fault_points
from ledger.testing.key_table_contract import LOG_ID, NOON, KeyTableContract, OpenTable

ROOT = Path(__file__).resolve().parents[2]
KEK = bytes(range(0x20))


class Clock:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class CountingTable(SqliteKeyTable):
    """Counts what is asked of the database, and can be slow."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(path, LOG_ID)
        self.clock = clock
        self.finds = 0
        self.creations = 0
        self.answer_takes_s = 0.0

    def find(self, key_ids: Sequence[str]) -> dict[str, KeyRow]:
        self.finds += 1
        rows = super().find(key_ids)
        self.clock.now += self.answer_takes_s
        return rows

    def create(self, rows: Sequence[KeyRow]) -> dict[str, KeyRow]:
        self.creations += 1
        return super().create(rows)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(path: Path, clock: Clock) -> Iterator[CountingTable]:
    table = CountingTable(path, clock)
    yield table
    table.close()


@pytest.fixture
def keys(table: CountingTable, clock: Clock) -> KeyStore:
    return KeyStore(table, Keks([KEK]), monotonic=clock)


class TestSqliteKeyTable(KeyTableContract):
    @pytest.fixture
    def open_table(self, path: Path) -> OpenTable:
        return lambda log_id: SqliteKeyTable(path, log_id)


# The store: making, finding, leasing.


def test_a_key_is_made_once_and_found_again(keys: KeyStore, path: Path) -> None:
    made = keys.ensure(["acme/c-1"]).require("acme/c-1")
    other = KeyStore(SqliteKeyTable(path, LOG_ID), Keks([KEK]))

    assert 32 == len(made)
    assert made == keys.ensure(["acme/c-1"]).require("acme/c-1")
    assert made == other.ensure(["acme/c-1"]).require("acme/c-1")
    assert made == other.find(["acme/c-1"]).require("acme/c-1")
    other.close()


def test_every_id_gets_a_key_of_its_own(keys: KeyStore) -> None:
    ids = [f"acme/c-{number}" for number in range(100)]

    assert 100 == len(set(keys.ensure(ids).present.values()))


def test_a_batch_takes_one_query_and_one_transaction(keys: KeyStore, table: CountingTable) -> None:
    ids = [f"acme/c-{number}" for number in range(100)]
    keys.ensure(ids[:50])
    table.finds = table.creations = 0

    keys.ensure(ids + ids)

    assert (1, 1) == (table.finds, table.creations)


def test_randomness_is_asked_for_once_a_batch(table: CountingTable) -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return os.urandom(count)

    KeyStore(table, Keks([KEK]), random_bytes=random_bytes).ensure(["acme/c-1", "acme/c-2"])

    assert [2 * (32 + 12)] == asked


def test_finding_makes_no_key(keys: KeyStore) -> None:
    with pytest.raises(KeyMissing):
        keys.find(["acme/c-1"]).require("acme/c-1")
    assert {} == keys.find(["acme/c-1"]).present


def test_a_key_on_lease_is_not_asked_for(keys: KeyStore, table: CountingTable, clock: Clock) -> None:
    keys.ensure(["acme/c-1"])
    table.finds = 0

    clock.now += KEY_LEASE_S - 0.001
    keys.find(["acme/c-1"])
    assert 0 == table.finds

    clock.now += 0.001
    keys.find(["acme/c-1"])
    assert 1 == table.finds


def test_using_a_key_does_not_lengthen_its_lease(keys: KeyStore, table: CountingTable, clock: Clock) -> None:
    keys.ensure(["acme/c-1"])
    table.finds = 0

    for _ in range(10):
        clock.now += KEY_LEASE_S / 10
        keys.find(["acme/c-1"])

    assert 1 == table.finds


def test_the_lease_runs_from_before_the_question(keys: KeyStore, table: CountingTable, clock: Clock) -> None:
    keys.ensure(["acme/c-1"])
    clock.now += KEY_LEASE_S
    table.answer_takes_s = KEY_LEASE_S
    keys.find(["acme/c-1"])
    table.finds = 0

    keys.find(["acme/c-1"])

    assert 1 == table.finds


def test_expired_keys_are_forgotten(keys: KeyStore, clock: Clock) -> None:
    keys.ensure(["acme/c-1"])
    clock.now += 1
    keys.ensure(["acme/c-2"])

    clock.now += KEY_LEASE_S - 1
    keys.drop_expired()
    assert ["acme/c-2"] == list(keys._leases)

    clock.now += 1
    keys.drop_expired()
    assert {} == keys._leases


def test_the_number_of_leases_is_bounded(table: CountingTable) -> None:
    keys = KeyStore(table, Keks([KEK]), leases_max=10)
    for number in range(25):
        keys.ensure([f"acme/c-{number}"])

    assert [f"acme/c-{number}" for number in range(15, 25)] == list(keys._leases)


def test_a_closed_store_holds_no_key(keys: KeyStore) -> None:
    keys.ensure(["acme/c-1"])
    keys.close()

    assert {} == keys._leases
    with pytest.raises(StoreClosed):
        keys.find(["acme/c-1"])


def test_the_key_check_is_the_hmac_of_the_specification() -> None:
    assert hmac_digest(KEK, b"rapport.key.v1", "sha256") == key_check(KEK)


# Destroyed, and damaged.


def test_a_destroyed_key_is_gone_at_once_and_never_made_again(keys: KeyStore, path: Path) -> None:
    keys.ensure(["acme/c-1", "acme/c-2"])
    keys.destroy(["acme/c-1"], NOON)

    for found in (keys.find(["acme/c-1", "acme/c-2"]), keys.ensure(["acme/c-1", "acme/c-2"])):
        assert {"acme/c-1"} == found.destroyed
        assert {"acme/c-2"} == set(found.present)
        with pytest.raises(KeyDestroyed) as refusal:
            found.require("acme/c-1")
        assert {"organization_id": "acme", "customer_id": "c-1"} == refusal.value.metadata


def test_another_process_uses_a_destroyed_key_for_no_longer_than_its_lease(
    keys: KeyStore, path: Path, clock: Clock
) -> None:
    other = KeyStore(SqliteKeyTable(path, LOG_ID), Keks([KEK]))
    keys.ensure(["acme/c-1"])
    other.destroy(["acme/c-1"], NOON)
    other.close()

    clock.now += KEY_LEASE_S - 0.001
    assert "acme/c-1" in keys.find(["acme/c-1"]).present
    clock.now += 0.001
    assert {"acme/c-1"} == keys.ensure(["acme/c-1"]).destroyed


def test_a_key_under_an_unknown_kek_is_unreadable_and_not_made_again(keys: KeyStore, path: Path) -> None:
    made = keys.ensure(["acme/c-1"]).require("acme/c-1")
    strangers = KeyStore(SqliteKeyTable(path, LOG_ID), Keks([bytes(32)]))

    found = strangers.ensure(["acme/c-1", "acme/c-2"])
    strangers.close()

    assert {"acme/c-1"} == found.unreadable
    assert {"acme/c-2"} == set(found.present), "one unreadable key must not stop the others"
    with pytest.raises(KeyUnreadable):
        found.require("acme/c-1")
    assert made == keys.find(["acme/c-1"]).require("acme/c-1")


def test_wrapped_keys_swapped_between_ids_do_not_unwrap(keys: KeyStore, path: Path, clock: Clock) -> None:
    keys.ensure(["acme/c-1", "acme/c-2"])
    with sqlite3.connect(path) as connection:
        (one,), (two,) = connection.execute("SELECT wrapped FROM data_key ORDER BY key_id")
        for key_id, wrapped in (("acme/c-1", two), ("acme/c-2", one)):
            connection.execute("UPDATE data_key SET wrapped = ? WHERE key_id = ?", (wrapped, key_id))
    connection.close()
    clock.now += KEY_LEASE_S

    assert {"acme/c-1", "acme/c-2"} == keys.find(["acme/c-1", "acme/c-2"]).unreadable


def test_destroyed_keys_leave_no_copy_in_any_file(path: Path, seed: int) -> None:
    """A15 and I25: rows must not have moved about, nor may anything of them stay in free space."""
    shuffle = random.Random(seed)
    table = SqliteKeyTable(path, LOG_ID)
    keys = KeyStore(table, Keks([KEK]))
    ids = [f"acme/{shuffle.randrange(10**12)}" for _ in range(3_000)]
    for start in range(0, len(ids), 100):
        keys.ensure(ids[start : start + 100])
    wrapped = {row.key_id: row.wrapped for row in table.find(ids).values()}
    gone = set(shuffle.sample(ids, 1_000))
    assert all(1 == count_in_files(path.parent, wrapped[key_id]) for key_id in ids[::100])

    for start in range(0, len(ids), 100):
        keys.destroy([key_id for key_id in ids[start : start + 100] if key_id in gone], NOON)
    # While the store is open: what disappears only when it is closed is there for as long as a service runs.
    files = [file.read_bytes() for file in path.parent.iterdir()]
    found = keys.find(ids)
    keys.close()

    # Part of a copy would do: a third of a wrapped key is still evidence of one.
    left = [key_id for key_id in gone if any(wrapped[key_id][20:40] in content for content in files)]
    assert [] == left
    assert gone == found.destroyed
    assert set(ids) - gone == set(found.present)


def count_in_files(folder: Path, content: bytes) -> int:
    return sum(file.read_bytes().count(content) for file in folder.iterdir())


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM data_key",
        "UPDATE data_key SET wrapped = randomblob(61)",
        "INSERT OR REPLACE INTO data_key (key_id, kek_id, wrapped) VALUES ('acme/c-1', '', randomblob(61))",
    ],
)
def test_a_tombstone_cannot_be_removed_by_mistake(table: CountingTable, sql: str) -> None:
    table.destroy(["acme/c-1"], NOON)

    with pytest.raises(sqlite3.IntegrityError):
        table._connection.execute(sql)
    assert table.find(["acme/c-1"])["acme/c-1"].destroyed


# The file.


def test_the_file_belongs_to_its_owner_only(path: Path) -> None:
    old = os.umask(0)
    try:
        SqliteKeyTable(path, LOG_ID).close()
    finally:
        os.umask(old)

    assert 0o600 == path.stat().st_mode & 0o777


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700])
def test_a_file_of_another_mode_is_refused(path: Path, mode: int) -> None:
    SqliteKeyTable(path, LOG_ID).close()
    path.chmod(mode)

    with pytest.raises(StoreRefused, match="0600"):
        SqliteKeyTable(path, LOG_ID)


def test_a_write_ahead_log_that_cannot_be_had_away_is_refused(path: Path) -> None:
    SqliteKeyTable(path, LOG_ID).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA journal_mode=WAL")
    holder.execute("BEGIN")
    holder.execute("SELECT * FROM key_store").fetchall()

    with pytest.raises((StoreRefused, StoreFailed)):
        SqliteKeyTable(path, LOG_ID, lock_timeout_s=0.1)
    holder.close()


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database" * 1_000)
    path.chmod(0o600)

    with pytest.raises(StoreFailed):
        SqliteKeyTable(path, LOG_ID)


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        SqliteKeyTable(tmp_path / "missing" / "keys.db", LOG_ID)


def test_a_lock_that_is_not_to_be_had_fails_and_closes_nothing(table: CountingTable, path: Path) -> None:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    table._connection.execute("PRAGMA busy_timeout=50").fetchone()

    with pytest.raises(StoreFailed):
        table.destroy(["acme/c-1"], NOON)
    holder.execute("ROLLBACK")
    holder.close()

    table.destroy(["acme/c-1"], NOON)


# Faults.


@pytest.fixture
def no_faults() -> Iterator[None]:
    yield
    fault_points.install(None)


def test_after_an_error_of_the_disk_no_key_of_that_file_is_used(path: Path, no_faults: None) -> None:
    keys = KeyStore(SqliteKeyTable(path, LOG_ID), Keks([KEK]))
    fault_points.install(fault_points.parse("keys.before_commit:1:eio"))

    with pytest.raises(StoreFailed):
        keys.ensure(["acme/c-1"])
    with pytest.raises(StoreClosed):
        keys.ensure(["acme/c-1"])

    again = KeyStore(SqliteKeyTable(path, LOG_ID), Keks([KEK]))
    assert {} == again.find(["acme/c-1"]).present
    assert "acme/c-1" in again.ensure(["acme/c-1"]).present
    again.close()


def test_an_error_of_the_code_rolls_back_and_is_told(path: Path, no_faults: None) -> None:
    keys = KeyStore(SqliteKeyTable(path, LOG_ID), Keks([KEK]))
    fault_points.install(fault_points.parse("keys.before_commit:1:raise"))

    with pytest.raises(fault_points.FaultRaised):
        keys.ensure(["acme/c-1"])

    assert {} == keys.find(["acme/c-1"]).present
    assert "acme/c-1" in keys.ensure(["acme/c-1"]).present
    keys.close()


CREATE = """
import sys
from pathlib import Path
from ledger.log.keks import Keks
from ledger.log.keys import KeyStore
from ledger.log.sqlite_keys import SqliteKeyTable
from ledger.testing import fault_points
from ledger.testing.key_table_contract import LOG_ID

path, fault, *ids = sys.argv[1:]
keys = KeyStore(SqliteKeyTable(Path(path), LOG_ID), Keks([bytes(range(0x20))]))
print("ready", flush=True)
sys.stdin.readline()
fault_points.install(fault_points.parse(fault) if fault else None)
for key_id in ids:
    print(key_id, keys.ensure([key_id]).require(key_id).hex(), flush=True)
"""


def start_creating(path: Path, fault: str, ids: Sequence[str]) -> "subprocess.Popen[str]":
    """Start a process that creates keys once it is told to; it is ready when this returns."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")])}
    process = subprocess.Popen(
        [sys.executable, "-c", CREATE, str(path), fault, *ids],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert "ready\n" == process.stdout.readline()
    return process


@pytest.mark.parametrize("fault", ["keys.before_commit:1:kill", "keys.after_commit:1:kill"])
def test_a_kill_around_the_commit_leaves_one_key_or_none(path: Path, fault: str) -> None:
    output, code = finish(start_creating(path, fault, ["acme/c-1"]))
    assert ("", -signal.SIGKILL) == (output, code)

    keys = KeyStore(SqliteKeyTable(path, LOG_ID), Keks([KEK]))
    found = dict(keys.find(["acme/c-1"]).present)
    made = keys.ensure(["acme/c-1"]).require("acme/c-1")
    keys.close()

    assert found == ({} if "before" in fault else {"acme/c-1": made})


def test_two_processes_at_once_get_the_same_keys(path: Path) -> None:
    ids = [f"acme/c-{number}" for number in range(30)]
    processes = [start_creating(path, "", ids), start_creating(path, "", ids)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()

    (first, code), (second, other_code) = map(finish, processes)

    assert (0, 0) == (code, other_code)
    assert 30 == len(first.splitlines())
    assert first == second


def finish(process: "subprocess.Popen[str]") -> tuple[str, int]:
    output, _ = process.communicate("\n", timeout=60)
    return output, process.returncode


def test_the_file_names_its_kek(keys: KeyStore, table: CountingTable) -> None:
    keys.ensure(["acme/c-1"])

    row = table.find(["acme/c-1"])["acme/c-1"]
    assert (kek_id(KEK), WRAPPED_BYTES) == (row.kek_id, len(row.wrapped))
    assert kek_id(KEK) == keys.description()["kek_id"]
