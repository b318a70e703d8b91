"""Two server processes over one database, sixteen writers, a fifth of them on one customer (I4, I6, I8, I18).

Followers on both servers see every event once and in order, while it is written; the log has no holes and no doubles.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from rapport.audit.v1 import audit_service_pb2 as audit
from rapport.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from tests.fault.history import faults
from tests.fault.load import Load
from tests.fault.stored import embedded_log, log_of
from tests.postgres_server import address, postgres_server, postgres_url
from tests.server import ServerProcess

__all__ = ["postgres_server", "postgres_url"]

WRITERS = 16
REQUESTS = 1_200
CUSTOMERS = 5
"""Few customers: each request meets others of the same one, in its own process and in the other."""


class Follower:
    """Subscribes from the first event on, and keeps every position as it comes."""

    def __init__(self, target: str) -> None:
        self.positions: list[int] = []
        self._target = target

    async def follow(self, until: asyncio.Future[int]) -> None:
        """Follow until the position that `until` will name was seen."""
        async with grpc.aio.insecure_channel(self._target) as channel:
            call = AuditServiceStub(channel).Subscribe(audit.SubscribeRequest(after_position=0))
            async for frame in call:
                self.positions += [event.position for event in frame.batch.events]
                if until.done() and self.positions and self.positions[-1] >= until.result():
                    break
            call.cancel()


async def write_and_follow(targets: list[str], seed: int) -> tuple[Load, list[Follower]]:
    load = Load(seed, CUSTOMERS)
    followers = [Follower(target) for target in targets]
    end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        for follower in followers:
            tasks.create_task(follower.follow(end))
        await load.write(targets, REQUESTS, WRITERS)
        await load.finish(targets[0])
        end.set_result(max(operation.position for operation in load.history.acknowledged))
    return load, followers


@pytest.mark.postgres
@pytest.mark.timeout(180)
async def test_two_servers_on_one_postgresql_database(
    tmp_path: Path, postgres_url: str, postgres_keys_url: str, seed: int
) -> None:
    settings = {"RAPPORT_STORE_URL": postgres_url, "RAPPORT_KEYS_URL": postgres_keys_url}
    with ExitStack() as stack:
        # One folder: both need the same KEK.
        servers = [stack.enter_context(ServerProcess(tmp_path, settings=settings)) for _ in range(2)]
        load, followers = await write_and_follow([server.target for server in servers], seed)

    check(load, followers, len(log_of(postgres_url)), seed)
    assert [] == faults(load.history, log_of(postgres_url)), f"seed {seed}"


@pytest.mark.timeout(180)
async def test_two_servers_on_one_sqlite_file(tmp_path: Path, seed: int) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(tmp_path)) for _ in range(2)]
        load, followers = await write_and_follow([server.target for server in servers], seed)

    check(load, followers, len(embedded_log(tmp_path)), seed)
    assert [] == faults(load.history, embedded_log(tmp_path)), f"seed {seed}"


def check(load: Load, followers: list[Follower], log_size: int, seed: int) -> None:
    assert REQUESTS == len(load.history.acknowledged), f"seed {seed}"
    for follower in followers:
        assert list(range(1, len(follower.positions) + 1)) == follower.positions, f"seed {seed}"
        assert log_size == len(follower.positions), f"seed {seed}"


@pytest.fixture
def postgres_keys_url(postgres_server: str, postgres_url: str, tmp_path: Path) -> str:
    """A second database for the keys; dropped with the server."""
    import psycopg  # noqa: PLC0415  # Only where a server is there.

    name = f"keys_{tmp_path.name.replace('-', '_')}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return address(postgres_server, dbname=name)
