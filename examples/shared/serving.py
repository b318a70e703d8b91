"""A server of its own for an example: on a free port, with an empty ledger that is gone afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Yield HOST:PORT of a server that runs until the block is left."""
    with TemporaryDirectory() as folder:
        settings = {"RAPPORT_DATA_DIR": f"{folder}/data", "RAPPORT_LISTEN": "127.0.0.1:0", "RAPPORT_NATS_URL": "off"}
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "services.standalone"],
            env={**os.environ, **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        try:
            first_line = (await process.stdout.readline()).decode()
            yield first_line.removeprefix("listening on ").strip()
        finally:
            process.terminate()
            await process.wait()
