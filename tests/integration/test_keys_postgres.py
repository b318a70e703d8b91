"""The key store on PostgreSQL: the contract of the table, lost connections, and what stays destroyed."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.domain.errors import StoreFailed, StoreRefused
from ledger.log.keks import Keks
from ledger.log.keys import KeyStore
from ledger.log.postgres_keys import PostgresKeyTable
from ledger.testing import fault_points
from ledger.testing.key_table_contract import LOG_ID, NOON, KeyTableContract, OpenTable

pytestmark = pytest.mark.postgres

KEK = bytes(range(0x20))


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def table(url: str) -> Iterator[PostgresKeyTable]:
    table = PostgresKeyTable(url, LOG_ID)
    yield table
    table.close()


@pytest.fixture
def admin(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def no_faults() -> Iterator[None]:
    yield
    fault_points.install(None)


class TestPostgresKeyTable(KeyTableContract):
    @pytest.fixture
    def open_table(self, url: str) -> OpenTable:
        return lambda log_id: PostgresKeyTable(url, log_id)


def test_the_database_of_the_events_is_refused(url: str, admin: psycopg.Connection) -> None:
    admin.execute("CREATE TABLE stored_events (position bigint)")

    with pytest.raises(StoreRefused, match="events"):
        PostgresKeyTable(url, LOG_ID)


def test_a_database_that_may_lose_commits_is_refused(url: str, admin: psycopg.Connection) -> None:
    database = admin.info.dbname
    admin.execute(f'ALTER DATABASE "{database}" SET synchronous_commit = off')

    with pytest.raises(StoreRefused, match="synchronous_commit"):
        PostgresKeyTable(url, LOG_ID)


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        PostgresKeyTable(f"postgresql:///postgres?host={tmp_path}", LOG_ID)


def test_a_lost_connection_is_replaced(table: PostgresKeyTable, admin: psycopg.Connection) -> None:
    keys = KeyStore(table, Keks([KEK]), key_lease_s=0)
    made = keys.ensure(["acme/c-1"]).require("acme/c-1")
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s",
        (admin.info.dbname,),
    )

    with pytest.raises(StoreFailed):
        keys.find(["acme/c-1"])
    assert made == keys.find(["acme/c-1"]).require("acme/c-1")


@pytest.mark.parametrize("fault", ["keys.before_commit:1:eio", "keys.after_commit:1:eio"])
def test_a_creation_of_unknown_outcome_is_repeated_safely(table: PostgresKeyTable, fault: str, no_faults: None) -> None:
    keys = KeyStore(table, Keks([KEK]))
    fault_points.install(fault_points.parse(fault))

    with pytest.raises(StoreFailed):
        keys.ensure(["acme/c-1"])
    found = dict(keys.find(["acme/c-1"]).present)

    assert found == ({} if "before" in fault else {"acme/c-1": keys.ensure(["acme/c-1"]).require("acme/c-1")})
    assert "acme/c-1" in keys.ensure(["acme/c-1"]).present


def test_a_lock_that_is_not_to_be_had_in_time_fails(url: str, admin: psycopg.Connection) -> None:
    table = PostgresKeyTable(url, LOG_ID, lock_timeout_s=0.1)
    with admin.transaction():
        admin.execute("LOCK TABLE rapport_data_key IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreFailed):
            table.find(["acme/c-1"])

    assert {} == table.find(["acme/c-1"])
    table.close()


def test_destroyed_keys_leave_no_copy_in_the_files_of_the_table(
    table: PostgresKeyTable, admin: psycopg.Connection
) -> None:
    folder = data_folder(admin)
    keys = KeyStore(table, Keks([KEK]))
    ids = [f"acme/c-{number}" for number in range(500)]
    keys.ensure(ids)
    wrapped = {row.key_id: row.wrapped for row in table.find(ids).values()}
    admin.execute("CHECKPOINT")
    content = files_of_tables(folder)
    assert all(key in content for key in wrapped.values()), "the test must see the keys that it will not see later"

    gone = ids[::3]
    keys.destroy(gone, NOON)
    admin.execute("CHECKPOINT")

    content = files_of_tables(folder)
    assert [] == [key_id for key_id in gone if wrapped[key_id] in content]
    assert all(wrapped[key_id] in content for key_id in set(ids) - set(gone))
    assert set(gone) == keys.find(ids).destroyed


def data_folder(admin: psycopg.Connection) -> Path:
    try:
        row = admin.execute("SHOW data_directory").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        row = None
    if row is None or not Path(row[0]).is_dir():
        pytest.skip("the server's files cannot be read from here")
    return Path(row[0])


def files_of_tables(folder: Path) -> bytes:
    """The write-ahead log (pg_wal) is not among them: it keeps wrapped keys until it is recycled."""
    return b"".join(file.read_bytes() for file in folder.glob("base/*/*") if file.is_file())


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM rapport_data_key",
        "TRUNCATE rapport_data_key CASCADE",
        "UPDATE rapport_data_key SET wrapped = decode(repeat('01', 61), 'hex')",
    ],
)
def test_a_tombstone_cannot_be_removed_by_mistake(table: PostgresKeyTable, admin: psycopg.Connection, sql: str) -> None:
    table.destroy(["acme/c-1"], NOON)

    with pytest.raises(psycopg.errors.RestrictViolation):
        admin.execute(sql)
    assert table.find(["acme/c-1"])["acme/c-1"].destroyed


@pytest.fixture
def role(admin: psycopg.Connection) -> Iterator[str]:
    name = f"rapport_test_{uuid.uuid4().hex}"
    admin.execute(f"CREATE ROLE {name}")
    yield name
    admin.execute(f"DROP OWNED BY {name}")
    admin.execute(f"DROP ROLE {name}")


def test_a_role_that_cannot_rewrite_the_table_is_told(url: str, admin: psycopg.Connection, role: str) -> None:
    PostgresKeyTable(url, LOG_ID).close()
    admin.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}")
    admin.execute(f'ALTER DATABASE "{admin.info.dbname}" SET ROLE = {role}')
    table = PostgresKeyTable(url, LOG_ID)

    with pytest.raises(StoreFailed, match="own"):
        table.destroy(["acme/c-1"], NOON)

    assert table.find(["acme/c-1"])["acme/c-1"].destroyed
    table.close()
