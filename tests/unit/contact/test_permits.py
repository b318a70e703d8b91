"""What became of permits, and the two commands: deciding, and giving back."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.contact.deciding import AbortContact, DecideContact, NeedsMore
from ledger.contact.permits import Permit, PermitStatus, permit_status
from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.times import microseconds
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import exchange_pb2
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from rapport.type.v1.amount_pb2 import Amount
from tests.contact_histories import (
    DAY,
    HOUR,
    POLICIES,
    History,
    did,
    given,
    moment,
    objected,
    question,
    reason_name,
    refused,
    sent,
    stream,
    suppressed,
    withdrawn,
)

T = moment("2026-05-01T12:00Z")
CARE: dict[str, Any] = {"purpose": "service.care", "message_class": i.MESSAGE_CLASS_SERVICE}


def permitted(**values: Any) -> tuple[History, int]:
    """Return a history with a permit of T, and the permit's position."""
    history = History()
    history.add(given("marketing.direct", purposes=["marketing.direct", "service.care"]), T - 9 * DAY)
    position, decided = history.decide_and_record(T, question(**values))
    assert "PERMIT" == reason_name(decided)
    return history, position


def status(history: History, decision_id: int, at: int = T + 1) -> Permit:
    """Return what became of a permit."""
    return permit_status(history.states()[stream("c")], decision_id, at)


def test_decisions_are_kept_as_bytes_and_read_when_they_are_asked_for() -> None:
    """A cache holds very many, and a message that was read takes twenty times the memory of its bytes."""
    history, permit = permitted()

    kept = history.states()[stream("c")].contacts.find(permit)

    assert history.facts[-1][1].event == kept.message
    assert not any(isinstance(part, Message) for part in kept)


def test_a_permit_is_open_until_it_expires() -> None:
    history, permit = permitted()

    assert Permit(PermitStatus.OPEN) == status(history, permit, T + HOUR - 1)
    assert Permit(PermitStatus.EXPIRED) == status(history, permit, T + HOUR)


def test_a_permit_is_used_by_the_contact_that_names_it_also_where_that_was_late() -> None:
    history, permit = permitted()
    contact = history.add(sent(decision_id=permit), T + 2 * HOUR)

    assert Permit(PermitStatus.USED, contact) == status(history, permit, T + 3 * HOUR)


def test_a_permit_that_was_given_back_stays_so() -> None:
    history, permit = permitted()
    aborted = history.add(d.ContactAborted(decision_id=permit), T + 1)
    history.add(withdrawn(), T + 2)

    assert Permit(PermitStatus.ABORTED, aborted) == status(history, permit, T + 2)


def test_what_gave_no_permit_or_is_no_decision_is_none() -> None:
    history, permit = permitted()
    history.add(withdrawn(), T + 1)
    denied, _ = history.decide_and_record(T + 2)

    assert Permit(PermitStatus.NOT_A_PERMIT) == status(history, denied)
    assert Permit(PermitStatus.UNKNOWN) == status(history, permit + 1)
    assert Permit(PermitStatus.UNKNOWN) == status(history, 999)


@pytest.mark.parametrize(
    "event", [withdrawn(), refused("marketing"), objected(), c.ConsentRevoked(), suppressed("COMPLAINT")]
)
def test_a_no_after_it_voids_a_permit_for_good(event: Any) -> None:
    history, permit = permitted()
    no = history.add(event, T - DAY, recorded=T + 1)
    assert Permit(PermitStatus.VOID, no) == status(history, permit)

    history.add(given(), T + 2)
    history.add(c.ObjectionLifted(raised_position=no), T + 2)
    history.add(c.SuppressionLifted(added_position=no, reason="wrong"), T + 2)
    assert Permit(PermitStatus.VOID, no) == status(history, permit, T + 3)


def test_a_no_before_it_or_to_something_else_leaves_a_permit_open() -> None:
    history = History()
    history.add(withdrawn(), T - 20 * DAY)
    history.add(given(), T - 9 * DAY)
    permit, _ = history.decide_and_record(T)
    history.add(withdrawn("marketing.social"), T + 1)
    history.add(withdrawn(channels=[i.CHANNEL_SMS]), T + 1)
    history.add(suppressed("HARD_BOUNCE", contact_point_id="p"), T + 1)

    assert Permit(PermitStatus.OPEN) == status(history, permit, T + 1)


def test_a_no_voids_a_permit_of_service_only_where_it_rests_on_consent() -> None:
    history, permit = permitted(**CARE)
    history.add(did("PURCHASE"), T)
    by_contract, decided = history.decide_and_record(
        T, question(legal_basis=c.LEGAL_BASIS_CONTRACT_PERFORMANCE, **CARE)
    )
    assert c.LEGAL_BASIS_CONTRACT_PERFORMANCE == decided.legal_basis
    no = history.add(withdrawn(), T + 1)
    history.add(objected(), T + 1)

    assert Permit(PermitStatus.VOID, no) == status(history, permit)
    assert Permit(PermitStatus.OPEN) == status(history, by_contract)


def test_a_no_of_a_linked_id_voids_a_permit() -> None:
    history, permit = permitted()
    no = history.add(withdrawn(), T + 1, customer="b")
    states = history.states()

    linked = [states[stream("b")]]
    assert Permit(PermitStatus.VOID, no) == permit_status(states[stream("c")], permit, T + 1, linked=linked)


# Deciding.


def decided(history: History, now: int, reads: tuple[str, ...] = (POLICIES,), book: Any = None) -> Any:
    """Carry out a step on the states of a history."""
    states = history.states()
    step = DecideContact(stream("c"), question(), reads, book)
    others = {name: states[name] for name in reads}
    return step.decide(states[stream("c")], Setting(now, others))


def test_a_decision_is_a_fact_of_its_instant_with_what_it_read() -> None:
    history = History()
    history.add(given(), T)

    (fact,), note = decided(history, T + 5)

    assert ("contact.decided.v1", T + 5, True, b"") == (fact.topic, fact.occur_time, fact.defaulted, note)
    assert history.decide(T + 5) == fact.event


@pytest.mark.parametrize("later", ["c", "b", ""])
def test_no_decision_is_for_an_instant_before_what_it_rests_on(later: str) -> None:
    history = History()
    history.add(given(), T - 9 * DAY)
    history.add(given(), T - 9 * DAY, customer="b")
    history.link("c", "b", T - 8 * DAY)
    if later:
        history.add(did("VISIT"), T, customer=later)
    else:
        history.publish(ContactPolicy(version=1), T)

    (fact,), _ = decided(history, T - 26 * HOUR, (POLICIES, stream("b")))

    assert T == fact.occur_time


def test_links_that_lead_further_are_asked_for_all_at_once_as_far_as_they_are_known() -> None:
    history = History()
    history.add(given(), T - 9 * DAY)
    history.link("c", "b", T - 8 * DAY, "cb")
    history.link("c", "x", T - 8 * DAY, "cx")
    history.link("b", "a", T - 8 * DAY, "ba")

    with pytest.raises(NeedsMore) as first:
        decided(history, T)
    assert (frozenset({stream("b"), stream("x")}), False) == (first.value.linked, first.value.book)
    with pytest.raises(NeedsMore) as second:
        decided(history, T, (POLICIES, stream("b"), stream("x")))
    assert {stream("a"), stream("b"), stream("x")} == second.value.linked
    assert second.value is second.value.at_step(3)
    (fact,), _ = decided(history, T, (POLICIES, stream("a"), stream("b"), stream("x")))
    assert ["acme/c", "acme/a", "acme/b", "acme/x", "acme/@policy"] == [each.stream_id for each in fact.event.read_set]


def test_a_stream_that_no_link_leads_to_any_more_does_no_harm() -> None:
    history = History()
    history.add(given(), T - 9 * DAY)
    history.add(withdrawn(), T - 9 * DAY, customer="b")

    (fact,), _ = decided(history, T, (POLICIES, stream("b")))

    assert ("PERMIT", 2) == (reason_name(fact.event), len(fact.event.read_set))


def test_the_book_is_asked_for_where_there_are_exchanges_and_has_to_be_the_one_of_now() -> None:
    history = History()
    history.add(given(), T - 9 * DAY)
    money = exchange_pb2.Leg(
        giver=exchange_pb2.PARTY_CUSTOMER,
        category=exchange_pb2.CATEGORY_MONEY_PAYMENT,
        amount=Amount(units=1, asset="EUR/2"),
    )
    history.add(exchange_pb2.ExchangeRecorded(exchange_id="x", legs=[money]), T - 8 * DAY)
    old = history.book()
    with pytest.raises(NeedsMore) as raised:
        decided(history, T)
    assert (frozenset(), True) == (raised.value.linked, raised.value.book)
    assert decided(history, T, book=old)

    history.add(exchange_pb2.ObservationDeclared(), T - 7 * DAY)
    with pytest.raises(NeedsMore):
        decided(history, T, book=old)
    # What is no exchange leaves the book as good as it was.
    new = history.book()
    history.add(did("VISIT"), T - 6 * DAY)
    assert decided(history, T, book=new)


# Giving back.


def abort(history: History, decision_id: int, now: int = T + 1) -> Any:
    """Carry out the giving back of a permit."""
    step = AbortContact(stream("c"), d.ContactAborted(decision_id=decision_id, reason="changed-plans"))
    return step.decide(history.states()[stream("c")], Setting(now, {}))


def test_an_open_permit_is_given_back_and_a_void_one_too_for_it_still_counts() -> None:
    history, permit = permitted()
    (fact,), _ = abort(history, permit)
    assert ("contact.aborted.v1", permit, T + 1) == (fact.topic, fact.event.decision_id, fact.occur_time)

    history.add(withdrawn(), T + 1)
    assert abort(history, permit).facts


def test_what_is_no_permit_any_more_is_not_given_back() -> None:
    history, permit = permitted()
    with pytest.raises(Rejected) as expired:
        abort(history, permit, T + HOUR)
    assert (reasons.ERROR_REASON_PERMIT_NOT_OPEN, "EXPIRED") == (
        expired.value.reason,
        expired.value.metadata["permit_status"],
    )

    history.add(d.ContactAborted(decision_id=permit), T + 1)
    with pytest.raises(Rejected, match="given back"):
        abort(history, permit)
    with pytest.raises(Rejected) as unknown:
        abort(history, 1)
    assert reasons.ERROR_REASON_DECISION_UNKNOWN == unknown.value.reason


# The fold.


def test_open_permits_are_those_neither_expired_nor_used_nor_given_back_and_void_ones_too() -> None:
    history, _ = permitted()
    second, decided_ = history.decide_and_record(T + 1)
    third, _ = history.decide_and_record(T + 2)
    fourth, _ = history.decide_and_record(T + 3)
    history.add(d.ContactAborted(decision_id=second), T + 4)
    history.add(sent(decision_id=third), T + 4)
    history.add(withdrawn(), T + 5)
    state = history.states()[stream("c")]

    def is_open(at: int) -> list[int]:
        return [each.position for each in state.contacts.permits(at, state.conversation.contact_of)]

    assert [2, fourth] == is_open(T + 5)
    assert [fourth] == is_open(microseconds(decided_.permit_expires_time) - 1)
    assert [] == is_open(T + HOUR + 3)


def test_what_occurred_after_a_view_is_not_in_it() -> None:
    history, permit = permitted()
    history.add(d.ContactAborted(decision_id=permit), T + 9)

    before, then = (history.states(until=until)[stream("c")] for until in (T - 1, T + 8))

    assert (None, []) == (before.contacts.find(permit), before.contacts.decisions)
    assert (permit, None) == (then.contacts.find(permit).position, then.contacts.aborted(permit))
