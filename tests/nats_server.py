"""NATS servers for the tests that need one: from the package, on free ports, in folders of the tests' own.

Each is a child of the test process, ended by it and by its process id. A server of somebody else's is never used: tests
kill, empty and wind back theirs, and the names of the streams are fixed.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

PROGRAM: Final = str(Path(sys.executable).with_name("nats-server"))
START_S: Final = 20.0

_CONFIGURATION: Final = """\
server_name: {name}
host: 127.0.0.1
port: {port}
jetstream {{
  store_dir: {store}
  sync_interval: {sync}
  max_file_store: 64GB
}}
{more}
"""

_CLUSTER: Final = """\
cluster {{
  name: rapport
  listen: 127.0.0.1:{port}
  routes: [{routes}]
}}
"""


class Nats:
    """A server that may be killed, started again on its port, and wound back to an older copy of its store."""

    def __init__(self, folder: Path, *, name: str = "n1", more: str = "", sync: str = "always") -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        text = _CONFIGURATION.format(
            name=name, port=self.port, store=json.dumps(str(folder / "store")), sync=sync, more=more
        )
        (folder / "nats.conf").write_text(text)

    def start(self) -> Nats:
        """Start it and wait until it takes connections."""
        with (self._folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "--config", str(self._folder / "nats.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "nats.log").read_text()[-2000:]
            assert time.monotonic() < until, "the NATS server did not start in time"
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def copy(self, name: str = "copy") -> None:
        """Keep a copy of the store; the server must not run."""
        shutil.copytree(self._folder / "store", self._folder / name)

    def restore(self, name: str = "copy") -> None:
        """Put the copy in the place of the store; the server must not run."""
        shutil.rmtree(self._folder / "store")
        shutil.copytree(self._folder / name, self._folder / "store")

    def wipe(self) -> None:
        """Delete the store; the server must not run."""
        shutil.rmtree(self._folder / "store")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.2) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False


@contextmanager
def nats_server(folder: Path, **options: str) -> Iterator[Nats]:
    """Run a server until the block is left."""
    server = Nats(folder, **options)
    try:
        yield server.start()
    finally:
        server.kill()


@contextmanager
def nats_cluster(folder: Path, size: int = 3) -> Iterator[list[Nats]]:
    """Run a cluster until the block is left."""
    routes = [free_port() for _ in range(size)]
    named = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
    with ExitStack() as ends:
        servers = []
        for number, port in enumerate(routes):
            server = Nats(
                folder / f"n{number}", name=f"n{number}", more=_CLUSTER.format(port=port, routes=named), sync="2m"
            )
            ends.callback(server.kill)
            servers.append(server)
        for server in servers:
            server.start()
        yield servers


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
