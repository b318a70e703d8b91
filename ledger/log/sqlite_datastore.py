"""Connections to one SQLite file: what they are set to, who may write, when the write-ahead log is emptied.

Three rules, each from a measured or published fault (docs/adr, invariants A4, A10, A11):

- `synchronous=FULL` on every connection, read back: with NORMAL an acknowledged write is lost with the power.
- One writing connection per process, used only under `WriterLock`; it alone checkpoints. Readers open the file
  read-only, so that none of them can checkpoint, not even the last one to close.
- After an error of the disk nothing is certain any more: the store closes itself, without a checkpoint.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal
from urllib.parse import quote

from eventsourcing import persistence
from eventsourcing.sqlite import SQLiteCursor, SQLiteDatastore

from ledger.domain.errors import OutcomeUnknown, StoreClosed, StoreFailed, StoreRefused
from ledger.log.file_systems import refuse_network_file_system
from ledger.log.lending import Shelf
from ledger.log.writer_lock import WriterLock
from ledger.testing.fault_points import reach

OLDEST_SQLITE = (3, 38, 0)
"""STRICT, RETURNING and json_each are there without asking."""

WAL_RESET_MENDED = (3, 51, 3)
"""First version without the fault A11; before it, health says that the rule of this module stands in."""

WAL_BYTES_MAX = 8 * 1024 * 1024
"""Size of the write-ahead log, in bytes, from which a commit is followed by a checkpoint."""

_DISK_ERRORS = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN}
_IDLE_READERS_MAX = 8


class SqliteDatastore(SQLiteDatastore):
    """The library's datastore, with connections, locks and durability of our own."""

    def __init__(
        self,
        path: str,
        *,
        lock_timeout_s: float = 10.0,
        originator_id_type: Literal["uuid", "text"] = "text",
    ) -> None:
        """Open or create the file at `path`.

        lock_timeout_s: how long a write waits for other writers. originator_id_type: what the library's methods
        return as id of a stream; the library's suites use UUIDs.

        Raises:
            StoreRefused: the file lies on a network file system, or a setting cannot be had.
            StoreFailed: the file cannot be opened.
        """
        # The library's __init__ is not called: it makes a pool whose connections have none of our settings.
        self.single_row_tracking = True
        self.originator_id_type = originator_id_type
        self.path = os.path.realpath(path)
        self._timeout_s = lock_timeout_s
        self._closed = False
        self._checkpoint_from = WAL_BYTES_MAX
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreRefused(f"SQLite is {sqlite3.sqlite_version}, and must be at least {_dotted(OLDEST_SQLITE)}")
        refuse_network_file_system(self.path)
        try:
            _create_private(self.path)
            self._lock = WriterLock(self.path, lock_timeout_s)
            self.readers = Shelf(lambda: self._connect("ro"), sqlite3.Connection.close, _IDLE_READERS_MAX)
            with self._lock:  # Two processes may be the first at once.
                self._writer = self._connect("rw")
                self._guard = self._open_guard()
        except (OSError, sqlite3.Error) as error:
            raise StoreFailed(f"the database cannot be opened: {error}") from error

    # The library's interface.

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """Yield a cursor in a transaction; errors of SQLite become the library's."""
        try:
            if commit:
                with self.write() as connection:
                    yield SQLiteCursor(_with_names(connection))
            else:
                reader = self.readers.take()
                try:
                    yield SQLiteCursor(_with_names(reader))
                finally:
                    self.readers.give(reader)
        except sqlite3.Error as error:
            raise getattr(persistence, type(error).__name__, persistence.PersistenceError)(error) from error

    def close(self) -> None:
        """Checkpoint and close. Waits for a write that is under way; reads under way end first on their own."""
        if "_lock" not in self.__dict__:  # __init__ failed early, and this is called by __del__.
            return
        try:
            with self._lock:
                if not self._closed and "_guard" in self.__dict__:
                    self._close_in_order()
        except StoreClosed:
            return
        except StoreFailed:  # The lock was not to be had: leave the write-ahead log to whoever holds it.
            self._fail()
        self._lock.close()

    # Ours.

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield the writing connection inside a transaction, which is durable when the block has ended.

        An error of the block rolls back and is raised on, if it says something about the data (IntegrityError).

        Raises:
            StoreFailed: nothing was written: the disk is full, or the lock was not to be had, or the disk failed
                before the commit.
            OutcomeUnknown: the disk failed during the commit. The store is closed then.
            StoreClosed: nothing was done.
        """
        reach("append.before_lock")
        with self._lock:
            self._check_open()
            reach("append.after_lock")
            with self._rolled_back_on_error() as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                reach("append.after_insert")
            self._commit()
            self._checkpoint_when_due()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a query, as plain tuples.

        Raises:
            StoreFailed: the query could not be answered.
            StoreClosed: the store is closed.
        """
        readers = self.readers
        try:
            reader = readers.take()
            try:
                return reader.execute(sql, parameters).fetchall()
            finally:
                readers.give(reader)
        except (sqlite3.Error, OverflowError) as error:
            raise StoreFailed(f"a read failed: {error}") from error

    def settings(self) -> dict[str, str]:
        """Return what the writing connection is set to, as read back, and the rule that stands in for A11."""
        found = {name: str(wanted) for name, wanted in _settings(self._timeout_s, "rw").items()}
        mended = sqlite3.sqlite_version_info >= WAL_RESET_MENDED
        return found | {
            "wal_reset": "mended in this version" if mended else "one checkpointer, which holds the writer lock"
        }

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store is closed")

    @contextmanager
    def _rolled_back_on_error(self) -> Iterator[sqlite3.Connection]:
        """Roll back what the block did should it fail; say StoreFailed where the database is the cause."""
        try:
            yield self._writer
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError):
            self._roll_back()
            raise
        except (sqlite3.Error, OSError) as error:
            self._roll_back()
            if _is_of_the_disk(error):
                self._fail()
            raise StoreFailed(f"nothing was written: {error}") from error
        except BaseException:
            self._roll_back()
            raise

    def _commit(self) -> None:
        try:
            reach("append.before_commit")
            self._writer.execute("COMMIT")
        except Exception as error:
            if _is_full(error):
                # The frame that commits was not written, so the transaction is not there (A10).
                self._roll_back()
                raise StoreFailed(f"nothing was written: {error}") from error
            self._fail()
            raise OutcomeUnknown(f"the commit may or may not be on disk: {error}") from error
        try:
            reach("append.after_commit")
        except Exception as error:
            raise OutcomeUnknown(f"the commit is on disk, and its writer failed: {error}") from error

    def _roll_back(self) -> None:
        try:
            if self._writer.in_transaction:  # SQLite rolls back by itself after some errors.
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:
            self._fail()

    def _checkpoint_when_due(self) -> None:
        """Empty the write-ahead log when it has grown; an error of the disk closes the store for later calls."""
        try:
            size = os.stat(self.path + "-wal").st_size
            if size >= self._checkpoint_from:
                self._checkpoint_from = WAL_BYTES_MAX if self._checkpoint() else size + WAL_BYTES_MAX
        except (sqlite3.Error, OSError) as error:
            # The commit before it is durable and stays acknowledged. On a full disk the log stays as it is and is
            # tried again; after any other error nothing more is written to this disk.
            if not _is_full(error):
                self._fail()

    def _checkpoint(self) -> bool:
        """Empty the write-ahead log into the database; False where a reader still needs a part of it."""
        # Not waiting for readers: they would hold up all writers. What they keep is emptied next time.
        self._writer.execute("PRAGMA busy_timeout=0").fetchone()
        try:
            busy, _, _ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._writer.execute(f"PRAGMA busy_timeout={_milliseconds(self._timeout_s)}").fetchone()
        return not busy

    def _fail(self) -> None:
        """Close without a checkpoint: after a failed sync, what the log holds must not be taken for durable."""
        self._closed = True
        self.readers.close()
        with suppress(sqlite3.Error):
            self._writer.close()  # Not the last connection to close, so SQLite leaves the log as it is.
        with suppress(sqlite3.Error):
            self._guard.close()  # Read-only, so it cannot checkpoint.

    def _close_in_order(self) -> None:
        """Close the readers, then the writer: as the last connection of all it empties the log, under the lock."""
        self._closed = True
        self.readers.close()
        with suppress(sqlite3.Error):
            self._guard.close()
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._writer.close()

    def _open_guard(self) -> sqlite3.Connection:
        guard = self._connect("ro")
        guard.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # Takes the shared lock, and keeps it.
        return guard

    def _connect(self, mode: Literal["rw", "ro"]) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(self.path)}?mode={mode}",
            uri=True,
            timeout=self._timeout_s,
            isolation_level=None,  # Transactions are begun by hand, with BEGIN IMMEDIATE.
            check_same_thread=False,  # One thread at a time: the writer under its lock, readers by the shelf.
        )
        try:
            for name, wanted in _settings(self._timeout_s, mode).items():
                connection.execute(f"PRAGMA {name}={wanted}").fetchone()
                (found,) = connection.execute(f"PRAGMA {name}").fetchone()
                if found != wanted:
                    raise StoreRefused(f"SQLite's {name} is {found}, and must be {wanted}")
        except BaseException:
            connection.close()
            raise
        return connection


def _settings(timeout_s: float, mode: Literal["rw", "ro"]) -> dict[str, str | int]:
    """Return the settings of a connection, each as SQLite gives it back when it is asked."""
    return {
        "busy_timeout": _milliseconds(timeout_s),
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "wal_autocheckpoint": 0,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "recursive_triggers": 1,  # Else INSERT OR REPLACE deletes past the trigger that refuses it.
        "query_only": 1 if mode == "ro" else 0,
        "cache_size": -8192 if mode == "ro" else -32768,  # In KiB.
    }


def _with_names(connection: sqlite3.Connection) -> sqlite3.Cursor:
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor


def _is_of_the_disk(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DISK_ERRORS
    return isinstance(error, OSError) and error.errno != errno.ENOSPC


def _is_full(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno == errno.ENOSPC


def _create_private(path: str) -> None:
    """Create the file, readable by its owner only, and make its name durable; leave one that exists as it is.

    Only if it is not there: opening and closing a database's file by hand would drop SQLite's locks on it.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        # SQLite syncs the folder for the files that it creates itself, and this one it finds.
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
