"""Receipts through gRPC, on SQLite: the same for ever, refused when a byte is another, and unknown once erased."""

from __future__ import annotations

import random
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.domain.receipt import TOPICS, named
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.consent.v1 import receipt_pb2
from rapport.consent.v1.consent_cell_pb2 import ConsentCell
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.consent.v1.receipt_pb2 import (
    RECEIPT_VERDICT_ALTERED,
    RECEIPT_VERDICT_UNKNOWN,
    RECEIPT_VERDICT_VALID,
)
from rapport.events.v1 import consent_pb2 as ev
from rapport.events.v1.contact_policy_pb2 import Purpose, PurposeRegistry, PurposesPublished
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS
from rapport.events.v1.privacy_pb2 import ErasureStarted
from tests.consent_calls import ids, server, stub
from tests.receipt_acts import ACTS, CONSENT
from tests.recording import put
from tests.refusals import fields_of, reason_of, refusal
from tests.server import Serving, serving

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""

STREAM = "acme/c-1"


async def give(stub: ConsentServiceStub, customer_id: str = "c-1", **consent: Any) -> int:
    said = ev.ConsentGiven(**{"purposes": ["marketing.direct"], **consent})
    return (await stub.GiveConsent(pb.GiveConsentRequest(**ids(customer_id), consent=said))).position


async def issue(
    stub: ConsentServiceStub, position: int, customer_id: str = "c-1", **more: Any
) -> receipt_pb2.IssueReceiptResponse:
    return await stub.IssueReceipt(
        receipt_pb2.IssueReceiptRequest(
            organization_id="acme", customer_id=customer_id, consent_position=position, **more
        )
    )


async def verify(stub: ConsentServiceStub, receipt: bytes) -> receipt_pb2.VerifyReceiptResponse:
    return await stub.VerifyReceipt(receipt_pb2.VerifyReceiptRequest(receipt=receipt))


async def test_every_kind_of_act_yields_a_receipt_that_verifies(server: Serving, stub: ConsentServiceStub) -> None:
    told = set()
    for act in ACTS.values():
        event: Message = act.fact.event
        if isinstance(event, ev.ConsentConfirmed):
            assert act.given is not None
            given = await put(server.app.ledger, STREAM, "consent.given.v1", act.given.event)
            event = ev.ConsentConfirmed(given_position=given, purposes=event.purposes)
        position = await put(server.app.ledger, STREAM, act.fact.topic, event)

        issued = await issue(stub, position)
        answer = await verify(stub, issued.receipt)

        assert RECEIPT_VERDICT_VALID == answer.verdict, act.fact.topic
        assert sha256(issued.receipt).digest() == issued.sha256 == answer.sha256
        assert ("acme", "c-1", position) == (answer.organization_id, answer.customer_id, answer.consent_position)
        told.add(act.fact.topic)
    assert TOPICS == told


async def test_a_no_to_what_nobody_could_ask_for_yields_a_receipt_that_verifies(stub: ConsentServiceStub) -> None:
    odd: dict[str, Any] = {
        "purposes": ["Un\u00efcode \U0001f6d1\n", "x" * 9_000],
        "channels": [999, -1],
        "contact_point_ids": ["y" * 200, '"@id":"urn:uuid:'],
        "brands": ["\x00"],
    }
    withdrawn = await stub.WithdrawConsent(
        pb.WithdrawConsentRequest(**ids(), withdrawal=ev.ConsentWithdrawn(**odd, method=77))  # type: ignore[arg-type]
    )
    scope = ev.ConsentScope(**odd)
    objected = await stub.RaiseObjection(
        acts.RaiseObjectionRequest(**ids(), objection=ev.ObjectionRaised(scope=scope, grounds="Odd!"))
    )

    for position in (withdrawn.position, objected.position):
        answer = await verify(stub, (await issue(stub, position)).receipt)
        assert RECEIPT_VERDICT_VALID == answer.verdict
        assert {ev.CONSENT_STATUS_WITHDRAWN} == {each.status for each in answer.statuses}
        assert 8 == len(answer.statuses)


async def test_the_same_act_gives_the_same_receipt_whatever_came_later(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as server:
        stub = ConsentServiceStub(server.channel)
        position = await give(stub, purposes=["marketing.direct", "fair.trade"])
        first = await issue(stub, position)
        await stub.WithdrawConsent(pb.WithdrawConsentRequest(**ids()))
        registry = PurposeRegistry(
            version=1, purposes=[Purpose(slug="fair.trade", dpv_iri="https://w3id.org/dpv#Fairness")]
        )
        await put(
            server.app.ledger, "acme/@policy", "policy.purposes_published.v1", PurposesPublished(registry=registry)
        )
        later = await issue(stub, position)
        after = await issue(stub, await give(stub, "c-2", purposes=["fair.trade"]), "c-2")
    async with serving(tmp_path) as server:
        restarted = await issue(ConsentServiceStub(server.channel), position)

    assert first == later == restarted
    # What was published by then is in it, and nothing else: c-2 spoke after the publication.
    assert b"https://w3id.org/dpv#DirectMarketing" in first.receipt
    assert b"Fairness" not in first.receipt
    assert b"Fairness" in after.receipt


async def test_a_valid_receipt_says_what_holds_now(stub: ConsentServiceStub) -> None:
    position = await give(
        stub, purposes=["a.b", "c.d"], channels=[CHANNEL_EMAIL, CHANNEL_SMS], contact_point_ids=["cp-1"]
    )
    receipt = (await issue(stub, position)).receipt
    await stub.WithdrawConsent(
        pb.WithdrawConsentRequest(**ids(), withdrawal=ev.ConsentWithdrawn(purposes=["c.d"], channels=[CHANNEL_SMS]))
    )

    answer = await verify(stub, receipt)

    told = [(each.cell.purpose, each.cell.channel, each.status) for each in answer.statuses]
    assert [
        ("a.b", CHANNEL_EMAIL, ev.CONSENT_STATUS_GIVEN),
        ("a.b", CHANNEL_SMS, ev.CONSENT_STATUS_GIVEN),
        ("c.d", CHANNEL_EMAIL, ev.CONSENT_STATUS_GIVEN),
        ("c.d", CHANNEL_SMS, ev.CONSENT_STATUS_WITHDRAWN),
    ] == told
    assert {"cp-1"} == {each.cell.contact_point_id for each in answer.statuses}
    assert answer.position > position


async def test_a_withdrawal_of_everything_tells_the_cell_of_everything(stub: ConsentServiceStub) -> None:
    await give(stub)
    withdrawn = await stub.WithdrawConsent(pb.WithdrawConsentRequest(**ids()))

    answer = await verify(stub, (await issue(stub, withdrawn.position)).receipt)

    assert [(ConsentCell(), ev.CONSENT_STATUS_WITHDRAWN)] == [(each.cell, each.status) for each in answer.statuses]


async def test_an_act_of_many_cells_tells_the_first_256(stub: ConsentServiceStub) -> None:
    position = await give(
        stub, purposes=[f"p{index}" for index in range(33)], brands=[f"b{index}" for index in range(8)]
    )

    answer = await verify(stub, (await issue(stub, position)).receipt)

    assert RECEIPT_VERDICT_VALID == answer.verdict
    assert 256 == len(answer.statuses)


@pytest.mark.timeout(300)
async def test_no_byte_of_a_receipt_can_be_another_one(server: Serving, stub: ConsentServiceStub) -> None:
    position = await put(server.app.ledger, STREAM, "consent.given.v1", CONSENT)
    await give(stub, "c-2")
    receipt = (await issue(stub, position)).receipt
    name = receipt.index(b'"@id":"urn:uuid:')
    name_end = receipt.index(b'/receipt"', name) + len(b'/receipt"')
    verdicts = {}
    for at in range(len(receipt)):
        for other in {receipt[at] ^ 1, receipt[at] ^ 0x80}:
            answer = await verify(stub, receipt[:at] + bytes([other]) + receipt[at + 1 :])
            verdicts[at, other] = answer.verdict
            assert not answer.statuses

    assert {RECEIPT_VERDICT_ALTERED, RECEIPT_VERDICT_UNKNOWN} == set(verdicts.values())
    unknown = {at for (at, _), verdict in verdicts.items() if verdict == RECEIPT_VERDICT_UNKNOWN}
    assert unknown <= set(range(name, name_end))
    assert 2 * len(receipt) == len(verdicts)


async def test_nothing_can_be_added_left_out_or_moved(server: Serving, stub: ConsentServiceStub) -> None:
    chosen = random.Random(27560)
    for act in ACTS.values():
        if isinstance(act.fact.event, ev.ConsentConfirmed):
            continue
        receipt = (await issue(stub, await put(server.app.ledger, STREAM, act.fact.topic, act.fact.event))).receipt
        for _ in range(20):
            at, size = chosen.randrange(len(receipt)), chosen.randrange(1, 9)
            part = receipt[at : at + size]
            for other in (
                receipt[:at] + chosen.randbytes(size) + receipt[at:],
                receipt[:at] + receipt[at + size :],
                receipt[:at] + bytes(reversed(part)) + receipt[at + size :],
            ):
                answer = await verify(stub, other)
                assert (answer.verdict == RECEIPT_VERDICT_VALID) == (other == receipt)


async def test_written_anew_by_another_program_it_is_altered(stub: ConsentServiceStub) -> None:
    receipt = (await issue(stub, await give(stub))).receipt

    for other in (receipt + b"\n", receipt.replace(b"dpv:", b"dpv\\u003a"), receipt.replace(b",", b", ")):
        assert RECEIPT_VERDICT_ALTERED == (await verify(stub, other)).verdict


async def test_a_name_put_on_another_act_is_altered_and_tells_nothing(stub: ConsentServiceStub) -> None:
    mine, other = await give(stub), await give(stub, "c-2")
    receipt = (await issue(stub, mine)).receipt

    moved = receipt.replace(f"acme/c-1/{mine}/".encode(), f"acme/c-1/{other}/".encode())
    stolen = receipt.replace(f"acme/c-1/{mine}/".encode(), f"acme/c-2/{other}/".encode())

    # Position `other` is not of c-1: whose it is, nobody learns.
    assert RECEIPT_VERDICT_UNKNOWN == (await verify(stub, moved)).verdict
    assert RECEIPT_VERDICT_ALTERED == (await verify(stub, stolen)).verdict


async def test_a_receipt_of_another_log_is_unknown(tmp_path: Path, stub: ConsentServiceStub) -> None:
    mine = await give(stub)
    async with serving(tmp_path / "other") as other:
        theirs = ConsentServiceStub(other.channel)
        receipt = (await issue(theirs, await give(theirs))).receipt

        assert RECEIPT_VERDICT_VALID == (await verify(theirs, receipt)).verdict

    answer = await verify(stub, receipt)
    name = named(receipt)
    assert name is not None
    assert mine == name.position
    assert RECEIPT_VERDICT_UNKNOWN == answer.verdict
    assert ("", "", 0, sha256(receipt).digest()) == (
        answer.organization_id,
        answer.customer_id,
        answer.consent_position,
        answer.sha256,
    )


@pytest.mark.parametrize("text", [b"{}", b"\x00", b"a receipt", b"[" * 1000])
async def test_what_is_no_receipt_is_unknown(stub: ConsentServiceStub, text: bytes) -> None:
    assert RECEIPT_VERDICT_UNKNOWN == (await verify(stub, text)).verdict


async def test_a_receipt_of_an_erased_customer_is_unknown_and_its_hash_still_provable(
    server: Serving, stub: ConsentServiceStub
) -> None:
    position = await give(stub, evidence=ev.ConsentEvidence(note="said so at the till"))
    before = await issue(stub, position)
    await put(server.app.ledger, STREAM, "privacy.erasure_started.v1", ErasureStarted(reason="customer.asked"))

    answer = await verify(stub, before.receipt)
    after = await issue(stub, position)

    assert RECEIPT_VERDICT_UNKNOWN == answer.verdict
    assert ("", "", 0) == (answer.organization_id, answer.customer_id, answer.consent_position)
    assert not answer.statuses
    assert before == after
    assert answer.sha256 == after.sha256
    assert b"till" not in after.receipt


@pytest.mark.parametrize("offset", [-1, 1, 2**40])
async def test_a_position_without_an_act_of_the_customer_has_no_receipt(stub: ConsentServiceStub, offset: int) -> None:
    position = await give(stub)
    await give(stub, "c-2")

    status = await refusal(issue(stub, position + offset))

    assert "CONSENT_UNKNOWN" == reason_of(status)


async def test_a_fact_that_is_no_act_of_consent_has_no_receipt(server: Serving, stub: ConsentServiceStub) -> None:
    await give(stub)
    position = await put(
        server.app.ledger, STREAM, "consent.requested.v1", ev.ConsentRequested(scope=ev.ConsentScope(purposes=["p"]))
    )

    assert "CONSENT_UNKNOWN" == reason_of(await refusal(issue(stub, position)))


async def test_an_unknown_relationship_has_no_receipts(stub: ConsentServiceStub) -> None:
    assert "RELATIONSHIP_UNKNOWN" == reason_of(await refusal(issue(stub, 1, "nobody")))


async def test_a_request_for_a_receipt_is_checked(stub: ConsentServiceStub) -> None:
    assert ["consent_position"] == fields_of(await refusal(issue(stub, 0)))
    assert ["receipt"] == fields_of(await refusal(verify(stub, b"")))
    assert ["receipt"] == fields_of(await refusal(verify(stub, b"x" * 131_073)))


async def test_a_receipt_can_wait_for_its_own_act(stub: ConsentServiceStub) -> None:
    position = await give(stub)

    assert position == (await issue(stub, position, min_position=position)).consent_position
