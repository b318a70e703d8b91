"""Who is granted a customer's data and who speaks for the customer: recipients, disclosures, guardians."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from ledger.domain.consent import GiveConsent, RenewConsent, WithdrawConsent
from ledger.domain.fact import Fact
from ledger.domain.recipient_grant import RecordDisclosure
from ledger.domain.times import timestamp
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1.attribute_pb2 import DisclosureRecorded
from tests.consent_acts import DIRECT, IMPORT, SOCIAL, confirm, give, given, history, record_first, verdict
from tests.relationship_history import DAY, NOON, STREAM, History

__all__ = ["history"]
"""The fixture of all tests of acts of consent; a test has it by its name."""


# Recipients.


def test_a_consent_grants_each_recipient_it_names_in_the_same_append(history: History) -> None:
    end = c.Validity(until_time=timestamp(NOON + 30 * DAY))
    step = GiveConsent(STREAM, given(DIRECT, recipients=["b", "a", "b"], data_categories=["email"], validity=end))
    facts = history.decide(step).facts

    assert ["consent.given.v1", *2 * ["recipient_grant.given.v1"]] == [fact.topic for fact in facts]
    assert (
        c.RecipientGrantGiven(
            recipient="b",
            purposes=[DIRECT],
            fields=["email"],
            until=timestamp(NOON + 30 * DAY),
            max_uses=1_000_000,
        )
        == facts[1].event
    )
    (_, endless) = history.decide(GiveConsent(STREAM, given(DIRECT, recipients=["b"]))).facts
    assert (timestamp(NOON + 365 * DAY), ["contact"]) == (endless.event.until, endless.event.fields)  # type: ignore[attr-defined]


def test_recipients_of_a_consent_to_be_confirmed_are_granted_with_its_confirmation(history: History) -> None:
    first = give(history, DIRECT, SOCIAL, recipients=["a"], confirmation_required=True)
    before = history.state().recipient_grants.covering("a", DIRECT, NOON)
    record_first(history, confirm(DIRECT))
    grants = history.state().recipient_grants

    assert before is None
    found = grants.covering("a", DIRECT, NOON)
    assert found is not None
    assert first.position == found.consent_position
    assert grants.covering("a", SOCIAL, NOON) is None


def test_an_import_that_a_no_came_after_grants_its_recipients_nothing(history: History) -> None:
    history.record(WithdrawConsent(STREAM, c.ConsentWithdrawn(purposes=["marketing"]), NOON - 5 * DAY))
    early, late = NOON - 9 * DAY, NOON - DAY
    consent = given(DIRECT, "service", recipients=["a"])
    renewal = c.ConsentRenewed(consent=consent)

    def topics(step: GiveConsent | RenewConsent) -> list[str]:
        return [fact.topic.split(".")[0] for fact in history.decide(step).facts]

    for at, expected in ((early, ["consent"]), (late, ["consent", "recipient_grant"])):
        assert expected == topics(GiveConsent(STREAM, consent, at, IMPORT))
        assert expected == topics(RenewConsent(STREAM, renewal, at, IMPORT))


def test_a_recipient_is_granted_no_longer_than_the_consent_that_is_confirmed(history: History) -> None:
    ends = c.Validity(duration=Duration(seconds=10 * 86_400))
    give(history, DIRECT, at=NOON - 6 * DAY, recipients=["a"], validity=ends, confirmation_required=True)
    record_first(history, confirm())

    found = history.state().recipient_grants.covering("a", DIRECT, NOON)
    consent = verdict(history, DIRECT)

    assert found is not None
    assert NOON + 4 * DAY == consent.until == found.until


def test_disclosures_use_up_the_grant_that_ends_first(history: History) -> None:
    for until, uses in ((9 * DAY, 9), (5 * DAY, 2)):
        grant = c.RecipientGrantGiven(
            recipient="a", purposes=[DIRECT, SOCIAL], fields=["contact", "name"], max_uses=uses
        )
        grant.until.CopyFrom(timestamp(NOON + until))
        history.add("recipient_grant.given.v1", grant, NOON)
    passing = DisclosureRecorded(recipient="a", purposes=[DIRECT], fields=["contact"])

    used = []
    for disclosure in [passing] * 3 + [
        DisclosureRecorded(recipient="a", purposes=[DIRECT, "marketing"], fields=["contact"]),
        DisclosureRecorded(recipient="a", purposes=[DIRECT], fields=["contact", "address"]),
        DisclosureRecorded(recipient="b", purposes=[DIRECT], fields=["contact"]),
    ]:
        fact = history.record(RecordDisclosure(STREAM, disclosure))
        used.append(history.state().recipient_grants.used_by(fact.position))

    assert [6, 6, 3, 0, 0, 0] == used


def test_a_revoked_recipient_gets_nothing_until_a_later_grant_on_both_axes(history: History) -> None:
    def grant(at: int) -> Fact:
        event = c.RecipientGrantGiven(recipient="a", purposes=[DIRECT], fields=["contact"], max_uses=1)
        event.until.CopyFrom(timestamp(NOON + DAY))
        return history.add("recipient_grant.given.v1", event, at)

    def covers() -> bool:
        return history.state().recipient_grants.covering("a", DIRECT, NOON) is not None

    grant(NOON - 5)
    assert covers()
    history.add("recipient_grant.revoked.v1", c.RecipientGrantRevoked(recipient="a", purposes=["marketing"]), NOON - 7)
    assert not covers()
    grant(NOON - 7)
    assert not covers()
    grant(NOON - 6)
    assert covers()


# Guardians.


def test_an_appointment_lasts_to_its_end_or_its_release_whichever_is_first(history: History) -> None:
    appointed = c.GuardianAppointed(guardian_id="g", verification_method="form", purposes=["marketing"])
    appointed.until.CopyFrom(timestamp(NOON + 9))
    history.add("guardian.appointed.v1", appointed, NOON)
    guardians = history.state().guardians

    live = [guardians.was_live("g", NOON + at, DIRECT) for at in (-1, 0, 8, 9)]
    assert [False, True, True, False] == live
    assert not guardians.live(NOON, "service")
    assert (NOON + 9, None) == (guardians.changes_after(NOON), guardians.changes_after(NOON + 9))
    history.add("guardian.released.v1", c.GuardianReleased(guardian_id="g"), NOON - 1)  # Before it: of another one.
    history.add("guardian.released.v1", c.GuardianReleased(guardian_id="g"), NOON + 4)
    guardians = history.state().guardians
    assert [True, False] == [guardians.was_live("g", NOON + at) for at in (3, 4)]


def test_an_appointment_dated_back_before_a_release_ends_with_it(history: History) -> None:
    history.add("guardian.released.v1", c.GuardianReleased(guardian_id="g"), NOON)
    history.add("guardian.appointed.v1", c.GuardianAppointed(guardian_id="g", verification_method="form"), NOON - 9)

    assert [True, False] == [bool(history.state().guardians.live(at)) for at in (NOON - 1, NOON)]
