"""Reports on the purchase history, asked over gRPC, against figures that were made apart from the product."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rapport.report.v1.report_service_pb2 import GetVisitReportResponse
from services.client import Client, moment, view
from tests.e2e.cdnow import ImportedHistory
from tests.oracles import lifecycle_script
from tests.server import ROOT

pytestmark = [pytest.mark.shared_data, pytest.mark.slow, pytest.mark.timeout(900)]

AUTUMN, END = datetime(1997, 9, 30, tzinfo=UTC), datetime(1998, 6, 30, tzinfo=UTC)
RETURNED = [(7, 1_384), (30, 4_115), (90, 6_887)]
WAIT_S = 300.0


@pytest.fixture
async def client(imported: ImportedHistory) -> AsyncIterator[Client]:
    async with Client(imported.server.target, timeout_s=WAIT_S) as connected:
        yield connected


async def test_so_many_came_back_within_a_week_a_month_and_a_quarter(client: Client) -> None:
    head = (await client.get_head()).position
    now = await _when_kept(client, head)
    then = await client.get_visit_report("cdnow", as_of=view(occur_time=END))
    purchases = await client.get_visit_report("cdnow", counts_max=1_000, purchases_only=True)

    for answer in (now, then, purchases):
        assert 23_570 == answer.customer_count
        assert RETURNED == [(each.days, each.customer_count) for each in answer.returned]
    assert now.distribution == then.distribution
    assert 69_659 == sum(each.count * each.customer_count for each in purchases.distribution)


@pytest.mark.parametrize("day", [AUTUMN, END])
async def test_so_many_are_in_each_lifecycle_as_the_script_counts(client: Client, master: Path, day: datetime) -> None:
    days = lifecycle_script.purchase_days(master).values()

    answer = await client.get_standing_report("cdnow", as_of=view(occur_time=day))

    told = {each.level: each.relationship_count for each in answer.lifecycles if each.relationship_count}
    assert lifecycle_script.counts(days, day.date()) == told
    # All bought by the end of March 1997, so nobody is missing.
    assert 23_570 == answer.relationship_count == sum(each.relationship_count for each in answer.bands)


@pytest.mark.parametrize("history", ["sample", pytest.param("sample_on_postgresql", marks=pytest.mark.postgres)])
async def test_standings_of_now_are_those_of_a_fold(history: str, request: pytest.FixtureRequest) -> None:
    target = request.getfixturevalue(history).server.target
    async with Client(target, timeout_s=WAIT_S) as client, asyncio.timeout(WAIT_S):
        while (detector := await client.get_detector()).position < detector.head_position:  # noqa: ASYNC110  # It is another process's.
            await asyncio.sleep(0.5)
        now = await client.get_standing_report("cdnow")
        then = await client.get_standing_report(
            "cdnow", as_of=view(occur_time=moment(now.as_of.occur_time), position=now.position)
        )

    assert now == then
    assert {"LAPSED": 2_357} == {
        each.level: each.relationship_count for each in now.lifecycles if each.relationship_count
    }
    # What money was paid is valued, and so are pieces: nothing was for nothing.
    assert any(each.organization_net_nanos for each in now.bands)


async def test_return_rates_follow_the_first_purchase(client: Client, master: Path) -> None:
    days = lifecycle_script.purchase_days(master).values()
    expected: dict[str, list[int]] = {}
    for bought in days:
        counts = expected.setdefault(bought[0].strftime("%Y-%m"), [0, 0])
        counts[0] += 1
        counts[1] += any(7 <= (each - bought[0]).days < 35 for each in bought)

    answer = await client.get_return_rate("cdnow", from_first_act=True, by_month=True)

    assert expected == {each.month: [each.member_count, each.returned_count] for each in answer.cohorts}
    assert all(each.low_ppm <= each.rate.ppm <= each.high_ppm for each in answer.cohorts)
    assert [each.alarm for each in answer.cohorts] == [each.rate.ppm < 100_000 for each in answer.cohorts]


def test_the_command_tells_the_same(imported: ImportedHistory) -> None:
    command = ["programme", "report", "cdnow", "visits", "--target", imported.server.target]
    printed, told = (
        subprocess.run(
            [sys.executable, "-m", "services.cli", *command, *more],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for more in ([], ["--json"])
    )

    assert "7 d\t1384\t5.87 %" in printed
    assert [str(count) for _, count in RETURNED] == [each["customerCount"] for each in json.loads(told)["returned"]]


async def test_repeats_of_the_sample_are_spread_as_they_were_published(sample: ImportedHistory) -> None:
    async with Client(sample.server.target, timeout_s=WAIT_S) as client:
        answer = await client.get_visit_report("cdnow", as_of=view(occur_time=AUTUMN))

    assert 6_919 == sample.figures["lines"]
    assert [1_411, 439, 214, 100, 62, 38, 29, 64] == [each.customer_count for each in answer.distribution]
    assert [False] * 7 + [True] == [each.or_more for each in answer.distribution]


async def _when_kept(client: Client, head: int) -> GetVisitReportResponse:
    """Return the report of now, once everything imported is kept."""
    async with asyncio.timeout(WAIT_S):
        while (await client.get_visit_report("cdnow")).position < head:  # noqa: ASYNC110  # The same.
            await asyncio.sleep(0.5)
    return await client.get_visit_report("cdnow", min_position=head)
