"""Replies of PostgreSQL are lost while a server commits: never a false conflict, never a second event (I4, I5, A3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from ledger.testing.tcp_proxy import TcpProxy
from services.runtime.settings import Secret
from tests.fault.history import faults
from tests.fault.load import Load
from tests.fault.stored import log_of
from tests.postgres_server import address, postgres_server, postgres_url
from tests.server import serving

__all__ = ["postgres_server", "postgres_url"]

LOSSES = 15


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[TcpProxy]:
    """What stands between the server and its database."""
    parts = conninfo_to_dict(postgres_url)
    host, port = str(parts["host"]), int(parts.get("port") or 5432)
    with TcpProxy(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)) as proxy:
        yield proxy


@pytest.mark.postgres
@pytest.mark.timeout(120)
async def test_lost_replies_are_never_a_conflict_and_never_a_second_event(
    tmp_path: Path, postgres_url: str, proxy: TcpProxy, seed: int
) -> None:
    load = Load(seed)
    store_url = Secret(address(postgres_url, host="127.0.0.1", port=proxy.port))
    lost = 0
    async with serving(tmp_path, store_url=store_url) as server:
        for _ in range(LOSSES):
            proxy.lose_reply(b"interaction.recorded.v1")  # Only an append sends a topic.
            await load.write([server.target], count=12, clients=6)
            lost += await asyncio.to_thread(proxy.lost, 0.0)
        proxy.lose_reply(b"never sent by anybody")
        await load.finish(server.target)

    assert lost >= LOSSES // 2, "the proxy lost too few replies to show anything"
    refused = [operation for operation in load.history.operations if operation.refused]
    assert [] == refused, "a lost reply was told as a definite error"
    assert [] == faults(load.history, log_of(postgres_url)), f"seed {seed}"
