"""ConsentService through gRPC: what customers write in plain words, and which of it is a withdrawal."""

from __future__ import annotations

from pathlib import Path

from ledger.domain.times import timestamp
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.events.v1 import contact_policy_pb2 as policies
from tests.consent_calls import DAY, LATER, MARCH, SMS, files_below, give, ids, publish, server, stub, told
from tests.refusals import reason_of, refusal
from tests.server import Serving

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


async def test_a_word_of_the_policy_is_a_withdrawal_in_the_same_append(
    server: Serving, stub: ConsentServiceStub, tmp_path: Path
) -> None:
    await publish(server, keywords=policies.KeywordRules(words=["STOP", "OPT OUT"], confirm_once=True))
    await give(stub, "marketing", at=MARCH)
    request = pb.RecordInboundTextRequest(**ids(), channel=SMS, text="  Opt-Out!! ")

    first, again = await stub.RecordInboundText(request), await stub.RecordInboundText(request)

    assert (pb.TEXT_READING_WITHDRAWAL, "OPT OUT", True) == (first.reading, first.word, first.confirm_once)
    assert (first.position + 1, pb.WITHDRAWAL_EFFECT_ENDED) == (first.withdrawal_position, first.effect)
    assert again.replayed
    again.replayed = False
    assert first == again
    assert ["WITHDRAWN", "WITHDRAWN"] == await told(stub)
    kept = files_below(tmp_path)
    assert b"Opt-Out!!" not in kept + server.logged().encode()


async def test_a_word_among_others_is_for_a_person_and_ends_nothing(server: Serving, stub: ConsentServiceStub) -> None:
    await publish(server, keywords=policies.KeywordRules(words=["STOP"]))
    await give(stub, "marketing", at=MARCH)

    person = await stub.RecordInboundText(
        pb.RecordInboundTextRequest(**ids(), channel=SMS, text="please don't stop", occur_time=timestamp(MARCH + DAY))
    )
    nothing = await stub.RecordInboundText(pb.RecordInboundTextRequest(**ids(), channel=SMS, text="hello"))
    future = pb.RecordInboundTextRequest(**ids(), channel=SMS, text="hello", occur_time=LATER)

    assert (pb.TEXT_READING_FOR_A_PERSON, "STOP", 0) == (person.reading, person.word, person.withdrawal_position)
    assert (pb.TEXT_READING_NOTHING, "", 0) == (nothing.reading, nothing.word, nothing.effect)
    assert ["GIVEN"] == await told(stub)
    assert "OCCUR_TIME_IN_FUTURE" == reason_of(await refusal(stub.RecordInboundText(future)))
