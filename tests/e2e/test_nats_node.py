"""The consumer in examples/nats, run by Node with the standard client of NATS."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.change import table
from ledger.change.reading import Changes
from ledger.change.table import Progress, StoredChange
from ledger.domain.times import timestamp
from ledger.projections.sqlite_database import SqliteDatabase
from rapport.change.v1.change_pb2 import ChangeKind, RelationshipChange
from services.relay.change_source import STREAM, ChangeSource
from tests.nats_server import nats_server
from tests.relay_rig import KEPT, connected, follows, relaying, until

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "nats"
INSTALLED = ROOT / "build" / "nats-node"
INSTALL = ("install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
COUNT = 5
FOR_EVER = replace(KEPT, age_s=100 * 366 * 86_400.0)

pytestmark = [
    pytest.mark.nats,
    pytest.mark.skipif(shutil.which("npm") is None or shutil.which("node") is None, reason="Node is not installed"),
]


@pytest.fixture(scope="module")
def program() -> Path:
    """Return the example with its packages beside it; they stay for the next run."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    wanted = (EXAMPLE / "package.json").read_text()
    there = INSTALLED / "package.json"
    if not there.exists() or there.read_text() != wanted or not (INSTALLED / "node_modules" / "nats").exists():
        there.write_text(wanted)
        subprocess.run(["npm", *INSTALL], cwd=INSTALLED, check=True, timeout=100)
    return Path(shutil.copy(EXAMPLE / "consume.mjs", INSTALLED))


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """Yield the address of a NATS server with a few changes."""
    database = SqliteDatabase(tmp_path / "projections.db")
    changes = Changes(database)
    with database.writing() as session:
        began = table.begin_anew(session, "log-1")
    progress = Progress("log-1", COUNT, 9, COUNT, began.events + 1)
    table.store(database, began, progress, [change(number) for number in range(1, COUNT + 1)], [], [])
    with nats_server(tmp_path / "nats") as server:
        async with relaying(ChangeSource(changes, "log-1"), server.url, kept=FOR_EVER) as relay:
            await until(follows(relay, COUNT))
        yield server.url
    await changes.close()
    database.close()


def change(number: int) -> StoredChange:
    content = RelationshipChange(
        change_id=f"{number:032x}",
        number=number,
        organization_id="acme",
        subject_id=f"c-{number % 2}",
        kind=ChangeKind.CHANGE_KIND_AT_RISK,
        subject_number=(number + 1) // 2,
        effective_time=timestamp(1_775_901_600_000_000 + number),
        detected_time=timestamp(1_775_901_600_000_000 + number),
    )
    return StoredChange(
        number, "acme", content.subject_id, content.kind, content.change_id, content.SerializeToString()
    )


def consume(program: Path, url: str, state: Path) -> subprocess.CompletedProcess[str]:
    command = ["node", str(program), url, "acme", str(state), "1000"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.timeout(150)
async def test_changes_are_consumed_once_also_by_a_consumer_that_forgot_to_say_so(
    program: Path, url: str, tmp_path: Path
) -> None:
    wanted = [
        f"c-{number % 2} rapport.relationship.at_risk.v1 at 2026-04-11T10:00:00.00000{number}Z"
        for number in range(1, COUNT + 1)
    ]
    state = tmp_path / "state.json"

    first = consume(program, url, state)
    async with connected(url) as client:
        await client.jetstream().delete_consumer(STREAM, "node-acme")  # The next one is sent everything again.
    again = consume(program, url, state)

    assert (0, "") == (first.returncode, first.stderr)
    assert [f"{number}: {text}" for number, text in enumerate(wanted, 1)] == first.stdout.splitlines()
    assert (0, "") == (again.returncode, again.stdout)
    assert {"last": COUNT, "effects": wanted} == json.loads(state.read_text())


@pytest.mark.timeout(150)
async def test_a_hole_is_told_and_not_passed_over(program: Path, url: str, tmp_path: Path) -> None:
    async with connected(url) as client:
        await client.jetstream().delete_msg(STREAM, 3)

    done = consume(program, url, tmp_path / "state.json")

    assert 3 == done.returncode
    assert "hole: list the changes after 2, up to 4" == done.stdout.splitlines()[-1]


def test_the_package_names_no_registry() -> None:
    assert "http" not in (EXAMPLE / "package.json").read_text()
