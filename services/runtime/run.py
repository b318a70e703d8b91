"""The life of a process: open, mount, serve, and stop in order.

Stopping has an order, so that no acknowledged write is lost and nobody is left to guess: new calls are refused and
health says NOT_SERVING; streams close with where to resume; calls in flight end; background work ends; the ledger
commits what it holds and closes; the process exits with 0. A failure in the background takes the same way and exits
with 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol

import grpc
import uvloop
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from ledger.domain.errors import LedgerError
from ledger.testing import fault_points
from services.runtime import process
from services.runtime.app import App, open_app
from services.runtime.interceptors import Guard, Registrar
from services.runtime.logs import Logging, configure, describe, get_log
from services.runtime.metrics import expose
from services.runtime.settings import Settings, SettingsError, from_environment, warnings

FAULT_VARIABLE: Final = "RAPPORT_TEST_FAULT"
"""Rules of `ledger.testing.fault_points`, for tests of crashes."""

METADATA_BYTES_MAX: Final = 16 * 1024
KEEPALIVE_S: Final = 60
PING_INTERVAL_MIN_S: Final = 20
_HEALTH: Final = "grpc.health.v1.Health"
_WATCH_S: Final = 1.0
_REFUSE_S: Final = 0.25  # Less than the 0.5 s after which callers who were refused come back.
_DRAIN_POLL_S: Final = 0.01


class ServiceModule(Protocol):
    """A module with one service: `services.<name>.servicer`."""

    SERVICE: str
    """Full name. Example: `rapport.consent.v1.ConsentService`."""

    def mount(self, server: grpc.aio.Server, app: App) -> None:
        """Add the servicer to the server."""
        ...


def main(modules: Sequence[ServiceModule], environ: Mapping[str, str]) -> None:
    """Serve until SIGTERM or SIGINT; exit with 0 then, 1 after a failure, 2 when it could not start."""
    settings = read_settings(environ)
    logging = configure(settings.log_format, settings.log_level)
    for warning in (*process.harden(), *warnings(settings)):
        get_log().warning("process.warned", warning=warning)
    live(_until_told(modules, settings, environ, logging), settings, logging)


def live(life: Coroutine[Any, Any, None], settings: Settings, logging: Logging) -> None:
    """Run what a process is there for, and tell how it ended by the exit code, as `main` does."""
    try:
        uvloop.run(life)
    except (LedgerError, ValueError, OSError) as error:
        # What an operator can mend: a port that is taken, a store that refuses.
        get_log().error("process.refused", error=type(error).__qualname__, text=str(error))
        sys.exit(2)
    except BaseExceptionGroup as failures:
        for failure in failures.exceptions:
            ours = isinstance(failure, LedgerError)
            get_log().error("process.failed", **describe(failure, with_text=ours or settings.development))
        sys.exit(1)
    finally:
        logging.sink.flush()


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings, and install the faults that a test asks for; exit with 2 where either cannot be used."""
    try:
        settings = from_environment(environ)
        if spec := environ.get(FAULT_VARIABLE):
            fault_points.install(fault_points.parse(spec))
    except SettingsError as error:
        faults = error.faults
    except ValueError as error:
        faults = (f"{FAULT_VARIABLE}: {error}",)
    else:
        return settings
    sys.stderr.write("\n".join(("these settings cannot be used:", *faults)) + "\n")
    sys.exit(2)


async def _until_told(
    modules: Sequence[ServiceModule], settings: Settings, environ: Mapping[str, str], logging: Logging
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(modules, settings, environ, logging, stop, _announce)


def _announce(address: str, app: App) -> None:  # noqa: ARG001  # Tests announce the app too.
    process.take_short_turns()
    process.spare_the_collector()  # Only in a process of our own: it holds on to all that is there now.
    print(greeting(address, person=sys.stdout.isatty()), flush=True)  # noqa: T201  # All that goes to stdout.


def greeting(address: str, *, person: bool) -> str:
    """Return what is said once calls are taken: one line to a program, and to a person what to do next as well."""
    said = f"listening on {address}"
    if not person:
        return said
    return (
        f"{said}\nnext, in another terminal: . .venv/bin/activate, then rapport --help; docs/start.md has first steps"
    )


async def serve(
    modules: Sequence[ServiceModule],
    settings: Settings,
    environ: Mapping[str, str],
    logging: Logging,
    stop: asyncio.Event,
    announce: Callable[[str, App], None],
) -> None:
    """Serve the modules until `stop` is set; return when everything is drained and closed.

    announce: called with HOST:PORT once calls are taken.

    Raises:
        LedgerError, ValueError, OSError: it could not start.
        BaseExceptionGroup: something in the background failed; everything was drained and closed all the same.
    """
    app = await open_app(settings, environ, logging)
    try:
        ledger = app.ledger
        get_log().info(
            "ledger.opened",
            log_id=ledger.log_id,
            position=ledger.head.position,
            store=ledger.store.description(),
            keys=ledger.keys.description(),
        )
        for warning in ledger.store.warnings():
            get_log().warning("store.warned", warning=warning)
        server, address = await _start(modules, app)
        exposition = expose(app.metrics, settings.metrics_listen) if settings.metrics_listen else None
        try:
            announce(address, app)
            get_log().info("process.started", address=address, metrics_port=exposition.port if exposition else 0)
            await _run(server, app, stop)
        finally:
            await server.stop(0)  # Nothing is left to stop, unless starting failed.
            if exposition is not None:
                exposition.close()
    finally:
        await app.ledger.close()
    get_log().info("process.stopped", position=app.ledger.head.position)


async def _run(server: grpc.aio.Server, app: App, stop: asyncio.Event) -> None:
    drained = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for work in (watch_ledger(app), *app.background):
            tasks.create_task(_background(work, drained))
        try:
            await stop.wait()
        finally:
            # Reached on failure too. The server drains first, because rpcs still running may wait for the background.
            get_log().info("process.stopping", calls=app.limits.calls, streams=app.limits.streams)
            app.limits.stopping = True
            app.health.stop()
            app.stopping.set()
            await server.stop(await _drain(app))
            drained.set()


async def _drain(app: App) -> float:
    """Wait until no call is in flight and callers have heard that they are refused; return what is left of the grace.

    Whatever reaches a gRPC server while it closes its connections is told CANCELLED, without a reason. So the
    connections stay open for a moment in which callers are told SHUTTING_DOWN, and to come back later.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    until = began + app.settings.shutdown_grace_s
    while loop.time() < until and (app.limits.calls or loop.time() < began + _REFUSE_S):  # noqa: ASYNC110  # See below.
        await asyncio.sleep(_DRAIN_POLL_S)  # Counting costs nothing; an event per call would.
    return max(until - loop.time(), 0.0)


async def _background(work: Callable[[asyncio.Event], Any], drained: asyncio.Event) -> None:
    await work(drained)


def watch_ledger(app: App) -> Callable[[asyncio.Event], Any]:
    """Return what watches over the ledger of a process until an event is set."""

    async def watch(drained: asyncio.Event) -> None:
        """End the process when the ledger can write, or follow the log, no more; another one may."""
        while not drained.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_S):
                    await drained.wait()
            failure = app.ledger.failure or app.ledger.follower.failure
            if failure is not None and not drained.is_set():
                app.health.stop()
                raise failure

    return watch


async def _start(modules: Sequence[ServiceModule], app: App) -> tuple[grpc.aio.Server, str]:
    """Return the running server and HOST:PORT of where it listens."""
    settings = app.settings
    guard = Guard(
        app.limits,
        app.metrics,
        app.logging,
        deadline_default_s=settings.deadline_default_s,
        deadline_max_s=settings.deadline_max_s,
        write_timeout_s=settings.write_timeout_s,
        development=settings.development,
    )
    registrar = Registrar(guard, unguarded=(_HEALTH,))
    for module in modules:
        module.mount(registrar.as_server(), app)
    for service in registrar.services:
        app.health.add(service)
    health_pb2_grpc.add_HealthServicer_to_server(app.health, registrar)
    if settings.serves_reflection:
        names = (*registrar.services, "grpc.reflection.v1alpha.ServerReflection")
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflection.aio.ReflectionServicer(names), registrar)
    server = grpc.aio.server(options=_options(settings), maximum_concurrent_rpcs=_rpcs_max(settings))
    registrar.register(server)
    host = settings.listen.rpartition(":")[0]
    try:
        port = server.add_insecure_port(settings.listen)
    except RuntimeError:
        raise OSError(f"{settings.listen} cannot be listened on; is another server there?") from None
    await server.start()
    return server, f"{host}:{port}"


def _rpcs_max(settings: Settings) -> int:
    """Return how many rpcs gRPC lets in at all: so many that ours are refused by us, with a hint when to come back."""
    return 2 * (settings.calls_max + settings.streams_max) + 128


def _options(settings: Settings) -> list[tuple[str, int]]:
    """Return the channel options of invariants.md, part C."""
    age_ms = round(settings.stream_age_max_s * 1000)
    return [
        ("grpc.so_reuseport", 0),  # Two servers on one port would split the callers between them unnoticed.
        ("grpc.max_receive_message_length", settings.message_bytes_max),
        ("grpc.max_send_message_length", settings.message_bytes_max),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.max_concurrent_streams", settings.calls_max + settings.streams_max),
        ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MIN_S * 1000),
        ("grpc.max_connection_age_ms", age_ms),
        # A stream that began just before the connection's age still closes by itself, with where to resume.
        ("grpc.max_connection_age_grace_ms", age_ms + 60_000),
    ]
