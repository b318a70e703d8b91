"""The store on SQLite: the library's recorder suites, the suite of every store, and what is SQLite's own."""

import fcntl
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent

from ledger.domain.errors import OutcomeUnknown, StoreClosed, StoreFailed, StoreRefused
from ledger.log import file_systems, sqlite_datastore
from ledger.log.recorders import open_store, refuse_db_functions, sqlite_url
from ledger.log.sqlite_datastore import SqliteDatastore
from ledger.log.sqlite_recorder import SqliteRecorder
from ledger.log.sqlite_store import SqliteStore
from ledger.log.store import Appended, Head
from ledger.log.writer_lock import WriterLock
from ledger.testing import fault_points
from ledger.testing.recorder_contract import StoreContract
from ledger.testing.store_samples import ALICE, NOON, append, event, fresh, key, put, whole_log
from tests import library_suites as library
from tests.server import eventually


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return sqlite_url(tmp_path / "ledger.db")

    def execute(self, url: str, statement: str) -> None:
        connection = sqlite3.connect(url.removeprefix("sqlite://"))
        try:
            connection.execute(statement)
        finally:
            connection.close()


# The library's own suites. Its test cases are kept in its module, so that they are not collected here by themselves.


class LibraryCase:
    recorder_class: type[SqliteRecorder] = SqliteRecorder

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        self.open: list[SqliteRecorder] = []
        yield
        for recorder in self.open:
            recorder.datastore.close()

    def create_recorder(self) -> Any:
        recorder = self.recorder_class(SqliteDatastore(str(self.folder / "a.db"), originator_id_type="uuid"))
        recorder.create_table()
        self.open.append(recorder)
        return recorder


class WithoutPositions(SqliteRecorder):
    """The library's aggregate recorders tell no positions, and its suite insists on that."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:  # type: ignore[override]
        super().insert_events(stored_events, **kwargs)


class TestLibraryAggregateRecorder(LibraryCase, library.AggregateRecorderTestCase):
    recorder_class = WithoutPositions


class TestLibraryApplicationRecorder(LibraryCase, library.ApplicationRecorderTestCase):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestLibraryTrackingRecorder(LibraryCase, library.TrackingRecorderTestCase):
    pass


class TestLibraryProcessRecorder(LibraryCase, library.ProcessRecorderTestCase):
    pass


class TestLibraryNotificationsDoNotInterleave(LibraryCase, library.NonInterleavingNotificationIDsBaseCase):
    pass


# What is SQLite's own.


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    yield
    fault_points.install(None)


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(path))
    yield store
    store.close()


def test_every_connection_has_the_settings_that_durability_rests_on(store: SqliteStore) -> None:
    reader = store.datastore.readers.take()
    found = {
        name: [connection.execute(f"PRAGMA {name}").fetchone()[0] for connection in (store.datastore._writer, reader)]
        for name in ("journal_mode", "synchronous", "wal_autocheckpoint", "foreign_keys", "trusted_schema")
    }
    store.datastore.readers.give(reader)

    assert {
        "journal_mode": ["wal", "wal"],
        "synchronous": [2, 2],
        "wal_autocheckpoint": [0, 0],
        "foreign_keys": [1, 1],
        "trusted_schema": [0, 0],
    } == found


@pytest.mark.parametrize("name", ["journal_mode", "synchronous", "wal_autocheckpoint", "trusted_schema"])
def test_a_setting_that_cannot_be_had_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    SqliteStore(str(path)).close()
    wanted = sqlite_datastore._settings

    # SQLite that answers another value than it was given stands for one that was built without the setting.
    monkeypatch.setattr(sqlite_datastore, "_settings", lambda *args: wanted(*args) | {name: "never"})

    with pytest.raises(StoreRefused, match=name):
        SqliteStore(str(path))


def test_a_file_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()

    with pytest.raises(StoreRefused, match="another database"):
        SqliteStore(str(path))


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)

    with pytest.raises((StoreRefused, StoreFailed)):
        SqliteStore(str(path))


def test_tables_of_a_later_release_are_refused(path: Path) -> None:
    SqliteStore(str(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()

    with pytest.raises(StoreRefused, match="99"):
        SqliteStore(str(path))


def test_the_file_is_readable_by_its_owner_only(path: Path, store: SqliteStore) -> None:
    assert 0o600 == path.stat().st_mode & 0o777


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(file_systems, "file_system_of", lambda _: kind)

    with pytest.raises(StoreRefused, match="network file system"):
        SqliteStore(str(tmp_path / "a.db"))


def test_the_innermost_mount_is_the_one_that_counts(tmp_path: Path) -> None:
    mounts = "\n".join(
        [
            "/dev/vda / ext4 rw 0 0",
            "server:/data /data nfs4 rw 0 0",
            "/dev/vdb /data/local\\040disk ext4 rw 0 0",
            "server:/other /database nfs rw 0 0",
        ]
    )

    assert "ext4" == file_systems.file_system_of("/home/x.db", mounts)
    assert "nfs4" == file_systems.file_system_of("/data/x.db", mounts)
    assert "ext4" == file_systems.file_system_of("/data/local disk/x.db", mounts)
    assert "ext4" == file_systems.file_system_of("/data.db", mounts)
    assert None is file_systems.file_system_of("/x", "")


def test_insert_or_replace_does_not_get_past_the_trigger(store: SqliteStore) -> None:
    put(store, append(event(ALICE, 1)))

    with pytest.raises(sqlite3.IntegrityError, match="never changed"), store.datastore.write() as connection:
        connection.execute("INSERT OR REPLACE INTO stored_events VALUES (1, 'x', 1, 't', 1, x'00', x'00')")

    assert ALICE == store.read_log(0, 1)[0].stream_id


# The write-ahead log.


def wal_size(path: Path) -> int:
    return Path(f"{path}-wal").stat().st_size


def test_the_write_ahead_log_is_emptied_when_it_has_grown(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.datastore, "_checkpoint_from", 100_000)
    monkeypatch.setattr(sqlite_datastore, "WAL_BYTES_MAX", 100_000)
    sizes = []
    for number in range(1, 101):
        put(store, append(event(ALICE, number, b"x" * 4000)))
        sizes.append(wal_size(path))

    assert max(sizes) < 120_000
    assert 2 <= sum(size == 0 for size in sizes) <= 50
    assert 100 == len(whole_log(store))


def test_a_reader_that_stays_does_not_hold_up_writers_and_the_log_is_emptied_later(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.datastore, "_checkpoint_from", 50_000)
    monkeypatch.setattr(sqlite_datastore, "WAL_BYTES_MAX", 50_000)
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM stored_events").fetchone()

    for number in range(1, 31):
        put(store, append(event(ALICE, number, b"x" * 4000)))
    kept = wal_size(path)
    reader.execute("COMMIT")
    reader.close()
    for number in range(31, 61):
        put(store, append(event(ALICE, number, b"x" * 4000)))

    assert kept > 100_000
    assert wal_size(path) < kept
    assert 60 == len(whole_log(store))


def test_readers_never_checkpoint_not_even_the_last_to_close(path: Path, store: SqliteStore) -> None:
    put(store, append(event(ALICE, 1, b"x" * 4000)))
    before = path.read_bytes()
    store.head()

    store.datastore._fail()  # The writer is gone without a checkpoint; now the readers close.

    assert before == path.read_bytes()
    assert wal_size(path) > 0
    again = SqliteStore(str(path))
    assert Head(1, NOON) == again.head()
    again.close()


def test_closing_leaves_one_file_and_two_empty_ones(path: Path) -> None:
    store = SqliteStore(str(path))
    put(store, append(event(ALICE, 1)))
    store.head()
    store.close()

    assert {"ledger.db", "ledger.db.lock", "ledger.db.turn"} == {file.name for file in path.parent.iterdir()}
    assert 0 == Path(f"{path}.lock").stat().st_size == Path(f"{path}.turn").stat().st_size


def test_another_store_still_works_after_one_of_two_was_closed(path: Path, store: SqliteStore) -> None:
    other = SqliteStore(str(path))
    put(other, append(event(ALICE, 1)))
    other.close()

    put(store, append(event(ALICE, 2)))

    assert 2 == len(whole_log(store))


def test_a_store_without_its_checkpoint_is_recovered_by_the_next(path: Path) -> None:
    child = fresh.Process(target=_write_and_die, args=(str(path),))
    child.start()
    child.join()
    assert wal_size(path) > 0

    store = SqliteStore(str(path))

    assert 10 == len(whole_log(store))
    store.close()


def _write_and_die(path: str) -> None:
    store = SqliteStore(path)
    for number in range(1, 11):
        put(store, append(event(ALICE, number)))
    os._exit(0)


# The writer lock.


def test_a_lock_that_another_process_keeps_ends_in_a_definite_error(path: Path) -> None:
    store = SqliteStore(str(path), lock_timeout_s=0.1)
    with WriterLock(str(path), 1.0), pytest.raises(StoreFailed, match="another process"):
        put(store, append(event(ALICE, 1)))

    assert [Appended(1, 1, NOON)] == put(store, append(event(ALICE, 1)))
    store.close()


def is_held(file: Path) -> bool:
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_who_waits_gets_the_lock_before_the_one_that_lets_go_of_it(path: Path) -> None:
    greedy, patient = WriterLock(str(path), 5.0), WriterLock(str(path), 5.0)
    order: list[str] = []

    def wait() -> None:
        with patient:
            order.append("patient")

    for _ in range(5):
        with greedy:
            waiter = threading.Thread(target=wait)
            waiter.start()
            eventually(lambda: is_held(path.with_name(f"{path.name}.turn")))  # It waits now.
        with greedy:
            order.append("greedy")
        waiter.join()

    assert ["patient", "greedy"] * 5 == order
    greedy.close()
    patient.close()


# Errors of the disk.


def test_a_full_disk_is_a_definite_error_and_the_store_goes_on(store: SqliteStore) -> None:
    put(store, append(event(ALICE, 1)))
    writer = store.datastore._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count={pages}")

    with pytest.raises(StoreFailed, match="full"):
        put(store, append(event(ALICE, 2, b"x" * 100_000), request=1))

    writer.execute("PRAGMA max_page_count=1000000")
    assert [Appended(2, 2, NOON)] == put(store, append(event(ALICE, 2), request=1))
    assert 2 == len(whole_log(store))


def test_a_disk_that_is_full_at_the_commit_is_a_definite_error_too(store: SqliteStore) -> None:
    fault_points.install(fault_points.parse("append.before_commit:1:enospc"))

    with pytest.raises(StoreFailed):
        put(store, append(event(ALICE, 1), request=1))
    fault_points.install(None)

    assert [Appended(1, 1, NOON)] == put(store, append(event(ALICE, 1), request=1))


def test_an_error_of_the_disk_before_the_commit_is_definite_and_closes_the_store(path: Path) -> None:
    store = SqliteStore(str(path))
    fault_points.install(fault_points.parse("append.after_insert:1:eio"))

    with pytest.raises(StoreFailed):
        put(store, append(event(ALICE, 1)))
    fault_points.install(None)
    with pytest.raises(StoreClosed):
        put(store, append(event(ALICE, 1)), known_head=0)

    after = SqliteStore(str(path))
    assert Head(0, 0) == after.head()
    after.close()


def test_after_an_error_of_the_disk_nothing_more_is_taken(path: Path) -> None:
    """In a process of its own, whose files may not grow: writing the log then fails, as a broken disk would."""
    child = subprocess.run(
        [sys.executable, "-c", _ON_A_BROKEN_DISK, str(path)], capture_output=True, text=True, timeout=60, check=False
    )

    assert "" == child.stderr
    unknown, closed = child.stdout.splitlines()
    assert unknown in {OutcomeUnknown.__name__, StoreFailed.__name__}
    assert StoreClosed.__name__ == closed
    after = SqliteStore(str(path))
    rows = whole_log(after)
    assert len(rows) in {1, 2}
    assert (len(rows) == 2) == bool(after.find_requests([key(1)]))
    if unknown == StoreFailed.__name__:
        assert len(rows) == 1
    after.close()


_ON_A_BROKEN_DISK = """
import resource, sys
from ledger.log.sqlite_store import SqliteStore
from ledger.testing.store_samples import ALICE, append, event, put
from ledger.domain.errors import LedgerError
import os
store = SqliteStore(sys.argv[1])
put(store, append(event(ALICE, 1)))
size = os.stat(sys.argv[1] + "-wal").st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, size + 10))
for _ in range(2):
    try:
        put(store, append(event(ALICE, 2), request=1), known_head=1)
    except LedgerError as error:
        print(type(error).__name__)
"""


# Addresses.


@pytest.mark.parametrize(
    "url",
    ["", "ledger.db", "sqlite:", "sqlite://", "sqlite:///", "sqlite://host/x.db", "sqlite:///x?mode=ro", "mysql://x"],
)
def test_what_is_no_address_of_a_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        open_store(url)


def test_an_address_keeps_every_character_of_the_path(tmp_path: Path) -> None:
    path = tmp_path / "a folder%20?#é"
    path.mkdir()

    open_store(sqlite_url(path / "ledger.db")).close()

    assert (path / "ledger.db").exists()


def test_a_folder_that_is_not_there_is_a_definite_error(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        open_store(sqlite_url(tmp_path / "missing" / "ledger.db"))


@pytest.mark.parametrize("value, refused", [("y", True), ("True", True), ("1", True), ("no", False), ("", False)])
def test_inserts_without_a_lock_are_refused(value: str, refused: bool) -> None:
    environment = {"POSTGRES_ENABLE_DB_FUNCTIONS": value}
    if refused:
        with pytest.raises(StoreRefused, match="POSTGRES_ENABLE_DB_FUNCTIONS"):
            refuse_db_functions(environment)
    else:
        refuse_db_functions(environment)
        refuse_db_functions({})
