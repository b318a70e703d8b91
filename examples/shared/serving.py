"""A server of its own for an example: on a free port, with an empty ledger that is gone afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Yield HOST:PORT of a server that runs until the block is left."""
    async with _running("off") as (address, _):
        yield address


@asynccontextmanager
async def serving_with_nats() -> AsyncIterator[tuple[str, str]]:
    """Yield HOST:PORT of a server, and the address of the NATS server that it started beside itself."""
    async with _running("") as (address, data):
        while not (data / "nats" / "url").exists():  # noqa: ASYNC110  # Another process writes it.
            await asyncio.sleep(0.05)
        yield address, (data / "nats" / "url").read_text(encoding="ascii")


@asynccontextmanager
async def _running(nats_url: str) -> AsyncIterator[tuple[str, Path]]:
    with TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        settings = {"RAPPORT_DATA_DIR": str(data), "RAPPORT_LISTEN": "127.0.0.1:0", "RAPPORT_NATS_URL": nats_url}
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "services.standalone"],
            env={**os.environ, **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        try:
            first_line = (await process.stdout.readline()).decode()
            yield first_line.removeprefix("listening on ").strip(), data
        finally:
            process.terminate()
            await process.wait()
