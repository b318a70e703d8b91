"""P12: contact decisions, simulated and recorded, one by one and in batches of 500; and the search for an audience.

One log in which everybody consented to marketing and asked for a topic. A simulation is measured against the null echo,
a recorded decision against RecordInteraction on the same server, which waits for the same disk; what bounds a batch
shows in the CPU time that the server takes for each decision.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any, Final

import grpc

from benchmarks.calls import TIMEOUT_S
from benchmarks.filling import Filler
from benchmarks.load import ORGANIZATION, question
from benchmarks.options import Options, parse
from benchmarks.report import Case, Row, Target
from benchmarks.rig import Generator, Rig, Server
from rapport.contact.v1.contact_service_pb2 import FindAudienceRequest
from rapport.contact.v1.contact_service_pb2_grpc import ContactServiceStub
from rapport.events.v1.consent_pb2 import ConsentGiven
from rapport.events.v1.preference_pb2 import PreferenceDeclared, TopicPreference

SIZE: Final = 500
ONCE_AND_A_HALF: Final = Target(1.5, 1.2, at_most=True)
"""p50 to that of the reference."""
FIRST_ANSWER: Final = Target(1.0, 0.5, at_most=True)
"""Seconds until FindAudience says something."""


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    audience = options.pick(100_000, 20_000, 200)
    folder = rig.folder()
    filler = Filler(folder)
    filler.tell(audience, "consent.given.v1", ConsentGiven(purposes=["marketing.direct"]))
    wanted = PreferenceDeclared(topics=TopicPreference(wanted=[question().topic]))
    filler.tell(audience, "preference.declared.v1", wanted)
    server = rig.serving(folder)
    generator = rig.generator()
    asked = {"relationships": min(audience, options.pick(10_000, 2_000, 50))}
    # The audience first: decisions recorded by the other cases would make its relationships longer.
    cases = audience_cases(server, audience, options)
    cases.append(simulated(rig, server, generator, options, asked))
    cases.append(recorded(server, generator, options, asked))
    cases += [batches(server, generator, options, asked, simulate=simulate) for simulate in (True, False)]
    rig.release(server)
    return Row(
        name="P12",
        title="contact decisions",
        cases=cases,
        seed=options.seed,
        settings={"durability": "SQLite WAL, FULL", "events of a customer": 2, "audience": audience, **asked},
    )


def simulated(rig: Rig, server: Server, generator: Generator, options: Options, asked: dict[str, Any]) -> Case:
    """Measure SimulateDecision of relationships in memory against the null echo; one caller."""
    echo, count = rig.echo(), options.pick(3_000, 1_500, 50)
    runs = paired(generator, (server, echo), ("decide", "decide"), count, options, {**asked, "simulate": True})
    return Case(
        name="simulated",
        unit="ms p50",
        ours=runs[0],
        reference=runs[1],
        against="null echo",
        target=ONCE_AND_A_HALF,
        more={"calls_per_run": count},
    )


def recorded(server: Server, generator: Generator, options: Options, asked: dict[str, Any]) -> Case:
    """Measure Decide against RecordInteraction, both durable, on the same server; one caller."""
    count = options.pick(2_000, 600, 30)
    runs = paired(generator, (server, server), ("decide", "record"), count, options, asked)
    return Case(
        name="recorded",
        unit="ms p50",
        ours=runs[0],
        reference=runs[1],
        against="RecordInteraction",
        target=ONCE_AND_A_HALF,
        more={"calls_per_run": count},
    )


def paired(
    generator: Generator,
    servers: tuple[Server, Server],
    works: tuple[str, str],
    count: int,
    options: Options,
    asked: dict[str, Any],
) -> tuple[list[float], list[float]]:
    """Return the p50 of two works in turn; the first round, which folds what is asked for most, is left out."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(-1, options.pairs):
        for values, server, work in zip(found, servers, works, strict=True):
            order = {"count": count, "in_flight": 1, "seed": options.seed * 1_000 + number + 1}
            run = generator.run(server, work, options=asked, **order)
            values.append(run["latency_ms"]["p50"])
    return found[0][1:], found[1][1:]


def batches(server: Server, generator: Generator, options: Options, asked: dict[str, Any], *, simulate: bool) -> Case:
    """Measure batches of 500 decisions; recorded ones against as many interactions in a batch."""
    count = options.pick(40, 12, 2)
    ours, reference = [], []
    for number in range(-1, options.pairs):
        order: dict[str, Any] = {"count": count, "in_flight": 2, "seed": options.seed * 1_000 + number + 1}
        ours.append(
            generator.run(server, "decide_batch", options={**asked, "size": SIZE, "simulate": simulate}, **order)
        )
        if not simulate:
            reference.append(generator.run(server, "batch", options={**asked, "size": SIZE}, **order))
    warm = ours[1:]
    return Case(
        name=f"batches of {SIZE}, {'simulated' if simulate else 'recorded'}",
        unit="decisions/s",
        ours=[run["per_s"] for run in warm],
        reference=[run["per_s"] for run in reference[1:]],
        against="BatchRecordInteractions" if reference else "",
        more={
            "calls_per_run": count,
            "server_cpu_us_per_decision": round(
                median(run["server_cpu_s"] / (run["calls"] * SIZE) * 1e6 for run in warm), 1
            ),
            "server_cores_used": round(median(run["server_cpu_s"] / run["seconds"] for run in warm), 2),
        },
    )


def audience_cases(server: Server, audience: int, options: Options) -> list[Case]:
    """Measure when FindAudience first answers, how long it takes, and how much more memory that needs."""
    before = server.memory_peak_bytes
    runs = [find(server, audience) for _ in range(options.pick(3, 2, 1))]
    grown = server.memory_peak_bytes - before
    told = {"customers": audience, "memory_peak_before_bytes": before, "memory_peak_grown_bytes": grown}
    first = [run[0] for run in runs]
    return [
        Case(name="audience, first answer", unit="s", ours=first, target=FIRST_ANSWER, more=told),
        Case(name="audience, whole", unit="s", ours=[run[1] for run in runs], more=told),
    ]


def find(server: Server, audience: int) -> tuple[float, float]:
    """Return the seconds until the first member and until the end of one search.

    Raises:
        RuntimeError: somebody was left out.
    """
    started, first, members = perf_counter(), 0.0, 0
    with grpc.insecure_channel(server.target) as channel:
        blocking: Any = channel  # Its stub is typed for the asynchronous one.
        stub: Any = ContactServiceStub(blocking)
        request = FindAudienceRequest(organization_id=ORGANIZATION, question=question())
        for frame in stub.FindAudience(request, timeout=TIMEOUT_S):
            if frame.HasField("member"):
                first = first or perf_counter() - started
                members += 1
    if members != audience:
        raise RuntimeError(f"{members} of {audience} customers were found")
    return first, perf_counter() - started


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
