"""The exchange mix, in legs per second: batches of 1, 10, 100 and 1,000 exchanges, one and eight callers, closed loop.

10,000 relationships by zipf 0.99, one to four legs, 5 % resends, 2 % backdated, 1 % reversals. One leg is what a
transfer is to TigerBeetle or pgledger; neither is run here. It has no target of its own yet.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.calls import register_money
from benchmarks.load import RELATIONSHIPS
from benchmarks.options import Options, parse
from benchmarks.p1_unary_write import cpu, latencies
from benchmarks.report import Case, Row
from benchmarks.rig import Rig


def measure(rig: Rig, options: Options) -> Row:
    """Measure the mix."""
    server, generator = rig.rapport(), rig.generator()
    register_money(server.target)
    cases = []
    for size in options.pick((1, 10, 100, 1_000), (1, 100, 1_000), (1, 10)):
        for callers in options.pick((1, 8), (8,), (2,)):
            count = max(options.pick(20_000, 4_000, 100) // size, 4)
            for hot_percent in (0, 50) if size == 100 and callers == 8 else (0,):
                asked: dict[str, Any] = {"size": size, "relationships": RELATIONSHIPS, "hot_percent": hot_percent}
                runs = [
                    generator.run(
                        server, "exchange", count=count, in_flight=callers, seed=options.seed * 100 + run, options=asked
                    )
                    for run in range(options.pairs)
                ]
                hot = ", half on 10 customers" if hot_percent else ""
                cases.append(
                    Case(
                        name=f"batches of {size:,}, {callers} callers{hot}",
                        unit="legs/s",
                        ours=[run["per_s"] for run in runs],
                        more={
                            "calls_per_run": count,
                            "latency_ms": latencies(runs),
                            "server_cpu_s_per_1000_legs": round(
                                median(run["server_cpu_s"] / (run["per_s"] * run["seconds"]) for run in runs) * 1_000, 3
                            ),
                            "server_cpu_us_per_call": cpu(runs),
                        },
                    )
                )
    rig.release(server)
    return Row(
        name="mix",
        title="exchange mix, SQLite",
        cases=cases,
        seed=options.seed,
        settings={"durability": "SQLite WAL, FULL", "safety": "all on", "relationships": RELATIONSHIPS},
    )


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
