"""P5: fold of every relationship's state from the log, in position order; and rebuild of the projections in a server.

The fold is timed by the CPU time of the one thread that reads, parses and folds: events per second of a core, whoever
else uses the machine. A rebuild beside the live projection folds, compares row by row and swaps, in a serving process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, thread_time

from benchmarks.calls import rebuild, wait_for_projections
from benchmarks.options import Options, parse
from benchmarks.report import Case, Row, Target
from benchmarks.rig import Rig, Server
from ledger.domain.identifiers import is_relationship
from ledger.log.envelope import split_state
from ledger.log.reading import facts, pages
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import Store
from ledger.measure.record import Record
from ledger.projections.relationships import fold_log
from rapport.events.v1.interaction_pb2 import InteractionRecorded
from rapport.events.v1.metadata_pb2 import EventMetadata
from services.runtime.process import spare_the_collector


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    spare_the_collector()  # As whoever folds in a process of ours does.
    size = options.pick(300_000, 100_000, 2_000)
    server = rig.over(size)
    path = server.data_dir / "events.db"
    cases = [_own_states(path, options), _records(path, options), *_projections(server, options)]
    rig.release(server)
    return Row(name="P5", title="rebuild of relationship states", cases=cases, seed=options.seed)


def _own_states(path: Path, options: Options) -> Case:
    store = open_store(sqlite_url(path))
    size = store.head().position
    cpu, wall, floor = [], [], []
    try:
        for _ in range(options.pairs):
            started, before = perf_counter(), thread_time()
            fold_log(store, size)
            cpu.append(size / (thread_time() - before))
            wall.append(size / (perf_counter() - started))
            floor.append(_cpu_rate(lambda: read_and_parse(path), size))
    finally:
        store.close()
    return Case(
        name="the ledger's own state",
        unit="events per CPU second",
        ours=cpu,
        target=Target(200_000, 350_000),
        more={
            "events": size,
            "wall_per_s": [round(value) for value in wall],
            # The same machine, moment and rows: how fast reading and parsing alone can be here.
            "read_and_parse_only_per_cpu_s": [round(value) for value in floor],
        },
    )


def _records(path: Path, options: Options) -> Case:
    """Measure the fold of everything that measures are made of."""
    store = open_store(sqlite_url(path))
    size = store.head().position
    try:
        cpu = [_cpu_rate(lambda: fold_records(store, size), size) for _ in range(options.pairs)]
    finally:
        store.close()
    return Case(
        name="with every measure",
        unit="events per CPU second",
        ours=cpu,
        target=Target(100_000, 200_000),
        more={"events": size},
    )


def fold_records(store: Store, to: int) -> dict[str, Record]:
    """Return the record of every relationship, folded from the log in order of position, up to `to`."""
    records: dict[str, Record] = {}
    for page in pages(store, 0, to):
        for row, fact in zip(page, facts(page), strict=True):
            if is_relationship(row.stream_id):
                record = records.get(row.stream_id)
                if record is None:
                    record = records[row.stream_id] = Record()
                record.evolve(fact)
    return records


def read_and_parse(path: Path) -> None:
    """Read the rows of a log of interactions with bare `sqlite3`, and parse both parts of each with protobuf."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        for (state,) in connection.execute(
            "SELECT state FROM stored_events WHERE topic = 'interaction.recorded.v1' ORDER BY position"
        ):
            metadata, event, _ = split_state(state)
            EventMetadata.FromString(metadata)
            InteractionRecorded.FromString(event)
    finally:
        connection.close()


def _cpu_rate(work: Callable[[], object], size: int) -> float:
    before = thread_time()
    work()
    return size / (thread_time() - before)


def _projections(server: Server, options: Options) -> list[Case]:
    cases = []
    for projection in wait_for_projections(server.target):
        size, seconds, cpu_s = projection.position, [], []
        for _ in range(options.pick(3, 1, 1)):
            before = server.cpu_s
            seconds.append(rebuild(server.target, projection.name))
            cpu_s.append(server.cpu_s - before)
        cases.append(
            Case(
                name=f"projection {projection.name}, with comparison",
                unit="events/s",
                ours=[size / value for value in seconds],
                more={"events": size, "server_cpu_us_per_event": [round(value / size * 1e6, 1) for value in cpu_s]},
            )
        )
    return cases


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
