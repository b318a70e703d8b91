"""Servers for tests: in the test's own event loop, or as a process of its own. Both on a free port, in a folder given.

Usage:
    async with serving(tmp_path) as server:
        stub = InteractionServiceStub(server.channel)

    with ServerProcess(tmp_path) as server:
        async with grpc.aio.insecure_channel(server.target) as channel: ...
"""

from __future__ import annotations

import asyncio
import io
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest.mock import patch

import grpc

from services.runtime import run
from services.runtime.app import App
from services.runtime.logs import configure
from services.runtime.run import ServiceModule, serve
from services.runtime.settings import Secret, Settings
from services.standalone import SERVICES
from tests.forking import PYTHONPATH, ROOT, ForkedModule

__all__ = ["ROOT", "ServerProcess", "Serving", "eventually", "serving"]

START_S = 60.0
STOP_S = 60.0


@dataclass
class Serving:
    """A server in this event loop."""

    target: str
    """HOST:PORT."""
    app: App
    channel: grpc.aio.Channel
    """Open while the server is."""
    log: io.StringIO
    """What it logged, one JSON object a line; call `logged` to read it."""
    stop: asyncio.Event
    """Set it to stop the server before the block ends."""
    task: asyncio.Task[None] = field(repr=False)

    def logged(self) -> str:
        """Return every log line so far."""
        self.app.logging.sink.flush()
        return self.log.getvalue()


@asynccontextmanager
async def serving(
    data_dir: Path, modules: Sequence[ServiceModule] = SERVICES, **settings: Any
) -> AsyncIterator[Serving]:
    """Serve `modules` in this event loop, with `settings` as fields of Settings; drained and closed at the end."""
    given = {
        "listen": "127.0.0.1:0",
        "data_dir": data_dir,
        "shutdown_grace_s": 5.0,
        "nats_url": Secret("off"),
        "detector": "thread",
    }
    chosen = Settings(**{**given, **settings})
    log, stop = io.StringIO(), asyncio.Event()
    logging = configure("json", "info", log)
    started: asyncio.Future[tuple[str, App]] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(modules, chosen, {}, logging, stop, lambda address, app: started.set_result((address, app)))
    )
    waiting: set[asyncio.Future[Any]] = {task, started}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        await task
    address, app = await started
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            yield Serving(address, app, channel, log, stop, task)
        finally:
            # Who would have to hear that it stops is gone by now, unless the test itself stopped it.
            with nullcontext() if stop.is_set() else patch.object(run, "_REFUSE_S", 0.0):
                stop.set()
                await task


class ServerProcess:
    """A server in a process of its own, the standalone one by default. A context manager; may be started again.

    It is forked from a process that has imported everything, unless it is to be run under a command or to be `fresh`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        module: str = "services.standalone",
        settings: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        fresh: bool = False,
    ) -> None:
        """Prepare it.

        settings: variables, such as {"RAPPORT_TEST_FAULT": ...}. prefix: a command to run it under, such as strace.
        fresh: Python is started for it, as an operator does.
        """
        self._data_dir = data_dir
        self._module = module
        self._settings = dict(settings or {})
        self._prefix = list(prefix)
        self._fresh = fresh or bool(prefix)
        self._process: subprocess.Popen[str] | ForkedModule | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._readers: list[threading.Thread] = []
        self.stderr: list[str] = []
        """What it wrote to stderr, line by line."""
        self.target = ""

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, or None while it runs; negative: the signal that killed it."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> Self:
        """Start it and wait until it listens; a second start uses the port of the first."""
        process = self._launch()
        self._process, self._lines = process, queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._read_stdout, args=(process, self._lines), daemon=True),
            threading.Thread(target=self._read_stderr, args=(process,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        first = self._lines.get(timeout=START_S)
        if first is None or not first.startswith("listening on "):
            process.wait(STOP_S)
            raise AssertionError(f"it did not start ({first!r}):\n" + "".join(self.stderr))
        self.target = first.removeprefix("listening on ").strip()
        return self

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """Wait until it ended; return its exit code."""
        assert self._process is not None
        code = self._process.wait(timeout_s)
        for reader in self._readers:
            reader.join(5)
        return code

    def stop(self) -> int:
        """Ask it to stop as an operator would; return its exit code."""
        if self.returncode is None:
            self.signal()
        return self.wait()

    def kill(self) -> None:
        """Kill it at once, as a power cut would."""
        self.signal(signal.SIGKILL)
        self.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.returncode is None:
            self.signal()
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.kill()

    def _launch(self) -> subprocess.Popen[str] | ForkedModule:
        if not self._fresh:
            return ForkedModule(self._module, self._environment())
        return subprocess.Popen(
            [*self._prefix, sys.executable, "-m", self._module],
            cwd=ROOT,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RAPPORT_")}
        mine = {
            "RAPPORT_DATA_DIR": str(self._data_dir),
            "RAPPORT_LISTEN": self.target or "127.0.0.1:0",
            "RAPPORT_NATS_URL": "off",
            "RAPPORT_DETECTOR": "thread",  # One process less to start, where a test is not about it.
            "PYTHONPATH": PYTHONPATH,
        }
        return {**clean, **mine, **self._settings}

    @staticmethod
    def _read_stdout(process: subprocess.Popen[str] | ForkedModule, lines: queue.SimpleQueue[str | None]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)
        process.stdout.close()

    def _read_stderr(self, process: subprocess.Popen[str] | ForkedModule) -> None:
        assert process.stderr is not None
        self.stderr.extend(process.stderr)
        process.stderr.close()


def eventually(condition: Any, timeout_s: float = 10.0) -> None:
    """Wait until `condition()` is true, or fail."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.02)
