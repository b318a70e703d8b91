"""P4: the whole log through gRPC ReadEvents, parsed by the client, against bare `sqlite3` on the same rows."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from time import perf_counter

from benchmarks.options import Options, parse
from benchmarks.report import Case, Row, Target
from benchmarks.rig import Rig


def bare(path: Path) -> tuple[float, int]:
    """Return rows per second of reading all events with nothing but `sqlite3`, and how many there were."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        started = perf_counter()
        count = 0
        for _ in connection.execute("SELECT * FROM stored_events ORDER BY position"):
            count += 1
        return count / (perf_counter() - started), count
    finally:
        connection.close()


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    size = options.pick(300_000, 100_000, 2_000)
    server, generator = rig.over(size, quiet=True), rig.generator()
    path = server.data_dir / "events.db"
    generator.run(server, "read", count=1)
    _, size = bare(path)
    runs, reference = [], []
    for _ in range(options.pairs):
        runs.append(generator.run(server, "read", count=1))
        rate, count = bare(path)
        reference.append(rate)
        assert runs[-1]["events"] == count, "a replay was not whole"
    rig.release(server)
    case = Case(
        name=f"{size:,} events",
        unit="events/s",
        ours=[run["per_s"] for run in runs],
        reference=reference,
        against="bare sqlite3",
        target=Target(0.25, 0.5),
        more={
            "frames": runs[0]["frames"],
            "server_cpu_us_per_event": round(min(run["server_cpu_s"] for run in runs) / size * 1e6, 2),
        },
    )
    return Row(
        name="P4",
        title="replay of the whole log",
        cases=[case],
        seed=options.seed,
        settings={"load": "grpc.aio with uvloop in a process of its own, frames parsed", "backend": "SQLite"},
    )


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
