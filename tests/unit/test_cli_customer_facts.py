"""`rapport customer ground|type|assess|value|vector|obstacle|point-of-contact|shape|end`: what is sent and printed."""

from __future__ import annotations

import json

import pytest
from google.protobuf.message import Message

from ledger.domain.times import timestamp
from rapport.customer.v1 import relationship_acts_pb2 as pb
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.consent_pb2 import INDICATED_BY_GUARDIAN, INDICATED_BY_SUBJECT
from rapport.events.v1.disclosure_pb2 import PROVENANCE_DECLARED, PROVENANCE_OBSERVED
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, OUR_FUNCTION_SALES, OUR_FUNCTION_STORE
from rapport.type.v1.levels_pb2 import CONTACT_SHAPE_BOW_TIE
from services.cli import exits
from services.cli.__main__ import main
from tests.unit import answering_server
from tests.unit.answering_server import AnsweringServer
from tests.unit.command_line import run_line

MARCH = 1_740_787_200_000_000
SENT: list[tuple[str, str, Message]] = [
    (
        "ground declare acme c-1 g-1 --ground chess --told-in 3 --text words",
        "DeclareCommonGround",
        r.CommonGroundDeclared(
            item_id="g-1", ground="chess", provenance=PROVENANCE_DECLARED, interaction_position=3, text="words"
        ),
    ),
    (
        "ground declare acme c-1 g-1 --ground chess --provenance observed",
        "DeclareCommonGround",
        r.CommonGroundDeclared(item_id="g-1", ground="chess", provenance=PROVENANCE_OBSERVED),
    ),
    (
        "ground end acme c-1 g-1 --reason moved",
        "EndCommonGround",
        r.CommonGroundEnded(item_id="g-1", reason="moved"),
    ),
    (
        "type wish acme c-1 hbr:buddies --indicated-by guardian --indicated-by-id g-9 --told-in 3 --text words",
        "DeclareRelationshipType",
        r.RelationshipTypeDeclared(
            slug="hbr:buddies",
            indicated_by=INDICATED_BY_GUARDIAN,
            indicated_by_id="g-9",
            interaction_position=3,
            text="words",
        ),
    ),
    (
        "type assess acme c-1 hbr:buddies --assessor ben --function sales --until 2025-03-01T00:00:00Z --text words",
        "AssessRelationshipType",
        r.RelationshipTypeAssessed(
            slug="hbr:buddies",
            assessor_id="ben",
            our_function=OUR_FUNCTION_SALES,
            until=timestamp(MARCH),
            text="words",
        ),
    ),
    (
        "type assess acme c-1 hbr:buddies --assessor ben",
        "AssessRelationshipType",
        r.RelationshipTypeAssessed(slug="hbr:buddies", assessor_id="ben"),
    ),
    (
        "assess acme c-1 q1 trust -1 --from -2 --to 2 --assessor ben --told-in 3 --text words",
        "RecordAssessment",
        r.AssessmentRecorded(
            instrument="q1",
            dimension="trust",
            score=-1,
            scale_min=-2,
            scale_max=2,
            assessor_id="ben",
            interaction_position=3,
            text="words",
        ),
    ),
    (
        "value ask acme c-1 --channel email --told-in 3",
        "AskValueDefinition",
        r.ValueDefinitionAsked(channel=CHANNEL_EMAIL, interaction_position=3),
    ),
    (
        "value declare acme c-1 time quiet --asked-at 4 --told-in 3 --text words",
        "DeclareValueDefinition",
        r.ValueDefinitionDeclared(
            asked_position=4,
            values=["time", "quiet"],
            indicated_by=INDICATED_BY_SUBJECT,
            interaction_position=3,
            text="words",
        ),
    ),
    (
        "vector open acme c-1 v-1 --goal play --next-reason lesson --programme beginners --text words",
        "OpenVector",
        r.VectorOpened(vector_id="v-1", goal="play", next_reason="lesson", programme="beginners", text="words"),
    ),
    (
        "vector renew acme c-1 v-1 --next-reason concert --text words",
        "RenewVector",
        r.VectorRenewed(vector_id="v-1", next_reason="concert", text="words"),
    ),
    (
        "vector fulfil acme c-1 v-1 --told-in 3 --reason played",
        "FulfilVector",
        r.VectorFulfilled(vector_id="v-1", interaction_position=3, reason="played"),
    ),
    (
        "obstacle report acme c-1 o-1 --obstacle no.parking --function store --told-in 3 --text words",
        "ReportObstacle",
        r.ObstacleReported(
            obstacle_id="o-1",
            obstacle="no.parking",
            our_function=OUR_FUNCTION_STORE,
            interaction_position=3,
            text="words",
        ),
    ),
    (
        "obstacle remove acme c-1 o-1 --reason car.park",
        "RemoveObstacle",
        r.ObstacleRemoved(obstacle_id="o-1", reason="car.park"),
    ),
    (
        "point-of-contact open acme c-1 ben --side organization --function sales --role adviser",
        "OpenPointOfContact",
        r.PointOfContactOpened(
            point_of_contact_id="ben", side=PARTY_ORGANIZATION, our_function=OUR_FUNCTION_SALES, role="adviser"
        ),
    ),
    (
        "point-of-contact close acme c-1 ben --reason left",
        "ClosePointOfContact",
        r.PointOfContactClosed(point_of_contact_id="ben", reason="left"),
    ),
    ("shape acme c-1 bow_tie", "WantContactShape", r.ContactShapeWanted(shape=CONTACT_SHAPE_BOW_TIE)),
    (
        "end acme c-1 --by customer --reason moved --told-in 3 --text words",
        "EndRelationship",
        r.RelationshipEnded(by=PARTY_CUSTOMER, reason="moved", interaction_position=3, text="words"),
    ),
]

server = answering_server.server


async def run(server: AnsweringServer, command: str) -> int:
    return await run_line(server.target, *f"customer {command}".split())


@pytest.mark.parametrize("command, rpc, event", SENT, ids=[command.split(" acme")[0] for command, _, _ in SENT])
async def test_each_command_sends_its_fact_with_who_and_when(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str], command: str, rpc: str, event: Message
) -> None:
    server.answers[rpc] = getattr(pb, f"{rpc}Response")(position=7, version=5, record_time=timestamp(MARCH))

    assert exits.OK == await run(server, f"{command} --at 2025-03-01T00:00:00Z --actor ada")

    request = server.last
    assert f"{rpc}Request" == type(request).__name__
    assert event == getattr(request, request.DESCRIPTOR.fields[4].name)
    assert ("acme", "c-1", timestamp(MARCH), "ada") == (
        request.organization_id,
        request.customer_id,
        request.occur_time,
        request.context.actor,
    )
    printed = capsys.readouterr().out.split()
    assert ["position", "7", "version", "5", "recorded", "2025-03-01T00:00:00Z"] == printed


def test_every_rpc_has_its_command() -> None:
    requests = {
        name.removesuffix("Request") for name in pb.DESCRIPTOR.message_types_by_name if name.endswith("Request")
    }
    assert requests == {rpc for _, rpc, _ in SENT}


async def test_answers_are_printed_as_json_too(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["OpenVector"] = pb.OpenVectorResponse(position=7, version=5, replayed=True)

    await run(server, "vector open acme c-1 v-1 --goal play --json")

    assert {"position": "7", "version": "5", "replayed": True} == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "command",
    [
        "assess acme c-1 q1 trust 1.5 --to 5",
        "assess acme c-1 q1 trust 99999999999 --to 5",
        "assess acme c-1 q1 trust 4294967296 --to 5",
        "assess acme c-1 q1 trust 4",
        "shape acme c-1 round",
        "end acme c-1",
        "point-of-contact open acme c-1 ben --side other",
        "type assess acme c-1 hbr:buddies",
        "vector renew acme c-1 v-1",
    ],
)
def test_what_cannot_be_meant_is_not_sent(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["customer", *command.split()])
    assert exits.USAGE == ended.value.code
    assert "usage:" in capsys.readouterr().err
