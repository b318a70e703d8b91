"""Power is lost: of every file only what was synced is left. Nothing acknowledged is missing (I2).

The system calls of a writing process are recorded with their bytes. At each acknowledgement the image of the files that
holds only synced bytes is rebuilt, opened, and asked for everything acknowledged so far. It models the loss of all
unsynced writes; torn and reordered ones need a file system that injects faults.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from tests.fault.stored import embedded_log
from tests.server import ROOT

REQUESTS = 30
SYNCS = ("fdatasync", "fsync")
FILES = ("events.db", "events.db-wal")

pytestmark = [
    pytest.mark.strace,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed; CI has it"),
]

_CALL = re.compile(r"^\d+\s+(\w+)\((.*)\)\s+= (\d+)$")
_HEX = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass
class Disk:
    """The files of a folder as a disk holds them when power is lost: writes count once they are synced."""

    synced: dict[str, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    pending: dict[str, list[tuple[int, bytes | None]]] = field(default_factory=lambda: defaultdict(list))

    def write(self, name: str, offset: int, content: bytes) -> None:
        self.pending[name].append((offset, content))

    def truncate(self, name: str, size: int) -> None:
        self.pending[name].append((size, None))

    def sync(self, name: str) -> None:
        """Let everything written to a file so far survive."""
        image = self.synced[name]
        for offset, content in self.pending.pop(name, []):
            if content is None:
                del image[offset:]
                continue
            image.extend(bytes(max(0, offset - len(image))))
            image[offset : offset + len(content)] = content

    def save(self, folder: Path) -> None:
        """Write the synced image of our files into a new folder."""
        folder.mkdir()
        for name in FILES:
            if self.synced.get(name):
                (folder / name).write_bytes(self.synced[name])


def test_what_was_synced_holds_everything_acknowledged(tmp_path: Path, seed: int) -> None:
    calls = record(tmp_path / "run", seed)

    states, lost = replay(calls, tmp_path, SYNCS)

    print(f"{{I2, N={states} crash states, violations={lost}, seed={seed}}}")  # noqa: T201  # The test's report.
    assert states >= 5
    assert 0 == lost


def test_without_the_syncs_of_its_log_the_same_run_loses_acknowledged_events(tmp_path: Path, seed: int) -> None:
    calls = [
        call for call in record(tmp_path / "run", seed) if not (call[0] in SYNCS and _file(call[1]) == "events.db-wal")
    ]

    _, lost = replay(calls, tmp_path, SYNCS)

    assert lost > 0, "the control did not turn red: this test would not notice synchronous=NORMAL"


def replay(calls: list[tuple[str, str]], folder: Path, syncs: tuple[str, ...]) -> tuple[int, int]:
    """Return how many crash states were looked at, and how many of them lose an acknowledged event."""
    disk, acknowledged = Disk(), dict[int, UUID]()
    states = lost = 0
    for name, arguments in calls:
        path = _file(arguments)
        if name == "pwrite64":
            disk.write(path, int(arguments.rsplit(", ", 1)[1]), _bytes(arguments))
        elif name == "ftruncate":
            disk.truncate(path, int(arguments.rsplit(", ", 1)[1]))
        elif name in syncs:
            disk.sync(path)
        elif told := dict(_acknowledgements(_bytes(arguments).decode())):
            acknowledged.update(told)
            states += 1
            lost += not _holds(disk, folder / f"crash-{states}", acknowledged)
    return states, lost


def _holds(disk: Disk, folder: Path, acknowledged: dict[int, UUID]) -> bool:
    disk.save(folder)
    log = embedded_log(folder) if any(folder.iterdir()) else []
    held = {row.position: row for row in log}
    return all(position in held for position in acknowledged)


def _acknowledgements(text: str) -> Iterator[tuple[int, UUID]]:
    for line in text.splitlines():
        match line.split():
            case ["acknowledged", request_id, position, _]:
                yield int(position), UUID(request_id)
            case _:
                pass


def record(folder: Path, seed: int) -> list[tuple[str, str]]:
    """Run the writer under strace; return its writes and syncs, and what it said, in order: (call, arguments)."""
    folder.mkdir()
    trace = folder.parent / "calls"
    traced = "trace=pwrite64,fdatasync,fsync,ftruncate,write"
    command = ["strace", "-f", "-y", "-xx", "-s", "1000000", "-o", str(trace), "-e", traced, "-e", "signal=none"]
    writer = [sys.executable, "-m", "tests.fault.writing_process", str(folder), str(seed), str(REQUESTS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")])}
    subprocess.run([*command, *writer], cwd=ROOT, env=environment, capture_output=True, timeout=60, check=True)
    return list(_parse(trace.read_text().splitlines()))


def _parse(lines: list[str]) -> Iterator[tuple[str, str]]:
    started: dict[str, str] = {}
    for line in lines:
        thread = line.split(maxsplit=1)[0]
        if line.endswith("<unfinished ...>"):
            started[thread] = line.removesuffix("<unfinished ...>")
            continue
        if " resumed>" in line:
            line = started.pop(thread) + line.partition(" resumed>")[2]  # noqa: PLW2901  # Both halves are one call.
        call = _CALL.match(line)
        if call is not None and (call[1] != "write" or call[2].startswith("1<")):
            yield call[1], call[2]


def _file(arguments: str) -> str:
    """Return the name of the file that a call's first argument, `fd<path>`, is open on."""
    path = arguments.partition("<")[2].partition(">")[0]
    plain = bytes.fromhex(path.replace("\\x", "")).decode() if path.startswith("\\x") else path
    return plain.rpartition("/")[2]


def _bytes(arguments: str) -> bytes:
    found = _HEX.search(arguments)
    assert found is not None, arguments[:80]
    return bytes.fromhex(found[1].replace("\\x", ""))
