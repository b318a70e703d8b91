"""The worked examples of consent.md 8, number by number, and the words of rule 7 and section 7."""

from __future__ import annotations

import pytest

from ledger.contact.deciding import DecideContact
from ledger.domain.decider import Setting
from ledger.domain.times import microseconds, text
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import exchange_pb2, preference_pb2
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.valuation_pb2 import ValuationPolicyPublished
from tests.balance_facts import leg, rule
from tests.balance_facts import policy as valuation_policy
from tests.contact_histories import (
    POLICIES,
    History,
    did,
    given,
    lives_in,
    moment,
    preferred,
    profile,
    question,
    quiet,
    reason_name,
    sent,
    stream,
    trace,
    withdrawn,
)

NEW_YORK_NIGHT = "2026-11-21T03:30Z"


def sleeper(zone: str = "America/New_York", until: str | None = None) -> History:
    """Return a history of somebody who consented, and does not want to be disturbed at night."""
    history = History()
    history.add(given(until=until), "2026-01-01")
    history.add(lives_in(zone), "2026-01-01")
    history.add(quiet(21, 8), "2026-01-01")
    return history


def until(decided: d.ContactDecided) -> str:
    """Return the answer with the instant to which it defers."""
    return f"{reason_name(decided)} {text(microseconds(decided.defer_until))}"


def test_1_at_night_in_new_york() -> None:
    assert "DEFER QUIET_HOURS 2026-11-21T13:00:00.000000Z" == until(sleeper().decide(NEW_YORK_NIGHT))


@pytest.mark.parametrize(
    "at, expected",
    [("2026-03-28T21:00Z", "2026-03-29T06:00:00.000000Z"), ("2026-10-24T20:00Z", "2026-10-25T07:00:00.000000Z")],
)
def test_2_the_night_in_which_the_clocks_change(at: str, expected: str) -> None:
    assert f"DEFER QUIET_HOURS {expected}" == until(sleeper("Europe/Berlin").decide(at))


def test_3_the_zone_is_one_of_several() -> None:
    history = History()
    zones = ["America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"]
    hours = preference_pb2.LocalWindow(start_minute=8 * 60, end_minute=21 * 60)
    windows = [p.LegalWindow(jurisdictions=["US"], window=hours)]
    countries = [p.CountryZones(country="US", time_zones=zones)]
    history.publish(p.ContactPolicy(version=1, legal_windows=windows, countries=countries), "2026-01-01")
    history.add(profile("US", country="US"), "2026-01-01")
    history.add(given(), "2026-01-01")

    decided = history.decide("2026-11-21T14:00Z")

    assert "DEFER ZONE_UNKNOWN 2026-11-21T16:00:00.000000Z" == until(decided)
    assert sorted(zones) == list(decided.findings[0].time_zones)
    permitted = history.decide("2026-11-21T16:00Z")
    assert ("PERMIT", moment("2026-11-22T02:00Z")) == (
        reason_name(permitted),
        microseconds(permitted.next_change_time),
    )
    assert "DEFER ZONE_UNKNOWN" == reason_name(history.decide("2026-11-22T02:00Z"))


def test_4_once_a_week_is_enough() -> None:
    history = History()
    history.add(given(), "2026-01-01")
    history.add(lives_in("America/New_York"), "2026-01-01")
    weekly = preference_pb2.FrequencyPreference(count=1, period=preference_pb2.PERIOD_WEEK, channel=i.CHANNEL_EMAIL)
    history.add(preferred(frequency=weekly), "2026-01-01")
    history.add(sent(), "2026-11-17T12:00Z")

    decided = history.decide("2026-11-21T17:00Z")

    assert "DENY FREQUENCY_DECLARED" == reason_name(decided)
    assert "2026-11-23T05:00:00.000000Z" == text(microseconds(decided.next_change_time))
    assert "PERMIT" == reason_name(history.decide("2026-11-23T05:00Z"))


def test_5_the_consent_ends_before_the_night_does() -> None:
    decided = sleeper(until="2026-11-21T12:00Z").decide(NEW_YORK_NIGHT)

    assert "DENY BASIS_ENDS_BEFORE_WINDOW" == reason_name(decided)
    assert {"BASIS": "FAIL BASIS_ENDS_BEFORE_WINDOW", "HOURS": "DEFER QUIET_HOURS"} == trace(decided)
    assert d.DECISION_REASON_CONSENT_EXPIRED == decided.findings[0].own_reason
    assert moment("2026-11-21T12:00Z") == microseconds(decided.next_change_time)


def test_6_a_no_beats_the_night() -> None:
    history = sleeper()
    history.add(withdrawn(channels=[i.CHANNEL_SMS]), "2026-06-01")

    decided = history.decide(NEW_YORK_NIGHT, question(channel=i.CHANNEL_SMS))

    assert "DENY CONSENT_WITHDRAWN" == reason_name(decided)
    told = {"DENIAL": "FAIL CONSENT_WITHDRAWN", "BASIS": "FAIL NO_BASIS", "HOURS": "DEFER QUIET_HOURS"}
    assert told == trace(decided)
    assert "DEFER QUIET_HOURS" == reason_name(history.decide(NEW_YORK_NIGHT))


def test_7_a_withdrawal_that_arrives_late_ends_what_was_given_after_it() -> None:
    history = History()
    while history.head < 9:
        history.add(did("VISIT"), "2026-01-01")
    assert 10 == history.add(given(), "2026-03-01")
    while history.head < 19:
        history.add(did("VISIT"), "2026-04-01")
    assert 20 == history.add(withdrawn(), "2026-02-01", recorded="2026-05-01")

    decided = history.decide("2026-06-01")

    assert "DENY CONSENT_WITHDRAWN" == reason_name(decided)
    assert [20] == list(decided.findings[0].evidence_positions)
    assert "PERMIT" == reason_name(history.decide("2026-06-01", position=15))


def test_8_an_inquiry_is_an_implied_consent_for_six_months() -> None:
    history = History()
    implied = p.BasisRule(
        legal_basis=c.LEGAL_BASIS_IMPLIED_INQUIRY,
        jurisdictions=["CA"],
        interaction_kinds=[i.INTERACTION_KIND_QUESTION],
        months=6,
    )
    history.publish(p.ContactPolicy(version=1, default_jurisdiction="CA", basis_rules=[implied]), "2026-01-01")
    history.add(did("QUESTION"), "2026-03-31T10:00Z")
    end = moment("2026-09-30T10:00Z")

    before, then = history.decide(end - 1), history.decide(end)

    assert ("PERMIT", c.LEGAL_BASIS_IMPLIED_INQUIRY) == (reason_name(before), before.legal_basis)
    assert end == microseconds(before.permit_expires_time)
    assert "DENY CONSENT_EXPIRED" == reason_name(then)


def test_9_what_was_ordered_is_told_of_though_marketing_is_not_wanted() -> None:
    history = History()
    history.add(did("PURCHASE"), "2026-01-01")
    history.add(withdrawn("marketing"), "2026-01-02")
    order = question(purpose="order.management", message_class=i.MESSAGE_CLASS_TRANSACTIONAL)

    for at in ("2026-01-02", "2026-07-01T03:00Z"):
        decided = history.decide(at, order)

        assert ("PERMIT", c.LEGAL_BASIS_CONTRACT_PERFORMANCE) == (reason_name(decided), decided.legal_basis)
    history.add(withdrawn(), "2026-07-01T03:00Z")
    assert "PERMIT" == reason_name(history.decide("2026-07-01T03:00Z", order))


def test_10_who_gives_more_than_they_get_is_not_asked_for_more_without_a_thought() -> None:
    history = History()
    who, whom = exchange_pb2.PARTY_CUSTOMER, exchange_pb2.PARTY_ORGANIZATION
    gave = rule(who, who, exchange_pb2.CATEGORY_MONEY_PAYMENT, "EUR/2", 10_000_000)
    got = rule(who, whom, exchange_pb2.CATEGORY_GOODS, "CD/0", 8_000_000_000)
    history.publish(ValuationPolicyPublished(policy=valuation_policy(1, gave, got)), "2026-01-01")
    history.add(given(), "2026-01-01")
    legs = [
        leg(who, exchange_pb2.CATEGORY_MONEY_PAYMENT, 1000, "EUR/2"),
        leg(whom, exchange_pb2.CATEGORY_GOODS, 1, "CD/0"),
    ]
    history.add(exchange_pb2.ExchangeRecorded(exchange_id="x", legs=legs), "2026-05-01")

    decided = history.decide("2026-06-01T12:00Z")

    assert "PERMIT" == reason_name(decided)
    assert {"RECIPROCITY": "ADVISE CUSTOMER_GIVES_MORE"} == trace(decided)
    assert "standard" == decided.valuation_policy_id
    service = question(purpose="service.care", message_class=i.MESSAGE_CLASS_SERVICE)
    history.add(given("service.care"), "2026-05-02")
    served = history.decide("2026-06-01T12:00Z", service)
    assert ("", "SKIPPED") == (served.valuation_policy_id, trace(served)["RECIPROCITY"])


def test_11_of_two_parallel_decisions_one_takes_the_last_place() -> None:
    history = History()
    cap = p.FrequencyCap(count=1, period=preference_pb2.PERIOD_DAY)
    history.publish(p.ContactPolicy(version=1, caps=[cap]), "2026-01-01")
    history.add(given(), "2026-01-01")
    now = moment("2026-06-01T12:00Z")

    answers = []
    for _ in range(2):
        states = history.states()
        step = DecideContact(stream("c"), question(), (POLICIES,))
        (fact,), _ = step.decide(states[stream("c")], Setting(now, {POLICIES: states[POLICIES]}))
        history.add(fact.event, fact.occur_time)
        assert isinstance(fact.event, d.ContactDecided)
        answers.append(reason_name(fact.event))

    assert ["PERMIT", "DENY FREQUENCY_ORGANIZATION"] == answers


# Section 7.


def test_linked_ids_one_live_and_one_denied_are_denied_until_a_new_grant_and_apart_again_after_unlinking() -> None:
    history = History()
    history.add(given(), "2026-02-01")
    history.add(withdrawn(), "2026-01-01", customer="b")
    history.link("c", "b", "2026-03-01")
    assert "DENY CONSENT_WITHDRAWN" == reason_name(history.decide("2026-04-01"))

    apart = history.copy()
    apart.unlink("c", "b", "2026-04-01")
    assert "PERMIT" == reason_name(apart.decide("2026-04-01"))
    history.add(given(), "2026-04-02")
    assert "PERMIT" == reason_name(history.decide("2026-04-02"))
    # Grants do not spread.
    assert "DENY CONSENT_WITHDRAWN" == reason_name(history.decide("2026-04-02", customer="b"))
