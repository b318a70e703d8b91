"""The load generator: one process, so that the server has a core of its own.

It takes orders as JSON lines on stdin and answers each with a line of figures:
`{"target": "127.0.0.1:4711", "work": "record", "count": 10000, "in_flight": 64, "seed": 1}`.
With `rate` (calls a second) the loop is open: a call that had to wait for its turn waited from the moment it was due,
so that a server which stops for a second cannot hide it.

Requests are bytes before the clock starts, answers stay bytes (replays are parsed), one channel, uvloop.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
from collections.abc import Callable, Coroutine, Iterator
from time import perf_counter, process_time
from typing import Any, Final

import grpc
import uvloop

from benchmarks.load import WORKS, Load
from benchmarks.report import spread
from rapport.audit.v1.audit_service_pb2 import ReadEventsResponse

CALL_TIMEOUT_S: Final = 60.0
_MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024


async def obey(order: dict[str, Any]) -> dict[str, Any]:
    """Carry out one order; return its figures.

    Latencies are in milliseconds, `per_s` counts items.
    """
    rng = random.Random(order.get("seed", 1))
    load = WORKS[order["work"]](order["count"], rng, order.get("options", {}))
    options = [("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(order["target"], options) as channel:
        await asyncio.wait_for(channel.channel_ready(), CALL_TIMEOUT_S)
        if order["work"] == "read":
            return await _read(channel, load)
        call: Any = _to_the_end(channel, load.method) if load.streamed else channel.unary_unary(load.method)
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            return await _unary(call, load, order)
        finally:
            gc.enable()
            gc.unfreeze()


def _to_the_end(channel: grpc.aio.Channel, method: str) -> Callable[..., Coroutine[Any, Any, None]]:
    """Return a call of a streaming method that is over once its last message came; messages stay bytes."""
    start: Any = channel.unary_stream(method)

    async def call(request: bytes, timeout: float) -> None:  # noqa: ASYNC109  # As calls of grpc take it.
        async for _ in start(request, timeout=timeout):
            pass

    return call


async def _unary(call: Any, load: Load, order: dict[str, Any]) -> dict[str, Any]:
    latencies: list[float] = []
    cpu, started = process_time(), perf_counter()
    if rate := order.get("rate"):
        await _open(call, load, rate, latencies)
    else:
        await _closed(call, load, order["in_flight"], latencies)
    seconds = perf_counter() - started
    return {
        "calls": len(latencies),
        "seconds": seconds,
        "per_s": len(latencies) * load.weight / seconds,
        "latency_ms": spread([value * 1000 for value in latencies]),
        "generator_cpu_s": process_time() - cpu,
    }


async def _closed(call: Any, load: Load, in_flight: int, latencies: list[float]) -> None:
    """Keep so many calls in flight until all are done."""
    requests = iter(load.requests)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(in_flight, len(load.requests))):
            tasks.create_task(_caller(call, requests, latencies))


async def _caller(call: Any, requests: Iterator[bytes], latencies: list[float]) -> None:
    for request in requests:
        started = perf_counter()
        await call(request, timeout=CALL_TIMEOUT_S)
        latencies.append(perf_counter() - started)


async def _open(call: Any, load: Load, rate: float, latencies: list[float]) -> None:
    """Send a call whenever one is due."""
    started = perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, request in enumerate(load.requests):
            due = started + number / rate
            if (ahead := due - perf_counter()) > 0:
                await asyncio.sleep(ahead)
            tasks.create_task(_due(call, request, due, latencies))


async def _due(call: Any, request: bytes, due: float, latencies: list[float]) -> None:
    await call(request, timeout=CALL_TIMEOUT_S)
    latencies.append(perf_counter() - due)


async def _read(channel: grpc.aio.Channel, load: Load) -> dict[str, Any]:
    """Replay the whole log, parsing every frame."""
    call: Any = channel.unary_stream(load.method)
    events = frames = 0
    cpu, started = process_time(), perf_counter()
    for request in load.requests:
        complete = False
        async for raw in call(request):
            frame = ReadEventsResponse.FromString(raw)
            events += len(frame.batch.events)
            frames += 1
            complete = frame.end.complete
        if not complete:
            raise RuntimeError("the replay did not end with a complete End frame")
    seconds = perf_counter() - started
    return {
        "calls": len(load.requests),
        "seconds": seconds,
        "events": events,
        "frames": frames,
        "per_s": events / seconds,
        "generator_cpu_s": process_time() - cpu,
    }


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer = await obey(json.loads(line))
        except BaseExceptionGroup as group:
            answer = {"error": str(group.exceptions[0])[:500]}
        except (grpc.RpcError, RuntimeError, TimeoutError) as error:
            answer = {"error": str(error)[:500] or repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
