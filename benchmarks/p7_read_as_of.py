"""P7: GetRelationship as of a time in the past: it may grow with the relationship's own events, never with the log.

The same relationships stand in a small and in a large log; the two servers are asked in turn.
"""

from __future__ import annotations

from statistics import median
from typing import Any, Final

from benchmarks.load import BEGIN_S
from benchmarks.options import Options, parse
from benchmarks.report import Case, Row, Target
from benchmarks.rig import Rig

FIRST: Final = 9_000_000
"""Number of the customer with the fewest own events; those after it have more."""


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    owns = options.pick([10, 1_000, 100_000], [10, 1_000, 20_000], [10])
    others = options.pick((10_000, 500_000), (10_000, 100_000), (500, 1_000))
    own_events = {FIRST + number: own for number, own in enumerate(owns)}
    servers = [rig.over(sum(owns) + size, own_events, quiet=True) for size in others]
    generator = rig.generator()
    cases = []
    first = FIRST if options.scale != "tiny" else 0  # Who shares a server asks for whoever is there.
    for number, own in enumerate(owns):
        count = max(options.pick(2_000, 400, 20) // max(own // 10, 1), 3)
        order: dict[str, Any] = {
            "count": count,
            "in_flight": 1,
            "options": {
                "customers": [first + number],
                "as_of_s": BEGIN_S + 500,
            },
        }
        p50: list[list[float]] = [[], []]
        for _ in range(options.pairs):
            for values, server in zip(p50, servers, strict=True):
                values.append(generator.run(server, "get", **order)["latency_ms"]["p50"])
        cases.append(
            Case(
                name=f"{own:,} own events",
                unit="ms p50",
                ours=p50[1],
                reference=p50[0],
                against=f"in a log with {others[0]:,} others",
                target=Target(1.2, 1.1, at_most=True),
                more={"other_events": others[1], "us_per_own_event": round(median(p50[1]) * 1000 / own, 2)},
            )
        )
    for server in servers:
        rig.release(server)
    return Row(
        name="P7", title="GetRelationship, as of a time", cases=cases, seed=options.seed, settings={"callers": 1}
    )


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
