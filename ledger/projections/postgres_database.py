"""Projections in PostgreSQL: a schema of their own, in the database of the events.

Commits are not waited for (`synchronous_commit=off`): after a crash of the server, rows and checkpoint end together at
some earlier commit, and what is missing is folded again.
"""
# ruff: noqa: S608  # Names come from the tables that a projection declares and from numbers; values are parameters.

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, cast

import psycopg
from psycopg.abc import QueryNoTemplate
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import UndefinedTable

from ledger.domain.errors import StoreClosed, StoreFailed
from ledger.projections.database import (
    ADD_CHECKPOINT,
    REGISTER,
    Database,
    Generation,
    Lock,
    Query,
    Session,
    Standstill,
    T,
    position_of,
    swap,
    upsert,
)
from ledger.projections.tables import Projection, Table

SCHEMA: Final = "rapport_projections"

_DEFAULTS: Final = {"application_name": "rapport projections", "client_encoding": "UTF8", "connect_timeout": 5}
_SETTINGS: Final = {
    "search_path": SCHEMA,
    "synchronous_commit": "off",
    "lock_timeout": "30s",
    # Every question has an index, also while a table is young and the planner knows nothing of it.
    "enable_seqscan": "off",
    "jit": "off",
}
_HAS_CHECKPOINT: Final = """
    SELECT 1 FROM information_schema.columns
    WHERE table_schema = ? AND table_name = 'projections' AND column_name = 'checkpoint'"""
_PAGE_ROWS: Final = 1_000
_IDLE_SESSIONS_MAX: Final = 4
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

_TEXT: Final = 'text COLLATE "C"'

Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresDatabase(Database):
    """The schema of projections in one database, for any number of processes."""

    def __init__(self, url: str) -> None:
        """Connect to the database at `url`; create the schema where it is missing.

        Raises:
            StoreFailed: it cannot be reached, or the schema cannot be created.
        """
        self._conninfo: dict[str, Any] = {**_DEFAULTS, **conninfo_to_dict(url)}
        self._closed = False
        self._idle: deque[Connection] = deque()
        with self.writing() as session:
            # Two processes may be the first at once, and IF NOT EXISTS does not make them wait for each other.
            session.rows("SELECT pg_advisory_xact_lock(?)", (_lock_number("schema"),))
            if not session.rows("SELECT 1 FROM pg_namespace WHERE nspname = ?", (SCHEMA,)):
                session.change(f"CREATE SCHEMA {SCHEMA}")
            session.change(REGISTER)
            if not session.rows(_HAS_CHECKPOINT, (SCHEMA,)):
                session.change(ADD_CHECKPOINT)

    def read(self, projection: Projection, ask: Callable[[Query], T]) -> T | None:
        """Return what `ask` finds out; asked again where a swap took the tables away meanwhile."""
        try:
            return super().read(projection, ask)
        except StoreFailed as error:
            if not isinstance(error.__cause__, UndefinedTable):
                raise
        return super().read(projection, ask)

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Begin a transaction that reads."""
        with self._session() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("SELECT 1")  # The moment is that of the first look.
            yield _PostgresSession(connection)

    @contextmanager
    def glance(self) -> Iterator[Session]:
        """Answer questions outside of a transaction."""
        with self._session() as connection:
            yield _PostgresSession(connection)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Begin a transaction that writes."""
        with self._session() as connection, connection.transaction():
            yield _PostgresSession(connection)

    @contextmanager
    def standstill(self, generation: Generation) -> Iterator[Standstill]:
        """Lock the row of the checkpoint, for which everybody waits who wants to move it."""
        with self.writing() as session:
            position = position_of(session, generation, " FOR UPDATE")
            yield Standstill(position, partial(swap, session, generation))

    def try_lock(self, name: str) -> Lock | None:
        """Return an advisory lock, on a connection of its own."""
        self._check_open()
        connection = self._connect()
        try:
            found = connection.execute("SELECT pg_try_advisory_lock(%s)", (_lock_number(name),)).fetchone()
        except psycopg.Error as error:
            connection.close()
            raise StoreFailed(f"the projections do not answer: {error}") from error
        if found != (True,):
            connection.close()
            return None
        return _AdvisoryLock(connection)

    def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _create_table(self, name: str, table: Table) -> str:
        return f"CREATE TABLE {name} ({_columns(table)}, PRIMARY KEY ({', '.join(table.key)}))"

    def _merge(self, session: Session, name: str, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        # Copied into a table of this connection and merged from there: one statement, however many rows.
        stage = f"stage_{table.name}"
        session.change(f"CREATE TEMPORARY TABLE IF NOT EXISTS {stage} ({_columns(table)}) ON COMMIT DELETE ROWS")
        cast("_PostgresSession", session).copy(f"COPY {stage} ({table.names}) FROM STDIN", rows)
        source = f"SELECT {table.names} FROM {stage}"
        session.change(upsert(name, table, source, "least", "greatest"))

    def index(self, projection: Projection, generation: Generation) -> None:
        """Make the indexes, and let the planner know the tables."""
        super().index(projection, generation)
        with self.writing() as session:
            for name in generation.tables.values():
                session.change(f"ANALYZE {name}")

    @contextmanager
    def _session(self) -> Iterator[Connection]:
        self._check_open()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except psycopg.Error as error:
            connection.close()
            raise StoreFailed(f"the projections do not answer: {error}") from error
        except BaseException:
            connection.close()
            raise
        if self._closed or connection.closed or len(self._idle) >= _IDLE_SESSIONS_MAX:
            connection.close()
        else:
            self._idle.append(connection)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the projections are closed")

    def _connect(self) -> Connection:
        try:
            connection = psycopg.connect(**self._conninfo, autocommit=True)
            for name, value in _SETTINGS.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        except psycopg.Error as error:
            raise StoreFailed(f"the projections cannot be reached: {error}") from error
        return connection


class _PostgresSession:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(_own(sql), parameters).fetchall()

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(_own(sql), parameters or None).rowcount

    def change_each(self, sql: str, parameters: Iterable[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_own(sql), parameters)

    def pages(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Sequence[tuple[Any, ...]]]:
        with self._connection.cursor(name=f"pages_{id(sql)}") as cursor:
            cursor.execute(_own(sql), parameters)
            while page := cursor.fetchmany(_PAGE_ROWS):
                yield page

    def copy(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        lines = ["\t".join(str(value).translate(_ESCAPES) for value in row) for row in rows]
        with self._connection.cursor().copy(_own(sql)) as copy:
            copy.write("\n".join(lines) + "\n")


class _AdvisoryLock:
    """Held by a connection, and lost with it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def held(self) -> bool:
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def release(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()


def _columns(table: Table) -> str:
    return ", ".join(f"{column.name} {_TEXT if column.text else 'bigint'} NOT NULL" for column in table.columns)


def _own(sql: str) -> QueryNoTemplate:
    """Return a statement with parameters as psycopg writes them; ours have no percent signs."""
    return sql.replace("?", "%s").encode()


def _lock_number(name: str) -> int:
    """Return the number of an advisory lock: the same in every process, and unlikely to be that of another program."""
    return int.from_bytes(hashlib.sha256(f"{SCHEMA}.{name}".encode()).digest()[:8], signed=True)
