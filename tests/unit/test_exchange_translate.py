"""Requests about exchanges and assets become steps, receipts become responses; every fault of a request is found."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.errors import Invalid
from ledger.domain.exchange import RecordExchange, ReverseExchange
from ledger.domain.exchange_state import ExchangeState
from ledger.domain.observation import DeclareObservation
from ledger.domain.policy import RegisterAsset
from ledger.domain.posting import PostExchange, VoidExchange
from ledger.domain.times import timestamp
from ledger.requests import Place, Receipt, StepReceipt
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1.exchange_pb2 import (
    ExchangePosted,
    ExchangeRecorded,
    ExchangeReversed,
    ExchangeVoided,
    Leg,
    ObservationDeclared,
)
from rapport.events.v1.policy_pb2 import AssetRegistered
from rapport.exchange.v1 import exchange_service_pb2 as pb
from rapport.exchange.v1 import operation_pb2 as op
from rapport.exchange.v1.operation_pb2 import Exchange, Operation, OperationResult, Posting, Reversal, Voiding
from rapport.policy.v1 import policy_service_pb2 as policy_pb
from rapport.type.v1.event_context_pb2 import EventContext
from services.exchange import translate
from services.exchange.translate import Named
from services.policy import translate as policy_translate
from tests.exchange_pairs import STREAM, Pair, goods, pays, post, record

REQUEST_ID = "0192d0e4-7b6a-7cc3-98a5-0123456789ab"
AT = 1_700_000_000_123_456
CONTEXT = EventContext(actor="till-3")


def exchange(**values: Any) -> Exchange:
    return Exchange(**{"exchange_id": "x1", "occur_time": timestamp(AT), "legs": [pays(), goods()], **values})


def reversal(**values: Any) -> Reversal:
    return Reversal(**{"exchange_id": "x1", "reversal_id": "r1", "at_original": True, **values})


def record_request(**values: Any) -> pb.RecordExchangeRequest:
    given = {"organization_id": "shop", "customer_id": "42", "request_id": REQUEST_ID, "exchange": exchange()}
    return pb.RecordExchangeRequest(**{**given, **values})


def reverse_request(**values: Any) -> pb.ReverseExchangeRequest:
    given = {"organization_id": "shop", "customer_id": "42", "request_id": REQUEST_ID, "reversal": reversal()}
    return pb.ReverseExchangeRequest(**{**given, **values})


def apply_request(*operations: Operation) -> pb.ApplyExchangesRequest:
    return pb.ApplyExchangesRequest(organization_id="shop", request_id=REQUEST_ID, operations=operations)


def faults(invalid: pytest.ExceptionInfo[Invalid]) -> set[str]:
    return {violation.field for violation in invalid.value.violations}


def test_a_recording_becomes_the_event_and_what_belongs_to_its_envelope() -> None:
    full = exchange(replaces="x0", cause_ref="order-9", one_sided=x.ONE_SIDED_GIFT, context=CONTEXT)

    (step,) = translate.single_steps(record_request(exchange=full, expected_version=0))

    legs = [pays(), goods()]
    event = ExchangeRecorded(
        exchange_id="x1", replaces="x0", cause_ref="order-9", one_sided=x.ONE_SIDED_GIFT, legs=legs
    )
    expected = RecordExchange(
        stream_id=STREAM, event=event, occur_time=AT, expected_version=0, context=CONTEXT, path="exchange"
    )
    assert expected == step


def test_what_is_not_said_stays_unsaid() -> None:
    bare = exchange()
    bare.ClearField("occur_time")

    (step,) = translate.single_steps(record_request(exchange=bare))

    assert isinstance(step, RecordExchange)
    assert (None, None, None) == (step.occur_time, step.expected_version, step.context)


@pytest.mark.parametrize("effective", [{"at_original": True}, {"at": timestamp(AT)}, {"at_original": False}])
def test_a_reversal_becomes_the_event(effective: dict[str, Any]) -> None:
    asked = Reversal(exchange_id="x1", reversal_id="r1", reason="price_error", context=CONTEXT, **effective)

    (step,) = translate.single_steps(reverse_request(reversal=asked, expected_version=3))

    event = ExchangeReversed(exchange_id="x1", reversal_id="r1", reason="price_error", **effective)
    expected = ReverseExchange(stream_id=STREAM, event=event, expected_version=3, context=CONTEXT, path="reversal")
    assert expected == step


def test_a_reversal_without_a_time_is_left_to_the_decision() -> None:
    asked = Reversal(exchange_id="x1", reversal_id="r1")

    (step,) = translate.single_steps(reverse_request(reversal=asked))

    assert isinstance(step, ReverseExchange)
    assert None is step.event.WhichOneof("effective")


def test_a_hold_a_posting_and_a_voiding_become_their_events() -> None:
    ids: dict[str, Any] = {"organization_id": "shop", "customer_id": "42", "request_id": REQUEST_ID}
    posting = Posting(exchange_id="x1", occur_time=timestamp(AT), units=[5, 0], one_sided=x.ONE_SIDED_GIFT)
    voiding = Voiding(exchange_id="x1", reason="gone", context=CONTEXT)

    (held,) = translate.single_steps(record_request(exchange=exchange(pending_until=timestamp(AT + 9))))
    (posted,) = translate.single_steps(pb.PostExchangeRequest(**ids, posting=posting, expected_version=2))
    (voided,) = translate.single_steps(pb.VoidExchangeRequest(**ids, voiding=voiding))

    assert isinstance(held, RecordExchange)
    assert timestamp(AT + 9) == held.event.pending_until
    event = ExchangePosted(exchange_id="x1", units=[5, 0], one_sided=x.ONE_SIDED_GIFT)
    assert PostExchange(stream_id=STREAM, event=event, occur_time=AT, expected_version=2, path="posting") == posted
    gone = ExchangeVoided(exchange_id="x1", reason="gone")
    assert VoidExchange(stream_id=STREAM, event=gone, context=CONTEXT, path="voiding") == voided


def test_an_observation_becomes_its_event() -> None:
    observation = ObservationDeclared(category=x.CATEGORY_WAITING, since=timestamp(AT))
    request = pb.DeclareObservationRequest(
        organization_id="shop", customer_id="42", request_id=REQUEST_ID, observation=observation, context=CONTEXT
    )

    (step,) = translate.observation_steps(request)

    assert DeclareObservation(stream_id=STREAM, event=observation, context=CONTEXT) == step
    request.observation.ClearField("since")
    request.observation.ClearField("category")
    with pytest.raises(Invalid) as invalid:
        translate.observation_steps(request)
    assert {"observation.since", "observation.category"} == faults(invalid)


def test_operations_are_told_by_their_place() -> None:
    operations = [
        Operation(customer_id="42", record=exchange()),
        Operation(customer_id="43", reverse=reversal(), expected_version=5),
        Operation(customer_id="43", post=Posting(exchange_id="x1")),
        Operation(customer_id="43", void=Voiding(exchange_id="x1")),
    ]

    first, second, third, fourth = translate.batch_steps(apply_request(*operations))
    (of_item,) = translate.item_steps("shop", pb.IngestExchangesItem(operation=operations[1]))

    assert isinstance(first, RecordExchange)
    assert isinstance(second, ReverseExchange)
    assert isinstance(of_item, ReverseExchange)
    assert ("shop/42", "operations[0].record") == (first.stream_id, first.path)
    assert ("shop/43", "operations[1].reverse", 5) == (second.stream_id, second.path, second.expected_version)
    assert ("shop/43", "operation.reverse") == (of_item.stream_id, of_item.path)
    assert isinstance(third, PostExchange)
    assert isinstance(fourth, VoidExchange)
    assert ("operations[2].post", "operations[3].void") == (third.path, fourth.path)


def test_every_fault_of_a_recording_is_named() -> None:
    bad = Exchange(
        occur_time=Timestamp(seconds=1, nanos=1),
        one_sided=9,  # type: ignore[arg-type]
        replaces="x" * 129,
        legs=[Leg(giver=7, category=99, evidence_ref=b"short")],  # type: ignore[arg-type]
    )

    with pytest.raises(Invalid) as invalid:
        translate.single_steps(record_request(exchange=bad, organization_id="Shop", request_id="1", customer_id=""))

    assert {
        "organization_id",
        "customer_id",
        "request_id",
        "exchange.exchange_id",
        "exchange.occur_time",
        "exchange.one_sided",
        "exchange.replaces",
        "exchange.legs[0].giver",
        "exchange.legs[0].category",
        "exchange.legs[0].evidence_ref",
    } == faults(invalid)


def test_a_recording_without_an_exchange_is_refused() -> None:
    request = record_request()
    request.ClearField("exchange")

    with pytest.raises(Invalid) as invalid:
        translate.single_steps(request)

    assert {"exchange"} == faults(invalid)


def test_every_fault_of_a_batch_is_named() -> None:
    operations = [Operation(customer_id="42"), Operation(customer_id="42", reverse=reversal(reason="NOT A CODE"))]

    with pytest.raises(Invalid) as invalid:
        translate.batch_steps(apply_request(*operations))

    assert {"operations[0].kind", "operations[1].reverse.reason"} == faults(invalid)


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_1_to_1000_operations(count: int) -> None:
    with pytest.raises(Invalid) as invalid:
        translate.batch_steps(apply_request(*[Operation(customer_id="42", record=exchange())] * count))

    assert {"operations"} == faults(invalid)


def test_amounts_are_left_to_the_decision_which_has_reasons_of_its_own() -> None:
    wild = exchange(legs=[pays(0), goods(-5), Leg()])

    assert 1 == len(translate.single_steps(record_request(exchange=wild)))


def test_what_was_recorded_is_told_with_its_place() -> None:
    named = translate.single_named(
        pb.RecordExchangeRequest(organization_id="shop", customer_id="42", exchange=exchange())
    )

    result = translate.applied(named, StepReceipt((Place(7, 3),)))

    assert OperationResult(outcome=op.OUTCOME_APPLIED, id="x1", version=3, position=7) == result


def test_a_resolution_applied_before_is_told_with_its_own_place() -> None:
    pair = Pair().apply(record("x1", until=AT)).apply(post("x1"))

    named = translate.operation_named("shop", Operation(customer_id="42", post=Posting(exchange_id="x1")))
    result = translate.applied_before(named, pair.exchanges)

    assert named == translate.operation_named("shop", Operation(customer_id="42", void=Voiding(exchange_id="x1")))
    assert OperationResult(outcome=op.OUTCOME_ALREADY_APPLIED, id="x1", version=2, position=102) == result


def test_what_had_been_applied_before_is_told_with_the_place_of_the_original() -> None:
    pair = Pair().apply(record("x1"))

    result = translate.applied_before(Named(STREAM, "x1", ExchangeState.find), pair.exchanges)

    assert OperationResult(outcome=op.OUTCOME_ALREADY_APPLIED, id="x1", version=1, position=101) == result


def test_answers_carry_record_time_and_replayed() -> None:
    receipt = Receipt((StepReceipt((Place(7, 3),)),), AT, 7, replayed=True)
    result = OperationResult(id="x1")

    for answer in (
        translate.answered(pb.RecordExchangeResponse, result, receipt),
        translate.answered(pb.ReverseExchangeResponse, result, receipt),
        translate.batch_applied([result], receipt),
    ):
        assert (timestamp(AT), True) == (answer.record_time, answer.replayed)
    assert pb.IngestExchangesResult(result=result, replayed=True) == translate.item_applied(result, receipt)


# --- Assets ----------------------------------------------------------------------------------------------------------

EUR = AssetRegistered(asset="EUR/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=1000)
CD = AssetRegistered(asset="CD/0", kind=p.ASSET_KIND_ITEM, max_units_per_leg=10)


def register(*assets: AssetRegistered) -> policy_pb.RegisterAssetsRequest:
    return policy_pb.RegisterAssetsRequest(
        organization_id="shop", request_id=REQUEST_ID, assets=assets, context=CONTEXT
    )


def test_each_asset_becomes_a_step() -> None:
    steps = policy_translate.register_steps(register(EUR, CD))

    assert [
        RegisterAsset(stream_id="shop/@policy", asset=EUR, context=CONTEXT, path="assets[0]"),
        RegisterAsset(stream_id="shop/@policy", asset=CD, context=CONTEXT, path="assets[1]"),
    ] == steps


def test_every_fault_of_a_registration_is_named() -> None:
    bad = AssetRegistered(asset="eur", kind=p.ASSET_KIND_UNSPECIFIED, max_units_per_leg=10**15 + 1)

    with pytest.raises(Invalid) as invalid:
        policy_translate.register_steps(register(EUR, bad, EUR))

    assert {"assets[1].asset", "assets[1].kind", "assets[1].max_units_per_leg", "assets[2].asset"} == faults(invalid)


def test_an_asset_that_stood_registered_is_told_with_where_it_was_set() -> None:
    receipt = Receipt((StepReceipt((Place(9, 4),)), StepReceipt((), (3).to_bytes(8, "big"))), AT, 9)

    answer = policy_translate.registered(register(EUR, CD), receipt, {3: 6, 4: 9})

    assert policy_translate.unchanged(receipt)
    assert [(EUR, 9), (CD, 6)] == [(asset.asset, asset.position) for asset in answer.assets]
    assert (9, False) == (answer.position, answer.replayed)


def test_the_registry_is_listed_by_code() -> None:
    answer = policy_translate.listed(Pair().policy, 77)

    names = [asset.asset.asset for asset in answer.assets]
    assert sorted(names) == names
    assert (AssetRegistered(asset="CALL/0", kind=p.ASSET_KIND_SERVICE, max_units_per_leg=10_000), 7) == (
        answer.assets[0].asset,
        answer.assets[0].position,
    )
    assert 77 == answer.position
