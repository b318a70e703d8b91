"""P11: bytes on disk for a small interaction, all indexes and its request row included, after a checkpoint."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from benchmarks.options import Options, parse
from benchmarks.report import Case, Row, Target
from benchmarks.rig import Rig


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    count = options.pick(50_000, 10_000, 500)
    cases = [_case(rig, "in batches of 500", "batch", {"count": count // 500, "in_flight": 2}, count)]
    if options.scale != "tiny":
        cases.insert(0, _case(rig, "recorded one by one", "record", {"count": count, "in_flight": 64}, count))
    return Row(
        name="P11",
        title="bytes on disk per small interaction",
        cases=cases,
        seed=options.seed,
        settings={"events": count, "indexes": "all", "other databases": "not counted: keys, lists"},
    )


def _case(rig: Rig, name: str, work: str, order: dict[str, Any], count: int) -> Case:
    server = rig.rapport(alone=True)
    path = server.data_dir / "events.db"
    empty = path.stat().st_size
    rig.generator().run(server, work, options={"size": 500}, **order)
    server.stop()  # The last connection empties the write-ahead log.
    events, pages = _look(path)
    assert events == count + 1, f"{events} events instead of {count + 1}"
    return Case(
        name=name,
        unit="bytes",
        ours=[(path.stat().st_size - empty) / count],
        target=Target(400, 300, at_most=True),
        more={"file_bytes": path.stat().st_size, "pages": pages},
    )


def _look(path: Path) -> tuple[int, int]:
    connection = sqlite3.connect(path)
    try:
        ((events,),) = connection.execute("SELECT count(*) FROM stored_events")
        ((pages,),) = connection.execute("PRAGMA page_count")
        return int(events), int(pages)
    finally:
        connection.close()


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
