"""Valuation policies through gRPC, on both stores: published, checked, listed, shown, now and as of the past."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import timestamp
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1.exchange_pb2 import CATEGORY_GOODS, PARTY_ORGANIZATION
from rapport.events.v1.policy_pb2 import AssetRegistered
from rapport.events.v1.valuation_pb2 import ValuationPolicy, ValuationRule
from rapport.policy.v1 import policy_service_pb2 as pb
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from services.policy import servicer as policy_servicer
from services.runtime.settings import Secret
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import Serving, serving
from tests.valuation_policies import policy, rule

EUR = AssetRegistered(asset="EUR/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=1_000_000)
CD = AssetRegistered(asset="CD/0", kind=p.ASSET_KIND_ITEM, max_units_per_leg=100)
JANUARY, MARCH = 1_767_225_600_000_000, 1_772_323_200_000_000
FUTURE = 4_102_444_800_000_000


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Serving]:
    store = {} if request.param == "sqlite" else {"store_url": Secret(request.getfixturevalue("postgres_url"))}
    async with serving(tmp_path, (policy_servicer,), **store) as running:
        await PolicyServiceStub(running.channel).RegisterAssets(register(EUR, CD))
        yield running


@pytest.fixture
def stub(server: Serving) -> PolicyServiceStub:
    return PolicyServiceStub(server.channel)


def new_id() -> str:
    return str(uuid.uuid4())


def register(*assets: AssetRegistered) -> pb.RegisterAssetsRequest:
    return pb.RegisterAssetsRequest(organization_id="shop", request_id=new_id(), assets=assets)


def publish(asked: ValuationPolicy, **values: Any) -> pb.PublishValuationPolicyRequest:
    return pb.PublishValuationPolicyRequest(
        **{"organization_id": "shop", "request_id": new_id(), "policy": asked, **values}
    )


def checking(asked: ValuationPolicy | None) -> pb.CheckValuationPolicyRequest:
    return pb.CheckValuationPolicyRequest(organization_id="shop", policy=asked)


async def listed(stub: PolicyServiceStub, policy_id: str = "", as_of: AsOf | None = None) -> list[Any]:
    request = pb.ListValuationPoliciesRequest(organization_id="shop", policy_id=policy_id, as_of=as_of)
    answer = await stub.ListValuationPolicies(request)
    return [(each.policy.policy_id, each.policy.version, each.in_force, each.is_default) for each in answer.policies]


async def shown(
    stub: PolicyServiceStub, version: int = 0, as_of: AsOf | None = None, policy_id: str = "standard"
) -> Any:
    request = pb.GetValuationPolicyRequest(organization_id="shop", policy_id=policy_id, version=version, as_of=as_of)
    return (await stub.GetValuationPolicy(request)).published


# --- Publishing ------------------------------------------------------------------------------------------------------


async def test_a_policy_is_published_with_its_defaults_and_read_back_whole(
    stub: PolicyServiceStub, server: Serving
) -> None:
    answer = await stub.PublishValuationPolicy(publish(policy(effective_from=JANUARY)))

    told = answer.published
    assert (1, True, True, 1) == (told.policy.version, told.in_force, told.is_default, told.rules_count)
    assert not told.policy.rules
    assert 32 == len(told.policy.digest)
    row = server.app.ledger.store.get(told.position)
    assert row is not None
    assert ("policy.valuation_published.v1", "shop/@policy") == (row.topic, row.stream_id)
    found = await shown(stub)
    assert [rule()] == list(found.policy.rules)
    assert told.record_time == found.record_time == timestamp(row.record_time)
    found.policy.ClearField("rules")
    assert told == found


async def test_a_retry_gets_the_first_answer_also_after_later_versions(stub: PolicyServiceStub) -> None:
    request = publish(policy())
    first = await stub.PublishValuationPolicy(request)
    await stub.PublishValuationPolicy(publish(policy(trend_days=7)))

    again = await stub.PublishValuationPolicy(request)

    assert again.replayed
    assert (first.published, first.position) == (again.published, again.position)


async def test_the_same_content_again_is_answered_with_where_it_stands(
    stub: PolicyServiceStub, server: Serving
) -> None:
    first = await stub.PublishValuationPolicy(publish(policy(version=1)))
    await stub.PublishValuationPolicy(publish(policy(version=2, trend_days=7)))
    head = server.app.ledger.head.position

    again = await stub.PublishValuationPolicy(publish(policy(version=1)))

    assert head == server.app.ledger.head.position == again.position
    assert not again.replayed
    assert (first.published.position, 1) == (again.published.position, again.published.policy.version)
    assert not again.published.in_force  # Version 2 counts from the same time on.


async def test_of_two_publications_at_once_each_gets_a_number_of_its_own(stub: PolicyServiceStub) -> None:
    answers = await asyncio.gather(
        *(stub.PublishValuationPolicy(publish(policy(trend_days=days))) for days in range(1, 9))
    )

    assert list(range(1, 9)) == sorted(answer.published.policy.version for answer in answers)


async def test_a_request_id_belongs_to_one_policy(stub: PolicyServiceStub) -> None:
    request = publish(policy())
    await stub.PublishValuationPolicy(request)

    status = await refusal(stub.PublishValuationPolicy(publish(policy(trend_days=7), request_id=request.request_id)))

    assert "REQUEST_ID_REUSED" == reason_of(status)


@pytest.mark.parametrize(
    "asked, reason, code, field, metadata",
    [
        (policy(rule(asset="USD/2")), "ASSET_UNKNOWN", 3, "policy.rules[0].asset", {"asset": "USD/2"}),
        (policy(rule("a"), rule("b")), "POLICY_RULES_CONFLICT", 3, "policy.rules[1]", {}),
        (
            policy(rule(low_nanos=10**9)),
            "RATE_OUT_OF_RANGE",
            3,
            "policy.rules[0].rate_nanos",
            {"rule_id": "paid", "asset": "EUR/2"},
        ),
        (policy(version=1, trend_days=7), "POLICY_VERSION_TAKEN", 6, "policy.version", {"version": "1", "latest": "1"}),
        (
            policy(unit_of_account="USD"),
            "POLICY_UNIT_CHANGED",
            9,
            "policy.unit_of_account",
            {"unit_of_account": "EUR"},
        ),
        (policy(rule(category=CATEGORY_GOODS, group="X")), "REQUEST_INVALID", 3, "policy.rules[0].group", {}),
    ],
)
async def test_what_is_refused_is_refused_by_its_reason_and_changes_nothing(
    stub: PolicyServiceStub,
    server: Serving,
    asked: ValuationPolicy,
    reason: str,
    code: int,
    field: str,
    metadata: dict[str, str],
) -> None:
    await stub.PublishValuationPolicy(publish(policy()))
    head = server.app.ledger.head.position

    status = await refusal(stub.PublishValuationPolicy(publish(asked)))

    assert (reason, code, [field]) == (reason_of(status), status.code, fields_of(status))
    assert {"policy_id": "standard", **metadata} == metadata_of(status)
    assert head == server.app.ledger.head.position


async def test_fields_keep_their_own_rules_and_all_faults_are_named(stub: PolicyServiceStub) -> None:
    asked = publish(ValuationPolicy(policy_id="No", rules=[ValuationRule(rate_nanos=-1)]))

    status = await refusal(stub.PublishValuationPolicy(asked))

    assert "REQUEST_INVALID" == reason_of(status)
    assert {"policy.policy_id", "policy.effective_from_time", "policy.rules[0].rate_nanos"} <= set(fields_of(status))


async def test_more_rules_than_a_policy_has_are_refused_before_they_are_looked_at(stub: PolicyServiceStub) -> None:
    many = ValuationPolicy(rules=[ValuationRule()] * 1_001)

    for call in (stub.PublishValuationPolicy(publish(many)), stub.CheckValuationPolicy(checking(many))):
        assert ["policy.rules"] == fields_of(await refusal(call))


async def test_a_limit_that_a_published_rate_does_not_allow_is_refused(stub: PolicyServiceStub) -> None:
    await stub.PublishValuationPolicy(publish(policy()))
    raised = AssetRegistered(asset="EUR/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=10**15)

    status = await refusal(stub.RegisterAssets(register(raised)))

    assert "RATE_OUT_OF_RANGE" == reason_of(status)
    assert {"rule_id": "paid", "asset": "EUR/2", "policy_id": "standard"} == metadata_of(status)


# --- Checking --------------------------------------------------------------------------------------------------------


async def test_a_check_publishes_nothing_and_returns_what_would_be_stored(
    stub: PolicyServiceStub, server: Serving
) -> None:
    head = server.app.ledger.head.position

    answer = await stub.CheckValuationPolicy(checking(policy()))

    assert head == server.app.ledger.head.position == answer.position
    assert not answer.faults
    assert ["CUSTOMER CD/0", "ORGANIZATION CD/0", "ORGANIZATION EUR/2"] == list(answer.unvalued)
    await stub.PublishValuationPolicy(publish(policy()))
    assert answer.policy == (await shown(stub)).policy


async def test_a_check_tells_faults_of_fields_and_of_the_whole_together(stub: PolicyServiceStub) -> None:
    await stub.PublishValuationPolicy(publish(policy()))
    asked = policy(
        rule("a", source=""),
        rule("a", category=CATEGORY_GOODS, low_nanos=-5, perspective=PARTY_ORGANIZATION),
        rule("c", asset="USD/2"),
        unit_of_account="USD",
        version=1,
    )
    asked.effective_from_time.CopyFrom(Timestamp(seconds=-(2**40)))

    answer = await stub.CheckValuationPolicy(checking(asked))

    assert {
        ("policy.effective_from_time", "REQUEST_INVALID"),
        ("policy.rules[0].source", "REQUEST_INVALID"),
        ("policy.rules[1].low_nanos", "REQUEST_INVALID"),
        ("policy.rules[1].rule_id", "POLICY_RULES_CONFLICT"),
        ("policy.rules[2].asset", "ASSET_UNKNOWN"),
        ("policy.unit_of_account", "POLICY_UNIT_CHANGED"),
        ("policy.version", "POLICY_VERSION_TAKEN"),
    } == {(fault.field, fault.reason) for fault in answer.faults}
    assert not answer.HasField("policy")
    assert ["CUSTOMER CD/0", "ORGANIZATION CD/0"] == list(answer.unvalued)


async def test_a_check_of_nothing_is_refused(stub: PolicyServiceStub) -> None:
    assert ["policy"] == fields_of(await refusal(stub.CheckValuationPolicy(checking(None))))


# --- Reading ---------------------------------------------------------------------------------------------------------


async def test_versions_are_listed_by_policy_and_number_and_the_one_in_force_is_told(stub: PolicyServiceStub) -> None:
    for policy_id, effective_from in (("zebra", JANUARY), ("zebra", FUTURE), ("ant", JANUARY), ("ant", JANUARY)):
        await stub.PublishValuationPolicy(publish(policy(policy_id=policy_id, effective_from=effective_from)))

    assert [
        ("ant", 1, False, False),
        ("ant", 2, True, False),
        ("zebra", 1, True, True),
        ("zebra", 2, False, True),
    ] == await listed(stub)
    assert [("zebra", 1, True, True), ("zebra", 2, False, True)] == await listed(stub, "zebra")
    assert [("zebra", 1, False, True), ("zebra", 2, True, True)] == await listed(
        stub, "zebra", AsOf(occur_time=timestamp(FUTURE))
    )
    assert [] == await listed(stub, "nobody")


async def test_what_was_known_decides_which_versions_there_are_and_the_time_which_is_in_force(
    stub: PolicyServiceStub,
) -> None:
    first = await stub.PublishValuationPolicy(publish(policy(effective_from=JANUARY)))
    second = await stub.PublishValuationPolicy(publish(policy(effective_from=MARCH)))

    before, march = timestamp(MARCH - 1), timestamp(MARCH)
    known_first = AsOf(position=first.position, occur_time=march)
    assert 1 == (await shown(stub, as_of=known_first)).policy.version
    # Published long after the time asked about, and in force then all the same.
    for time, version in ((before, 1), (march, 2)):
        assert version == (await shown(stub, as_of=AsOf(occur_time=time))).policy.version
        assert version == (await shown(stub, as_of=AsOf(position=second.position, occur_time=time))).policy.version
    assert [("standard", 1, True, True)] == await listed(stub, as_of=known_first)


async def test_a_version_is_shown_by_its_number_whatever_is_in_force(stub: PolicyServiceStub) -> None:
    await stub.PublishValuationPolicy(publish(policy(effective_from=FUTURE)))

    found = await shown(stub, version=1)

    assert (1, False) == (found.policy.version, found.in_force)


@pytest.mark.parametrize("policy_id, version", [("standard", 0), ("standard", 2), ("other", 0), ("other", 1)])
async def test_what_is_not_there_or_not_in_force_is_unknown(
    stub: PolicyServiceStub, policy_id: str, version: int
) -> None:
    await stub.PublishValuationPolicy(publish(policy(effective_from=FUTURE)))

    status = await refusal(shown(stub, version, policy_id=policy_id))

    assert ("POLICY_UNKNOWN", grpc.StatusCode.NOT_FOUND.value[0]) == (reason_of(status), status.code)
    assert {"policy_id": policy_id, "version": str(version)} == metadata_of(status)


async def test_policies_outlast_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path, (policy_servicer,)) as first:
        stub = PolicyServiceStub(first.channel)
        await stub.RegisterAssets(register(EUR, CD))
        await stub.PublishValuationPolicy(publish(policy()))
        before = await shown(stub)

    async with serving(tmp_path, (policy_servicer,)) as second:
        assert before == await shown(PolicyServiceStub(second.channel))
