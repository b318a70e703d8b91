"""Holds, points and observations through gRPC, on SQLite: what becomes of them, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import text, timestamp
from ledger.log.reading import fact
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.exchange_pb2 import ObservationDeclared
from rapport.exchange.v1 import exchange_service_pb2 as pb
from rapport.exchange.v1 import operation_pb2 as op
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.exchange.v1.operation_pb2 import Operation, Posting
from tests.exchange_pairs import goods, grants, pays, redeems
from tests.exchange_requests import (
    MARCH,
    apply,
    new_id,
    post,
    record,
    recording,
    reverse,
    server,
    stub,
    totals,
    void,
)
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import Serving

__all__ = ["server", "stub"]


# --- Holds ------------------------------------------------------------------------------------------------------------


async def test_a_hold_counts_once_it_is_posted_and_as_far(stub: ExchangeServiceStub, server: Serving) -> None:
    await stub.RecordExchange(record("h1", pending_until=timestamp(MARCH + 10)))
    assert {"EUR/2": 0, "CD/0": 0} == await totals(server)

    answer = await stub.PostExchange(post(units=[700, 1]))
    again = await stub.PostExchange(post(units=[700, 1]))

    assert (op.OUTCOME_APPLIED, "h1", 2) == (answer.result.outcome, answer.result.id, answer.result.version)
    assert (op.OUTCOME_ALREADY_APPLIED, answer.result.position) == (again.result.outcome, again.result.position)
    assert {"EUR/2": 700, "CD/0": 1} == await totals(server)
    row = server.app.ledger.store.get(answer.result.position)
    assert row is not None
    assert "exchange.posted.v1" == row.topic


async def test_a_hold_that_came_to_nothing_never_counts(stub: ExchangeServiceStub, server: Serving) -> None:
    await stub.RecordExchange(record("h1", pending_until=timestamp(MARCH + 10)))

    answer = await stub.VoidExchange(void(reason="out_of_stock"))
    again = await stub.VoidExchange(void(reason="out_of_stock"))
    status = await refusal(stub.PostExchange(post()))

    assert (op.OUTCOME_APPLIED, "h1") == (answer.result.outcome, answer.result.id)
    assert (op.OUTCOME_ALREADY_APPLIED, answer.result.position) == (again.result.outcome, again.result.position)
    expected = {"resolution": "VOIDED", "position": str(answer.result.position)}
    assert ("EXCHANGE_ALREADY_RESOLVED", expected) == (reason_of(status), metadata_of(status))
    assert ["posting.exchange_id"] == fields_of(status)
    assert {"EUR/2": 0, "CD/0": 0} == await totals(server)


@pytest.mark.parametrize(
    "request_, reason, fields",
    [
        (post(units=[1]), "POSTED_UNITS_INVALID", ["posting.units"]),
        (post(units=[1178, 1]), "POSTED_UNITS_INVALID", ["posting.units[0]"]),
        (post(units=[1, 0]), "ONE_SIDED_NOT_DECLARED", ["posting.one_sided"]),
        (post(one_sided=x.ONE_SIDED_GIFT), "ONE_SIDED_CONTRADICTED", ["posting.one_sided"]),
        (post("x9"), "EXCHANGE_UNKNOWN", ["posting.exchange_id"]),
        (post("x1"), "EXCHANGE_ALREADY_RESOLVED", ["posting.exchange_id"]),
        (post(occur_time=timestamp(MARCH + 10)), "HOLD_ENDED", ["posting.occur_time"]),
        (void(occur_time=timestamp(MARCH - 1)), "HOLD_ENDED", ["voiding.occur_time"]),
        (post(occur_time=Timestamp(nanos=1)), "REQUEST_INVALID", ["posting.occur_time"]),
        (void(reason="Not A Code"), "REQUEST_INVALID", ["voiding.reason"]),
    ],
)
async def test_bad_resolutions_are_refused_by_their_reason(
    stub: ExchangeServiceStub, server: Serving, request_: Any, reason: str, fields: list[str]
) -> None:
    await stub.RecordExchange(record("x1"))
    await stub.RecordExchange(record("h1", pending_until=timestamp(MARCH + 10)))
    before = server.app.ledger.store.head()

    rpc: Any = stub.PostExchange if isinstance(request_, pb.PostExchangeRequest) else stub.VoidExchange
    request_.request_id = new_id()
    status = await refusal(rpc(request_))

    assert (reason, fields) == (reason_of(status), fields_of(status))
    assert before == server.app.ledger.store.head()


# --- Points -----------------------------------------------------------------------------------------------------------


async def test_points_are_granted_held_redeemed_and_taken_back_in_batches(
    stub: ExchangeServiceStub, server: Serving
) -> None:
    granted = recording("g1", legs=[pays(), goods(), grants(80, expires_at=MARCH + 100)])
    held = recording("g2", legs=[pays(), grants(50)], pending_until=timestamp(MARCH + 10))
    posted = Operation(customer_id="42", post=Posting(exchange_id="g2", occur_time=timestamp(MARCH + 1), units=[9, 40]))
    redeemed = recording("x1", legs=[redeems(100), goods()], occur_time=timestamp(MARCH + 2))

    answer = await stub.ApplyExchanges(apply(granted, held, posted, redeemed))
    status = await refusal(stub.ReverseExchange(reverse("g1")))
    short = await refusal(stub.RecordExchange(record("x2", legs=[redeems(21), goods()], occur_time=None)))
    await stub.ReverseExchange(reverse("x1", "r1", at=timestamp(MARCH + 3)))
    last = await stub.ReverseExchange(reverse("g1", "r2", at=timestamp(MARCH + 3)))

    assert ["g1", "g2", "g2", "x1"] == [result.id for result in answer.results]
    row = server.app.ledger.store.get(answer.results[3].position)
    assert row is not None
    event = fact(row)
    assert event is not None
    assert [("g1", 3, 80), ("g2", 2, 20)] == [
        (use.exchange_id, use.grant_leg_no, use.units)
        for use in event.event.lot_uses  # type: ignore[attr-defined]
    ]
    assert ("LOT_CONSUMED", ["reversal.take_remaining_points"]) == (reason_of(status), fields_of(status))
    expected = {"used": "80", "last_use_time": text(MARCH + 2)}
    assert expected == metadata_of(status)
    assert ("LOT_INSUFFICIENT", {"asset": "PT/0", "available": "20"}) == (reason_of(short), metadata_of(short))
    assert op.OUTCOME_APPLIED == last.result.outcome


async def test_a_refused_batch_leaves_no_lot_no_hold_and_no_use(stub: ExchangeServiceStub) -> None:
    await stub.RecordExchange(record("g1", legs=[pays(), grants(5)]))
    more = recording("g2", legs=[pays(), grants(50)])
    held = recording("h1", pending_until=timestamp(MARCH + 10))
    redeemed = recording("x1", legs=[redeems(40), goods()])
    unknown = Operation(customer_id="42", post=Posting(exchange_id="h9"))

    status = await refusal(stub.ApplyExchanges(apply(more, held, redeemed, unknown)))

    assert ("EXCHANGE_UNKNOWN", "3") == (reason_of(status), metadata_of(status)["operation_index"])
    assert "EXCHANGE_UNKNOWN" == reason_of(await refusal(stub.PostExchange(post("h1"))))
    short = await refusal(stub.RecordExchange(record("x1", legs=[redeems(6), goods()])))
    assert {"asset": "PT/0", "available": "5"} == metadata_of(short)
    assert op.OUTCOME_APPLIED == (await stub.RecordExchange(record("x1", legs=[redeems(5), goods()]))).result.outcome


async def test_of_concurrent_redemptions_no_more_win_than_there_are_points(stub: ExchangeServiceStub) -> None:
    await stub.RecordExchange(record("g1", legs=[pays(), grants(10)]))

    asked = [record(f"x{n}", legs=[redeems(3), goods()]) for n in range(8)]
    answers = await asyncio.gather(*map(stub.RecordExchange, asked), return_exceptions=True)

    assert 3 == sum(isinstance(answer, pb.RecordExchangeResponse) for answer in answers)
    short = await refusal(stub.RecordExchange(record("y", legs=[redeems(3), goods()])))
    assert ("LOT_INSUFFICIENT", "1") == (reason_of(short), metadata_of(short)["available"])


async def test_a_redemption_of_too_many_lots_for_one_event_is_refused_by_its_place_and_in_parts_accepted(
    stub: ExchangeServiceStub,
) -> None:
    lots = [recording(f"{n:0128}", legs=[goods(), *[grants(1)] * 63], one_sided=x.ONE_SIDED_GIFT) for n in range(8)]
    await stub.ApplyExchanges(apply(*lots))
    part = [redeems(100), redeems(100), goods()]
    whole = recording("x1", legs=[redeems(100)] * 5 + [goods()])

    status = await refusal(stub.ApplyExchanges(apply(recording("x0"), whole)))
    await stub.ApplyExchanges(apply(recording("x1", legs=part), recording("x2", legs=part)))
    short = await refusal(stub.RecordExchange(record("x3", legs=part)))

    assert ("EVENT_TOO_LARGE", "1") == (reason_of(status), metadata_of(status)["operation_index"])
    assert ("LOT_INSUFFICIENT", "4") == (reason_of(short), metadata_of(short)["available"])


# --- Observations -----------------------------------------------------------------------------------------------------


async def test_observation_is_declared_from_a_time_on(stub: ExchangeServiceStub, server: Serving) -> None:
    observation = ObservationDeclared(category=x.CATEGORY_WAITING, since=timestamp(MARCH))
    request = pb.DeclareObservationRequest(
        organization_id="shop", customer_id="42", request_id=new_id(), observation=observation
    )

    answer = await stub.DeclareObservation(request)
    again = await stub.DeclareObservation(request)

    assert (1, False, True) == (answer.version, answer.replayed, again.replayed)
    assert (answer.position, answer.record_time) == (again.position, again.record_time)
    row = server.app.ledger.store.get(answer.position)
    assert row is not None
    assert "exchange.observation_declared.v1" == row.topic
    request.observation.since.CopyFrom(Timestamp(seconds=4_102_444_800))
    request.request_id = new_id()
    assert "OCCUR_TIME_IN_FUTURE" == reason_of(await refusal(stub.DeclareObservation(request)))
