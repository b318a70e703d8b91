"""P9: peak memory of replay, rebuild and import as the log grows: it should stay where it is.

The figure is the most memory that a process ever had resident: of the server while the log is replayed from it and
while its projections are rebuilt, of server and command while a file is imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from benchmarks.calls import rebuild, wait_for_projections
from benchmarks.options import Options, parse
from benchmarks.report import Case, Row, Target
from benchmarks.rig import ROOT, Rig

TARGET: Final = Target(300, 150, at_most=True)
"""MiB, at the largest log."""
_MIB: Final = 2**20


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    sizes = options.sizes([10_000, 100_000, 1_000_000, 10_000_000], [10_000, 100_000], [1_000])
    replay: dict[int, float] = {}
    rebuilt: dict[int, float] = {}
    for size in sizes:
        replay[size], rebuilt[size] = _replay(rig, size), _rebuild(rig, size)
    lines = options.pick((20_000, 100_000), (2_000, 10_000), (50,))
    imports = {count: _import(rig, count) for count in lines}
    cases = [
        _case("server, replay", replay, "events"),
        _case("server, rebuild of projections", rebuilt, "events"),
        _case("server, import", {count: peaks[0] for count, peaks in imports.items()}, "lines"),
        _case("command, import", {count: peaks[1] for count, peaks in imports.items()}, "lines"),
    ]
    return Row(name="P9", title="peak memory", cases=cases, seed=options.seed)


def _case(name: str, peaks: dict[int, float], of: str) -> Case:
    sizes = list(peaks)
    return Case(
        name=f"{name}, {sizes[-1]:,} {of}",
        unit="MiB",
        ours=[peaks[sizes[-1]]],
        target=TARGET,
        more={f"mib_by_{of}": {str(size): round(peak, 1) for size, peak in peaks.items()}},
    )


def _replay(rig: Rig, size: int) -> float:
    server = rig.over(size)
    rig.generator().run(server, "read", count=1, timeout_s=3_600)
    peak = server.memory_peak_bytes / _MIB
    rig.release(server)
    return peak


def _rebuild(rig: Rig, size: int) -> float:
    server = rig.over(size)
    for projection in wait_for_projections(server.target):
        rebuild(server.target, projection.name)
    peak = server.memory_peak_bytes / _MIB
    rig.release(server)
    return peak


def _import(rig: Rig, lines: int) -> tuple[float, float]:
    """Return the peaks of server and command over an import of purchases."""
    folder = rig.folder()
    file = folder / "purchases.txt"
    with file.open("w", encoding="ascii") as out:
        out.write("customer date cds dollars\n")
        for number in range(lines):
            day = f"1997{1 + number % 12:02}{1 + number % 28:02}"
            out.write(f" {number // 3:07} {day} {1 + number % 5} {number % 90}.77\n")
    server = rig.rapport()
    mapping = ROOT / "examples" / "cdnow.toml"
    command = (sys.executable, "-m", "benchmarks.peak", "import", str(file), "--mapping", str(mapping))
    path = os.pathsep.join((str(ROOT), str(ROOT / "protos")))
    done = subprocess.run(
        (*command, "--target", server.target, "--json"),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=3_600,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the import ended with {done.returncode}: {done.stderr[-500:]}")
    peak = int(done.stderr.split()[-1]) / _MIB
    server_peak = server.memory_peak_bytes / _MIB
    rig.release(server)
    return server_peak, peak


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
