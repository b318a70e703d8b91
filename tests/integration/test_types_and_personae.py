"""Types and personae from a file to an answer: a list of one's own is data, and approvals are asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from rapport.events.v1 import attribute_pb2 as a
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import disclosure_pb2 as d
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.relationship_pb2 import RelationshipTypeDeclared
from rapport.events.v1.relationship_types_pb2 import TypeCatalogue
from rapport.relationship.v1 import explaining_pb2
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1 import levels_pb2 as levels
from services.cli.contact_policy_file import read_message
from services.client import Client, Refused
from tests.refusals import metadata_of, reason_of, refusal
from tests.relationship_policies import APPROVERS, has, persona, stands
from tests.server import Serving, serving

IDS: dict[str, Any] = {"organization_id": "shop", "customer_id": "anna"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
async def client(server: Serving) -> AsyncIterator[Client]:
    async with Client(server.target) as made:
        yield made


@pytest.fixture
def stub(server: Serving) -> Any:
    return RelationshipServiceStub(server.channel)


async def came(client: Client) -> int:
    visit = i.InteractionRecorded(
        kind=i.INTERACTION_KIND_VISIT, direction=i.DIRECTION_OBSERVED, initiator=i.INITIATOR_CUSTOMER
    )
    return (await client.record_interaction("shop", "anna", visit)).position


async def explained(stub: Any, **values: Any) -> explaining_pb2.ExplainPersonaResponse:
    request = explaining_pb2.ExplainPersonaRequest(**IDS, persona_id="regulars", **values)
    answer: explaining_pb2.ExplainPersonaResponse = await stub.ExplainPersona(request)
    return answer


async def test_a_list_of_29_types_is_loaded_wished_and_asked_for_by_a_new_slug_without_a_change_of_code(
    client: Client, stub: Any, tmp_path: Path
) -> None:
    rows = [
        f'[[types]]\nslug = "list:type-{number:02}"\ntitle = "Type {number}"\nsource = "a list of our own"\n'
        for number in range(1, 30)
    ]
    (tmp_path / "list.toml").write_text("\n".join(rows))
    await came(client)
    wish = RelationshipTypeDeclared(slug="list:type-29")
    with pytest.raises(Refused) as early:
        await client.declare_relationship_type("shop", "anna", wish)

    catalogue = read_message(tmp_path / "list.toml", TypeCatalogue())
    await client.publish_types("shop", catalogue.message)
    answer = await client.declare_relationship_type("shop", "anna", wish)

    assert {"slug": "list:type-29"} == early.value.metadata
    assert 29 == len([each for each in (await client.list_types("shop")).types if not each.shipped])
    request = pb.GetRelationshipRequest(
        **IDS, measures=[explaining_pb2.MEASURE_GROUP_TYPES], min_position=answer.position
    )
    types = (await stub.GetRelationship(request)).relationship.measures.types
    assert ("list:type-29", answer.position) == (types.desired_slug, types.desired_position)
    assert ("hbr:basic-exchange", d.PROVENANCE_INFERRED) == (types.actual_slug, types.actual_provenance)


async def test_a_persona_is_explained_once_it_is_approved_and_an_undone_clause_ends_membership(
    client: Client, stub: Any
) -> None:
    position = await came(client)
    told = a.AttributeDisclosed(
        key="tea", code="green", indicated_by=c.INDICATED_BY_SUBJECT, interaction_position=position
    )
    disclosed = (await client.disclose_attribute("shop", "anna", told)).position
    await client.define_persona("shop", persona(has("tea", "green"), stands(lifecycles=[levels.LIFECYCLE_ACTIVE])))
    await client.approve_persona("shop", "regulars", 1, APPROVERS[0], "u-1")

    early = await refusal(explained(stub))
    approved = [await client.approve_persona("shop", "regulars", 1, each, "u-1") for each in APPROVERS]
    found = await explained(stub, min_position=approved[-1].position)
    withdrawal = a.AttributeWithdrawn(key="tea", provenance=d.PROVENANCE_DECLARED)
    withdrawn = await client.withdraw_attribute("shop", "anna", withdrawal)
    after = await explained(stub, min_position=withdrawn.position)

    assert grpc.StatusCode.FAILED_PRECONDITION.value[0] == early.code
    assert "PERSONA_NOT_ACTIVE" == reason_of(early)
    assert {"persona_id": "regulars", "version": "1", "approvals": "1", "needed": "3"} == metadata_of(early)
    assert (1, True, list(APPROVERS)) == (found.version, found.member, list(found.approved_functions))
    assert [(1, True, "tea: green (DECLARED)"), (2, True, "ACTIVE")] == [
        (each.number, each.holds, each.value) for each in found.clauses
    ]
    assert [disclosed] == list(found.clauses[0].evidence_positions)
    assert 0 == found.inferred_share.ppm
    assert (False, "tea: not known") == (after.member, after.clauses[0].value)
    assert "PERSONA_UNKNOWN" == reason_of(await refusal(explained(stub, version=2)))
