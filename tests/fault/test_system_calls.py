"""Killed, or failed by the disk, at any write or sync: nothing acknowledged is lost, torn or doubled (I1, I3)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest

from tests.fault.history import History, Operation, faults
from tests.fault.load import Load
from tests.fault.stored import embedded_log
from tests.fault.writing_process import open_in, requests, write, write_traced
from tests.forking import fork
from tests.server import ServerProcess, eventually

CALLS = "pwrite64,fdatasync,fsync,ftruncate,unlink"
REQUESTS = 24
RUN_S = 30.0
BUDGET_S = 60.0
"""Time for one sweep: where a run is slow, fewer calls are tried, evenly spread."""

pytestmark = [
    pytest.mark.strace,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed; CI has it"),
]


@pytest.mark.parametrize("fault", ["signal=SIGKILL", "error=EIO", "error=ENOSPC"])
async def test_a_fault_at_any_write_or_sync_loses_and_doubles_nothing(tmp_path: Path, fault: str, seed: int) -> None:
    calls = _calls(tmp_path / "whole", seed)
    started, tried, met, at = time.monotonic(), 0, 0, 0
    while at < len(calls) and time.monotonic() - started < BUDGET_S:
        met += await _run_once(tmp_path / str(at), calls[at], fault, seed)
        tried += 1
        left_s, each_s = BUDGET_S - (time.monotonic() - started), (time.monotonic() - started) / tried
        at += max(1, round((len(calls) - at) * each_s / max(left_s, each_s)))

    print(f"{{I1/I3, {fault}, N={met} of {len(calls)} calls, violations=0, seed={seed}}}")  # noqa: T201  # The test's report.
    assert tried >= 10
    # The threads share the work otherwise from run to run: the last calls of one may not come again.
    assert met > tried * 0.8


async def _run_once(folder: Path, call: Call, fault: str, seed: int) -> bool:
    """Write, with a fault at a call, and write on; tell whether the fault was met."""
    trace, history = folder.with_suffix(".trace"), History()
    _collect(history, _write(folder, seed, f"inject={call.name}:{fault}:when={call.nth}", trace))

    ledger = await open_in(folder)
    answers: list[str] = []
    await write(ledger, requests(seed, REQUESTS), answers.append)
    await ledger.close()

    _collect(history, answers)
    assert [] == faults(history, embedded_log(folder)), f"{fault} at {call}, seed {seed}"
    shutil.rmtree(folder)
    return any(sign in trace.read_text() for sign in ("(INJECTED)", "killed by SIGKILL"))


class Call(NamedTuple):
    """A system call: its name, and how many of this name its thread makes until then. So strace counts, too."""

    name: str
    nth: int


def _calls(folder: Path, seed: int) -> list[Call]:
    """Return every call at which a fault can be met while all is written."""
    trace = folder.with_suffix(".trace")
    assert "closed" == _write(folder, seed, f"trace={CALLS}", trace)[-1]
    begun = (line.split("(")[0].split() for line in trace.read_text().splitlines() if " resumed>" not in line)
    made = Counter((words[0], words[1]) for words in begun if words[1] in CALLS.split(","))
    most = Counter[str]()
    for (_, name), count in made.items():
        most[name] = max(most[name], count)
    return [Call(name, nth) for name, count in most.items() for nth in range(1, count + 1)]


def _write(folder: Path, seed: int, what: str, trace: Path) -> list[str]:
    """Write in a process of its own under strace; return the lines it said before it ended, however it did."""
    folder.mkdir()
    said = folder.with_suffix(".said")
    writer = fork(write_traced, folder, seed, REQUESTS, said)
    eventually(said.exists, RUN_S)  # Before it, modules may be imported, which is slow when traced.
    command = ["strace", "-f", "-qq", "-p", str(writer.pid), "-o", str(trace), "-e", f"trace={CALLS}", "-e", what]
    try:
        subprocess.run(command, capture_output=True, timeout=RUN_S, check=False)
    finally:
        writer.kill()
        writer.join()
    return said.read_text(encoding="ascii").splitlines()


def _collect(history: History, lines: list[str]) -> None:
    """Add what a writer printed to a history; a line that was cut off by a kill says nothing."""
    known = {operation.request_id: operation for operation in history.operations}
    for line in lines:
        match line.split():
            case ["sent", request_id, stream_id] if UUID(request_id) not in known:
                operation = Operation(UUID(request_id), stream_id, time.monotonic())
                known[operation.request_id] = operation
                history.operations.append(operation)
            case ["acknowledged", request_id, position, version]:
                operation = known[UUID(request_id)]
                if operation.ended:
                    assert (operation.position, operation.version) == (int(position), int(version)), "another answer"
                operation.position, operation.version = int(position), int(version)
                operation.ended = operation.ended or time.monotonic()
            case _:
                pass  # "closed", or "sent" once more.


@pytest.mark.parametrize("at", [3, 20, 60, 110, 170, 240])
async def test_a_server_killed_at_a_system_call_under_load_loses_and_doubles_nothing(
    tmp_path: Path, at: int, seed: int
) -> None:
    load = Load(seed)
    what = f"inject={CALLS}:signal=SIGKILL:when={at}"
    strace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={CALLS}", "-e", what]
    server = ServerProcess(tmp_path, prefix=strace)
    with suppress(AssertionError), server:  # The first calls are those of starting.
        await load.write([server.target], count=300, clients=8)

    with ServerProcess(tmp_path) as restarted:
        await load.finish(restarted.target)

    assert server.returncode not in (None, 0), "no call was the one to be killed at"
    assert [] == faults(load.history, embedded_log(tmp_path)), f"seed {seed}"
