"""Lifecycle by personal cadence: sessions, crossings to the microsecond, ends (relationship.md 4, settled.md 38)."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.measure.results import LifecycleMeasure
from ledger.measure.sessions import Sessions
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.disclosure_pb2 import PROVENANCE_DECLARED
from rapport.events.v1.identity_pb2 import IdentifierVerified
from rapport.events.v1.privacy_pb2 import ErasureStarted
from rapport.events.v1.relationship_policy_pb2 import CadenceRules, RelationshipPolicy
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import DAY, HOUR, did, instant, moment, objected, sent, withdrawn
from tests.measured_histories import START, MeasuredHistory, acted, traded

ACTIVE, AT_RISK, LAPSED = levels.LIFECYCLE_ACTIVE, levels.LIFECYCLE_AT_RISK, levels.LIFECYCLE_LAPSED
ENDED, ERASED = levels.LIFECYCLE_ENDED, levels.LIFECYCLE_ERASED
STRANGER, ACQUAINTED = levels.LIFECYCLE_STRANGER, levels.LIFECYCLE_ACQUAINTED
PERSONAL, DEFAULT = levels.CADENCE_SOURCE_PERSONAL, levels.CADENCE_SOURCE_DEFAULT
EXAMPLE = ("2026-01-01T10:00Z", "2026-01-01T15:00Z", "2026-01-15T10:00Z", "2026-02-04T10:00Z", "2026-02-14T10:00Z")
MONTH = 30 * DAY


def history_of(*events: tuple[Message, int | str]) -> MeasuredHistory:
    """Return a history of some events with their times, recorded in this order."""
    history = MeasuredHistory()
    for event, at in events:
        last = history.facts[-1][1].record_time if history.facts else 0
        history.add(event, at, recorded=max(instant(at), last))
    return history


def visits(*times: int | str) -> MeasuredHistory:
    """Return a history of visits."""
    return history_of(*((acted("VISIT"), at) for at in times))


def stands(history: MeasuredHistory, at: int | str, **more: Any) -> LifecycleMeasure:
    return history.measured(at, until=instant(at), **more).lifecycle


def seen(history: MeasuredHistory, at: int | str) -> levels.Lifecycle.ValueType:
    return stands(history, at).lifecycle


# The example of the page.


def test_the_example_has_four_sessions_three_gaps_and_a_cadence_of_fourteen_days() -> None:
    found = stands(visits(*EXAMPLE), "2026-03-07T10:00Z")

    assert (14 * DAY, PERSONAL, 3, 4) == (found.cadence, found.cadence_source, found.gaps, found.sessions)
    assert (moment("2026-02-14T10:00Z"), 5) == (found.last_time, found.last_position)
    assert 1_500_000 == found.gap_ratio.ppm
    assert (1, 3, 4, 5) == found.evidence


@pytest.mark.parametrize(
    "crossing, before, after",
    [("2026-03-14T10:00:00Z", ACTIVE, AT_RISK), ("2026-04-11T10:00:00Z", AT_RISK, LAPSED)],
)
def test_the_example_crosses_at_its_instants_and_not_a_microsecond_before(
    crossing: str, before: levels.Lifecycle.ValueType, after: levels.Lifecycle.ValueType
) -> None:
    history, at = visits(*EXAMPLE), moment(crossing)

    last, first = stands(history, at - 1), stands(history, at)

    assert (before, at) == (last.lifecycle, last.changes_at)
    assert (after, at) == (first.lifecycle, first.since)


def test_what_lapsed_crosses_nothing_any_more() -> None:
    assert stands(visits(*EXAMPLE), "2027-01-01").changes_at is None


# Sessions and cadence.


@pytest.mark.parametrize("gaps", [0, 1, 2, 3, 4])
def test_fewer_than_three_gaps_make_no_cadence_of_their_own(gaps: int) -> None:
    history = visits(*(START + n * 10 * DAY for n in range(gaps + 1)))

    found = stands(history, START + gaps * 10 * DAY)

    own = gaps >= 3
    assert gaps + 1 == found.sessions
    assert (gaps if own else 0) == found.gaps
    assert ((10 * DAY, PERSONAL) if own else (MONTH, DEFAULT)) == (found.cadence, found.cadence_source)


def test_an_even_number_of_gaps_takes_the_floor_of_the_mean_of_the_middle_two() -> None:
    times, lengths = [START], (8 * DAY, 30 * DAY, 10 * DAY, 11 * DAY + 1)
    for length in lengths:
        times.append(times[-1] + length)

    assert (21 * DAY + 1) // 2 == stands(visits(*times), times[-1]).cadence


def test_only_the_last_ten_gaps_count() -> None:
    times = [START, *(START + 100 * DAY + n * 10 * DAY for n in range(11))]

    found = stands(visits(*times), times[-1])

    assert (10, 12, 10 * DAY) == (found.gaps, found.sessions, found.cadence)
    assert 11 == len(found.evidence), "the eleven sessions between which those gaps lie"


@pytest.mark.parametrize("gap, cadence", [(DAY, 7), (6 * DAY, 7), (8 * DAY, 8), (120 * DAY, 120), (200 * DAY, 120)])
def test_a_cadence_is_kept_within_seven_and_a_hundred_and_twenty_days(gap: int, cadence: int) -> None:
    times = [START + n * gap for n in range(5)]

    assert cadence * DAY == stands(visits(*times), times[-1]).cadence


def test_a_session_begins_at_a_gap_of_twenty_four_hours_and_not_a_microsecond_less() -> None:
    assert 1 == stands(visits(START, START + DAY - 1), START + DAY).sessions
    assert 2 == stands(visits(START, START + DAY), START + DAY).sessions


def test_a_session_goes_on_as_long_as_no_gap_in_it_is_a_day_long() -> None:
    assert 1 == stands(visits(*(START + n * 23 * HOUR for n in range(10))), START + 10 * DAY).sessions


def test_an_event_between_the_first_and_the_last_of_a_session_changes_no_gap() -> None:
    at = "2026-02-20T10:00Z"
    plain = stands(visits(*EXAMPLE), at)

    more = stands(visits(*EXAMPLE[:2], "2026-01-01T12:00Z", *EXAMPLE[2:]), at)
    late = stands(visits(*EXAMPLE, "2026-01-01T12:00Z"), at)

    for found in (more, late):
        assert (plain.cadence, plain.gaps, plain.sessions) == (found.cadence, found.gaps, found.sessions)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 0, 3, 1)])
def test_a_late_event_is_in_its_place_whatever_was_asked_before(order: tuple[int, ...]) -> None:
    history = visits(*(EXAMPLE[place] for place in order))
    at = moment("2026-03-07T10:00Z")
    record = history.record()
    measured = history.measured(at)
    fresh = measured.lifecycle

    # Asked after each fact, sessions are followed step by step, and must come to the same.
    stepped, again = type(record)(), None
    for _, fact in history.facts:
        stepped.evolve(fact)
        again = type(measured)(stepped, measured.outlook, at).lifecycle

    assert fresh == again
    assert (14 * DAY, 4, 1_500_000) == (fresh.cadence, fresh.sessions, fresh.gap_ratio.ppm)


def test_correcting_and_retracting_undo_what_sessions_were_made_of() -> None:
    history = visits(*EXAMPLE, "2026-01-02T14:00Z")
    at = "2026-03-07T10:00Z"
    assert 4 == stands(history, at).sessions, "the acts of the first two days are one session"

    history.add(i.InteractionRetracted(original_position=2), "2026-02-20T10:00Z")
    parted = stands(history, at)
    moved = i.InteractionCorrected(original_position=6, replacement=acted("VISIT"))
    history.add(moved, "2026-01-02T09:59Z", recorded="2026-02-21")
    joined = stands(history, at)
    history.add(i.InteractionCorrected(original_position=5, replacement=acted("VIEW")), "2026-02-22")

    assert (5, 4) == (parted.sessions, parted.gaps), "without it the rest is a day apart"
    assert (4, 3) == (joined.sessions, joined.gaps), "a minute closer it is not"
    assert (moment("2026-02-04T10:00Z"), 4) == stands(history, at)[6:8], "a view dates no involvement"


def test_weekly_and_quarterly_buyers_with_the_same_silence_differ() -> None:
    weekly = visits(*(START + n * 7 * DAY for n in range(6)))
    quarterly = visits(*(START + n * 91 * DAY for n in range(6)))

    assert LAPSED == seen(weekly, START + (35 + 60) * DAY)
    assert ACTIVE == seen(quarterly, START + (455 + 60) * DAY)


@pytest.mark.parametrize("kind", ["VIEW", "CLICK", "OFFER_DECLINED", "RETURN", "LEAVE", "DELIVERED"])
def test_kinds_below_the_weight_of_a_visit_date_nothing(kind: str) -> None:
    found = stands(history_of((acted(kind), START)), START)

    assert (STRANGER, 0, None) == (found.lifecycle, found.sessions, found.last_time)


def test_what_dates_involvement_is_a_matter_of_the_policy() -> None:
    history = history_of((acted("VIEW"), START))
    all_kinds = RelationshipPolicy(cadence=CadenceRules(session_weight_ppm=0))

    assert ACTIVE == stands(history, START, under=all_kinds).lifecycle
    assert STRANGER == stands(history, START).lifecycle


def test_another_policy_is_answered_from_the_same_record() -> None:
    history = visits(*EXAMPLE)
    record, measured = history.record(), history.measured("2026-03-07T10:00Z")
    hourly = history.measured(
        "2026-03-07T10:00Z", under=RelationshipPolicy(cadence=CadenceRules(session_gap_seconds=3600))
    )
    kind = type(measured)

    answers = [
        kind(record, outlook, measured.at).lifecycle.sessions
        for outlook in (measured.outlook, hourly.outlook, measured.outlook)
    ]

    assert [4, 5, 4] == answers


# States.


def test_an_act_of_the_customer_makes_it_active_at_that_instant() -> None:
    history = visits(START, START + 400 * DAY)

    assert LAPSED == seen(history, START + 400 * DAY - 1)
    assert (ACTIVE, START + 400 * DAY) == stands(history, START + 400 * DAY)[:2]


def test_who_only_buys_is_active_without_a_relationship() -> None:
    history = history_of((acted("PURCHASE"), START))

    measured = history.measured(START)

    assert (False, ACTIVE) == (measured.existence.exists, measured.lifecycle.lifecycle)


def test_nothing_is_known_of_a_stranger() -> None:
    history = history_of((acted("VIEW"), START), (sent(), START))

    found = stands(history, START + DAY)

    assert (STRANGER, None, (), None) == (found.lifecycle, found.since, found.evidence, found.changes_at)
    assert UNKNOWN_REASON_NO_EVIDENCE == found.gap_ratio.unknown
    assert (MONTH, DEFAULT) == (found.cadence, found.cadence_source)


@pytest.mark.parametrize(
    "event",
    [
        IdentifierVerified(contact_point_id="mail", kind="email"),
        r.CommonGroundDeclared(item_id="g", ground="gardens", provenance=PROVENANCE_DECLARED),
        traded("x", paid=1, got=1),
        r.PointOfContactOpened(point_of_contact_id="ann", side=x.PARTY_CUSTOMER),
    ],
)
def test_a_known_contact_or_a_leg_that_holds_acquaints(event: Message) -> None:
    found = stands(history_of((event, START)), START)

    assert (ACQUAINTED, None, (1,), None) == (found.lifecycle, found.since, found.evidence, found.changes_at)


def test_somebody_of_our_own_acquaints_nobody() -> None:
    ours = r.PointOfContactOpened(point_of_contact_id="bob", side=x.PARTY_ORGANIZATION)

    assert STRANGER == seen(history_of((ours, START)), START)


def test_who_only_answered_is_acquainted_until_that_leaves_the_window() -> None:
    history = history_of((sent(), START), (did("REPLY", initiator=i.INITIATOR_ORGANIZATION), START))

    assert (ACQUAINTED, START + 180 * DAY) == (
        seen(history, START + 180 * DAY - 1),
        stands(history, START).changes_at,
    )
    assert STRANGER == seen(history, START + 180 * DAY)


def test_erasure_goes_before_everything() -> None:
    history = visits(*EXAMPLE)
    position = history.add(ErasureStarted(), "2026-02-15")

    found = stands(history, "2026-02-16")

    assert (ERASED, (position,), None) == (found.lifecycle, found.evidence, found.changes_at)


# Ends.


def ended(by: x.Party.ValueType = x.PARTY_CUSTOMER) -> r.RelationshipEnded:
    return r.RelationshipEnded(by=by)


def test_a_declared_end_ends_it_until_an_act_that_reopens() -> None:
    history = history_of((acted("VISIT"), START), (ended(), START + DAY), (acted("VISIT"), START + 2 * DAY))
    history.add(did("QUESTION"), START + 3 * DAY)

    found = [stands(history, START + n * DAY) for n in range(4)]

    assert [ACTIVE, ENDED, ENDED, ACTIVE] == [each.lifecycle for each in found]
    assert [START + DAY] * 2 == [each.since for each in found[1:3]]
    assert [(2,), (2,)] == [each.evidence for each in found[1:3]]
    assert START + 3 * DAY == found[3].since, "active again since they came back"


@pytest.mark.parametrize(
    "kind", ["PURCHASE", "JOIN", "QUESTION", "MESSAGE", "REPLY", "CALL", "MEETING", "CHAT_SESSION"]
)
def test_eight_kinds_reopen(kind: str) -> None:
    assert ACTIVE == seen(history_of((ended(), START), (did(kind), START)), START), "later at the same instant"
    assert ENDED == seen(history_of((did(kind), START), (ended(), START)), START)


@pytest.mark.parametrize("kind", ["COMPLAINT", "RETURN", "LEAVE", "VISIT", "PRAISE", "REVIEW", "SUPPORT_CASE"])
def test_others_reopen_nothing(kind: str) -> None:
    assert ENDED == seen(history_of((ended(), START), (did(kind), START + 1)), START + 1)


def test_only_the_customer_reopens() -> None:
    call = did("CALL", initiator=i.INITIATOR_ORGANIZATION)

    assert ENDED == seen(history_of((ended(), START), (call, START + 1)), START + 1)


def test_a_stranger_may_be_ended_and_of_two_ends_the_first_dates_it() -> None:
    history = history_of((ended(), START), (ended(x.PARTY_ORGANIZATION), START + 5))

    assert (ENDED, START, None) == (*stands(history, START + 9)[:2], stands(history, START + 9).changes_at)


def test_an_end_heard_of_late_counts_when_it_was() -> None:
    history = history_of((did("CALL"), START), (did("CALL"), START + 2 * DAY), (ended(), START + DAY))

    assert (ENDED, ACTIVE) == (seen(history, START + DAY), seen(history, START + 2 * DAY))


def test_withdrawing_and_objecting_to_everything_ends_it_with_the_later_of_both() -> None:
    history = history_of((did("CALL"), START), (withdrawn(), START + 1), (objected(), START + 2))

    assert ACTIVE == seen(history, START + 1)
    assert (ENDED, START + 2, (2, 3)) == (*stands(history, START + 3)[:2], stands(history, START + 3).evidence)


def test_coming_back_between_the_two_reopens_nothing_and_after_both_it_does() -> None:
    between = history_of((withdrawn(), START), (did("CALL"), START + 1), (objected(), START + 2))
    after = history_of((withdrawn(), START), (objected(), START + 1), (did("CALL"), START + 2))

    assert ENDED == seen(between, START + 2)
    assert ACTIVE == seen(after, START + 2)


@pytest.mark.parametrize(
    "first, second",
    [
        (withdrawn("marketing"), objected()),
        (withdrawn(), objected("marketing")),
        (withdrawn(channels=[1]), objected()),
        (c.ConsentRefused(), objected()),
        (withdrawn(), withdrawn()),
        (objected(), objected()),
    ],
)
def test_less_than_everything_on_both_counts_ends_nothing(first: Message, second: Message) -> None:
    assert ACTIVE == seen(history_of((did("CALL"), START), (first, START + 1), (second, START + 2)), START + 2)


def test_a_lifted_objection_ends_nothing_any_more() -> None:
    history = history_of((did("CALL"), START), (withdrawn(), START + 1), (objected(), START + 2))
    history.add(c.ObjectionLifted(raised_position=3), START + 3)

    assert (ENDED, ACTIVE) == (seen(history, START + 2), seen(history, START + 3))


def test_a_second_withdrawal_after_coming_back_ends_it_again() -> None:
    history = history_of(
        (withdrawn(), START), (objected(), START + 1), (did("CALL"), START + 2), (withdrawn(), START + 3)
    )

    found = stands(history, START + 3)

    assert (ENDED, START + 3, (2, 4)) == (found.lifecycle, found.since, found.evidence)


# Since when.


def test_it_is_active_since_the_act_that_ended_the_last_long_silence() -> None:
    visited = [START + n * 8 * DAY for n in range(8)]
    back = visited[-1] + 16 * DAY + 1
    history = visits(*visited, back, back + 2 * DAY)

    assert (ACTIVE, START) == stands(history, visited[-1])[:2]
    assert (AT_RISK, back - 1) == stands(visits(*visited), back)[:2]
    assert (ACTIVE, back) == stands(history, back + 2 * DAY)[:2]
    assert (ACTIVE, START) == stands(visits(*visited, back - 1), back)[:2], "they came back at the very instant"


def test_a_run_is_not_walked_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[int] = []
    original = Sessions._cadence_before

    def counting(sessions: Sessions, place: int, rules: Any) -> int:
        walked.append(place)
        return original(sessions, place, rules)

    monkeypatch.setattr(Sessions, "_cadence_before", counting)
    history = visits(*(START + n * 20 * DAY for n in range(30)))
    measured = history.measured(START + 29 * 20 * DAY)
    record = type(measured.record)()
    for _, fact in history.facts:
        record.evolve(fact)
        assert START == type(measured)(record, measured.outlook, fact.occur_time).lifecycle.since

    assert sorted(set(walked)) == sorted(walked), "each gap is looked at once"


def test_a_run_that_ended_unasked_is_seen_though_something_late_follows() -> None:
    back = START + 100 * DAY
    history = visits(START, back, back + 2 * DAY)
    record, measured = history.record(position=1), history.measured(back + 2 * DAY)
    kind = type(measured)
    assert START == kind(record, measured.outlook, START).lifecycle.since

    for _, fact in history.facts[1:]:
        record.evolve(fact)
    kind(record, measured.outlook, back).record.acts.sessions(measured.outlook.rules)
    history.add(acted("VISIT"), back + DAY, recorded=back + 2 * DAY)
    record.evolve(history.facts[-1][1])

    assert back == kind(record, measured.outlook, back + 2 * DAY).lifecycle.since


def test_a_run_may_end_within_a_session_where_a_policy_has_long_ones() -> None:
    history = visits(START, START + 3 * DAY, START + 4 * DAY)
    policy = RelationshipPolicy(cadence=CadenceRules(session_gap_seconds=6 * 86_400, days_min=1, days_default=1))

    before, after = (stands(history, START + day * DAY, under=policy) for day in (2, 4))

    assert (AT_RISK, START + 2 * DAY) == before[:2]
    assert (ACTIVE, START + 3 * DAY, 1) == (*after[:2], after.sessions)
