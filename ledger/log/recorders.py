"""From the address of a store to the store, with the settings that durability rests on asserted.

sqlite:///var/lib/rapport/ledger.db       one file; the path is absolute
postgresql://user@host:5432/database      what libpq takes (https://www.postgresql.org/docs/current/libpq-connect.html)
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from ledger.domain.errors import StoreRefused
from ledger.log.postgres_store import PostgresStore
from ledger.log.sqlite_store import SqliteStore
from ledger.log.store import Store

DB_FUNCTIONS = "POSTGRES_ENABLE_DB_FUNCTIONS"
"""Variable of the library by which its recorder inserts without a lock, so that readers miss events (A1)."""


def open_store(url: str) -> Store:
    """Open the store at `url`; create it where it is not there yet. Several processes may do so at once.

    Raises:
        ValueError: `url` is not the address of a store.
        StoreRefused: a setting that durability rests on is off, or the database holds something else.
        StoreFailed: the database cannot be reached.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "sqlite":
            if parts.netloc or parts.query or parts.fragment or not parts.path.strip("/"):
                raise ValueError("the address of a SQLite store is sqlite:// and an absolute path, and nothing else")
            return SqliteStore(unquote(parts.path))
        case "postgresql" | "postgres":
            return PostgresStore(url)
        case _:
            raise ValueError("the address of a store begins with sqlite:// or postgresql://")


def sqlite_url(path: Path) -> str:
    """Return the address of the store in the file at `path`."""
    return f"sqlite://{quote(str(path.absolute()))}"


def refuse_db_functions(environment: Mapping[str, str]) -> None:
    """Raise StoreRefused if the environment asks the library for inserts without a lock (A1)."""
    if environment.get(DB_FUNCTIONS, "").strip().lower() in {"y", "yes", "t", "true", "on", "1"}:
        raise StoreRefused(f"{DB_FUNCTIONS} must be off: with it readers miss events")
