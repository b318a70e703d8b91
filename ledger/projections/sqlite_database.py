"""Projections in an SQLite file of their own, beside that of the events.

Of their own, so that folding never waits for the lock of those who record, nor they for it. `synchronous=NORMAL` is
enough: after a loss of power the file is whole and ends at some earlier commit, rows and checkpoint together, and what
is missing is folded again.

Whoever writes or checkpoints does so under a lock file, because SQLite before 3.51.3 can damage a file when one
connection resets the write-ahead log while another writes (A11). Readers open the file read-only.
"""
# Names come from the tables that a projection declares and from numbers; values are parameters.

import fcntl
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from ledger.domain.errors import StoreClosed, StoreFailed
from ledger.projections.database import (
    ADD_CHECKPOINT,
    REGISTER,
    Database,
    Generation,
    Lock,
    Session,
    Standstill,
    position_of,
    swap,
    upsert,
)
from ledger.projections.tables import Merge, Table

_HAS_CHECKPOINT: Final = "SELECT 1 FROM pragma_table_info('projections') WHERE name = 'checkpoint'"
_TIMEOUT_S: Final = 30.0
"""How long one who writes waits for another."""
_WAL_BYTES_MAX: Final = 2 * 1024 * 1024
"""Size of the write-ahead log from which a commit is followed by a checkpoint.

Nobody else writes during one, and it costs a sync of whatever pages changed: 10 ms for so much, 50 ms for eight times
as much, which every change that is found then would be late by.
"""
_LOOK_MIN_S: Final = 0.00025
_LOOK_MAX_S: Final = 0.005
"""Seconds between looks whether another process still writes: twice as many each time, within these."""
_PAGE_ROWS: Final = 1_000
_IDLE_READERS_MAX: Final = 4


class SqliteDatabase(Database):
    """One file of projections, for any number of processes."""

    def __init__(self, path: Path) -> None:
        """Open or create the file at `path`.

        Raises:
            StoreFailed: it cannot be opened. Deleting it is always safe.
        """
        self._path = str(path.absolute())
        self._closed = False
        self._idle: deque[sqlite3.Connection] = deque()
        self._lock = _WriteLock(f"{self._path}.write")
        try:
            with self._lock:
                self._writer = self._connect("rwc")
                self._writer.execute(REGISTER)
                if not self._writer.execute(_HAS_CHECKPOINT).fetchone():
                    self._writer.execute(ADD_CHECKPOINT)
        except (OSError, sqlite3.Error) as error:
            self._lock.close()
            raise StoreFailed(
                f"the projections in {path.name} cannot be opened, and may be deleted: {error}"
            ) from error

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Begin a transaction that reads."""
        with self._reader() as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT 1 FROM projections LIMIT 1").fetchone()  # The moment is that of the first look.
            yield _SqliteSession(reader)
            reader.execute("COMMIT")

    @contextmanager
    def glance(self) -> Iterator[Session]:
        """Answer questions outside of a transaction."""
        with self._reader() as reader:
            yield _SqliteSession(reader)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Begin a transaction that writes."""
        with self._lock, _failures():
            self._check_open()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteSession(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            self._checkpoint_when_due()

    @contextmanager
    def standstill(self, generation: Generation) -> Iterator[Standstill]:
        """Keep everybody else from writing at all."""
        with self._lock:
            with self.snapshot() as session:
                position = position_of(session, generation)
            yield Standstill(position, partial(self._swap, generation))

    def try_lock(self, name: str) -> Lock | None:
        """Return a lock on a file beside the database."""
        return _FileLock.taken(f"{self._path}.{name}")

    def close(self) -> None:
        """Checkpoint, and let go of the file."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            with suppress(sqlite3.Error):
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._writer.close()
        self._lock.close()

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that reads; closed where anything fails meanwhile."""
        self._check_open()
        with _failures():
            try:
                reader = self._idle.pop()
            except IndexError:
                reader = self._connect("ro")
            try:
                yield reader
            except BaseException:
                reader.close()
                raise
            if self._closed or len(self._idle) >= _IDLE_READERS_MAX:
                reader.close()
            else:
                self._idle.append(reader)

    def _create_table(self, name: str, table: Table) -> str:
        columns = ", ".join(
            f"{column.name} {'TEXT' if column.text else 'INTEGER'} NOT NULL" for column in table.columns
        )
        return f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({', '.join(table.key)})) STRICT, WITHOUT ROWID"

    def _merge(self, session: Session, name: str, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        source = f"VALUES ({', '.join('?' * len(table.columns))})"
        # In the order of the key, so that neighbours are found on the same page of the file.
        keys = sum(column.merge is Merge.KEY for column in table.columns)
        session.change_each(upsert(name, table, source, "min", "max"), sorted(rows, key=itemgetter(*range(keys))))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the projections are closed")

    def _swap(self, live: Generation, built: Generation) -> None:
        with self.writing() as session:
            swap(session, live, built)

    def _checkpoint_when_due(self) -> None:
        with suppress(FileNotFoundError):
            if os.stat(f"{self._path}-wal").st_size >= _WAL_BYTES_MAX:
                # Not waiting for readers; what they keep is emptied another time.
                self._writer.execute("PRAGMA busy_timeout=0").fetchone()
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                self._writer.execute(f"PRAGMA busy_timeout={int(_TIMEOUT_S * 1000)}").fetchone()

    def _connect(self, mode: Literal["rwc", "ro"]) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(self._path)}?mode={mode}",
            uri=True,
            timeout=_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,  # One thread at a time: the writer under its lock, readers by the shelf.
        )
        for setting in ("journal_mode=wal", "synchronous=NORMAL", "wal_autocheckpoint=0", "cache_size=-16384"):
            connection.execute(f"PRAGMA {setting}").fetchone()
        return connection


class _SqliteSession:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, parameters).rowcount

    def change_each(self, sql: str, parameters: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(sql, parameters)

    def pages(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Sequence[tuple[Any, ...]]]:
        cursor = self._connection.execute(sql, parameters)
        while page := cursor.fetchmany(_PAGE_ROWS):
            yield page


class _WriteLock:
    """One writer at a time, among threads and processes; a thread that has it may take it again."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = threading.RLock()
        self._depth = 0
        self._file: _FileLock | None = None

    def __enter__(self) -> None:
        if not self._thread.acquire(timeout=_TIMEOUT_S):
            raise StoreFailed(f"another thread wrote projections for {_TIMEOUT_S} s")
        try:
            if not self._depth:
                self._file = self._wait_for_file()
        except BaseException:
            self._thread.release()
            raise
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self.close()
        self._thread.release()

    def close(self) -> None:
        if self._file is not None:
            self._file.release()
            self._file = None

    def _wait_for_file(self) -> "_FileLock":
        deadline, pause_s = time.monotonic() + _TIMEOUT_S, _LOOK_MIN_S
        while (lock := _FileLock.taken(self._path)) is None:
            if time.monotonic() > deadline:
                raise StoreFailed(f"another process wrote projections for {_TIMEOUT_S} s")
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LOOK_MAX_S)
        return lock


class _FileLock:
    """A lock on an empty file, which stays where it is. The operating system lets go of it when the process ends."""

    def __init__(self, file: int) -> None:
        self._file = file

    @classmethod
    def taken(cls, path: str) -> "_FileLock | None":
        """Return the lock on `path`.lock, or None where somebody has it."""
        try:
            file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreFailed(f"the lock of the projections cannot be opened: {error}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        return cls(file)

    def held(self) -> bool:
        return self._file >= 0

    def release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreFailed(f"the projections do not answer: {error}") from error
