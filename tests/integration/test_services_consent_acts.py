"""ConsentService through gRPC: every act beside giving, refusing and withdrawing, its errors, and batches of them."""

from __future__ import annotations

import uuid

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import MICROSECONDS, timestamp
from ledger.log.reading import parts
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.events.v1 import consent_pb2 as ev
from rapport.events.v1 import contact_policy_pb2 as policies
from rapport.events.v1 import interaction_pb2 as talk
from rapport.interaction.v1 import interaction_service_pb2 as interactions
from rapport.interaction.v1.interaction_service_pb2_grpc import InteractionServiceStub
from rapport.relationship.v1 import relationship_service_pb2 as relationships
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from tests.consent_calls import (
    DAY,
    GOOD,
    LATER,
    MARCH,
    SHA,
    asking,
    call,
    give,
    history,
    ids,
    publish,
    scope,
    server,
    stub,
    told,
)
from tests.refusals import fields_of, reason_of, refusal
from tests.server import Serving

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


@pytest.mark.parametrize("name", GOOD)
async def test_an_act_is_recorded_once_however_often_it_is_sent(stub: ConsentServiceStub, name: str) -> None:
    request = asking(name, GOOD[name])

    first = await getattr(stub, name)(request)
    second = await getattr(stub, name)(request)

    assert (1, 1, False) == (first.position - 1, first.version, first.replayed)  # The log's own event is the first.
    second.replayed = False
    assert first == second


@pytest.mark.parametrize("name", sorted(set(GOOD) - {"RaiseObjection", "RevokeRecipient"}))
async def test_an_act_in_the_future_is_refused(stub: ConsentServiceStub, name: str) -> None:
    status = await refusal(call(stub, name, GOOD[name], 4_000_000_000 * MICROSECONDS))

    assert "OCCUR_TIME_IN_FUTURE" == reason_of(status)


@pytest.mark.parametrize("name", ["RaiseObjection", "RevokeRecipient"])
async def test_a_no_in_the_future_counts_as_now(stub: ConsentServiceStub, name: str) -> None:
    answer = await call(stub, name, GOOD[name], 4_000_000_000 * MICROSECONDS)

    (entry,) = await history(stub)
    assert answer.record_time == entry.occur_time


@pytest.mark.parametrize(
    "time", [Timestamp(seconds=1, nanos=1), Timestamp(seconds=-62_135_596_801), Timestamp(seconds=1, nanos=-5)]
)
async def test_an_objection_is_turned_away_neither_for_its_time_nor_for_what_it_is_about(
    stub: ConsentServiceStub, time: Timestamp
) -> None:
    odd = ev.ConsentScope(purposes=["Unheard Of!", ""], channels=[999], contact_point_ids=[""], brands=["Ä"])  # type: ignore[list-item]
    objection = ev.ObjectionRaised(scope=odd, grounds="Because I say so", method=99)  # type: ignore[arg-type]
    request = acts.RaiseObjectionRequest(**ids(), objection=objection, occur_time=time)

    await stub.RaiseObjection(request)
    await stub.RaiseObjection(acts.RaiseObjectionRequest(**ids()))

    (first, second) = await history(stub)
    assert (odd, ev.ConsentScope()) == (first.scope, second.scope)
    assert first.counts
    assert second.counts


async def test_an_objection_without_a_customer_or_with_an_endless_list_is_refused(stub: ConsentServiceStub) -> None:
    nobody = acts.RaiseObjectionRequest(organization_id="acme", customer_id="", request_id=str(uuid.uuid4()))
    endless = acts.RaiseObjectionRequest(**ids(), objection=ev.ObjectionRaised(scope=scope(*"x" * 65)))

    assert ["customer_id"] == fields_of(await refusal(stub.RaiseObjection(nobody)))
    assert ["objection.scope.purposes"] == fields_of(await refusal(stub.RaiseObjection(endless)))


@pytest.mark.parametrize(
    "name, message, field",
    [
        ("ServeNotice", ev.NoticeServed(notice=ev.NoticeReference(notice_id="n")), "notice.notice.sha256"),
        (
            "ServeNotice",
            ev.NoticeServed(notice=ev.NoticeReference(notice_id="n", sha256=SHA, served_position=1)),
            "notice.notice.served_position",
        ),
        ("ServeNotice", ev.NoticeServed(), "notice.notice"),
        ("RequestConsent", ev.ConsentRequested(scope=scope()), "asked.scope.purposes"),
        ("RequestConsent", ev.ConsentRequested(), "asked.scope"),
        ("DeferConsent", ev.ConsentDeferred(), "deferral.scope"),
        ("RenewConsent", ev.ConsentRenewed(), "renewal.consent"),
        (
            "RenewConsent",
            ev.ConsentRenewed(consent=ev.ConsentGiven(purposes=["a"], validity=ev.Validity())),
            "renewal.consent.validity",
        ),
        ("RevokeConsent", ev.ConsentRevoked(), "revocation.scope"),
        (
            "GrantRecipient",
            ev.RecipientGrantGiven(recipient="a", purposes=["b"], fields=["c"], max_uses=1),
            "grant.until",
        ),
        ("LiftObjection", ev.ObjectionLifted(), "lift.raised_position"),
    ],
)
async def test_what_is_missing_is_named(stub: ConsentServiceStub, name: str, message: Message, field: str) -> None:
    assert [field] == fields_of(await refusal(call(stub, name, message)))


async def test_a_consent_to_more_cells_than_are_kept_is_named_where_it_stands(stub: ConsentServiceStub) -> None:
    much = ev.ConsentGiven(
        purposes=[f"p{number}" for number in range(64)],
        channels=list(range(1, 20)),  # type: ignore[arg-type]  # Numbers of the enum.
        brands=[f"b{number}" for number in range(32)],
        retention=Duration(seconds=-1),
    )
    batch = pb.ApplyConsentsRequest(
        organization_id="acme",
        request_id=str(uuid.uuid4()),
        items=[
            pb.ConsentAct(customer_id="c-1", withdrawn=ev.ConsentWithdrawn()),
            pb.ConsentAct(customer_id="c-1", given=much),
        ],
    )

    for name, message, field in (
        ("GiveConsent", much, "consent"),
        ("RenewConsent", ev.ConsentRenewed(consent=much), "renewal.consent"),
    ):
        assert [field, f"{field}.retention"] == fields_of(await refusal(call(stub, name, message)))
    assert ["items[1].given", "items[1].given.retention"] == fields_of(await refusal(stub.ApplyConsents(batch)))


@pytest.mark.parametrize(
    "name, message, reason",
    [
        ("LiftObjection", ev.ObjectionLifted(raised_position=2), "OBJECTION_UNKNOWN"),
        ("HonourWithdrawal", ev.WithdrawalHonoured(withdrawal_position=2, system="mail"), "WITHDRAWAL_UNKNOWN"),
        ("ReleaseGuardian", ev.GuardianReleased(guardian_id="g-1"), "GUARDIAN_UNKNOWN"),
        (
            "RenewConsent",
            ev.ConsentRenewed(consent=ev.ConsentGiven(purposes=["a"]), renews_position=99),
            "CONSENT_UNKNOWN",
        ),
        (
            "RequestConsent",
            ev.ConsentRequested(scope=scope("a"), notice=ev.NoticeReference(notice_id="n", served_position=2)),
            "NOTICE_UNKNOWN",
        ),
        (
            "DeferConsent",
            ev.ConsentDeferred(scope=scope("a"), notice=ev.NoticeReference(notice_id="n", served_position=2)),
            "NOTICE_UNKNOWN",
        ),
        (
            "GiveConsent",
            ev.ConsentGiven(purposes=["a"], notice=ev.NoticeReference(notice_id="n", served_position=2)),
            "NOTICE_UNKNOWN",
        ),
        (
            "GrantRecipient",
            ev.RecipientGrantGiven(recipient="a", purposes=["b"], fields=["c"], max_uses=1, until=LATER),
            "RECIPIENT_GRANT_TOO_LONG",
        ),
    ],
)
async def test_what_is_unknown_or_too_long_is_refused(
    stub: ConsentServiceStub, name: str, message: Message, reason: str
) -> None:
    await give(stub, "marketing")  # At position 2.

    assert reason == reason_of(await refusal(call(stub, name, message)))


# What ends consents otherwise.


async def test_a_consent_ends_with_an_event_and_with_the_months_of_a_law(
    server: Serving, stub: ConsentServiceStub
) -> None:
    rules = policies.JurisdictionRules(jurisdiction="DE", ask_again_months=1)
    await publish(server, jurisdictions=[rules])
    await give(stub, "event", at=MARCH, validity=ev.Validity(event="contract-ended"))
    await give(stub, "law", at=MARCH, jurisdiction="DE")
    await give(stub, "open", at=MARCH)
    before = await told(stub)
    visit = talk.InteractionRecorded(
        kind=talk.INTERACTION_KIND_VISIT, direction=talk.DIRECTION_OBSERVED, topic="contract-ended"
    )
    request = interactions.RecordInteractionRequest(**ids(), interaction=visit, occur_time=timestamp(MARCH + DAY))
    await InteractionServiceStub(server.channel).RecordInteraction(request)

    assert ["GIVEN", "EXPIRED", "GIVEN"] == before
    assert ["EXPIRED", "EXPIRED", "GIVEN"] == await told(stub)
    asked = relationships.GetRelationshipRequest(organization_id="acme", customer_id="c-1")
    shown = await RelationshipServiceStub(server.channel).GetRelationship(asked)
    assert [ev.CONSENT_STATUS_EXPIRED, ev.CONSENT_STATUS_GIVEN] == [
        each.status for each in shown.relationship.consents if each.cell.purpose in ("event", "open")
    ]
    ended, law, _ = await history(stub)
    assert (timestamp(MARCH + DAY), timestamp(MARCH + 31 * DAY)) == (ended.until, law.until)
    assert not ended.counts
    at = AsOf(occur_time=timestamp(MARCH + DAY - 1))
    assert ["GIVEN", "GIVEN", "GIVEN"] == await told(stub, as_of=at)


async def test_what_others_end_shows_who_ended_it_and_says_whether_anything_was_live(stub: ConsentServiceStub) -> None:
    await give(stub, "marketing", "service", at=MARCH)
    revoked = await call(stub, "RevokeConsent", ev.ConsentRevoked(scope=scope("marketing"), reason="shop-closed"))
    again = await call(stub, "RevokeConsent", ev.ConsentRevoked(scope=scope("marketing")))
    invalidated = await call(stub, "InvalidateConsent", ev.ConsentInvalidated(scope=scope("service")))

    ended, none = pb.WITHDRAWAL_EFFECT_ENDED, pb.WITHDRAWAL_EFFECT_NONE
    assert [ended, none, ended] == [revoked.effect, again.effect, invalidated.effect]
    assert ["REVOKED", "INVALIDATED"] == await told(stub)
    first, *_ = await history(stub)
    assert (False, invalidated.position) == (first.counts, first.ended_by_position)


async def test_a_refused_renewal_leaves_nothing_and_a_good_one_is_told_as_renewed(stub: ConsentServiceStub) -> None:
    given = await give(stub, "marketing", at=MARCH)
    renewal = ev.ConsentRenewed(consent=ev.ConsentGiven(purposes=["marketing"]), renews_position=given.position)
    await call(stub, "RenewConsent", renewal)

    assert ["RENEWED"] == await told(stub)
    _, second = await history(stub)
    assert (given.position, ev.LEGAL_BASIS_CONSENT, True) == (
        second.refers_to_position,
        second.legal_basis,
        second.counts,
    )


async def test_a_no_is_recorded_of_a_customer_whose_data_was_erased_without_what_would_be_sealed(
    server: Serving, stub: ConsentServiceStub
) -> None:
    evidence = ev.ConsentEvidence(user_agent="Lynx/2.8")
    await give(stub, "marketing.direct", evidence=evidence)
    server.app.ledger.keys.destroy(["acme/c-1"], MARCH)
    no = asking("WithdrawConsent", ev.ConsentWithdrawn(purposes=["marketing"], evidence=evidence))

    first = await stub.WithdrawConsent(no)
    again = await stub.WithdrawConsent(no)
    objected = await call(stub, "RaiseObjection", ev.ObjectionRaised(grounds_text="Enough.", evidence=evidence))
    no_again = await call(stub, "RefuseConsent", ev.ConsentRefused(evidence=evidence))
    refused = await refusal(call(stub, "GiveConsent", ev.ConsentGiven(purposes=["a"], evidence=evidence)))

    assert (pb.WITHDRAWAL_EFFECT_ENDED, True, first.position) == (first.effect, again.replayed, again.position)
    assert first.position < objected.position < no_again.position
    assert "SUBJECT_ERASED" == reason_of(refused)
    stored = [server.app.ledger.store.get(each.position) for each in (first, objected, no_again)]
    assert all(row is not None and b"Lynx" not in row.state and not parts(row).sealed for row in stored)


# Recipients and guardians.


async def test_a_disclosure_is_a_fact_and_says_which_grant_covered_it(stub: ConsentServiceStub) -> None:
    given = await give(stub, "marketing", recipients=["partner"])
    first = await call(stub, "RecordDisclosure", GOOD["RecordDisclosure"])
    await call(stub, "RevokeRecipient", GOOD["RevokeRecipient"])
    second = await call(stub, "RecordDisclosure", GOOD["RecordDisclosure"])

    assert (True, given.position + 1) == (first.within_grant, first.grant_position)
    assert (False, 0) == (second.within_grant, second.grant_position)
    consent, grant, revoked = await history(stub)
    assert (True, False, "recipient_grant.revoked.v1") == (consent.counts, grant.counts, revoked.topic)


async def test_a_grant_may_last_as_long_as_the_policy_says(server: Serving, stub: ConsentServiceStub) -> None:
    await publish(server, recipient_grant_days=2)
    grant = ev.RecipientGrantGiven(recipient="a", purposes=["b"], fields=["c"], max_uses=1)
    grant.until.CopyFrom(timestamp(MARCH + 2 * DAY))
    await call(stub, "GrantRecipient", grant, MARCH)
    grant.until.CopyFrom(timestamp(MARCH + 2 * DAY + 1))

    status = await refusal(call(stub, "GrantRecipient", grant, MARCH))

    assert ("RECIPIENT_GRANT_TOO_LONG", ["grant.until"]) == (reason_of(status), fields_of(status))


async def test_a_guardian_speaks_until_released(stub: ConsentServiceStub) -> None:
    await call(stub, "AppointGuardian", GOOD["AppointGuardian"], MARCH)
    live, *_ = await history(stub)
    await call(stub, "ReleaseGuardian", ev.GuardianReleased(guardian_id="g-1"), MARCH + DAY)
    over, *_ = await history(stub)

    assert (True, False, timestamp(MARCH + DAY)) == (live.counts, over.counts, over.until)


# Batches.


async def test_a_batch_takes_every_act_and_later_ones_see_the_earlier(stub: ConsentServiceStub) -> None:
    items = [
        pb.ConsentAct(customer_id="c-1", occur_time=timestamp(MARCH), notice_served=GOOD["ServeNotice"]),
        pb.ConsentAct(customer_id="c-1", occur_time=timestamp(MARCH), requested=GOOD["RequestConsent"]),
        pb.ConsentAct(customer_id="c-1", occur_time=timestamp(MARCH), deferred=GOOD["DeferConsent"]),
        pb.ConsentAct(customer_id="c-1", given=ev.ConsentGiven(purposes=["marketing"], recipients=["a", "b"])),
        pb.ConsentAct(customer_id="c-1", renewed=GOOD["RenewConsent"]),
        pb.ConsentAct(customer_id="c-1", revoked=GOOD["RevokeConsent"]),
        pb.ConsentAct(customer_id="c-1", invalidated=GOOD["InvalidateConsent"]),
        pb.ConsentAct(customer_id="c-1", objected=GOOD["RaiseObjection"]),
    ]
    answer = await stub.ApplyConsents(
        pb.ApplyConsentsRequest(organization_id="acme", request_id=str(uuid.uuid4()), items=items)
    )

    positions = [result.position for result in answer.results]
    assert [2, 3, 4, 5, 8, 9, 10, 11] == positions
    assert positions == [entry.position for entry in await history(stub) if "recipient" not in entry.topic]
    assert ["INVALIDATED"] == await told(stub)


async def test_a_fault_in_a_batch_is_named_by_its_item(stub: ConsentServiceStub) -> None:
    items = [
        pb.ConsentAct(customer_id="c-1", requested=ev.ConsentRequested(scope=scope())),
        pb.ConsentAct(customer_id="c-1", notice_served=ev.NoticeServed(notice=ev.NoticeReference(notice_id="n"))),
        pb.ConsentAct(customer_id="c-1", renewed=ev.ConsentRenewed(consent=ev.ConsentGiven(purposes=["a"]))),
    ]
    items[2].renewed.consent.validity.SetInParent()
    request = pb.ApplyConsentsRequest(organization_id="acme", request_id=str(uuid.uuid4()), items=items)

    status = await refusal(stub.ApplyConsents(request))

    assert [
        "items[0].requested.scope.purposes",
        "items[1].notice_served.notice.sha256",
        "items[2].renewed.consent.validity",
    ] == fields_of(status)
