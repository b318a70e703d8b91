"""Profile and contact points: the last profile counts, whole; contact points from verification to revocation."""

from typing import Any

import pytest

from ledger.domain.profile import (
    IDENTIFIERS_PER_KIND_MAX,
    DeclareProfile,
    RevokeIdentifier,
    VerifyIdentifier,
    is_void,
    start_of_day,
)
from ledger.domain.times import MICROSECONDS, text
from rapport.events.v1.identity_pb2 import AdultFrom, IdentifierRevoked, IdentifierVerified, ProfileDeclared
from rapport.type.v1.event_context_pb2 import EventContext
from tests.stepping import Steps

NOW = 1_800_000_000 * MICROSECONDS
STREAM = "acme/c-1"
PERSON = EventContext(actor="clerk-7")


@pytest.fixture
def steps() -> Steps:
    return Steps(NOW)


def profile(at: int | None = None, **fields: Any) -> DeclareProfile:
    return DeclareProfile(STREAM, ProfileDeclared(**fields), at)


def verify(
    contact_point_id: str, kind: str = "email", at: int | None = None, context: EventContext | None = None, **more: Any
) -> VerifyIdentifier:
    identifier = IdentifierVerified(contact_point_id=contact_point_id, kind=kind, **more)
    return VerifyIdentifier(STREAM, identifier, at, context)


def revoke(contact_point_id: str, at: int | None = None) -> RevokeIdentifier:
    return RevokeIdentifier(STREAM, IdentifierRevoked(contact_point_id=contact_point_id), at)


def points(steps: Steps, at: int | None = None) -> list[str]:
    state = steps.state(STREAM) if at is None else steps.as_of(STREAM, at)
    return list(state.profile.identifiers)


def test_without_a_profile_nothing_is_said(steps: Steps) -> None:
    state = steps.state(STREAM).profile

    assert ("", "", None, 0, {}) == (
        state.jurisdiction,
        state.country,
        state.adult_from("DE"),
        state.position,
        state.identifiers,
    )


def test_a_later_profile_replaces_all_of_the_earlier_and_a_late_one_none_of_it(steps: Steps) -> None:
    steps.do(
        profile(NOW - 9, jurisdiction="DE", country="AT", adult_from=[AdultFrom(jurisdiction="DE", date="2030-01-01")])
    )
    steps.do(profile(NOW - 5, country="US-CA"))
    steps.do(profile(NOW - 7, country="FR"))

    state = steps.state(STREAM).profile
    assert ("", "US-CA", None, 2) == (state.jurisdiction, state.country, state.adult_from("DE"), state.position)
    assert "FR" == steps.as_of(STREAM, NOW - 6).profile.country
    assert "DE" == steps.as_of(STREAM, NOW - 8).profile.jurisdiction


def test_a_customer_is_of_age_from_midnight_utc_of_the_day_under_each_law(steps: Steps) -> None:
    dates = [AdultFrom(jurisdiction="DE", date="2030-03-31"), AdultFrom(jurisdiction="US-CA", date="2027-03-31")]
    steps.do(profile(adult_from=dates))

    state = steps.state(STREAM).profile
    assert "2030-03-31T00:00:00.000000Z" == text(state.adult_from("DE"))
    assert "2027-03-31T00:00:00.000000Z" == text(state.adult_from("US-CA"))
    assert state.adult_from("FR") is None


@pytest.mark.parametrize(
    "date",
    [
        "2030-02-29",
        "2030-13-01",
        "2030-1-1",
        "20300101",
        "2030-W01-1",
        "0000-01-01",
        "203\u0660-01-01",
        " 2030-01-01",
        "2030-01-01\n",
        "",
    ],
)
def test_what_is_no_day_is_none(date: str) -> None:
    assert start_of_day(date) is None


@pytest.mark.parametrize("date", ["0001-01-01", "1970-01-01", "2028-02-29", "9999-12-31"])
def test_a_day_begins_at_its_own_midnight(date: str) -> None:
    start = start_of_day(date)

    assert start is not None
    assert f"{date}T00:00:00.000000Z" == text(start)


def test_a_date_that_is_none_says_nothing_and_of_two_for_one_law_the_later_counts(steps: Steps) -> None:
    dates = [
        AdultFrom(jurisdiction="DE", date="soon"),
        AdultFrom(jurisdiction="FR", date="2031-01-01"),
        AdultFrom(jurisdiction="FR", date="2030-01-01"),
    ]
    steps.do(profile(adult_from=dates))

    state = steps.state(STREAM).profile
    assert state.adult_from("DE") is None
    assert "2031-01-01T00:00:00.000000Z" == text(state.adult_from("FR"))


def test_a_contact_point_is_the_customers_from_verification_to_revocation(steps: Steps) -> None:
    steps.do(verify("cp-1", at=NOW - 9))
    steps.do(revoke("cp-1", at=NOW - 5))

    assert [] == points(steps)
    assert ["cp-1"] == points(steps, NOW - 6)
    assert [] == points(steps, NOW - 5)
    assert [] == points(steps, NOW - 10)
    steps.do(verify("cp-1"))
    assert ["cp-1"] == points(steps)


def test_a_verification_that_arrives_late_does_not_step_over_a_revocation(steps: Steps) -> None:
    steps.do(verify("cp-1", at=NOW - 9))
    steps.do(revoke("cp-1", at=NOW - 5))
    steps.do(verify("cp-1", at=NOW - 6))

    assert [] == points(steps)


def test_only_what_is_the_customers_can_be_revoked_and_only_once(steps: Steps) -> None:
    steps.do(verify("cp-1"))
    steps.do(revoke("cp-1"))

    assert ("IDENTIFIER_UNKNOWN", {"contact_point_id": "cp-1"}) == steps.refused(revoke("cp-1"))
    assert ("IDENTIFIER_UNKNOWN", {"contact_point_id": "cp-2"}) == steps.refused(revoke("cp-2"))


def test_more_contact_points_of_a_kind_than_people_have_take_a_person(steps: Steps) -> None:
    for number in range(IDENTIFIERS_PER_KIND_MAX):
        steps.do(verify(f"cp-{number}"))

    assert ("IDENTIFIERS_TOO_MANY", {"kind": "email", "limit": "5"}) == steps.refused(verify("cp-5"))
    assert "IDENTIFIERS_TOO_MANY" == steps.refused(verify("cp-5", context=EventContext(external_id="x")))[0]
    steps.do(verify("cp-0", method="again"))  # It is one of the five.
    steps.do(verify("tel-1", kind="phone"))  # Of another kind.
    steps.do(verify("cp-5", context=PERSON))
    assert 7 == len(points(steps))
    steps.do(revoke("cp-1"))
    assert "IDENTIFIERS_TOO_MANY" == steps.refused(verify("cp-6"))[0]
    steps.do(revoke("cp-2"))
    steps.do(verify("cp-6"))


@pytest.mark.parametrize(
    "name", ["null", "-1", "0", "00000000", "+00 (000) 000-00", " Anonymous ", "N/A", "unknown", "", "--"]
)
def test_what_programs_write_where_they_know_nothing_is_void(name: str) -> None:
    assert is_void(name)


@pytest.mark.parametrize("name", ["cp-1", "ada@example.org", "+49 30 123456", "1", "-10", "nullius", "-2"])
def test_what_names_something_is_not_void(name: str) -> None:
    assert not is_void(name)
