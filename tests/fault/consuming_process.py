"""A consumer in a process of its own, which kills itself at the number and place that it is told.

Arguments: URL of NATS, database, how many messages there are, number at which to die, `before` or `after` the commit.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.client.consuming import Consumer
from services.client.effects import SqliteEffects
from tests.relay_rig import ListRelayed, ListSource, connected, make_effect, until


class Dying(SqliteEffects):
    """Effects that end the process right after a commit."""

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(path, "dying")
        self.number = number

    @asynccontextmanager
    async def once(self, after: int, number: int) -> AsyncIterator[sqlite3.Connection]:
        async with super().once(after, number) as connection:
            yield connection
        if number == self.number:
            os._exit(9)


async def main(url: str, path: str, count: str, number: str, place: str) -> None:
    source = ListSource(int(count))
    effects = Dying(Path(path), int(number) if place == "after" else 0)
    done = 0

    def apply(connection: sqlite3.Connection, content: str) -> None:
        nonlocal done
        make_effect(connection, content)
        if place == "before" and content == source.message(int(number)).body.decode():
            os._exit(9)
        done += 1

    async with connected(url) as client:
        consumer = Consumer(client, ListRelayed(source), effects, apply, durable="dying", check_interval_s=0.5)
        task = asyncio.create_task(consumer.run())
        await until(lambda: consumer.last == source.count, timeout_s=30)
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
