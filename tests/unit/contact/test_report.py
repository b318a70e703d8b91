"""The contact report: what was decided, what was honoured, and what was left undone."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.contact.permits import PermitStatus
from ledger.contact.report import ContactReport, contact_report
from ledger.contact.standing import needs_decision, standing
from ledger.domain.times import END_OF_TIME, START_OF_TIME, timestamp
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2 as pref
from tests.contact_histories import (
    DAY,
    HOUR,
    MINUTE,
    History,
    did,
    given,
    lives_in,
    moment,
    preferred,
    question,
    quiet,
    sent,
    stream,
    suppressed,
    withdrawn,
)

T = moment("2026-05-01T12:00Z")
"""A Friday."""
PERMIT, DENY, DEFER = d.DECISION_OUTCOME_PERMIT, d.DECISION_OUTCOME_DENY, d.DECISION_OUTCOME_DEFER
EMAIL, SMS = i.CHANNEL_EMAIL, i.CHANNEL_SMS


def report(
    history: History, at: int = T + 30 * DAY, *, after: int = START_OF_TIME, until: int = END_OF_TIME
) -> ContactReport:
    picture = history.picture(at)
    purposes = picture.purposes
    return contact_report(picture.state, picture.policy, at, purposes=purposes, after=after, until=until)


def allowed_history() -> History:
    """Return a history of somebody who consented."""
    history = History()
    history.add(given(), T - 100 * DAY)
    return history


def status(history: History, position: int) -> PermitStatus | None:
    state = history.states()[stream("c")]
    contact = state.conversation.contact_at(position)
    assert contact is not None
    return standing(contact, state)


def test_nothing_was_said_and_nothing_is_counted() -> None:
    nothing = report(History())

    assert (nothing.contacts, nothing.honoured_ppm, nothing.decisions, nothing.dishonoured) == (0, None, {}, [])


def test_a_contact_under_an_open_permit_is_decided_and_honoured() -> None:
    history = allowed_history()
    permit, _ = history.decide_and_record(T)
    position = history.add(sent(decision_id=permit), T + MINUTE)

    counted = report(history)

    assert (counted.contacts, counted.needing_decision, counted.decided, counted.honoured) == (1, 1, 1, 1)
    assert (counted.undecided, counted.against_decision, counted.honoured_ppm) == (0, 0, 1_000_000)
    assert counted.decisions == {PERMIT: 1}
    assert status(history, position) == PermitStatus.OPEN


def test_a_contact_that_needs_a_decision_and_names_none_is_not_honoured() -> None:
    history = allowed_history()
    position = history.add(sent(), T)

    counted = report(history)

    assert (counted.needing_decision, counted.undecided, counted.honoured) == (1, 1, 0)
    assert [(each.position, each.permit_status, each.reasons) for each in counted.dishonoured] == [(position, None, ())]


@pytest.mark.parametrize(
    "values, needed",
    [
        ({}, True),
        ({"message_class": i.MESSAGE_CLASS_SURVEY}, True),
        ({"message_class": i.MESSAGE_CLASS_COMMUNITY}, True),
        ({"message_class": i.MESSAGE_CLASS_SERVICE}, False),
        ({"message_class": i.MESSAGE_CLASS_TRANSACTIONAL}, False),
        ({"message_class": i.MESSAGE_CLASS_UNSPECIFIED}, False),
        ({"in_reply_to": 2}, False),
        ({"in_reply_to": 1}, True),
    ],
)
def test_which_contacts_need_a_decision(values: dict[str, Any], needed: bool) -> None:
    history = allowed_history()
    history.add(did("QUESTION"), T)
    position = history.add(sent(**values), T)

    contact = history.states()[stream("c")].conversation.contact_at(position)
    assert needs_decision(contact) == needed
    assert not needs_decision(contact._replace(historical_import=True))
    assert report(history).honoured == (not needed)


def test_how_a_contact_stands_with_its_decision_is_how_it_stood_when_it_was_made() -> None:
    history = allowed_history()
    permit, _ = history.decide_and_record(T)
    second, _ = history.decide_and_record(T)
    third, _ = history.decide_and_record(T)
    fourth, _ = history.decide_and_record(T)
    history.add(d.ContactAborted(decision_id=third), T)
    history.add(withdrawn(), T + 10 * MINUTE)
    denied, _ = history.decide_and_record(T + 10 * MINUTE)
    told = {
        "used before": history.add(sent(decision_id=permit), T + 5 * MINUTE, recorded=T + 20 * MINUTE),
        "used": history.add(sent(decision_id=permit), T + 20 * MINUTE),
        "void": history.add(sent(decision_id=second), T + 20 * MINUTE),
        "aborted": history.add(sent(decision_id=third), T + 20 * MINUTE),
        "over": history.add(sent(decision_id=fourth), T + HOUR),
        "denied": history.add(sent(decision_id=denied), T + HOUR),
        "no decision": history.add(sent(decision_id=1), T + HOUR),
        "another way": history.add(sent(decision_id=fourth, channel=SMS), T + HOUR),
    }
    history.add(withdrawn(), T + 2 * HOUR)

    assert {name: status(history, position) for name, position in told.items()} == {
        "used before": PermitStatus.OPEN,  # Told late, but made before the withdrawal.
        "used": PermitStatus.USED,
        "void": PermitStatus.VOID,
        "aborted": PermitStatus.ABORTED,
        "over": PermitStatus.EXPIRED,
        "denied": PermitStatus.NOT_A_PERMIT,
        "no decision": PermitStatus.UNKNOWN,
        "another way": PermitStatus.NOT_THIS_CONTACT,
    }
    counted = report(history)
    assert (counted.needing_decision, counted.decided, counted.undecided, counted.against_decision) == (8, 1, 1, 6)
    assert counted.decisions == {PERMIT: 4, DENY: 1}


@pytest.mark.parametrize(
    "asks, contact, is_it",
    [
        ({}, {}, True),
        ({}, {"contact_point_id": "p", "brand": "tea"}, True),
        ({"brand": "tea"}, {}, True),
        ({"brand": "tea"}, {"brand": "rum"}, False),
        ({"brand": "tea"}, {"brand": "tea"}, True),
        ({}, {"message_class": i.MESSAGE_CLASS_SURVEY}, False),
        ({}, {"sender_id": "partner"}, False),
    ],
)
def test_which_contact_a_permit_is_for(asks: dict[str, Any], contact: dict[str, Any], is_it: bool) -> None:
    history = allowed_history()
    permit, decided = history.decide_and_record(T, question(**asks))
    assert decided.outcome == PERMIT
    position = history.add(sent(decision_id=permit, **contact), T + 1)

    assert status(history, position) == (PermitStatus.OPEN if is_it else PermitStatus.NOT_THIS_CONTACT)


def test_a_contact_is_held_against_what_was_declared_by_then() -> None:
    history = allowed_history()
    service = {"message_class": i.MESSAGE_CLASS_SERVICE}
    before = history.add(sent(**service), T)
    history.add(lives_in("Europe/Berlin"), T + HOUR)
    history.add(preferred(channels=pref.ChannelPreference(averse=[EMAIL])), T + HOUR)
    averse = history.add(sent(**service), T + 2 * HOUR)
    history.add(preferred(channels=pref.ChannelPreference()), T + 3 * HOUR)
    history.add(preferred(topics=pref.TopicPreference(excluded=["rum"])), T + 3 * HOUR)
    history.add(quiet(21, 8), T + 3 * HOUR)
    excluded = history.add(sent(topic="rum", **service), T + 4 * HOUR)
    quietly = history.add(sent(**service), T + 8 * HOUR)  # 22:00 in Berlin.
    posted = history.add(sent(channel=i.CHANNEL_POSTAL, **service), T + 8 * HOUR)
    history.add(preferred(pause=pref.Pause(until=timestamp(T + 2 * DAY))), T + 9 * HOUR)
    paused = history.add(sent(**service), T + DAY)
    after = history.add(sent(**service), T + 2 * DAY)
    transaction = history.add(sent(topic="rum", message_class=i.MESSAGE_CLASS_TRANSACTIONAL), T + 2 * DAY)

    counted = report(history)

    names = {
        each.position: [d.DecisionReason.Name(reason).removeprefix("DECISION_REASON_") for reason in each.reasons]
        for each in counted.dishonoured
    }
    assert names == {
        averse: ["CHANNEL_AVERSE"],
        excluded: ["TOPIC_EXCLUDED"],
        quietly: ["QUIET_HOURS"],
        paused: ["PAUSED"],
    }
    assert {before, posted, after, transaction}.isdisjoint(names)
    assert (counted.contacts, counted.honoured, counted.honoured_ppm) == (8, 4, 500_000)


def test_the_contact_too_many_is_not_honoured_and_those_before_it_are() -> None:
    history = allowed_history()
    wish = preferred(frequency=pref.FrequencyPreference(count=2, period=pref.PERIOD_WEEK, channel=EMAIL))
    history.add(wish, T - 9 * DAY)
    service = {"message_class": i.MESSAGE_CLASS_SERVICE}
    for _ in range(2):
        history.add(sent(**service), T)
    history.add(sent(channel=SMS, **service), T)
    too_many = [history.add(sent(**service), T), history.add(sent(**service), T + DAY)]
    history.add(sent(**service), T + 3 * DAY)  # On Monday.

    counted = report(history)

    assert [each.position for each in counted.dishonoured] == too_many
    assert {each.reasons for each in counted.dishonoured} == {(d.DECISION_REASON_FREQUENCY_DECLARED,)}


def test_a_no_after_which_nothing_was_done_is_a_contact_avoided() -> None:
    history = allowed_history()
    history.add(quiet(0, 13), T - 9 * DAY)
    deferred, decided = history.decide_and_record(T)
    assert (decided.outcome, report(history).contacts_avoided) == (DEFER, 1)

    other_way, done = history.copy(), history.copy()
    other_way.add(sent(channel=SMS), T + 2 * HOUR)
    permit, later = done.decide_and_record(T + 2 * HOUR)
    done.add(sent(decision_id=permit, topic="tea"), T + 2 * HOUR)

    assert later.outcome == PERMIT
    assert report(done).contacts_avoided == 0
    assert report(other_way).contacts_avoided == 1
    made_anyway = history.copy()
    made_anyway.add(sent(channel=SMS, decision_id=deferred), T + MINUTE)
    assert report(made_anyway).contacts_avoided == 0


def test_contacts_before_a_denial_do_not_follow_it() -> None:
    history = allowed_history()
    history.add(sent(), T)
    history.add(withdrawn(), T)
    history.decide_and_record(T)

    assert report(history).contacts_avoided == 1


def test_permits_that_came_to_nothing_are_unused_or_void() -> None:
    history = allowed_history()
    history.decide_and_record(T)
    given_back, _ = history.decide_and_record(T)
    history.add(d.ContactAborted(decision_id=given_back), T)
    assert report(history, T).permits_unused == 1
    assert report(history, T + HOUR).permits_unused == 2
    voided = history.copy()
    voided.add(suppressed("DECEASED"), T + MINUTE)
    too_late = history.copy()
    too_late.add(withdrawn(), T + HOUR)

    # What was given back before was not voided.
    assert (report(voided).permits_void, report(voided).permits_unused) == (1, 1)
    assert (report(too_late).permits_void, report(too_late).permits_unused) == (0, 2)


def test_only_what_occurred_in_the_window_is_counted() -> None:
    history = allowed_history()
    for days in range(4):
        permit, _ = history.decide_and_record(T + days * DAY)
        history.add(sent(decision_id=permit), T + days * DAY)

    counted = report(history, after=T, until=T + 2 * DAY)

    assert (counted.contacts, counted.decided, counted.decisions) == (2, 2, {PERMIT: 2})


def test_a_policy_says_where_the_clock_stands_of_whom_nothing_is_known() -> None:
    history = allowed_history()
    history.publish(p.ContactPolicy(version=1, default_time_zones=["Asia/Tokyo"]), T - 9 * DAY)
    history.add(quiet(21, 8), T - 8 * DAY)
    history.add(sent(message_class=i.MESSAGE_CLASS_SERVICE), T)  # 21:00 in Tokyo.

    assert report(history).dishonoured[0].reasons == (d.DECISION_REASON_QUIET_HOURS,)
