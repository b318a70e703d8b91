"""The rpcs of ReportService: requests to reports, and reports to responses."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Protocol, cast

import grpc

from ledger.domain.errors import Rejected, Violation
from ledger.domain.times import microseconds
from ledger.measure.rules import Rules
from ledger.projections.projector import Projector
from ledger.report.campaigns import Campaigns, CampaignsAsked, Group
from ledger.report.cohorts import Cohort, Cohorts, CohortsAsked
from ledger.report.conducting import Maturity, Pressure, Pressures
from ledger.report.consistency import Consistency, Inconsistency
from ledger.report.levels import Level
from ledger.report.spans import Span
from ledger.report.visiting import COUNTS_MAX, WITHIN_DAYS, Visiting, VisitsAsked
from ledger.views import View
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.interaction_pb2 import OurFunction
from rapport.report.v1 import report_service_pb2 as pb
from rapport.report.v1 import report_service_pb2_grpc as stubs
from rapport.type.v1 import levels_pb2 as levels
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.window_pb2 import Window
from services.relationship import page_tokens
from services.relationship.measure_translate import tell_ratio
from services.relationship.reporting import Asked, Reporting
from services.relationship.translate import PAGE_SIZE_DEFAULT, wants_now
from services.runtime.app import App
from services.runtime.detecting import Detector
from services.runtime.translating import as_of_told
from services.runtime.validation import check

WAIT_S: Final = 5.0
"""Seconds that a report waits for its `min_position`, at most."""
_PART_OF_DEADLINE: Final = 0.8
"""How much of the time that a call has left it may wait, so that it can still say that it waited in vain."""

Context = grpc.aio.ServicerContext[Any, Any]


class _Request(Protocol):
    organization_id: str
    min_position: int

    @property
    def as_of(self) -> AsOf: ...


class ReportServicer(stubs.ReportServiceServicer):
    """Says what relationships come to. What is refused, and why, is said in `report_service.proto`."""

    def __init__(self, reporting: Reporting) -> None:
        self._reporting = reporting

    async def GetReturnRate(  # noqa: N802  # Named by the proto.
        self, request: pb.GetReturnRateRequest, context: Context
    ) -> pb.GetReturnRateResponse:
        """Return who came back, by cohort."""
        check(request)
        joined = _span(request.joined, "joined")
        report, view = await self._reporting.of_rows(_asked(request, context), partial(_cohorts, request, joined))
        response = pb.GetReturnRateResponse(**_seen(view))
        for cohort in report.cohorts():
            _tell_cohort(response.cohorts.add(), cohort)
        return response

    async def GetSolicitationReport(  # noqa: N802  # Named by the proto.
        self, request: pb.GetSolicitationReportRequest, context: Context
    ) -> pb.GetSolicitationReportResponse:
        """Return what solicitations came to."""
        check(request)
        which = CampaignsAsked(request.grouping, _span(request.delivered, "delivered"), request.campaign)
        report, view = await self._reporting.of_rows(_asked(request, context), partial(Campaigns, which))
        response = pb.GetSolicitationReportResponse(**_seen(view))
        for group in report.groups():
            _tell_group(response.groups.add(), group)
        return response

    async def GetVisitReport(  # noqa: N802  # Named by the proto.
        self, request: pb.GetVisitReportRequest, context: Context
    ) -> pb.GetVisitReportResponse:
        """Return how often customers came."""
        check(request)
        which = VisitsAsked(
            tuple(request.within_days) or WITHIN_DAYS, request.counts_max or COUNTS_MAX, request.purchases_only
        )
        report, view = await self._reporting.of_rows(_asked(request, context), lambda *_: Visiting(which))
        response = pb.GetVisitReportResponse(customer_count=report.customers, **_seen(view))
        for count, or_more, customers in report.distribution():
            response.distribution.add(count=count, or_more=or_more, customer_count=customers)
        for days, customers in report.returned():
            response.returned.add(days=days, customer_count=customers)
        return response

    async def GetPressureReport(  # noqa: N802  # Named by the proto.
        self, request: pb.GetPressureReportRequest, context: Context
    ) -> pb.GetPressureReportResponse:
        """Return how much prospects and customers are solicited."""
        check(request)
        report, view = await self._reporting.of_rows(_asked(request, context), Pressures)
        response = pb.GetPressureReportResponse(**_seen(view))
        prospects, customers = report.pressures()
        _tell_pressure(response.prospects, prospects)
        _tell_pressure(response.customers, customers)
        return response

    async def GetMaturityReport(  # noqa: N802  # Named by the proto.
        self, request: pb.GetMaturityReportRequest, context: Context
    ) -> pb.GetMaturityReportResponse:
        """Return how far contacts are decided, honoured and answered, and what shape relationships have."""
        check(request)
        asked = _asked(request, context)
        report, view = await self._reporting.of_rows(asked, Maturity)
        stands, seen = await self._reporting.of_levels(asked, view)
        response = pb.GetMaturityReportResponse(
            contact_count=report.contacts,
            **_seen(View(seen.occur_time, min(view.position, seen.position))),
        )
        tell_ratio(response.decided, report.decided)
        tell_ratio(response.honoured, report.honoured)
        tell_ratio(response.answered, report.answered)
        tell_ratio(response.diamond, stands.diamond)
        return response

    async def GetConsistencyReport(  # noqa: N802  # Named by the proto.
        self, request: pb.GetConsistencyReportRequest, context: Context
    ) -> pb.GetConsistencyReportResponse:
        """Return one page of relationships that functions judge differently."""
        check(request)
        size = request.page_size or PAGE_SIZE_DEFAULT
        after, before = _page(request)
        report, view = await self._reporting.of_rows(
            _asked(request, context), lambda _, at: Consistency(at, size + 1), after, before
        )
        response = pb.GetConsistencyReportResponse(**_seen(view))
        for found in report.found[:size]:
            _tell_inconsistency(response.relationships.add(), found)
        if len(report.found) > size:
            last = report.found[size - 1].customer_id
            of_view = () if wants_now(request.as_of) else (view.occur_time, view.position)
            response.next_page_token = page_tokens.write(request, *of_view, last)
        return response

    async def GetStandingReport(  # noqa: N802  # Named by the proto.
        self, request: pb.GetStandingReportRequest, context: Context
    ) -> pb.GetStandingReportResponse:
        """Return how relationships stand, counted."""
        check(request)
        found, view = await self._reporting.of_levels(_asked(request, context))
        return pb.GetStandingReportResponse(
            relationship_count=found.relationships,
            existing_count=found.existing,
            lifecycles=map(_level, found.lifecycles()),
            bands=map(_level, found.bands()),
            shapes=map(_level, found.shapes()),
            **_seen(view),
        )


def mount_reports(
    server: grpc.aio.Server, app: App, relationships: Projector, programmes: Projector, detector: Detector
) -> None:
    """Add ReportService to a server."""
    reporting = Reporting(app.ledger, relationships, programmes, detector)
    stubs.add_ReportServiceServicer_to_server(ReportServicer(reporting), server)


# What is asked.


def _asked(request: _Request, context: Context) -> Asked:
    remaining_s: float | None = context.time_remaining()
    # None: there is no deadline, whatever its type says.
    wait_s = min(WAIT_S, _PART_OF_DEADLINE * (remaining_s or WAIT_S / _PART_OF_DEADLINE))
    return Asked(request.organization_id, request.as_of, request.min_position, wait_s)


def _cohorts(request: pb.GetReturnRateRequest, joined: Span, rules: Rules, at: int) -> Cohorts:
    from_days = request.from_days or rules.return_from_days
    until_days = request.until_days or rules.return_until_days
    if from_days >= until_days:
        raise _window_invalid("until_days", "must be greater than from_days")
    which = CohortsAsked(from_days, until_days, request.programme, joined, request.by_month, request.from_first_act)
    return Cohorts(which, rules, at)


def _span(window: Window, field: str) -> Span:
    after = microseconds(getattr(window, "from")) if window.HasField("from") else None
    until = microseconds(window.to) if window.HasField("to") else None
    if after is not None and until is not None and after >= until:
        raise _window_invalid(field, "must end after it begins")
    return Span(after, until)


def _window_invalid(field: str, description: str) -> Rejected:
    reason = reasons.ERROR_REASON_WINDOW_INVALID
    return Rejected(reason, f"{field}: {description}", [Violation(field, description, reason)])


def _page(request: pb.GetConsistencyReportRequest) -> tuple[str, View | None]:
    """Return after which customer a page begins, and the view of the first page, where that was of the past."""
    if not request.page_token:
        return "", None
    if wants_now(request.as_of):
        (after,) = page_tokens.read(request, str)
        return cast("str", after), None
    occur_time, position, after = page_tokens.read(request, int, int, str)
    return cast("str", after), View(cast("int", occur_time), cast("int", position))


# What is told.


def _seen(view: View) -> dict[str, Any]:
    return {"position": view.position, "as_of": as_of_told(view.occur_time, view.position)}


def _tell_cohort(told: pb.CohortReturn, cohort: Cohort) -> None:
    told.programme, told.month = cohort.programme, cohort.month
    told.member_count, told.returned_count, told.censored_count = cohort.members, cohort.returned, cohort.censored
    tell_ratio(told.rate, cohort.rate)
    if cohort.interval is not None:
        told.low_ppm, told.high_ppm = cohort.interval
    told.alarm = cohort.alarm


def _tell_group(told: pb.SolicitationGroup, group: Group) -> None:
    told.key = group.key
    told.delivered_count, told.matured_count = group.delivered, group.matured
    told.bought_count = group.outcomes[levels.SOLICITATION_OUTCOME_BOUGHT]
    told.replied_count = group.outcomes[levels.SOLICITATION_OUTCOME_REPLIED]
    told.opted_out_count = group.outcomes[levels.SOLICITATION_OUTCOME_OPTED_OUT]
    told.no_response_count = group.outcomes[levels.SOLICITATION_OUTCOME_NO_RESPONSE]
    tell_ratio(told.response, group.response)
    tell_ratio(told.waste, group.waste)
    told.wasted_seconds = group.wasted_seconds
    for asset, units in sorted(group.wasted_costs.items()):
        told.wasted_costs.add(asset=asset, units=units)
    told.uncosted_count = group.uncosted
    told.rated_count, told.relevant_count = group.rated, group.relevant
    tell_ratio(told.relevance, group.relevance)
    told.followed_count = group.followed


def _tell_pressure(told: pb.Pressure, pressure: Pressure) -> None:
    told.relationship_count, told.solicitation_count = pressure.relationships, pressure.solicitations
    tell_ratio(told.per_30_days, pressure.per_30_days)


def _tell_inconsistency(told: pb.Inconsistency, found: Inconsistency) -> None:
    told.customer_id = found.customer_id
    for each in found.judgements:
        told.judgements.add(
            our_function=OurFunction.ValueType(each.our_function), slug=each.slug, position=each.position
        )


def _level(level: Level) -> pb.LevelCount:
    return pb.LevelCount(level=level.level, relationship_count=level.relationships, organization_net_nanos=level.net)
