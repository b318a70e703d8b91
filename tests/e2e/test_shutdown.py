"""A process starts, says where it listens, and stops without losing what it acknowledged (I35)."""

# ruff: noqa: ARG002, N802  # Methods of a servicer are named, and get what they get, by the proto.

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from ledger.log.recorders import open_store, sqlite_url
from rapport.events.v1 import interaction_pb2 as ev
from rapport.interaction.v1 import interaction_service_pb2 as pb
from rapport.interaction.v1 import interaction_service_pb2_grpc as stubs
from services.runtime.app import App
from tests.refusals import reason_of, retry_delay_s, status_of
from tests.server import ROOT, ServerProcess, serving

CALL = ev.InteractionRecorded(kind=ev.INTERACTION_KIND_CALL, direction=ev.DIRECTION_INBOUND)
RETRIED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED}
RESTARTS = int(os.environ.get("RAPPORT_TEST_RESTARTS", "5"))


def record(customer: int) -> pb.RecordInteractionRequest:
    return pb.RecordInteractionRequest(
        organization_id="acme", customer_id=f"c-{customer}", request_id=str(uuid.uuid4()), interaction=CALL
    )


class Writer:
    """Writes one interaction after the other, each until it is acknowledged, always with the same request id."""

    def __init__(self, target: str, number: int) -> None:
        self._target = target
        self._number = number
        self.stopped = False
        self.acknowledged: list[int] = []
        self.attempts_most = 0
        self.errors: list[str] = []

    async def run(self) -> None:
        """Write until stopped."""
        async with grpc.aio.insecure_channel(self._target, options=[("grpc.max_reconnect_backoff_ms", 200)]) as channel:
            stub = stubs.InteractionServiceStub(channel)
            while not self.stopped:
                await self._write(stub, record(self._number))

    async def _write(self, stub: stubs.InteractionServiceStub, request: pb.RecordInteractionRequest) -> None:
        for attempt in range(1, 400):
            try:
                answer = await stub.RecordInteraction(request, timeout=10)
            except grpc.aio.AioRpcError as error:
                if error.code() not in RETRIED:
                    self.errors.append(f"{error.code().name}: {error.details()}")
                    return
                await asyncio.sleep(0.05)
            else:
                self.acknowledged.append(answer.position)
                self.attempts_most = max(self.attempts_most, attempt)
                return
        self.errors.append("never acknowledged")


@pytest.mark.timeout(300)
async def test_restarts_under_load_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    await asyncio.to_thread(server.start)
    writers = [Writer(server.target, number) for number in range(8)]
    running = [asyncio.create_task(writer.run()) for writer in writers]
    codes = []
    for _ in range(RESTARTS):
        await asyncio.sleep(0.5)
        codes.append(await asyncio.to_thread(server.stop))
        await asyncio.to_thread(server.start)
    await asyncio.sleep(0.5)
    for writer in writers:
        writer.stopped = True
    await asyncio.gather(*running)
    codes.append(await asyncio.to_thread(server.stop))

    acknowledged = [position for writer in writers for position in writer.acknowledged]
    store = open_store(sqlite_url(tmp_path / "events.db"))
    try:
        rows = store.read_log(0, 1_000_000, topics=["interaction.recorded.v1"])
        head = store.head().position
    finally:
        store.close()
    positions = {row.position for row in rows}
    lost = [position for position in acknowledged if position not in positions]
    doubled = [position for position, count in Counter(acknowledged).items() if count > 1]
    violations = len(lost) + len(doubled)
    told = {"invariant": "I35", "N": RESTARTS, "acknowledged": len(acknowledged), "violations": violations}
    sys.stdout.write(json.dumps(told) + "\n")
    assert [0] * (RESTARTS + 1) == codes
    assert [] == lost + doubled
    assert [] == [error for writer in writers for error in writer.errors]
    # Every event is somebody's acknowledged write, so no retry made a second one.
    assert len(acknowledged) == len(positions)
    assert head == 1 + len(positions)


class Waiting(stubs.InteractionServiceServicer):
    """Holds a call for a moment, longer than it takes to stop."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def RecordInteraction(self, request: Any, context: Any) -> Any:
        """Wait, then answer."""
        self.begun.set()
        await asyncio.sleep(2.0)
        return pb.RecordInteractionResponse(position=7)

    async def BatchRecordInteractions(self, request: Any, context: Any) -> Any:
        """Answer nothing."""
        raise NotImplementedError

    async def CorrectInteraction(self, request: Any, context: Any) -> Any:
        """Answer nothing."""
        raise NotImplementedError

    async def RetractInteraction(self, request: Any, context: Any) -> Any:
        """Answer nothing."""
        raise NotImplementedError

    def IngestInteractions(self, request_iterator: Any, context: Any) -> Any:
        """Answer nothing."""
        raise NotImplementedError


class Module:
    """A module as `services.<name>.servicer` is one."""

    SERVICE = "rapport.interaction.v1.InteractionService"

    def __init__(self) -> None:
        self.servicer = Waiting()

    def mount(self, server: grpc.aio.Server, app: App) -> None:
        """Add the servicer."""
        stubs.add_InteractionServiceServicer_to_server(self.servicer, server)


@pytest.mark.parametrize("grace_s, outcome", [(20.0, "OK"), (0.0, "failed")])
async def test_calls_in_flight_end_within_the_grace_and_only_then(tmp_path: Path, grace_s: float, outcome: str) -> None:
    """The second row is the control: without grace the same call fails."""
    module = Module()
    async with serving(tmp_path, [module], shutdown_grace_s=grace_s) as server:
        call = asyncio.ensure_future(stubs.InteractionServiceStub(server.channel).RecordInteraction(record(1)))
        await module.servicer.begun.wait()
        server.stop.set()
        (found,) = await asyncio.gather(call, return_exceptions=True)
        await server.task

    assert outcome == ("OK" if isinstance(found, pb.RecordInteractionResponse) else "failed")


async def test_a_stopping_process_refuses_new_calls_with_when_to_come_back(tmp_path: Path) -> None:
    async with serving(tmp_path, [Module()]) as server:
        stub = stubs.InteractionServiceStub(server.channel)
        server.app.limits.stopping = True

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.RecordInteraction(record(1))

        status = status_of(caught.value)
        assert "SHUTTING_DOWN" == reason_of(status)
        assert (retry_delay_s(status) or 0) > 0


async def test_a_loading_stream_answers_what_was_read_and_says_that_the_rest_is_to_be_sent_again(
    tmp_path: Path,
) -> None:
    def frame() -> pb.IngestInteractionsRequest:
        items = [
            pb.IngestInteractionsItem(request_id=str(uuid.uuid4()), customer_id=f"c-{number}", interaction=CALL)
            for number in range(20)
        ]
        return pb.IngestInteractionsRequest(organization_id="acme", items=items)

    frames = [frame() for _ in range(200)]
    answered: list[pb.IngestInteractionsResponse] = []

    first, stopping = asyncio.Event(), asyncio.Event()

    async def load(channel: grpc.aio.Channel) -> str:
        rest, ended = frames[len(answered) :], asyncio.Event()

        async def sent() -> AsyncIterator[pb.IngestInteractionsRequest]:
            for each in rest:
                yield each
                await asyncio.sleep(0.005)
                if stopping.is_set():
                    # A frame sent once the server has ended the call would have gRPC put an error of its own in place
                    # of the server's status (grpc/grpc#36066).
                    await ended.wait()
                    return

        try:
            async for response in stubs.InteractionServiceStub(channel).IngestInteractions(sent()):
                answered.append(response)
                first.set()
        except grpc.aio.AioRpcError as error:
            return reason_of(status_of(error))
        finally:
            ended.set()
        return "OK"

    async with serving(tmp_path) as server:
        loading = asyncio.create_task(load(server.channel))
        await first.wait()
        stopping.set()
        server.stop.set()
        began = time.monotonic()
        ended = await loading
        took_s = time.monotonic() - began
    before = len(answered)
    stopping.clear()
    async with serving(tmp_path) as server:
        again = await load(server.channel)
        head = server.app.ledger.head.position

    results = [result for response in answered for result in response.results]
    assert ("SHUTTING_DOWN", "OK") == (ended, again)
    assert 0 < before < 200
    assert took_s < 4
    assert 4_000 == len({result.position for result in results}) == head - 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_says_where_it_listens_and_stops_when_told(tmp_path: Path, number: int) -> None:
    with ServerProcess(tmp_path / "data", fresh=True) as server:
        limits = Path(f"/proc/{server.pid}/limits").read_text(encoding="ascii")
        server.signal(number)
        code = server.wait()

        host, _, port = server.target.rpartition(":")
        assert (0, "127.0.0.1") == (code, host)
        assert int(port) > 0
        (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core file size")]
        assert ["0", "0"] == core[4:6]
        events = [json.loads(line)["event"] for line in server.stderr]
        assert ["process.started", "process.stopping", "process.stopped"] == [
            event for event in events if event in {"process.started", "process.stopping", "process.stopped"}
        ]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (tmp_path / "data").iterdir()}
    assert {"events.db", "keys.db", "kek"} <= set(modes)
    assert {0} == set(modes.values())


def test_a_second_process_on_the_same_port_does_not_start(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "one") as first:
        second = ServerProcess(tmp_path / "two", settings={"RAPPORT_LISTEN": first.target})

        with pytest.raises(AssertionError, match="cannot be listened on"):
            second.start()

        assert 2 == second.returncode


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"RAPPORT_LISTN": "x"}, "RAPPORT_LISTN is no setting; did you mean RAPPORT_LISTEN"),
        ({"RAPPORT_CALLS_MAX": "many"}, "RAPPORT_CALLS_MAX must be a whole number"),
        ({"RAPPORT_TEST_FAULT": "nowhere:1:kill"}, "not a fault"),
        ({"POSTGRES_ENABLE_DB_FUNCTIONS": "y"}, "POSTGRES_ENABLE_DB_FUNCTIONS must be off"),
        ({"RAPPORT_STORE_URL": "sqlite:///nowhere/to/be/found/events.db"}, "process.refused"),
    ],
)
def test_a_process_that_is_set_up_wrongly_says_so_and_does_not_start(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    server = ServerProcess(tmp_path, settings=settings, fresh=True)

    with pytest.raises(AssertionError):
        server.start()

    assert said in "".join(server.stderr)
    assert "Traceback" not in "".join(server.stderr)
    assert 2 == server.returncode


async def test_a_process_whose_ledger_fails_ends_with_its_error_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, settings={"RAPPORT_TEST_FAULT": "group.before_ack:2:raise"})
    await asyncio.to_thread(server.start)
    async with grpc.aio.insecure_channel(server.target) as channel:
        stub = stubs.InteractionServiceStub(channel)
        first = await stub.RecordInteraction(record(1), timeout=10)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.RecordInteraction(record(1), timeout=10)
    code = await asyncio.to_thread(server.wait)

    assert first.position
    assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}
    assert 1 == code
    assert "FaultRaised" in "".join(server.stderr)


@pytest.mark.parametrize("module", ["services.interaction", "services.consent"])
async def test_a_service_runs_in_a_process_of_its_own(tmp_path: Path, module: str) -> None:
    server = ServerProcess(tmp_path, module=module, fresh=True)
    await asyncio.to_thread(server.start)
    async with grpc.aio.insecure_channel(server.target) as channel:
        stub = stubs.InteractionServiceStub(channel)
        if module == "services.interaction":
            assert (await stub.RecordInteraction(record(1), timeout=10)).position
        else:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.RecordInteraction(record(1), timeout=10)
            assert "METHOD_UNKNOWN" == reason_of(status_of(caught.value))

    assert 0 == await asyncio.to_thread(server.stop)


def test_settings_are_read_before_anything_is_created(tmp_path: Path) -> None:
    data = tmp_path / "data"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}"}

    subprocess.run(
        [sys.executable, "-m", "services.standalone"],
        cwd=ROOT,
        env={**environ, "RAPPORT_DATA_DIR": str(data), "RAPPORT_UNKNOWN": "1"},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert not data.exists()
