"""Gates 7 to 9: do they want it this way, is it too often, is it the right time of day?"""

from __future__ import annotations

from typing import Any

import pytest

from ledger.contact.finding import DEFER, FAIL, NOT_ASKED, PASS, PASSED, Finding
from ledger.contact.gates import frequency, hours, preference
from ledger.contact.local_time import NEVER
from ledger.contact.zones import zones_of
from ledger.domain.times import timestamp
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2 as pref
from tests.contact_histories import (
    DAY,
    HOUR,
    MINUTE,
    History,
    given,
    instant,
    lives_in,
    moment,
    preferred,
    profile,
    question,
    quiet,
    sent,
    verified,
)

T = moment("2026-11-21T17:00Z")
"""A Saturday."""
MARKETING, SERVICE, TRANSACTIONAL = i.MESSAGE_CLASS_MARKETING, i.MESSAGE_CLASS_SERVICE, i.MESSAGE_CLASS_TRANSACTIONAL
EMAIL, SMS, VOICE, POSTAL = i.CHANNEL_EMAIL, i.CHANNEL_SMS, i.CHANNEL_VOICE_LIVE, i.CHANNEL_POSTAL
DAILY, WEEKLY, MONTHLY = pref.PERIOD_DAY, pref.PERIOD_WEEK, pref.PERIOD_MONTH


def asked(gate: Any, history: History, at: int | str = T, **values: Any) -> Finding:
    found: Finding = gate(history.picture(at), question(**values), instant(at))
    return found


def because(name: str) -> d.DecisionReason.ValueType:
    return d.DecisionReason.Value(f"DECISION_REASON_{name}")


def pause(until: int | str | None = None, **scope: Any) -> pref.PreferenceDeclared:
    end = None if until is None else timestamp(instant(until))
    return preferred(pause=pref.Pause(until=end, **scope))


def at_most(count: int, period: pref.Period.ValueType, **scope: Any) -> pref.PreferenceDeclared:
    return preferred(frequency=pref.FrequencyPreference(count=count, period=period, **scope))


def history_with(*events: Any, **policy: Any) -> History:
    """Return a history of some declarations, and a policy where fields are given."""
    history = History()
    if policy:
        history.publish(p.ContactPolicy(version=1, **policy))
    for event in events:
        history.add(event, T - 100 * DAY)
    return history


# Gate 7.


def test_nothing_declared_passes() -> None:
    assert asked(preference.gate, History()) == PASSED


def test_an_averse_channel_fails_and_another_does_not() -> None:
    averse = preferred(channels=pref.ChannelPreference(preferred=[SMS], averse=[EMAIL]))
    history = history_with(averse)

    assert asked(preference.gate, history) == Finding(FAIL, because("CHANNEL_AVERSE"), (1,))
    assert asked(preference.gate, history, channel=SMS) == PASSED


def test_an_excluded_topic_fails_and_one_that_is_only_not_wanted_does_not() -> None:
    history = history_with(preferred(topics=pref.TopicPreference(wanted=["tea"], excluded=["rum"])))

    assert asked(preference.gate, history, topic="rum") == Finding(FAIL, because("TOPIC_EXCLUDED"), (1,))
    assert asked(preference.gate, history, topic="gin") == PASSED
    assert asked(preference.gate, history) == PASSED


def test_a_pause_without_end_fails_and_one_with_an_end_defers_to_it() -> None:
    assert asked(preference.gate, history_with(pause())) == Finding(FAIL, because("PAUSED"), (1,))

    ending, end = history_with(pause(T + DAY)), T + DAY
    assert asked(preference.gate, ending) == Finding(DEFER, because("PAUSED"), (1,), end, end)
    assert asked(preference.gate, ending, end - 1).result == DEFER
    assert asked(preference.gate, ending, end) == PASSED


def test_of_several_pauses_that_meet_the_longest_counts() -> None:
    history = history_with(pause(T + DAY), pause(T + 3 * DAY, channel=SMS), pause(T + 2 * DAY, topic="tea"))

    assert asked(preference.gate, history).until == T + DAY
    assert asked(preference.gate, history, topic="tea").until == T + 2 * DAY
    assert asked(preference.gate, history, topic="tea", channel=SMS).until == T + 3 * DAY
    assert asked(preference.gate, history, topic="rum", channel=VOICE).until == T + DAY


def test_channels_come_before_topics_and_topics_before_pauses() -> None:
    channels = preferred(channels=pref.ChannelPreference(averse=[EMAIL]))
    topics = preferred(topics=pref.TopicPreference(excluded=["rum"]))

    assert asked(preference.gate, history_with(pause(), topics, channels), topic="rum").reason == because(
        "CHANNEL_AVERSE"
    )
    assert asked(preference.gate, history_with(pause(), topics), topic="rum").reason == because("TOPIC_EXCLUDED")


@pytest.mark.parametrize("gate", [preference.gate, frequency.gate])
def test_a_transaction_is_not_asked_how_it_is_wanted_nor_how_often(gate: Any) -> None:
    history = history_with(pause(), at_most(0, DAILY))

    assert asked(gate, history, message_class=TRANSACTIONAL) == NOT_ASKED
    assert asked(gate, history, message_class=SERVICE).result == FAIL


# Gate 8.


def test_a_declared_limit_is_full_until_the_calendar_period_of_their_zone_ends() -> None:
    history = history_with(lives_in("America/New_York"), at_most(1, WEEKLY, channel=EMAIL))
    history.add(sent(), "2026-11-17T12:00Z")

    found = asked(frequency.gate, history)

    monday = moment("2026-11-23T05:00Z")
    zones = ("America/New_York",)
    assert found == Finding(FAIL, because("FREQUENCY_DECLARED"), (2, 3), changes_at=monday, time_zones=zones)
    assert asked(frequency.gate, history, monday - 1).result == FAIL
    assert asked(frequency.gate, history, monday) == PASSED
    assert asked(frequency.gate, history, channel=SMS) == PASSED


def test_a_cap_of_the_organization_is_full_and_may_defer() -> None:
    cap = p.FrequencyCap(count=2, period=DAILY)
    end = moment("2026-11-22T00:00Z")
    for defers in (False, True):
        history = history_with(caps=[p.FrequencyCap(count=9, period=MONTHLY), cap], cap_defers=defers)
        first = history.add(sent(), T - 2 * HOUR)
        assert asked(frequency.gate, history) == PASSED
        second = history.add(sent(), T - HOUR)

        found = asked(frequency.gate, history)

        assert (DEFER if defers else FAIL, end if defers else None) == (found.result, found.until)
        assert found.reason == because("FREQUENCY_ORGANIZATION")
        assert (found.evidence, found.changes_at, found.policy_field) == ((first, second), end, "caps[1]")


def test_the_smaller_of_both_limits_counts_and_the_declared_one_is_told_first() -> None:
    declared_less = history_with(at_most(1, DAILY), caps=[p.FrequencyCap(count=2, period=DAILY)])
    declared_more = history_with(at_most(2, DAILY), caps=[p.FrequencyCap(count=1, period=DAILY)])
    both = history_with(at_most(1, DAILY), caps=[p.FrequencyCap(count=1, period=DAILY)])
    for history in (declared_less, declared_more, both):
        history.add(sent(), T - HOUR)

    assert asked(frequency.gate, declared_less).reason == because("FREQUENCY_DECLARED")
    assert asked(frequency.gate, declared_more).reason == because("FREQUENCY_ORGANIZATION")
    assert asked(frequency.gate, both).reason == because("FREQUENCY_DECLARED")


def test_what_defers_by_two_limits_waits_for_both_and_tells_the_first_while_it_is_full() -> None:
    caps = [p.FrequencyCap(count=1, period=DAILY), p.FrequencyCap(count=1, period=WEEKLY)]
    history = history_with(caps=caps, cap_defers=True)
    history.add(sent(), T - HOUR)

    found = asked(frequency.gate, history)

    assert (moment("2026-11-23"), moment("2026-11-22"), "caps[0]") == (
        found.until,
        found.changes_at,
        found.policy_field,
    )


def test_a_limit_of_none_is_never_waited_for() -> None:
    history = history_with(at_most(0, DAILY), cap_defers=True)

    assert asked(frequency.gate, history) == Finding(FAIL, because("FREQUENCY_DECLARED"), (2,), time_zones=("UTC",))


def test_bounces_transactions_and_mutual_talks_do_not_count_answers_do() -> None:
    history = history_with(caps=[p.FrequencyCap(count=1, period=DAILY)])
    lost = history.add(sent(), T - 5 * HOUR)
    history.add(i.InteractionRecorded(kind=i.INTERACTION_KIND_BOUNCED, direction=2, refers_to=lost), T - 4 * HOUR)  # type: ignore[arg-type]
    history.add(sent(message_class=TRANSACTIONAL), T - 3 * HOUR)
    history.add(sent(kind=i.INTERACTION_KIND_MEETING, direction=i.DIRECTION_MUTUAL), T - 3 * HOUR)
    history.add(sent(kind=i.INTERACTION_KIND_DELIVERED), T - 3 * HOUR)
    assert asked(frequency.gate, history) == PASSED

    counted = history.add(sent(message_class=SERVICE), T - 2 * HOUR)

    assert asked(frequency.gate, history).evidence == (counted,)


@pytest.mark.parametrize(
    "cap, counts",
    [
        ({}, True),
        ({"channel": EMAIL}, True),
        ({"channel": SMS}, False),
        ({"topic": "tea"}, True),
        ({"topic": "rum"}, False),
        ({"message_class": MARKETING}, True),
        ({"message_class": SERVICE}, False),
    ],
)
def test_a_limit_counts_what_it_names_and_meets_questions_about_it(cap: dict[str, Any], counts: bool) -> None:
    history = history_with(caps=[p.FrequencyCap(count=1, period=DAILY, **cap)])
    history.add(sent(topic="tea"), T - HOUR)

    assert asked(frequency.gate, history, topic="tea").result == (FAIL if counts else PASS)
    assert asked(frequency.gate, history, topic="rum", channel=SMS, message_class=SERVICE).result == (
        PASS if cap else FAIL
    )


def test_open_and_void_permits_count_until_they_are_used_given_back_or_over() -> None:
    history = history_with(given(), caps=[p.FrequencyCap(count=1, period=DAILY)])
    permit, decided = history.decide_and_record(T)
    expires = T + HOUR
    assert d.DECISION_OUTCOME_PERMIT == decided.outcome

    found = asked(frequency.gate, history, T + 1)

    assert (FAIL, (permit,), expires) == (found.result, found.evidence, found.changes_at)
    assert asked(frequency.gate, history, expires - 1).result == FAIL
    assert asked(frequency.gate, history, expires) == PASSED
    given_back = history.copy()
    given_back.add(d.ContactAborted(decision_id=permit), T + 1)
    assert asked(frequency.gate, given_back, T + 1) == PASSED
    used = history.copy()
    contact = used.add(sent(decision_id=permit), T + 1)
    found = asked(frequency.gate, used, T + 2)
    assert ((contact,), moment("2026-11-22")) == (found.evidence, found.changes_at)


def test_a_permit_of_yesterday_that_may_still_be_used_takes_a_place_of_today() -> None:
    history = history_with(given(), caps=[p.FrequencyCap(count=1, period=DAILY)])
    permit, _ = history.decide_and_record("2026-11-21T23:30Z")

    found = asked(frequency.gate, history, "2026-11-22T00:10Z")

    assert ((permit,), moment("2026-11-22T00:30Z")) == (found.evidence, found.changes_at)


def test_with_contacts_and_permits_the_permit_that_frees_a_place_is_waited_for() -> None:
    history = history_with(given(), caps=[p.FrequencyCap(count=3, period=DAILY)])
    contact = history.add(sent(), T - HOUR)
    beside_them = history.decide(T + 2 * MINUTE)
    history.decide_and_record(T)
    second, _ = history.decide_and_record(T + MINUTE)
    third = history.add(beside_them, T + 2 * MINUTE)

    found = asked(frequency.gate, history, T + 3 * MINUTE)

    # Of three permits any two are enough; the two that last longest are told.
    assert ((contact, second, third), T + MINUTE + HOUR) == (found.evidence, found.changes_at)


def test_permits_of_other_ways_take_no_place_of_a_limit_of_one_way() -> None:
    history = history_with(given(), caps=[p.FrequencyCap(count=1, period=DAILY, channel=SMS)])
    history.decide_and_record(T)

    assert asked(frequency.gate, history, T + 1, channel=SMS) == PASSED


def test_full_in_any_zone_that_may_be_theirs_is_full() -> None:
    zones = ["Asia/Kathmandu", "America/New_York"]
    history = history_with(default_time_zones=zones, caps=[p.FrequencyCap(count=1, period=DAILY)])
    history.add(sent(), "2026-11-21T04:00Z")

    # In New York that was the day before, in Kathmandu it is today until 18:15Z.
    found = asked(frequency.gate, history, "2026-11-21T17:00Z")

    assert (FAIL, moment("2026-11-21T18:15Z")) == (found.result, found.changes_at)
    assert found.time_zones == ("America/New_York", "Asia/Kathmandu")
    assert asked(frequency.gate, history, "2026-11-21T18:15Z") == PASSED


def test_full_in_several_zones_is_full_until_the_last_of_their_periods_ends() -> None:
    zones = ["Asia/Kathmandu", "America/New_York"]
    history = history_with(default_time_zones=zones, caps=[p.FrequencyCap(count=1, period=DAILY)])
    history.add(sent(), "2026-11-21T10:00Z")

    assert asked(frequency.gate, history, "2026-11-21T17:00Z").changes_at == moment("2026-11-22T05:00Z")


def test_permits_for_transactions_take_no_place() -> None:
    always = p.BasisRule(legal_basis=c.LEGAL_BASIS_CONTRACT_PERFORMANCE)
    history = history_with(given(), caps=[p.FrequencyCap(count=1, period=DAILY)], basis_rules=[always])
    _, decided = history.decide_and_record(T, question(purpose="order.management", message_class=TRANSACTIONAL))
    assert decided.outcome == d.DECISION_OUTCOME_PERMIT

    assert asked(frequency.gate, history, T + 1) == PASSED


def test_a_month_is_of_the_calendar() -> None:
    history = history_with(at_most(1, MONTHLY))
    history.add(sent(), "2026-10-31T23:59:59.999999Z")

    assert asked(frequency.gate, history, "2026-11-01T00:00Z") == PASSED
    assert asked(frequency.gate, history, "2026-10-31T23:59:59.999999Z").changes_at == moment("2026-11-01")


# Gate 9.

CALLS = p.LegalWindow(
    jurisdictions=["US"], channels=[VOICE], window=pref.LocalWindow(start_minute=480, end_minute=1260)
)
US = [p.CountryZones(country="US", time_zones=["America/New_York", "America/Los_Angeles"])]


def test_no_hours_pass_and_name_no_zone() -> None:
    assert asked(hours.gate, History()) == PASSED


def test_quiet_hours_defer_to_their_end_and_pass_until_they_begin() -> None:
    history = history_with(lives_in("America/New_York"), quiet(21, 8))
    at, end, begin = "2026-11-21T03:30Z", moment("2026-11-21T13:00Z"), moment("2026-11-22T02:00Z")
    zone = ("America/New_York",)

    assert asked(hours.gate, history, at) == Finding(DEFER, because("QUIET_HOURS"), (2,), end, end, time_zones=zone)
    assert asked(hours.gate, history, end) == Finding(PASS, changes_at=begin, time_zones=zone)


def test_a_legal_window_binds_its_law_way_and_class() -> None:
    history = history_with(profile("US-CA"), lives_in("America/Los_Angeles"), legal_windows=[CALLS])
    early, open_at = "2026-11-21T15:00Z", moment("2026-11-21T16:00Z")

    found = asked(hours.gate, history, early, channel=VOICE)

    zone = ("America/Los_Angeles",)
    law = because("LEGAL_WINDOW")
    assert found == Finding(DEFER, law, (), open_at, open_at, "legal_windows[0]", zone)
    assert asked(hours.gate, history, early, channel=SMS) == PASSED
    elsewhere = history_with(profile("CA"), legal_windows=[CALLS])
    assert asked(hours.gate, elsewhere, early, channel=VOICE) == PASSED
    of_a_class = p.LegalWindow(window=CALLS.window, message_classes=[SERVICE])
    assert asked(hours.gate, history_with(legal_windows=[of_a_class]), "2026-11-21T03:00Z") == PASSED


def test_quiet_hours_are_told_before_laws_and_the_finding_changes_where_the_reason_does() -> None:
    history = history_with(
        profile("US"), lives_in("America/New_York"), quiet(22, 6), legal_windows=[CALLS], default_jurisdiction="US"
    )
    night, dawn = "2026-11-21T09:00Z", moment("2026-11-21T11:00Z")
    opens = moment("2026-11-21T13:00Z")

    found = asked(hours.gate, history, night, channel=VOICE)
    later = asked(hours.gate, history, dawn, channel=VOICE)
    evening = asked(hours.gate, history, "2026-11-22T02:30Z", channel=VOICE)

    assert (because("QUIET_HOURS"), opens, dawn) == (found.reason, found.until, found.changes_at)
    assert (because("LEGAL_WINDOW"), opens, opens) == (later.reason, later.until, later.changes_at)
    # From 21:00 the law, from 22:00 on the customer's own wish.
    assert (because("LEGAL_WINDOW"), moment("2026-11-22T03:00Z")) == (evening.reason, evening.changes_at)


def test_windows_of_one_law_allow_what_any_allows_and_of_two_laws_what_both_allow() -> None:
    weekdays = pref.LocalWindow(start_minute=480, end_minute=1260, weekdays=[1, 2, 3, 4, 5])  # type: ignore[list-item]
    saturdays = pref.LocalWindow(start_minute=600, end_minute=1020, weekdays=[6])  # type: ignore[list-item]
    one = [p.LegalWindow(window=weekdays), p.LegalWindow(window=saturdays)]
    two = [*one, p.LegalWindow(jurisdictions=["DE"], window=pref.LocalWindow(start_minute=720, end_minute=1200))]

    assert asked(hours.gate, history_with(legal_windows=one), "2026-11-21T10:00Z").result == PASS
    assert asked(hours.gate, history_with(legal_windows=one), "2026-11-21T09:00Z").until == moment("2026-11-21T10:00Z")
    assert asked(hours.gate, history_with(legal_windows=one), "2026-11-21T17:00Z").until == moment("2026-11-23T08:00Z")
    both = history_with(profile("DE"), legal_windows=two)
    found = asked(hours.gate, both, "2026-11-21T10:00Z")
    assert (moment("2026-11-21T12:00Z"), "legal_windows[2]") == (found.until, found.policy_field)


def test_of_several_zones_the_set_is_named_and_all_must_allow() -> None:
    history = history_with(profile("US", country="US"), legal_windows=[CALLS], countries=US)
    opens, closes = moment("2026-11-21T16:00Z"), moment("2026-11-22T02:00Z")
    zones = ("America/Los_Angeles", "America/New_York")

    found = asked(hours.gate, history, "2026-11-21T14:00Z", channel=VOICE)

    assert found == Finding(DEFER, because("ZONE_UNKNOWN"), (2,), opens, opens, "countries[0]", zones)
    assert asked(hours.gate, history, opens, channel=VOICE) == Finding(PASS, changes_at=closes, time_zones=zones)


def test_what_is_never_allowed_defers_for_ever() -> None:
    found = asked(hours.gate, history_with(quiet(0, 0)))

    assert (DEFER, NEVER, None) == (found.result, found.until, found.changes_at)


@pytest.mark.parametrize(
    "channel, message_class, is_exempt",
    [
        (EMAIL, TRANSACTIONAL, True),
        (i.CHANNEL_IN_APP, TRANSACTIONAL, True),
        (POSTAL, MARKETING, True),
        (EMAIL, MARKETING, False),
        (SMS, TRANSACTIONAL, False),
    ],
)
def test_hours_are_not_asked_of_the_pairs_that_the_policy_lists(
    channel: int, message_class: int, is_exempt: bool
) -> None:
    found = asked(hours.gate, history_with(quiet(0, 0)), channel=channel, message_class=message_class)

    assert (found == NOT_ASKED) == is_exempt


# Zones.


def test_a_zone_is_the_declared_one_else_of_the_point_else_of_the_country_else_the_default() -> None:
    countries = [*US, p.CountryZones(country="DE", time_zones=["Europe/Berlin"])]
    history = history_with(countries=countries, default_time_zones=["Asia/Tokyo"])

    def names(**values: Any) -> tuple[str, ...]:
        return zones_of(history.picture(T), question(**values)).names

    assert names() == ("Asia/Tokyo",)
    history.add(profile("US-CA", country="US-CA"), T - 9)
    assert names() == ("America/Los_Angeles", "America/New_York")
    history.add(verified("german", country="DE"), T - 8)
    assert names() == ("America/Los_Angeles", "America/New_York")
    assert names(contact_point_id="german") == ("Europe/Berlin",)
    history.add(verified("island", country="DE", time_zones=["Australia/Lord_Howe"]), T - 7)
    assert names(contact_point_id="island") == ("Australia/Lord_Howe",)
    history.add(verified("coast", time_zones=["America/Lima", "America/Bogota"]), T - 6)
    assert names(contact_point_id="coast") == ("America/Bogota", "America/Lima")
    history.add(lives_in("Pacific/Apia"), T - 5)
    assert names(contact_point_id="coast") == ("Pacific/Apia",)


def test_a_zone_that_the_database_does_not_have_is_as_if_it_were_not_said() -> None:
    history = history_with(lives_in("Mars/Olympus"), default_time_zones=["Asia/Tokyo"])

    assert zones_of(history.picture(T), question()).names == ("Asia/Tokyo",)
    assert zones_of(History().picture(T), question()).names == ("UTC",)
