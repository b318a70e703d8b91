"""P3: interactions in batches of 500 through gRPC, against `eventsourcing` in process and UmaDB through its own client.

What each side does for an event:

* ours: gRPC, validation, idempotency, request fingerprint, version check, envelope, salt, commit with fsync;
* `eventsourcing` `Application.save`: 500 aggregates with one new event each, mapped to JSON and stored with its own
  recorder on SQLite (WAL, synchronous FULL). Only `save` is timed, not the making of the events;
* UmaDB: the same bytes with the stream as a tag, unconditionally, from its native client; its server is a process of
  its own, as ours is, and as many callers append as call us.
"""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, Final
from uuid import UUID, uuid4

import umadb
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from benchmarks.load import RELATIONSHIPS, Customers, interaction
from benchmarks.options import Options, parse
from benchmarks.p1_unary_write import cpu, latencies
from benchmarks.report import Case, Row, Target
from benchmarks.rig import Rig
from ledger.log.envelope import join_state
from rapport.events.v1.metadata_pb2 import EventMetadata

SIZE: Final = 500
CALLERS: Final = 4


class Noted(Aggregate):
    """A relationship as an aggregate of the library, with as much in an event as a small interaction of ours."""

    @event("Recorded")
    def record(self, kind: int, direction: int, channel: int, campaign: str, occur_time: int) -> None:
        """Note an interaction."""
        self.last = (kind, direction, channel, campaign, occur_time)


class Saver:
    """The library's application, with aggregates that are in memory already."""

    def __init__(self, rig: Rig, relationships: int) -> None:
        os.environ.pop("SQLITE_DBNAME", None)
        self._app = Application[UUID](
            env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(rig.folder() / "library.db")}
        )
        self._aggregates = [Noted() for _ in range(relationships)]
        for start in range(0, relationships, SIZE):
            self._app.save(*self._aggregates[start : start + SIZE])

    def run(self, batches: int, rng: random.Random) -> float:
        """Save so many batches; return events per second of `save`."""
        saved, seconds = 0, 0.0
        for number in range(batches):
            chosen = rng.sample(self._aggregates, min(SIZE, len(self._aggregates)))
            for aggregate in chosen:
                aggregate.record(1 + number % 4, 1, 1 + number % 4, "spring-2026", 1_760_000_000_000_000 + number)
            started = perf_counter()
            self._app.save(*chosen)
            seconds += perf_counter() - started
            saved += len(chosen)
        return saved / seconds

    def close(self) -> None:
        """Let go of the file."""
        self._app.close()


def umadb_run(address: str, batches: int, rng: random.Random) -> float:
    """Append so many batches from `CALLERS` threads; return events per second. Events are made before the clock."""
    work = [_umadb_batch(rng) for _ in range(batches)]
    clients = [umadb.Client(address) for _ in range(CALLERS)]

    def append(caller: int) -> None:
        for events in work[caller::CALLERS]:
            clients[caller].append(events)

    with ThreadPoolExecutor(CALLERS) as pool:
        started = perf_counter()
        list(pool.map(append, range(CALLERS)))
        return batches * SIZE / (perf_counter() - started)


def _umadb_batch(rng: random.Random) -> list[umadb.Event]:
    names = Customers(rng).draw(SIZE)
    return [
        umadb.Event("interaction.recorded.v1", _stored(number), tags=[f"acme/{name}"], uuid=uuid4())
        for number, name in enumerate(names)
    ]


def _stored(number: int) -> bytes:
    metadata = EventMetadata(request_id=bytes(16))
    metadata.occur_time.seconds = 1_760_000_000 + number
    return join_state(metadata.SerializeToString(), interaction(number).SerializeToString())


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    server, generator = rig.rapport(), rig.generator()
    saver = Saver(rig, options.pick(RELATIONSHIPS, RELATIONSHIPS, SIZE))
    address = rig.umadb()
    batches = options.pick(60, 24, 4)
    runs: list[dict[str, Any]] = []
    library: list[float] = []
    uma: list[float] = []
    order: dict[str, Any] = {"count": batches, "in_flight": CALLERS, "options": {"size": SIZE}}
    generator.run(server, "batch", **order)
    saver.run(max(batches // 4, 1), random.Random(0))
    umadb_run(address, max(batches // 4, 1), random.Random(0))
    for pair in range(options.pairs):
        seed = options.seed * 1_000 + pair
        runs.append(generator.run(server, "batch", seed=seed, **order))
        library.append(saver.run(max(batches // 2, 1), random.Random(seed)))
        uma.append(umadb_run(address, batches, random.Random(seed)))
    saver.close()
    rig.release(server)
    more = {
        "callers": CALLERS,
        "batches_per_run": batches,
        "latency_ms": latencies(runs),
        "server_cpu_us_per_event": round(cpu(runs) / SIZE, 1),
    }
    ours = [run["per_s"] for run in runs]
    cases = [
        Case(
            name="batches of 500",
            unit="events/s",
            ours=ours,
            reference=library,
            against="eventsourcing save, in process",
            target=Target(1.2, 2.0),
            more=more,
        ),
        Case(
            name="the same",
            unit="events/s",
            ours=ours,
            reference=uma,
            against="UmaDB",
            target=Target(0.4, 0.6),
        ),
    ]
    return Row(
        name="P3",
        title="batches through gRPC",
        cases=cases,
        seed=options.seed,
        settings={
            "durability": "all three: fsync before the answer (SQLite WAL, FULL; UmaDB's default)",
            "safety": "all on: validation, idempotency, fingerprints, versions, interceptors, log line",
            "load": "grpc.aio with uvloop in a process of its own, requests built before, UUIDv7",
        },
    )


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
