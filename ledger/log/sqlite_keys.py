"""Keys in an SQLite file of their own: for the embedded shape.

A destroyed key must be gone from the file, so that no copy of it may ever be made. Three choices follow.

* `journal_mode=TRUNCATE` instead of a write-ahead log: a log would keep page after page with keys until it is emptied
  (A15), brings the fault A11, and needs a checkpointer with a lock. Here the journal is empty after every commit, and
  with `synchronous=FULL` its truncation is synced too, so that no commit comes undone with the power (DELETE would
  need `synchronous=EXTRA` for that). It costs some milliseconds a transaction; keys are written seldom, in batches.
* A key is destroyed by overwriting its row in place with as many zero bytes. `secure_delete=ON` clears what SQLite
  itself leaves behind when it rearranges pages: without it some destroyed keys stayed in free space.
* No row is ever deleted, and no tombstone brought back to life: triggers refuse both.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Final
from urllib.parse import quote

from ledger.domain.errors import StoreClosed, StoreFailed, StoreRefused
from ledger.log.file_systems import refuse_network_file_system
from ledger.log.keks import WRAPPED_BYTES, sync_folder
from ledger.log.keys import KeyRow, KeyStoreMismatch
from ledger.testing.fault_points import reach

_MODE = 0o600

_SETTINGS: Final[dict[str, str | int]] = {
    "journal_mode": "truncate",
    "synchronous": 2,  # FULL
    "secure_delete": 1,
    "temp_store": 2,  # MEMORY: no key in a temporary file.
    "foreign_keys": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "recursive_triggers": 1,  # Else INSERT OR REPLACE deletes past the trigger that refuses it.
}

_SCHEMA = """
CREATE TABLE IF NOT EXISTS key_store (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    log_id TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS data_key (
    row_id INTEGER PRIMARY KEY,
    key_id TEXT NOT NULL UNIQUE,
    kek_id TEXT NOT NULL,
    wrapped BLOB NOT NULL CHECK (length(wrapped) = 61) -- Zero bytes: destroyed.
);
CREATE TABLE IF NOT EXISTS destroyed_key (
    key_id TEXT PRIMARY KEY REFERENCES data_key (key_id),
    destroyed_time INTEGER NOT NULL -- Microseconds since the epoch.
);
CREATE TRIGGER IF NOT EXISTS data_key_stays BEFORE DELETE ON data_key
    BEGIN SELECT RAISE(ABORT, 'a key is destroyed by overwriting it, never deleted'); END;
CREATE TRIGGER IF NOT EXISTS data_key_stays_destroyed BEFORE UPDATE ON data_key
    WHEN OLD.wrapped = zeroblob(61) AND NEW.wrapped <> OLD.wrapped
    BEGIN SELECT RAISE(ABORT, 'a destroyed key stays destroyed'); END;
"""

_FIND = "SELECT key_id, kek_id, wrapped FROM data_key WHERE key_id IN (SELECT value FROM json_each(?))"

_BUGS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)

# Errors after which the file is as it was before the transaction: busy, full, read-only.
_CLEAN_ERRORS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}


class SqliteKeyTable:
    """The wrapped keys of one log in one file of mode 0600. Any number of processes may use it at once."""

    def __init__(self, path: Path, log_id: str, *, lock_timeout_s: float = 10.0) -> None:
        """Open the file at `path`, or create it for this log.

        lock_timeout_s: how long a call waits for other processes.

        Raises:
            StoreRefused: the file can be read by others, lies on a network file system, or a setting cannot be had.
            KeyStoreMismatch: it holds the keys of another log.
            StoreFailed: it cannot be opened.
        """
        refuse_network_file_system(str(path))
        self._lock = Lock()
        self._closed = False
        try:
            _create_private(path)
            self._connection = _connect(path, lock_timeout_s)
        except (OSError, sqlite3.Error) as error:
            raise StoreFailed(f"the key store cannot be opened: {error}") from error
        try:
            self._bind(log_id)
        except BaseException:
            self.close()
            raise

    def find(self, key_ids: Sequence[str]) -> dict[str, KeyRow]:
        """Return the rows that exist under these ids; see `KeyTable`."""
        with self._lock, self._failing():
            return self._rows(key_ids)

    def create(self, rows: Sequence[KeyRow]) -> dict[str, KeyRow]:
        """Store those rows whose id is new, and return the row in force under every id; see `KeyTable`."""
        assert all(len(row.wrapped) == WRAPPED_BYTES for row in rows)
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO data_key (key_id, kek_id, wrapped) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows
            )
            return self._rows([row.key_id for row in rows])

    def destroy(self, key_ids: Sequence[str], destroyed_time: int) -> None:
        """Overwrite the keys under these ids and leave tombstones; see `KeyTable`."""
        tombstones = [(key_id, "", bytes(WRAPPED_BYTES)) for key_id in key_ids]
        with self._transaction() as connection:
            # As long as what it overwrites, so that SQLite writes it in the same place.
            connection.executemany(
                "INSERT INTO data_key (key_id, kek_id, wrapped) VALUES (?, ?, ?)"
                " ON CONFLICT (key_id) DO UPDATE SET wrapped = excluded.wrapped",
                tombstones,
            )
            connection.executemany(
                "INSERT INTO destroyed_key (key_id, destroyed_time) VALUES (?, ?) ON CONFLICT DO NOTHING",
                [(key_id, destroyed_time) for key_id in key_ids],
            )

    def close(self) -> None:
        """Close the file. Calling it twice is the same as calling it once."""
        with self._lock:
            self._close()

    def description(self) -> dict[str, str]:
        """Return the version of SQLite and the settings that were read back when the file was opened."""
        return {"engine": "sqlite", "version": sqlite3.sqlite_version, **{k: str(v) for k, v in _SETTINGS.items()}}

    def _bind(self, log_id: str) -> None:
        with self._transaction() as connection:
            for statement in _statements(_SCHEMA):
                connection.execute(statement)
            connection.execute("INSERT INTO key_store VALUES (1, ?) ON CONFLICT DO NOTHING", (log_id,))
            (found,) = connection.execute("SELECT log_id FROM key_store").fetchone()
        if found != log_id:
            raise KeyStoreMismatch(found, log_id)

    def _rows(self, key_ids: Sequence[str]) -> dict[str, KeyRow]:
        found = self._connection.execute(_FIND, (json.dumps(list(key_ids)),))
        return {row[0]: KeyRow(*row) for row in found}

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction that is durable when the block has ended."""
        with self._lock, self._failing():
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            reach("keys.before_commit")
            connection.execute("COMMIT")
            reach("keys.after_commit")

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Roll back and say StoreFailed where the database does; close after an error of the disk."""
        if self._closed:
            raise StoreClosed("the key store is closed")
        try:
            yield
        except _BUGS:
            self._roll_back()
            raise
        except (sqlite3.Error, OSError) as error:
            self._roll_back()
            if not _is_clean(error):
                # What the operating system shows of the file may not be on the disk: nobody may use a key from it.
                self._close()
            raise StoreFailed(f"the key store failed: {error}") from error
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _close(self) -> None:
        self._closed = True
        with suppress(sqlite3.Error):
            self._connection.close()


def _connect(path: Path, lock_timeout_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=lock_timeout_s,
        isolation_level=None,  # Transactions are begun by hand, with BEGIN IMMEDIATE.
        check_same_thread=False,  # One thread at a time, under the table's lock.
    )
    try:
        for name, wanted in _SETTINGS.items():
            connection.execute(f"PRAGMA {name}={wanted}").fetchone()
            (found,) = connection.execute(f"PRAGMA {name}").fetchone()
            if found != wanted:
                raise StoreRefused(f"SQLite's {name} of the key store is {found}, and must be {wanted}")
    except BaseException:
        connection.close()
        raise
    return connection


def _create_private(path: Path) -> None:
    """Create the file, durable and readable by its owner only; refuse one that others can read.

    It is not opened if it is there: closing it by hand would drop SQLite's locks on it.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
        sync_folder(path.parent)
    mode = path.stat().st_mode & 0o777
    if mode != _MODE:
        raise StoreRefused(f"the key store {path} has mode {mode:04o}, and must have 0600: chmod 0600 it")


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script. `executescript` would commit what it finds open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _is_clean(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in _CLEAN_ERRORS
