"""P6: GetRelationship as things are now: against the null echo, and over logs of growing size.

One caller, because latency is asked for. The servers over all sizes run at once and are asked in turn.
"""

from __future__ import annotations

from benchmarks.filling import EVENTS_PER_CUSTOMER
from benchmarks.options import Options, parse
from benchmarks.report import Case, Row, Target
from benchmarks.rig import Rig

FLAT = Target(1.2, 1.1, at_most=True)
"""p50 at the largest log to that at the smallest."""


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    sizes = options.sizes([10_000, 100_000, 1_000_000, 10_000_000], [10_000, 100_000], [1_000])
    servers = [rig.over(size, quiet=True) for size in sizes]
    echo, generator = rig.echo(), rig.generator()
    count = options.pick(3_000, 1_500, 50)
    p50: dict[int, list[float]] = {size: [] for size in sizes}
    reference: list[float] = []
    for number in range(-1, options.pairs):
        for size, server in zip(sizes, servers, strict=True):
            asked = {"relationships": size // EVENTS_PER_CUSTOMER}
            run = generator.run(server, "get", count=count, in_flight=1, seed=number + 10, options=asked)
            p50[size].append(run["latency_ms"]["p50"])
        run = generator.run(echo, "get", count=count, in_flight=1, seed=number + 10)
        reference.append(run["latency_ms"]["p50"])
    for server in servers:
        rig.release(server)
    warm = {size: values[1:] for size, values in p50.items()}  # The first round folds what is asked for most.
    cases = [
        Case(
            name=f"log of {size:,}",
            unit="ms p50",
            ours=warm[size],
            reference=reference[1:],
            against="null echo",
            target=Target(1.5, 1.2, at_most=True),
            more={"first_round_ms_p50": p50[size][0]},
        )
        for size in sizes
    ]
    cases.append(
        Case(
            name=f"from {sizes[0]:,} to {sizes[-1]:,} events",
            unit="ms p50",
            ours=warm[sizes[-1]],
            reference=warm[sizes[0]],
            against="the smallest log",
            target=FLAT,
        )
    )
    return Row(
        name="P6",
        title="GetRelationship, now",
        cases=cases,
        seed=options.seed,
        settings={"callers": 1, "calls_per_run": count, "customers": "zipf 0.99 over a tenth of the events"},
    )


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
