"""The NATS server that a process starts ends with it, however that ends; and the relay as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nats.aio.client import Client as NatsClient
from nats.js.errors import NotFoundError

from services.client import Client
from tests.nats_server import nats_server
from tests.relay_rig import connected, stored
from tests.server import ServerProcess, eventually

pytestmark = pytest.mark.nats


def is_free(lock: Path) -> bool:
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_a_killed_process_leaves_no_server_behind_and_the_next_goes_on(tmp_path: Path) -> None:
    lock, url = tmp_path / "nats" / "lock", tmp_path / "nats" / "url"
    with ServerProcess(tmp_path, settings={"RAPPORT_NATS_URL": ""}) as server:
        eventually(url.exists)
        async with Client(server.target) as client, connected(url.read_text()) as nats:
            await client.withdraw_consent("acme", "c-1")
            await relayed(nats, 2)
        assert not is_free(lock)
        server.kill()
        eventually(lambda: is_free(lock))
        url.unlink()

        server.start()
        eventually(url.exists)
        async with Client(server.target) as client, connected(url.read_text()) as nats:
            await client.withdraw_consent("acme", "c-2")
            await relayed(nats, 3)
        assert 0 == server.stop()
        assert is_free(lock)


KILLED_AT_ONCE = """
import fcntl, os, signal, sys
from pathlib import Path
from services.relay.server import NatsServer

folder = Path(sys.argv[1])
with (folder / "lock").open("ab") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print(NatsServer(folder, "127.0.0.1:0", 1 << 30)._launch(lock.fileno()).pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_process_killed_while_its_server_starts_leaves_none_behind_either(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_ONCE, str(tmp_path)], stdout=subprocess.PIPE, check=False
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    try:
        eventually(lambda: is_free(tmp_path / "lock"))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(killed.stdout), signal.SIGKILL)


async def test_the_relay_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as nats:
        settings = {"RAPPORT_NATS_URL": nats.url}
        with (
            ServerProcess(tmp_path / "data") as server,
            ServerProcess(tmp_path / "data", module="services.relay", settings=settings) as relay,
        ):
            async with Client(server.target) as client, connected(nats.url) as connection:
                await client.withdraw_consent("acme", "c-1")
                await relayed(connection, 2)
            assert 0 == relay.stop()


@pytest.mark.parametrize("point", ["relay.before_publish", "relay.after_publish"])
async def test_a_relay_killed_before_or_after_it_published_is_followed_by_another(tmp_path: Path, point: str) -> None:
    with nats_server(tmp_path / "nats") as nats, ServerProcess(tmp_path / "data") as server:
        async with Client(server.target) as client:
            for number in range(8):
                await client.withdraw_consent("acme", f"c-{number}")
        settings = {"RAPPORT_NATS_URL": nats.url, "RAPPORT_RELAY_WINDOW": "3"}
        fault = {"RAPPORT_TEST_FAULT": f"{point}:2:kill"}
        killed = ServerProcess(tmp_path / "data", module="services.relay", settings={**settings, **fault}).start()
        assert -9 == killed.wait()
        with ServerProcess(tmp_path / "data", module="services.relay", settings=settings):
            async with connected(nats.url) as connection:
                await relayed(connection, 9)


def test_a_relay_without_nats_is_of_no_use_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="RAPPORT_NATS_URL must name the NATS server"):
        ServerProcess(tmp_path, module="services.relay", settings={"RAPPORT_NATS_URL": "off"}).start()


async def relayed(nats: NatsClient, count: int) -> None:
    """Wait until so many events are in the stream, each in its place."""
    found: list[int] = []
    end = time.monotonic() + 15
    while found != list(range(1, count + 1)):
        assert time.monotonic() < end, f"the stream holds {found}"
        await asyncio.sleep(0.05)
        with contextlib.suppress(NotFoundError):  # There is no stream yet.
            found = [number for number, _ in await stored(nats)]
