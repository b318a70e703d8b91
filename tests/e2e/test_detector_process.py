"""The process that finds changes: it begins and ends with the one that serves, and nothing is lost or found twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ledger.domain.errors import Rejected
from rapport.change.v1.change_pb2 import CHANGE_KIND_OPTED_IN, CHANGE_KIND_OPTED_OUT, RelationshipChange
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import ConsentGiven
from services.client import Client, RapportError
from services.runtime import detector_child
from services.runtime.detecting import SERVICE
from tests.server import ROOT, ServerProcess, serving

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc"),
    pytest.mark.timeout(180),  # Some processes, one after the other.
]

SERVES = health_pb2.HealthCheckResponse.SERVING
SERVES_NOT = health_pb2.HealthCheckResponse.NOT_SERVING
PROCESS = {"RAPPORT_DETECTOR": "process"}
START_S = 60.0
"""A child imports what it needs, maybe on a computer that is busy."""


def children(pid: int) -> list[int]:
    """Return the processes that find changes for a process."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found if b"services.detector" in command_of(int(each))]


def command_of(pid: int) -> bytes:
    """Return what a process was started with; nothing of one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def is_there(pid: int) -> bool:
    """Tell whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def noise(server: ServerProcess) -> list[dict[str, Any]]:
    """Return what is worth more than a note in the log of a process, and everything that is no line of it."""
    lines = [json.loads(line) for line in server.stderr]
    expected = {"process.warned", "kek.created"}
    return [line for line in lines if line["level"] != "info" and line["event"] not in expected]


async def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # Another process brings it about.
            await asyncio.sleep(0.02)


async def health(channel: grpc.aio.Channel, service: str = SERVICE) -> int:
    return int((await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))).status)


async def begun(target: str) -> None:
    """Wait until the child finds changes."""
    async with asyncio.timeout(START_S), grpc.aio.insecure_channel(target) as channel:
        while await health(channel) != SERVES:  # noqa: ASYNC110  # The same.
            await asyncio.sleep(0.05)


async def opt_in(client: Client, customer: str) -> int:
    """Let a change be found; return its position."""
    return (await client.give_consent("acme", customer, ConsentGiven(purposes=["marketing.direct"]))).position


async def opt_in_and_out(client: Client, *customers: str) -> int:
    """Let two changes of each customer be found; return the last position."""
    position = 0
    for customer in customers:
        await opt_in(client, customer)
        position = (await client.withdraw_consent("acme", customer)).position
    return position


async def told(client: Client, position: int) -> list[tuple[int, str, int]]:
    """Return all changes, once they are found up to a position."""
    changes = (await client.list_changes("acme", min_position=position)).changes
    return [(each.number, each.subject_id, each.kind) for each in changes]


def both(*customers: str) -> list[tuple[int, str, int]]:
    """Return what `opt_in_and_out` brings about."""
    kinds = [(each, kind) for each in customers for kind in (CHANGE_KIND_OPTED_IN, CHANGE_KIND_OPTED_OUT)]
    return [(number, *each) for number, each in enumerate(kinds, 1)]


async def test_a_child_finds_changes_at_once_is_started_again_and_ends_with_its_parent(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, settings=PROCESS) as server:
        await begun(server.target)
        (child,) = children(server.pid)
        async with Client(server.target) as client:
            heard: asyncio.Queue[tuple[float, RelationshipChange]] = asyncio.Queue()

            async def watch() -> None:
                async for change in client.watch_relationships("acme", after_number=0):
                    heard.put_nowait((time.monotonic(), change))

            watching = asyncio.create_task(watch())
            delays_s, position = list[float](), 0
            # One is enough that comes at once, and on a busy machine not every one does.
            while len(delays_s) < 3 or (min(delays_s) >= 0.2 and len(delays_s) < 20):
                await asyncio.sleep(0.1)
                number = len(delays_s)
                position = await opt_in(client, f"c-{number}")
                written_s = time.monotonic()
                async with asyncio.timeout(10):
                    heard_s, change = await heard.get()
                delays_s.append(heard_s - written_s)
                assert (number + 1, f"c-{number}") == (change.number, change.subject_id)
            # Less than a look at the tables would take: somebody told.
            assert min(delays_s) < 0.2

            detector = await client.get_detector()
            assert (True, position, len(delays_s)) == (detector.running, detector.position, detector.last_number)

            os.kill(child, signal.SIGKILL)
            position = await opt_in(client, "last")
            await until(lambda: children(server.pid) not in ([], [child]), START_S)
            async with asyncio.timeout(START_S):
                assert "last" == (await heard.get())[1].subject_id
            *_, end = [each async for each in client.verify_changes()]
            assert (True, position, len(delays_s) + 1) == (end.complete, end.position, end.change_count)
            watching.cancel()
        (child,) = children(server.pid)
        assert 0 == server.stop()
        assert not is_there(child)
    assert [("detector.ended", -9)] == [(line["event"], line.get("code")) for line in noise(server)], noise(server)


async def test_a_child_does_not_outlive_a_killed_parent_and_the_next_one_goes_on(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, settings=PROCESS, prefix=["setsid"]) as server:
        await begun(server.target)
        (child,) = children(server.pid)
        async with Client(server.target) as client:
            await told(client, await opt_in_and_out(client, "anna"))
        server.kill()
        await until(lambda: not is_there(child))

        server.start()
        await begun(server.target)
        (child,) = children(server.pid)
        async with Client(server.target) as client:
            assert both("anna", "bert") == await told(client, await opt_in_and_out(client, "bert"))
        server.stderr.clear()
        os.killpg(server.pid, signal.SIGINT)  # Ctrl-C
        assert 0 == server.wait()
        assert not is_there(child)
    assert [] == noise(server)


async def test_a_process_of_its_own_finds_changes_for_services_that_find_none(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, settings={"RAPPORT_DETECTOR": "off"}) as server:
        paths = os.pathsep.join((str(ROOT), str(ROOT / "protos")))
        environ = {**os.environ, "RAPPORT_DATA_DIR": str(tmp_path), "PYTHONPATH": paths}
        finder = subprocess.Popen(  # noqa: ASYNC220  # It takes a moment.
            (sys.executable, "-m", "services.detector"), cwd=ROOT, env=environ
        )
        try:
            async with Client(server.target) as client:
                position = await opt_in_and_out(client, "anna")
                async with asyncio.timeout(START_S):
                    while not (await client.list_changes("acme")).changes:  # noqa: ASYNC110  # The same.
                        await asyncio.sleep(0.1)
                assert both("anna") == await told(client, position)
                assert not (await client.get_detector()).running
        finally:
            finder.terminate()
        assert 0 == finder.wait(START_S)


async def test_services_serve_where_the_child_cannot_start_and_health_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with patch.object(detector_child, "MODULE", "services.nowhere"):
        async with serving(tmp_path, detector="process") as server, Client(server.target) as client:
            await until(lambda: "detector.ended" in server.logged(), START_S)
            position = await opt_in_and_out(client, "anna")

            assert (SERVES, SERVES_NOT) == (await health(server.channel, ""), await health(server.channel))
            with pytest.raises(Rejected) as refused:
                await server.app.detectors[0].runner.wait_for(position, 0.1)
            assert reasons.ERROR_REASON_PROJECTION_BEHIND == refused.value.reason
    assert "services.nowhere" in capfd.readouterr().err


async def test_changes_made_anew_in_one_more_process_are_compared(tmp_path: Path) -> None:
    async with serving(tmp_path, detector="process") as server, Client(server.target) as client:
        await begun(server.target)
        await told(client, await opt_in_and_out(client, "anna"))
        tampered(tmp_path)

        with pytest.raises(RapportError) as refused:
            _ = [each async for each in client.verify_changes()]
        assert reasons.ERROR_REASON_CHANGES_DIFFER == refused.value.reason
        assert "1" == refused.value.metadata["number"]
        assert SERVES == await health(server.channel)
        remote = server.app.detectors[0].runner
        verification, ended = remote.verify()
        verification.abandon()
        await asyncio.wait((ended,), timeout=5)
        assert ended.done()
        assert "Abandoned" in repr(ended.exception())


def tampered(folder: Path) -> None:
    """Change what was announced, as nobody may."""
    database = sqlite3.connect(folder / "changes.db")
    with database:
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE changes SET kind = kind + 1 WHERE number = 1")
    database.close()
