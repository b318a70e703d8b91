"""A process `services.detector` from the side of the process that starts it: lines of JSON go both ways over a socket.

It belongs to the process that started it. It ends when its socket does, so it never outlives its parent, and on Linux
the system sees to that as well. Signals to the group of the parent, such as Ctrl-C, do not reach it: the parent closes
the socket when it has drained.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Self

from ledger.change.table import Progress, StoredChange
from services.runtime.settings import Settings, environment_of_child

MODULE: Final = "services.detector"
STOP_S: Final = 10.0
"""Seconds that it is given to end by itself."""
WAITING_BYTES_MAX: Final = 64 * 1024
"""Bytes that wait for the other side; whoever takes none is told nothing until it does."""
TOLD_BYTES_MAX: Final = 256 * 1024
"""Bytes of changes that are told with how far they are found; more are read from the table."""
_LINE_BYTES_MAX: Final = 1024 * 1024


class Report(NamedTuple):
    """What the process that finds changes says of itself, whenever that is something else than before."""

    progress: Progress
    due_count: int
    running: bool
    """Whether it finds changes; False: it looks how far another one is."""
    found: Sequence[StoredChange] = ()
    """The last changes, in order and without a hole, where they are few; the table has them all."""

    def values(self) -> list[Any]:
        """Return what JSON can hold."""
        found = [(*each[:-1], b64encode(each.body).decode()) for each in self.found]
        return [*self.progress, self.due_count, self.running, found]

    @classmethod
    def read(cls, values: list[Any]) -> Self:
        """Return what was told by `values`."""
        *progress, due_count, running, found = values
        changes = [StoredChange._make((*each, b64decode(body))) for *each, body in found]
        return cls(Progress._make(progress), due_count, running, changes)


def few(found: Sequence[StoredChange]) -> Sequence[StoredChange]:
    """Return changes if they are few enough to be told; else none."""
    return found if sum(len(each.body) for each in found) <= TOLD_BYTES_MAX else ()


class Lines:
    """Lines of JSON over one end of a socket pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Return the lines of one end, which is closed with them."""
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_LINE_BYTES_MAX))

    def write(self, values: Any) -> bool:
        """Write one line and return True, unless the other side has long taken none; never waits."""
        transport = self._writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() > WAITING_BYTES_MAX:
            return False
        self._writer.write(json.dumps(values).encode() + b"\n")
        return True

    async def read(self) -> Any:
        """Return the next line; None once the other side is gone."""
        with suppress(ConnectionError):
            line = await self._reader.readline()
            if line.endswith(b"\n"):
                return json.loads(line)
        return None

    def close(self) -> None:
        """Let the other side know that this one is gone."""
        self._writer.close()


class Child:
    """One process that was started here, and is ended here."""

    def __init__(self, process: subprocess.Popen[bytes], lines: Lines) -> None:
        self._process = process
        self.lines = lines
        self.pid = process.pid

    @classmethod
    async def start(cls, settings: Settings, *words: str) -> Self:
        """Start one with the same settings, which logs to where this process does.

        Raises:
            OSError: the system does not.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _launch(theirs.fileno(), settings, words)
            except BaseException:
                ours.close()
                raise
        return cls(process, await Lines.over(ours))

    async def end(self, patience_s: float = STOP_S) -> int:
        """Close its socket, wait until it ended or end it; return its exit code, negative for a signal."""
        self.lines.close()
        try:
            return await asyncio.to_thread(self._process.wait, patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return await asyncio.to_thread(self._process.wait)
        except asyncio.CancelledError:
            self._process.kill()
            raise


def _launch(end: int, settings: Settings, words: tuple[str, ...]) -> subprocess.Popen[bytes]:
    # Our modules are found where this process found them, however it was started.
    found = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(  # noqa: S603  # Our own module, run by this interpreter.
        (sys.executable, "-m", MODULE, str(end), *words),
        env={**environment_of_child(settings), **found},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(end,),
        # A group of its own, and not a session: within one session niceness says who yields, between two it does not.
        process_group=0,
    )
