"""What a benchmark prints: one line of figures, one line of JSON with everything needed to judge them."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time
from typing import Any, Final

import psutil

_COMMITS: Final = 100
_ADDITIONS: Final = 500_000
_PACKAGES: Final = ("grpcio", "protobuf", "protovalidate", "uvloop", "eventsourcing", "psycopg", "umadb")


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: a bound and a stretch of it."""

    bound: float
    stretch: float
    at_most: bool = False
    """The figure should stay below the bound; else reach it."""

    def met(self, figure: float) -> bool:
        """Tell whether a figure keeps the bound."""
        return figure <= self.bound if self.at_most else figure >= self.bound

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        return f"{sign} {_short(self.bound)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One measured figure, with what it was measured against."""

    name: str
    """Setting that tells it from the row's other cases. Example: `64 in flight`."""
    unit: str
    """Of the values, not of the ratio. Example: `calls/s`."""
    ours: Sequence[float]
    """One value a run."""
    reference: Sequence[float] = ()
    """One value a run, each taken right after the one of `ours` with the same index."""
    against: str = ""
    """What the reference is. Example: `null echo`."""
    target: Target | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    """Latencies, CPU time, batch size and whatever else a reader needs."""

    @property
    def ratios(self) -> list[float]:
        """Ours to the reference, pair by pair."""
        return [ours / reference for ours, reference in zip(self.ours, self.reference, strict=True)]

    @property
    def figure(self) -> float:
        """What the target speaks about: the median ratio, or without a reference the median value."""
        return median(self.ratios) if self.reference else median(self.ours)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        return None if self.target is None else self.target.met(self.figure)

    def text(self) -> str:
        """Return the case in a phrase."""
        parts = [f"{self.name}: {_short(median(self.ours))} {self.unit}"]
        if self.reference:
            ratios = sorted(self.ratios)
            parts.append(
                f"= {self.figure:.2f} of {self.against} {_short(median(self.reference))}"
                f" ({ratios[0]:.2f} to {ratios[-1]:.2f}, {len(ratios)} pairs)"
            )
        if self.target is not None:
            parts.append(f"[{self.target} {'reached' if self.met else 'MISSED'}]")
        return " ".join(parts)

    def json(self) -> dict[str, Any]:
        """Return the case as JSON takes it."""
        found: dict[str, Any] = {
            "case": self.name,
            "unit": self.unit,
            "median": _rounded(median(self.ours)),
            "runs": [_rounded(value) for value in self.ours],
        }
        if self.reference:
            found |= {
                "against": self.against,
                "reference_median": _rounded(median(self.reference)),
                "reference_runs": [_rounded(value) for value in self.reference],
                "ratio": _rounded(self.figure),
                "ratios": [_rounded(value) for value in self.ratios],
            }
        if self.target is not None:
            found["target"] = {
                "bound": self.target.bound,
                "stretch": self.target.stretch,
                "at_most": self.target.at_most,
                "met": self.met,
            }
        return {**found, **self.more}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the targets, measured."""

    name: str
    """Example: `P1`."""
    title: str
    cases: Sequence[Case]
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Backend, durability, callers, batch size: what all cases share."""

    def text(self) -> str:
        """Return the line of figures."""
        return f"{self.name} {self.title} · " + " · ".join(case.text() for case in self.cases)

    def json(self) -> str:
        """Return the line of JSON."""
        document = {
            "row": self.name,
            "title": self.title,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": versions(),
            "seed": self.seed,
            "settings": dict(self.settings),
            "cases": [case.json() for case in self.cases],
        }
        return json.dumps(document, ensure_ascii=False)

    def print(self) -> None:
        """Print both lines."""
        print(self.text())
        print(self.json(), flush=True)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on, and how fast it was at this moment."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages * page_bytes / 2**30, 1),
        "load_1min": round(os.getloadavg()[0], 2),
        "file_system": _file_system(),
        "one_row_commit_ms": _commits(),
        "additions_per_cpu_s": _additions(),
    }


def versions() -> dict[str, str]:
    """Return the versions that matter."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "rapport": _revision()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 of some values."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return {f"p{rank}": _rounded(ordered[min(last, round(last * rank / 100))]) for rank in (50, 95, 99)}


def _file_system() -> str:
    """Return the kind of file system that temporary files, and so the logs of benchmarks, are on; `tmpfs` is memory."""
    folder = os.path.realpath(tempfile.gettempdir())
    mounts = [part for part in psutil.disk_partitions(all=True) if Path(folder).is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"


def _commits() -> dict[str, float]:
    """Return how long a durable commit of one row takes bare SQLite, in milliseconds, at this moment."""
    values = []
    with tempfile.TemporaryDirectory(prefix="rapport-bench-") as folder:
        connection = sqlite3.connect(Path(folder) / "commits.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=wal").fetchone()
        connection.execute("PRAGMA synchronous=full").fetchone()
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
        for _ in range(_COMMITS):
            started = perf_counter()
            connection.execute("INSERT INTO t (b) VALUES (?)", (bytes(100),))
            values.append((perf_counter() - started) * 1000)
        connection.close()
    return spread(values)


def _additions() -> int:
    """Return how often a loop of Python adds in a second of CPU: shows a core that others slow down."""
    total, before = 0, thread_time()
    for number in range(_ADDITIONS):
        total += number
    return round(_ADDITIONS / (thread_time() - before))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _revision() -> str:
    command = ("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"


def _short(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def note(text: str) -> None:
    """Tell whoever watches what goes on; figures go to stdout, this to stderr."""
    print(text, file=sys.stderr, flush=True)
