"""What CustomerService records of a relationship as such, through gRPC: recorded, refused, repeated, shown."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.relationship import RelationshipState
from ledger.domain.times import MICROSECONDS, timestamp
from ledger.log.topics import MESSAGE_BY_TOPIC
from rapport.customer.v1 import customer_service_pb2 as customer
from rapport.customer.v1 import relationship_acts_pb2 as pb
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.disclosure_pb2 import PROVENANCE_DECLARED
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER
from rapport.events.v1.interaction_pb2 import (
    DIRECTION_INBOUND,
    INTERACTION_KIND_MESSAGE,
    InteractionRecorded,
    InteractionRetracted,
)
from rapport.interaction.v1 import interaction_service_pb2 as interaction
from rapport.interaction.v1.interaction_service_pb2_grpc import InteractionServiceStub
from rapport.relationship.v1.relationship_service_pb2 import ListTimelineRequest
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.levels_pb2 import CONTACT_SHAPE_DIAMOND
from tests.good_requests import RELATIONSHIP_ACTS
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import Serving, serving

DAY = 86_400 * MICROSECONDS
MARCH = 1_740_787_200_000_000
STREAM = "acme/anna"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
def stub(server: Serving) -> CustomerServiceStub:
    return CustomerServiceStub(server.channel)


def new(at: int | None = None) -> dict[str, Any]:
    """Return what the requests of all writes have in common."""
    occur_time = None if at is None else timestamp(at)
    return {"organization_id": "acme", "customer_id": "anna", "request_id": str(uuid.uuid4()), "occur_time": occur_time}


async def talk(server: Serving, *, retracted: bool = False, **who: Any) -> int:
    """Record an interaction; return its position."""
    stub = InteractionServiceStub(server.channel)
    event = InteractionRecorded(kind=INTERACTION_KIND_MESSAGE, direction=DIRECTION_INBOUND, **who)
    recorded = await stub.RecordInteraction(interaction.RecordInteractionRequest(**new(MARCH), interaction=event))
    if retracted:
        gone = InteractionRetracted(original_position=recorded.position)
        asked = {name: value for name, value in new().items() if name != "occur_time"}
        await stub.RetractInteraction(interaction.RetractInteractionRequest(**asked, retraction=gone))
    return int(recorded.position)


def fact_of(request: Message) -> Any:
    """Return the fact that a request asks to record: its fifth field."""
    return getattr(request, request.DESCRIPTOR.fields[4].name)


async def folded(server: Serving, as_of: AsOf | None = None) -> RelationshipState:
    """Return the relationship as the ledger folds it in a view."""
    look = await server.app.ledger.look(STREAM, as_of)
    state: RelationshipState = look.state
    return state


def scale(score: int, scale_max: int, **more: Any) -> pb.RecordAssessmentRequest:
    event = r.AssessmentRecorded(dimension="trust", score=score, scale_max=scale_max, **{"instrument": "q1", **more})
    return pb.RecordAssessmentRequest(**new(), assessment=event)


def judged(until: int, at: int | None = None) -> pb.AssessRelationshipTypeRequest:
    event = r.RelationshipTypeAssessed(slug="hbr:buddies", assessor_id="ben", until=timestamp(until))
    return pb.AssessRelationshipTypeRequest(**new(at), assessment=event)


def test_every_rpc_of_relationships_has_a_good_request_here() -> None:
    service = customer.DESCRIPTOR.services_by_name["CustomerService"]
    assert set(RELATIONSHIP_ACTS) == {
        method.name for method in service.methods if method.input_type.file is pb.DESCRIPTOR
    }


async def test_every_write_is_recorded_once_and_answered_alike_when_it_is_repeated(
    stub: CustomerServiceStub, server: Serving
) -> None:
    last = 1
    for name, make in RELATIONSHIP_ACTS.items():
        if name == "EndCommonGround":
            await stub.DeclareCommonGround(RELATIONSHIP_ACTS["DeclareCommonGround"]())  # type: ignore[arg-type]
        request, call = make(), getattr(stub, name)
        first, again = await call(request), await call(request)
        assert last < first.position == server.app.ledger.head.position, name
        assert (False, True) == (first.replayed, again.replayed), name
        again.replayed = False
        assert first == again, name
        last = first.position

    state = await folded(server)
    assert [] == list(state.common_ground.live())
    assert "hbr:basic-exchange" == state.wishes.desired.slug  # type: ignore[union-attr]  # It was just declared.
    assert [(CONTACT_SHAPE_DIAMOND, PARTY_CUSTOMER)] == [(state.shape_wanted.shape, state.ending.latest.by)]  # type: ignore[union-attr]


async def test_a_request_id_that_was_used_for_something_else_is_refused(stub: CustomerServiceStub) -> None:
    request: Any = RELATIONSHIP_ACTS["OpenVector"]()
    await stub.OpenVector(request)
    request.vector.goal = "another"

    assert "REQUEST_ID_REUSED" == reason_of(await refusal(stub.OpenVector(request)))


async def test_all_that_is_wrong_with_a_request_is_named_at_once(stub: CustomerServiceStub) -> None:
    long = "x" * 5_000
    faults: list[tuple[Any, Message, list[str]]] = [
        (
            stub.DeclareCommonGround,
            pb.DeclareCommonGroundRequest(**new(), ground=r.CommonGroundDeclared(ground="No Code", text=long)),
            ["ground.item_id", "ground.ground", "ground.provenance", "ground.text"],
        ),
        (
            stub.DeclareRelationshipType,
            pb.DeclareRelationshipTypeRequest(**{**new(), "organization_id": "Acme", "customer_id": ""}),
            ["organization_id", "customer_id", "wish"],
        ),
        (stub.AssessRelationshipType, judged(MARCH, MARCH), ["assessment.until"]),
        (stub.AssessRelationshipType, judged(MARCH), ["assessment.until"]),
        (
            stub.AssessRelationshipType,
            pb.AssessRelationshipTypeRequest(
                **new(), assessment=r.RelationshipTypeAssessed(slug="s", until=Timestamp(seconds=1, nanos=1))
            ),
            ["assessment.assessor_id", "assessment.until"],
        ),
        (stub.RecordAssessment, scale(4, 0, instrument=""), ["assessment.instrument", "assessment.scale_max"]),
        (stub.RecordAssessment, pb.RecordAssessmentRequest(**new()), ["assessment"]),
        (
            stub.DeclareValueDefinition,
            pb.DeclareValueDefinitionRequest(**new(), definition=r.ValueDefinitionDeclared(values=["ok", "Not"])),
            ["definition.values[1]"],
        ),
        (
            stub.OpenPointOfContact,
            pb.OpenPointOfContactRequest(**new(), point_of_contact=r.PointOfContactOpened(role="Boss")),
            ["point_of_contact.point_of_contact_id", "point_of_contact.side", "point_of_contact.role"],
        ),
        (stub.WantContactShape, pb.WantContactShapeRequest(**new(), wish=r.ContactShapeWanted()), ["wish.shape"]),
        (stub.EndRelationship, pb.EndRelationshipRequest(**new(), ending=r.RelationshipEnded()), ["ending.by"]),
    ]
    for call, request, expected in faults:
        status = await refusal(call(request))
        assert ("REQUEST_INVALID", sorted(expected)) == (reason_of(status), sorted(fields_of(status)))


async def test_an_answer_off_its_scale_is_refused_with_the_scale(stub: CustomerServiceStub) -> None:
    status = await refusal(stub.RecordAssessment(scale(6, 5)))

    assert ("SCALE_INVALID", ["assessment.score"]) == (reason_of(status), fields_of(status))
    assert {"score": "6", "scale_min": "0", "scale_max": "5"}.items() <= metadata_of(status).items()


async def test_what_names_something_unknown_is_refused_with_its_reason(
    stub: CustomerServiceStub, server: Serving
) -> None:
    opened: Any = RELATIONSHIP_ACTS["OpenVector"]()
    reported: Any = RELATIONSHIP_ACTS["ReportObstacle"]()
    wished = r.RelationshipTypeDeclared(slug="own:none")
    answered = r.ValueDefinitionDeclared(values=["time"], asked_position=1)
    unknown: list[tuple[Any, Message, str]] = [
        (stub.EndCommonGround, RELATIONSHIP_ACTS["EndCommonGround"](), "COMMON_GROUND_UNKNOWN"),
        (stub.DeclareRelationshipType, pb.DeclareRelationshipTypeRequest(**new(), wish=wished), "TYPE_UNKNOWN"),
        (stub.RenewVector, RELATIONSHIP_ACTS["RenewVector"](), "VECTOR_UNKNOWN"),
        (stub.FulfilVector, RELATIONSHIP_ACTS["FulfilVector"](), "VECTOR_UNKNOWN"),
        (stub.RemoveObstacle, RELATIONSHIP_ACTS["RemoveObstacle"](), "OBSTACLE_UNKNOWN"),
        (
            stub.DeclareValueDefinition,
            pb.DeclareValueDefinitionRequest(**new(), definition=answered),
            "VALUE_QUESTION_UNKNOWN",
        ),
        (stub.ClosePointOfContact, RELATIONSHIP_ACTS["ClosePointOfContact"](), "POINT_OF_CONTACT_UNKNOWN"),
    ]
    for call, request, expected in unknown:
        assert expected == reason_of(await refusal(call(request)))
    assert 1 == server.app.ledger.head.position

    await stub.OpenVector(opened)
    await stub.ReportObstacle(reported)
    opened.request_id, reported.request_id = str(uuid.uuid4()), str(uuid.uuid4())
    assert "VECTOR_ID_TAKEN" == reason_of(await refusal(stub.OpenVector(opened)))
    assert "OBSTACLE_ID_TAKEN" == reason_of(await refusal(stub.ReportObstacle(reported)))
    fulfilled: Any = RELATIONSHIP_ACTS["FulfilVector"]()
    await stub.FulfilVector(fulfilled)
    fulfilled.request_id = str(uuid.uuid4())
    assert "VECTOR_NOT_OPEN" == reason_of(await refusal(stub.FulfilVector(fulfilled)))


async def test_an_interaction_that_is_named_must_be_one_that_counts(stub: CustomerServiceStub, server: Serving) -> None:
    gone, there = await talk(server, retracted=True), await talk(server)
    await stub.OpenVector(RELATIONSHIP_ACTS["OpenVector"]())  # type: ignore[arg-type]  # It makes that message.
    naming = {
        name: make
        for name, make in RELATIONSHIP_ACTS.items()
        if "interaction_position" in fact_of(make()).DESCRIPTOR.fields_by_name
    }
    assert 8 == len(naming)

    for position, expected in ((10**6, "INTERACTION_UNKNOWN"), (gone, "INTERACTION_RETRACTED"), (there, None)):
        for name, make in naming.items():
            request = make()
            fact_of(request).interaction_position = position
            call = getattr(stub, name)(request)
            assert expected == (reason_of(await refusal(call)) if expected else (await call) and None), name


async def test_somebody_whom_an_interaction_names_can_be_closed(stub: CustomerServiceStub, server: Serving) -> None:
    await talk(server, customer_person_id="eve")

    await stub.ClosePointOfContact(RELATIONSHIP_ACTS["ClosePointOfContact"]())  # type: ignore[arg-type]  # As above.

    (closed,) = (await folded(server)).points_of_contact.closed()
    assert ("eve", PARTY_CUSTOMER) == closed[:2]


async def test_the_past_shows_what_held_then_as_far_as_it_was_known_then(
    stub: CustomerServiceStub, server: Serving
) -> None:
    def wish(slug: str, at: int) -> pb.DeclareRelationshipTypeRequest:
        return pb.DeclareRelationshipTypeRequest(**new(at), wish=r.RelationshipTypeDeclared(slug=slug))

    async def desired(as_of: AsOf) -> str:
        found = (await folded(server, as_of)).wishes.desired
        return "" if found is None else found.slug

    first = await stub.DeclareRelationshipType(wish("hbr:buddies", MARCH + 2 * DAY))
    second = await stub.DeclareRelationshipType(wish("hbr:basic-exchange", MARCH))

    assert "" == await desired(AsOf(occur_time=timestamp(MARCH - 1)))
    assert "hbr:basic-exchange" == await desired(AsOf(occur_time=timestamp(MARCH)))
    assert "hbr:buddies" == await desired(AsOf(occur_time=timestamp(MARCH + 2 * DAY)))
    assert "" == await desired(AsOf(occur_time=timestamp(MARCH), position=first.position))
    assert "hbr:buddies" == await desired(AsOf(occur_time=timestamp(MARCH + 3 * DAY), position=second.position))


async def test_the_timeline_tells_every_fact_of_a_relationship_with_its_words_sealed(
    stub: CustomerServiceStub, server: Serving
) -> None:
    for name, make in RELATIONSHIP_ACTS.items():
        if name != "EndCommonGround":
            await getattr(stub, name)(make())

    answer = await RelationshipServiceStub(server.channel).ListTimeline(
        ListTimelineRequest(organization_id="acme", customer_id="anna")
    )

    shown = {entry.topic: entry for entry in answer.entries}
    topics = {topic for topic, message in MESSAGE_BY_TOPIC.items() if message.DESCRIPTOR.file is r.DESCRIPTOR}
    assert topics - {"common_ground.ended.v1"} == set(shown) - {"privacy.key_created.v1"}
    for topic in topics & set(shown):
        which = shown[topic].WhichOneof("event")
        assert which is not None
        assert MESSAGE_BY_TOPIC[topic] is type(getattr(shown[topic], which))
    ground = shown["common_ground.declared.v1"]
    assert ground.has_personal_part
    assert ("gardens", "", PROVENANCE_DECLARED) == (
        ground.common_ground_declared.ground,
        ground.common_ground_declared.text,
        ground.common_ground_declared.provenance,
    )


async def test_a_promise_tells_by_when_it_is_kept_of_the_policy_in_force(
    stub: CustomerServiceStub, server: Serving
) -> None:
    request: Any = RELATIONSHIP_ACTS["OpenVector"]  # Any write: the relationship must be known.
    await stub.OpenVector(request())
    promise = customer.MakePromiseRequest(**new(), promise={"promise_id": "p-1", "kind": 2})  # type: ignore[arg-type]
    await stub.MakePromise(promise)

    (made,) = (await folded(server)).promises.all()
    assert 7 * 86_400 == made.message.sla_seconds
