"""Processes forked from one that has imported the services: a new Python does so for longer than most tests last.

`ForkedModule` runs a module as `python -m` does, and has what tests use of `subprocess.Popen`.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, TextIO
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "protos")])

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    ["services.standalone", "services.runtime.run", "tests.fault.writing_process", "tests.fault.finding_process"]
)


def fork(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Call a function in a process of its own."""
    process = _FORKING.Process(target=target, args=arguments)
    # The first call starts the one from which all are forked; it needs to find what it is to import.
    with patch.dict(os.environ, PYTHONPATH=PYTHONPATH):
        process.start()
    return process


class ForkedModule:
    """A module that runs in a process of its own, in the folder of the checkout."""

    def __init__(self, module: str, environ: Mapping[str, str]) -> None:
        self.stdout, out = _pipe()
        self.stderr, err = _pipe()
        with out, err:
            self._process = fork(_run, module, dict(environ), out, err)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs; negative: the signal that killed it."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ended; return the exit code."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def _pipe() -> tuple[TextIO, Connection]:
    """Return what to read from, and the end that a process is given to write to."""
    reader, writer = os.pipe()
    return os.fdopen(reader), Connection(writer, readable=False)


def _run(module: str, environ: dict[str, str], out: Connection, err: Connection) -> None:
    os.dup2(out.fileno(), sys.stdout.fileno())
    os.dup2(err.fileno(), sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(ROOT)
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
