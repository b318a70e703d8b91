"""The store on PostgreSQL: the library's recorder suites, the suite of every store, and what is PostgreSQL's own."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder
from eventsourcing.postgres import PostgresDatastore as LibraryDatastore
from psycopg.conninfo import conninfo_to_dict

from ledger.domain.errors import OutcomeUnknown, StoreFailed, StoreRefused
from ledger.log import postgres_datastore
from ledger.log.postgres_datastore import PostgresDatastore
from ledger.log.postgres_recorder import PostgresRecorder
from ledger.log.postgres_store import PostgresStore
from ledger.log.store import Append, Appended, Conflict, Head, Repeated
from ledger.testing import fault_points
from ledger.testing.recorder_contract import StoreContract
from ledger.testing.store_samples import ALICE, BOB, NOON, append, event, key, put, whole_log
from ledger.testing.tcp_proxy import TcpProxy
from tests import library_suites as library
from tests.postgres_server import address

pytestmark = pytest.mark.postgres

ROLES = Path(__file__).parents[2] / "deploy" / "postgres" / "roles.sql"


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url

    def execute(self, url: str, statement: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)


# The library's own suites.


class LibraryCase:
    recorder_class: type[PostgresRecorder] = PostgresRecorder

    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> Iterator[None]:
        self.url = postgres_url
        self.open: list[PostgresRecorder] = []
        yield
        for recorder in self.open:
            recorder.datastore.close()

    def create_recorder(self) -> Any:
        recorder = self.recorder_class(PostgresDatastore(self.url, originator_id_type="uuid"))
        recorder.create_table()
        self.open.append(recorder)
        return recorder


class WithoutPositions(PostgresRecorder):
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


# What is PostgreSQL's own.


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url, lock_timeout_s=2.0)
    yield store
    store.close()


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[TcpProxy]:
    parts = conninfo_to_dict(postgres_url)
    host, port = str(parts["host"]), int(parts.get("port") or 5432)
    with TcpProxy(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)) as proxy:
        yield proxy


@pytest.fixture
def proxied_url(postgres_url: str, proxy: TcpProxy) -> str:
    return address(postgres_url, host="127.0.0.1", port=proxy.port)


@pytest.fixture
def proxied(proxied_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(proxied_url)
    yield store
    store.close()


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    yield
    fault_points.install(None)


@pytest.mark.parametrize("table", ["stored_events", "requests"])
def test_tables_are_not_truncated(store: PostgresStore, admin: psycopg.Connection, table: str) -> None:
    put(store, append(event(ALICE, 1), request=1))

    with pytest.raises(psycopg.Error, match="never changed"):
        admin.execute(f"TRUNCATE {table}")


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
def test_a_database_that_may_lose_commits_is_refused(postgres_url: str, admin: psycopg.Connection, value: str) -> None:
    admin.execute(f'ALTER DATABASE "{admin.info.dbname}" SET synchronous_commit = {value}')

    with pytest.raises(StoreRefused, match="synchronous_commit"):
        PostgresStore(postgres_url)


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "data_sync_retry", "server_encoding"])
def test_a_server_with_another_setting_is_refused(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # These belong to the whole server, so what is wanted is changed here and not what is found.
    monkeypatch.setitem(postgres_datastore.DURABLE, name, frozenset({"otherwise"}))

    with pytest.raises(StoreRefused, match=name):
        PostgresStore(postgres_url)


def test_a_server_that_is_too_old_is_refused(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_datastore, "OLDEST_POSTGRES", 990000)

    with pytest.raises(StoreRefused, match="must be at least"):
        PostgresStore(postgres_url)


def test_tables_of_another_program_are_refused_and_left_alone(postgres_url: str, admin: psycopg.Connection) -> None:
    admin.execute("CREATE TABLE requests (theirs text)")

    with pytest.raises(StoreRefused, match="requests"):
        PostgresStore(postgres_url)

    assert 0 == admin.execute("SELECT count(*) FROM requests").fetchall()[0][0]


def test_tables_of_a_later_release_are_refused(
    postgres_url: str, store: PostgresStore, admin: psycopg.Connection
) -> None:
    admin.execute("UPDATE rapport_schema SET version = 99")

    with pytest.raises(StoreRefused, match="99"):
        PostgresStore(postgres_url)


def test_a_server_that_is_not_there_is_a_definite_error(postgres_url: str) -> None:
    with pytest.raises(StoreFailed):
        PostgresStore(address(postgres_url, host="127.0.0.1", port=1))


def test_sessions_have_timeouts(store: PostgresStore) -> None:
    description = store.description()

    assert {"lock_timeout": "2s", "statement_timeout": "30s", "synchronous_commit": "on"}.items() <= description.items()


def test_a_head_that_somebody_else_keeps_ends_in_a_definite_error(
    store: PostgresStore, admin: psycopg.Connection
) -> None:
    with admin.transaction():
        admin.execute("SELECT * FROM log_head FOR UPDATE")
        for known_head in (0, 5):
            with pytest.raises(StoreFailed, match="lock timeout"):
                put(store, append(event(ALICE, 1)), known_head=known_head)

    assert [Appended(1, 1, NOON)] == put(store, append(event(ALICE, 1)))


# Lost replies (A3, I4, I5).


def test_a_lost_reply_to_the_straight_append_leaves_the_outcome_unknown(
    proxied: PostgresStore, proxy: TcpProxy
) -> None:
    put(proxied, append(event(BOB, 1)))  # The statement is prepared now.
    proxy.lose_reply()

    with pytest.raises(OutcomeUnknown):
        put(proxied, append(event(ALICE, 1), request=1), known_head=1)

    assert proxy.lost()
    row = proxied.find_requests([key(1)])[key(1)]
    assert (2, 2) == (row.first_position, row.last_position)
    # The caller asks again with the same request, and gets the first answer: no conflict, no second event.
    (again,) = put(proxied, append(event(ALICE, 1), request=1), known_head=1)
    assert Repeated(row) == again
    assert 2 == proxied.head().position


def test_a_lost_reply_to_the_careful_commit_leaves_the_outcome_unknown(proxied: PostgresStore, proxy: TcpProxy) -> None:
    put(proxied, append(event(BOB, 1)))
    proxy.lose_reply(b"COMMIT")

    with pytest.raises(OutcomeUnknown):
        put(proxied, append(event(ALICE, 1), request=1), known_head=0)

    assert proxy.lost()
    assert {key(1)} == set(proxied.find_requests([key(1)]))
    (again,) = put(proxied, append(event(ALICE, 1), request=1), known_head=0)
    assert isinstance(again, Repeated)


def test_a_lost_reply_before_the_commit_is_a_definite_error(proxied: PostgresStore, proxy: TcpProxy) -> None:
    put(proxied, append(event(BOB, 1)))
    put(proxied, append(event(BOB, 2)), known_head=0)
    proxy.lose_reply(b"BEGIN")

    with pytest.raises(StoreFailed):
        put(proxied, append(event(ALICE, 1), request=1), known_head=0)

    assert proxy.lost()
    assert {} == proxied.find_requests([key(1)])
    assert [Appended(3, 3, NOON)] == put(proxied, append(event(ALICE, 1), request=1), known_head=0)


def test_a_lost_reply_to_the_library_s_insert_is_never_called_a_conflict(proxied_url: str, proxy: TcpProxy) -> None:
    recorder = PostgresRecorder(PostgresDatastore(proxied_url))
    recorder.create_table()
    recorder.insert_events([StoredEvent(BOB, 1, "topic", b"")])
    proxy.lose_reply(b"COMMIT")

    with pytest.raises(OutcomeUnknown):
        recorder.insert_events([StoredEvent(ALICE, 1, "topic", b"")])

    assert 2 == recorder.max_notification_id()
    recorder.datastore.close()


def test_control_the_library_s_own_recorder_calls_its_own_commit_a_conflict(postgres_url: str, proxy: TcpProxy) -> None:
    """Shows that the proxy does what the tests above need: with the library's insert they would be red (A3)."""
    parts = conninfo_to_dict(postgres_url)
    datastore = LibraryDatastore(
        str(parts["dbname"]),
        "127.0.0.1",
        proxy.port,
        str(parts["user"]),
        str(parts.get("password", "")),
        originator_id_type="text",
    )
    recorder = PostgresApplicationRecorder(datastore)
    recorder.create_table()
    recorder.insert_events([StoredEvent(BOB, 1, "topic", b"")])
    proxy.lose_reply(b"COMMIT")

    with pytest.raises(IntegrityError):
        recorder.insert_events([StoredEvent(ALICE, 1, "topic", b"")])

    assert proxy.lost()
    datastore.close()


def test_a_warning_while_committing_leaves_the_outcome_unknown(store: PostgresStore, admin: psycopg.Connection) -> None:
    # As the server warns when it stops waiting for the standby that was to confirm (I37).
    admin.execute("""
        CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE WARNING 'committed here only';
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON stored_events
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION warn();
    """)

    with pytest.raises(OutcomeUnknown, match="committed here only"):
        put(store, append(event(ALICE, 1)))

    assert 1 == store.head().position


# Lost sessions.


def test_sessions_that_were_cut_while_idle_are_replaced_before_anything_is_sent(
    proxied: PostgresStore, proxy: TcpProxy
) -> None:
    put(proxied, append(event(ALICE, 1)))
    assert Head(1, NOON) == proxied.head()

    proxy.cut()
    time.sleep(0.1)

    assert [Appended(2, 2, NOON)] == proxied.append([append(event(ALICE, 2))], 1, NOON, 0)[0]
    assert Head(2, NOON) == proxied.head()


def test_a_session_that_ends_between_lock_and_commit_stores_nothing_or_all(
    store: PostgresStore, admin: psycopg.Connection
) -> None:
    put(store, append(event(BOB, 1)))

    def end_the_writer(name: str) -> None:
        if name == "append.after_insert":
            pid = store.datastore._writer.info.backend_pid
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    fault_points.install(end_the_writer)
    with pytest.raises((OutcomeUnknown, StoreFailed)):
        put(store, append(event(ALICE, 1), event(ALICE, 2), request=1), known_head=0)
    fault_points.install(None)

    assert [] == store.read_stream(ALICE)
    assert {} == store.find_requests([key(1)])
    assert [Appended(2, 3, NOON)] == put(store, append(event(ALICE, 1), event(ALICE, 2), request=1), known_head=0)


def test_a_listener_hears_again_after_its_session_was_lost(store: PostgresStore, admin: psycopg.Connection) -> None:
    heard = threading.Event()
    wanted = 1

    def wake(position: int) -> None:
        if position == wanted:
            heard.set()

    store.listen(wake)
    deadline = time.monotonic() + 10
    listening = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    while not (pids := admin.execute(listening).fetchall()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pids
    admin.execute("SELECT pg_terminate_backend(%s, 5000)", pids[0])

    # By another process, in effect: the store is not told by its own append.
    admin.execute("INSERT INTO stored_events VALUES (1, 'shop/alice', 1, 't', 1, '', '')")
    admin.execute("UPDATE log_head SET position = 1, record_time = 1")

    assert heard.wait(10)


def test_a_listener_sees_what_was_never_notified(store: PostgresStore, admin: psycopg.Connection) -> None:
    heard = threading.Event()
    store.listen(lambda position: heard.set() if position == 1 else None)
    time.sleep(0.3)

    admin.execute("INSERT INTO stored_events VALUES (1, 'shop/alice', 1, 't', 1, '', '')")
    admin.execute("UPDATE log_head SET position = 1, record_time = 1")  # No NOTIFY: as if it had been missed (A6).

    assert heard.wait(10)


# Roles.


@pytest.fixture
def member(postgres_url: str, store: PostgresStore, admin: psycopg.Connection) -> Iterator[str]:
    """Address of the database for a login role that may do what the services may."""
    admin.execute(ROLES.read_text())
    admin.execute(ROLES.read_text())  # Again: it changes nothing.
    name = f"member_{admin.info.dbname}"
    admin.execute(f'CREATE ROLE "{name}" LOGIN IN ROLE rapport_append')
    yield address(postgres_url, user=name)
    admin.execute(f'DROP ROLE "{name}"')


def test_the_append_role_can_do_all_that_a_store_does(
    member: str, postgres_url: str, store: PostgresStore, admin: psycopg.Connection
) -> None:
    limited = PostgresStore(member)
    try:
        assert [Appended(1, 1, NOON)] == put(limited, append(event(ALICE, 1), request=1))
        assert [Conflict((ALICE,))] == put(limited, append(event(ALICE, 1)), known_head=0)
        assert [Appended(0, 0, NOON)] == put(limited, Append((), key(2)))
        assert [ALICE] == limited.list_streams("shop/", "shop0", 10)
        assert 1 == len(whole_log(limited))
        assert [] == limited.warnings()
        assert any("may change or delete" in warning for warning in store.warnings())
    finally:
        limited.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stored_events SET topic = 'x'",
        "DELETE FROM stored_events",
        "TRUNCATE stored_events",
        "UPDATE requests SET fingerprint = ''",
        "DELETE FROM requests",
        "TRUNCATE requests",
        "DELETE FROM log_head",
        "INSERT INTO log_head (only_row, position, record_time) VALUES (true, 0, 0)",
        "ALTER TABLE stored_events DISABLE TRIGGER ALL",
        "DROP TABLE requests",
        "CREATE TABLE mine (x int)",
        "DROP FUNCTION rapport_refuse_change() CASCADE",
    ],
)
def test_the_append_role_cannot_change_what_was_written(member: str, statement: str) -> None:
    with (
        psycopg.connect(member, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)
