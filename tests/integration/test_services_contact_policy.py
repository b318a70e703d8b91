"""Contact policies, purposes and attributes through gRPC, on both stores: published, checked, read as of the past."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from ledger.domain.built_in_contact_policy import BUILT_IN_CONTACT_POLICY
from ledger.domain.built_in_purposes import BUILT_IN_PURPOSES
from ledger.domain.contact_policy import filled
from ledger.domain.times import timestamp
from rapport.events.v1.consent_pb2 import LEGAL_BASIS_SOFT_OPT_IN
from rapport.events.v1.contact_policy_pb2 import (
    AttributeCatalogue,
    BasisRule,
    ContactPolicy,
    DoubleOptInRule,
    FrequencyCap,
    HonourRule,
    JurisdictionRules,
    KeywordRules,
    LegalSource,
    PurposeRegistry,
)
from rapport.events.v1.interaction_pb2 import INTERACTION_KIND_PURCHASE
from rapport.events.v1.preference_pb2 import PERIOD_DAY, Period
from rapport.policy.v1 import contact_policies_pb2 as pb
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from services.client import Client
from services.policy import servicer as policy_servicer
from services.runtime.settings import Secret
from tests.contact_policies import catalogue, contact_policy, definition, purpose, registry
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import Serving, serving

FUTURE = 4_102_444_800_000_000
JANUARY, MARCH = 1_767_225_600_000_000, 1_772_323_200_000_000
PUBLICATIONS = [contact_policy(), registry(), catalogue()]
OTHERS = [contact_policy(permit_seconds=60), registry(purpose("other")), catalogue(definition("other"))]
KINDS = ["contact", "purposes", "attributes"]
TOPICS = ["policy.contact_published.v1", "policy.purposes_published.v1", "policy.attributes_published.v1"]

Asked = ContactPolicy | PurposeRegistry | AttributeCatalogue


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


def publishing(asked: Asked, request_id: str | None = None) -> Any:
    """The request to publish something."""
    ids: dict[str, Any] = {"organization_id": "shop", "request_id": request_id or str(uuid.uuid4())}
    if isinstance(asked, ContactPolicy):
        return pb.PublishContactPolicyRequest(**ids, policy=asked)
    if isinstance(asked, PurposeRegistry):
        return pb.PublishPurposesRequest(**ids, registry=asked)
    return pb.PublishAttributeCatalogueRequest(**ids, catalogue=asked)


async def publish(stub: Any, asked: Asked, request_id: str | None = None) -> Any:
    request = publishing(asked, request_id)
    return await getattr(stub, type(request).__name__.removesuffix("Request"))(request)


def checking(asked: ContactPolicy | None) -> pb.CheckContactPolicyRequest:
    return pb.CheckContactPolicyRequest(organization_id="shop", policy=asked)


async def in_force(client: Client, **values: Any) -> int:
    as_of = AsOf(**values) if values else None
    return (await client.get_contact_policy("shop", as_of=as_of)).policy.version


def unnumbered(asked: Asked) -> Any:
    made = type(asked)()
    made.CopyFrom(asked)  # type: ignore[arg-type]  # Of its own type.
    made.ClearField("version")
    return made


# --- Publishing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked, topic", list(zip(PUBLICATIONS, TOPICS, strict=True)))
async def test_what_is_published_is_one_event_of_the_policy_stream(
    server: Serving, stub: Any, asked: Asked, topic: str
) -> None:
    answer = await publish(stub, unnumbered(asked))

    row = server.app.ledger.store.get(answer.position)
    assert row is not None
    assert (topic, "shop/@policy") == (row.topic, row.stream_id)
    assert (1, timestamp(row.record_time), False) == (answer.version, answer.record_time, answer.replayed)


@pytest.mark.parametrize("asked", PUBLICATIONS)
async def test_a_retry_gets_the_first_answer_also_after_later_versions(stub: Any, asked: Asked) -> None:
    asked, request_id = unnumbered(asked), str(uuid.uuid4())
    first = await publish(stub, asked, request_id)
    await publish(stub, asked)

    again = await publish(stub, asked, request_id)

    assert again.replayed
    assert (1, first.position, first.record_time) == (again.version, again.position, again.record_time)


@pytest.mark.parametrize("asked", PUBLICATIONS)
async def test_the_same_content_again_is_answered_with_where_it_stands(
    server: Serving, stub: Any, asked: Asked
) -> None:
    first = await publish(stub, asked)
    await publish(stub, unnumbered(asked))
    head = server.app.ledger.head.position

    again = await publish(stub, asked)

    assert head == server.app.ledger.head.position == again.position
    assert (1, first.record_time, False) == (again.version, again.record_time, again.replayed)


@pytest.mark.parametrize("asked", PUBLICATIONS)
async def test_of_publications_at_once_each_gets_a_number_of_its_own(stub: Any, asked: Asked) -> None:
    answers = await asyncio.gather(*(publish(stub, unnumbered(asked)) for _ in range(8)))

    assert list(range(1, 9)) == sorted(answer.version for answer in answers)


@pytest.mark.parametrize("asked, other", list(zip(PUBLICATIONS, OTHERS, strict=True)))
async def test_a_request_id_belongs_to_one_publication(stub: Any, asked: Asked, other: Asked) -> None:
    request_id = str(uuid.uuid4())
    await publish(stub, asked, request_id)

    assert "REQUEST_ID_REUSED" == reason_of(await refusal(publish(stub, other, request_id)))


@pytest.mark.parametrize("asked, other, kind", list(zip(PUBLICATIONS, OTHERS, KINDS, strict=True)))
async def test_a_version_is_never_changed(server: Serving, stub: Any, asked: Asked, other: Asked, kind: str) -> None:
    await publish(stub, asked)
    head = server.app.ledger.head.position

    status = await refusal(publish(stub, other))

    assert ("POLICY_VERSION_TAKEN", grpc.StatusCode.ALREADY_EXISTS.value[0]) == (reason_of(status), status.code)
    assert {"policy_id": kind, "version": "1", "latest": "1"} == metadata_of(status)
    assert [".version"] == [field[field.index(".") :] for field in fields_of(status)]
    assert head == server.app.ledger.head.position


@pytest.mark.parametrize(
    "asked, reason, field",
    [
        (contact_policy(default_time_zones=["Mars/Olympus"]), "REQUEST_INVALID", "policy.default_time_zones[0]"),
        (
            contact_policy(caps=[FrequencyCap(count=n, period=PERIOD_DAY) for n in (1, 2)]),
            "POLICY_RULES_CONFLICT",
            "policy.caps[1]",
        ),
        (
            contact_policy(double_opt_in=[DoubleOptInRule(purposes=["nonsense"])]),
            "REQUEST_INVALID",
            "policy.double_opt_in[0].purposes[0]",
        ),
        (
            contact_policy(
                sources=[
                    LegalSource(field="search_days", source=f"{n}" + "x" * 490, checked_on="2026-01-01")
                    for n in range(256)
                ]
            ),
            "EVENT_TOO_LARGE",
            "policy.sources",
        ),
        (contact_policy(search_days=32), "REQUEST_INVALID", "policy.search_days"),
        (registry(purpose("a"), purpose("a")), "REQUEST_INVALID", "registry.purposes[1].slug"),
        (registry(purpose("No Slug")), "REQUEST_INVALID", "registry.purposes[0].slug"),
        (catalogue(definition(purposes=["nonsense"])), "REQUEST_INVALID", "catalogue.attributes[0].purposes[0]"),
        (AttributeCatalogue(version=1), "REQUEST_INVALID", "catalogue.attributes"),
    ],
)
async def test_what_is_refused_is_refused_by_its_reason_and_changes_nothing(
    server: Serving, stub: Any, asked: Asked, reason: str, field: str
) -> None:
    head = server.app.ledger.head.position

    status = await refusal(publish(stub, asked))

    assert (reason, grpc.StatusCode.INVALID_ARGUMENT.value[0]) == (reason_of(status), status.code)
    assert [field] == fields_of(status)
    assert head == server.app.ledger.head.position


@pytest.mark.parametrize("asked, name", list(zip(PUBLICATIONS, ["policy", "registry", "catalogue"], strict=True)))
async def test_publishing_nothing_is_refused(stub: Any, asked: Asked, name: str) -> None:
    request = publishing(asked)
    request.ClearField(name)

    call = getattr(stub, type(request).__name__.removesuffix("Request"))
    assert [name] == fields_of(await refusal(call(request)))


async def test_purposes_have_to_be_published_before_what_names_them(stub: Any, client: Client) -> None:
    asked = contact_policy(double_opt_in=[DoubleOptInRule(purposes=["tea.letters"])])
    assert "REQUEST_INVALID" == reason_of(await refusal(publish(stub, asked)))

    await client.publish_purposes("shop", registry(purpose("tea.letters")))

    assert 1 == (await client.publish_contact_policy("shop", asked)).version


# --- Checking --------------------------------------------------------------------------------------------------------


async def test_a_check_publishes_nothing_and_returns_what_would_be_stored(server: Serving, client: Client) -> None:
    asked = ContactPolicy(effective_from_time=timestamp(JANUARY), caps=[FrequencyCap(count=1, period=PERIOD_DAY)])
    head = server.app.ledger.head.position

    answer = await client.check_contact_policy("shop", asked)

    assert head == server.app.ledger.head.position == answer.position
    assert not answer.faults
    await client.publish_contact_policy("shop", asked)
    assert answer.policy == (await client.get_contact_policy("shop")).policy


async def test_a_check_tells_faults_of_fields_and_of_the_whole_together(stub: Any, client: Client) -> None:
    await publish(stub, contact_policy())
    asked = contact_policy(
        search_days=99,
        default_time_zones=["Mars/Olympus"],
        caps=[FrequencyCap(count=1, period=Period.PERIOD_UNSPECIFIED)] * 2,
        sources=[LegalSource(field="search_days", source="a law", checked_on="the other day")],
    )

    answer = await client.check_contact_policy("shop", asked)

    assert [
        ("policy.caps[0].period", "REQUEST_INVALID"),
        ("policy.caps[1]", "POLICY_RULES_CONFLICT"),
        ("policy.caps[1].period", "REQUEST_INVALID"),
        ("policy.default_time_zones[0]", "REQUEST_INVALID"),
        ("policy.search_days", "REQUEST_INVALID"),
        ("policy.sources[0].checked_on", "REQUEST_INVALID"),
        ("policy.version", "POLICY_VERSION_TAKEN"),
    ] == sorted((fault.field, fault.reason) for fault in answer.faults)
    assert not answer.HasField("policy")


async def test_a_check_tells_legal_numbers_that_nobody_vouches_for(client: Client) -> None:
    asked = ContactPolicy(
        jurisdictions=[JurisdictionRules(jurisdiction=name, minor_age=16) for name in ("DE", "IE")],
        sources=[LegalSource(field="jurisdictions[1]", source="GDPR Article 8", checked_on="2026-01-01")],
    )

    answer = await client.check_contact_policy("shop", asked)

    assert ["jurisdictions[0].minor_age"] == list(answer.unsourced)
    assert not answer.faults


async def test_a_check_of_nothing_is_refused(stub: Any) -> None:
    assert ["policy"] == fields_of(await refusal(stub.CheckContactPolicy(checking(None))))


@pytest.mark.timeout(20)
async def test_a_check_of_far_too_much_is_answered_soon(stub: Any) -> None:
    rule = BasisRule(legal_basis=LEGAL_BASIS_SOFT_OPT_IN, interaction_kinds=[INTERACTION_KIND_PURCHASE])

    source = LegalSource(field="search_days", source="x", checked_on="2026-01-01")

    rules = await stub.CheckContactPolicy(checking(ContactPolicy(basis_rules=[rule] * 5_000)))
    words = await stub.CheckContactPolicy(checking(ContactPolicy(keywords=KeywordRules(words=map(str, range(9_000))))))
    sources = await stub.CheckContactPolicy(
        checking(ContactPolicy(honour=[HonourRule(days=1)] * 5_000, sources=[source] * 1_000))
    )
    too_large = await stub.CheckContactPolicy(checking(ContactPolicy(basis_rules=[rule] * 30_000)))

    assert ["policy.basis_rules"] == [fault.field for fault in rules.faults]
    assert ["policy.keywords.words"] == [fault.field for fault in words.faults]
    assert {"policy.honour", "policy.sources"} < {fault.field for fault in sources.faults}
    assert ["policy.basis_rules", "policy.sources"] == [fault.field for fault in too_large.faults]


# --- Reading ---------------------------------------------------------------------------------------------------------


async def test_until_something_is_published_the_built_in_ones_count(client: Client) -> None:
    policy = await client.get_contact_policy("shop")
    purposes = await client.list_purposes("shop")
    attributes = await client.list_attribute_definitions("shop")

    assert (BUILT_IN_CONTACT_POLICY, 0, True) == (policy.policy, policy.published_position, policy.in_force)
    assert not policy.HasField("record_time")
    assert (BUILT_IN_PURPOSES, 0) == (purposes.registry, purposes.versions_count)
    assert AttributeCatalogue() == attributes.catalogue
    assert [] == list((await client.list_contact_policies("shop")).policies)


async def test_the_built_in_policy_is_shown_when_asked_for(client: Client) -> None:
    await client.publish_contact_policy("shop", ContactPolicy(permit_seconds=60))

    built_in = await client.get_contact_policy("shop", built_in=True)

    assert (BUILT_IN_CONTACT_POLICY, False) == (built_in.policy, built_in.in_force)
    assert 60 == (await client.get_contact_policy("shop")).policy.permit_seconds


async def test_a_policy_is_read_back_whole_with_the_time_it_counts_from(client: Client) -> None:
    answer = await client.publish_contact_policy("shop", ContactPolicy(permit_seconds=60))

    found = await client.get_contact_policy("shop")

    expected = filled(ContactPolicy(version=1, permit_seconds=60))
    expected.effective_from_time.CopyFrom(answer.record_time)
    assert (expected, True) == (found.policy, found.in_force)
    assert (answer.position, answer.record_time) == (found.published_position, found.record_time)


async def test_versions_are_listed_by_number_and_the_one_in_force_is_told(client: Client) -> None:
    for begins in (JANUARY, FUTURE, MARCH):
        await client.publish_contact_policy("shop", ContactPolicy(effective_from_time=timestamp(begins)))

    listed = (await client.list_contact_policies("shop")).policies

    assert [(1, JANUARY, False), (2, FUTURE, False), (3, MARCH, True)] == [
        (each.version, each.effective_from_time.ToMicroseconds(), each.in_force) for each in listed
    ]
    later = await client.list_contact_policies("shop", as_of=AsOf(occur_time=timestamp(FUTURE)))
    assert [2] == [each.version for each in later.policies if each.in_force]


async def test_what_was_known_decides_which_versions_there_are_and_the_time_which_is_in_force(client: Client) -> None:
    first = await client.publish_contact_policy("shop", ContactPolicy(effective_from_time=timestamp(JANUARY)))
    await client.publish_contact_policy("shop", ContactPolicy(effective_from_time=timestamp(MARCH)))

    # Published long after the times asked about, and in force then all the same.
    assert 0 == await in_force(client, occur_time=timestamp(JANUARY - 1))
    assert 1 == await in_force(client, occur_time=timestamp(MARCH - 1))
    assert 2 == await in_force(client, occur_time=timestamp(MARCH))
    assert 1 == await in_force(client, occur_time=timestamp(MARCH), position=first.position)


async def test_a_past_view_knows_the_registry_and_the_catalogue_of_its_position(client: Client) -> None:
    purposes = await client.publish_purposes("shop", registry(purpose("tea")))
    attributes = await client.publish_attribute_catalogue("shop", catalogue(definition("cup")))
    await client.publish_purposes("shop", registry(purpose("coffee"), version=2))
    await client.publish_attribute_catalogue("shop", catalogue(definition("mug"), version=2))

    now = await client.list_purposes("shop")
    then = await client.list_purposes("shop", as_of=AsOf(position=purposes.position))
    known = await client.list_attribute_definitions("shop", as_of=AsOf(position=attributes.position))

    assert (["coffee"], 2) == ([each.slug for each in now.registry.purposes], now.versions_count)
    assert (["tea"], 1) == ([each.slug for each in then.registry.purposes], then.versions_count)
    assert ["tea"] == [each.slug for each in (await client.list_purposes("shop", 1)).registry.purposes]
    assert (1, ["cup"]) == (known.catalogue.version, [each.key for each in known.catalogue.attributes])


@pytest.mark.parametrize("method, kind", [("GetContactPolicy", "contact"), ("ListPurposes", "purposes")])
async def test_a_version_that_is_not_there_is_unknown(stub: Any, method: str, kind: str) -> None:
    request = getattr(pb, f"{method}Request")(organization_id="shop", version=3)

    status = await refusal(getattr(stub, method)(request))

    assert ("POLICY_UNKNOWN", grpc.StatusCode.NOT_FOUND.value[0]) == (reason_of(status), status.code)
    assert {"policy_id": kind, "version": "3"} == metadata_of(status)


async def test_a_version_and_the_built_in_one_are_not_asked_for_at_once(stub: Any) -> None:
    request = pb.GetContactPolicyRequest(organization_id="shop", version=1, built_in=True)

    assert ["version"] == fields_of(await refusal(stub.GetContactPolicy(request)))


@pytest.mark.parametrize(
    "method", ["GetContactPolicy", "ListContactPolicies", "ListPurposes", "ListAttributeDefinitions"]
)
async def test_reads_refuse_views_that_cannot_be_had(server: Serving, stub: Any, method: str) -> None:
    server.app.ledger._present.wait_s = 0.05
    make, call = getattr(pb, f"{method}Request"), getattr(stub, method)

    for values, reason in (
        ({"min_position": 10**6}, "PROJECTION_BEHIND"),
        ({"as_of": AsOf(position=10**6)}, "KNOWN_AT_IN_FUTURE"),
        ({"as_of": AsOf(record_time=timestamp(FUTURE))}, "KNOWN_AT_NOT_SETTLED"),
    ):
        assert reason == reason_of(await refusal(call(make(organization_id="shop", **values))))
    assert ["organization_id"] == fields_of(await refusal(call(make(organization_id="No"))))


async def test_policies_outlast_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path, (policy_servicer,)) as first, Client(first.target) as client:
        await client.publish_purposes("shop", registry())
        await client.publish_contact_policy("shop", contact_policy())
        before = await client.get_contact_policy("shop"), await client.list_purposes("shop")

    async with serving(tmp_path, (policy_servicer,)) as second, Client(second.target) as client:
        assert before == (await client.get_contact_policy("shop"), await client.list_purposes("shop"))
