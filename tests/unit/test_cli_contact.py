"""`rapport contact` and `rapport audience`: what is asked, what is printed, and how a script learns the answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf.message import Message

from ledger.domain.times import timestamp
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.contact.v1 import decision_pb2
from rapport.contact.v1.decision_pb2 import Decision
from rapport.events.v1 import consent_pb2
from rapport.events.v1 import contact_pb2 as ev
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS, MESSAGE_CLASS_MARKETING
from rapport.type.v1.amount_pb2 import Amount
from rapport.type.v1.as_of_pb2 import AsOf
from services.cli import exits
from services.cli.__main__ import main
from services.cli.decision_reasons import WHAT_TO_DO
from tests.unit import answering_server
from tests.unit.answering_server import AnsweringServer
from tests.unit.command_line import pairs, run

MARCH = 1_740_787_200_000_000
QUESTION = "--purpose marketing.direct --channel email --class marketing"

server = answering_server.server


def rows(printed: str) -> list[list[str]]:
    """Return the rows of every table, without the headings."""
    found = [line.split("\t") for line in printed.splitlines() if "\t" in line]
    return [row for row in found if row[0] not in {"GATE", "CUSTOMER", "POSITION"}]


def decision(outcome: ev.DecisionOutcome.ValueType, *findings: ev.GateFinding, **more: object) -> Decision:
    found = {each.gate: each for each in findings}
    trace = [
        found.get(gate) or ev.GateFinding(gate=gate, result=ev.GATE_RESULT_PASS) for gate in ev.Gate.values() if gate
    ]
    question = ev.ContactQuestion(
        purpose="marketing.direct", channel=CHANNEL_EMAIL, message_class=MESSAGE_CLASS_MARKETING, topic="books"
    )
    return Decision(outcome=outcome, trace=trace, question=question, decide_time=timestamp(MARCH), **more)  # type: ignore[arg-type]  # As Decision takes them.


DENIED = decision(
    ev.DECISION_OUTCOME_DENY,
    ev.GateFinding(
        gate=ev.GATE_DENIAL,
        result=ev.GATE_RESULT_FAIL,
        reason=ev.DECISION_REASON_CONSENT_WITHDRAWN,
        evidence_positions=[5, 9],
    ),
    ev.GateFinding(
        gate=ev.GATE_HOURS,
        result=ev.GATE_RESULT_DEFER,
        reason=ev.DECISION_REASON_ZONE_UNKNOWN,
        until=timestamp(MARCH),
        policy_field="legal_windows[0]",
        time_zones=["America/Denver", "America/New_York"],
    ),
    decision_id=12,
    decisive_reason=ev.DECISION_REASON_CONSENT_WITHDRAWN,
)


async def test_a_question_is_asked_as_it_was_put(server: AnsweringServer) -> None:
    await run(
        server,
        f"contact decide acme c-1 {QUESTION} --contact-point cp-1 --brand north --topic books --sender partner.post"
        " --recipient printer mailer --basis soft_opt_in --actor campaign-7 --cost",
        "0.05 EUR/2",
        "--margin",
        "12.50 EUR/2",
    )

    asked: pb.DecideRequest = server.last
    assert ("acme", "c-1", "campaign-7") == (asked.organization_id, asked.customer_id, asked.context.actor)
    assert asked.question == ev.ContactQuestion(
        purpose="marketing.direct",
        channel=CHANNEL_EMAIL,
        contact_point_id="cp-1",
        brand="north",
        sender="partner.post",
        recipients=["printer", "mailer"],
        message_class=MESSAGE_CLASS_MARKETING,
        topic="books",
        legal_basis=consent_pb2.LEGAL_BASIS_SOFT_OPT_IN,
        expected_cost=Amount(units=5, asset="EUR/2"),
        expected_margin=Amount(units=1250, asset="EUR/2"),
    )


@pytest.mark.parametrize(
    "outcome, code",
    [
        (ev.DECISION_OUTCOME_PERMIT, 0),
        (ev.DECISION_OUTCOME_DENY, 5),
        (ev.DECISION_OUTCOME_DEFER, 6),
        (ev.DECISION_OUTCOME_UNSPECIFIED, 5),
    ],
)
@pytest.mark.parametrize("json_too", ["", "--json"])
async def test_the_exit_code_is_the_answer(
    server: AnsweringServer, outcome: ev.DecisionOutcome.ValueType, code: int, json_too: str
) -> None:
    server.answers["Decide"] = pb.DecideResponse(decision=Decision(outcome=outcome))
    server.answers["SimulateDecision"] = pb.SimulateDecisionResponse(decision=Decision(outcome=outcome))

    assert code == await run(server, f"contact decide acme c-1 {QUESTION} {json_too}")
    assert code == await run(server, f"contact simulate acme c-1 {QUESTION} {json_too}")


async def test_a_denial_tells_every_gate_and_what_to_do(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["Decide"] = pb.DecideResponse(decision=DENIED)

    await run(server, f"contact decide acme c-1 {QUESTION}")

    printed = capsys.readouterr().out
    told = pairs(printed)
    assert "DENY" == told["outcome"]
    assert told["reason"].startswith("CONSENT_WITHDRAWN: leave them alone")
    assert ("12", "MARKETING by EMAIL for marketing.direct about books") == (told["decision"], told["question"])
    gates = rows(printed)
    assert [f"{gate.number}" for gate in ev.Gate.DESCRIPTOR.values if gate.number] == [
        row[0].split()[0] for row in gates
    ]
    assert ["4 DENIAL", "FAIL", "CONSENT_WITHDRAWN", "5, 9", "", ""] == gates[3][:6]
    assert ["9 HOURS", "DEFER", "ZONE_UNKNOWN", "", "2025-03-01T00:00:00Z", "legal_windows[0]"] == gates[8][:6]
    assert gates[8][6].endswith("[America/Denver, America/New_York]")
    assert ["1 SUBJECT", "PASS", "", "", "", "", ""] == gates[0]


async def test_a_permit_tells_what_the_contact_must_do_and_until_when(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["Decide"] = pb.DecideResponse(
        decision=decision(
            ev.DECISION_OUTCOME_PERMIT,
            decision_id=12,
            permit_expires_time=timestamp(MARCH),
            next_change_time=timestamp(MARCH),
            legal_basis=consent_pb2.LEGAL_BASIS_CONSENT,
            basis_positions=[4],
            contact_policy_version=3,
            tzdata_version="2026a",
            model_version=1,
            read_set=[ev.StreamRead(stream_id="acme/c-1", version=7)],
            obligations=[
                ev.Obligation(kind=ev.OBLIGATION_KIND_INCLUDE_UNSUBSCRIBE),
                ev.Obligation(kind=ev.OBLIGATION_KIND_USE_LANGUAGE, language="de-AT"),
                ev.Obligation(kind=ev.OBLIGATION_KIND_PREFER_CHANNEL, channel=CHANNEL_SMS),
                ev.Obligation(kind=ev.OBLIGATION_KIND_USE_BEFORE, before=timestamp(MARCH)),
            ],
        )
    )

    await run(server, f"contact decide acme c-1 {QUESTION}")

    told = pairs(capsys.readouterr().out)
    assert (
        "include unsubscribe; use language de-AT; prefer channel SMS; use before 2025-03-01T00:00:00Z" == told["must"]
    )
    assert ("2025-03-01T00:00:00Z",) * 2 == (told["permit expires"], told["next change"])
    assert "CONSENT, by what is recorded at 4" == told["basis"]
    assert "contact policy 3, purposes built in, time zones 2026a, model 1" == told["rules"]
    assert "acme/c-1 7" == told["read"]


async def test_a_search_that_ended_at_a_gate_tells_the_gates_own_reason(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = ev.GateFinding(
        gate=ev.GATE_BASIS,
        result=ev.GATE_RESULT_FAIL,
        reason=ev.DECISION_REASON_BASIS_ENDS_BEFORE_WINDOW,
        own_reason=ev.DECISION_REASON_CONSENT_EXPIRED,
    )
    server.answers["Decide"] = pb.DecideResponse(decision=decision(ev.DECISION_OUTCOME_DENY, finding))

    await run(server, f"contact decide acme c-1 {QUESTION}")

    basis = rows(capsys.readouterr().out)[4]
    assert "BASIS_ENDS_BEFORE_WINDOW (CONSENT_EXPIRED)" == basis[2]
    assert WHAT_TO_DO[ev.DECISION_REASON_CONSENT_EXPIRED] == basis[6]


async def test_a_simulation_has_a_view_and_another_policy_and_is_no_permit(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    as_of = AsOf(occur_time=timestamp(MARCH), position=9)
    server.answers["SimulateDecision"] = pb.SimulateDecisionResponse(
        decision=decision(ev.DECISION_OUTCOME_PERMIT, simulated=True, as_of=as_of)
    )
    file = tmp_path / "policy.toml"
    file.write_text("permit_seconds = 60\n")

    await run(server, f"contact simulate acme c-1 {QUESTION} --as-of 2025-03-01T00:00:00Z --known-at 9 --policy", file)
    by_file: pb.SimulateDecisionRequest = server.last
    await run(server, f"contact simulate acme c-1 {QUESTION} --policy-version 3")
    by_version: pb.SimulateDecisionRequest = server.last

    assert as_of == by_file.as_of
    assert (60, 0) == (by_file.contact_policy.permit_seconds, by_file.contact_policy_version)
    assert (3, False) == (by_version.contact_policy_version, by_version.HasField("contact_policy"))
    told = pairs(capsys.readouterr().out)
    assert "none, it is simulated and no permit" == told["decision"]
    assert "as of 2025-03-01T00:00:00Z, known at position 9" == told["view"]


def test_a_policy_file_with_faults_is_told_before_a_server_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('permit_seconds = "soon"\nno_such_key = 1\n')

    code = main([*f"contact simulate acme c-1 {QUESTION} --target 127.0.0.1:1 --policy".split(), str(file)])

    assert exits.USAGE == code
    told = capsys.readouterr().err
    assert "policy.toml:1: permit_seconds" in told
    assert "no_such_key" in told


async def test_an_explanation_tells_the_permit_the_replay_and_what_came_since(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["ExplainDecision"] = pb.ExplainDecisionResponse(
        recorded=decision(ev.DECISION_OUTCOME_PERMIT, decision_id=12),
        record_time=timestamp(MARCH),
        permit_status=decision_pb2.PERMIT_STATUS_VOID,
        permit_position=15,
        identical=True,
        later=DENIED,
        changed_by_positions=[15],
        actor="campaign-7",
    )

    assert exits.OK == await run(server, "contact explain acme c-1 12 --known-at 20")

    assert (12, 20) == (server.last.decision_id, server.last.as_of.position)
    told = pairs(capsys.readouterr().out)
    assert ("VOID", "15", "gives the same bytes", "15", "campaign-7") == (
        told["permit"],
        told["by what is at"],
        told["a replay"],
        told["changed by"],
        told["asked by"],
    )
    assert "DENY CONSENT_WITHDRAWN" == told["with later knowledge"]


async def test_a_replay_that_differs_says_in_what(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["ExplainDecision"] = pb.ExplainDecisionResponse(
        differs_in=["tzdata_version"], later=decision(ev.DECISION_OUTCOME_PERMIT)
    )

    await run(server, "contact explain acme c-1 12")

    told = pairs(capsys.readouterr().out)
    assert ("DIFFERS in tzdata_version", "PERMIT: the answer stands") == (
        told["a replay"],
        told["with later knowledge"],
    )


async def test_a_permit_is_given_back(server: AnsweringServer) -> None:
    await run(server, "contact abort acme c-1 12 --reason sold.out")

    assert (12, "sold.out") == (server.last.abort.decision_id, server.last.abort.reason)


async def test_a_report_counts_and_names_what_was_dishonoured(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["GetContactReport"] = pb.GetContactReportResponse(
        contacts=4,
        needing_decision=3,
        decided=2,
        honoured=3,
        honoured_ppm=750_000,
        contacts_avoided=6,
        decisions=[pb.OutcomeCount(outcome=ev.DECISION_OUTCOME_DENY, count=5)],
        dishonoured=[
            pb.DishonouredContact(
                position=8,
                permit_status=decision_pb2.PERMIT_STATUS_EXPIRED,
                reasons=[ev.DECISION_REASON_QUIET_HOURS, ev.DECISION_REASON_PAUSED],
            )
        ],
    )

    await run(server, "contact report acme c-1 --from 2025-03-01 --to 2025-03-31")

    window = server.last.window
    assert (1_740_787_199, 1_743_465_599) == (getattr(window, "from").seconds, window.to.seconds)
    printed = capsys.readouterr().out
    told = pairs(printed)
    assert ("4", "3 (0.750 (750,000 ppm))", "DENY 5", "6") == (
        told["contacts"],
        told["honoured"],
        told["decisions"],
        told["contacts avoided"],
    )
    assert [["8", "", "EXPIRED", "QUIET_HOURS, PAUSED"]] == rows(printed)


async def test_a_policy_is_simulated_with_progress_and_a_sum(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    permitted = decision(ev.DECISION_OUTCOME_PERMIT, decision_id=12)
    moves = [
        pb.OutcomeMove(recorded=ev.DECISION_OUTCOME_PERMIT, simulated=ev.DECISION_OUTCOME_DENY, count=1),
    ]
    server.answers["SimulatePolicy"] = [
        pb.SimulatePolicyResponse(progress=pb.SimulationProgress(position=5, head_position=10)),
        pb.SimulatePolicyResponse(changed=pb.ChangedDecision(customer_id="c-1", recorded=permitted, simulated=DENIED)),
        pb.SimulatePolicyResponse(
            progress=pb.SimulationProgress(decisions_count=9, changed_count=1, done=True, moves=moves)
        ),
    ]

    assert exits.OK == await run(server, "contact simulate-policy acme --policy-version 2 --all")

    assert (2, True) == (server.last.contact_policy_version, server.last.all)
    printed = capsys.readouterr().out
    assert [["c-1", "12", "PERMIT", "DENY CONSENT_WITHDRAWN"]] == rows(printed)
    told = pairs(printed)
    assert ("9", "1", "1") == (told["decisions"], told["changed"], told["PERMIT to DENY"])


AUDIENCE: list[Message] = [
    *(pb.FindAudienceResponse(member=pb.AudienceMember(customer_id=name, decision=DENIED)) for name in ("c-1", "c-2")),
    pb.FindAudienceResponse(
        progress=pb.AudienceProgress(looked_at_count=9, permit_count=4, defer_count=3, deny_count=2, done=True)
    ),
]


async def test_an_audience_is_listed_and_counted(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["FindAudience"] = AUDIENCE

    assert exits.OK == await run(server, f"audience find acme {QUESTION} --topic books --outcome deny --after c-0")

    asked: pb.FindAudienceRequest = server.last
    assert ("books", [ev.DECISION_OUTCOME_DENY], "c-0") == (
        asked.question.topic,
        list(asked.outcomes),
        asked.after_customer_id,
    )
    printed = capsys.readouterr().out
    assert ["c-1", "c-2"] == [row[0] for row in rows(printed)]
    told = pairs(printed)
    assert ("9", "4", "3", "2") == (told["asked for it"], told["now"], told["later"], told["not"])


async def test_an_audience_ends_where_enough_were_found(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["FindAudience"] = AUDIENCE

    await run(server, f"audience find acme {QUESTION} --topic books --limit 1")

    printed = capsys.readouterr().out
    assert ["c-1"] == [row[0] for row in rows(printed)]
    assert "asked for it" not in pairs(printed)


async def test_an_audience_comes_as_json_frame_by_frame(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["FindAudience"] = AUDIENCE

    await run(server, f"audience find acme {QUESTION} --topic books --json")

    frames = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ["member", "member", "progress"] == [next(iter(frame)) for frame in frames]


def test_every_reason_has_something_to_do() -> None:
    assert {number for number in ev.DecisionReason.values() if number} == set(WHAT_TO_DO)
    assert all(0 < len(text) <= 70 for text in WHAT_TO_DO.values())


@pytest.mark.parametrize(
    "command",
    [
        "contact decide acme c-1 --purpose p --channel email",
        f"contact decide acme c-1 {QUESTION} --cost 5",
        f"contact decide acme c-1 {QUESTION} --at 2025-03-01T00:00:00Z",
        f"contact simulate acme c-1 {QUESTION} --policy-version 1 --policy a.toml",
        "contact simulate-policy acme",
        f"audience find acme {QUESTION}",
        "contact explain acme c-1",
    ],
)
def test_what_is_not_understood_ends_with_2(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command.split())

    assert exits.USAGE == ended.value.code
    assert capsys.readouterr().err
