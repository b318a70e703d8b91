"""`rapport programme report`: what is asked, and what is printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.domain.times import timestamp
from rapport.relationship.v1 import measures_pb2 as why
from rapport.relationship.v1.measures_pb2 import Measure
from rapport.report.v1 import report_service_pb2 as pb
from rapport.type.v1.amount_pb2 import Amount
from rapport.type.v1.as_of_pb2 import AsOf
from services.cli.exits import UsageFault
from services.cli.programme_tables import percent, rate, share
from tests.unit import answering_server
from tests.unit.answering_server import AnsweringServer
from tests.unit.command_line import run_line

MARCH = 1_740_787_200_000_000
SEEN: dict[str, Any] = {"position": 7, "as_of": AsOf(occur_time=timestamp(MARCH), position=7)}

server = answering_server.server


async def run(server: AnsweringServer, command: str) -> int:
    return await run_line(server.target, "programme", "report", *command.split())


def rows(printed: str) -> list[list[str]]:
    return [line.split("\t") for line in printed.splitlines() if "\t" in line]


@pytest.mark.parametrize(
    "ppm, text",
    [(0, "0.00 %"), (48_071, "4.81 %"), (90_000, "9.00 %"), (50, "0.00 %"), (150, "0.02 %"), (-1_234_567, "-123.46 %")],
)
def test_millionths_are_told_in_percent(ppm: int, text: str) -> None:
    assert text == percent(ppm)


def test_what_is_not_known_says_why() -> None:
    assert "too few" == share(Measure(unknown=why.UNKNOWN_REASON_TOO_FEW))
    assert "too early" == rate(Measure(unknown=why.UNKNOWN_REASON_NOTHING_MATURED))
    assert "NOT_VALUED" == share(Measure(unknown=why.UNKNOWN_REASON_NOT_VALUED))
    assert ["1.25", "0.17", "0.12"] == [rate(Measure(ppm=ppm)) for ppm in (1_250_000, 166_667, 125_000)]


async def test_a_cohort_is_told_with_its_interval(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    cohort = pb.CohortReturn(
        programme="club", month="2026-05", member_count=100, returned_count=9, censored_count=3,
        rate=Measure(ppm=90_000), low_ppm=48_071, high_ppm=162_264, alarm=True,
    )  # fmt: skip
    few = pb.CohortReturn(programme="salon", censored_count=1, rate=Measure(unknown=why.UNKNOWN_REASON_TOO_FEW))
    server.answers["GetReturnRate"] = pb.GetReturnRateResponse(cohorts=[cohort, few], **SEEN)

    code = await run(server, "acme --by month --programme club --days 7-35 --from 2026-05-01 --as-of 2026-06-30")

    _, first, second = rows(capsys.readouterr().out)
    assert 0 == code
    assert ["club", "2026-05", "100", "9", "9.00 %", "4.81 % to 16.23 %", "3", "ALARM"] == first
    assert ["salon", "all", "0", "0", "too few", "", "1", ""] == second
    asked = server.last
    assert (True, "club", 7, 35, False) == (
        asked.by_month, asked.programme, asked.from_days, asked.until_days, asked.from_first_act,
    )  # fmt: skip
    assert asked.joined.HasField("from")
    assert asked.as_of.HasField("occur_time")


async def test_a_campaign_is_told_with_both_costs(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    group = pb.SolicitationGroup(
        key="spring", delivered_count=100, matured_count=100, bought_count=2, replied_count=1, opted_out_count=1,
        no_response_count=96, response=Measure(ppm=30_000), waste=Measure(ppm=970_000), wasted_seconds=776,
        wasted_costs=[Amount(units=194, asset="EUR/2")], relevance=Measure(ppm=0), followed_count=3,
    )  # fmt: skip
    server.answers["GetSolicitationReport"] = pb.GetSolicitationReportResponse(groups=[group], **SEEN)

    await run(server, "acme solicitations --by opt-in --campaign spring")

    printed = rows(capsys.readouterr().out)[1]
    assert [
        "spring",
        "100",
        "100",
        "2",
        "1",
        "1",
        "96",
        "3.00 %",
        "97.00 %",
        "776",
        "1.94 EUR",
        "0",
        "0.00 %",
        "3",
    ] == printed
    assert (pb.SOLICITATION_GROUPING_OPT_IN, "spring") == (server.last.grouping, server.last.campaign)


async def test_visits_are_told_with_their_shares(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["GetVisitReport"] = pb.GetVisitReportResponse(
        customer_count=4,
        distribution=[
            pb.VisitCount(count=1, customer_count=3),
            pb.VisitCount(count=2, or_more=True, customer_count=1),
        ],
        returned=[pb.ReturnedWithin(days=7, customer_count=1)],
        **SEEN,
    )

    await run(server, "acme visits --within 7 --purchases")

    assert [["1", "3", "75.00 %"], ["2 or more", "1", "25.00 %"]] == rows(capsys.readouterr().out)[1:3]
    assert ([7], True) == (list(server.last.within_days), server.last.purchases_only)


async def test_the_other_reports_are_told(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["GetPressureReport"] = pb.GetPressureReportResponse(
        prospects=pb.Pressure(relationship_count=2, solicitation_count=3, per_30_days=Measure(ppm=250_000)),
        customers=pb.Pressure(per_30_days=Measure(unknown=why.UNKNOWN_REASON_NO_EVIDENCE)),
        **SEEN,
    )
    server.answers["GetMaturityReport"] = pb.GetMaturityReportResponse(contact_count=5, decided=Measure(ppm=1), **SEEN)
    server.answers["GetStandingReport"] = pb.GetStandingReportResponse(
        relationship_count=3,
        lifecycles=[pb.LevelCount(level="ACTIVE", relationship_count=3)],
        bands=[pb.LevelCount(level="WEAK", relationship_count=3, organization_net_nanos=12_340_000_000)],
        **SEEN,
    )
    judged = pb.FunctionJudgement(our_function=2, slug="hbr:buddies", position=9)  # type: ignore[arg-type]  # SALES.
    server.answers["GetConsistencyReport"] = pb.GetConsistencyReportResponse(
        relationships=[pb.Inconsistency(customer_id="ann", judgements=[judged])], **SEEN
    )

    for name in ("pressure", "maturity", "standing", "consistency"):
        await run(server, f"acme {name}")

    printed = capsys.readouterr().out
    assert "prospects\t2\t3\t0.25" in printed
    assert "customers\t0\t0\tnothing on record" in printed
    assert "decided" in printed
    assert "0.00 %" in printed
    assert "ACTIVE\t3" in printed
    assert "WEAK\t3\t12.34" in printed
    assert "ann\tSALES\thbr:buddies\t9" in printed


async def test_json_is_the_answer_itself(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["GetVisitReport"] = pb.GetVisitReportResponse(customer_count=4, **SEEN)

    await run(server, "acme visits --json")

    assert "4" == json.loads(capsys.readouterr().out)["customerCount"]


@pytest.mark.parametrize(
    "command",
    [
        "visits --by month",
        "returns --campaign spring",
        "standing --within 7",
        "maturity --from 2026-05-01",
        "visits --days 7-35",
    ],
)
async def test_options_of_another_report_are_refused(server: AnsweringServer, command: str) -> None:
    with pytest.raises(UsageFault):
        await run(server, f"acme {command}")
    assert not server.asked
