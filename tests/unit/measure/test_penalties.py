"""What went wrong, and by how much it lowers the strength (relationship.md 5 and 15, settled.md 40)."""

from __future__ import annotations

import pytest

from ledger.measure.measured import Measured
from ledger.measure.penalties import events
from ledger.measure.record import Record
from rapport.events.v1 import attribute_pb2, contact_pb2, identity_pb2
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2 as f
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import DAY, HOUR, did, given, question, quiet, recipient, sent, verified, withdrawn
from tests.measured_histories import START, MeasuredHistory, promised, told

LATER = START + 40 * DAY


def found(history: MeasuredHistory, at: int = LATER) -> list[tuple[str, int, int, str]]:
    """Return what went wrong: kind, position, day after START, name."""
    return [
        (
            levels.StrengthComponent.Name(each.kind).removeprefix("STRENGTH_COMPONENT_"),
            each.position,
            (each.occur_time - START) // DAY,
            each.name,
        )
        for each in events(history.measured(at))
    ]


def test_a_withdrawal_counts_if_it_ended_a_live_cell_and_only_once() -> None:
    history = MeasuredHistory()
    history.add(withdrawn("marketing"), START)
    history.add(given("marketing.direct"), START + DAY)
    first = history.add(withdrawn("marketing"), START + 2 * DAY)
    history.add(withdrawn("marketing"), START + 3 * DAY)
    history.add(given("marketing", START + 5 * DAY), START + 4 * DAY)
    history.add(withdrawn("marketing"), START + 6 * DAY)

    assert [("WITHDRAWAL", first, 2, "")] == found(history)


def test_a_withdrawal_of_what_the_notice_listed_ended_something() -> None:
    history = MeasuredHistory()
    notice = {"notice_id": "n", "purposes": ["marketing.post"]}
    history.add(given("marketing", notice=notice), START)
    history.add(withdrawn("marketing.post", channels=[i.CHANNEL_EMAIL]), START + DAY)

    assert [("WITHDRAWAL", 2, 1, "")] == found(history)


def test_a_consent_confirmed_after_a_withdrawal_was_not_live_before_it() -> None:
    history = MeasuredHistory()
    history.add(given("marketing", confirmation_required=True), START)
    history.add(withdrawn("marketing"), START + DAY)

    assert [] == found(history)


def test_a_mark_as_spam_and_an_open_complaint_count_until_they_are_taken_back_or_resolved() -> None:
    history = MeasuredHistory()
    spam = history.add(did("MARKED_SPAM"), START)
    complaint = history.add(did("COMPLAINT"), START + DAY)
    assert [("SPAM", spam, 0, ""), ("COMPLAINT", complaint, 1, "")] == found(history)

    history.add(told("COMPLAINT_RESOLVED", refers_to=complaint), START + 2 * DAY)
    history.add(i.InteractionRetracted(original_position=spam), START + 2 * DAY)

    assert [] == found(history)


def test_a_contact_without_the_decision_that_it_needs_dishonours_and_others_do_not() -> None:
    history = MeasuredHistory()
    bare = history.add(sent(), START)
    question_asked = history.add(did("QUESTION"), START)
    history.add(sent(in_reply_to=question_asked), START)
    history.add(told(), START)

    assert [("PREFERENCE_DISHONOURED", bare, 0, "")] == found(history)


def test_a_bounced_contact_dishonours_nobody() -> None:
    history = MeasuredHistory()
    bare = history.add(sent(), START)
    measured = history.measured(START)
    assert 1 == len(events(measured))
    history.add(told("BOUNCED", refers_to=bare), START + DAY)

    assert [] == found(history)


def decided(history: MeasuredHistory, outcome: str, at: int, expires: int = 0) -> int:
    """Record a decision about an e-mail for marketing; return its position."""
    event = contact_pb2.ContactDecided(
        outcome=contact_pb2.DecisionOutcome.Value(f"DECISION_OUTCOME_{outcome}"), question=question()
    )
    if expires:
        event.permit_expires_time.FromMicroseconds(expires)
    return history.add(event, at)


def test_a_contact_after_its_permit_ended_dishonours_and_one_in_time_does_not() -> None:
    history = MeasuredHistory()
    permit = decided(history, "PERMIT", START, START + HOUR)
    history.add(sent(decision_id=permit), START + HOUR - 1)
    late = decided(history, "PERMIT", START + DAY, START + DAY + HOUR)
    history.add(sent(decision_id=late), START + DAY + HOUR)
    history.add(sent(decision_id=permit), START + 2 * DAY)

    assert [("PREFERENCE_DISHONOURED", 4, 1, ""), ("PREFERENCE_DISHONOURED", 5, 2, "")] == found(history)


def test_a_contact_that_names_no_permit_dishonours_and_against_a_denial_fractures_trust_too() -> None:
    history = MeasuredHistory()
    history.add(sent(decision_id=decided(history, "DENY", START)), START)
    history.add(sent(decision_id=decided(history, "DEFER", START)), START)

    denied = [("PREFERENCE_DISHONOURED", 2, 0, ""), ("TRUST_FRACTURED", 2, 0, "contact")]
    assert [*denied, ("PREFERENCE_DISHONOURED", 4, 0, "")] == found(history)


def test_a_contact_against_what_was_declared_dishonours_whatever_its_class() -> None:
    history = MeasuredHistory()
    history.add(told(), START)
    history.add(f.PreferenceDeclared(channels=f.ChannelPreference(averse=[i.CHANNEL_EMAIL])), START + DAY)
    against = history.add(told(), START + DAY)
    history.add(told(channel=i.CHANNEL_SMS), START + DAY)

    assert [("PREFERENCE_DISHONOURED", against, 1, "")] == found(history)


def test_a_preference_that_comes_late_counts_from_when_it_was_made() -> None:
    history = MeasuredHistory()
    for day in range(4):
        history.add(told(), START + day * DAY)
    record = history.record()
    assert [] == found(history)
    averse = f.PreferenceDeclared(channels=f.ChannelPreference(averse=[i.CHANNEL_EMAIL]))
    history.add(averse, START + 2 * DAY, recorded=START + 9 * DAY)

    assert [3, 4] == judged_again(history, record)


def judged_again(history: MeasuredHistory, record: Record) -> list[int]:
    """Return the positions of what went wrong, by a record that judged before, once it has folded the last fact."""
    outlook = history.measured(LATER).outlook
    events(Measured(record, outlook, LATER))
    record.evolve(history.facts[-1][1])
    return [each.position for each in events(Measured(record, outlook, LATER))]


def test_a_correction_that_makes_a_contact_of_something_has_it_judged() -> None:
    history = MeasuredHistory()
    contact = history.add(sent(), START + 5 * DAY)
    visit = history.add(did("QUESTION"), START + 9 * DAY)
    record = history.record()
    assert [contact] == [each.position for each in events(Measured(record, history.measured(LATER).outlook, LATER))]
    history.add(i.InteractionCorrected(original_position=visit, replacement=sent()), START + DAY, recorded=LATER)

    assert [contact, visit] == judged_again(history, record)


def test_where_the_clock_stands_is_what_is_known_last() -> None:
    history = MeasuredHistory()
    history.add(quiet(8, 10), START)
    against = history.add(told(contact_point_id="p"), START + 9 * HOUR)
    record = history.record()
    assert [against] == [each.position for each in events(Measured(record, history.measured(LATER).outlook, LATER))]
    history.add(verified("p", time_zones=["Asia/Tokyo"]), START + DAY)

    assert [] == judged_again(history, record)


def test_a_disclosure_that_no_grant_covers_fractures_trust() -> None:
    history = MeasuredHistory()
    disclosure = attribute_pb2.DisclosureRecorded(recipient="ads", purposes=["marketing.direct"], fields=["contact"])
    history.add(recipient("ads", START + DAY), START)
    history.add(disclosure, START)
    uncovered = history.add(disclosure, START + 2 * DAY)

    assert [("TRUST_FRACTURED", uncovered, 2, "disclosure")] == found(history)


def test_a_broken_promise_counts_from_its_due_instant_and_the_second_about_a_topic_fractures_trust() -> None:
    history = MeasuredHistory()
    for number, topic in enumerate(("news", "news", "sale", "news", "")):
        history.add(promised(f"p{number}", topic), START)
        history.add(
            identity_pb2.PromiseTriggered(promise_id=f"p{number}"), START + number * DAY, recorded=START + 4 * DAY
        )

    broken = [("PROMISE_BROKEN", 1, 7, "p0"), ("PROMISE_BROKEN", 3, 8, "p1"), ("TRUST_FRACTURED", 3, 8, "promise")]
    assert [] == found(history, START + 7 * DAY - 1)
    assert broken[:1] == found(history, START + 7 * DAY)
    assert broken == found(history, START + 8 * DAY)
    assert {"PROMISE_BROKEN": 5, "TRUST_FRACTURED": 1} == {
        kind: sum(each[0] == kind for each in found(history)) for kind in ("PROMISE_BROKEN", "TRUST_FRACTURED")
    }


def test_a_promise_kept_late_is_one_broken() -> None:
    history = MeasuredHistory()
    history.add(promised("p"), START)
    history.add(identity_pb2.PromiseTriggered(promise_id="p"), START)
    history.add(identity_pb2.PromiseKept(promise_id="p"), START + 8 * DAY)

    assert [("PROMISE_BROKEN", 1, 7, "p")] == found(history)


@pytest.mark.parametrize("age, ppm", [(0, 100_000), (45, 70_711), (90, 50_000), (1_793, 0)])
def test_event_penalties_fade_with_age_and_vanish(age: int, ppm: int) -> None:
    history = MeasuredHistory()
    history.add(did("MARKED_SPAM"), START)

    lines = history.measured(START + age * DAY).penalties

    assert ([ppm] if ppm else []) == [line.ppm for line in lines]


def test_state_penalties_stand_however_old() -> None:
    history = MeasuredHistory()
    history.add(did("COMPLAINT"), START)

    assert [50_000] == [line.ppm for line in history.measured(START + 3_000 * DAY).penalties]
