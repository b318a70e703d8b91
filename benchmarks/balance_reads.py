"""Balances and explanations of relationships of 10, 1,000 and 100,000 legs, on both time axes.

The same relationships stand in a small and in a large log; the two servers are asked in turn, and the null echo between
them. `now` and `as of a time` are answered from a book kept in memory; what was `known at` a position is folded anew
from the relationship's own events, and never from the log.
"""

from __future__ import annotations

from statistics import median
from typing import Any, Final

from benchmarks.calls import publish_rates, record_exchange, register_money
from benchmarks.filling import EXCHANGES_SPAN_S
from benchmarks.load import BEGIN_S, customer
from benchmarks.options import Options, parse
from benchmarks.report import Case, Row, Target
from benchmarks.rig import Generator, Rig, Server

FIRST: Final = 9_000_000
"""Number of the customer with the fewest legs; those after it have more."""
NOW: Final = Target(1.5, 1.2, at_most=True)
"""p50 to the null echo's."""
FLAT: Final = Target(1.2, 1.1, at_most=True)
"""p50 of most legs to that of fewest, or in the large log to that in the small one."""
AS_OF_S: Final = BEGIN_S - EXCHANGES_SPAN_S // 2


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    legs = options.pick([10, 1_000, 100_000], [10, 1_000, 20_000], [10])
    others = options.pick((10_000, 500_000), (10_000, 100_000), (500, 1_000))
    customers = {count: FIRST + number for number, count in enumerate(legs)}
    exchanges = {number: count // 2 for count, number in customers.items()}
    servers = [rig.over(sum(exchanges.values()) + size, exchanges=exchanges, quiet=True) for size in others]
    if options.scale == "tiny":
        customers = dict.fromkeys(legs, 0)  # Who shares a server asks for whoever is there.
    positions = [_prepare(server, customers) for server in servers]
    asking = _Asking(rig.generator(), servers, positions, rig.echo(), options)
    cases = []
    for name, work, view in (
        ("now", "balance", {}),
        ("as of a time", "balance", {"as_of_s": AS_OF_S}),
        ("known at a position", "balance", {"position": 0}),
        ("both", "balance", {"as_of_s": AS_OF_S, "position": 0}),
        ("half-life of 90 days", "balance", {"half_life_days": 90}),
        ("explained", "explain", {}),
    ):
        cases += [asking.case(name, work, view, count, number) for count, number in customers.items()]
        if name == "now":
            cases.append(_flat(cases[0], cases[-1], legs))
    for server in servers:
        rig.release(server)
    return Row(name="balance", title="balances", cases=cases, seed=options.seed, settings={"callers": 1})


def _prepare(server: Server, customers: dict[int, int]) -> int:
    """Publish rates, then record one more exchange each; return a position between the two."""
    register_money(server.target)
    position = publish_rates(server.target)
    for number in customers.values():
        record_exchange(server.target, customer(number))
    return position


class _Asking:
    """Asks both servers and the echo in turn."""

    def __init__(
        self, generator: Generator, servers: list[Server], positions: list[int], echo: Server, options: Options
    ) -> None:
        self._generator = generator
        self._servers = servers
        self._positions = positions
        self._echo = echo
        self._options = options

    def case(self, name: str, work: str, view: dict[str, int], legs: int, number: int) -> Case:
        """Return one case: in the large log, against the echo where it is a target, else against the small log."""
        folded = work == "explain" or "position" in view or "half_life_days" in view
        most = self._options.pick(2_000, 500, 20)
        count = max(most // max(legs // 10, 1), 3) if folded else most
        p50: list[list[float]] = [[], [], []]
        for run in range(-1, self._options.pairs):
            for values, server, position in zip(p50, self._servers, self._positions, strict=False):
                asked = {**view, "customers": [number]}
                if "position" in view:
                    asked["position"] = position
                values.append(self._ask(server, work, count, run, asked))
            p50[2].append(self._ask(self._echo, "balance", most, run, {"customers": [number]}))
        small, large, echo = (values[1:] for values in p50)
        more = {
            "small_log_ms_p50": small,
            "to_small_log": round(median(a / b for a, b in zip(large, small, strict=True)), 3),
            "null_echo_ms_p50": echo,
            "us_per_leg": round(median(large) * 1000 / legs, 2),
            "calls_per_run": count,
        }
        return Case(
            name=f"{name}, {legs:,} legs",
            unit="ms p50",
            ours=large,
            reference=small if view or folded else echo,
            against="the small log" if view or folded else "null echo",
            target=FLAT if view or folded else NOW,
            more=more,
        )

    def _ask(self, server: Server, work: str, count: int, run: int, asked: dict[str, Any]) -> float:
        figures = self._generator.run(server, work, count=count, in_flight=1, seed=run + 10, options=asked)
        return float(figures["latency_ms"]["p50"])


def _flat(fewest: Case, most: Case, legs: list[int]) -> Case:
    return Case(
        name=f"now, from {legs[0]:,} to {legs[-1]:,} legs",
        unit="ms p50",
        ours=most.ours,
        reference=fewest.ours,
        against="the fewest",
        target=FLAT,
    )


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
