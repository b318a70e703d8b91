"""The users of deploy/nats/accounts.conf: only the relay publishes, and subscribers can consume (audit.md 7)."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from nats.js.errors import APIError, NoStreamResponseError

from services.client import Client
from services.client.consuming import Consumer
from services.client.effects import SqliteEffects
from services.runtime.settings import Secret
from tests.nats_server import PROGRAM, free_port
from tests.relay_rig import ListRelayed, ListSource, connected, follows, make_effect, relaying, until
from tests.server import serving

ACCOUNTS = Path(__file__).resolve().parents[2] / "deploy" / "nats" / "accounts.conf"

pytestmark = pytest.mark.nats


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Run a server with the configuration of production; yield its port."""
    port = free_port()
    options = ["--config", str(ACCOUNTS), "--addr", "127.0.0.1", "--port", str(port), "--store_dir", str(tmp_path)]
    passwords = {"RELAY_PASSWORD": "r-secret", "SUBSCRIBER_PASSWORD": "s-secret"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, *options], env={**os.environ, **passwords}, stdout=log, stderr=log)
    until_s = time.monotonic() + 20
    try:
        while not _answers(port):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until_s
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 0.2):
            return True
    except OSError:
        return False


async def test_the_relay_publishes_and_a_subscriber_consumes(port: int, tmp_path: Path) -> None:
    source = ListSource(20)
    effects = SqliteEffects(tmp_path / "e", "mine")
    async with (
        relaying(source, f"nats://relay:r-secret@127.0.0.1:{port}") as relay,
        connected(f"nats://subscriber:s-secret@127.0.0.1:{port}") as client,
    ):
        await until(follows(relay, 20))
        consumer = Consumer(client, ListRelayed(source), effects, make_effect, durable="mine", check_interval_s=0.5)
        task = asyncio.create_task(consumer.run())
        await until(lambda: consumer.last == 20)
        task.cancel()
        await asyncio.wait([task])
    effects.close()


async def test_a_subscriber_publishes_deletes_and_purges_nothing(port: int) -> None:
    source = ListSource(3)
    async with (
        relaying(source, f"nats://relay:r-secret@127.0.0.1:{port}") as relay,
        connected(f"nats://subscriber:s-secret@127.0.0.1:{port}") as client,
    ):
        await until(follows(relay, 3))
        js = client.jetstream(timeout=0.3)
        for forbidden in (
            js.publish("rapport.log.v1.acme.1.forged.v1", b""),
            js.purge_stream(source.stream),
            js.delete_msg(source.stream, 1),
            js.delete_stream(source.stream),
        ):
            with pytest.raises((nats.errors.TimeoutError, APIError, NoStreamResponseError)):
                await forbidden

        assert 3 == (await js.stream_info(source.stream)).state.messages


async def test_a_relay_that_nats_does_not_know_keeps_nobody_from_serving(port: int, tmp_path: Path) -> None:
    url = Secret(f"nats://relay:wrong@127.0.0.1:{port}")
    async with serving(tmp_path / "data", nats_url=url) as server, Client(server.target) as client:
        await until(lambda: "relay.state" in server.logged())
        assert (await client.withdraw_consent("acme", "c-1")).position
        assert "wrong" not in server.logged()
