"""P1: RecordInteraction, durable, on SQLite, against the null echo of the same server; latencies under less load."""

from __future__ import annotations

from statistics import median
from typing import Any, Final

from benchmarks.options import Options, parse
from benchmarks.report import Case, Row, Target
from benchmarks.rig import Generator, Rig, Server

TARGETS: Final = {64: Target(0.75, 0.9), 256: Target(0.9, 0.97)}


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    server = rig.rapport()
    cases = compare(rig, server, options, TARGETS)
    if options.scale != "tiny":
        cases += under_less_load(rig.generator(), server, options, median(cases[0].ours))
    rig.release(server)
    return Row(
        name="P1",
        title="RecordInteraction, SQLite",
        cases=cases,
        seed=options.seed,
        settings=settings("SQLite WAL, FULL"),
    )


def settings(durability: str) -> dict[str, str]:
    """Return what unary rows share."""
    return {
        "durability": durability,
        "safety": "all on: validation, idempotency, fingerprints, versions, interceptors, log line",
        "load": "grpc.aio with uvloop in a process of its own, one channel, requests built before, UUIDv7",
    }


def compare(rig: Rig, server: Server, options: Options, targets: dict[int, Target]) -> list[Case]:
    """Measure a server against the echo at the callers that targets are given for."""
    echo, generator = rig.echo(), rig.generator()
    count = options.pick(10_000, 4_000, 100)
    for each in (server, echo):
        generator.run(each, "record", count=max(count // 2, 64), in_flight=64, seed=options.seed)
    cases = []
    for in_flight, target in targets.items():
        ours, reference = [], []
        for pair in range(options.pairs):
            order: dict[str, Any] = {"count": count, "in_flight": in_flight, "seed": options.seed * 1_000 + pair}
            ours.append(generator.run(server, "record", **order))
            reference.append(generator.run(echo, "record", **order))
        cases.append(
            Case(
                name=f"{in_flight} in flight",
                unit="calls/s",
                ours=[run["per_s"] for run in ours],
                reference=[run["per_s"] for run in reference],
                against="null echo",
                target=target,
                more={
                    "calls_per_run": count,
                    "latency_ms": latencies(ours),
                    "reference_latency_ms": latencies(reference),
                    "server_cpu_us_per_call": cpu(ours),
                    "reference_server_cpu_us_per_call": cpu(reference),
                },
            )
        )
    return cases


def under_less_load(generator: Generator, server: Server, options: Options, most: float) -> list[Case]:
    """Measure latencies in an open loop at half and four fifths of the throughput found."""
    cases = []
    for percent in (50, 80):
        rate = most * percent / 100
        count = round(rate * options.pick(5, 2, 1))
        runs = [
            generator.run(server, "record", count=count, rate=rate, seed=options.seed * 77 + number)
            for number in range(options.pick(3, 1, 1))
        ]
        found = latencies(runs)
        cases.append(
            Case(
                name=f"open loop at {percent} %",
                unit="ms p50",
                ours=[run["latency_ms"]["p50"] for run in runs],
                more={"rate_per_s": round(rate), "calls_per_run": count, "latency_ms": found},
            )
        )
    return cases


def latencies(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Return the medians of the runs' p50, p95 and p99."""
    return {rank: median(run["latency_ms"][rank] for run in runs) for rank in ("p50", "p95", "p99")}


def cpu(runs: list[dict[str, Any]]) -> float:
    """Return the median CPU time of the server per call, in microseconds; all its threads."""
    return round(float(median(run["server_cpu_s"] / run["calls"] * 1e6 for run in runs)), 1)


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
