"""Watchers: a thousand of one organization, and what it costs them that ten more take nothing.

A log with changes enough to fill what a connection takes is there first: the slow ones ask for all of them and never
read, on connections of their own. Then a prober writes a purchase of long ago of one new customer after the other, who
has lapsed with that, and each watcher notes when it heard. Writer and watchers share one process, so their own work is
in the figures; rounds without and with slow ones alternate.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

import grpc

from benchmarks.calls import wait_for_changes
from benchmarks.load import ORGANIZATION
from benchmarks.options import Options, parse
from benchmarks.probing import lapsed
from benchmarks.report import Case, Row, Target, spread
from benchmarks.rig import Rig
from rapport.change.v1.change_service_pb2 import WatchRelationshipsRequest
from rapport.change.v1.change_service_pb2_grpc import ChangeServiceStub
from rapport.interaction.v1.interaction_service_pb2_grpc import InteractionServiceStub

MANY: Final = {"RAPPORT_STREAMS_MAX": "2000", "RAPPORT_STREAMS_PER_CALLER_MAX": "2000"}
"""By default a server has 512 streams open, and one caller 64 of them."""
SLOW: Final = 10
WATCHES_OF_A_CONNECTION: Final = 50
INTERVAL_S: Final = 0.5
"""Between two probes: a thousand deliveries each."""
PATIENCE_S: Final = 60.0
NOTHING: Final = Target(1.1, 1.0, at_most=True)
"""With slow ones to without, as near to nothing as a busy machine shows."""


class Heard:
    """What was written, and how long after its answer each watcher heard of it."""

    def __init__(self, watchers: int) -> None:
        self.latencies_ms: list[float] = []
        self._watchers = watchers
        self._acknowledged: dict[int, float] = {}
        self._waiting: dict[int, list[float]] = {}
        self._moved = asyncio.Event()

    def wrote(self, position: int) -> None:
        """Note an answer."""
        self._acknowledged[position] = perf_counter()

    def hear(self, position: int) -> None:
        """Note that a watcher heard of a position."""
        self._waiting.setdefault(position, []).append(perf_counter())
        self._moved.set()

    async def by_all(self, position: int) -> None:
        """Return once every watcher heard of a position.

        Raises:
            TimeoutError: one did not.
        """
        async with asyncio.timeout(PATIENCE_S):
            while len(self._waiting.get(position, ())) < self._watchers:
                self._moved.clear()
                await self._moved.wait()
        since = self._acknowledged[position]
        self.latencies_ms += [max(at - since, 1e-6) * 1_000 for at in self._waiting.pop(position)]


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    server, generator = rig.rapport(MANY), rig.generator()
    watchers, probes = options.pick(1_000, 1_000, 4), options.pick(40, 15, 2)
    generator.run(server, "record", count=options.pick(20_000, 10_000, 100), in_flight=16, seed=1)
    wait_for_changes(server.target)
    without: list[dict[str, float]] = []
    beside: list[dict[str, float]] = []
    for _ in range(options.pairs):
        for slow, found in ((0, without), (SLOW, beside)):
            found.append(spread(asyncio.run(_heard(server.target, watchers, slow, probes))))
    rig.release(server)
    cases = [
        Case(
            name=f"{watchers:,} watchers beside {SLOW} that take nothing",
            unit=f"ms {rank}",
            ours=[each[rank] for each in beside],
            reference=[each[rank] for each in without],
            against="no slow ones",
            target=NOTHING,
            more={"probes": probes},
        )
        for rank in ("p50", "p99")
    ]
    settings = {"connections": -(-watchers // WATCHES_OF_A_CONNECTION), "interval_s": INTERVAL_S}
    return Row(name="watchers", title="many watchers", cases=cases, seed=options.seed, settings=settings)


async def _heard(target: str, watchers: int, slow: int, probes: int) -> list[float]:
    """Return how long after its answer each watcher heard of each probe, in milliseconds."""
    heard = Heard(watchers)
    async with AsyncExitStack() as stack:
        for _ in range(slow):
            await stack.enter_async_context(_stuck(target))
        for first in range(0, watchers, WATCHES_OF_A_CONNECTION):
            count = min(WATCHES_OF_A_CONNECTION, watchers - first)
            await stack.enter_async_context(_watching(target, count, heard))
        channel = await stack.enter_async_context(_channel(target))
        await _probe(channel, heard, probes)
    return heard.latencies_ms


def _channel(target: str) -> grpc.aio.Channel:
    # Else all channels to one address are one connection.
    return grpc.aio.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])


@asynccontextmanager
async def _stuck(target: str) -> AsyncIterator[None]:
    """Ask for all changes over a connection of its own, and read one frame only."""
    async with _channel(target) as channel:
        call = ChangeServiceStub(channel).WatchRelationships(WatchRelationshipsRequest(organization_id=ORGANIZATION))
        await asyncio.wait_for(call.read(), PATIENCE_S)
        yield
        call.cancel()


@asynccontextmanager
async def _watching(target: str, count: int, heard: Heard) -> AsyncIterator[None]:
    """Watch the organization from now on, so many times over one connection."""
    request = WatchRelationshipsRequest(organization_id=ORGANIZATION, from_now=True)
    async with _channel(target) as channel:
        calls = [ChangeServiceStub(channel).WatchRelationships(request) for _ in range(count)]
        ready = [asyncio.Event() for _ in calls]
        tasks = [asyncio.create_task(_follow(*each, heard)) for each in zip(calls, ready, strict=True)]
        for event in ready:
            await asyncio.wait_for(event.wait(), PATIENCE_S)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(call: Any, caught_up: asyncio.Event, heard: Heard) -> None:
    last = 0
    async for frame in call:
        if frame.HasField("caught_up"):
            caught_up.set()
        for change in frame.batch.changes:
            if change.position != last:  # One event may bring several.
                last = change.position
                heard.hear(last)


async def _probe(channel: grpc.aio.Channel, heard: Heard, count: int) -> None:
    """Write an old purchase of so many new customers, and wait each time until every watcher heard."""
    stub, run = InteractionServiceStub(channel), uuid4()
    for number in range(count):
        answer = await stub.RecordInteraction(lapsed(f"probe-{run}-{number}"), timeout=PATIENCE_S)
        heard.wrote(answer.position)
        await heard.by_all(answer.position)
        await asyncio.sleep(INTERVAL_S)


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
