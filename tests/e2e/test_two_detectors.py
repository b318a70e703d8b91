"""Two processes over one PostgreSQL, each with a child that finds changes: one finds, and the other takes over."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.change import table
from ledger.change.table import StoredChange
from ledger.change.verifying import anew
from ledger.log.recorders import open_store
from ledger.projections.postgres_database import PostgresDatabase
from rapport.change.v1.change_pb2 import RelationshipChange
from services.client import Client
from tests.e2e.test_detector_process import PROCESS, START_S, begun, children, is_there, opt_in_and_out, until
from tests.server import ServerProcess

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc"),
    pytest.mark.timeout(120),
]

BEFORE, AFTER = 20, 20
"""Customers of whom changes are found before the process of the first child is killed, and after."""


@contextmanager
def two_servers(folder: Path, url: str) -> Iterator[list[ServerProcess]]:
    settings = {**PROCESS, "RAPPORT_STORE_URL": url}
    with ServerProcess(folder, settings=settings) as one, ServerProcess(folder, settings=settings) as other:
        yield [one, other]


async def finds(server: ServerProcess) -> bool:
    """Tell whether it is the child of this process that finds changes."""
    async with Client(server.target) as client:
        return (await client.get_detector()).running


async def in_order(servers: list[ServerProcess]) -> list[ServerProcess]:
    """Return first the one of which the child finds changes; it is one of them."""
    async with asyncio.timeout(START_S):
        while True:
            found = [await finds(server) for server in servers]
            if any(found):
                assert found.count(True) == 1
                return servers if found[0] else servers[::-1]
            await asyncio.sleep(0.05)


def alone(url: str, position: int) -> list[StoredChange]:
    """Return the changes of the log as one process finds them from its first event."""
    store = open_store(url)
    try:
        log_id = Announced(url).log_id
        return [change for batch, _ in anew(store, log_id, position) for change in batch]
    finally:
        store.close()


class Announced:
    """What was announced of a log."""

    def __init__(self, url: str) -> None:
        database = PostgresDatabase(url)
        with database.snapshot() as session:
            self.log_id = table.progress(session).log_id
            self.changes = table.changes_after(session, 0, 10_000, None, {})
        database.close()


async def test_one_child_finds_and_the_other_takes_over_once_the_first_is_killed(
    tmp_path: Path, postgres_url: str
) -> None:
    with two_servers(tmp_path, postgres_url) as servers:
        await asyncio.gather(*(begun(server.target) for server in servers))
        first, second = await in_order(servers)
        (killed,) = children(first.pid)
        heard: list[RelationshipChange] = []
        async with Client(second.target) as client:

            async def watch() -> None:
                async for change in client.watch_relationships("acme", after_number=0):
                    heard.append(change)  # noqa: PERF401  # Each is looked at as it comes.

            watching = asyncio.create_task(watch())
            await opt_in_and_out(client, *(f"c-{number}" for number in range(BEFORE)))
            later = asyncio.create_task(opt_in_and_out(client, *(f"d-{number}" for number in range(AFTER))))
            await until(lambda: len(heard) > 2 * BEFORE, 30)
            first.kill()
            await until(lambda: not is_there(killed))

            position = await later
            await until(lambda: len(heard) == 2 * (BEFORE + AFTER), 30)
            async with asyncio.timeout(30):
                # The first one may have found everything before it ended.
                while not await finds(second):  # noqa: ASYNC110  # What is waited for is elsewhere.
                    await asyncio.sleep(0.05)
            watching.cancel()
            progress = [each async for each in client.verify_changes()]
            assert (True, len(heard)) == (progress[-1].complete, progress[-1].change_count)
        announced = Announced(postgres_url).changes
        assert alone(postgres_url, position) == announced
        assert [change.body for change in announced] == [change.SerializeToString() for change in heard]
        assert 0 == second.stop()
