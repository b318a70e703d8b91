"""P10: what an event costs as the log grows: batches of 500 on a small and on a large log, in turn.

The figure is the CPU time that the server spends on an event, all its threads; the rate stands beside it.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.filling import EVENTS_PER_CUSTOMER
from benchmarks.options import Options, parse
from benchmarks.report import Case, Row, Target
from benchmarks.rig import Rig


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    sizes = options.sizes([10_000, 100_000, 1_000_000, 10_000_000], [10_000, 100_000], [1_000, 1_000])
    servers = [rig.over(size) for size in sizes]
    generator = rig.generator()
    batches = options.pick(30, 10, 2)
    cpu: dict[int, list[float]] = {size: [] for size in sizes}
    rate: dict[int, list[float]] = {size: [] for size in sizes}
    for number in range(-1, options.pairs):
        for size, server in zip(sizes, servers, strict=True):
            asked: dict[str, Any] = {"size": 500, "relationships": size // EVENTS_PER_CUSTOMER}
            run = generator.run(server, "batch", count=batches, in_flight=2, seed=number + 10, options=asked)
            if number >= 0:
                cpu[size].append(run["server_cpu_s"] / batches / 500 * 1e6)
                rate[size].append(run["per_s"])
    for server in servers:
        rig.release(server)
    cases = [
        Case(
            name=f"log of {size:,}",
            unit="µs CPU/event",
            ours=cpu[size],
            reference=cpu[sizes[0]],
            against=f"at {sizes[0]:,}",
            target=Target(1.3, 1.1, at_most=True),
            more={"events_per_s": round(median(rate[size]))},
        )
        for size in sizes[1:]
    ]
    return Row(
        name="P10",
        title="cost per event as the log grows",
        cases=cases,
        seed=options.seed,
        settings={"callers": 2, "batch": 500, "customers": "zipf 0.99 over a tenth of the events, cold at first"},
    )


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
