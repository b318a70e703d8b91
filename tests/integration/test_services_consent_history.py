"""ConsentService through gRPC: the history of consents, what was lifted, honoured or ended, and by what."""

from __future__ import annotations

from ledger.domain.times import timestamp
from rapport.consent.v1.consent_cell_pb2 import ConsentCell
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.events.v1 import consent_pb2 as ev
from rapport.events.v1 import contact_policy_pb2 as policies
from rapport.events.v1 import interaction_pb2 as talk
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.event_context_pb2 import EventContext
from tests.consent_calls import (
    DAY,
    EMAIL,
    GOOD,
    MARCH,
    NOTICE,
    SMS,
    call,
    give,
    history,
    publish,
    scope,
    server,
    stub,
    told,
)
from tests.refusals import reason_of, refusal
from tests.server import Serving

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


async def test_the_history_tells_what_was_honoured_and_what_is_overdue(
    server: Serving, stub: ConsentServiceStub
) -> None:
    await publish(server, honour=[policies.HonourRule(days=10, business_days=True, channels=[EMAIL])])
    withdrawal = ev.ConsentWithdrawn(channels=[EMAIL])
    first = await call(stub, "WithdrawConsent", withdrawal, MARCH)
    await call(stub, "WithdrawConsent", withdrawal, MARCH)
    await call(stub, "WithdrawConsent", ev.ConsentWithdrawn(channels=[SMS]), MARCH)
    for system in ("mail", "crm", "mail"):
        await call(stub, "HonourWithdrawal", ev.WithdrawalHonoured(withdrawal_position=first.position, system=system))

    honoured, overdue, other, *rest = await history(stub)

    assert (["mail", "crm"], False) == (list(honoured.honoured_by), honoured.honour_overdue)
    assert ([], True, timestamp(MARCH + 12 * DAY)) == (
        list(overdue.honoured_by),
        overdue.honour_overdue,
        overdue.honour_due_time,
    )
    assert not other.HasField("honour_due_time")
    assert {first.position} == {entry.refers_to_position for entry in rest}


async def test_a_no_by_any_channel_among_others_is_to_be_honoured_by_the_rules_of_every_channel(
    server: Serving, stub: ConsentServiceStub
) -> None:
    await publish(server, honour=[policies.HonourRule(days=10, channels=[EMAIL])])
    await call(stub, "WithdrawConsent", ev.ConsentWithdrawn(channels=[talk.CHANNEL_UNSPECIFIED, SMS]), MARCH)

    (entry,) = await history(stub)

    assert timestamp(MARCH + 10 * DAY) == entry.honour_due_time


async def test_the_history_tells_when_a_denial_was_lifted_and_by_what_an_objection(stub: ConsentServiceStub) -> None:
    refused = await call(stub, "RefuseConsent", ev.ConsentRefused(purposes=["a", "b"]), MARCH)
    one = await give(stub, "a", at=MARCH + DAY)
    part, *_ = await history(stub)
    other = await give(stub, "b", at=MARCH + DAY)
    whole, *_ = await history(stub)
    raised = await call(stub, "RaiseObjection", GOOD["RaiseObjection"], MARCH)
    lifted = await call(stub, "LiftObjection", ev.ObjectionLifted(raised_position=raised.position))

    assert (refused.position, True, 0) == (part.position, part.counts, part.ended_by_position)
    assert one.position < other.position
    assert (False, other.position) == (whole.counts, whole.ended_by_position)
    *_, objection, lift = await history(stub)
    assert (False, lifted.position) == (objection.counts, objection.ended_by_position)
    assert raised.position == lift.refers_to_position


async def test_a_late_withdrawal_ends_what_was_given_after_it_and_the_past_knows_nothing_of_it(
    stub: ConsentServiceStub,
) -> None:
    given = await give(stub, "marketing", at=MARCH)
    late = await call(stub, "WithdrawConsent", ev.ConsentWithdrawn(), MARCH - 28 * DAY)
    before = AsOf(position=given.position)

    assert "WITHDRAWN" in await told(stub)
    assert ["GIVEN"] == await told(stub, as_of=before)
    (early,) = await history(stub, as_of=AsOf(occur_time=timestamp(MARCH - 1)))
    assert late.position == early.position
    (entry, _), (past,) = await history(stub), await history(stub, as_of=before)
    assert (False, late.position, True) == (entry.counts, entry.ended_by_position, past.counts)


async def test_the_history_names_actor_notice_scope_and_both_times(stub: ConsentServiceStub) -> None:
    served = await call(stub, "ServeNotice", GOOD["ServeNotice"], MARCH, context=EventContext(actor="form-7"))
    named = ev.NoticeReference()
    named.CopyFrom(NOTICE)
    named.served_position = served.position
    await give(stub, "marketing", at=MARCH + 1, notice=named, brands=["north"])

    shown, given = await history(stub)

    assert ("form-7", NOTICE, timestamp(MARCH)) == (shown.actor, shown.notice, shown.occur_time)
    assert served.record_time == shown.record_time
    assert not shown.HasField("scope")
    assert (named, scope("marketing", brands=["north"])) == (given.notice, given.scope)
    assert ["GIVEN"] == await told(stub, ConsentCell(purpose="marketing.direct", brand="north"))


async def test_a_history_of_nobody_is_refused(stub: ConsentServiceStub) -> None:
    assert "RELATIONSHIP_UNKNOWN" == reason_of(await refusal(history(stub)))
