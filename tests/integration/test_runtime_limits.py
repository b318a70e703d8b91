"""What surrounds every call: limits, deadlines, parsing, errors, health, reflection, metrics (I32, I33)."""

# ruff: noqa: ARG002, N802  # Methods of a servicer are named, and get what they get, by the proto.

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import interaction_pb2 as ev
from rapport.interaction.v1 import interaction_service_pb2 as pb
from rapport.interaction.v1 import interaction_service_pb2_grpc as stubs
from services.runtime.app import App
from services.runtime.errors import RETRY_DELAYS_S, SENT, SlowReader, SubscriberTooSlow
from tests.refusals import metadata_of, reason_of, refusal, retry_delay_s, status_of
from tests.server import Serving, serving

SERVICE = "rapport.interaction.v1.InteractionService"
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
SECRET = "what-the-customer-said"
LARGE = "x" * 200_000


class Servicer(stubs.InteractionServiceServicer):
    """Stands in for a service: calls that wait, streams that stay open, and a defect."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()
        self.slow: list[SlowReader] = []

    async def RecordInteraction(self, request: Any, context: Any) -> Any:
        """Wait until told to go."""
        self.begun += 1
        await self.go.wait()
        return pb.RecordInteractionResponse(position=7)

    async def BatchRecordInteractions(self, request: Any, context: Any) -> Any:
        """Hold several calls in one."""
        raise NotImplementedError

    async def CorrectInteraction(self, request: Any, context: Any) -> Any:
        """Fail as nobody foresaw."""
        raise RuntimeError(SECRET)

    async def RetractInteraction(self, request: Any, context: Any) -> Any:
        """Answer at once."""
        return pb.RetractInteractionResponse(position=9)

    async def IngestInteractions(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        """Answer each frame with a large one, endlessly when there are no more."""
        try:
            async for _ in request_iterator:
                yield pb.IngestInteractionsResponse()
            while True:
                results = [pb.IngestInteractionsResult(error=status_pb2.Status(message=LARGE))]
                yield pb.IngestInteractionsResponse(results=results)
        except SlowReader as slow:
            self.slow.append(slow)
            raise SubscriberTooSlow(41) from None


class Module:
    """A module as `services.<name>.servicer` is one."""

    SERVICE = SERVICE

    def __init__(self) -> None:
        self.servicer = Servicer()

    def mount(self, server: grpc.aio.Server, app: App) -> None:
        """Add the servicer."""
        stubs.add_InteractionServiceServicer_to_server(self.servicer, server)


@pytest.fixture
def module() -> Module:
    return Module()


def record(**more: Any) -> pb.RecordInteractionRequest:
    return pb.RecordInteractionRequest(organization_id="acme", customer_id="c-1", **more)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # What is waited for is not ours to signal.
            await asyncio.sleep(0.005)


async def drain(stream: Any) -> None:
    """Read a stream to its end; raises what it ends with."""
    while await stream.read() is not grpc.aio.EOF:
        pass
    raise AssertionError(await stream.code())


async def test_calls_beyond_the_limit_are_told_to_come_back_before_any_work(tmp_path: Path, module: Module) -> None:
    async with serving(tmp_path, [module], calls_max=2) as server:
        stub = stubs.InteractionServiceStub(server.channel)
        waiting = [asyncio.ensure_future(stub.RecordInteraction(record())) for _ in range(2)]
        await until(lambda: module.servicer.begun == 2)

        status = await refusal(stub.RecordInteraction(record()))
        module.servicer.go.set()
        answers = await asyncio.gather(*waiting)
        afterwards = await stub.RecordInteraction(record())

        assert (EXHAUSTED, "TOO_MANY_CALLS") == (status.code, reason_of(status))
        assert (retry_delay_s(status) or 0) > 0
        assert [7, 7, 7] == [answer.position for answer in (*answers, afterwards)]
        assert 3 == module.servicer.begun
        assert 0 == server.app.limits.calls


@pytest.mark.parametrize("limit", [{"streams_max": 2}, {"streams_per_caller_max": 2}])
async def test_streams_beyond_the_limit_are_refused(tmp_path: Path, module: Module, limit: dict[str, int]) -> None:
    async with serving(tmp_path, [module], **limit) as server:
        stub = stubs.InteractionServiceStub(server.channel)
        streams = [stub.IngestInteractions() for _ in range(2)]
        for stream in streams:
            await stream.write(pb.IngestInteractionsRequest())
            await stream.read()

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in stub.IngestInteractions():
                pass
        for stream in streams:
            stream.cancel()
        await until(lambda: server.app.limits.streams == 0)
        again = stub.IngestInteractions()
        await again.write(pb.IngestInteractionsRequest())

        assert "TOO_MANY_STREAMS" == reason_of(status_of(caught.value))
        assert (retry_delay_s(status_of(caught.value)) or 0) > 0
        assert await again.read() is not grpc.aio.EOF
        again.cancel()


async def test_a_message_beyond_the_limit_is_refused_and_the_next_one_served(tmp_path: Path, module: Module) -> None:
    async with serving(tmp_path, [module]) as server:
        stub = stubs.InteractionServiceStub(server.channel)
        huge = pb.RetractInteractionRequest(retraction=ev.InteractionRetracted(reason_text="x" * 5 * 1024 * 1024))

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.RetractInteraction(huge)
        answer = await stub.RetractInteraction(pb.RetractInteractionRequest())

        assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
        assert 9 == answer.position


@pytest.mark.parametrize("asked, granted", [(None, 0.2), (30.0, 0.4)])
async def test_a_call_without_a_deadline_or_with_a_far_one_gets_ours(
    tmp_path: Path, module: Module, asked: float | None, granted: float
) -> None:
    async with serving(tmp_path, [module], deadline_default_s=0.2, deadline_max_s=0.4) as server:
        loop = asyncio.get_running_loop()
        started = loop.time()

        status = await refusal(stubs.InteractionServiceStub(server.channel).RecordInteraction(record(), timeout=asked))

        assert (grpc.StatusCode.DEADLINE_EXCEEDED.value[0], "DEADLINE_TOO_SHORT") == (status.code, reason_of(status))
        assert granted <= loop.time() - started < granted + 2


async def test_the_callers_own_deadline_ends_the_work(tmp_path: Path, module: Module) -> None:
    async with serving(tmp_path, [module]) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stubs.InteractionServiceStub(server.channel).RecordInteraction(record(), timeout=0.2)
        await until(lambda: server.app.limits.calls == 0)

        assert grpc.StatusCode.DEADLINE_EXCEEDED == caught.value.code()
        assert "DEADLINE_TOO_SHORT" in server.logged()


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_a_defect_tells_its_caller_an_id_and_nothing_else(
    tmp_path: Path, module: Module, environment: str
) -> None:
    # serving() needs no KEK file where one is there already.
    async with serving(tmp_path):
        pass
    async with serving(tmp_path, [module], environment=environment, kek_file=tmp_path / "kek") as server:
        status = await refusal(
            stubs.InteractionServiceStub(server.channel).CorrectInteraction(pb.CorrectInteractionRequest())
        )

        correlation_id = metadata_of(status)["correlation_id"]
        (failed,) = [line for line in map(json.loads, server.logged().splitlines()) if line["event"] == "rpc.failed"]
        assert (grpc.StatusCode.INTERNAL.value[0], "INTERNAL") == (status.code, reason_of(status))
        assert SECRET not in str(status)
        assert "RuntimeError" not in str(status)
        assert (correlation_id, "RuntimeError") == (failed["correlation_id"], failed["error"])
        assert any("CorrectInteraction" in frame for frame in failed["trace"])
        # What a defect says may hold anything; only a developer's own machine shows it.
        assert (environment == "development") == (SECRET in server.logged())


async def test_a_method_that_is_not_served_is_unknown(tmp_path: Path, module: Module) -> None:
    async with serving(tmp_path, [module]) as server:
        call: Any = server.channel.unary_unary("/rapport.nothing.v1.NothingService/Do")

        status = await refusal(call(b""))

        assert (grpc.StatusCode.UNIMPLEMENTED.value[0], "METHOD_UNKNOWN") == (status.code, reason_of(status))


@pytest.mark.parametrize("raw", [b"\x0a\xff", b"\xff" * 30, b"\x0a\x01\xff"])
async def test_bytes_that_are_no_message_are_refused_as_invalid(tmp_path: Path, module: Module, raw: bytes) -> None:
    async with serving(tmp_path, [module]) as server:
        unary: Any = server.channel.unary_unary(f"/{SERVICE}/RetractInteraction")
        open_stream: Any = server.channel.stream_stream(f"/{SERVICE}/IngestInteractions")

        status = await refusal(unary(raw))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await drain(open_stream(iter([raw])))

        assert "REQUEST_INVALID" == reason_of(status) == reason_of(status_of(caught.value))
        assert "Traceback" not in server.logged()


async def test_a_reader_that_does_not_read_is_ended_with_where_to_resume(tmp_path: Path, module: Module) -> None:
    async with serving(tmp_path, [module], write_timeout_s=0.3) as server:
        stream = stubs.InteractionServiceStub(server.channel).IngestInteractions()
        await stream.done_writing()
        await stream.read()

        await until(lambda: module.servicer.slow)
        await until(lambda: server.app.limits.streams == 0)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await drain(stream)

        status = status_of(caught.value)
        assert (EXHAUSTED, "SUBSCRIBER_TOO_SLOW") == (status.code, reason_of(status))
        assert "41" == metadata_of(status)["resume_after"]


async def test_health_knows_each_service_and_tells_who_watches_when_it_stops(tmp_path: Path, module: Module) -> None:
    serves, serves_not = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    async with serving(tmp_path, [module]) as server:
        health = health_pb2_grpc.HealthStub(server.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        first = await watch.read()

        checked = [await health.Check(health_pb2.HealthCheckRequest(service=name)) for name in ("", SERVICE)]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(service="rapport.nothing.v1.NothingService"))
        server.stop.set()
        last = await watch.read()
        end = await watch.read()
        await server.task

        assert [serves] * 3 == [first.status, *(answer.status for answer in checked)]
        assert grpc.StatusCode.NOT_FOUND == caught.value.code()
        assert (serves_not, grpc.aio.EOF) == (last.status, end)


async def test_descriptors_are_shown_in_development_only(tmp_path: Path, module: Module) -> None:
    async def services(channel: grpc.aio.Channel) -> list[str]:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        answer = await stub.ServerReflectionInfo(iter([asked])).read()
        return [service.name for service in answer.list_services_response.service]

    async with serving(tmp_path, [module]) as server:
        assert SERVICE in await services(server.channel)
    async with serving(tmp_path, [module], reflection="off") as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await services(server.channel)
        assert grpc.StatusCode.UNIMPLEMENTED == caught.value.code()


async def test_metrics_count_what_was_answered(tmp_path: Path) -> None:
    async with serving(tmp_path, metrics_listen="127.0.0.1:0") as server:
        started = next(
            line for line in map(json.loads, server.logged().splitlines()) if line["event"] == "process.started"
        )
        stub = stubs.InteractionServiceStub(server.channel)
        request = record(
            request_id="01890a5d-ac96-774b-bcce-b302099a8057",
            interaction=ev.InteractionRecorded(kind=ev.INTERACTION_KIND_CALL, direction=ev.DIRECTION_INBOUND),
        )
        answer = await stub.RecordInteraction(request)
        await refusal(stub.RecordInteraction(record()))

        url = f"http://127.0.0.1:{started['metrics_port']}/metrics"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())

        method = f'method="/{SERVICE}/RecordInteraction"'
        expected = [
            f'rapport_rpc_completed_total{{code="OK",{method}}} 1.0',
            f'rapport_rpc_completed_total{{code="INVALID_ARGUMENT",{method}}} 1.0',
            f"rapport_rpc_duration_seconds_count{{{method}}} 2.0",
            f"rapport_log_head_position {float(answer.position)}",
            "rapport_group_commit_events_count 1.0",
            "rapport_rpc_in_flight 0.0",
        ]
        assert [] == [line for line in expected if line not in page]


async def test_a_polite_caller_is_served_while_others_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, calls_max=16) as server:
        stub = stubs.InteractionServiceStub(server.channel)
        interaction = ev.InteractionRecorded(kind=ev.INTERACTION_KIND_CALL, direction=ev.DIRECTION_INBOUND)

        async def once(number: int) -> str:
            request_id = f"01890a5d-ac96-774b-bcce-{number:012x}"
            try:
                await stub.RecordInteraction(record(request_id=request_id, interaction=interaction))
            except grpc.aio.AioRpcError as error:
                return reason_of(status_of(error))
            return "OK"

        outcomes = await asyncio.gather(*(once(number) for number in range(160)))
        refused = [number for number, outcome in enumerate(outcomes) if outcome != "OK"]
        for _ in range(50):
            refused = [number for number in refused if await once(number) != "OK"]
            if not refused:
                break

        assert {"OK", "TOO_MANY_CALLS"} >= set(outcomes)
        assert [] == refused
        assert 161 == server.app.ledger.head.position  # ledger.created.v1 is the first.


def test_every_reason_for_which_waiting_helps_says_how_long() -> None:
    waits = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}

    assert set() == {number for number, sent in SENT.items() if sent.code in waits} - set(RETRY_DELAYS_S)
    assert reasons.ERROR_REASON_REQUEST_ID_REUSED not in RETRY_DELAYS_S


async def test_nothing_is_left_open_when_a_server_cannot_start(tmp_path: Path, module: Module) -> None:
    async def start_second(taken: Serving) -> None:
        async with serving(tmp_path / "other", [module], listen=taken.target):
            raise AssertionError("it started on a port that is taken")

    async with serving(tmp_path / "one", [module]) as first:
        with pytest.raises(OSError, match="cannot be listened on"):
            await start_second(first)
