import pytest

from ledger.domain.times import timestamp
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, HonourRule
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, RelationshipPolicyPublished
from tests.changed_histories import ChangedHistory, at, event, levels_of, name_of, times
from tests.contact_histories import DAY, given, objected, withdrawn
from tests.measured_histories import traded

EMAIL = [i.CHANNEL_EMAIL]
CONSENT = ("opted_in", "opted_out", "consent_expiring", "consent_expired", "consent_renewed", "consent_conflict")
CELL = "consent:marketing.direct/EMAIL"


def granted(until: str | None = None) -> ChangedHistory:
    history = ChangedHistory()
    history.add(given("marketing.direct", until, channels=EMAIL), "2026-01-01")
    return history


def test_a_permission_that_becomes_live_is_told_at_once_with_its_cell() -> None:
    change = granted().one("opted_in")

    assert change.measure.name == CELL
    assert levels_of(change) == ("UNKNOWN", "GIVEN")
    assert times(change) == (at("2026-01-01"), at("2026-01-01"))
    assert change.cause == event(1)


def test_a_withdrawal_is_told_at_once_for_each_cell_that_it_ends() -> None:
    history = granted()
    history.add(given("service.care"), "2026-01-02")
    history.add(given("community", channels=EMAIL), "2026-01-02")
    history.add(withdrawn("marketing", "community"), "2026-01-03")

    changes = history.changes("opted_out")

    assert [change.measure.name for change in changes] == ["consent:community/EMAIL", CELL]
    assert {levels_of(change) for change in changes} == {("GIVEN", "WITHDRAWN")}


def test_what_was_not_live_cannot_be_withdrawn() -> None:
    history = ChangedHistory()
    history.add(withdrawn("marketing.direct"), "2026-01-03")

    assert history.names(*CONSENT) == []


@pytest.mark.parametrize("event_", [c.ConsentRevoked, c.ConsentInvalidated])
def test_what_others_end_is_no_opting_out(event_: type) -> None:
    history = granted()
    history.add(event_(scope=c.ConsentScope(purposes=["marketing.direct"])), "2026-01-03")

    assert history.names(*CONSENT) == ["opted_in"]


def test_an_end_is_announced_thirty_days_before_and_when_it_comes() -> None:
    history = granted("2026-06-01")
    history.mark("2026-07-01")

    _, warned, expired = history.changes(*CONSENT)

    assert (name_of(warned), *times(warned)) == ("consent_expiring", at("2026-05-02"), at("2026-05-02"))
    assert levels_of(warned) == ("GIVEN", "EXPIRING")
    assert (name_of(expired), *times(expired)) == ("consent_expired", at("2026-06-01"), at("2026-06-01"))
    assert levels_of(expired) == ("GIVEN", "EXPIRED")
    assert expired.cause == "timer:2026-06-01T00:00:00.000000Z"


def test_a_short_one_is_expiring_from_its_beginning() -> None:
    history = granted("2026-01-10")

    assert history.names(*CONSENT) == ["opted_in", "consent_expiring"]


def test_a_renewal_is_no_second_opting_in_and_will_be_warned_of_again() -> None:
    history = granted("2026-06-01")
    history.mark("2026-05-10")
    renewed = c.ConsentRenewed(consent=given("marketing.direct", "2026-12-01", channels=EMAIL))
    history.add(renewed, "2026-05-20")
    history.mark("2027-01-01")

    names = history.names(*CONSENT)

    assert names == ["opted_in", "consent_expiring", "consent_renewed", "consent_expiring", "consent_expired"]
    assert levels_of(history.one("consent_renewed")) == ("GIVEN", "RENEWED")
    assert times(history.one("consent_expired"))[0] == at("2026-12-01")


def test_a_late_withdrawal_that_ends_a_later_yes_is_a_conflict() -> None:
    history = granted()
    history.add(withdrawn("marketing.direct"), "2025-12-01", recorded="2026-02-01")

    assert history.names(*CONSENT) == ["opted_in", "opted_out", "consent_conflict"]
    assert history.one("consent_conflict").measure.name == CELL
    assert history.one("opted_out").corrects_id == history.one("opted_in").change_id


def test_a_withdrawal_in_time_is_none() -> None:
    history = granted()
    history.add(withdrawn("marketing.direct"), "2026-01-05", recorded="2026-02-01")

    assert history.names("consent_conflict") == []


def test_a_link_of_a_yes_and_a_no_is_told_of_both() -> None:
    history = ChangedHistory()
    history.add(given("marketing.direct", channels=EMAIL), "2026-01-01", customer="a")
    history.add(withdrawn("marketing.direct"), "2026-01-02", customer="b")
    history.link("a", "b", "2026-02-01")

    conflicts = history.changes("consent_conflict")

    assert [(change.subject_id, change.measure.name) for change in conflicts] == [("a", CELL), ("b", CELL)]
    assert levels_of(conflicts[0]) == ("CLEAR", "LINKED_IDS")


def test_links_and_their_undoing_are_told_of_both() -> None:
    history = ChangedHistory()
    history.add(given(), "2026-01-01", customer="a")
    history.add(given(), "2026-01-02", customer="b")
    history.link("a", "b", "2026-02-01")
    history.unlink("a", "b", "2026-02-03")

    changes = history.changes("identity_merged", "identity_split")

    told = [(name_of(change), change.subject_id, change.measure.name) for change in changes]
    assert told == [
        ("identity_merged", "a", "identity:link"), ("identity_merged", "b", "identity:link"),
        ("identity_split", "a", "identity:link"), ("identity_split", "b", "identity:link"),
    ]  # fmt: skip
    assert history.names("consent_conflict") == []


def waiting(*systems: str) -> ChangedHistory:
    history = ChangedHistory()
    policy = ContactPolicy(version=1, default_jurisdiction="DE", honour=[HonourRule(jurisdictions=["DE"], days=10)])
    history.publish(policy)
    if systems:
        rules = RelationshipPolicy(version=1, honouring_systems=systems)
        history.publish(RelationshipPolicyPublished(policy=rules))
    return history


def test_a_withdrawal_that_nobody_acts_on_in_time_is_overdue() -> None:
    history = waiting()
    position = history.add(withdrawn(), "2026-01-05T10:00Z")
    history.mark("2026-02-01")

    overdue = history.one("withdrawal_overdue")

    assert overdue.measure.name == f"withdrawal:{position}"
    assert times(overdue) == (at("2026-01-15T10:00Z"), at("2026-01-15T10:00Z"))
    assert levels_of(overdue) == ("WAITING", "OVERDUE")


def test_any_system_will_do_where_none_is_named() -> None:
    history = waiting()
    position = history.add(objected(), "2026-01-05")
    history.add(c.WithdrawalHonoured(withdrawal_position=position, system="crm"), "2026-01-10")
    history.mark("2026-02-01")

    assert history.names("withdrawal_overdue") == []


def test_each_system_that_is_named_has_to_speak() -> None:
    history = waiting("crm", "mailer")
    position = history.add(withdrawn(), "2026-01-05")
    history.add(c.WithdrawalHonoured(withdrawal_position=position, system="crm"), "2026-01-10")
    history.mark("2026-02-01")

    assert history.one("withdrawal_overdue").measure.name == f"withdrawal:{position}/mailer"


def test_validity_by_duration_ends_too() -> None:
    history = ChangedHistory()
    until = c.Validity(until_time=timestamp(at("2026-01-01") + 40 * DAY))
    history.add(c.ConsentGiven(purposes=["community"], validity=until), "2026-01-01")
    history.mark("2026-04-01")

    assert history.names(*CONSENT) == ["opted_in", "consent_expiring", "consent_expired"]


def test_an_exchange_at_the_very_instant_of_an_end_finds_it() -> None:
    history = granted("2026-06-01")
    position = history.add(traded("x", paid=100), "2026-06-01")
    history.mark("2026-07-01")

    expired = history.one("consent_expired")

    assert (times(expired)[1], expired.cause) == (at("2026-06-01"), event(position))
