"""Where a consumer keeps its effects and how far it is, together: one transaction for each change or event.

That is what makes an effect happen once (I19). A message may come twice, and a consumer may die anywhere; but effect
and number are committed both or neither, and what is not beyond the number is passed over.
"""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

Transaction_co = TypeVar("Transaction_co", covariant=True)

_BUSY_S: Final = 10.0


class Overtaken(Exception):
    """Another process with the same name has moved on; nothing was done."""


class Effects(Protocol[Transaction_co]):
    """A database of the consumer's own."""

    async def last(self) -> int:
        """Return the last number whose effect is kept; 0: none is."""
        ...

    def once(self, after: int, number: int) -> AbstractAsyncContextManager[Transaction_co]:
        """Open a transaction for the effect of a number; commit both when the block ends well, else neither.

        Raises:
            Overtaken: the last number is not `after` any more.
        """
        ...


class SqliteEffects:
    """Effects in a SQLite database. The transaction is the connection; do not commit it."""

    def __init__(self, path: Path | str, name: str) -> None:
        """`name`: of the consumer; several may share a database."""
        self.connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        self._name = name
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS rapport_consumers (name TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT"
        )
        self.connection.execute("INSERT INTO rapport_consumers VALUES (?, 0) ON CONFLICT DO NOTHING", (name,))

    async def last(self) -> int:
        """Return the last number whose effect is kept."""
        (number,) = self.connection.execute(
            "SELECT number FROM rapport_consumers WHERE name = ?", (self._name,)
        ).fetchone()
        return int(number)

    @asynccontextmanager
    async def once(self, after: int, number: int) -> AsyncIterator[sqlite3.Connection]:
        """Yield the connection, inside a transaction.

        Raises:
            Overtaken: another process has moved on.
        """
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            moved = self.connection.execute(
                "UPDATE rapport_consumers SET number = ? WHERE name = ? AND number = ?", (number, self._name, after)
            )
            if moved.rowcount != 1:
                raise Overtaken
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def close(self) -> None:
        """Close the database."""
        self.connection.close()
