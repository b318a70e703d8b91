"""Relationships: one, many, all of an organization, and what happened in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.projection.v1 import projection_service_pb2 as projection_messages
from rapport.projection.v1.projection_service_pb2_grpc import ProjectionServiceStub
from rapport.relationship.v1 import relationship_service_pb2 as messages
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.levels_pb2 import VIEW_SCOPE_UNSPECIFIED, ViewScope
from services.client.calls import Subject, ended_early
from services.client.frames import read_frames
from services.client.measures import under_policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
    from rapport.relationship.v1.explaining_pb2 import MeasureGroup
    from rapport.relationship.v1.relationship_pb2 import Relationship
    from rapport.relationship.v1.timeline_pb2 import TimelineEntry
    from rapport.type.v1.as_of_pb2 import AsOf


class Relationships(Subject):
    """RelationshipService. All reads take a point of view (`values.view` makes one) and a `min_position`."""

    async def get_relationship(
        self,
        organization_id: str,
        customer_id: str,
        *,
        as_of: AsOf | None = None,
        measures: Iterable[MeasureGroup.ValueType] = (),
        under: RelationshipPolicy | int | None = None,
        scope: ViewScope.ValueType = VIEW_SCOPE_UNSPECIFIED,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetRelationshipResponse:
        """Return one relationship with its measures.

        Args:
            organization_id: Company side.
            customer_id: Customer side.
            as_of: Point of view; `values.view` makes one. Default: now.
            measures: Which groups. Default: all of them.
            under: What-if: a version of the relationship policy, 0 for the built-in one, or one not published.
            scope: PERSON folds the facts of all customer ids that are one person.
            min_position: The answer must reflect the log at least up to there.
            timeout_s: Seconds for each attempt.

        Raises:
            RapportError: RELATIONSHIP_UNKNOWN, KNOWN_AT_NOT_SETTLED, KNOWN_AT_IN_FUTURE, KNOWN_AT_INSIDE_BATCH,
                POLICY_UNKNOWN, POLICY_RULES_CONFLICT.
        """
        request = messages.GetRelationshipRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            as_of=as_of,
            min_position=min_position,
            measures=measures,
            under=under_policy(under),
            scope=scope,
        )
        return await self._calls.call(self._relationships.GetRelationship, request, timeout_s)

    async def batch_get_relationships(
        self,
        organization_id: str,
        customer_ids: Iterable[str],
        *,
        as_of: AsOf | None = None,
        measures: Iterable[MeasureGroup.ValueType] = (),
        under: RelationshipPolicy | int | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.BatchGetRelationshipsResponse:
        """Return 1 to 1,000 relationships, all at the same log position; unknown customers are listed apart.

        They have the measures of the groups asked for, and none where no group is named.
        """
        request = messages.BatchGetRelationshipsRequest(
            organization_id=organization_id,
            customer_ids=customer_ids,
            as_of=as_of,
            min_position=min_position,
            measures=measures,
            under=under_policy(under),
        )
        return await self._calls.call(self._relationships.BatchGetRelationships, request, timeout_s)

    async def list_relationships(
        self,
        organization_id: str,
        *,
        filter: messages.RelationshipFilter | None = None,  # noqa: A002  # The name of the field.
        order_by: messages.RelationshipOrder.ValueType = messages.RELATIONSHIP_ORDER_UNSPECIFIED,
        as_of: AsOf | None = None,
        min_position: int = 0,
        page_size: int = 500,
        timeout_s: float | None = None,
    ) -> AsyncIterator[Relationship]:
        """Yield the relationships of an organization in order, fetching pages as they are needed.

        Each says at which `position` its page was answered. Where the filter or the order is about balances, and a
        valuation policy is in force, each has its `balance`; where the filter has `standing`, each has that.
        """
        request = messages.ListRelationshipsRequest(
            organization_id=organization_id,
            as_of=as_of,
            min_position=min_position,
            filter=filter,
            order_by=order_by,
            page_size=page_size,
        )
        async for page in self._calls.pages(self._relationships.ListRelationships, request, timeout_s):
            for relationship in page.relationships:
                yield relationship

    async def timeline(
        self,
        organization_id: str,
        customer_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        page_size: int = 500,
        timeout_s: float | None = None,
    ) -> AsyncIterator[TimelineEntry]:
        """Yield what happened in one relationship, ordered by occur time, then position.

        Raises:
            RapportError: As `get_relationship`.
        """
        request = messages.ListTimelineRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            as_of=as_of,
            min_position=min_position,
            page_size=page_size,
        )
        async for page in self._calls.pages(self._relationships.ListTimeline, request, timeout_s):
            for entry in page.entries:
                yield entry

    @property
    def _relationships(self) -> RelationshipServiceStub:
        return self._calls.stub(RelationshipServiceStub)


class Projections(Subject):
    """ProjectionService: the caches behind lists, where they stand, and how to rebuild them."""

    async def list_projections(self, *, timeout_s: float | None = None) -> projection_messages.ListProjectionsResponse:
        """Return the projections, ordered by name, and the head of the log."""
        request = projection_messages.ListProjectionsRequest()
        return await self._calls.call(self._projections.ListProjections, request, timeout_s)

    async def rebuild_projection(
        self, name: str, *, replace_different: bool = False, idle_timeout_s: float = 60.0
    ) -> AsyncIterator[projection_messages.RebuildProjectionResponse]:
        """Rebuild a projection beside the live one; yield its progress until it is swapped in.

        Not repeated when the connection breaks: the rebuild may go on without us, `list_projections` tells.

        Raises:
            RapportError: PROJECTION_UNKNOWN, PROJECTION_REBUILDING, REBUILD_DIFFERS, or the connection broke.
        """
        request = projection_messages.RebuildProjectionRequest(name=name, replace_different=replace_different)
        call = self._projections.RebuildProjection(request)
        phase = projection_messages.REBUILD_PHASE_UNSPECIFIED
        async for frame in read_frames(call, idle_timeout_s):
            phase = frame.phase
            yield frame
        if phase != projection_messages.REBUILD_PHASE_SWAPPED:
            raise ended_early("rebuild")

    @property
    def _projections(self) -> ProjectionServiceStub:
        return self._calls.stub(ProjectionServiceStub)
