"""The relay in a process: no rpcs, work beside the server, with a name of its own in health and figures in metrics.

A process without NATS serves all the same: only the health of the relay says that nothing is relayed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Final

import grpc
import nats.errors
from nats.aio.client import Client

from services.relay.connecting import abandon, close, connect
from services.relay.relay import Relay, State, Status
from services.relay.server import NatsServer, NotStarted
from services.relay.source import Kept, Source
from services.relay.sources import Sources, sources_of
from services.runtime.app import App
from services.runtime.logs import get_log
from services.runtime.metrics import RelayFigures

SERVICE: Final = "rapport.relay.v1.Relay"
"""Its name in health."""

OFF: Final = "off"
RESTART_S: Final = 1.0
"""Seconds before a NATS server that ended is started again."""

PATIENCE_S: Final = 2.0
"""Seconds without a first connection after which that is told."""


class Running:
    """The relays of a process, one for each source, over one connection."""

    def __init__(self, app: App, sources: Sources) -> None:
        self._app = app
        self._sources = sources.all
        self._close = sources.close
        self._statuses = [Status() for _ in sources.all]

    def healthy(self) -> bool:
        """Tell whether every stream is followed, and comes on."""
        return all(status.healthy for status in self._statuses)

    def show(self) -> None:
        """Let health and metrics ask."""
        self._app.health.watch(SERVICE, self.healthy)
        for source, status in zip(self._sources, self._statuses, strict=True):
            self._app.metrics.watch_relay(source.stream, partial(_figures, source, status))

    async def run(self, drained: asyncio.Event) -> None:
        """Relay until the process has drained."""
        work = asyncio.ensure_future(self._relay())
        drain = asyncio.ensure_future(drained.wait())
        await asyncio.wait({work, drain}, return_when=asyncio.FIRST_COMPLETED)
        for task in (work, drain):
            task.cancel()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await work
        finally:
            await self._close()

    async def _relay(self) -> None:
        settings = self._app.settings
        if url := settings.nats_url.reveal():
            await self._follow(url.split(","))
            return
        # Room for both streams, and for what the server keeps of consumers.
        size_bytes = (len(self._sources) + 1) * settings.nats_max_bytes
        server = NatsServer(settings.data_dir / "nats", settings.nats_listen, size_bytes)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow([await self._keep(server)]))
                tasks.create_task(self._watch(server))
        finally:
            await server.stop()

    async def _keep(self, server: NatsServer) -> str:
        """Start the server, as often as it takes; return its address."""
        told = False
        while True:
            try:
                url = await server.start()
            except (NotStarted, OSError) as error:
                if not told:
                    get_log().error("nats.not_started", text=str(error))
                told = True
                await asyncio.sleep(RESTART_S)
            else:
                get_log().info("nats.started", url=url)
                return url

    async def _watch(self, server: NatsServer) -> None:
        """Start the server again whenever it ended."""
        while True:
            await asyncio.sleep(RESTART_S)
            if not server.running:
                get_log().warning("nats.ended")
                await server.stop()
                await self._keep(server)

    async def _follow(self, servers: Sequence[str]) -> None:
        """Relay over one connection after the other."""
        while True:
            try:
                client = await self._connected(servers)
            except (nats.errors.Error, OSError) as error:
                self._away(error)
            else:
                await self._relay_over(client)
            await asyncio.sleep(RESTART_S)

    async def _connected(self, servers: Sequence[str]) -> Client:
        """Return a connection; it is waited for as long as it takes, and after a while that is told."""
        connecting = asyncio.create_task(connect(self._app.settings, servers))
        try:
            done, _ = await asyncio.wait({connecting}, timeout=PATIENCE_S)
            if not done:
                self._away(ConnectionError("NATS does not answer"))
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            await abandon(connecting)
            raise

    async def _relay_over(self, client: Client) -> None:
        """Relay for as long as a connection may come back; where NATS throws us out, the client library gives up."""
        relays = [
            asyncio.ensure_future(self._relay_of(source, status, client).run())
            for source, status in zip(self._sources, self._statuses, strict=True)
        ]
        try:
            while not client.is_closed:
                ended, _ = await asyncio.wait(relays, timeout=RESTART_S, return_when=asyncio.FIRST_COMPLETED)
                for relay in ended:
                    relay.result()
        finally:
            for relay in relays:
                relay.cancel()
            await asyncio.wait(relays)
            await close(client)

    def _away(self, error: Exception) -> None:
        for source, status in zip(self._sources, self._statuses, strict=True):
            if status.turned_to(State.AWAY, str(error) or type(error).__qualname__):
                _tell(source, status.state, status.why)

    def _relay_of(self, source: Source, status: Status, client: Client) -> Relay:
        settings = self._app.settings
        kept = Kept(
            age_s=settings.nats_max_age_s,
            size_bytes=settings.nats_max_bytes,
            replicas=settings.nats_replicas,
            protected=not settings.development,
        )
        return Relay(
            source,
            client,
            kept,
            status,
            clock=self._app.ledger.clock,
            window=settings.relay_window,
            check_interval_s=settings.relay_check_interval_s,
            tell=_tell,
        )


def mount(server: grpc.aio.Server, app: App) -> None:  # noqa: ARG001  # It serves no rpc.
    """Let the relay run beside the services, unless it is switched off or NATS is missing in production."""
    url = app.settings.nats_url.reveal()
    if url == OFF:
        return
    if not url and not app.settings.development:
        get_log().warning("process.warned", warning="RAPPORT_NATS_URL is not set: nothing is relayed to NATS")
        return
    running = Running(app, sources_of(app))
    running.show()
    app.run_beside(running.run)


def _figures(source: Source, status: Status) -> RelayFigures:
    lag = max(source.known - status.stored, status.lag)
    return RelayFigures(status.state is State.FOLLOWING, status.stored, lag, status.holes, status.refusals)


def _tell(source: Source, state: State, why: str) -> None:
    log = get_log()
    say = log.info if state is State.FOLLOWING else log.error if state is State.HALTED else log.warning
    say("relay.state", stream=source.stream, state=state.value, why=why)
