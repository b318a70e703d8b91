"""`rapport suppression`: what is sent, what is printed, and lists that are imported whole or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ledger.domain.times import timestamp
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.events.v1 import consent_pb2 as ev
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL
from rapport.type.v1.as_of_pb2 import AsOf
from services.cli import exits
from services.cli.__main__ import main
from tests.unit import answering_server
from tests.unit.answering_server import AnsweringServer
from tests.unit.command_line import pairs, run

MARCH = 1_740_787_200_000_000

server = answering_server.server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "robinson.csv"


async def load(server: AnsweringServer, file: Path, more: str = "") -> int:
    return await run(server, f"suppression import acme --list robinson.de --list-version 2025-03 {more}", file)


def fill(file: Path, content: str | bytes) -> str:
    """Write a file; return its SHA-256."""
    data = content.encode() if isinstance(content, str) else content
    file.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


async def test_a_suppression_is_added(server: AnsweringServer) -> None:
    await run(server, "suppression add acme c-1 --reason hard_bounce --channel email --contact-point cp-1")

    assert (
        ev.SuppressionAdded(reason=ev.SUPPRESSION_REASON_HARD_BOUNCE, channel=CHANNEL_EMAIL, contact_point_id="cp-1")
        == server.last.suppression
    )


async def test_a_suppression_is_lifted_by_somebody_for_a_reason(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(server, "suppression lift acme c-1 7 --reason mended --actor clerk-1")

    assert (ev.SuppressionLifted(added_position=7, reason="mended"), "clerk-1") == (
        server.last.lift,
        server.last.context.actor,
    )


def test_nobody_lifts_no_suppression(capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.USAGE == main(
        ["suppression", "lift", "acme", "c-1", "7", "--reason", "mended", "--target", "127.0.0.1:1"]
    )
    assert "--actor" in capsys.readouterr().err


async def test_suppressions_are_shown_with_what_lifted_them(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["GetSuppressions"] = pb.GetSuppressionsResponse(
        as_of=AsOf(occur_time=timestamp(MARCH), position=9),
        suppressions=[
            pb.Suppression(
                suppression=ev.SuppressionAdded(
                    reason=ev.SUPPRESSION_REASON_EXTERNAL_LIST, list_name="robinson.de", list_version="2025-03"
                ),
                position=7,
                added_time=timestamp(MARCH),
            ),
            pb.Suppression(
                suppression=ev.SuppressionAdded(
                    reason=ev.SUPPRESSION_REASON_HARD_BOUNCE, channel=CHANNEL_EMAIL, contact_point_id="cp-1"
                ),
                position=8,
                lifted_position=9,
                lifted_time=timestamp(MARCH),
            ),
        ],
    )

    await run(server, "suppression show acme c-1")

    *_, first, second = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert ["7", "EXTERNAL_LIST", "any", "any", "robinson.de 2025-03", "2025-03-01T00:00:00Z", "stands", ""] == first
    assert ["8", "HARD_BOUNCE", "EMAIL", "cp-1", "", "", "2025-03-01T00:00:00Z", "9"] == second


async def test_a_list_is_sent_in_chunks_with_its_hash_and_summed_up(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    digest = fill(file, "customer_id,contact_point_id\n" + "".join(f"c-{index},cp-{index}\n" for index in range(2_500)))
    server.answers["ImportSuppressions"] = pb.ImportSuppressionsResponse(added_count=3, known_count=2, position=7)

    assert exits.OK == await load(server, file, "--channel email --list-time 2025-03-01T00:00:00Z --actor clerk-1")

    assert [1_000, 1_000, 500] == [len(asked.entries) for asked in server.asked]
    sent = [entry for asked in server.asked for entry in asked.entries]
    assert [f"c-{index}" for index in range(2_500)] == [entry.customer_id for entry in sent]
    assert pb.SuppressionEntry(customer_id="c-7", contact_point_id="cp-7", channel=CHANNEL_EMAIL) == sent[7]
    for asked in server.asked:
        assert ("robinson.de", "2025-03", bytes.fromhex(digest), timestamp(MARCH), "clerk-1") == (
            asked.list_name,
            asked.list_version,
            asked.list_sha256,
            asked.list_time,
            asked.context.actor,
        )
    assert 3 == len({asked.request_id for asked in server.asked})
    summary = pairs(capsys.readouterr().out)
    assert ("9", "6", "15", "7", digest) == (
        summary["added"],
        summary["known already"],
        summary["entries"],
        summary["at position"],
        summary["sha-256"],
    )


async def test_a_list_may_have_no_heading_spaces_empty_lines_or_a_mark_of_its_encoding(
    server: AnsweringServer, file: Path
) -> None:
    fill(file, b"\xef\xbb\xbfc-1\r\n\r\n c-2 , cp-2 \r\nc-3,\r\n")

    await load(server, file)

    entries = [(entry.customer_id, entry.contact_point_id) for entry in server.last.entries]
    assert [("c-1", ""), ("c-2", "cp-2"), ("c-3", "")] == entries


@pytest.mark.parametrize(
    "content, fault",
    [
        (b"c-1\nc-2,cp-2,more\n", "robinson.csv:2: has 3 columns"),
        (b"c-1\n\nada@example.org\n", "robinson.csv:3: is no customer id"),
        (b"c-1," + b"x" * 129 + b"\n", "robinson.csv:1: has a contact point of more than 128"),
        (b",cp-1\n", "robinson.csv:1: is no customer id"),
        (b"", "holds no entries"),
        (b"customer_id\n", "holds no entries"),
        (b"\xff\xfe", "cannot be read"),
        (b'c-1,"cp', "cannot be read"),
    ],
)
async def test_nothing_of_a_list_is_sent_unless_all_of_it_can_be_used(
    server: AnsweringServer, file: Path, content: bytes, fault: str
) -> None:
    fill(file, content)

    with pytest.raises(exits.UsageFault, match=fault):
        await load(server, file)

    assert [] == server.asked


async def test_only_the_first_faults_of_a_list_are_named(server: AnsweringServer, file: Path) -> None:
    fill(file, "?\n" * 25)

    with pytest.raises(exits.UsageFault) as raised:
        await load(server, file)

    lines = str(raised.value).splitlines()
    assert all(line.startswith(f"robinson.csv:{number}: ") for number, line in enumerate(lines[:10], start=1))
    assert ["and 15 lines more", "nothing was imported; mend the file"] == lines[10:]


async def test_a_list_that_is_not_there_is_told(server: AnsweringServer, file: Path) -> None:
    with pytest.raises(exits.UsageFault, match="cannot be read"):
        await load(server, file)


async def test_an_import_answers_in_json_chunk_by_chunk(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    fill(file, "".join(f"c-{index}\n" for index in range(1_001)))
    server.answers["ImportSuppressions"] = pb.ImportSuppressionsResponse(added_count=3)

    await load(server, file, "--json")

    assert [{"addedCount": 3}] * 2 == [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "command",
    [
        "suppression add acme c-1",
        "suppression add acme c-1 --reason mood",
        "suppression lift acme c-1 7",
        "suppression import acme list.csv --list robinson.de",
    ],
)
def test_what_is_not_understood_ends_with_2(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command.split())

    assert exits.USAGE == ended.value.code
    assert capsys.readouterr().err
