"""ReportService over gRPC: now is the fold of what is kept in the log, to the byte; rows, pages and refusals."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import timestamp
from ledger.log.store import Append, NewEvent
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, RelationshipPolicyPublished, SolicitationRules
from rapport.projection.v1 import projection_service_pb2 as projection
from rapport.relationship.v1 import measures_pb2 as why
from rapport.report.v1 import report_service_pb2 as pb
from rapport.report.v1.report_service_pb2_grpc import ReportServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.window_pb2 import Window
from services.client import Client
from services.relationship import servicer
from services.runtime.settings import Secret
from tests.changed_histories import ChangedHistory
from tests.contact_histories import DAY, HOUR, MINUTE
from tests.measured_histories import START, acted, told
from tests.programme_histories import drawn_programmes
from tests.refusals import reason_of, refusal
from tests.server import Serving, serving

ENGINES = ["sqlite", "postgresql"]
REQUESTS: list[tuple[str, Message]] = [
    ("GetReturnRate", pb.GetReturnRateRequest(organization_id="acme")),
    ("GetReturnRate", pb.GetReturnRateRequest(organization_id="acme", by_month=True, from_days=1, until_days=9)),
    ("GetReturnRate", pb.GetReturnRateRequest(organization_id="acme", from_first_act=True, by_month=True)),
    *(
        ("GetSolicitationReport", pb.GetSolicitationReportRequest(organization_id="acme", grouping=number))
        for number in pb.SolicitationGrouping.values()
    ),
    ("GetVisitReport", pb.GetVisitReportRequest(organization_id="acme")),
    ("GetVisitReport", pb.GetVisitReportRequest(organization_id="acme", purchases_only=True, counts_max=3)),
    ("GetPressureReport", pb.GetPressureReportRequest(organization_id="acme")),
    ("GetMaturityReport", pb.GetMaturityReportRequest(organization_id="acme")),
    ("GetConsistencyReport", pb.GetConsistencyReportRequest(organization_id="acme")),
    ("GetStandingReport", pb.GetStandingReportRequest(organization_id="acme")),
]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path / "data", (servicer,)) as running:
        yield running


@pytest.fixture
def stub(server: Serving) -> ReportServiceStub:
    return ReportServiceStub(server.channel)


def put(server: Serving, history: ChangedHistory) -> int:
    """Put a history into the server's log, as another server would; return the position of the last event."""
    store = server.app.ledger.store
    for row in history.rows():
        new = NewEvent(row.stream_id, row.version, row.topic, row.state)
        store.append([Append((new,))], store.head().position, row.record_time, 0)
    return store.head().position


async def ask(stub: ReportServiceStub, name: str, request: Message, **values: Any) -> Any:
    """Ask for a report."""
    asked = type(request)()
    asked.CopyFrom(request)
    asked.MergeFrom(type(request)(**values))
    return await getattr(stub, name)(asked, timeout=30)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("engine", ENGINES)
async def test_now_is_what_a_fold_of_the_log_says_to_the_byte(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgresql" else ""
    settings = {"store_url": Secret(url)} if url else {}
    async with serving(tmp_path / "data", (servicer,), **settings) as server:
        stub = ReportServiceStub(server.channel)
        head = put(server, drawn_programmes(11, 120))
        for name, asked in REQUESTS:
            now = await ask(stub, name, asked, min_position=head)

            then = await ask(stub, name, asked, as_of=now.as_of)

            assert now == then, name
            assert now.SerializeToString(deterministic=True) == then.SerializeToString(deterministic=True), name
            assert now.position >= head
        assert await ask(stub, "GetStandingReport", REQUESTS[-1][1])


async def test_rows_that_rest_on_another_policy_are_not_used(server: Serving, stub: ReportServiceStub) -> None:
    history = ChangedHistory()
    now = server.app.ledger.clock()
    history.add(told(message_class=i.MESSAGE_CLASS_MARKETING), now - 10 * DAY)
    policy = RelationshipPolicy(
        version=1, solicitations=SolicitationRules(attribution_days=7), effective_from_time=timestamp(now - DAY)
    )
    history.publish(_published(policy), now - 9 * DAY)
    head = put(server, history)

    (group,) = (await ask(stub, *_all_together(), min_position=head)).groups

    # The last event came before the policy was in force: by what was kept then, it would not be matured.
    assert (1, 1) == (group.delivered_count, group.matured_count)


async def test_a_solicitation_matures_by_the_clock_alone(
    monkeypatch: pytest.MonkeyPatch, server: Serving, stub: ReportServiceStub
) -> None:
    history = ChangedHistory()
    now = server.app.ledger.clock()
    soon = now - 14 * DAY + MINUTE
    history.add(told(message_class=i.MESSAGE_CLASS_MARKETING, attention_seconds=8), soon)
    head = put(server, history)
    (before,) = (await ask(stub, *_all_together(), min_position=head)).groups

    clock = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: clock() + 60 * 10**9)
    (after,) = (await ask(stub, *_all_together())).groups

    assert (1, 0, why.UNKNOWN_REASON_NOTHING_MATURED) == (
        before.delivered_count, before.matured_count, before.waste.unknown,
    )  # fmt: skip
    assert (1, 1, 1_000_000, 8, 1) == (
        after.matured_count, after.no_response_count, after.waste.ppm, after.wasted_seconds, after.uncosted_count,
    )  # fmt: skip


async def test_a_cohort_is_judged_as_in_the_seeds(server: Serving, stub: ReportServiceStub) -> None:
    """Of a hundred, nine come back after a week: 90,000, and an alarm; one of them comes to the microsecond."""
    history = ChangedHistory()
    for number in range(100):
        history.add(acted("JOIN", programme="club"), START + number, customer=f"c{number}")
    acts = [(START + number + 7 * DAY, number) for number in range(9)]
    acts.append((START + 9 + 7 * DAY - 1, 9))  # Too early.
    acts.append((START + 10 + 35 * DAY, 10))  # Too late.
    for at, number in sorted(acts):
        history.add(acted("VISIT"), at, customer=f"c{number}")
    head = put(server, history)
    asked = "GetReturnRate", pb.GetReturnRateRequest(organization_id="acme", programme="club", by_month=True)

    (cohort,) = (await ask(stub, *asked, min_position=head)).cohorts
    young = (await ask(stub, *asked, as_of=AsOf(occur_time=timestamp(START + 40 + 34 * DAY)))).cohorts[0]
    elsewhere = await ask(stub, *asked, joined=Window(to=timestamp(START - 1)))

    assert ("club", "2026-01", 100, 9, 0, 90_000, 48_071, 162_264, True) == (
        cohort.programme, cohort.month, cohort.member_count, cohort.returned_count, cohort.censored_count,
        cohort.rate.ppm, cohort.low_ppm, cohort.high_ppm, cohort.alarm,
    )  # fmt: skip
    assert (0, 100, why.UNKNOWN_REASON_TOO_FEW, False) == (
        young.member_count, young.censored_count, young.rate.unknown, young.alarm,
    )  # fmt: skip
    assert not young.HasField("low_ppm")
    assert not elsewhere.cohorts


async def test_inconsistent_relationships_come_page_by_page(server: Serving, stub: ReportServiceStub) -> None:
    history = ChangedHistory()
    for number in range(7):
        for function in (i.OUR_FUNCTION_SALES, i.OUR_FUNCTION_SERVICE):
            slug = "fournier:fling" if function == i.OUR_FUNCTION_SALES or number % 3 == 0 else "hbr:basic-exchange"
            judged = r.RelationshipTypeAssessed(slug=slug, our_function=function, assessor_id="eve")
            history.add(judged, START, customer=f"c{number}")
    head = put(server, history)
    expected = ["c1", "c2", "c4", "c5"]

    async with Client(server.target) as client:
        then = AsOf(occur_time=timestamp(START + HOUR))
        past = [each.customer_id async for each in client.consistency_report("acme", as_of=then, page_size=3)]
        over = [each async for each in client.consistency_report("acme", min_position=head)]

    assert expected == past
    assert not over  # A judgement holds for 180 days, and these were made long ago.


async def test_inconsistencies_of_now_are_paged_too(server: Serving, stub: ReportServiceStub) -> None:
    history, now = ChangedHistory(), server.app.ledger.clock()
    for number in range(5):
        for function, slug in ((1, "fournier:fling"), (2, "hbr:basic-exchange")):
            judged = r.RelationshipTypeAssessed(slug=slug, our_function=function, assessor_id="eve")  # type: ignore[arg-type]  # Numbers of the enum.
            history.add(judged, now - DAY, customer=f"c{number}")
    asked = pb.GetConsistencyReportRequest(organization_id="acme", page_size=2, min_position=put(server, history))
    first = await stub.GetConsistencyReport(asked)
    asked.page_token = first.next_page_token
    second = await stub.GetConsistencyReport(asked)
    asked.page_token = second.next_page_token
    third = await stub.GetConsistencyReport(asked)
    asked.organization_id = "other"

    assert [2, 2, 1] == [len(each.relationships) for each in (first, second, third)]
    assert [(1, "fournier:fling"), (2, "hbr:basic-exchange")] == [
        (each.our_function, each.slug) for each in third.relationships[0].judgements
    ]
    assert not third.next_page_token
    assert "PAGE_TOKEN_INVALID" == await _refused(stub.GetConsistencyReport(asked))


async def test_what_makes_no_sense_is_refused(stub: ReportServiceStub) -> None:
    backwards = Window(**{"from": Timestamp(seconds=9), "to": Timestamp(seconds=9)})
    faults: list[dict[str, Any]] = [{"from_days": 9, "until_days": 9}, {"from_days": 35}, {"joined": backwards}]
    for values in faults:
        assert "WINDOW_INVALID" == await _refused(ask(stub, "GetReturnRate", REQUESTS[0][1], **values))
    assert "WINDOW_INVALID" == await _refused(ask(stub, *_all_together(), delivered=backwards))


async def test_an_organization_without_events_has_empty_reports(stub: ReportServiceStub) -> None:
    for name, asked in REQUESTS:
        answer = await ask(stub, name, asked)
        assert answer.as_of.position == answer.position, name
        assert not getattr(answer, "cohorts", None), name
    visits = await ask(stub, "GetVisitReport", pb.GetVisitReportRequest(organization_id="acme"))
    assert (0, [7, 30, 90]) == (visits.customer_count, [each.days for each in visits.returned])
    standing = await ask(stub, "GetStandingReport", REQUESTS[-1][1])
    assert ["STRANGER", "ACQUAINTED", "ACTIVE", "AT_RISK", "LAPSED", "ENDED", "ERASED"] == [
        each.level for each in standing.lifecycles
    ]
    assert 0 == standing.relationship_count


async def test_the_projection_is_rebuilt_like_any_other(server: Serving) -> None:
    head = put(server, drawn_programmes(2, 40))
    async with Client(server.target) as client:
        await client.get_visit_report("acme", min_position=head)
        frames = [frame async for frame in client.rebuild_projection("programmes")]

    assert projection.REBUILD_PHASE_SWAPPED == frames[-1].phase
    assert 0 == frames[-1].rows_different


def _all_together() -> tuple[str, pb.GetSolicitationReportRequest]:
    return "GetSolicitationReport", pb.GetSolicitationReportRequest(organization_id="acme")


def _published(policy: RelationshipPolicy) -> Message:
    return RelationshipPolicyPublished(policy=policy)


async def _refused(call: Any) -> str:
    return reason_of(await refusal(call))
