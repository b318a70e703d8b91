"""P8: from an acknowledged write to the change that it brings about, at a gRPC watcher and at a subscriber of NATS.

A prober writes a purchase of long ago of one new customer after the other, who has lapsed with that. It notes when the
answer came, and when a watcher of the whole organization and a core subscription of NATS got that change. Meanwhile the
load generator records in an open loop at half of a maximum that it found just before: of what the whole sustains, with
the changes of all writes found, and of what writes alone reach while changes fall behind. Then the same beside a load
that is always the same, and in silence. Prober, watcher and subscriber share one process, so their own work is in the
figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Final, NamedTuple
from uuid import uuid4

import grpc
import nats
from nats.aio.msg import Msg

from benchmarks.calls import wait_for_changes, wait_for_projections
from benchmarks.load import ORGANIZATION
from benchmarks.options import Options, parse
from benchmarks.probing import lapsed
from benchmarks.report import Case, Row, Target, spread
from benchmarks.rig import Generator, Rig, Server
from rapport.change.v1.change_pb2 import RelationshipChange
from rapport.change.v1.change_service_pb2 import WatchRelationshipsRequest
from rapport.change.v1.change_service_pb2_grpc import ChangeServiceStub
from rapport.interaction.v1.interaction_service_pb2_grpc import InteractionServiceStub

NATS: Final = {"RAPPORT_NATS_URL": "", "RAPPORT_NATS_LISTEN": "127.0.0.1:0"}
P50: Final = Target(10, 5, at_most=True)
P99: Final = Target(50, 20, at_most=True)
INTERVAL_S: Final = 0.03
"""Between two probes."""
PATIENCE_S: Final = 30.0
STEADY_PER_S: Final = 200.0
"""A load that is the same from release to release, however much the most becomes."""
_SUBJECTS: Final = f"rapport.relationship.v1.{ORGANIZATION}.>"
_PLACES: Final = ("gRPC watcher", "NATS subscriber")


class Probes:
    """What was written by the prober, when it was acknowledged, and when which reader heard of it."""

    def __init__(self) -> None:
        self.acknowledged: dict[int, float] = {}
        """By position."""
        self.heard: dict[str, dict[int, float]] = {place: {} for place in _PLACES}
        self._moved = asyncio.Event()

    def hear(self, place: str, change: RelationshipChange) -> None:
        """Note a change that a reader got."""
        self.heard[place].setdefault(change.position, perf_counter())
        self._moved.set()

    async def all_heard(self) -> None:
        """Return once every reader heard of every probe.

        Raises:
            TimeoutError: one did not.
        """
        async with asyncio.timeout(PATIENCE_S):
            while any(self.acknowledged.keys() - heard.keys() for heard in self.heard.values()):
                await asyncio.wait_for(self._moved.wait(), PATIENCE_S)
                self._moved.clear()

    def latencies_ms(self, place: str) -> list[float]:
        """Return how long after the acknowledgement a reader heard of each probe, at least a microsecond."""
        heard = self.heard[place]
        return [max(heard[position] - at, 1e-6) * 1_000 for position, at in self.acknowledged.items()]


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    server, generator = rig.rapport(NATS), rig.generator()
    count = options.pick(1_000, 300, 5)
    _most(server, generator, options, seed=0)  # What runs for the first time is slower.
    most = _most(server, generator, options, seed=1)
    loads = (
        (f"at {most.sustained / 2:.0f} writes/s, half of what is sustained", most.sustained / 2),
        (f"at {most.written / 2:.0f} writes/s, half of what writes reach", most.written / 2),
        (f"at {STEADY_PER_S:.0f} writes/s", STEADY_PER_S),
        ("in silence", 0.0),
    )
    cases = []
    for name, rate in loads:
        wait_for_changes(server.target)
        wait_for_projections(server.target)  # What the most of writes left for later is not part of half of it.
        runs = [asyncio.run(probed(server, generator, count, rate, number)) for number in range(options.pick(3, 1, 1))]
        for place in _PLACES:
            found = [spread(probes.latencies_ms(place)) for probes in runs]
            for rank, target in (("p50", P50), ("p99", P99)):
                cases.append(
                    Case(
                        name=f"{place} {name}",
                        unit=f"ms {rank}",
                        ours=[each[rank] for each in found],
                        target=target,
                        more={"probes": count},
                    )
                )
    rig.release(server)
    return Row(
        name="P8",
        title="acknowledged write to change",
        cases=cases,
        seed=options.seed,
        settings={
            "durability": "SQLite WAL, FULL",
            "most_writes_per_s": round(most.written),
            "most_sustained_per_s": round(most.sustained),
            "load": "open loop",
        },
    )


class Most(NamedTuple):
    """What is possible in a closed loop, each second."""

    written: float
    """Writes acknowledged, however late their changes are found."""
    sustained: float
    """Writes acknowledged, and looked at for changes."""


def _most(server: Server, generator: Generator, options: Options, seed: int) -> Most:
    wait_for_changes(server.target)
    count, began_s = options.pick(10_000, 4_000, 100), perf_counter()
    written = generator.run(server, "record", seed=seed, count=count, in_flight=64)["per_s"]
    wait_for_changes(server.target)
    return Most(written, count / (perf_counter() - began_s))


async def probed(server: Server, generator: Generator, count: int, rate: float, seed: int) -> Probes:
    """Return what became of so many probes, while the generator records at a rate; 0: while nobody else writes."""
    probes = Probes()
    async with (
        grpc.aio.insecure_channel(server.target) as channel,
        _watched(channel, probes),
        _subscribed(server, probes),
    ):
        events = round(rate * (count * INTERVAL_S + 1.0))
        order: dict[str, Any] = {"count": events, "rate": rate, "seed": 1_000 + seed}
        load = asyncio.create_task(asyncio.to_thread(generator.run, server, "record", **order)) if events else None
        await asyncio.sleep(0.5)
        await _probe(channel, probes, count)
        if load is not None:
            await load
        await probes.all_heard()
    return probes


async def _probe(channel: grpc.aio.Channel, probes: Probes, count: int) -> None:
    """Write an old purchase of so many new customers, one at a time."""
    stub, run = InteractionServiceStub(channel), uuid4()
    for number in range(count):
        answer = await stub.RecordInteraction(lapsed(f"probe-{run}-{number}"), timeout=PATIENCE_S)
        probes.acknowledged[answer.position] = perf_counter()
        await asyncio.sleep(INTERVAL_S)


@asynccontextmanager
async def _watched(channel: grpc.aio.Channel, probes: Probes) -> AsyncIterator[None]:
    """Watch the organization from now on."""
    request = WatchRelationshipsRequest(organization_id=ORGANIZATION, from_now=True)
    call = ChangeServiceStub(channel).WatchRelationships(request)
    caught_up = asyncio.Event()

    async def follow() -> None:
        async for frame in call:
            for change in frame.batch.changes:
                probes.hear(_PLACES[0], change)
            if frame.HasField("caught_up"):
                caught_up.set()

    following = asyncio.create_task(follow())
    await asyncio.wait_for(caught_up.wait(), PATIENCE_S)
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@asynccontextmanager
async def _subscribed(server: Server, probes: Probes) -> AsyncIterator[None]:
    """Subscribe to the organization's changes at the NATS server beside the services."""
    client = await nats.connect((server.data_dir / "nats" / "url").read_text(encoding="ascii"))

    async def hear(message: Msg) -> None:
        probes.hear(_PLACES[1], RelationshipChange.FromString(message.data))

    await client.subscribe(_SUBJECTS, cb=hear)
    await client.flush()
    try:
        yield
    finally:
        await client.close()


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
