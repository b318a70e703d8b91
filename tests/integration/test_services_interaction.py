"""InteractionService through gRPC, on SQLite: what it records, refuses and repeats."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import timestamp
from rapport.events.v1 import interaction_pb2 as ev
from rapport.interaction.v1 import interaction_service_pb2 as pb
from rapport.interaction.v1.interaction_service_pb2_grpc import InteractionServiceStub
from rapport.type.v1.event_context_pb2 import EventContext
from tests.refusals import fields_of, reason_of, refusal
from tests.server import Serving, serving

MARCH = timestamp(1_740_787_200_000_000)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path, batch_items_max=10) as running:
        yield running


@pytest.fixture
def stub(server: Serving) -> InteractionServiceStub:
    return InteractionServiceStub(server.channel)


def a_call(**more: Any) -> ev.InteractionRecorded:
    return ev.InteractionRecorded(
        kind=ev.INTERACTION_KIND_CALL, direction=ev.DIRECTION_INBOUND, channel=ev.CHANNEL_VOICE_LIVE, **more
    )


def record(**more: Any) -> pb.RecordInteractionRequest:
    given: dict[str, Any] = {
        "organization_id": "acme",
        "customer_id": "c-1",
        "request_id": new_id(),
        "interaction": a_call(),
    }
    return pb.RecordInteractionRequest(**{**given, **more})


def new_id() -> str:
    return str(uuid.uuid4())


async def test_an_interaction_is_recorded_where_it_is_said_to_be(stub: InteractionServiceStub, server: Serving) -> None:
    answer = await stub.RecordInteraction(record(occur_time=MARCH))

    row = server.app.ledger.store.get(answer.position)
    assert row is not None
    assert ("acme/c-1", 1, "interaction.recorded.v1") == (row.stream_id, answer.version, row.topic)
    assert row.record_time == answer.record_time.ToMicroseconds()
    assert not answer.replayed


async def test_the_same_request_is_recorded_once(stub: InteractionServiceStub) -> None:
    request = record()

    first = await stub.RecordInteraction(request)
    second = await stub.RecordInteraction(request)

    assert (first.position, first.version, first.record_time) == (second.position, second.version, second.record_time)
    assert (False, True) == (first.replayed, second.replayed)


async def test_a_request_id_used_for_something_else_is_refused(stub: InteractionServiceStub) -> None:
    request = record()
    await stub.RecordInteraction(request)
    request.customer_id = "c-2"

    status = await refusal(stub.RecordInteraction(request))

    assert (grpc.StatusCode.ALREADY_EXISTS.value[0], "REQUEST_ID_REUSED") == (status.code, reason_of(status))


async def test_every_fault_of_a_request_is_named_and_nothing_is_written(
    stub: InteractionServiceStub, server: Serving
) -> None:
    before = server.app.ledger.store.head()
    fine = Timestamp(seconds=1, nanos=1)
    request = record(organization_id="ACME", customer_id="", request_id="7", occur_time=fine)
    request.interaction.kind = ev.INTERACTION_KIND_UNSPECIFIED
    request.interaction.attributes.add(key="NOT A CODE")

    status = await refusal(stub.RecordInteraction(request))

    assert (grpc.StatusCode.INVALID_ARGUMENT.value[0], "REQUEST_INVALID") == (status.code, reason_of(status))
    expected = {
        "organization_id",
        "customer_id",
        "request_id",
        "occur_time",
        "interaction.kind",
        "interaction.attributes[0].key",
        "interaction.attributes[0].provenance",
    }
    assert expected == set(fields_of(status))
    assert before == server.app.ledger.store.head()


@pytest.mark.parametrize("seconds", [-62_135_596_801, 253_402_300_800])
async def test_a_time_outside_the_calendar_is_refused(stub: InteractionServiceStub, seconds: int) -> None:
    status = await refusal(stub.RecordInteraction(record(occur_time=Timestamp(seconds=seconds))))

    assert ["occur_time"] == fields_of(status)


async def test_a_time_in_the_future_is_refused(stub: InteractionServiceStub) -> None:
    status = await refusal(stub.RecordInteraction(record(occur_time=Timestamp(seconds=4_102_444_800))))

    assert "OCCUR_TIME_IN_FUTURE" == reason_of(status)


async def test_a_batch_is_recorded_whole_and_in_a_row(stub: InteractionServiceStub) -> None:
    items = [pb.InteractionItem(customer_id=f"c-{number % 2}", interaction=a_call()) for number in range(4)]
    request = pb.BatchRecordInteractionsRequest(organization_id="acme", request_id=new_id(), items=items)

    answer = await stub.BatchRecordInteractions(request)
    again = await stub.BatchRecordInteractions(request)

    first = answer.results[0].position
    assert [(first, 1), (first + 1, 1), (first + 2, 2), (first + 3, 2)] == [
        (result.position, result.version) for result in answer.results
    ]
    assert again.replayed
    assert list(answer.results) == list(again.results)


async def test_one_bad_item_refuses_its_batch_and_is_named(stub: InteractionServiceStub, server: Serving) -> None:
    before = server.app.ledger.store.head()
    items = [pb.InteractionItem(customer_id="c-1", interaction=a_call()) for _ in range(3)]
    items[2].customer_id = "not an id"

    request = pb.BatchRecordInteractionsRequest(organization_id="acme", request_id=new_id(), items=items)
    status = await refusal(stub.BatchRecordInteractions(request))

    assert ["items[2].customer_id"] == fields_of(status)
    assert before == server.app.ledger.store.head()


async def test_a_batch_beyond_the_operators_limit_is_refused(stub: InteractionServiceStub) -> None:
    items = [pb.InteractionItem(customer_id="c-1", interaction=a_call())] * 11

    request = pb.BatchRecordInteractionsRequest(organization_id="acme", request_id=new_id(), items=items)
    status = await refusal(stub.BatchRecordInteractions(request))

    assert "BATCH_TOO_LARGE" == reason_of(status)


async def test_a_correction_and_a_retraction_name_the_original(stub: InteractionServiceStub) -> None:
    original = await stub.RecordInteraction(record(occur_time=MARCH))
    ids: dict[str, Any] = {"organization_id": "acme", "customer_id": "c-1"}
    correction = ev.InteractionCorrected(original_position=original.position, replacement=a_call(attention_seconds=5))
    retraction = ev.InteractionRetracted(original_position=original.position)

    corrected = await stub.CorrectInteraction(
        pb.CorrectInteractionRequest(**ids, request_id=new_id(), correction=correction)
    )
    retracted = await stub.RetractInteraction(
        pb.RetractInteractionRequest(**ids, request_id=new_id(), retraction=retraction)
    )
    status = await refusal(
        stub.RetractInteraction(pb.RetractInteractionRequest(**ids, request_id=new_id(), retraction=retraction))
    )

    assert [2, 3] == [corrected.version, retracted.version]
    assert "INTERACTION_RETRACTED" == reason_of(status)


async def test_a_correction_must_be_whole(stub: InteractionServiceStub) -> None:
    request = pb.CorrectInteractionRequest(
        organization_id="acme", customer_id="c-1", request_id=new_id(), correction=ev.InteractionCorrected()
    )

    status = await refusal(stub.CorrectInteraction(request))

    assert {"correction.original_position", "correction.replacement"} == set(fields_of(status))


async def test_an_original_of_another_relationship_is_unknown(stub: InteractionServiceStub) -> None:
    original = await stub.RecordInteraction(record())
    retraction = ev.InteractionRetracted(original_position=original.position)

    request = pb.RetractInteractionRequest(
        organization_id="acme", customer_id="c-2", request_id=new_id(), retraction=retraction
    )
    status = await refusal(stub.RetractInteraction(request))

    assert "INTERACTION_UNKNOWN" == reason_of(status)


def an_item(**more: Any) -> pb.IngestInteractionsItem:
    given: dict[str, Any] = {"request_id": new_id(), "customer_id": "c-1", "interaction": a_call()}
    return pb.IngestInteractionsItem(**{**given, **more})


async def test_a_bad_item_of_a_frame_is_answered_in_its_place(stub: InteractionServiceStub) -> None:
    late = Timestamp(seconds=4_102_444_800)
    items = [an_item(), an_item(customer_id="not an id"), an_item(occur_time=late), an_item(), an_item(request_id="")]

    stream = stub.IngestInteractions()
    await stream.write(pb.IngestInteractionsRequest(organization_id="acme", items=items))
    await stream.done_writing()
    (answer,) = [response async for response in stream]

    told = [reason_of(result.error) if result.HasField("error") else "" for result in answer.results]
    assert ["", "REQUEST_INVALID", "OCCUR_TIME_IN_FUTURE", "", "REQUEST_INVALID"] == told
    assert ["customer_id"] == fields_of(answer.results[1].error)
    assert 1 == answer.results[3].position - answer.results[0].position


async def test_frames_are_answered_in_order_and_items_keep_theirs(stub: InteractionServiceStub) -> None:
    async def frames() -> AsyncIterator[pb.IngestInteractionsRequest]:
        for number in range(20):
            items = [an_item(customer_id=f"c-{number % 3}", context=EventContext(external_id=str(number)))] * 1
            yield pb.IngestInteractionsRequest(organization_id="acme", items=items)

    answers = [answer async for answer in stub.IngestInteractions(frames())]

    positions = [answer.results[0].position for answer in answers]
    assert sorted(positions) == positions
    assert 20 == len(answers)


async def test_a_frame_of_an_impossible_organization_fails_each_of_its_items(stub: InteractionServiceStub) -> None:
    stream = stub.IngestInteractions()
    await stream.write(pb.IngestInteractionsRequest(organization_id="ACME", items=[an_item(), an_item()]))
    await stream.done_writing()
    (answer,) = [response async for response in stream]

    assert [["organization_id"]] * 2 == [fields_of(result.error) for result in answer.results]


async def test_an_item_sent_again_is_recorded_once(stub: InteractionServiceStub) -> None:
    item = an_item()

    stream = stub.IngestInteractions()
    for _ in range(2):
        await stream.write(pb.IngestInteractionsRequest(organization_id="acme", items=[item, item]))
    await stream.done_writing()
    answers = [response async for response in stream]

    results = [result for answer in answers for result in answer.results]
    assert 1 == len({result.position for result in results})
    assert [False, True, True, True] == [result.replayed for result in results]


async def test_one_line_is_logged_for_each_call_without_what_was_said(
    stub: InteractionServiceStub, server: Serving
) -> None:
    secret = "she-said-this-on-the-phone"
    answer = await stub.RecordInteraction(record(interaction=a_call(summary=secret)))
    bad = record(customer_id=f"{secret}@example.org", interaction=a_call(summary=secret))
    await refusal(stub.RecordInteraction(bad))

    assert secret not in server.logged()
    lines = [json.loads(line) for line in server.logged().splitlines()]
    recorded, refused = [line for line in lines if line["event"] == "rpc.completed"]
    assert ("OK", "c-1", answer.position) == (recorded["code"], recorded["customer_id"], recorded["position"])
    assert ("INVALID_ARGUMENT", "REQUEST_INVALID") == (refused["code"], refused["reason"])
