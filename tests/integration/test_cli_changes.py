"""`rapport watch` and `rapport changes`: what people and programs read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rapport.events.v1.consent_pb2 import ConsentGiven
from rapport.events.v1.interaction_pb2 import (
    DIRECTION_MUTUAL,
    INITIATOR_CUSTOMER,
    INTERACTION_KIND_MEETING,
    InteractionRecorded,
)
from services.cli import exits
from services.cli.__main__ import parser
from services.client import Client, RapportError
from tests.server import Serving, serving


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path / "data") as running, Client(running.target) as client:
        await client.give_consent("acme", "anna", ConsentGiven(purposes=["marketing.direct"]))
        position = (await client.withdraw_consent("acme", "anna")).position
        await client.list_changes("acme", min_position=position)
        yield running


async def run(server: Serving, command: str) -> int:
    arguments = parser().parse_args([*command.split(), "--target", server.target])
    code: int = await arguments.run(arguments)
    return code


def cells(line: str) -> list[str]:
    """Return a row without its times."""
    number, _, _, *rest = line.split("\t")
    return [number, *rest]


async def test_a_list_is_a_table_or_json(server: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(server, "changes list acme") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split("\t") == [
        "NUMBER", "EFFECTIVE", "FOUND", "SUBJECT", "CHANGE", "FROM", "TO", "MEASURE", "VALUE", "BECAUSE", "CORRECTS",
    ]  # fmt: skip
    assert [cells(line) for line in lines] == [
        ["1", "anna", "opted_in", "UNKNOWN", "GIVEN", "consent:marketing.direct", "", "2", ""],
        ["2", "anna", "opted_out", "GIVEN", "WITHDRAWN", "consent:marketing.direct", "", "3", ""],
    ]
    assert await run(server, "changes list acme --kind OPTED_OUT --limit 1 --json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["kind"] == "CHANGE_KIND_OPTED_OUT"


async def test_a_table_says_by_how_much_when_it_was_found_and_what_it_takes_back(
    server: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    met = InteractionRecorded(kind=INTERACTION_KIND_MEETING, direction=DIRECTION_MUTUAL, initiator=INITIATOR_CUSTOMER)
    async with Client(server.target) as client:
        position = 0
        for days in (200, 90):  # Lapsed; then known to be at risk only, which takes that back.
            day = datetime.now(UTC) - timedelta(days=days)
            position = (await client.record_interaction("acme", "ben", met, occur_time=day)).position
    await run(server, f"changes list acme --subject ben --min-position {position} --json")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    await run(server, f"changes list acme --subject ben --min-position {position}")

    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[-1] for row in rows] == [each.get("correctsId", "") for each in found]
    assert found[0]["changeId"] in [row[-1] for row in rows]
    assert [row[2] for row in rows] == [each["detectedTime"] for each in found]


async def test_a_kind_that_is_none_is_told_with_those_that_are(
    server: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(exits.UsageFault, match="lapsed"):
        await run(server, "changes list acme --kind opted")
    assert capsys.readouterr().out == "", "no head of a table that does not come"


async def test_a_watch_prints_at_once(server: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    watching = asyncio.create_task(run(server, "watch acme --after 1 --subject anna"))
    async with asyncio.timeout(20):
        while "opted_out" not in (out := capsys.readouterr().out):  # noqa: ASYNC110  # Nobody tells of output.
            await asyncio.sleep(0.02)
    watching.cancel()
    assert "opted_in" not in out


async def test_who_interrupts_a_watch_is_told_how_to_go_on(server: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    watching = asyncio.create_task(run(server, "watch acme --after 0"))
    async with asyncio.timeout(20):
        while "opted_out" not in capsys.readouterr().out:  # noqa: ASYNC110  # Nobody tells of output.
            await asyncio.sleep(0.02)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    told = capsys.readouterr().err
    resume = told.partition("go on with ")[2].strip()

    assert "--after 2 --checkpoint 3-" in told
    assert await run(server, f"changes list acme {resume}") == 0
    with pytest.raises(RapportError, match="the log was put back"):
        await run(server, f"changes list acme {resume[:-4]}0000")


async def test_the_status_and_a_verification_are_told(server: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(server, "changes status") == 0
    told = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert told["changes"].strip() == "2"
    assert told["checkpoint"].strip().startswith("3-")
    assert told["found by"].strip() == "this server"
    assert await run(server, "changes verify") == 0
    assert capsys.readouterr().out == "2 changes made anew from 3 events: all are the same\n"
