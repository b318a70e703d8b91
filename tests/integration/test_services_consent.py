"""ConsentService through gRPC, on SQLite: acts, their order on both axes, and the statuses they amount to."""

from __future__ import annotations

import uuid
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import MICROSECONDS, timestamp
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.consent.v1.consent_cell_pb2 import ConsentCell
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.events.v1 import consent_pb2 as ev
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS
from rapport.type.v1.as_of_pb2 import AsOf
from tests.consent_calls import ids, server, stub
from tests.refusals import fields_of, metadata_of, reason_of, refusal

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""

DAY = 86_400 * MICROSECONDS
MARCH = 1_740_787_200_000_000


def give(at: int | None = None, purposes: tuple[str, ...] = ("newsletter",), **more: Any) -> pb.GiveConsentRequest:
    consent = ev.ConsentGiven(purposes=purposes, **more)
    return pb.GiveConsentRequest(**ids(), consent=consent, occur_time=None if at is None else timestamp(at))


def withdraw(at: int | None = None, **scope: Any) -> pb.WithdrawConsentRequest:
    withdrawal = ev.ConsentWithdrawn(**scope)
    return pb.WithdrawConsentRequest(**ids(), withdrawal=withdrawal, occur_time=None if at is None else timestamp(at))


async def statuses(stub: ConsentServiceStub, **asked: Any) -> list[tuple[str, str]]:
    """Return (purpose, status) of each cell answered."""
    answer = await stub.GetConsents(pb.GetConsentsRequest(organization_id="acme", customer_id="c-1", **asked))
    return [(told.cell.purpose, ev.ConsentStatus.Name(told.status)) for told in answer.consents]


async def test_a_consent_holds_until_it_is_taken_back(stub: ConsentServiceStub) -> None:
    given = await stub.GiveConsent(give(MARCH))
    before = await statuses(stub)
    withdrawn = await stub.WithdrawConsent(withdraw())
    after = await statuses(stub)

    assert [("newsletter", "CONSENT_STATUS_GIVEN")] == before
    assert ("newsletter", "CONSENT_STATUS_WITHDRAWN") in after
    assert (1, 2) == (given.version, withdrawn.version)
    assert pb.WITHDRAWAL_EFFECT_ENDED == withdrawn.effect


async def test_withdrawing_nothing_is_recorded_and_says_so_also_when_repeated(stub: ConsentServiceStub) -> None:
    request = withdraw(purposes=["never.heard.of"])

    first = await stub.WithdrawConsent(request)
    second = await stub.WithdrawConsent(request)

    assert pb.WITHDRAWAL_EFFECT_NONE == first.effect == second.effect
    assert (first.position, False, True) == (second.position, first.replayed, second.replayed)


@pytest.mark.parametrize(
    "time",
    [
        Timestamp(seconds=4_102_444_800),
        Timestamp(seconds=1, nanos=1),
        Timestamp(seconds=-62_135_596_801),
        Timestamp(seconds=253_402_300_800),
        Timestamp(seconds=1, nanos=-5),
        Timestamp(seconds=1, nanos=2_000_000_000),
    ],
)
async def test_a_withdrawal_is_not_turned_away_for_its_time(stub: ConsentServiceStub, time: Timestamp) -> None:
    await stub.GiveConsent(give(MARCH))
    request = withdraw()
    request.occur_time.CopyFrom(time)

    answer = await stub.WithdrawConsent(request)

    assert pb.WITHDRAWAL_EFFECT_ENDED == answer.effect
    assert ("newsletter", "CONSENT_STATUS_WITHDRAWN") in await statuses(stub)


async def test_a_withdrawal_needs_only_who_and_a_request_id(stub: ConsentServiceStub) -> None:
    answer = await stub.WithdrawConsent(pb.WithdrawConsentRequest(**ids()))

    assert answer.position


def test_withdrawing_asks_for_no_more_than_giving() -> None:
    def names(message: Descriptor) -> set[str]:
        return {field.name for field in message.fields}

    given, withdrawn = pb.GiveConsentRequest.DESCRIPTOR, pb.WithdrawConsentRequest.DESCRIPTOR

    assert {"withdrawal"} == names(withdrawn) - names(given)


async def test_a_backdated_yes_does_not_step_over_a_later_no(stub: ConsentServiceStub) -> None:
    withdrawn = await stub.WithdrawConsent(withdraw(MARCH))

    status = await refusal(stub.GiveConsent(give(MARCH)))
    await stub.GiveConsent(give(MARCH + 1))

    assert "CONSENT_WITHDRAWN_SINCE" == reason_of(status)
    assert {"purpose": "newsletter", "position": str(withdrawn.position)}.items() <= metadata_of(status).items()
    assert ("newsletter", "CONSENT_STATUS_GIVEN") in await statuses(stub)


async def test_a_refusal_without_scope_refuses_everything(stub: ConsentServiceStub) -> None:
    await stub.RefuseConsent(pb.RefuseConsentRequest(**ids()))

    cells = [ConsentCell(purpose="anything", channel=CHANNEL_SMS), ConsentCell(brand="theirs")]
    assert ["CONSENT_STATUS_REFUSED"] * 2 == [status for _, status in await statuses(stub, cells=cells)]


async def test_cells_are_answered_in_the_order_asked(stub: ConsentServiceStub) -> None:
    await stub.GiveConsent(give(MARCH, ("b", "a"), channels=[CHANNEL_EMAIL]))

    cells = [
        ConsentCell(purpose="b", channel=CHANNEL_SMS),
        ConsentCell(purpose="b", channel=CHANNEL_EMAIL),
        ConsentCell(purpose="a", channel=CHANNEL_EMAIL),
    ]
    assert [
        ("b", "CONSENT_STATUS_UNKNOWN"),
        ("b", "CONSENT_STATUS_GIVEN"),
        ("a", "CONSENT_STATUS_GIVEN"),
    ] == await statuses(stub, cells=cells)


async def test_an_answer_of_the_past_stays_what_it_was(stub: ConsentServiceStub) -> None:
    given = await stub.GiveConsent(give(MARCH))
    then = AsOf(occur_time=timestamp(MARCH + DAY), position=given.position)
    before = await stub.GetConsents(pb.GetConsentsRequest(organization_id="acme", customer_id="c-1", as_of=then))

    await stub.WithdrawConsent(withdraw(MARCH + 1))
    after = await stub.GetConsents(pb.GetConsentsRequest(organization_id="acme", customer_id="c-1", as_of=then))
    known_now = await statuses(stub, as_of=AsOf(occur_time=timestamp(MARCH)))

    assert before.SerializeToString(deterministic=True) == after.SerializeToString(deterministic=True)
    assert ("newsletter", "CONSENT_STATUS_GIVEN") in known_now
    assert then == after.as_of


async def test_a_consent_ends_by_its_own_term_without_an_event(stub: ConsentServiceStub) -> None:
    term = ev.Validity(duration=Duration(seconds=86_400))
    await stub.GiveConsent(give(MARCH, validity=term))

    last = await statuses(stub, as_of=AsOf(occur_time=timestamp(MARCH + DAY - 1)))
    ended = await statuses(stub, as_of=AsOf(occur_time=timestamp(MARCH + DAY)))

    assert [("newsletter", "CONSENT_STATUS_GIVEN")] == last
    assert [("newsletter", "CONSENT_STATUS_EXPIRED")] == ended


@pytest.mark.parametrize(
    "fault, field",
    [
        ({"validity": ev.Validity()}, "consent.validity"),
        ({"validity": ev.Validity(duration=Duration(nanos=5))}, "consent.validity.duration"),
        ({"validity": ev.Validity(endless=False)}, "consent.validity.endless"),
        ({"retention": Duration(seconds=-1)}, "consent.retention"),
        ({"valid_from_time": Timestamp(nanos=1)}, "consent.valid_from_time"),
        ({"purposes": ("",)}, "consent.purposes[0]"),
        ({"purposes": ()}, "consent.purposes"),
    ],
)
async def test_a_consent_that_is_not_whole_is_refused(
    stub: ConsentServiceStub, fault: dict[str, Any], field: str
) -> None:
    status = await refusal(stub.GiveConsent(give(MARCH, **fault)))

    assert [field] == fields_of(status)


async def test_acts_of_a_batch_see_earlier_ones_and_stand_or_fall_together(stub: ConsentServiceStub) -> None:
    yes = pb.ConsentAct(customer_id="c-1", occur_time=timestamp(MARCH), given=ev.ConsentGiven(purposes=["newsletter"]))
    no = pb.ConsentAct(customer_id="c-1", occur_time=timestamp(MARCH), withdrawn=ev.ConsentWithdrawn())

    def batch(*acts: pb.ConsentAct) -> pb.ApplyConsentsRequest:
        return pb.ApplyConsentsRequest(organization_id="acme", request_id=str(uuid.uuid4()), items=acts)

    status = await refusal(stub.ApplyConsents(batch(no, yes)))
    unknown = await refusal(stub.GetConsents(pb.GetConsentsRequest(organization_id="acme", customer_id="c-1")))
    answer = await stub.ApplyConsents(batch(yes, no))

    assert ("CONSENT_WITHDRAWN_SINCE", "1") == (reason_of(status), metadata_of(status)["operation_index"])
    assert "RELATIONSHIP_UNKNOWN" == reason_of(unknown)
    assert [1, 2] == [result.version for result in answer.results]


async def test_a_fault_inside_a_batch_is_named_where_it_is(stub: ConsentServiceStub) -> None:
    acts = [
        pb.ConsentAct(customer_id="c-1", withdrawn=ev.ConsentWithdrawn()),
        pb.ConsentAct(customer_id="c-1", given=ev.ConsentGiven(purposes=["a"], validity=ev.Validity())),
        pb.ConsentAct(customer_id="c-1"),
    ]

    request = pb.ApplyConsentsRequest(organization_id="acme", request_id=str(uuid.uuid4()), items=acts)
    status = await refusal(stub.ApplyConsents(request))

    assert {"items[1].given.validity", "items[2].act"} == set(fields_of(status))


async def test_each_act_of_a_frame_is_answered_for_itself(stub: ConsentServiceStub) -> None:
    def item(act: pb.ConsentAct) -> pb.IngestConsentsItem:
        return pb.IngestConsentsItem(request_id=str(uuid.uuid4()), act=act)

    given = ev.ConsentGiven(purposes=["a"])
    frame = pb.IngestConsentsRequest(
        organization_id="acme",
        items=[
            item(pb.ConsentAct(customer_id="c-1", given=given)),
            item(pb.ConsentAct(customer_id="c-1", given=ev.ConsentGiven(purposes=["a"], validity=ev.Validity()))),
            item(pb.ConsentAct(customer_id="c-1", refused=ev.ConsentRefused(purposes=["b"]))),
            item(pb.ConsentAct(customer_id="c-1", withdrawn=ev.ConsentWithdrawn())),
        ],
    )

    stream = stub.IngestConsents()
    await stream.write(frame)
    await stream.done_writing()
    (answer,) = [response async for response in stream]

    assert [1, 0, 2, 3] == [result.version for result in answer.results]
    assert ["act.given.validity"] == fields_of(answer.results[1].error)


async def test_nobody_is_known_before_anything_was_recorded(stub: ConsentServiceStub) -> None:
    status = await refusal(stub.GetConsents(pb.GetConsentsRequest(organization_id="acme", customer_id="nobody")))

    assert grpc.StatusCode.NOT_FOUND.value[0] == status.code
    assert {"organization_id": "acme", "customer_id": "nobody"} == metadata_of(status)


async def test_an_own_write_is_read_at_its_position(stub: ConsentServiceStub) -> None:
    given = await stub.GiveConsent(give())

    answer = await stub.GetConsents(
        pb.GetConsentsRequest(organization_id="acme", customer_id="c-1", min_position=given.position)
    )

    assert answer.position >= given.position
