"""What end-to-end tests share: a PostgreSQL server, and servers that hold the purchase history."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.e2e.cdnow import ImportedHistory, history_on_a_server, mapping_of_the_sample
from tests.postgres_server import address, postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

# To find the changes of the whole history takes longer than to import it; those of a tenth are found soon.
WITHOUT_CHANGES, WITH_CHANGES = {"RAPPORT_DETECTOR": "off"}, {"RAPPORT_DETECTOR": "process"}


@pytest.fixture(scope="session")
def master(shared_data: Path) -> Path:
    """The file with all purchases."""
    return shared_data / "cdnow" / "CDNOW_master.txt"


@pytest.fixture(scope="session")
def sample_lines(shared_data: Path) -> Path:
    """The file with the purchases of a tenth of the customers."""
    return shared_data / "cdnow" / "CDNOW_sample.txt"


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory, master: Path) -> Iterator[ImportedHistory]:
    """A server on SQLite with the whole history. Shared: nobody may write to the organization `cdnow`."""
    # Whoever finds changes keeps what programmes are reported from, too.
    with history_on_a_server(tmp_path_factory.mktemp("cdnow") / "data", master, WITH_CHANGES) as history:
        yield history


@pytest.fixture(scope="session")
def imported_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, master: Path, postgres_server: str
) -> Iterator[ImportedHistory]:
    """A server on PostgreSQL with the whole history. Shared as well."""
    folder = tmp_path_factory.mktemp("cdnow-postgresql") / "data"
    settings = {**WITHOUT_CHANGES, **on_postgresql(postgres_server)}
    with history_on_a_server(folder, master, settings) as history:
        yield history


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory, sample_lines: Path) -> Iterator[ImportedHistory]:
    """A server on SQLite with a tenth of the history, of which changes are found while it comes. Shared as well."""
    folder = tmp_path_factory.mktemp("sample")
    with history_on_a_server(folder / "data", sample_lines, WITH_CHANGES, mapping_of_the_sample(folder)) as history:
        yield history


@pytest.fixture(scope="session")
def sample_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, sample_lines: Path, postgres_server: str
) -> Iterator[ImportedHistory]:
    """The same on PostgreSQL."""
    folder = tmp_path_factory.mktemp("sample-postgresql")
    settings = {**WITH_CHANGES, **on_postgresql(postgres_server)}
    with history_on_a_server(folder / "data", sample_lines, settings, mapping_of_the_sample(folder)) as history:
        yield history


def on_postgresql(server: str) -> dict[str, str]:
    """Return the settings for a database of its own, which goes with its server."""
    name = f"rapport_cdnow_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return {"RAPPORT_STORE_URL": address(server, dbname=name)}
