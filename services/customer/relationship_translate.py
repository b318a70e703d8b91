"""From requests about the relationship as such to steps. Each refuses with every violation of its request at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.domain.assessment import RecordAssessment, scale_fault
from ledger.domain.common_ground import DeclareCommonGround, EndCommonGround
from ledger.domain.decider import Step
from ledger.domain.ending import EndRelationship
from ledger.domain.errors import Invalid, Violation
from ledger.domain.identifiers import relationship_stream
from ledger.domain.obstacle import RemoveObstacle, ReportObstacle
from ledger.domain.point_of_contact import ClosePointOfContact, OpenPointOfContact, WantContactShape
from ledger.domain.relating import Relate
from ledger.domain.relationship_type import AssessRelationshipType, DeclareRelationshipType
from ledger.domain.times import microseconds
from ledger.domain.value_definition import AskValueDefinition, DeclareValueDefinition
from ledger.domain.vector import FulfilVector, OpenVector, RenewVector
from rapport.customer.v1 import relationship_acts_pb2 as pb
from services.runtime.translating import context_of, time_of
from services.runtime.validation import check


def declare_common_ground(request: pb.DeclareCommonGroundRequest) -> Sequence[Step]:
    """Return the step of a DeclareCommonGround.

    Raises:
        Invalid: the request breaks rules; every violation is named. So do all that follow.
    """
    check(request)
    return _one(DeclareCommonGround, request, request.ground)


def end_common_ground(request: pb.EndCommonGroundRequest) -> Sequence[Step]:
    """Return the step of an EndCommonGround."""
    check(request)
    return _one(EndCommonGround, request, request.ending)


def declare_relationship_type(request: pb.DeclareRelationshipTypeRequest) -> Sequence[Step]:
    """Return the step of a DeclareRelationshipType."""
    check(request)
    return _one(DeclareRelationshipType, request, request.wish)


def assess_relationship_type(request: pb.AssessRelationshipTypeRequest) -> Sequence[Step]:
    """Return the step of an AssessRelationshipType."""
    check(request, *_term_faults(request))
    return _one(AssessRelationshipType, request, request.assessment)


def record_assessment(request: pb.RecordAssessmentRequest) -> Sequence[Step]:
    """Return the step of a RecordAssessment; its step refuses a scale that is wrong where nothing else is."""
    try:
        check(request)
    except Invalid as broken:
        fault = scale_fault(request.assessment) if request.HasField("assessment") else None
        raise Invalid([*broken.violations, *([fault] if fault else [])]) from None
    return _one(RecordAssessment, request, request.assessment)


def open_vector(request: pb.OpenVectorRequest) -> Sequence[Step]:
    """Return the step of an OpenVector."""
    check(request)
    return _one(OpenVector, request, request.vector)


def renew_vector(request: pb.RenewVectorRequest) -> Sequence[Step]:
    """Return the step of a RenewVector."""
    check(request)
    return _one(RenewVector, request, request.renewal)


def fulfil_vector(request: pb.FulfilVectorRequest) -> Sequence[Step]:
    """Return the step of a FulfilVector."""
    check(request)
    return _one(FulfilVector, request, request.fulfilment)


def report_obstacle(request: pb.ReportObstacleRequest) -> Sequence[Step]:
    """Return the step of a ReportObstacle."""
    check(request)
    return _one(ReportObstacle, request, request.obstacle)


def remove_obstacle(request: pb.RemoveObstacleRequest) -> Sequence[Step]:
    """Return the step of a RemoveObstacle."""
    check(request)
    return _one(RemoveObstacle, request, request.removal)


def ask_value_definition(request: pb.AskValueDefinitionRequest) -> Sequence[Step]:
    """Return the step of an AskValueDefinition."""
    check(request)
    return _one(AskValueDefinition, request, request.question)


def declare_value_definition(request: pb.DeclareValueDefinitionRequest) -> Sequence[Step]:
    """Return the step of a DeclareValueDefinition."""
    check(request)
    return _one(DeclareValueDefinition, request, request.definition)


def open_point_of_contact(request: pb.OpenPointOfContactRequest) -> Sequence[Step]:
    """Return the step of an OpenPointOfContact."""
    check(request)
    return _one(OpenPointOfContact, request, request.point_of_contact)


def close_point_of_contact(request: pb.ClosePointOfContactRequest) -> Sequence[Step]:
    """Return the step of a ClosePointOfContact."""
    check(request)
    return _one(ClosePointOfContact, request, request.closing)


def want_contact_shape(request: pb.WantContactShapeRequest) -> Sequence[Step]:
    """Return the step of a WantContactShape."""
    check(request)
    return _one(WantContactShape, request, request.wish)


def end_relationship(request: pb.EndRelationshipRequest) -> Sequence[Step]:
    """Return the step of an EndRelationship."""
    check(request)
    return _one(EndRelationship, request, request.ending)


def _one(step: type[Relate], request: Any, event: Any) -> Sequence[Step]:
    """Return the step that records the event of a request."""
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    occur_time = time_of(request)
    context = context_of(request)
    return (step(stream_id, event, occur_time, context),)


def _term_faults(request: pb.AssessRelationshipTypeRequest) -> list[Violation]:
    """Return what is wrong with the end of a judgement that says when it was made; else the step knows."""
    until = request.assessment.until
    timed = request.HasField("occur_time") and request.assessment.HasField("until")
    if timed and microseconds(until) <= microseconds(request.occur_time):
        return [Violation("assessment.until", "must be later than occur_time")]
    return []
