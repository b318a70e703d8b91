"""Relationship policies, types and personae through gRPC: published, checked, approved, read as of the past."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from ledger.domain.built_in_relationship_policy import BUILT_IN_RELATIONSHIP_POLICY
from ledger.domain.relationship_policy import filled
from ledger.domain.times import timestamp
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_policy_pb2 as p
from rapport.events.v1.persona_pb2 import PersonaApproved, PersonaDefined
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.events.v1.relationship_types_pb2 import TypeCatalogue
from rapport.policy.v1 import relationship_policies_pb2 as pb
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from services.cli.contact_policy_file import read_message
from services.client import Client
from services.policy import servicer as policy_servicer
from services.runtime.settings import Secret
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.relationship_policies import APPROVERS, has, own_type, persona, types
from tests.server import Serving, serving

EXAMPLES = Path(__file__).parents[2] / "examples/relationship"
FUTURE = 4_102_444_800_000_000
Asked = RelationshipPolicy | TypeCatalogue | PersonaDefined
PUBLICATIONS = [RelationshipPolicy(version=1, window_days=10), types(own_type(), version=1), persona(version=1)]
OTHERS = [
    RelationshipPolicy(version=1, window_days=11),
    types(own_type("house:other"), version=1),
    persona(has("tea"), version=1),
]
TOPICS = ["policy.relationship_published.v1", "policy.types_published.v1", "policy.persona_defined.v1"]
KINDS = ["relationship", "types", "persona"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Serving]:
    store = {} if request.param == "sqlite" else {"store_url": Secret(request.getfixturevalue("postgres_url"))}
    async with serving(tmp_path, (policy_servicer,), **store) as running:
        yield running


@pytest.fixture
async def client(server: Serving) -> AsyncIterator[Client]:
    async with Client(server.target) as made:
        yield made


@pytest.fixture
def stub(server: Serving) -> Any:
    return PolicyServiceStub(server.channel)


async def publish(stub: Any, asked: Asked, request_id: str | None = None) -> Any:
    ids: dict[str, Any] = {"organization_id": "shop", "request_id": request_id or str(uuid.uuid4())}
    if isinstance(asked, RelationshipPolicy):
        return await stub.PublishRelationshipPolicy(pb.PublishRelationshipPolicyRequest(**ids, policy=asked))
    if isinstance(asked, TypeCatalogue):
        return await stub.PublishTypes(pb.PublishTypesRequest(**ids, catalogue=asked))
    return await stub.DefinePersona(pb.DefinePersonaRequest(**ids, persona=asked))


async def approve(client: Client, version: int, *functions: Any) -> list[tuple[int, bool]]:
    found = []
    for function in functions:
        answer = await client.approve_persona("shop", "regulars", version, function, "u-1")
        found.append((answer.approvals_count, answer.active))
    return found


# --- Publishing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked, topic", list(zip(PUBLICATIONS, TOPICS, strict=True)))
async def test_what_is_published_is_one_event_of_the_policy_stream(
    server: Serving, stub: Any, asked: Asked, topic: str
) -> None:
    answer = await publish(stub, asked)

    row = server.app.ledger.store.get(answer.position)
    assert row is not None
    assert (topic, "shop/@policy") == (row.topic, row.stream_id)
    assert (1, timestamp(row.record_time), False) == (answer.version, answer.record_time, answer.replayed)


@pytest.mark.parametrize("asked, other, kind", list(zip(PUBLICATIONS, OTHERS, KINDS, strict=True)))
async def test_a_version_stands_a_retry_gets_its_answer_and_other_content_is_refused(
    server: Serving, stub: Any, asked: Asked, other: Asked, kind: str
) -> None:
    request_id = str(uuid.uuid4())
    first = await publish(stub, asked, request_id)
    head = server.app.ledger.head.position

    retried, again = await publish(stub, asked, request_id), await publish(stub, asked)
    status = await refusal(publish(stub, other))

    assert (True, first.position, first.record_time) == (retried.replayed, retried.position, retried.record_time)
    assert (False, 1, first.record_time) == (again.replayed, again.version, again.record_time)
    assert ("POLICY_VERSION_TAKEN", grpc.StatusCode.ALREADY_EXISTS.value[0]) == (reason_of(status), status.code)
    assert {"policy_id": kind, "version": "1", "latest": "1"} == metadata_of(status)
    assert head == server.app.ledger.head.position
    assert "REQUEST_ID_REUSED" == reason_of(await refusal(publish(stub, other, request_id)))


@pytest.mark.parametrize(
    "asked, reason, field",
    [
        (RelationshipPolicy(half_life_days=3651), "REQUEST_INVALID", "policy.half_life_days"),
        (RelationshipPolicy(decay_sha256=b"1"), "REQUEST_INVALID", "policy.decay_sha256"),
        (
            RelationshipPolicy(strength=p.StrengthRules(moderate_from_ppm=700_000)),
            "POLICY_RULES_CONFLICT",
            "policy.strength.moderate_from_ppm",
        ),
        (
            RelationshipPolicy(types=p.TypeRules(fallback_slug="no:type")),
            "TYPE_UNKNOWN",
            "policy.types.fallback_slug",
        ),
        (types(own_type(), own_type()), "REQUEST_INVALID", "catalogue.types[1].slug"),
        (TypeCatalogue(version=1), "REQUEST_INVALID", "catalogue.types"),
        (persona(expected_types=["no:type"]), "TYPE_UNKNOWN", "persona.expected_types[0]"),
        (PersonaDefined(persona_id="x", title="x"), "REQUEST_INVALID", "persona.clauses"),
    ],
)
async def test_what_is_not_well_formed_is_refused_where_it_is_wrong(
    stub: Any, asked: Asked, reason: str, field: str
) -> None:
    status = await refusal(publish(stub, asked))

    assert (reason, [field]) == (reason_of(status), fields_of(status))
    assert grpc.StatusCode.INVALID_ARGUMENT.value[0] == status.code


async def test_a_check_names_every_fault_at_once_and_publishes_nothing(client: Client) -> None:
    asked = RelationshipPolicy(
        window_days=3651,
        strength=p.StrengthRules(weights=p.StrengthWeights(involvement_ppm=1)),
        types=p.TypeRules(fallback_slug="no:type"),
        valuation_policy_id="nobody",
    )
    answer = await client.check_relationship_policy("shop", asked)

    assert {
        "policy.window_days": "REQUEST_INVALID",
        "policy.strength.weights": "REQUEST_INVALID",
        "policy.types.fallback_slug": "TYPE_UNKNOWN",
        "policy.valuation_policy_id": "REQUEST_INVALID",
    } == {each.field: each.reason for each in answer.faults}
    assert not answer.HasField("filled")
    assert [] == list((await client.list_relationship_policies("shop")).policies)


async def test_a_check_answers_with_the_policy_as_it_would_be_stored(client: Client) -> None:
    asked = RelationshipPolicy(window_days=10)

    answer = await client.check_relationship_policy("shop", asked)

    assert [] == list(answer.faults)
    asked.version = 1
    assert filled(asked) == answer.filled


# --- Reading ---------------------------------------------------------------------------------------------------------


async def test_until_one_is_published_the_built_in_policy_is_in_force(client: Client) -> None:
    found = await client.get_relationship_policy("shop")

    assert (BUILT_IN_RELATIONSHIP_POLICY, True, 0) == (found.policy, found.in_force, found.published_position)
    assert [] == list((await client.list_relationship_policies("shop")).policies)


async def test_versions_are_read_by_number_as_of_the_past_and_when_they_count(client: Client, stub: Any) -> None:
    first = await client.publish_relationship_policy("shop", RelationshipPolicy(window_days=10))
    later = RelationshipPolicy(window_days=20, effective_from_time=timestamp(FUTURE))
    await client.publish_relationship_policy("shop", later)

    now = await client.get_relationship_policy("shop")
    then = await client.get_relationship_policy("shop", as_of=AsOf(occur_time=timestamp(FUTURE)))
    second = await client.get_relationship_policy("shop", 2)
    known = await client.list_relationship_policies("shop", as_of=AsOf(position=first.position))
    built_in = await client.get_relationship_policy("shop", built_in=True)

    assert (10, True, 20, True) == (now.policy.window_days, now.in_force, then.policy.window_days, then.in_force)
    assert (20, False) == (second.policy.window_days, second.in_force)
    assert [1] == [each.version for each in known.policies]
    listed = (await client.list_relationship_policies("shop")).policies
    assert [(1, True), (2, False)] == [(each.version, each.in_force) for each in listed]
    assert (180, False) == (built_in.policy.window_days, built_in.in_force)

    unknown = await refusal(
        stub.GetRelationshipPolicy(pb.GetRelationshipPolicyRequest(organization_id="shop", version=3))
    )
    assert ("POLICY_UNKNOWN", {"policy_id": "relationship", "version": "3"}) == (
        reason_of(unknown), metadata_of(unknown),
    )  # fmt: skip
    both = pb.GetRelationshipPolicyRequest(organization_id="shop", version=1, built_in=True)
    assert ["version"] == fields_of(await refusal(stub.GetRelationshipPolicy(both)))


async def test_types_are_listed_by_slug_shipped_and_own_and_for_what_they_are_for(client: Client) -> None:
    before = await client.list_types("shop")
    own = own_type("hbr:buddies", industries=["banking"], countries=["DE"])
    await client.publish_types("shop", types(own, own_type(brands=["b"])))

    found = await client.list_types("shop")
    banking = await client.list_types("shop", industry="retail", country="DE-BY", brand="other")

    assert (23, 0) == (len(before.types), before.version)
    assert all(each.shipped and each.type.source for each in before.types)
    slugs = [each.type.slug for each in found.types]
    assert (sorted(slugs), 24, 1) == (slugs, len(slugs), found.version)
    assert {"hbr:buddies", "house:regular"} == {each.type.slug for each in found.types if not each.shipped}
    assert {"hbr:buddies", "house:regular"} == set(slugs) - {each.type.slug for each in banking.types}
    past = await client.list_types("shop", as_of=AsOf(position=before.position or 1))
    assert 0 == past.version


# --- Personae --------------------------------------------------------------------------------------------------------


async def test_a_persona_is_active_after_the_approvals_of_three_functions(client: Client) -> None:
    assert 1 == (await client.define_persona("shop", persona())).version

    assert [(1, False), (1, False), (2, False), (3, True)] == await approve(
        client, 1, APPROVERS[0], APPROVERS[0], *APPROVERS[1:]
    )
    (found,) = (await client.list_personae("shop")).personae
    assert (True, False) == (found.active, found.retired)
    assert list(APPROVERS) == [each.our_function for each in found.approvals]


async def test_how_many_functions_have_to_approve_is_policy(client: Client) -> None:
    await client.publish_relationship_policy("shop", RelationshipPolicy(persona_approvals=1))
    await client.define_persona("shop", persona())

    assert [(1, True)] == await approve(client, 1, APPROVERS[0])


async def test_a_new_version_has_no_approvals_and_the_one_before_counts_until_it_has_them(client: Client) -> None:
    await client.define_persona("shop", persona())
    await approve(client, 1, *APPROVERS)

    assert 2 == (await client.define_persona("shop", persona(has("tea")))).version
    (listed,) = (await client.list_personae("shop")).personae

    assert (2, False, []) == (listed.persona.version, listed.active, list(listed.approvals))
    assert 1 == listed.active_version
    assert [(1, True), (2, True), (3, True)] == await approve(client, 2, *APPROVERS)
    (listed,) = (await client.list_personae("shop")).personae
    assert (True, 2) == (listed.active, listed.active_version)


async def test_retiring_is_harmless_twice_and_approving_asks_for_a_version_that_is_there(
    client: Client, stub: Any
) -> None:
    await client.define_persona("shop", persona())
    first = await client.retire_persona("shop", "regulars", reason="unused")

    again = await client.retire_persona("shop", "regulars")

    assert (first.record_time, False) == (again.record_time, again.replayed)
    assert [(1, False)] == await approve(client, 1, APPROVERS[0])
    (found,) = (await client.list_personae("shop")).personae
    assert (False, True, 0) == (found.active, found.retired, found.active_version)
    for version, reason in ((0, "REQUEST_INVALID"), (2, "PERSONA_UNKNOWN")):
        asked = PersonaApproved(
            persona_id="regulars", version=version, our_function=i.OUR_FUNCTION_SALES, approver_id="u"
        )
        request = pb.ApprovePersonaRequest(organization_id="shop", request_id=str(uuid.uuid4()), approval=asked)
        assert reason == reason_of(await refusal(stub.ApprovePersona(request)))


# --- Samples ---------------------------------------------------------------------------------------------------------


async def test_the_samples_can_be_published_in_the_order_that_they_name(client: Client) -> None:
    business, cafe = (
        read_message(EXAMPLES / f"{name}.toml", RelationshipPolicy())
        for name in ("business_accounts", "neighbourhood_cafe")
    )
    catalogue = read_message(EXAMPLES / "cafe_types.toml", TypeCatalogue())
    regulars = read_message(EXAMPLES / "persona_quiet_regulars.toml", PersonaDefined())
    assert [] == [*business.faults, *cafe.faults, *catalogue.faults, *regulars.faults]

    early = await client.check_relationship_policy("cafe", cafe.message)
    await client.publish_types("cafe", catalogue.message)
    await client.publish_relationship_policy("cafe", cafe.message)
    await client.define_persona("cafe", regulars.message)
    await client.publish_relationship_policy("acme", business.message)

    assert ["TYPE_UNKNOWN"] == [each.reason for each in early.faults]
    found = (await client.get_relationship_policy("cafe")).policy
    assert (45, "cafe:regular") == (found.half_life_days, found.types.rules[1].slug)


async def test_what_is_published_outlasts_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path, (policy_servicer,)) as first, Client(first.target) as client:
        await client.publish_types("shop", types())
        await client.publish_relationship_policy("shop", RelationshipPolicy(half_life_days=30))
        await client.define_persona("shop", persona())
        await approve(client, 1, *APPROVERS)
        before = [await client.get_relationship_policy("shop"), await client.list_types("shop")]
        personae = await client.list_personae("shop")

    async with serving(tmp_path, (policy_servicer,)) as second, Client(second.target) as client:
        assert before == [await client.get_relationship_policy("shop"), await client.list_types("shop")]
        assert personae == await client.list_personae("shop")
