"""The exchange mix, in legs per second: batches of 1 to 1,000 exchanges, 1 to 32 callers. Then all balances recomputed.

10,000 relationships by zipf 0.99, one to four legs, 5 % resends, 2 % backdated, 1 % reversals (reciprocity.md 10.5).
One leg is what a transfer is to TigerBeetle or pgledger. Those are not run here: their figures are those of an earlier
day on a machine of the same size, so they say of which order ours are, and no more.
"""

from __future__ import annotations

from statistics import median
from typing import Any, Final

from benchmarks.balance_check import wrong_balances
from benchmarks.calls import publish_rates, register_money
from benchmarks.load import RELATIONSHIPS
from benchmarks.options import Options, parse
from benchmarks.p1_unary_write import cpu, latencies
from benchmarks.report import Case, Row, note
from benchmarks.rig import Generator, Rig, Server

BESIDE: Final = {
    1: "TigerBeetle 1,600, pgledger 500-1,700 transfers/s one at a time",
    100: "TigerBeetle 34,000, pgledger 5,500 transfers/s in batches of 100",
}
"""By batch size: figures of two ledgers of money, from Python, measured elsewhere."""


def measure(rig: Rig, options: Options) -> Row:
    """Measure the mix.

    Raises:
        RuntimeError: a balance is not what a replay of the log says.
    """
    server, generator = rig.rapport(alone=True), rig.generator()
    register_money(server.target)
    publish_rates(server.target)
    cases = []
    for size in options.pick((1, 10, 100, 1_000), (1, 10, 100, 1_000), (1, 10)):
        for callers in options.pick((1, 8, 32), (1, 8), (2,)):
            cases += [
                _closed(generator, server, options, size, callers, hot_percent)
                for hot_percent in ((0, 50) if size == 100 and callers == 8 else (0,))
            ]
        if options.scale == "full" and size in BESIDE:
            cases += _open(generator, server, options, size, median(cases[-1].ours))
    compared, wrong = wrong_balances(server.target)
    if wrong:
        raise RuntimeError(f"{len(wrong)} of {compared} balances are wrong, that of {wrong[0]} first")
    note(f"mix: {compared:,} balances recomputed from a replay, all equal")
    rig.release(server)
    return Row(
        name="mix",
        title="exchange mix, SQLite",
        cases=cases,
        seed=options.seed,
        settings={
            "durability": "SQLite WAL, FULL",
            "safety": "all on",
            "relationships": RELATIONSHIPS,
            "balances_recomputed": compared,
            "beside": BESIDE,
        },
    )


def _closed(generator: Generator, server: Server, options: Options, size: int, callers: int, hot_percent: int) -> Case:
    count = max(options.pick(20_000, 4_000, 100) // size, 4)
    asked: dict[str, Any] = {"size": size, "relationships": RELATIONSHIPS, "hot_percent": hot_percent}
    runs = [
        generator.run(server, "exchange", count=count, in_flight=callers, seed=options.seed * 100 + run, options=asked)
        for run in range(options.pairs)
    ]
    hot = ", half on 10 customers" if hot_percent else ""
    beside = f" ({BESIDE[size]})" if size in BESIDE and callers == 1 else ""
    return Case(
        name=f"batches of {size:,}, {callers} callers{hot}{beside}",
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


def _open(generator: Generator, server: Server, options: Options, size: int, most_legs: float) -> list[Case]:
    """Measure latencies in an open loop at half and four fifths of a throughput, in legs per second."""
    cases = []
    for percent in (50, 80):
        rate = most_legs / 2 / size * percent / 100  # Calls: an exchange has two legs on average.
        asked: dict[str, Any] = {"size": size, "relationships": RELATIONSHIPS, "hot_percent": 0}
        count = max(round(rate * 5), 20)
        runs = [
            generator.run(server, "exchange", count=count, rate=rate, seed=options.seed * 77 + run, options=asked)
            for run in range(3)
        ]
        cases.append(
            Case(
                name=f"batches of {size:,}, open loop at {percent} %",
                unit="ms p50",
                ours=[run["latency_ms"]["p50"] for run in runs],
                more={"rate_per_s": round(rate, 1), "calls_per_run": count, "latency_ms": latencies(runs)},
            )
        )
    return cases


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
