"""The connection to NATS: made once, mended by the client library for as long as it takes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Any, Final

import nats.errors
from nats.aio.client import Client

from services.runtime.logs import get_log
from services.runtime.settings import Settings

NAME: Final = "rapport relay"
RECONNECT_S: Final = 0.25
CONNECT_S: Final = 2
ABANDON_S: Final = 0.1
PING_S: Final = 5
"""A server that says nothing is taken for dead after two of these."""


async def connect(settings: Settings, servers: Sequence[str]) -> Client:
    """Return a connection, which comes back by itself when it is lost.

    Raises:
        OSError: a file of certificates cannot be read, or NATS is away.
        nats.errors.Error: NATS is away, or knows neither user nor certificate.
    """
    options: dict[str, Any] = {
        "name": NAME,
        "connect_timeout": CONNECT_S,
        "reconnect_time_wait": RECONNECT_S,
        "max_reconnect_attempts": -1,
        "ping_interval": PING_S,
    }
    if (context := _tls(settings, servers)) is not None:
        options["tls"] = context

    async def told(error: Exception) -> None:
        get_log().debug("nats.told", error=type(error).__qualname__)

    client = Client()
    try:
        await client.connect(list(servers), error_cb=told, **options)
    except BaseException:
        # Whoever stops waiting would leave the socket of the attempt under way open.
        await close(client)
        raise
    return client


async def abandon(connecting: asyncio.Task[Client]) -> None:
    """End an attempt to connect, and let go of what came of it."""
    while not connecting.done():
        connecting.cancel()
        # Again and again: `asyncio.wait_for` of Python 3.11, which the client library uses, may swallow it.
        await asyncio.wait({connecting}, timeout=ABANDON_S)
    if not connecting.cancelled() and connecting.exception() is None:
        await close(connecting.result())


async def close(client: Client) -> None:
    """Let go of a connection, whatever state it is in."""
    with contextlib.suppress(nats.errors.Error, OSError):
        await client.close()


def _tls(settings: Settings, servers: Sequence[str]) -> ssl.SSLContext | None:
    files = (settings.nats_ca_file, settings.nats_cert_file, settings.nats_key_file)
    if not any(files) and not any(server.startswith("tls:") for server in servers):
        return None
    context = ssl.create_default_context(cafile=str(files[0]) if files[0] else None)
    if files[1] is not None:
        context.load_cert_chain(str(files[1]), str(files[2]))
    return context
