"""Sessions with PostgreSQL: what they are set to, the one that writes, those that read.

After a commit was sent, only its answer says how it ended. A connection that is lost then leaves the outcome unknown,
and nothing is ever sent twice (A3). Before that, or when the server answers with an error, nothing was written.
"""

import select
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, NoReturn

import psycopg
from eventsourcing import persistence
from eventsourcing.postgres import PostgresDatastore as LibraryDatastore
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import BaseRowFactory, DictRow, dict_row, tuple_row

from ledger.domain.errors import LedgerError, OutcomeUnknown, StoreClosed, StoreFailed, StoreRefused
from ledger.log import postgres_arrays
from ledger.log.lending import Shelf
from ledger.testing.fault_points import reach

OLDEST_POSTGRES = 150000

DURABLE: Mapping[str, frozenset[str]] = {
    "fsync": frozenset({"on"}),
    "full_page_writes": frozenset({"on"}),
    "synchronous_commit": frozenset({"on", "remote_apply"}),
    "data_sync_retry": frozenset({"off"}),
    "server_encoding": frozenset({"UTF8"}),
}
"""Settings that durability rests on (and one that identity of text rests on), with the values that are accepted."""

_IDLE_READERS_MAX = 4
_READERS_MAX = 16

_DEFAULTS = {
    "application_name": "rapport",
    "client_encoding": "UTF8",
    "connect_timeout": 5,  # Seconds.
    "keepalives_idle": 10,  # Seconds.
    "tcp_user_timeout": 30_000,  # Milliseconds until unanswered data ends the connection.
}

Session = psycopg.Connection[Any]


class PostgresDatastore(LibraryDatastore):
    """The library's datastore, with sessions of our own."""

    def __init__(
        self,
        conninfo: str,
        *,
        lock_timeout_s: float = 10.0,
        statement_timeout_s: float = 30.0,
        originator_id_type: Literal["uuid", "text"] = "text",
    ) -> None:
        """Connect to the database that `conninfo` names (a URL or words, as libpq takes them).

        lock_timeout_s: how long a write waits for other writers. statement_timeout_s: how long any statement may
        take. originator_id_type: what the library's methods return as id of a stream.

        Raises:
            StoreRefused: a setting that durability rests on is off, or the server is too old.
            StoreFailed: the server cannot be reached.
        """
        # The library's __init__ is not called: it makes a pool that writes and reads share (A7).
        self.single_row_tracking = True
        self.originator_id_type = originator_id_type
        self.enable_db_functions = False  # With it readers miss events (A1).
        self.lock_timeout = int(lock_timeout_s)
        self.pool_open_timeout = None
        self.db_type_names = set()
        self.psycopg_type_adapters = {}
        self.psycopg_python_types = {}
        self._conninfo: dict[str, Any] = {**_DEFAULTS, **conninfo_to_dict(conninfo)}
        self._session_settings = {
            "lock_timeout": f"{int(lock_timeout_s * 1000)}ms",
            "statement_timeout": f"{int(statement_timeout_s * 1000)}ms",
            "idle_in_transaction_session_timeout": f"{int(statement_timeout_s * 1000)}ms",
            # Every query of a store has an index; without statistics the planner would scan a young table, and a
            # prepared statement would keep doing so while it grows.
            "enable_seqscan": "off",
            "jit": "off",
            # A database may default to another: then appends would fail for each other instead of waiting.
            "default_transaction_isolation": "read committed",
        }
        self._closed = False
        self._warned: str | None = None
        self._write_lock = threading.Lock()
        self._wait_s = lock_timeout_s
        self._reading = threading.BoundedSemaphore(_READERS_MAX)
        self.readers: Shelf[Session] = Shelf(self.connect, _close, _IDLE_READERS_MAX)
        self.pool = _LibraryPool(self.readers)  # type: ignore[assignment]  # what the library uses of its own pool
        self._writer = self._connect_writer()
        self.schema: str = _value(self._writer, "SELECT current_schema()")

    # The library's interface.

    def register_type_adapters(self) -> None:
        """Do nothing: our tables need no composite types."""

    @contextmanager
    def transaction(self, *, commit: bool = False) -> Iterator[psycopg.Cursor[DictRow]]:
        """Yield a cursor in a transaction; errors of psycopg become the library's."""
        if not commit:
            with super().transaction(commit=False) as cursor:
                yield cursor
            return
        try:
            with self.writing() as session, self.in_transaction(session):
                yield session.cursor(row_factory=dict_row)
        except psycopg.Error as error:
            raise _library_error(error) from error

    def close(self) -> None:
        """Let go of all sessions; a write that is under way ends first."""
        lock: threading.Lock | None = self.__dict__.get("_write_lock")
        if lock is None:  # __init__ failed before there was anything to close; called by __del__.
            return
        with lock:
            self._closed = True
            self.readers.close()
            if "_writer" in self.__dict__:
                _close(self._writer)

    # Ours.

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield the session that writes, to one thread at a time; it is alive as far as this side can know.

        Raises:
            StoreFailed: nothing was sent: the server cannot be reached, or another thread holds the session.
            StoreClosed: the store is closed.
        """
        reach("append.before_lock")
        if not self._write_lock.acquire(timeout=self._wait_s):
            raise StoreFailed(f"another thread held the writing session for {self._wait_s} s")
        try:
            if self._closed:
                raise StoreClosed("the store is closed")
            self._revive_writer()
            reach("append.after_lock")
            yield self._writer
        finally:
            self._write_lock.release()

    def commit_with(self, session: Session, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Execute a statement that commits, on its own or as COMMIT; return its first row if it has one.

        Raises:
            OutcomeUnknown: the connection was lost, or the server warned that the commit is not as safe as asked.
            StoreFailed: the server refused; nothing was written.
            psycopg.IntegrityError: a key is there already; nothing was written.
        """
        self._warned = None
        try:
            reach("append.before_commit")
            cursor = session.cursor(binary=True, row_factory=tuple_row)
            cursor.execute(sql, parameters, prepare=bool(parameters))
            row = cursor.fetchone() if cursor.description else None
        except psycopg.Error as error:
            self._explain(session, error)
        except Exception as error:
            _close(session)
            raise OutcomeUnknown(f"the commit may or may not have been sent: {error}") from error
        if cursor.statusmessage == "ROLLBACK":
            raise StoreFailed("nothing was written: the server rolled back")
        if self._warned is not None:  # Committed here, and not on the standby that was to confirm it (I37).
            raise OutcomeUnknown(f"the server warned while committing: {self._warned}")
        try:
            reach("append.after_commit")
        except Exception as error:
            raise OutcomeUnknown(f"the commit is done, and its writer failed: {error}") from error
        return row

    @contextmanager
    def in_transaction(self, session: Session) -> Iterator[None]:
        """Begin, and commit when the block has ended; roll back if it fails.

        Raises:
            StoreFailed, OutcomeUnknown: as `commit_with`. Errors of the block before the commit are definite.
        """
        try:
            session.execute("BEGIN")
            yield
            reach("append.after_insert")
        except psycopg.IntegrityError:
            _roll_back(session)
            raise
        except psycopg.Error as error:
            _roll_back(session)
            raise StoreFailed(f"nothing was written: {error}") from error
        except BaseException:
            _roll_back(session)
            raise
        self.commit_with(session, "COMMIT")

    def rows(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), row: Callable[[Any], Any] = tuple
    ) -> list[Any]:
        """Return all rows of a query, each passed through `row`. Asked again once if the connection was lost.

        Raises:
            StoreFailed: the query could not be answered.
            StoreClosed: the store is closed.
        """
        if not self._reading.acquire(timeout=self._wait_s):
            raise StoreFailed(f"{_READERS_MAX} threads read, and none ended within {self._wait_s} s")
        try:
            try:
                return self._rows(sql, parameters, row)
            except psycopg.OperationalError:
                self.readers.empty()  # What else lies idle was probably lost with it.
                return self._rows(sql, parameters, row)
        except (psycopg.Error, UnicodeError) as error:
            raise StoreFailed(f"a read failed: {error}") from error
        finally:
            self._reading.release()

    def connect(self) -> Session:
        """Return a new session, set as ours are.

        Raises:
            StoreFailed: the server cannot be reached.
        """
        try:
            session: Session = psycopg.connect(**self._conninfo, autocommit=True, row_factory=dict_row)
            session.execute(
                "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s(name, value)",
                (list(self._session_settings), list(self._session_settings.values())),
            )
        except psycopg.Error as error:
            raise StoreFailed(f"the database cannot be reached: {error}") from error
        postgres_arrays.register(session)
        return session

    def settings(self) -> dict[str, str]:
        """Return what durability rests on, and our timeouts, as the server gives them back."""
        names = [*DURABLE, *self._session_settings, "data_checksums", "server_version", "synchronous_standby_names"]
        rows = self.rows("SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", (names,))
        return dict(rows)

    def _connect_writer(self) -> Session:
        session = self.connect()
        try:
            _refuse_unsafe(session)
        except BaseException:
            _close(session)
            raise
        session.add_notice_handler(self._notice)
        return session

    def _revive_writer(self) -> None:
        """Connect anew if the session is known to be dead, so that nothing is sent into the void."""
        if not self._writer.closed:
            readable = select.poll()  # Not select(), which takes no file number beyond 1023.
            readable.register(self._writer.fileno(), select.POLLIN)
            if readable.poll(0):
                # The server says something unasked, such as that it ends; reading it tells.
                with suppress(psycopg.Error):
                    self._writer.pgconn.consume_input()
        if self._writer.closed or self._writer.pgconn.status != psycopg.pq.ConnStatus.OK:
            _close(self._writer)
            self._writer = self._connect_writer()

    def _explain(self, session: Session, error: psycopg.Error) -> NoReturn:
        """Raise what an error during a commit means: unknown if the session is lost, else nothing was written."""
        if session.closed or session.pgconn.transaction_status == TransactionStatus.UNKNOWN:
            _close(session)
            raise OutcomeUnknown(f"the answer to the commit was lost: {error}") from error
        if session.pgconn.transaction_status != TransactionStatus.IDLE:
            _roll_back(session)
        if isinstance(error, psycopg.IntegrityError):
            raise error
        raise StoreFailed(f"nothing was written: {error}") from error

    def _rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any], row: Callable[[Any], Any]) -> list[Any]:
        session = self.readers.take()
        try:
            factory: BaseRowFactory[Any] = lambda _: row  # noqa: E731
            return session.cursor(binary=True, row_factory=factory).execute(sql, parameters, prepare=True).fetchall()
        finally:
            if session.closed:
                _close(session)
            else:
                self.readers.give(session)

    def _notice(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warned = notice.message_primary


class _LibraryPool:
    """What the library's datastore asks of a pool."""

    def __init__(self, shelf: Shelf[Session]) -> None:
        self._shelf = shelf

    def open(self, _wait: bool, _timeout: float) -> None:
        """Do nothing: sessions are opened when they are needed."""

    @contextmanager
    def connection(self) -> Iterator[Session]:
        """Lend a session."""
        session = self._shelf.take()
        try:
            yield session
        finally:
            if session.closed:
                _close(session)
            else:
                self._shelf.give(session)

    def close(self) -> None:
        """Close what is idle."""
        self._shelf.close()


def _refuse_unsafe(session: Session) -> None:
    """Raise StoreRefused where the server does not keep what it says it has committed."""
    if session.info.server_version < OLDEST_POSTGRES:
        raise StoreRefused(f"PostgreSQL is {session.info.server_version // 10000}, and must be at least 15")
    for name, accepted in DURABLE.items():
        found = _value(session, "SELECT current_setting(%s)", name)
        if found not in accepted:
            raise StoreRefused(f"PostgreSQL's {name} is {found}, and must be {' or '.join(sorted(accepted))}")
    if _value(session, "SELECT pg_is_in_recovery()"):
        raise StoreFailed("the server is a standby, which takes no writes")


def _value(session: Session, sql: str, *parameters: Any) -> Any:
    row = session.cursor(row_factory=tuple_row).execute(sql, parameters).fetchone()
    assert row is not None
    return row[0]


def _roll_back(session: Session) -> None:
    """Roll back; a session that cannot is closed, and the server rolls back."""
    try:
        if session.pgconn.transaction_status != TransactionStatus.IDLE:
            session.execute("ROLLBACK")
    except psycopg.Error:
        _close(session)


def _close(session: Session) -> None:
    with suppress(psycopg.Error):
        session.close()


def _library_error(error: psycopg.Error) -> LedgerError | persistence.PersistenceError:
    for kind in type(error).__mro__:
        translated = getattr(persistence, kind.__name__, None)
        if kind.__module__.startswith("psycopg") and translated is not None:
            return translated(str(error))  # type: ignore[no-any-return]  # by name, as the library does
    return persistence.PersistenceError(str(error))
