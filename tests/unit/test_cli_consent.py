"""`rapport consent`: what is sent, what is printed, and that taking back asks for least."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.domain.receipt import receipt_of
from ledger.domain.times import timestamp
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.consent.v1 import receipt_pb2
from rapport.consent.v1.consent_cell_pb2 import CellStatus, ConsentCell
from rapport.events.v1 import consent_pb2 as ev
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS
from rapport.type.v1.as_of_pb2 import AsOf
from services.cli import exits
from services.cli.__main__ import main, parser
from tests.receipt_acts import ACTS, DPV_IRIS, MARCH
from tests.unit import answering_server
from tests.unit.answering_server import AnsweringServer
from tests.unit.command_line import run

RECEIPT = receipt_of(ACTS["given"], DPV_IRIS)

server = answering_server.server


def pairs(printed: str) -> dict[str, str]:
    """Return the names and values printed before the first table."""
    lines = printed.partition("\n\n")[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition("  ") for line in lines)}


async def test_taking_back_needs_two_ids_and_nothing_else(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["WithdrawConsent"] = pb.WithdrawConsentResponse(
        position=7, version=3, record_time=timestamp(MARCH), effect=pb.WITHDRAWAL_EFFECT_ENDED
    )

    assert exits.OK == await run(server, "consent withdraw acme c-1")

    asked: pb.WithdrawConsentRequest = server.last
    assert ("acme", "c-1", ev.ConsentWithdrawn()) == (asked.organization_id, asked.customer_id, asked.withdrawal)
    assert not asked.HasField("occur_time")
    told = pairs(capsys.readouterr().out)
    assert ("7", "3", "2025-03-01T00:00:00Z") == (told["position"], told["version"], told["recorded"])
    assert "at least one consent ended" == told["effect"]
    assert "rapport consent receipt acme c-1 7" == told["receipt"]


def test_taking_back_takes_no_option_that_giving_does_not_and_needs_none() -> None:
    def options(verb: str) -> dict[str, bool]:
        found: Any = parser(["consent"])
        for word in ("consent", verb):
            (found,) = (each.choices[word] for each in found._actions if isinstance(each.choices, dict))
        return {text: each.required for each in found._actions for text in each.option_strings}

    given, withdrawn = options("give"), options("withdraw")

    assert set() == set(withdrawn) - set(given)
    assert not any(withdrawn.values())
    assert given["--purpose"]


async def test_a_withdrawal_can_be_narrowed_and_said_late(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["WithdrawConsent"] = pb.WithdrawConsentResponse(replayed=True, effect=pb.WITHDRAWAL_EFFECT_NONE)
    request_id = "018f0000-0000-7000-8000-000000000001"

    await run(
        server,
        "consent withdraw acme c-1 --purpose a.b c.d --channel sms --contact-point cp-1 --brand north --method keyword"
        f" --at 2025-03-01T02:00:00+02:00 --actor clerk-1 --request-id {request_id}",
    )

    asked: pb.WithdrawConsentRequest = server.last
    assert asked.withdrawal == ev.ConsentWithdrawn(
        purposes=["a.b", "c.d"],
        channels=[CHANNEL_SMS],
        contact_point_ids=["cp-1"],
        brands=["north"],
        method=ev.INDICATION_METHOD_KEYWORD,
    )
    assert timestamp(MARCH) == asked.occur_time
    assert ("clerk-1", request_id) == (asked.context.actor, asked.request_id)
    told = pairs(capsys.readouterr().out)
    assert "none was in force; it is recorded all the same" == told["effect"]
    assert told["replayed"].startswith("yes")


async def test_a_consent_is_given_with_everything_that_can_be_said(server: AnsweringServer) -> None:
    await run(
        server,
        "consent give acme c-1 --purpose marketing.direct --channel email sms --basis consent --type expressed"
        " --jurisdiction AT --recipient partner.post --data contact --from 2025-03-01T00:00:00Z --days 30"
        " --withdrawal-method link.footer --source form.signup --method form --indicated-by guardian"
        " --indicated-by-id g-1 --notice privacy --notice-version v3 --notice-language de --notice-position 11"
        " --notice-lists marketing.direct --evidence paper --token-sha256 " + "0a" * 32 + " --notice-sha256",
        "0b" * 32,
    )

    consent: ev.ConsentGiven = server.last.consent
    assert ["marketing.direct"] == consent.purposes
    assert [CHANNEL_EMAIL, CHANNEL_SMS] == consent.channels
    assert (ev.LEGAL_BASIS_CONSENT, ev.CONSENT_TYPE_EXPRESSED, "AT") == (
        consent.legal_basis,
        consent.consent_type,
        consent.jurisdiction,
    )
    assert (["partner.post"], ["contact"], 30 * 86_400) == (
        list(consent.recipients),
        list(consent.data_categories),
        consent.validity.duration.seconds,
    )
    assert timestamp(MARCH) == consent.valid_from_time
    assert (ev.INDICATED_BY_GUARDIAN, "g-1", ev.INDICATION_METHOD_FORM) == (
        consent.indicated_by,
        consent.indicated_by_id,
        consent.method,
    )
    assert ("privacy", "v3", "de", 11, b"\x0b" * 32, ["marketing.direct"]) == (
        consent.notice.notice_id,
        consent.notice.version,
        consent.notice.language,
        consent.notice.served_position,
        consent.notice.sha256,
        list(consent.notice.purposes),
    )
    assert ("paper", b"\x0a" * 32) == (consent.evidence.note, consent.confirmation_sha256)


@pytest.mark.parametrize(
    "option, end",
    [
        ("", None),
        ("--until 2025-03-01T00:00:00Z", "until_time"),
        ("--until-event account.closed", "event"),
        ("--uses 3", "uses"),
        ("--endless", "endless"),
    ],
)
async def test_a_consent_ends_as_it_was_said(server: AnsweringServer, option: str, end: str | None) -> None:
    await run(server, f"consent give acme c-1 --purpose p {option}")

    assert end == server.last.consent.validity.WhichOneof("end")


async def test_a_refusal_and_an_objection_are_sent_as_they_were_said(server: AnsweringServer) -> None:
    await run(server, "consent refuse acme c-1 --purpose p --notice n --method reject")
    refused = server.last.refusal
    await run(server, "consent object acme c-1 --purpose p --grounds my.situation")
    objected = server.last.objection

    assert (
        ev.ConsentRefused(purposes=["p"], method=ev.INDICATION_METHOD_REJECT, notice=ev.NoticeReference(notice_id="n"))
        == refused
    )
    assert ev.ObjectionRaised(scope=ev.ConsentScope(purposes=["p"]), grounds="my.situation") == objected


async def test_a_history_tells_what_became_of_each_act(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["GetConsentHistory"] = acts.GetConsentHistoryResponse(
        as_of=AsOf(occur_time=timestamp(MARCH), position=9),
        entries=[
            acts.ConsentHistoryEntry(
                position=2,
                topic="consent.given.v1",
                occur_time=timestamp(MARCH),
                record_time=timestamp(MARCH),
                scope=ev.ConsentScope(purposes=["p"], channels=[CHANNEL_EMAIL], contact_point_ids=["cp-1"]),
                ended_by_position=5,
                legal_basis=ev.LEGAL_BASIS_CONSENT,
                notice=ev.NoticeReference(notice_id="privacy", version="v3"),
            ),
            acts.ConsentHistoryEntry(
                position=5,
                topic="consent.withdrawn.v1",
                scope=ev.ConsentScope(),
                counts=True,
                honoured_by=["mailer"],
                honour_due_time=timestamp(MARCH),
                honour_overdue=True,
            ),
        ],
    )

    assert exits.OK == await run(server, "consent history acme c-1")

    *_, given, withdrawn = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert ["consent.given", "p by EMAIL to cp-1", "no", "5", "", "CONSENT", "", "notice privacy v3"] == given[3:]
    assert ["consent.withdrawn", "everything", "yes"] == withdrawn[3:6]
    assert "honoured by mailer; to be honoured by 2025-03-01T00:00:00Z, OVERDUE" == withdrawn[-1]


async def test_a_history_does_not_say_that_a_confirmation_or_a_lifting_does_not_stand(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    topics = ("consent.confirmed", "objection.lifted", "notice.served", "consent.refused")
    server.answers["GetConsentHistory"] = acts.GetConsentHistoryResponse(
        entries=[acts.ConsentHistoryEntry(topic=f"{topic}.v1") for topic in topics]
    )

    assert exits.OK == await run(server, "consent history acme c-1")

    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()[-4:]]
    assert [[*topics], ["", "", "", "no"]] == [[row[3] for row in rows], [row[5] for row in rows]]


async def test_a_receipt_is_printed_to_the_byte(
    server: AnsweringServer, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    server.answers["IssueReceipt"] = receipt_pb2.IssueReceiptResponse(
        receipt=RECEIPT, sha256=b"\x01" * 32, consent_position=17, version=7
    )

    assert exits.OK == await run(server, "consent receipt acme c-1 17")
    assert RECEIPT == capfdbinary.readouterr().out
    assert 17 == server.last.consent_position

    file = tmp_path / "receipt.json"
    assert exits.OK == await run(server, "consent receipt acme c-1 17 --out", file)
    assert RECEIPT == file.read_bytes()
    assert ("01" * 32).encode() in capfdbinary.readouterr().out


@pytest.mark.parametrize(
    "verdict, code, word",
    [
        (receipt_pb2.RECEIPT_VERDICT_VALID, 0, "VALID"),
        (receipt_pb2.RECEIPT_VERDICT_ALTERED, 7, "ALTERED"),
        (receipt_pb2.RECEIPT_VERDICT_UNKNOWN, 7, "UNKNOWN"),
    ],
)
async def test_a_receipt_is_checked_and_the_exit_code_says_whether_it_is_true(
    server: AnsweringServer,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    verdict: receipt_pb2.ReceiptVerdict.ValueType,
    code: int,
    word: str,
) -> None:
    (tmp_path / "receipt.json").write_bytes(RECEIPT)
    statuses = [CellStatus(cell=ConsentCell(purpose="p"), status=ev.CONSENT_STATUS_WITHDRAWN)]
    server.answers["VerifyReceipt"] = receipt_pb2.VerifyReceiptResponse(verdict=verdict, statuses=statuses)

    assert code == await run(server, "consent verify-receipt", tmp_path / "receipt.json")

    assert RECEIPT == server.last.receipt
    printed = capsys.readouterr().out
    assert pairs(printed)["verdict"].startswith(f"{word}:")
    assert "p\tany\tany\tany\tWITHDRAWN" in printed


async def test_a_receipt_can_come_from_a_pipe(server: AnsweringServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(RECEIPT)))

    await run(server, "consent verify-receipt -")

    assert RECEIPT == server.last.receipt


@pytest.mark.parametrize("content", [None, b"", b"x" * 131_073])
def test_a_file_that_cannot_be_a_receipt_is_told_before_a_server_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "receipt.json"
    if content is not None:
        file.write_bytes(content)

    assert exits.USAGE == main(["consent", "verify-receipt", str(file), "--target", "127.0.0.1:1"])
    assert "receipt.json" in capsys.readouterr().err


async def test_json_is_the_answer_as_it_came(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["WithdrawConsent"] = pb.WithdrawConsentResponse(position=7, version=3)
    server.answers["IssueReceipt"] = receipt_pb2.IssueReceiptResponse(consent_position=7)
    for command in ("consent withdraw acme c-1 --json", "consent receipt acme c-1 7 --json"):
        await run(server, command)

    withdrawn, receipt = (json.loads(line) for line in capsys.readouterr().out.splitlines())

    assert {"position": "7", "version": "3"} == withdrawn
    assert {"consentPosition": "7"} == receipt


@pytest.mark.parametrize(
    "command",
    [
        "consent give acme c-1",
        "consent give acme c-1 --purpose p --days 3 --endless",
        "consent give acme c-1 --purpose p --until 2025-03-01",
        "consent give acme c-1 --purpose p --notice-sha256 0b",
        "consent withdraw acme c-1 --channel pigeon",
        "consent withdraw acme c-1 --request-id 7",
        "consent withdraw acme",
        "consent receipt acme c-1 seven",
    ],
)
def test_what_is_not_understood_ends_with_2(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command.split())

    assert exits.USAGE == ended.value.code
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    "option", ["--notice-version 3", f"--notice-sha256 {'00' * 32}", "--notice-position 7", "--notice-lists marketing"]
)
@pytest.mark.parametrize("act", ["give acme c-1 --purpose a", "refuse acme c-1"])
async def test_what_proves_a_notice_is_not_dropped_where_the_notice_is_not_named(
    server: AnsweringServer, act: str, option: str
) -> None:
    with pytest.raises(exits.UsageFault, match="--notice"):
        await run(server, f"consent {act} {option}")

    assert not server.asked
