"""What is recorded about a relationship as such: shared, wished, achieved, in the way, who takes part, its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.customer.v1 import relationship_acts_pb2 as messages
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from services.client.calls import Subject, request_id_or_new
from services.client.values import timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.events.v1.relationship_pb2 import (
        AssessmentRecorded,
        CommonGroundDeclared,
        CommonGroundEnded,
        ContactShapeWanted,
        ObstacleRemoved,
        ObstacleReported,
        PointOfContactClosed,
        PointOfContactOpened,
        RelationshipEnded,
        RelationshipTypeAssessed,
        RelationshipTypeDeclared,
        ValueDefinitionAsked,
        ValueDefinitionDeclared,
        VectorFulfilled,
        VectorOpened,
        VectorRenewed,
    )
    from rapport.type.v1.event_context_pb2 import EventContext


class RelationshipFacts(Subject):
    """CustomerService, as far as it tells of the relationship as such. Writes take a `request_id` or make one."""

    async def declare_common_ground(
        self,
        organization_id: str,
        customer_id: str,
        ground: CommonGroundDeclared,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.DeclareCommonGroundResponse:
        """Record what both sides share; declared again under one id, it is replaced.

        Raises:
            RapportError: INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any call may meet.
        """
        request = messages.DeclareCommonGroundRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            ground=ground,
            context=context,
        )
        return await self._calls.call(self._customers.DeclareCommonGround, request, timeout_s)

    async def end_common_ground(
        self,
        organization_id: str,
        customer_id: str,
        ending: CommonGroundEnded,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.EndCommonGroundResponse:
        """Record that it is shared no more.

        Raises:
            RapportError: COMMON_GROUND_UNKNOWN, or what any call may meet.
        """
        request = messages.EndCommonGroundRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            ending=ending,
            context=context,
        )
        return await self._calls.call(self._customers.EndCommonGround, request, timeout_s)

    async def declare_relationship_type(
        self,
        organization_id: str,
        customer_id: str,
        wish: RelationshipTypeDeclared,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.DeclareRelationshipTypeResponse:
        """Record the kind of relationship that the customer wishes.

        Raises:
            RapportError: TYPE_UNKNOWN, INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any call may meet.
        """
        request = messages.DeclareRelationshipTypeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            wish=wish,
            context=context,
        )
        return await self._calls.call(self._customers.DeclareRelationshipType, request, timeout_s)

    async def assess_relationship_type(
        self,
        organization_id: str,
        customer_id: str,
        assessment: RelationshipTypeAssessed,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.AssessRelationshipTypeResponse:
        """Record what kind of relationship it is, as a named person judges it.

        Raises:
            RapportError: TYPE_UNKNOWN, or what any call may meet.
        """
        request = messages.AssessRelationshipTypeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            assessment=assessment,
            context=context,
        )
        return await self._calls.call(self._customers.AssessRelationshipType, request, timeout_s)

    async def record_assessment(
        self,
        organization_id: str,
        customer_id: str,
        assessment: AssessmentRecorded,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RecordAssessmentResponse:
        """Record an answer of a survey, or a judgement.

        Raises:
            RapportError: SCALE_INVALID, INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any call may meet.
        """
        request = messages.RecordAssessmentRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            assessment=assessment,
            context=context,
        )
        return await self._calls.call(self._customers.RecordAssessment, request, timeout_s)

    async def open_vector(
        self,
        organization_id: str,
        customer_id: str,
        vector: VectorOpened,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.OpenVectorResponse:
        """Record what the customer wants to achieve.

        Raises:
            RapportError: VECTOR_ID_TAKEN, or what any call may meet.
        """
        request = messages.OpenVectorRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            vector=vector,
            context=context,
        )
        return await self._calls.call(self._customers.OpenVector, request, timeout_s)

    async def renew_vector(
        self,
        organization_id: str,
        customer_id: str,
        renewal: VectorRenewed,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RenewVectorResponse:
        """Record a new reason to return; a fulfilled vector is open again.

        Raises:
            RapportError: VECTOR_UNKNOWN, or what any call may meet.
        """
        request = messages.RenewVectorRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            renewal=renewal,
            context=context,
        )
        return await self._calls.call(self._customers.RenewVector, request, timeout_s)

    async def fulfil_vector(
        self,
        organization_id: str,
        customer_id: str,
        fulfilment: VectorFulfilled,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.FulfilVectorResponse:
        """Record that the customer has got what they came for.

        Raises:
            RapportError: VECTOR_UNKNOWN, VECTOR_NOT_OPEN, INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any call
                may meet.
        """
        request = messages.FulfilVectorRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            fulfilment=fulfilment,
            context=context,
        )
        return await self._calls.call(self._customers.FulfilVector, request, timeout_s)

    async def report_obstacle(
        self,
        organization_id: str,
        customer_id: str,
        obstacle: ObstacleReported,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.ReportObstacleResponse:
        """Record what stands in the customer's way.

        Raises:
            RapportError: OBSTACLE_ID_TAKEN, INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any call may meet.
        """
        request = messages.ReportObstacleRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            obstacle=obstacle,
            context=context,
        )
        return await self._calls.call(self._customers.ReportObstacle, request, timeout_s)

    async def remove_obstacle(
        self,
        organization_id: str,
        customer_id: str,
        removal: ObstacleRemoved,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RemoveObstacleResponse:
        """Record that an obstacle is gone.

        Raises:
            RapportError: OBSTACLE_UNKNOWN, or what any call may meet.
        """
        request = messages.RemoveObstacleRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            removal=removal,
            context=context,
        )
        return await self._calls.call(self._customers.RemoveObstacle, request, timeout_s)

    async def ask_value_definition(
        self,
        organization_id: str,
        customer_id: str,
        question: ValueDefinitionAsked,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.AskValueDefinitionResponse:
        """Record that the customer was asked how they define value.

        Raises:
            RapportError: INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any call may meet.
        """
        request = messages.AskValueDefinitionRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            question=question,
            context=context,
        )
        return await self._calls.call(self._customers.AskValueDefinition, request, timeout_s)

    async def declare_value_definition(
        self,
        organization_id: str,
        customer_id: str,
        definition: ValueDefinitionDeclared,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.DeclareValueDefinitionResponse:
        """Record how the customer defines value.

        Raises:
            RapportError: VALUE_QUESTION_UNKNOWN, INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any call may meet.
        """
        request = messages.DeclareValueDefinitionRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            definition=definition,
            context=context,
        )
        return await self._calls.call(self._customers.DeclareValueDefinition, request, timeout_s)

    async def open_point_of_contact(
        self,
        organization_id: str,
        customer_id: str,
        point_of_contact: PointOfContactOpened,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.OpenPointOfContactResponse:
        """Record who takes part in the relationship."""
        request = messages.OpenPointOfContactRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            point_of_contact=point_of_contact,
            context=context,
        )
        return await self._calls.call(self._customers.OpenPointOfContact, request, timeout_s)

    async def close_point_of_contact(
        self,
        organization_id: str,
        customer_id: str,
        closing: PointOfContactClosed,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.ClosePointOfContactResponse:
        """Record that somebody takes part no more.

        Raises:
            RapportError: POINT_OF_CONTACT_UNKNOWN, or what any call may meet.
        """
        request = messages.ClosePointOfContactRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            closing=closing,
            context=context,
        )
        return await self._calls.call(self._customers.ClosePointOfContact, request, timeout_s)

    async def want_contact_shape(
        self,
        organization_id: str,
        customer_id: str,
        wish: ContactShapeWanted,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.WantContactShapeResponse:
        """Record the shape that the organization wants for the relationship."""
        request = messages.WantContactShapeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            wish=wish,
            context=context,
        )
        return await self._calls.call(self._customers.WantContactShape, request, timeout_s)

    async def end_relationship(
        self,
        organization_id: str,
        customer_id: str,
        ending: RelationshipEnded,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.EndRelationshipResponse:
        """Record that one side declares the relationship over.

        Raises:
            RapportError: INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any call may meet.
        """
        request = messages.EndRelationshipRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            ending=ending,
            context=context,
        )
        return await self._calls.call(self._customers.EndRelationship, request, timeout_s)

    @property
    def _customers(self) -> CustomerServiceStub:
        return self._calls.stub(CustomerServiceStub)
