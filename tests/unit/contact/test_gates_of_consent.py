"""Gate 5, a consent that makes it lawful: what covers, ends and uses it up, and whose counts (rules 3 to 5 and 7)."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from ledger.contact.finding import FAIL, PASS
from ledger.domain.months import months_after
from ledger.domain.times import timestamp
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from tests.contact_gates import CONSENT, T, asked, failed, ground, known, resting_on
from tests.contact_histories import (
    DAY,
    HOUR,
    did,
    given,
    guardian,
    moment,
    profile,
    question,
    sent,
    verified,
    withdrawn,
)

MUMS: dict[str, Any] = {"indicated_by": c.INDICATED_BY_GUARDIAN, "indicated_by_id": "mum"}


# Gate 5: consent.


def test_a_consent_is_a_basis_with_the_events_that_make_it() -> None:
    history = known()
    consent = history.add(given(until=T + DAY), T - DAY)

    assert resting_on(CONSENT, consent) == ground(asked(history))
    assert T + DAY == asked(history).changes_at


def test_rule_3_a_consent_to_the_parent_covers_what_its_notice_lists() -> None:
    history = known()
    notice = c.NoticeReference(notice_id="n", purposes=["marketing.direct"])
    consent = history.add(given("marketing", notice=notice), T - DAY)

    assert resting_on(CONSENT, consent) == ground(asked(history))
    assert failed("NOTICE_NOT_SPECIFIC", consent) == asked(history, purpose="marketing.social")[:3]
    assert PASS == asked(history, purpose="marketing").result


def test_rule_4_a_consent_under_double_opt_in_counts_from_its_confirmation_on() -> None:
    history = known()
    consent = history.add(given(confirmation_required=True), T - 2 * DAY)
    assert failed("CONSENT_UNCONFIRMED", consent) == asked(history)[:3]

    confirmed = history.add(c.ConsentConfirmed(given_position=consent), T - DAY)
    assert resting_on(CONSENT, consent, confirmed) == ground(asked(history))


def test_rule_5_a_consent_holds_to_the_microsecond_before_its_end() -> None:
    history = known()
    consent = history.add(given(until=T), T - DAY)

    assert PASS == asked(history, T - 1).result
    assert failed("CONSENT_EXPIRED", consent) == asked(history, T)[:3]
    history.add(given(validity=c.Validity(duration=Duration(seconds=3600))), T - HOUR)
    assert PASS == asked(history, T - 1).result
    assert FAIL == asked(history, T).result


def test_rule_5_the_law_may_end_a_consent_after_some_months() -> None:
    rules = [
        p.JurisdictionRules(jurisdiction="DE", consent_months=24, ask_again_months=13),
        p.JurisdictionRules(jurisdiction="US-CA", consent_months=1),
    ]
    history = known(jurisdictions=rules, default_jurisdiction="DE")
    at = moment("2026-01-31T10:00Z")
    consent = history.add(given(), at)
    assert moment("2027-02-28T10:00Z") == asked(history).changes_at
    assert failed("CONSENT_EXPIRED", consent) == asked(history, moment("2027-02-28T10:00Z"))[:3]
    assert PASS == asked(history, moment("2027-02-28T10:00Z") - 1).result

    # The law that the consent names goes before that of the profile.
    history.add(profile("FR"), T - DAY)
    assert asked(history).changes_at is None
    assert PASS == asked(history, moment("2027-02-28T10:00Z")).result
    history.add(given(jurisdiction="US-CA"), T - DAY)
    history.add(withdrawn(), T - 2 * DAY, recorded=T - DAY)
    history.add(given(jurisdiction="US-CA"), T - HOUR)
    assert months_after(T - HOUR, 1) == asked(history).changes_at


def test_rule_5_a_consent_ends_with_the_event_that_it_names() -> None:
    history = known()
    history.add(did("LEAVE", topic="club.left"), T - 9 * DAY)
    consent = history.add(given(validity=c.Validity(event="club.left")), T - 5 * DAY)
    assert PASS == asked(history).result

    history.add(did("LEAVE", topic="club.left"), T - DAY)
    assert failed("CONSENT_EXPIRED", consent) == asked(history)[:3]


def test_a_consent_for_some_uses_is_used_up_by_contacts_and_by_permits_that_may_still_be_used() -> None:
    history = known()
    consent = history.add(given(validity=c.Validity(uses=1)), T - DAY)
    permit, decided = history.decide_and_record(T - HOUR)
    assert (decided.legal_basis, list(decided.basis_positions)) == (CONSENT, [consent])

    # The permit lasts an hour; the consent is free again when it ends unused.
    assert failed("CONSENT_EXPIRED", consent) == asked(history, T - 1)[:3]
    assert T == asked(history, T - 1).changes_at
    assert PASS == asked(history, T).result
    history.add(sent(decision_id=permit), T - 1)
    assert failed("CONSENT_EXPIRED", consent) == asked(history, T)[:3]
    assert asked(history, T).changes_at is None


def test_a_permit_that_is_given_back_uses_up_nothing() -> None:
    history = known()
    history.add(given(validity=c.Validity(uses=1)), T - DAY)
    permit, _ = history.decide_and_record(T - HOUR)
    history.add(d.ContactAborted(decision_id=permit), T - 1)

    assert PASS == asked(history, T - 1).result


def test_grants_of_a_linked_id_count_only_for_the_same_contact_point() -> None:
    history = known()
    history.add(verified("p"), T - DAY)
    history.add(given(contact_point_ids=["p"]), T - DAY, customer="b")
    history.add(given("community"), T - DAY, customer="b")
    history.link("c", "b", T - DAY)

    assert PASS == asked(history, contact_point_id="p").result
    assert FAIL == asked(history).result
    assert FAIL == asked(history, purpose="community", message_class=i.MESSAGE_CLASS_COMMUNITY).result


def test_a_use_counts_under_whichever_id_of_the_person_the_consent_was_used() -> None:
    history = known()
    history.add(did("VISIT"), T - 9 * DAY, customer="b")
    for customer in "bc":
        history.add(verified("p"), T - 9 * DAY, customer=customer)
    consent = history.add(given(contact_point_ids=["p"], validity=c.Validity(uses=1)), T - 8 * DAY, customer="b")
    history.link("c", "b", T - 7 * DAY)
    permit, _ = history.decide_and_record(T - HOUR, question(contact_point_id="p"), customer="b")

    # The permit of the other id may still be used; the consent is free again when it ends unused.
    assert failed("CONSENT_EXPIRED", consent) == asked(history, T - 1, contact_point_id="p")[:3]
    assert T == asked(history, T - 1, contact_point_id="p").changes_at
    assert PASS == asked(history, T, contact_point_id="p").result
    history.add(sent(decision_id=permit, contact_point_id="p"), T - 1, customer="b")
    assert failed("CONSENT_EXPIRED", consent) == asked(history, T, contact_point_id="p")[:3]

    history.unlink("c", "b", T)
    assert failed("NO_BASIS") == asked(history, T, contact_point_id="p")[:3]


def test_an_event_ends_a_consent_under_whichever_id_of_the_person_it_was_recorded() -> None:
    history = known()
    history.add(verified("p"), T - 9 * DAY)
    validity = c.Validity(event="club.left")
    consent = history.add(given(contact_point_ids=["p"], validity=validity), T - 8 * DAY, customer="b")
    history.link("c", "b", T - 7 * DAY)
    assert PASS == asked(history, contact_point_id="p").result

    history.add(did("LEAVE", topic="club.left"), T - DAY, customer="b")
    assert failed("CONSENT_EXPIRED", consent) == asked(history, contact_point_id="p")[:3]


def test_a_consent_that_ends_before_it_would_begin_is_told_as_expired_from_its_end_on() -> None:
    history = known()
    history.add(profile("DE", "2026-05-11"), T - 9 * DAY)
    history.add(guardian("mum"), T - 8 * DAY)
    consent = history.add(given(valid_from_time=timestamp(T + 60 * DAY), **MUMS), T - 7 * DAY)
    of_age = moment("2026-05-11")

    assert (*failed("NO_BASIS"), of_age) == (*asked(history)[:3], asked(history).changes_at)
    assert failed("NO_BASIS") == asked(history, of_age - 1)[:3]
    assert failed("CONSENT_EXPIRED", consent) == asked(history, of_age)[:3]


def test_a_question_that_leaves_the_channel_point_or_brand_open_is_not_covered_by_a_narrowed_consent() -> None:
    history = known()
    history.add(given(brands=["tea"]), T - DAY)

    assert PASS == asked(history, brand="tea").result
    assert FAIL == asked(history, brand="rum").result
    assert FAIL == asked(history).result


# Gate 5: whose consent counts (rule 7).


def test_below_age_only_the_consent_of_a_live_guardian_counts() -> None:
    history = known()
    history.add(profile("DE", "2027-01-01"), T - 9 * DAY)
    history.add(guardian("mum", until=T + DAY), T - 8 * DAY)
    history.add(given(), T - 7 * DAY)
    assert failed("NO_BASIS") == asked(history)[:3]

    consent = history.add(given(**MUMS), T - 7 * DAY)
    assert (*resting_on(CONSENT, consent), T + DAY) == (*ground(asked(history)), asked(history).changes_at)
    assert FAIL == asked(history, T + DAY).result
    history.add(c.GuardianReleased(guardian_id="mum"), T - DAY)
    assert FAIL == asked(history).result


def test_who_was_no_guardian_then_or_is_another_one_gave_no_consent() -> None:
    history = known()
    history.add(profile("DE", "2027-01-01"), T - 9 * DAY)
    history.add(given(**MUMS), T - 8 * DAY)
    history.add(guardian("mum"), T - 7 * DAY)
    history.add(given(indicated_by=c.INDICATED_BY_GUARDIAN, indicated_by_id="dad"), T - 6 * DAY)
    history.add(given(indicated_by=c.INDICATED_BY_GUARDIAN), T - 6 * DAY)

    assert failed("NO_BASIS") == asked(history)[:3]


@pytest.mark.parametrize("lives_until", [None, "2026-06-01"])
@pytest.mark.parametrize(
    "keep, expected", [(p.GUARDIAN_CONSENT_AT_AGE_END, FAIL), (p.GUARDIAN_CONSENT_AT_AGE_KEEP_AND_ASK, PASS)]
)
def test_at_the_age_a_guardians_consent_ends_or_is_kept(
    keep: p.GuardianConsentAtAge.ValueType, expected: int, lives_until: str | None
) -> None:
    history = known(guardian_consent_at_age=keep)
    of_age = moment("2026-06-01")
    history.add(profile("DE", "2026-06-01"), T - 9 * DAY)
    history.add(guardian("mum", until=lives_until), T - 8 * DAY)
    history.add(given(), T - 8 * DAY)
    consent = history.add(given(**MUMS), T - 7 * DAY)

    assert PASS == asked(history, of_age - 1).result
    assert expected == asked(history, of_age).result
    if expected == FAIL:
        assert failed("CONSENT_EXPIRED", consent) == asked(history, of_age)[:3]
    # Once of age they say so themselves; a guardian no longer can.
    history.add(withdrawn(), of_age)
    history.add(given(**MUMS), of_age + 1)
    assert FAIL == asked(history, of_age + 2).result
    history.add(given(), of_age + 3)
    assert PASS == asked(history, of_age + 3).result


def test_what_a_minor_gave_alone_does_not_count_later_either() -> None:
    history = known()
    history.add(given(), moment("2026-04-01") - 1)
    history.add(profile("DE", "2026-04-01"), T - DAY)
    assert failed("NO_BASIS") == asked(history)[:3]

    history.add(given(), moment("2026-04-01"), recorded=T)
    assert PASS == asked(history).result


def test_a_guardians_consent_counts_while_they_are_one_though_nobody_knows_the_age() -> None:
    history = known()
    history.add(given(**MUMS), T - 5 * DAY)
    assert FAIL == asked(history).result

    history.add(guardian("mum"), T - 4 * DAY)
    history.add(given(**MUMS), T - 3 * DAY)
    assert PASS == asked(history).result
    history.add(c.GuardianReleased(guardian_id="mum"), T - DAY)
    assert FAIL == asked(history).result
