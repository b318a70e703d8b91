"""The answer: outcome, search for a window, when it could change, how long a permit lasts, what a contact must do."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.contact.finding import ADVISE, DEFER, FAIL, NOT_ASKED, PASS, PASSED, Finding
from ledger.contact.outcome import outcome_of
from ledger.contact.search import Sight, find_window, permit_end
from ledger.domain.times import END_OF_TIME, microseconds, timestamp
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2
from tests.contact_histories import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    History,
    did,
    given,
    moment,
    preferred,
    question,
    quiet,
    reason_name,
    sent,
    trace,
    withdrawn,
)

T = moment("2026-05-01T12:00Z")
REACH = 31 * DAY
QUIET = d.DECISION_REASON_QUIET_HOURS
PAUSED = d.DECISION_REASON_PAUSED
EXPIRED = d.DECISION_REASON_CONSENT_EXPIRED


def welcome(**policy: Any) -> History:
    """Return a history of somebody who consented, under a policy where one is given."""
    history = History()
    if policy:
        history.publish(p.ContactPolicy(version=1, **policy), T - 500 * DAY)
    history.add(given(), T - 400 * DAY)
    return history


def twelve(**found: Finding) -> tuple[Finding, ...]:
    """Return findings of all gates: PASS, but for the ones named."""
    return tuple(found.get(name.removeprefix("GATE_").lower(), PASSED) for name in d.Gate.keys()[1:])


def deferring(until: int, reason: d.DecisionReason.ValueType = QUIET) -> Finding:
    """Return a finding that defers."""
    return Finding(DEFER, reason, (7,), until, until)


# Outcome.


def test_fail_beats_defer_and_the_first_of_each_gives_the_reason() -> None:
    failing = Finding(FAIL, d.DECISION_REASON_COMPLAINT_OPEN)
    findings = twelve(preference=deferring(9, PAUSED), hours=deferring(9), pacing=failing)

    assert (d.DECISION_OUTCOME_DENY, d.DECISION_REASON_COMPLAINT_OPEN, 9) == outcome_of(findings)
    assert (d.DECISION_OUTCOME_DEFER, PAUSED, 6) == outcome_of((*findings[:9], *twelve()[9:]))


def test_advice_and_what_is_not_asked_change_nothing() -> None:
    findings = twelve(minor=Finding(ADVISE, d.DECISION_REASON_AGE_UNKNOWN), waste=NOT_ASKED)

    assert (d.DECISION_OUTCOME_PERMIT, 0, -1) == outcome_of(findings)


# The search for a window, over findings made up.


def test_the_search_goes_to_the_latest_end_and_on_from_there() -> None:
    seen: list[int] = []

    def look(at: int) -> Sight:
        seen.append(at)
        return Sight(twelve(hours=deferring(70)) if at == 50 else twelve(), None)

    found = find_window(Sight(twelve(preference=deferring(50, PAUSED), hours=deferring(20)), None), look, 0, REACH)

    assert ([50, 70], 70, -1) == (seen, found.defer_until, found.ended_by)
    assert [DEFER, DEFER] == [finding.result for finding in found.findings if finding.result != PASS]


def test_what_fails_when_the_time_has_come_ends_the_search_with_its_own_reason() -> None:
    expired = Finding(FAIL, EXPIRED, (3,), policy_field="x")
    start = twelve(hours=deferring(50))

    found = find_window(Sight(start, None), lambda _: Sight(twelve(basis=expired), None), 0, REACH)

    reason = d.DECISION_REASON_BASIS_ENDS_BEFORE_WINDOW
    assert (None, 4, EXPIRED, None) == (found.defer_until, found.ended_by, found.own_reason, found.retry_at)
    assert Finding(FAIL, reason, (3,), policy_field="x") == found.findings[4]
    assert start[8] == found.findings[8]
    assert (d.DECISION_OUTCOME_DENY, reason, 4) == outcome_of(found.findings)


def test_of_several_that_fail_when_the_time_has_come_the_first_ended_the_search() -> None:
    minor = Finding(FAIL, d.DECISION_REASON_MINOR_WITHOUT_GUARDIAN)
    then = twelve(minor=minor, basis=Finding(FAIL, EXPIRED), pacing=Finding(FAIL, d.DECISION_REASON_COMPLAINT_OPEN))

    found = find_window(Sight(twelve(hours=deferring(50)), None), lambda _: Sight(then, None), 0, REACH)

    assert (2, d.DECISION_REASON_MINOR_WITHOUT_GUARDIAN) == (found.ended_by, found.own_reason)
    assert [2, 8] == [index for index, finding in enumerate(found.findings) if finding.result != PASS]


@pytest.mark.parametrize("end, expected", [(REACH, REACH), (REACH + 1, None)])
def test_an_end_just_within_reach_is_found_and_one_beyond_is_not(end: int, expected: int | None) -> None:
    found = find_window(Sight(twelve(hours=deferring(end)), None), lambda _: Sight(twelve(), None), 0, REACH)

    assert expected == found.defer_until
    if expected is None:
        assert (8, QUIET, 1) == (found.ended_by, found.own_reason, found.retry_at)
        assert (FAIL, d.DECISION_REASON_NO_WINDOW, (7,), None) == found.findings[8][:4]


@pytest.mark.parametrize("rounds, is_found", [(8, True), (9, False)])
def test_it_is_looked_again_eight_times(rounds: int, is_found: bool) -> None:
    def look(at: int) -> Sight:
        return Sight(twelve() if at == rounds else twelve(hours=deferring(at + 1)), None)

    found = find_window(Sight(twelve(hours=deferring(1)), None), look, 0, REACH)

    assert (rounds if is_found else None) == found.defer_until
    assert found.retry_at is None
    if not is_found:
        assert d.DECISION_REASON_NO_WINDOW == found.findings[8].reason


def test_of_two_that_defer_equally_long_the_first_ends_the_search() -> None:
    start = twelve(preference=deferring(REACH + 9, PAUSED), hours=deferring(REACH + 9))

    assert 6 == find_window(Sight(start, None), lambda _: Sight(start, None), 0, REACH).ended_by


# How long a permit lasts, over findings made up.


def test_a_permit_passes_over_changes_that_leave_it_one() -> None:
    changes = {0: 10, 10: 20, 20: 30}

    def look(at: int) -> Sight:
        return Sight(twelve(hours=deferring(99)) if at == 30 else twelve(), changes.get(at))

    assert 30 == permit_end(look(0), look, 100)
    assert 25 == permit_end(look(0), look, 25)
    assert 100 == permit_end(Sight(twelve(), None), look, 100)


def test_a_permit_that_is_looked_at_too_often_ends_early() -> None:
    def look(at: int) -> Sight:
        return Sight(twelve(), at + 1)

    assert 64 == permit_end(look(0), look, 1000)


# Decisions.


def test_a_permit_names_what_it_rests_on_and_when_it_ends() -> None:
    history = welcome()

    decided = history.decide(T)

    assert "PERMIT" == reason_name(decided)
    assert (c.LEGAL_BASIS_CONSENT, [1]) == (decided.legal_basis, list(decided.basis_positions))
    assert T + 3600 * SECOND == microseconds(decided.permit_expires_time)
    assert not decided.HasField("next_change_time")
    assert question() == decided.question
    assert (1, 12) == (decided.model_version, len(decided.gate_results))
    assert len(decided.tzdata_version) == len("2026a")


def test_the_read_set_names_the_relationship_first_then_the_linked_ones_then_what_is_published() -> None:
    history = welcome(permit_seconds=5)
    history.add(did("VISIT"), T - DAY, customer="b")
    history.link("c", "b", T - DAY)
    history.link("b", "a", T - DAY, "ba")

    reads = [(each.stream_id, each.version) for each in history.decide(T).read_set]

    assert [("acme/c", 2), ("acme/a", 1), ("acme/b", 3), ("acme/@policy", 1)] == reads


def test_a_permit_ends_where_the_same_events_stop_giving_it() -> None:
    history = welcome()
    history.add(quiet(13, 20), T - DAY)

    decided = history.decide(T)

    assert T + HOUR == microseconds(decided.permit_expires_time) == microseconds(decided.next_change_time)
    sooner = history.decide(T + HOUR - 60 * SECOND)
    assert T + HOUR == microseconds(sooner.permit_expires_time)


def test_what_is_deferred_names_its_basis_and_no_end_of_a_permit() -> None:
    history = welcome()
    history.add(quiet(11, 20), T - DAY)

    decided = history.decide(T)

    assert ("DEFER QUIET_HOURS", T + 8 * HOUR) == (reason_name(decided), microseconds(decided.defer_until))
    assert (c.LEGAL_BASIS_CONSENT, [1]) == (decided.legal_basis, list(decided.basis_positions))
    assert not decided.HasField("permit_expires_time")
    assert not any(each.kind == d.OBLIGATION_KIND_USE_BEFORE for each in decided.obligations)


def test_what_is_denied_rests_on_nothing_and_obliges_to_nothing() -> None:
    history = welcome()
    history.add(withdrawn(), T - DAY)

    decided = history.decide(T)

    assert "DENY CONSENT_WITHDRAWN" == reason_name(decided)
    assert ([], [], 0) == (list(decided.obligations), list(decided.basis_positions), decided.legal_basis)


def test_a_pause_that_ends_too_far_away_has_no_window_until_it_comes_within_reach() -> None:
    history = welcome()
    end = T + 40 * DAY
    history.add(preferred(pause=preference_pb2.Pause(until=timestamp(end))), T - DAY)

    decided = history.decide(T)

    assert "DENY NO_WINDOW" == reason_name(decided)
    assert {"PREFERENCE": "FAIL NO_WINDOW"} == trace(decided)
    assert PAUSED == decided.findings[0].own_reason
    assert end - 31 * DAY == microseconds(decided.next_change_time)
    later = history.decide(end - 31 * DAY)
    assert ("DEFER PAUSED", end) == (reason_name(later), microseconds(later.defer_until))
    assert "DENY NO_WINDOW" == reason_name(history.decide(end - 31 * DAY - 1))


def test_the_search_reaches_as_many_days_as_the_policy_says() -> None:
    history = welcome(search_days=2)
    history.add(preferred(pause=preference_pb2.Pause(until=timestamp(T + 2 * DAY))), T - DAY)

    assert "DEFER PAUSED" == reason_name(history.decide(T))
    assert "DENY NO_WINDOW" == reason_name(history.decide(T - 1))


def test_the_search_goes_by_the_policy_that_will_be_in_force_and_the_answer_changes_with_it() -> None:
    history = welcome(permit_seconds=60)
    window = p.LegalWindow(window=preference_pb2.LocalWindow(start_minute=8 * 60, end_minute=9 * 60))
    begins = timestamp(T + 6 * HOUR)
    history.publish(p.ContactPolicy(version=2, legal_windows=[window], effective_from_time=begins), T - DAY)
    history.add(quiet(11, 20), T - DAY)

    decided = history.decide(T)

    # At 20:00 the quiet hours end, but then the law asks for the next morning.
    assert moment("2026-05-02T08:00Z") == microseconds(decided.defer_until)
    assert T + 6 * HOUR == microseconds(decided.next_change_time)
    assert 1 == decided.contact_policy_version
    again = history.decide(moment("2026-05-02T08:00Z"))
    assert ("PERMIT", 2) == (reason_name(again), again.contact_policy_version)


def test_a_permit_does_not_outlive_the_policy_that_gave_it_where_the_next_one_does_not() -> None:
    history = welcome(permit_seconds=3600)
    begins = timestamp(T + 60 * SECOND)
    history.publish(p.ContactPolicy(version=2, age_unknown_denies=True, effective_from_time=begins), T - DAY)

    decided = history.decide(T)

    assert "PERMIT" == reason_name(decided)
    assert T + 60 * SECOND == microseconds(decided.permit_expires_time) == microseconds(decided.next_change_time)


def test_evidence_is_told_up_to_64_positions() -> None:
    history = History()
    for _ in range(70):
        history.add(c.SuppressionAdded(reason=c.SUPPRESSION_REASON_LEGAL), T - DAY)

    (finding, *_) = history.decide(T).findings

    assert list(range(1, 65)) == list(finding.evidence_positions)


# Obligations.


def obligations(history: History, at: int = T, **values: Any) -> list[str]:
    """Return what a contact must do, by name, with what goes with it."""
    decided = history.decide(at, question(**values))
    assert decided.outcome == d.DECISION_OUTCOME_PERMIT, reason_name(decided)
    told = []
    for each in decided.obligations:
        name = d.ObligationKind.Name(each.kind).removeprefix("OBLIGATION_KIND_")
        detail = each.language or (i.Channel.Name(each.channel) if each.channel else "")
        told.append(f"{name} {detail}".strip())
    return told


SAY_WHO = ["INCLUDE_UNSUBSCRIBE", "IDENTIFY_SENDER"]
CARE: dict[str, Any] = {"purpose": "service.care", "message_class": i.MESSAGE_CLASS_SERVICE}


@pytest.mark.parametrize(
    "purpose, message_class, expected",
    [
        ("marketing.direct", i.MESSAGE_CLASS_MARKETING, SAY_WHO),
        ("research.survey", i.MESSAGE_CLASS_SURVEY, SAY_WHO),
        ("community", i.MESSAGE_CLASS_COMMUNITY, SAY_WHO),
        ("service.care", i.MESSAGE_CLASS_SERVICE, []),
        ("order.management", i.MESSAGE_CLASS_TRANSACTIONAL, []),
    ],
)
def test_who_promotes_says_who_it_is_and_how_to_end_it(
    purpose: str, message_class: i.MessageClass.ValueType, expected: list[str]
) -> None:
    history = History()
    history.add(given(purpose), T - DAY)

    assert [*expected, "USE_BEFORE"] == obligations(history, purpose=purpose, message_class=message_class)


def test_language_and_best_channel_are_told_where_they_are_declared_and_differ() -> None:
    history = welcome()
    history.add(preferred(language=preference_pb2.LanguagePreference(language="de-AT")), T - DAY)
    best = preference_pb2.ChannelPreference(preferred=[i.CHANNEL_POSTAL, i.CHANNEL_EMAIL])
    history.add(preferred(channels=best), T - DAY)

    told = obligations(history)
    assert [*SAY_WHO, "USE_LANGUAGE de-AT", "PREFER_CHANNEL CHANNEL_POSTAL", "USE_BEFORE"] == told
    assert [*SAY_WHO, "USE_LANGUAGE de-AT", "USE_BEFORE"] == obligations(history, channel=i.CHANNEL_POSTAL)


def test_one_message_by_the_same_way_may_confirm_a_withdrawal_by_keyword() -> None:
    history = welcome(keywords=p.KeywordRules(words=["STOP"], confirm_once=True))
    history.add(given("service.care"), T - 9 * DAY)
    sms = {"channel": i.CHANNEL_SMS}
    assert ["USE_BEFORE"] == obligations(history, **CARE, **sms)

    stop = withdrawn("marketing", channels=[i.CHANNEL_SMS], method=c.INDICATION_METHOD_KEYWORD)
    history.add(stop, T - DAY)
    assert ["CONFIRM_ONCE", "USE_BEFORE"] == obligations(history, **CARE, **sms)
    assert ["USE_BEFORE"] == obligations(history, **CARE)
    assert [*SAY_WHO, "USE_BEFORE"] == obligations(history)
    # Who consents anew gets promotions by that way again, but none of them confirms anything.
    history.add(given(), T - 2 * HOUR)
    assert [*SAY_WHO, "USE_BEFORE"] == obligations(history, **sms)
    history.add(sent(channel=i.CHANNEL_SMS, message_class=i.MESSAGE_CLASS_SERVICE), T - HOUR)
    assert ["USE_BEFORE"] == obligations(history, **CARE, **sms)


def test_nothing_confirms_a_withdrawal_that_came_otherwise_or_where_the_policy_does_not_say_so() -> None:
    for history, method in (
        (welcome(keywords=p.KeywordRules(words=["STOP"])), c.INDICATION_METHOD_KEYWORD),
        (welcome(keywords=p.KeywordRules(words=["STOP"], confirm_once=True)), c.INDICATION_METHOD_LINK),
    ):
        history.add(given("service.care"), T - 9 * DAY)
        history.add(withdrawn("marketing", method=method), T - DAY)

        assert ["USE_BEFORE"] == obligations(history, **CARE)


def test_under_the_mandate_of_an_infomediary_everything_goes_through_it() -> None:
    history = welcome()
    assert "RELAY_ONLY" == obligations(history, channel=i.CHANNEL_INFOMEDIARY_RELAY)[-1]

    history = History()
    history.add(given(indicated_by=c.INDICATED_BY_INFOMEDIARY), T - DAY)
    assert [*SAY_WHO, "USE_BEFORE", "RELAY_ONLY"] == obligations(history)


def test_a_permit_of_the_last_hour_that_can_be_told_ends_within_it() -> None:
    history = welcome()
    last = END_OF_TIME - 1

    decided = history.decide(last - MINUTE)

    assert "PERMIT" == reason_name(decided)
    assert timestamp(last) == decided.permit_expires_time


def test_hours_that_never_open_are_told_without_an_instant() -> None:
    history = welcome()
    history.add(quiet(0, 0), T - DAY)

    decided = history.decide(T, question())

    assert decided.decisive_reason == d.DECISION_REASON_NO_WINDOW
    assert not decided.HasField("next_change_time")
    assert not any(finding.HasField("until") for finding in decided.findings)
