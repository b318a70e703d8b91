"""The rpcs of CustomerService about the relationship as such: each translates, records, and translates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message

from ledger.domain.decider import Step
from ledger.requests import Receipt
from rapport.customer.v1 import customer_service_pb2_grpc as stubs
from rapport.customer.v1 import relationship_acts_pb2 as pb
from services.customer import relationship_translate as translate
from services.customer.translate import written

Context = grpc.aio.ServicerContext[Any, Any]


class RelationshipActs(stubs.CustomerServiceServicer):
    """Records what is shared, wished, achieved and in the way, who takes part, and an end."""

    @abstractmethod
    async def _record(self, rpc: str, request: Message, steps: Callable[[Any], Sequence[Step]]) -> Receipt:
        """Record what a request asks for; `steps` validates it."""

    async def DeclareCommonGround(  # noqa: N802  # Named by the proto.
        self,
        request: pb.DeclareCommonGroundRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.DeclareCommonGroundResponse:
        """Record what both sides share."""
        receipt = await self._record("DeclareCommonGround", request, translate.declare_common_ground)
        return written(pb.DeclareCommonGroundResponse(), receipt)

    async def EndCommonGround(  # noqa: N802  # Named by the proto.
        self,
        request: pb.EndCommonGroundRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.EndCommonGroundResponse:
        """Record that it is shared no more."""
        receipt = await self._record("EndCommonGround", request, translate.end_common_ground)
        return written(pb.EndCommonGroundResponse(), receipt)

    async def DeclareRelationshipType(  # noqa: N802  # Named by the proto.
        self,
        request: pb.DeclareRelationshipTypeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.DeclareRelationshipTypeResponse:
        """Record the kind of relationship that the customer wishes."""
        receipt = await self._record("DeclareRelationshipType", request, translate.declare_relationship_type)
        return written(pb.DeclareRelationshipTypeResponse(), receipt)

    async def AssessRelationshipType(  # noqa: N802  # Named by the proto.
        self,
        request: pb.AssessRelationshipTypeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.AssessRelationshipTypeResponse:
        """Record what kind of relationship it is, as a named person judges it."""
        receipt = await self._record("AssessRelationshipType", request, translate.assess_relationship_type)
        return written(pb.AssessRelationshipTypeResponse(), receipt)

    async def RecordAssessment(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RecordAssessmentRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RecordAssessmentResponse:
        """Record an answer of a survey, or a judgement."""
        receipt = await self._record("RecordAssessment", request, translate.record_assessment)
        return written(pb.RecordAssessmentResponse(), receipt)

    async def OpenVector(  # noqa: N802  # Named by the proto.
        self,
        request: pb.OpenVectorRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.OpenVectorResponse:
        """Record what the customer wants to achieve."""
        receipt = await self._record("OpenVector", request, translate.open_vector)
        return written(pb.OpenVectorResponse(), receipt)

    async def RenewVector(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RenewVectorRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RenewVectorResponse:
        """Record a new reason to return; a fulfilled vector is open again."""
        receipt = await self._record("RenewVector", request, translate.renew_vector)
        return written(pb.RenewVectorResponse(), receipt)

    async def FulfilVector(  # noqa: N802  # Named by the proto.
        self,
        request: pb.FulfilVectorRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.FulfilVectorResponse:
        """Record that the customer has got what they came for."""
        receipt = await self._record("FulfilVector", request, translate.fulfil_vector)
        return written(pb.FulfilVectorResponse(), receipt)

    async def ReportObstacle(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ReportObstacleRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ReportObstacleResponse:
        """Record what stands in the customer's way."""
        receipt = await self._record("ReportObstacle", request, translate.report_obstacle)
        return written(pb.ReportObstacleResponse(), receipt)

    async def RemoveObstacle(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RemoveObstacleRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RemoveObstacleResponse:
        """Record that an obstacle is gone."""
        receipt = await self._record("RemoveObstacle", request, translate.remove_obstacle)
        return written(pb.RemoveObstacleResponse(), receipt)

    async def AskValueDefinition(  # noqa: N802  # Named by the proto.
        self,
        request: pb.AskValueDefinitionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.AskValueDefinitionResponse:
        """Record that the customer was asked how they define value."""
        receipt = await self._record("AskValueDefinition", request, translate.ask_value_definition)
        return written(pb.AskValueDefinitionResponse(), receipt)

    async def DeclareValueDefinition(  # noqa: N802  # Named by the proto.
        self,
        request: pb.DeclareValueDefinitionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.DeclareValueDefinitionResponse:
        """Record how the customer defines value."""
        receipt = await self._record("DeclareValueDefinition", request, translate.declare_value_definition)
        return written(pb.DeclareValueDefinitionResponse(), receipt)

    async def OpenPointOfContact(  # noqa: N802  # Named by the proto.
        self,
        request: pb.OpenPointOfContactRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.OpenPointOfContactResponse:
        """Record who takes part in the relationship."""
        receipt = await self._record("OpenPointOfContact", request, translate.open_point_of_contact)
        return written(pb.OpenPointOfContactResponse(), receipt)

    async def ClosePointOfContact(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ClosePointOfContactRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ClosePointOfContactResponse:
        """Record that somebody takes part no more."""
        receipt = await self._record("ClosePointOfContact", request, translate.close_point_of_contact)
        return written(pb.ClosePointOfContactResponse(), receipt)

    async def WantContactShape(  # noqa: N802  # Named by the proto.
        self,
        request: pb.WantContactShapeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.WantContactShapeResponse:
        """Record the shape that the organization wants for the relationship."""
        receipt = await self._record("WantContactShape", request, translate.want_contact_shape)
        return written(pb.WantContactShapeResponse(), receipt)

    async def EndRelationship(  # noqa: N802  # Named by the proto.
        self,
        request: pb.EndRelationshipRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.EndRelationshipResponse:
        """Record that one side declares the relationship over."""
        receipt = await self._record("EndRelationship", request, translate.end_relationship)
        return written(pb.EndRelationshipResponse(), receipt)
