"""Killed, or failed by the disk, at any write or sync: nothing acknowledged is lost, torn or doubled (I1, I3)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from tests.fault.history import History, Operation, faults
from tests.fault.load import Load
from tests.fault.stored import embedded_log
from tests.fault.writing_process import open_in, requests, write
from tests.server import ROOT, ServerProcess

CALLS = "pwrite64,fdatasync,fsync,ftruncate,unlink"
REQUESTS = 24
RUN_S = 30.0
BUDGET_S = 180.0
"""Time for one sweep: where a run is slow, fewer calls are tried, evenly spread."""

pytestmark = [
    pytest.mark.strace,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed; CI has it"),
]


@pytest.mark.parametrize("fault", ["signal=SIGKILL", "error=EIO", "error=ENOSPC"])
async def test_a_fault_at_any_write_or_sync_loses_and_doubles_nothing(tmp_path: Path, fault: str, seed: int) -> None:
    calls = _count_calls(tmp_path / "whole", seed)
    budget_s = BUDGET_S if "KILL" in fault else BUDGET_S / 3
    started, tried, stride = time.monotonic(), 0, 1
    at = 1
    while at <= calls and time.monotonic() - started < budget_s:
        await _run_once(tmp_path / str(at), f"{fault}:when={at}", seed)
        tried += 1
        left_s, each_s = budget_s - (time.monotonic() - started), (time.monotonic() - started) / tried
        stride = max(1, round((calls - at) * each_s / max(left_s, each_s)))
        at += stride

    print(f"{{I1/I3, {fault}, N={tried} of {calls} calls, violations=0, seed={seed}}}")  # noqa: T201  # The test's report.
    assert tried >= 10


async def _run_once(folder: Path, fault: str, seed: int) -> None:
    history = History()
    _collect(history, _write(folder, seed, f"inject={CALLS}:{fault}"))

    ledger = await open_in(folder)
    answers: list[str] = []
    await write(ledger, requests(seed, REQUESTS), answers.append)
    await ledger.close()

    _collect(history, answers)
    assert [] == faults(history, embedded_log(folder)), f"{fault}, seed {seed}"
    shutil.rmtree(folder)


def _count_calls(folder: Path, seed: int) -> int:
    trace = folder.with_suffix(".trace")
    lines = _write(folder, seed, f"trace={CALLS}", trace)
    assert "closed" == lines[-1]
    calls = [line for line in trace.read_text().splitlines() if any(name in line for name in CALLS.split(","))]
    return len(calls)


def _write(folder: Path, seed: int, what: str, trace: Path = Path(os.devnull)) -> list[str]:
    """Write in a process of its own under strace; return the lines it printed before it ended, however it did."""
    folder.mkdir()
    command = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={CALLS}", "-e", what]
    writer = [sys.executable, "-m", "tests.fault.writing_process", str(folder), str(seed), str(REQUESTS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")])}
    done = subprocess.run(
        [*command, *writer], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    return done.stdout.splitlines()


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
