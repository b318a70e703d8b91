"""Run the benchmarks one after the other: `python -m benchmarks [--short|--full] [--check] [P1 P3 …]`.

With `--check` the figures are compared with the targets, and what falls short is named. The exit code is 0 all the
same: a benchmark decides nothing. It is 1 where a benchmark could not be run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Final

from benchmarks import (
    balance_reads,
    decision,
    detector,
    exchange_mix,
    p1_unary_write,
    p2_unary_postgres,
    p3_batches,
    p4_replay,
    p5_rebuild,
    p6_read_now,
    p7_read_as_of,
    p8_changes,
    p9_memory,
    p10_growth,
    p11_bytes,
    watchers,
)
from benchmarks.options import Options, add_flags, chosen
from benchmarks.report import Row, note
from benchmarks.rig import Rig

ROWS: Final[dict[str, Callable[[Rig, Options], Row]]] = {
    "P1": p1_unary_write.measure,
    "P2": p2_unary_postgres.measure,
    "P3": p3_batches.measure,
    "P4": p4_replay.measure,
    "P5": p5_rebuild.measure,
    "P6": p6_read_now.measure,
    "P7": p7_read_as_of.measure,
    "P8": p8_changes.measure,
    "P9": p9_memory.measure,
    "P10": p10_growth.measure,
    "P11": p11_bytes.measure,
    "P12": decision.measure,
    "detector": detector.measure,
    "watchers": watchers.measure,
    "mix": exchange_mix.measure,
    "balance": balance_reads.measure,
}


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add_flags(parser)
    parser.add_argument("--check", action="store_true", help="compare with the targets, and say what falls short")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"default: all of {' '.join(ROWS)}")
    flags = parser.parse_args(arguments)
    if unknown := [name for name in flags.rows if name not in ROWS]:
        parser.error(f"no such row: {' '.join(unknown)}")
    options = chosen(flags, "short")
    done, failed = [], []
    for name in flags.rows or ROWS:
        note(f"{name} …")
        try:
            with Rig() as rig:
                row = ROWS[name](rig, options)
        except Exception as error:  # noqa: BLE001  # The other rows are run all the same.
            failed.append(name)
            note(f"{name} could not be run: {error}")
        else:
            row.print()
            done.append(row)
    if flags.check:
        _compare(done)
    return 1 if failed else 0


def _compare(rows: list[Row]) -> None:
    cases = [(row.name, case) for row in rows for case in row.cases if case.target is not None]
    missed = [(name, case) for name, case in cases if not case.met]
    print(f"{len(cases) - len(missed)} of {len(cases)} targets reached")
    for name, case in missed:
        print(f"{name} falls short: {case.text()}")


if __name__ == "__main__":
    sys.exit(main())
