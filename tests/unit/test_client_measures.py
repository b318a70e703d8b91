"""Measures through the client: what-ifs and scopes, and explanations that come whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest

from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.relationship.v1 import explaining_pb2 as pb
from rapport.relationship.v1 import relationship_service_pb2 as service
from rapport.relationship.v1.measures_pb2 import Contribution, Measures, Strength
from rapport.type.v1 import levels_pb2 as levels
from services.client import Client, RapportError, RetryPolicy, relationship_view, view
from tests.unit.fake_server import FakeServer, fake_server

QUICK = RetryPolicy(first_delay_s=0.001)
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
Part = pb.ExplainRelationshipResponse


def header(score: int = 300) -> Part:
    measures = Measures(strength=Strength(score_ppm=score))
    return Part(header=pb.ExplanationHeader(position=7, as_of=view(position=7), measures=measures))


def line(ppm: int, component: levels.StrengthComponent.ValueType = levels.STRENGTH_COMPONENT_INVOLVEMENT) -> Part:
    return Part(contribution=Contribution(component=component, contribution_ppm=ppm))


def share(ppm: int) -> Part:
    return Part(share=pb.EventShare(position=abs(ppm), share_ppm=ppm))


def trailer(score: int = 300, lines: int = 3, shares: int = 3) -> Part:
    return Part(trailer=pb.ExplanationTrailer(score_ppm=score, contributions_count=lines, shares_count=shares))


WHOLE = [
    header(),
    Part(evidence=pb.MeasureEvidence(measure="existence.exists", value="true")),
    line(350),
    share(200),
    share(150),
    line(-90, levels.STRENGTH_COMPONENT_SPAM),
    share(-90),
    line(40, levels.STRENGTH_COMPONENT_CLAMP),
    trailer(),
]


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as fake:
        yield fake


async def explained(server: FakeServer, *scripts: Sequence[object], **asked: Any) -> list[Part]:
    server.relationships.why = [list(script) for script in scripts]
    async with Client(server.target, retry=QUICK) as client:
        return [part async for part in client.explain_relationship("acme", "c-1", **asked)]


async def test_an_explanation_comes_whole_and_in_order(server: FakeServer) -> None:
    assert WHOLE == await explained(server, WHOLE, under=3, scope=levels.VIEW_SCOPE_PERSON)

    (asked,) = server.relationships.asked
    assert 3 == asked.under.version
    assert levels.VIEW_SCOPE_PERSON == asked.scope


@pytest.mark.parametrize("after", range(1, len(WHOLE)))
async def test_an_explanation_that_breaks_goes_on_in_the_same_view(server: FakeServer, after: int) -> None:
    assert WHOLE == await explained(server, [*WHOLE[:after], UNAVAILABLE], WHOLE)

    first, second = server.relationships.asked
    assert not first.HasField("as_of")
    assert view(position=7) == second.as_of


@pytest.mark.parametrize(
    "broken, words",
    [
        ([header(), line(300), share(299), trailer(300, 1, 1)], "add up to 299"),
        ([header(), line(200), share(199), line(100), trailer(300, 2, 1)], "add up to 199"),
        ([header(), line(299), trailer(300, 1, 0)], "does not add up"),
        ([header(), line(300), trailer(300, 2, 0)], "does not add up"),
        ([header(), line(300), trailer(300, 1, 1)], "does not add up"),
        ([header(301), line(300), trailer(300, 1, 0)], "not the score that was answered"),
        ([line(300), trailer(300, 1, 0)], "did not begin with its header"),
    ],
)
async def test_an_explanation_that_does_not_add_up_is_an_error(
    server: FakeServer, broken: list[Part], words: str
) -> None:
    with pytest.raises(RapportError, match=words):
        await explained(server, broken)


async def test_one_taken_up_again_with_other_measures_is_an_error(server: FakeServer) -> None:
    with pytest.raises(RapportError, match="other measures"):
        await explained(server, [header(), UNAVAILABLE], [header(301), line(301), trailer(301, 1, 0)])


async def test_one_that_ends_early_every_time_is_an_error(server: FakeServer) -> None:
    with pytest.raises(RapportError):
        await explained(server, *[WHOLE[:-1]] * 30)


async def test_groups_what_ifs_and_scopes_reach_the_server(server: FakeServer) -> None:
    fake = server.relationships
    fake.answers = {
        "GetRelationship": service.GetRelationshipResponse(),
        "BatchGetRelationships": service.BatchGetRelationshipsResponse(),
        "DiffRelationship": pb.DiffRelationshipResponse(),
        "ExplainIdentity": pb.ExplainIdentityResponse(),
        "ExplainPersona": pb.ExplainPersonaResponse(),
    }
    policy, at = RelationshipPolicy(half_life_days=30), view(position=5)
    groups = [pb.MEASURE_GROUP_STRENGTH, pb.MEASURE_GROUP_AXES]

    async with Client(server.target, retry=QUICK) as client:
        await client.get_relationship(
            "acme", "c-1", as_of=at, measures=groups, under=0, scope=levels.VIEW_SCOPE_PERSON, min_position=4
        )
        await client.batch_get_relationships("acme", ["c-1"], measures=groups, under=policy)
        await client.diff_relationship("acme", "c-1", relationship_view(as_of=at), relationship_view(under=policy))
        await client.explain_identity("acme", "c-1", as_of=at)
        await client.explain_persona("acme", "c-1", "regulars", version=2, min_position=3)

    ids: dict[str, Any] = {"organization_id": "acme", "customer_id": "c-1"}
    unpublished = pb.UnderPolicy(unpublished=policy)
    built_in = pb.UnderPolicy(version=0)
    assert [
        service.GetRelationshipRequest(
            **ids, as_of=at, measures=groups, under=built_in, scope=levels.VIEW_SCOPE_PERSON, min_position=4
        ),
        service.BatchGetRelationshipsRequest(
            organization_id="acme", customer_ids=["c-1"], measures=groups, under=unpublished
        ),
        pb.DiffRelationshipRequest(**ids, a=pb.RelationshipView(as_of=at), b=pb.RelationshipView(under=unpublished)),
        pb.ExplainIdentityRequest(**ids, as_of=at),
        pb.ExplainPersonaRequest(**ids, persona_id="regulars", version=2, min_position=3),
    ] == fake.asked
    assert "version" == fake.asked[0].under.WhichOneof("policy")
