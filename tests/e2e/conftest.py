"""What end-to-end tests share: a PostgreSQL server, and servers that hold the purchase history."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.e2e.cdnow import ImportedHistory, history_on_a_server
from tests.postgres_server import address, postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]


@pytest.fixture(scope="session")
def master(shared_data: Path) -> Path:
    """The file with all purchases."""
    return shared_data / "cdnow" / "CDNOW_master.txt"


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory, master: Path) -> Iterator[ImportedHistory]:
    """A server on SQLite with the whole history. Shared: nobody may write to the organization `cdnow`."""
    # In a process of its own, so that an import is not slower by what changes and reports cost.
    settings = {"RAPPORT_DETECTOR": "process"}
    with history_on_a_server(tmp_path_factory.mktemp("cdnow") / "data", master, settings) as history:
        yield history


@pytest.fixture(scope="session")
def imported_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, master: Path, postgres_server: str
) -> Iterator[ImportedHistory]:
    """A server on PostgreSQL with the whole history. Shared as well; the database goes with its server."""
    name = f"rapport_cdnow_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    folder = tmp_path_factory.mktemp("cdnow-postgresql") / "data"
    settings = {"RAPPORT_STORE_URL": address(postgres_server, dbname=name), "RAPPORT_DETECTOR": "off"}
    with history_on_a_server(folder, master, settings) as history:
        yield history
