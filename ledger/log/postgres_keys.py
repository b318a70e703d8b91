"""Keys in a PostgreSQL database of their own: for the scaled-out shape, on another server than the events.

A destroyed key is overwritten with zero bytes, and the table is then rewritten (VACUUM FULL), because PostgreSQL keeps
the old version of a row in the table's file. What is left is in the server's write-ahead log until that is recycled,
and in its archive, as in any backup: wrapped, and unreadable once the KEK of its time was destroyed. So the archive of
this database is kept for no longer than its backups, and apart from those of the events.

No row is ever deleted, and no tombstone brought back to life: triggers refuse both.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Final

import psycopg

from ledger.domain.errors import StoreClosed, StoreFailed, StoreRefused
from ledger.log.keks import WRAPPED_BYTES
from ledger.log.keys import KeyRow, KeyStoreMismatch
from ledger.testing.fault_points import reach

_CREATION_LOCK = 0x72617070_6F727402  # "rapport" and 2: a number that no other program is likely to take.

_SETTINGS: Final = {
    "fsync": frozenset({"on"}),
    "full_page_writes": frozenset({"on"}),
    "synchronous_commit": frozenset({"on", "remote_apply"}),
    "data_sync_retry": frozenset({"off"}),
}

_SCHEMA: Final = """
CREATE TABLE rapport_key_store (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    log_id text NOT NULL
);
CREATE TABLE rapport_data_key (
    key_id text COLLATE "C" PRIMARY KEY,
    kek_id text NOT NULL,
    wrapped bytea NOT NULL CHECK (length(wrapped) = 61) -- Zero bytes: destroyed.
);
CREATE TABLE rapport_destroyed_key (
    key_id text COLLATE "C" PRIMARY KEY REFERENCES rapport_data_key (key_id),
    destroyed_time bigint NOT NULL -- Microseconds since the epoch.
);
CREATE FUNCTION rapport_key_stays() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    RAISE EXCEPTION 'a key is destroyed by overwriting it, and stays destroyed' USING ERRCODE = 'restrict_violation';
END
$function$;
CREATE TRIGGER data_key_stays BEFORE DELETE OR TRUNCATE ON rapport_data_key
    FOR EACH STATEMENT EXECUTE FUNCTION rapport_key_stays();
CREATE TRIGGER data_key_stays_destroyed BEFORE UPDATE ON rapport_data_key
    FOR EACH ROW WHEN (get_byte(OLD.wrapped, 0) = 0 AND NEW.wrapped <> OLD.wrapped)
    EXECUTE FUNCTION rapport_key_stays();
"""


class PostgresKeyTable:
    """The wrapped keys of one log in one database. Any number of processes may use it at once.

    It holds one connection, and opens another one when that was lost: keys are asked for in batches and then leased.
    """

    def __init__(
        self, url: str, log_id: str, *, lock_timeout_s: float = 10.0, statement_timeout_s: float = 60.0
    ) -> None:
        """Connect to the database at `url`; create the tables for this log where they are missing.

        lock_timeout_s, statement_timeout_s: how long a statement waits for others, and how long it may take in all.

        Raises:
            StoreRefused: the events are in this database too, or a setting is not durable.
            KeyStoreMismatch: it holds the keys of another log.
            StoreFailed: it cannot be reached.
        """
        self._url = url
        self._options = (
            f"-c lock_timeout={_milliseconds(lock_timeout_s)} -c statement_timeout={_milliseconds(statement_timeout_s)}"
        )
        self._lock = Lock()
        self._closed = False
        self._connection: psycopg.Connection | None = None
        self._version = ""
        try:
            with self._connected() as connection:
                self._version = connection.info.parameter_status("server_version") or ""
                _check_settings(connection)
                _create_tables(connection, log_id)
                _check_log(connection, log_id)
        except BaseException:
            self.close()
            raise

    def find(self, key_ids: Sequence[str]) -> dict[str, KeyRow]:
        """Return the rows that exist under these ids; see `KeyTable`."""
        with self._connected() as connection:
            return _rows(connection, key_ids)

    def create(self, rows: Sequence[KeyRow]) -> dict[str, KeyRow]:
        """Store those rows whose id is new, and return the row in force under every id; see `KeyTable`."""
        rows = sorted(rows)  # In the same order for everybody, so that nobody waits for each other.
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO rapport_data_key (key_id, kek_id, wrapped)"
                " SELECT * FROM unnest(%s::text[], %s::text[], %s::bytea[]) ON CONFLICT DO NOTHING",
                ([row.key_id for row in rows], [row.kek_id for row in rows], [row.wrapped for row in rows]),
            )
            # A statement of its own: it sees what others committed while the first one waited for them.
            return _rows(connection, [row.key_id for row in rows])

    def destroy(self, key_ids: Sequence[str], destroyed_time: int) -> None:
        """Overwrite the keys under these ids, leave tombstones, and rewrite the table; see `KeyTable`."""
        key_ids = sorted(key_ids)
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO rapport_data_key (key_id, kek_id, wrapped)"
                " SELECT key_id, '', %s FROM unnest(%s::text[]) AS given (key_id)"
                " ON CONFLICT (key_id) DO UPDATE SET wrapped = excluded.wrapped",
                (bytes(WRAPPED_BYTES), key_ids),
            )
            connection.execute(
                "INSERT INTO rapport_destroyed_key (key_id, destroyed_time)"
                " SELECT key_id, %s FROM unnest(%s::text[]) AS given (key_id) ON CONFLICT DO NOTHING",
                (destroyed_time, key_ids),
            )
        with self._connected() as connection:
            _rewrite_table(connection)

    def close(self) -> None:
        """Close the connection. Calling it twice is the same as calling it once."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def description(self) -> dict[str, str]:
        """Return the version of the server and the settings it was found with."""
        settings = {name: "|".join(sorted(allowed)) for name, allowed in _SETTINGS.items()}
        return {"engine": "postgresql", "version": self._version, **settings}

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection]:
        """Yield the connection in a transaction that is durable when the block has ended."""
        with self._connected() as connection:
            with connection.transaction():
                yield connection
                reach("keys.before_commit")
            reach("keys.after_commit")

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection]:
        """Yield the connection, a new one if there is none; say StoreFailed where the database does."""
        with self._lock:
            if self._closed:
                raise StoreClosed("the key store is closed")
            try:
                if self._connection is None:
                    self._connection = psycopg.connect(self._url, autocommit=True, options=self._options)
                yield self._connection
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
                # Also where a lock was not to be had in time: a new connection costs little, and is in no odd state.
                self._disconnect()
                raise StoreFailed(f"the key store failed: {error}") from error

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                connection.close()


def _rows(connection: psycopg.Connection, key_ids: Sequence[str]) -> dict[str, KeyRow]:
    found = connection.execute(
        "SELECT key_id, kek_id, wrapped FROM rapport_data_key WHERE key_id = ANY(%s::text[])",
        (list(key_ids),),
        binary=True,
    )
    return {key_id: KeyRow(key_id, kek_id, bytes(wrapped)) for key_id, kek_id, wrapped in found}


def _check_settings(connection: psycopg.Connection) -> None:
    for name, allowed in _SETTINGS.items():
        found = str(_value(connection, "SELECT current_setting(%s)", name))
        if found not in allowed:
            raise StoreRefused(
                f"PostgreSQL's {name} of the key store is {found}, and must be {' or '.join(sorted(allowed))}"
            )


def _create_tables(connection: psycopg.Connection, log_id: str) -> None:
    if _value(connection, "SELECT to_regclass('stored_events') IS NOT NULL"):
        raise StoreRefused(
            "keys must not be in the database of the events: erasing a key would leave it in its backups"
        )
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATION_LOCK,))
        if not _value(connection, "SELECT to_regclass('rapport_key_store') IS NOT NULL"):
            connection.execute(_SCHEMA)
            connection.execute("INSERT INTO rapport_key_store (log_id) VALUES (%s)", (log_id,))


def _check_log(connection: psycopg.Connection, log_id: str) -> None:
    found = str(_value(connection, "SELECT log_id FROM rapport_key_store"))
    if found != log_id:
        raise KeyStoreMismatch(found, log_id)


def _rewrite_table(connection: psycopg.Connection) -> None:
    """Write the rows into a new file and drop the old one, with what it kept of rows that were overwritten."""
    file_before = _value(connection, "SELECT pg_relation_filenode('rapport_data_key')")
    connection.execute("VACUUM (FULL) rapport_data_key")
    # Who may not do this is told so by a notice only.
    if file_before == _value(connection, "SELECT pg_relation_filenode('rapport_data_key')"):
        raise StoreFailed("the key is destroyed, but the table was not rewritten: the role must own rapport_data_key")


def _value(connection: psycopg.Connection, sql: str, *parameters: object) -> object:
    row = connection.execute(sql, parameters or None).fetchone()
    assert row is not None
    return row[0]


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
