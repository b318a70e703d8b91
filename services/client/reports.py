"""Reports: what all relationships of an organization come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.report.v1 import report_service_pb2 as messages
from rapport.report.v1.report_service_pb2_grpc import ReportServiceStub
from services.client.calls import Subject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from rapport.type.v1.as_of_pb2 import AsOf
    from rapport.type.v1.window_pb2 import Window


class Reports(Subject):
    """ReportService. All reports take a point of view (`values.view` makes one) and a `min_position`.

    A report of the past folds the whole organization, so it may need a longer `timeout_s`.
    All raise RapportError: WINDOW_INVALID, KNOWN_AT_NOT_SETTLED, KNOWN_AT_IN_FUTURE, PROJECTION_BEHIND.
    """

    async def get_return_rate(
        self,
        organization_id: str,
        *,
        programme: str = "",
        joined: Window | None = None,
        from_days: int = 0,
        until_days: int = 0,
        by_month: bool = False,
        from_first_act: bool = False,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetReturnRateResponse:
        """Return by cohort how many came back from the first of some days to before the last; 0: as the policy says."""
        request = messages.GetReturnRateRequest(
            organization_id=organization_id,
            as_of=as_of,
            min_position=min_position,
            programme=programme,
            joined=joined,
            from_days=from_days,
            until_days=until_days,
            by_month=by_month,
            from_first_act=from_first_act,
        )
        return await self._calls.call(self._reports.GetReturnRate, request, timeout_s)

    async def get_solicitation_report(
        self,
        organization_id: str,
        *,
        grouping: messages.SolicitationGrouping.ValueType = messages.SOLICITATION_GROUPING_UNSPECIFIED,
        delivered: Window | None = None,
        campaign: str = "",
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetSolicitationReportResponse:
        """Return response, waste and cost of solicitations, all together or by what groups them."""
        request = messages.GetSolicitationReportRequest(
            organization_id=organization_id,
            as_of=as_of,
            min_position=min_position,
            grouping=grouping,
            delivered=delivered,
            campaign=campaign,
        )
        return await self._calls.call(self._reports.GetSolicitationReport, request, timeout_s)

    async def get_visit_report(
        self,
        organization_id: str,
        *,
        within_days: Iterable[int] = (),
        counts_max: int = 0,
        purchases_only: bool = False,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetVisitReportResponse:
        """Return how many customers came how often, and how many came back within some days."""
        request = messages.GetVisitReportRequest(
            organization_id=organization_id,
            as_of=as_of,
            min_position=min_position,
            within_days=within_days,
            counts_max=counts_max,
            purchases_only=purchases_only,
        )
        return await self._calls.call(self._reports.GetVisitReport, request, timeout_s)

    async def get_pressure_report(
        self,
        organization_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetPressureReportResponse:
        """Return how many solicitations prospects and customers get."""
        request = messages.GetPressureReportRequest(
            organization_id=organization_id, as_of=as_of, min_position=min_position
        )
        return await self._calls.call(self._reports.GetPressureReport, request, timeout_s)

    async def get_maturity_report(
        self,
        organization_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetMaturityReportResponse:
        """Return how far contacts are decided, honoured and answered, and the share of DIAMOND shapes."""
        request = messages.GetMaturityReportRequest(
            organization_id=organization_id, as_of=as_of, min_position=min_position
        )
        return await self._calls.call(self._reports.GetMaturityReport, request, timeout_s)

    async def consistency_report(
        self,
        organization_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        page_size: int = 500,
        timeout_s: float | None = None,
    ) -> AsyncIterator[messages.Inconsistency]:
        """Yield relationships that functions judge differently, by customer_id, fetching pages as they are needed."""
        request = messages.GetConsistencyReportRequest(
            organization_id=organization_id, as_of=as_of, min_position=min_position, page_size=page_size
        )
        async for page in self._calls.pages(self._reports.GetConsistencyReport, request, timeout_s):
            for each in page.relationships:
                yield each

    async def get_standing_report(
        self,
        organization_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetStandingReportResponse:
        """Return how many relationships stand at each level, and what they exchanged by band."""
        request = messages.GetStandingReportRequest(
            organization_id=organization_id, as_of=as_of, min_position=min_position
        )
        return await self._calls.call(self._reports.GetStandingReport, request, timeout_s)

    @property
    def _reports(self) -> ReportServiceStub:
        return self._calls.stub(ReportServiceStub)
