"""Gates 1 to 4: do we know them, can they be reached, may they decide alone, and did they say no?"""

from __future__ import annotations

from typing import Any

import pytest

from ledger.contact.finding import ADVISE, FAIL, PASS, Finding
from ledger.contact.gates import denial, minor, subject, suppression
from ledger.domain.times import timestamp
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import identity_pb2
from rapport.events.v1 import interaction_pb2 as i
from tests.contact_histories import (
    DAY,
    History,
    did,
    erased,
    given,
    guardian,
    moment,
    objected,
    profile,
    question,
    refused,
    suppressed,
    verified,
    withdrawn,
)

T = moment("2026-05-01T12:00Z")
TRANSACTION: dict[str, Any] = {"purpose": "order.management", "message_class": i.MESSAGE_CLASS_TRANSACTIONAL}


def known() -> History:
    """Return a history of somebody who is known."""
    history = History()
    history.add(did("VISIT"), T - 100 * DAY)
    return history


def asked(gate: Any, history: History, at: int = T, customer: str = "c", **values: Any) -> Finding:
    """Return what a gate finds."""
    found: Finding = gate(history.picture(at, customer=customer), question(**values), at)
    return found


def failed(reason: str, *evidence: int) -> tuple[Any, ...]:
    """Return how a finding begins that fails."""
    return FAIL, d.DecisionReason.Value(f"DECISION_REASON_{reason}"), evidence


# Gate 1.


def test_nobody_is_known_of_whom_only_decisions_and_keys_are_recorded() -> None:
    history = History()
    history.decide_and_record(T - DAY)

    assert failed("SUBJECT_UNKNOWN") == asked(subject.gate, history)[:3]


def test_who_did_anything_is_known() -> None:
    assert PASS == asked(subject.gate, known()).result


def test_erasure_is_told_before_anything_else() -> None:
    history = known()
    position = history.add(erased(), T)

    assert failed("SUBJECT_ERASED", position) == asked(subject.gate, history, contact_point_id="never")[:3]


def test_a_contact_point_has_to_be_verified_as_the_customers_own_and_not_revoked_since() -> None:
    history = known()
    history.add(verified("mine"), T - 2 * DAY)
    history.add(verified("theirs"), T - 2 * DAY, customer="b")

    assert PASS == asked(subject.gate, history, contact_point_id="mine").result
    assert failed("CONTACT_POINT_UNKNOWN") == asked(subject.gate, history, contact_point_id="theirs")[:3]
    history.add(identity_pb2.IdentifierRevoked(contact_point_id="mine"), T - DAY)
    assert failed("CONTACT_POINT_UNKNOWN") == asked(subject.gate, history, contact_point_id="mine")[:3]


# Gate 2.


@pytest.mark.parametrize(
    "reason, told, blocks_transactions",
    [
        ("HARD_BOUNCE", "SUPPRESSED_BOUNCE", True),
        ("COMPLAINT", "SUPPRESSED_COMPLAINT", False),
        ("DECEASED", "SUPPRESSED_DECEASED", True),
        ("LEGAL", "SUPPRESSED_LEGAL", True),
        ("EXTERNAL_LIST", "SUPPRESSED_LIST", False),
    ],
)
def test_what_a_suppression_blocks(reason: str, told: str, blocks_transactions: bool) -> None:
    history = known()
    position = history.add(suppressed(reason), T - DAY)

    assert failed(told, position) == asked(suppression.gate, history)[:3]
    expected = FAIL if blocks_transactions else PASS
    assert expected == asked(suppression.gate, history, **TRANSACTION).result
    history.add(c.SuppressionLifted(added_position=position, reason="wrong"), T)
    assert PASS == asked(suppression.gate, history).result


def test_a_bounce_blocks_its_contact_point_and_no_question_without_one() -> None:
    history = known()
    history.add(suppressed("HARD_BOUNCE", contact_point_id="old"), T - DAY)

    assert FAIL == asked(suppression.gate, history, contact_point_id="old").result
    assert PASS == asked(suppression.gate, history, contact_point_id="new").result
    assert PASS == asked(suppression.gate, history).result


def test_a_complaint_about_one_address_is_one_about_all() -> None:
    history = known()
    history.add(suppressed("COMPLAINT", contact_point_id="old"), T - DAY)

    assert FAIL == asked(suppression.gate, history, contact_point_id="new").result


def test_a_suppression_of_a_channel_leaves_the_others() -> None:
    history = known()
    history.add(suppressed("EXTERNAL_LIST", channel=i.CHANNEL_VOICE_LIVE), T - DAY)

    assert FAIL == asked(suppression.gate, history, channel=i.CHANNEL_VOICE_LIVE).result
    assert PASS == asked(suppression.gate, history).result


def test_of_several_suppressions_the_first_of_the_table_is_told_with_all_that_say_so() -> None:
    history = known()
    history.add(suppressed("EXTERNAL_LIST"), T - DAY)
    first = history.add(suppressed("COMPLAINT"), T - DAY)
    history.add(suppressed("LEGAL"), T - DAY)
    second = history.add(suppressed("COMPLAINT"), T - DAY)

    assert failed("SUPPRESSED_COMPLAINT", first, second) == asked(suppression.gate, history)[:3]


def test_no_consent_lifts_a_suppression_and_those_of_linked_ids_do_not_count() -> None:
    history = known()
    history.add(suppressed("COMPLAINT"), T - DAY, customer="b")
    history.link("c", "b", T - DAY)
    assert PASS == asked(suppression.gate, history).result

    history.add(suppressed("COMPLAINT"), T - DAY)
    history.add(given(), T)
    assert FAIL == asked(suppression.gate, history).result


# Gate 3.


def test_a_minor_needs_a_guardian_until_the_day_of_age_begins() -> None:
    history = known()
    told = history.add(profile("DE", "2026-06-01"), T - DAY)
    of_age = moment("2026-06-01")

    assert (*failed("MINOR_WITHOUT_GUARDIAN", told), None, of_age) == asked(minor.gate, history)[:5]
    assert FAIL == asked(minor.gate, history, of_age - 1).result
    assert Finding(PASS) == asked(minor.gate, history, of_age)


def test_a_live_guardian_speaks_for_a_minor_and_a_released_one_does_not() -> None:
    history = known()
    history.add(profile("DE", "2027-01-01"), T - 9 * DAY)
    history.add(guardian("mum", until=T + DAY), T - 8 * DAY)

    assert Finding(PASS, changes_at=T + DAY) == asked(minor.gate, history)
    assert FAIL == asked(minor.gate, history, T + DAY).result
    history.add(c.GuardianReleased(guardian_id="mum"), T - DAY)
    assert FAIL == asked(minor.gate, history).result


def test_a_guardian_for_some_purposes_speaks_about_those_and_their_children() -> None:
    history = known()
    history.add(profile("DE", "2027-01-01"), T - 9 * DAY)
    history.add(guardian("mum", purposes=["marketing"]), T - 8 * DAY)

    assert PASS == asked(minor.gate, history, purpose="marketing.social").result
    assert FAIL == asked(minor.gate, history, purpose="community").result


def test_an_unknown_age_is_advised_against_only_under_a_law_that_knows_an_age() -> None:
    history = known()
    assert Finding(PASS) == asked(minor.gate, history)

    rules = [p.JurisdictionRules(jurisdiction="US", minor_age=13), p.JurisdictionRules(jurisdiction="DE")]
    history.publish(p.ContactPolicy(version=1, default_jurisdiction="DE", jurisdictions=rules), T - DAY)
    assert Finding(PASS) == asked(minor.gate, history)
    history.add(profile("US-CA"), T - DAY)
    advice = Finding(ADVISE, d.DECISION_REASON_AGE_UNKNOWN, policy_field="jurisdictions[0].minor_age")
    assert advice == asked(minor.gate, history)


def test_where_nobody_knows_whose_law_applies_it_may_be_the_one_that_knows_an_age() -> None:
    history = known()
    rules = [p.JurisdictionRules(jurisdiction="US", minor_age=13)]
    history.publish(p.ContactPolicy(version=1, jurisdictions=rules), T - DAY)

    assert ADVISE == asked(minor.gate, history).result


def test_a_service_for_children_sends_nothing_to_who_may_be_one() -> None:
    history = known()
    history.publish(p.ContactPolicy(version=1, age_unknown_denies=True), T - DAY)

    assert failed("AGE_UNKNOWN") == asked(minor.gate, history)[:3]
    history.add(profile("FR", "2000-01-01"), T - DAY)
    assert PASS == asked(minor.gate, history).result


def test_a_date_for_a_country_counts_in_its_regions_that_have_none() -> None:
    history = known()
    days = [identity_pb2.AdultFrom(jurisdiction="US", date="2026-06-01")]
    history.add(identity_pb2.ProfileDeclared(jurisdiction="US-CA", adult_from=days), T - DAY)
    assert FAIL == asked(minor.gate, history).result

    days.append(identity_pb2.AdultFrom(jurisdiction="US-CA", date="2026-01-01"))
    history.add(identity_pb2.ProfileDeclared(jurisdiction="US-CA", adult_from=days), T)
    assert PASS == asked(minor.gate, history).result


# Gate 4.


@pytest.mark.parametrize(
    "event, told",
    [
        (withdrawn("marketing.direct"), "CONSENT_WITHDRAWN"),
        (refused("marketing.direct"), "CONSENT_REFUSED"),
        (c.ConsentRevoked(scope=c.ConsentScope(purposes=["marketing.direct"])), "CONSENT_REVOKED"),
        (c.ConsentInvalidated(scope=c.ConsentScope(purposes=["marketing.direct"])), "CONSENT_INVALIDATED"),
        (objected("marketing.direct"), "OBJECTED"),
    ],
)
def test_each_way_of_saying_no(event: Any, told: str) -> None:
    history = known()
    history.add(given(), T - 9 * DAY)
    position = history.add(event, T - DAY)

    assert failed(told, position) == asked(denial.gate, history)[:3]


def test_rule_3_a_no_to_the_parent_covers_the_children_and_a_no_to_one_not_the_others() -> None:
    history = known()
    history.add(refused("marketing"), T - DAY)
    assert FAIL == asked(denial.gate, history, purpose="marketing.social").result

    history = known()
    history.add(refused("marketing.social"), T - DAY)
    assert PASS == asked(denial.gate, history, purpose="marketing.direct").result


def test_of_several_denials_the_last_recorded_is_told_and_a_denial_before_an_objection() -> None:
    history = known()
    history.add(objected(), T - 3 * DAY)
    first = history.add(refused(), T - DAY)
    last = history.add(withdrawn(), T - 2 * DAY, recorded=T)

    assert failed("CONSENT_WITHDRAWN", first, last) == asked(denial.gate, history)[:3]


def test_rule_2_only_a_live_grant_later_on_both_axes_lifts_a_denial() -> None:
    history = known()
    no = history.add(withdrawn(), T - 5 * DAY)
    history.add(given(), T - 6 * DAY, recorded=T - 4 * DAY)
    assert failed("CONSENT_WITHDRAWN", no) == asked(denial.gate, history)[:3]

    history.add(given(until=T + DAY), T - DAY)
    assert Finding(PASS, changes_at=T + DAY) == asked(denial.gate, history)
    assert failed("CONSENT_WITHDRAWN", no) == asked(denial.gate, history, T + DAY)[:3]


def test_an_unconfirmed_consent_lifts_no_denial() -> None:
    history = known()
    history.add(withdrawn(), T - 5 * DAY)
    history.add(given(confirmation_required=True), T - DAY)

    assert FAIL == asked(denial.gate, history).result


def test_no_consent_lifts_an_objection_but_its_lifting_does() -> None:
    history = known()
    raised = history.add(objected("marketing"), T - 5 * DAY)
    history.add(given(), T - DAY)
    assert failed("OBJECTED", raised) == asked(denial.gate, history)[:3]

    history.add(c.ObjectionLifted(raised_position=raised), T - 5 * DAY, recorded=T)
    assert FAIL == asked(denial.gate, history).result
    history.add(c.ObjectionLifted(raised_position=raised), T)
    assert PASS == asked(denial.gate, history).result


def test_who_cannot_be_objected_to_is_not() -> None:
    history = known()
    history.add(objected(), T - DAY)

    assert PASS == asked(denial.gate, history, **TRANSACTION).result
    assert FAIL == asked(denial.gate, history, purpose="research.survey", message_class=i.MESSAGE_CLASS_SURVEY).result
    assert FAIL == asked(denial.gate, history, purpose="community", message_class=i.MESSAGE_CLASS_COMMUNITY).result


@pytest.mark.parametrize(
    "purpose", ["marketing.direct", "personalisation.benefits", "research.survey", "sharing.sale", "community"]
)
def test_a_no_beats_every_basis_of_most_classes(purpose: str) -> None:
    history = known()
    history.add(withdrawn(), T - DAY)

    basis = c.LEGAL_BASIS_LEGITIMATE_INTEREST_CONTROLLER
    assert FAIL == asked(denial.gate, history, purpose=purpose, legal_basis=basis).result


def test_a_no_binds_service_and_duty_only_where_they_rest_on_consent() -> None:
    history = known()
    history.add(withdrawn(), T - DAY)
    care: dict[str, Any] = {"purpose": "service.care", "message_class": i.MESSAGE_CLASS_SERVICE}

    # Nothing but consent could make it lawful.
    assert FAIL == asked(denial.gate, history, **care).result
    assert FAIL == asked(denial.gate, history, legal_basis=c.LEGAL_BASIS_CONSENT, **care).result
    assert PASS == asked(denial.gate, history, legal_basis=c.LEGAL_BASIS_CONTRACT_PERFORMANCE, **care).result
    # Consent is no basis for a duty.
    fraud: dict[str, Any] = {"purpose": "security.fraud", "message_class": i.MESSAGE_CLASS_SERVICE}
    assert PASS == asked(denial.gate, history, **fraud).result
    history.add(did("PURCHASE"), T - DAY)
    assert PASS == asked(denial.gate, history, **care).result
    assert FAIL == asked(denial.gate, history, legal_basis=c.LEGAL_BASIS_CONSENT, **care).result


def test_a_no_binds_service_once_the_other_basis_has_ended() -> None:
    rule = p.BasisRule(
        legal_basis=c.LEGAL_BASIS_CONTRACT_PERFORMANCE, interaction_kinds=[i.INTERACTION_KIND_PURCHASE], months=1
    )
    history = History()
    history.publish(p.ContactPolicy(version=1, basis_rules=[rule]), T - 100 * DAY)
    history.add(did("PURCHASE"), T)
    history.add(withdrawn(), T)
    care: dict[str, Any] = {"purpose": "service.care", "message_class": i.MESSAGE_CLASS_SERVICE}
    end = moment("2026-06-01T12:00Z")

    assert Finding(PASS, changes_at=end) == asked(denial.gate, history, **care)
    assert FAIL == asked(denial.gate, history, end, **care).result


def test_a_no_to_a_purpose_that_nobody_registered_binds() -> None:
    history = known()
    history.add(withdrawn("nobody.knows"), T - DAY)

    assert FAIL == asked(denial.gate, history, purpose="nobody.knows").result


def test_denials_and_objections_of_every_linked_id_count_directly_or_over_another() -> None:
    for event in (withdrawn(), objected()):
        history = known()
        history.add(given(), T - DAY)
        no = history.add(event, T - 9 * DAY, customer="a")
        history.link("a", "b", T - DAY, "ab")
        assert PASS == asked(denial.gate, history).result

        history.link("b", "c", T - DAY, "bc")
        assert (FAIL, (no,)) == asked(denial.gate, history)[::2][:2]
        history.unlink("b", "c", T, "bc")
        assert PASS == asked(denial.gate, history).result


def test_a_no_of_a_linked_id_stands_until_a_grant_later_on_both_axes() -> None:
    history = known()
    history.add(given(), T - 9 * DAY)
    no = history.add(withdrawn(), T - 5 * DAY, customer="b")
    history.link("b", "c", T - DAY)
    assert failed("CONSENT_WITHDRAWN", no) == asked(denial.gate, history)[:3]

    history.add(given(), T)
    assert PASS == asked(denial.gate, history).result


def test_a_question_that_leaves_point_and_brand_open_meets_narrowed_denials() -> None:
    history = known()
    history.add(verified("p"), T - DAY)
    history.add(withdrawn(contact_point_ids=["p"], brands=["tea"]), T - DAY)

    assert FAIL == asked(denial.gate, history).result
    assert FAIL == asked(denial.gate, history, contact_point_id="p", brand="tea").result
    assert PASS == asked(denial.gate, history, contact_point_id="q", brand="tea").result
    assert PASS == asked(denial.gate, history, contact_point_id="p", brand="rum").result


def test_a_guardian_who_withdraws_and_a_minor_who_does_are_both_heard() -> None:
    history = known()
    history.add(profile("DE", "2030-01-01"), T - 9 * DAY)
    history.add(guardian("mum"), T - 9 * DAY)
    mums: dict[str, Any] = {"indicated_by": c.INDICATED_BY_GUARDIAN, "indicated_by_id": "mum"}
    history.add(given(**mums), T - 8 * DAY)
    assert PASS == asked(denial.gate, history).result

    history.add(withdrawn(), T - DAY)
    assert FAIL == asked(denial.gate, history).result
    # A minor's own consent does not lift it, and the guardian's does.
    history.add(given(), T - DAY + 1)
    assert FAIL == asked(denial.gate, history).result
    history.add(given(**mums), T - DAY + 2)
    assert PASS == asked(denial.gate, history).result


def test_a_consent_that_begins_later_lifts_a_denial_when_it_begins() -> None:
    history = known()
    history.add(withdrawn(), T - 5 * DAY)
    history.add(given(valid_from_time=timestamp(T + DAY)), T - DAY)

    assert T + DAY == asked(denial.gate, history).changes_at
    assert FAIL == asked(denial.gate, history, T + DAY - 1).result
    assert PASS == asked(denial.gate, history, T + DAY).result
