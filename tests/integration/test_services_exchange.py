"""ExchangeService and PolicyService through gRPC, on SQLite: what they record, refuse, repeat and answer as of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import timestamp
from ledger.log.store import Append
from rapport.consent.v1.consent_service_pb2 import GiveConsentRequest, WithdrawConsentRequest
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentWithdrawn
from rapport.events.v1.policy_pb2 import AssetRegistered
from rapport.exchange.v1 import exchange_service_pb2 as pb
from rapport.exchange.v1 import operation_pb2 as op
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.exchange.v1.operation_pb2 import Operation, OperationResult
from rapport.policy.v1 import policy_service_pb2 as policy_pb
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from tests.exchange_pairs import CUSTOMER, goods, grants, leg, pays, redeems
from tests.exchange_requests import (
    CD,
    EUR,
    MARCH,
    apply,
    new_id,
    record,
    recording,
    register,
    reverse,
    reversing,
    server,
    stub,
    totals,
)
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import Serving, serving

__all__ = ["server", "stub"]

INVALID = grpc.StatusCode.INVALID_ARGUMENT.value[0]


@pytest.fixture
def policy(server: Serving) -> PolicyServiceStub:
    return PolicyServiceStub(server.channel)


# --- Single calls ----------------------------------------------------------------------------------------------------


async def test_an_exchange_is_recorded_where_it_is_said_to_be(stub: ExchangeServiceStub, server: Serving) -> None:
    answer = await stub.RecordExchange(record())

    row = server.app.ledger.store.get(answer.result.position)
    assert row is not None
    assert ("shop/42", 1, "exchange.recorded.v1") == (row.stream_id, answer.result.version, row.topic)
    assert (op.OUTCOME_APPLIED, "x1", False) == (answer.result.outcome, answer.result.id, answer.replayed)
    assert row.record_time == answer.record_time.ToMicroseconds()
    assert {"EUR/2": 1177, "CD/0": 1} == await totals(server)


async def test_the_same_request_gets_the_first_answer(stub: ExchangeServiceStub) -> None:
    request = record()

    first = await stub.RecordExchange(request)
    again = await stub.RecordExchange(request)

    assert again.replayed
    assert (first.result, first.record_time) == (again.result, again.record_time)


async def test_the_same_content_under_a_new_request_id_had_been_applied_before(
    stub: ExchangeServiceStub, server: Serving
) -> None:
    first = await stub.RecordExchange(record(expected_version=0))
    request = record(expected_version=0)

    again = await stub.RecordExchange(request)
    replayed = await stub.RecordExchange(request)

    assert op.OUTCOME_ALREADY_APPLIED == again.result.outcome
    assert (first.result.position, first.result.version) == (again.result.position, again.result.version)
    assert (again.result, again.record_time) == (replayed.result, replayed.record_time)
    assert replayed.replayed
    assert first.result.position == server.app.ledger.store.head().position


async def test_other_content_under_the_same_exchange_id_is_refused(stub: ExchangeServiceStub) -> None:
    first = await stub.RecordExchange(record())

    status = await refusal(stub.RecordExchange(record(legs=[pays(), goods(2)])))

    assert (grpc.StatusCode.ALREADY_EXISTS.value[0], "EXCHANGE_ID_REUSED") == (status.code, reason_of(status))
    expected = {"exchange_id": "x1", "field": "legs[1].amount.units", "position": str(first.result.position)}
    assert expected == metadata_of(status)


async def test_all_malformed_legs_are_named_and_nothing_is_written(stub: ExchangeServiceStub, server: Serving) -> None:
    before = server.app.ledger.store.head()
    wrong_asset = leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 5, "USD/2")

    status = await refusal(stub.RecordExchange(record(legs=[pays(0), wrong_asset, pays(10_001)])))

    assert (INVALID, "AMOUNT_NOT_POSITIVE") == (status.code, reason_of(status))
    assert [
        "exchange.legs[0].amount.units",
        "exchange.legs[1].amount.asset",
        "exchange.legs[2].amount.units",
        "exchange.one_sided",
    ] == fields_of(status)
    assert before == server.app.ledger.store.head()


async def test_a_refused_request_may_be_sent_again_once_its_cause_is_mended(
    stub: ExchangeServiceStub, policy: PolicyServiceStub
) -> None:
    legs = [leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 5, "USD/2"), goods()]
    request = record(legs=legs)
    status = await refusal(stub.RecordExchange(request))
    assert ("ASSET_UNKNOWN", {"asset": "USD/2"}) == (reason_of(status), metadata_of(status))

    await policy.RegisterAssets(register(AssetRegistered(asset="USD/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=5)))

    assert op.OUTCOME_APPLIED == (await stub.RecordExchange(request)).result.outcome


async def test_the_registry_of_another_organization_does_not_count(stub: ExchangeServiceStub) -> None:
    request = record()
    request.organization_id = "other"

    assert "ASSET_UNKNOWN" == reason_of(await refusal(stub.RecordExchange(request)))


async def test_an_exchange_id_is_taken_in_its_relationship_only_also_after_a_restart(tmp_path: Path) -> None:
    everywhere = [("shop", "42"), ("shop", "43"), ("other", "42")]
    asked = []
    for organization_id, customer_id in everywhere:
        asked.append(record())
        asked[-1].organization_id, asked[-1].customer_id = organization_id, customer_id

    async def told() -> list[OperationResult]:
        async with serving(tmp_path) as running:
            for organization_id in ("shop", "other"):
                assets = register(EUR, CD, organization_id=organization_id)
                await PolicyServiceStub(running.channel).RegisterAssets(assets)
            stub = ExchangeServiceStub(running.channel)
            return [(await stub.RecordExchange(request)).result for request in asked]

    first = await told()
    for request in asked:
        request.request_id = new_id()
    again = await told()

    assert [(op.OUTCOME_APPLIED, 1)] * 3 == [(result.outcome, result.version) for result in first]
    assert [op.OUTCOME_ALREADY_APPLIED] * 3 == [result.outcome for result in again]
    assert [result.position for result in first] == [result.position for result in again]


@pytest.mark.parametrize(
    "values, reason",
    [
        ({"occur_time": Timestamp(seconds=4_102_444_800)}, "OCCUR_TIME_IN_FUTURE"),
        ({"occur_time": Timestamp(seconds=-62_135_596_801)}, "REQUEST_INVALID"),
        ({"occur_time": Timestamp(nanos=1)}, "REQUEST_INVALID"),
        ({"replaces": "x0"}, "REPLACED_NOT_REVERSED"),
        ({"legs": []}, "LEGS_COUNT"),
        ({"legs": [goods()]}, "ONE_SIDED_NOT_DECLARED"),
        ({"one_sided": x.ONE_SIDED_LATER}, "ONE_SIDED_CONTRADICTED"),
        ({"legs": [redeems(1), goods()]}, "LOT_INSUFFICIENT"),
        ({"legs": [redeems(1)], "one_sided": x.ONE_SIDED_LATER}, "REDEMPTION_WITHOUT_COUNTER_LEG"),
        ({"legs": [redeems(1), goods()], "pending_until": timestamp(MARCH + 1)}, "REDEMPTION_PENDING"),
        ({"legs": [pays(), grants(1, expires_at=MARCH)]}, "LOT_TERMS_INVALID"),
        ({"pending_until": timestamp(MARCH)}, "PENDING_UNTIL_INVALID"),
        ({"pending_until": Timestamp(nanos=1)}, "REQUEST_INVALID"),
        ({"legs": [goods(2**63 - 1), pays()]}, "AMOUNT_OVER_LIMIT"),
        ({"legs": [leg(CUSTOMER, x.CATEGORY_DISCOUNT, 1, "CD/0"), goods()]}, "CATEGORY_MISMATCH"),
    ],
)
async def test_bad_exchanges_are_refused_by_their_reason(
    stub: ExchangeServiceStub, server: Serving, values: dict[str, Any], reason: str
) -> None:
    before = server.app.ledger.store.head()

    assert reason == reason_of(await refusal(stub.RecordExchange(record(**values))))
    assert before == server.app.ledger.store.head()
    assert op.OUTCOME_APPLIED == (await stub.RecordExchange(record())).result.outcome


async def test_data_is_licensed_by_a_consent_of_the_relationship(stub: ExchangeServiceStub, server: Serving) -> None:
    consents = ConsentServiceStub(server.channel)
    ids: dict[str, Any] = {"organization_id": "shop", "customer_id": "42"}
    consent = ConsentGiven(purposes=["data.license"])
    then = timestamp(MARCH)
    given_at = await consents.GiveConsent(
        GiveConsentRequest(**ids, request_id=new_id(), consent=consent, occur_time=then)
    )
    data = leg(CUSTOMER, x.CATEGORY_DATA_LICENSED, 1, "DATAPT/0", consent_position=given_at.position)

    first = await stub.RecordExchange(record("x1", legs=[data, goods()]))
    withdrawal = ConsentWithdrawn(purposes=["data.license"])
    await consents.WithdrawConsent(WithdrawConsentRequest(**ids, request_id=new_id(), withdrawal=withdrawal))
    status = await refusal(stub.RecordExchange(record("x2", legs=[data, goods()], occur_time=None)))
    again = await stub.RecordExchange(record("x1", legs=[data, goods()]))

    assert ("CONSENT_NOT_IN_FORCE", ["exchange.legs[0].consent_position"]) == (reason_of(status), fields_of(status))
    assert {"consent_position": str(given_at.position)} == metadata_of(status)
    assert first.result.position == again.result.position


async def test_the_expected_version_is_a_lock(stub: ExchangeServiceStub) -> None:
    await stub.RecordExchange(record("x1", expected_version=0))

    status = await refusal(stub.RecordExchange(record("x2", expected_version=0)))

    assert (grpc.StatusCode.ABORTED.value[0], "VERSION_CONFLICT") == (status.code, reason_of(status))
    assert {"expected": "0", "actual": "1"} == metadata_of(status)


# --- Reversals -------------------------------------------------------------------------------------------------------


async def test_a_reversal_takes_back_everything(stub: ExchangeServiceStub, server: Serving) -> None:
    await stub.RecordExchange(record())

    answer = await stub.ReverseExchange(reverse())

    assert (op.OUTCOME_APPLIED, "r1", 2) == (answer.result.outcome, answer.result.id, answer.result.version)
    assert {"EUR/2": 0, "CD/0": 0} == await totals(server)
    again = await stub.ReverseExchange(reverse())
    assert (op.OUTCOME_ALREADY_APPLIED, answer.result.position) == (again.result.outcome, again.result.position)


async def test_of_concurrent_reversals_one_wins_and_the_others_are_told(stub: ExchangeServiceStub) -> None:
    await stub.RecordExchange(record())

    outcomes = await asyncio.gather(
        *(stub.ReverseExchange(reverse(reversal_id=f"r{n}")) for n in range(8)), return_exceptions=True
    )

    winners = [outcome for outcome in outcomes if isinstance(outcome, pb.ReverseExchangeResponse)]
    assert 1 == len(winners)
    losers = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert 7 == len(losers)
    for status in [await refusal(stub.ReverseExchange(reverse(reversal_id=f"s{n}"))) for n in range(2)]:
        expected = {"reversal_id": winners[0].result.id, "position": str(winners[0].result.position)}
        assert ("EXCHANGE_ALREADY_REVERSED", expected) == (reason_of(status), metadata_of(status))


@pytest.mark.parametrize(
    "values, reason",
    [
        ({"reason": "no_time"}, "REVERSAL_TIME_REQUIRED"),
        ({"at": timestamp(MARCH - 1)}, "REVERSAL_BEFORE_ORIGINAL"),
        ({"at": Timestamp(seconds=4_102_444_800)}, "OCCUR_TIME_IN_FUTURE"),
        ({"at": Timestamp(seconds=1, nanos=1)}, "REQUEST_INVALID"),
        ({"at_original": True, "reason": "Not A Code"}, "REQUEST_INVALID"),
    ],
)
async def test_bad_reversals_are_refused_by_their_reason(
    stub: ExchangeServiceStub, values: dict[str, Any], reason: str
) -> None:
    await stub.RecordExchange(record())

    assert reason == reason_of(await refusal(stub.ReverseExchange(reverse(**values))))


# --- Batches ---------------------------------------------------------------------------------------------------------


async def test_a_correction_is_a_reversal_and_a_replacement_in_one_batch(
    stub: ExchangeServiceStub, server: Serving
) -> None:
    await stub.RecordExchange(record("x1"))
    request = apply(reversing("x1", "r1"), recording("x2", replaces="x1", legs=[pays(1000), goods()]))

    answer = await stub.ApplyExchanges(request)
    again = await stub.ApplyExchanges(request)

    places = [(result.id, result.version, result.position) for result in answer.results]
    first = answer.results[0].position
    assert [("r1", 2, first), ("x2", 3, first + 1)] == places
    assert (list(answer.results), answer.record_time, True) == (list(again.results), again.record_time, again.replayed)
    assert {"EUR/2": 1000, "CD/0": 1} == await totals(server)


async def test_the_first_refusal_refuses_all_and_names_its_operation(
    stub: ExchangeServiceStub, server: Serving
) -> None:
    before = server.app.ledger.store.head()

    status = await refusal(stub.ApplyExchanges(apply(recording("x1"), recording("x2", "43"), reversing("x9", "r1"))))
    alone = await refusal(stub.ApplyExchanges(apply(recording("x1", legs=[pays(0), goods()]))))

    assert ("EXCHANGE_UNKNOWN", "2") == (reason_of(status), metadata_of(status)["operation_index"])
    assert ["operations[2].reverse.exchange_id"] == fields_of(status)
    assert ["operations[0].record.legs[0].amount.units"] == fields_of(alone)
    assert "0" == metadata_of(alone)["operation_index"]
    assert before == server.app.ledger.store.head()
    assert {} == await totals(server)


async def test_an_operation_sees_earlier_ones_and_a_twin_among_them_changes_nothing(
    stub: ExchangeServiceStub, server: Serving
) -> None:
    await stub.RecordExchange(record("x0"))

    answer = await stub.ApplyExchanges(apply(recording("x1"), recording("x1"), recording("x0"), recording("x1", "43")))

    position = answer.results[0].position
    assert [
        OperationResult(outcome=op.OUTCOME_APPLIED, id="x1", version=2, position=position),
        OperationResult(outcome=op.OUTCOME_ALREADY_APPLIED, id="x1", version=2, position=position),
        OperationResult(outcome=op.OUTCOME_ALREADY_APPLIED, id="x0", version=1, position=position - 1),
        OperationResult(outcome=op.OUTCOME_APPLIED, id="x1", version=1, position=position + 1),
    ] == list(answer.results)


async def test_a_batch_rests_on_every_relationship_that_it_finds_something_in(
    stub: ExchangeServiceStub, server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another server's writes there could go unnoticed, while there are as many events as relationships."""
    await stub.ApplyExchanges(
        apply(recording("x1"), recording("x2"), recording("x1", "43"), reversing("x1", "r1", "43"))
    )
    read: list[tuple[tuple[str, int], ...]] = []
    store_append = server.app.ledger.store.append

    def append(group: Sequence[Append], *rest: int) -> object:
        read.extend(each.read_set for each in group)
        return store_append(group, *rest)

    monkeypatch.setattr(server.app.ledger.store, "append", append)

    again = reversing("x1", "r1", "43")
    answer = await stub.ApplyExchanges(apply(reversing("x1", "r1"), reversing("x2", "r2"), again))

    assert op.OUTCOME_ALREADY_APPLIED == answer.results[2].outcome
    assert [(("shop/43", 2),)] == read


async def test_a_batch_beyond_the_operators_limit_is_refused(stub: ExchangeServiceStub) -> None:
    status = await refusal(stub.ApplyExchanges(apply(*[recording(f"x{n}") for n in range(11)])))

    assert (INVALID, "BATCH_TOO_LARGE") == (status.code, reason_of(status))


# --- Loading ---------------------------------------------------------------------------------------------------------


async def load(stub: ExchangeServiceStub, *frames: Sequence[Operation]) -> list[pb.IngestExchangesResponse]:
    async def requests() -> AsyncIterator[pb.IngestExchangesRequest]:
        for frame in frames:
            items = [pb.IngestExchangesItem(request_id=new_id(), operation=operation) for operation in frame]
            yield pb.IngestExchangesRequest(organization_id="shop", items=items)

    return [response async for response in stub.IngestExchanges(requests())]


async def test_every_frame_is_answered_in_order_and_a_bad_item_fails_alone(
    stub: ExchangeServiceStub, server: Serving
) -> None:
    frames = [
        [recording("x1"), recording("x2", legs=[pays(0), goods()]), reversing("x1", "r1")],
        [recording("x3"), recording("x3"), recording("x4", customer_id="not an id")],
    ]

    first, second = await load(stub, *frames)

    assert ["x1", "", "r1"] == [result.result.id for result in first.results]
    assert [1, 0, 2] == [result.result.version for result in first.results]
    assert "AMOUNT_NOT_POSITIVE" == reason_of(first.results[1].error)
    assert ["operation.record.legs[0].amount.units"] == fields_of(first.results[1].error)
    applied, again, bad = second.results
    assert (op.OUTCOME_APPLIED, op.OUTCOME_ALREADY_APPLIED) == (applied.result.outcome, again.result.outcome)
    assert applied.result.position == again.result.position
    assert ["operation.customer_id"] == fields_of(bad.error)
    assert {"EUR/2": 1177, "CD/0": 1} == await totals(server)


# --- Assets ----------------------------------------------------------------------------------------------------------


async def test_assets_are_registered_once_and_limits_rise(policy: PolicyServiceStub) -> None:
    listed = await policy.ListAssets(policy_pb.ListAssetsRequest(organization_id="shop"))
    positions = {asset.asset.asset: asset.position for asset in listed.assets}
    assert ["CD/0", "DATAPT/0", "EUR/2", "PT/0"] == [asset.asset.asset for asset in listed.assets]
    higher = AssetRegistered(asset="EUR/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=20_000)
    request = register(CD, higher)

    answer = await policy.RegisterAssets(request)
    again = await policy.RegisterAssets(request)

    assert [(CD, positions["CD/0"]), (higher, answer.position)] == [
        (each.asset, each.position) for each in answer.assets
    ]
    assert again.replayed
    assert list(answer.assets) == list(again.assets)


async def test_assets_all_registered_already_change_nothing(policy: PolicyServiceStub, server: Serving) -> None:
    head = server.app.ledger.store.head()
    request = register(EUR, CD)

    answer = await policy.RegisterAssets(request)
    again = await policy.RegisterAssets(request)

    assert [EUR, CD] == [each.asset for each in answer.assets]
    assert all(each.position for each in answer.assets)
    assert list(answer.assets) == list(again.assets)
    assert head == server.app.ledger.store.head()


async def test_one_asset_at_fault_refuses_the_registration(policy: PolicyServiceStub, server: Serving) -> None:
    head = server.app.ledger.store.head()
    points = AssetRegistered(asset="EUR/2", kind=p.ASSET_KIND_POINTS, max_units_per_leg=10_000)
    other = AssetRegistered(asset="GBP/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=1)

    status = await refusal(policy.RegisterAssets(register(other, points)))

    assert (grpc.StatusCode.ALREADY_EXISTS.value[0], "ASSET_CODE_TAKEN") == (status.code, reason_of(status))
    assert ["assets[1].kind"] == fields_of(status)
    assert "MONEY" == metadata_of(status)["kind"]
    assert head == server.app.ledger.store.head()


async def test_the_registry_as_of_a_past_position(policy: PolicyServiceStub) -> None:
    before = await policy.ListAssets(policy_pb.ListAssetsRequest(organization_id="shop"))
    higher = AssetRegistered(asset="EUR/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=20_000)
    await policy.RegisterAssets(register(higher))

    request = policy_pb.ListAssetsRequest(organization_id="shop", as_of=AsOf(position=before.position))

    assert before == await policy.ListAssets(request)
    now = await policy.ListAssets(policy_pb.ListAssetsRequest(organization_id="shop"))
    assert higher in [asset.asset for asset in now.assets]
    empty = policy_pb.ListAssetsRequest(organization_id="shop", as_of=AsOf(occur_time=timestamp(MARCH)))
    assert 0 == len((await policy.ListAssets(empty)).assets)


async def test_an_unknown_organization_has_no_assets(policy: PolicyServiceStub) -> None:
    answer = await policy.ListAssets(policy_pb.ListAssetsRequest(organization_id="nobody"))

    assert 0 == len(answer.assets)
