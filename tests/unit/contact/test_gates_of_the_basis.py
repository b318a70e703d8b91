"""Gates 5 and 6: what makes it lawful, and who may take part; what ends a consent, and which facts make other bases."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from ledger.contact.finding import FAIL, PASS, Finding
from ledger.contact.gates import basis, parties
from ledger.domain.months import months_after
from ledger.domain.times import timestamp
from rapport.events.v1 import attribute_pb2, exchange_pb2
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.type.v1.amount_pb2 import Amount
from tests.contact_histories import (
    DAY,
    HOUR,
    History,
    did,
    given,
    guardian,
    moment,
    objected,
    profile,
    question,
    recipient,
    refused,
    sent,
    verified,
    withdrawn,
)

T = moment("2026-05-01T12:00Z")
CONSENT = c.LEGAL_BASIS_CONSENT
SOFT = c.LEGAL_BASIS_SOFT_OPT_IN
CONTRACT = c.LEGAL_BASIS_CONTRACT_PERFORMANCE
MUMS: dict[str, Any] = {"indicated_by": c.INDICATED_BY_GUARDIAN, "indicated_by_id": "mum"}
ORDER: dict[str, Any] = {"purpose": "order.management", "message_class": i.MESSAGE_CLASS_TRANSACTIONAL}


def known(**policy: Any) -> History:
    """Return a history of somebody who is known, under a policy where one is given."""
    history = History()
    if policy:
        history.publish(p.ContactPolicy(version=1, **policy), T - 2000 * DAY)
    history.add(did("VISIT"), T - 1000 * DAY)
    return history


def asked(history: History, at: int = T, **values: Any) -> Finding:
    """Return what the gate of the basis finds."""
    return basis.gate(history.picture(at), question(**values), at)


def taking_part(history: History, at: int = T, **values: Any) -> Finding:
    """Return what the gate of the parties finds."""
    return parties.gate(history.picture(at), question(**values), at)


def failed(reason: str, *evidence: int) -> tuple[Any, ...]:
    """Return how a finding begins that fails."""
    return FAIL, d.DecisionReason.Value(f"DECISION_REASON_{reason}"), evidence


def resting_on(legal_basis: int, *evidence: int) -> tuple[Any, ...]:
    """Return what a finding that passes rests on."""
    return PASS, legal_basis, evidence


def ground(found: Finding) -> tuple[Any, ...]:
    """Return what a finding rests on."""
    return found.result, found.legal_basis, found.evidence


# Gate 5: what the purpose allows.


def test_a_purpose_has_to_be_registered() -> None:
    assert failed("PURPOSE_UNKNOWN") == asked(known(), purpose="marketing.unheard_of")[:3]


def test_a_purpose_allows_some_classes_of_messages_and_marketing_never_is_a_transaction() -> None:
    history = known()
    assert failed("CLASS_NOT_ALLOWED") == asked(history, message_class=i.MESSAGE_CLASS_SURVEY)[:3]

    slack = p.Purpose(
        slug="marketing.direct",
        purpose_class=p.PURPOSE_CLASS_MARKETING,
        objectable=p.OBJECTABLE_ABSOLUTE,
        legal_bases=[CONSENT],
        message_classes=[i.MESSAGE_CLASS_MARKETING, i.MESSAGE_CLASS_TRANSACTIONAL],
    )
    history.publish(p.PurposeRegistry(version=1, purposes=[slack]), T - DAY)
    assert failed("CLASS_NOT_ALLOWED") == asked(history, message_class=i.MESSAGE_CLASS_TRANSACTIONAL)[:3]


def test_a_purpose_allows_some_bases() -> None:
    history = known()
    history.add(given(), T - DAY)

    assert failed("BASIS_NOT_ALLOWED") == asked(history, legal_basis=CONTRACT)[:3]
    assert PASS == asked(history, legal_basis=CONSENT).result


def test_reasons_come_in_the_order_of_the_table() -> None:
    history = known()

    # The class is told before the basis, and the purpose before both.
    wrong: dict[str, Any] = {"message_class": i.MESSAGE_CLASS_SURVEY, "legal_basis": CONTRACT}
    assert failed("CLASS_NOT_ALLOWED") == asked(history, **wrong)[:3]
    assert failed("PURPOSE_UNKNOWN") == asked(history, purpose="x", **wrong)[:3]

    ended = history.add(given(until=T - DAY), T - 9 * DAY)
    parents = history.add(given("marketing"), T - 8 * DAY)
    assert failed("NOTICE_NOT_SPECIFIC", parents) == asked(history, purpose="marketing.social")[:3]
    assert failed("CONSENT_EXPIRED", ended) == asked(history)[:3]
    unconfirmed = history.add(given(confirmation_required=True), T - 7 * DAY)
    assert failed("CONSENT_UNCONFIRMED", unconfirmed) == asked(history)[:3]
    no = history.add(withdrawn(), T - 6 * DAY)
    assert failed("NO_BASIS", no) == asked(history)[:3]


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


# Gate 5: other bases.


def soft(**values: Any) -> p.BasisRule:
    """Return a rule for the soft opt-in after a purchase."""
    given: dict[str, Any] = {"legal_basis": SOFT, "interaction_kinds": [i.INTERACTION_KIND_PURCHASE], "months": 12}
    return p.BasisRule(**{**given, **values})


def test_a_purchase_makes_a_basis_for_calendar_months() -> None:
    history = known(basis_rules=[soft(months=6)])
    bought = history.add(did("PURCHASE"), moment("2026-03-31T10:00Z"))
    end = moment("2026-09-30T10:00Z")

    assert (*resting_on(SOFT, bought), end) == (*ground(asked(history)), asked(history).changes_at)
    assert PASS == asked(history, end - 1).result
    expired = asked(history, end)
    assert failed("CONSENT_EXPIRED", bought) == expired[:3]
    assert ("basis_rules[0].months", None) == (expired.policy_field, expired.changes_at)


def test_the_latest_fact_counts_and_what_we_send_is_none() -> None:
    history = known(basis_rules=[soft(months=1)])
    history.add(did("PURCHASE"), T - 90 * DAY)
    latest = history.add(did("PURCHASE"), T - 10 * DAY)
    history.add(did("PURCHASE"), T - 50 * DAY, recorded=T)
    history.add(sent(kind=i.INTERACTION_KIND_PURCHASE), T)

    assert resting_on(SOFT, latest) == ground(asked(history))
    assert months_after(T - 10 * DAY, 1) == asked(history).changes_at


def test_a_rule_holds_for_its_laws_channels_and_purposes_with_their_children() -> None:
    narrow = soft(jurisdictions=["US"], channels=[i.CHANNEL_EMAIL], purposes=["marketing"])
    history = known(basis_rules=[narrow])
    history.add(did("PURCHASE"), T - DAY)
    assert failed("NO_BASIS") == asked(history)[:3]

    history.add(profile("US-CA"), T - DAY)
    assert PASS == asked(history).result
    assert FAIL == asked(history, channel=i.CHANNEL_SMS).result
    history.add(profile("DE"), T)
    assert FAIL == asked(history).result


def test_a_rule_without_facts_always_stands() -> None:
    history = known()

    found = asked(history, purpose="legal.compliance", message_class=i.MESSAGE_CLASS_SERVICE)
    assert resting_on(c.LEGAL_BASIS_LEGAL_OBLIGATION) == ground(found)
    assert found.changes_at is None


def paid(exchange_id: str = "x1", pending_until: int | None = None, **values: Any) -> exchange_pb2.ExchangeRecorded:
    """Return a purchase for ten euros."""
    money = exchange_pb2.Leg(
        giver=exchange_pb2.PARTY_CUSTOMER,
        category=exchange_pb2.CATEGORY_MONEY_PAYMENT,
        amount=Amount(units=1000, asset="EUR/2"),
    )
    goods = exchange_pb2.Leg(
        giver=exchange_pb2.PARTY_ORGANIZATION,
        category=exchange_pb2.CATEGORY_GOODS,
        amount=Amount(units=1, asset="CD/0"),
    )
    until = None if pending_until is None else timestamp(pending_until)
    return exchange_pb2.ExchangeRecorded(exchange_id=exchange_id, legs=[money, goods], pending_until=until, **values)


def test_an_exchange_in_force_in_which_the_customer_paid_makes_a_basis_until_it_is_reversed() -> None:
    history = known()
    first = history.add(paid("x1"), T - 9 * DAY)
    second = history.add(paid("x2"), T - 5 * DAY)
    assert resting_on(CONTRACT, second) == ground(asked(history, **ORDER))

    history.add(exchange_pb2.ExchangeReversed(exchange_id="x2", reversal_id="r2"), T - DAY)
    assert resting_on(CONTRACT, first) == ground(asked(history, **ORDER))
    history.add(exchange_pb2.ExchangeReversed(exchange_id="x1", reversal_id="r1"), T - DAY)
    assert failed("NO_BASIS") == asked(history, **ORDER)[:3]


def test_a_hold_makes_a_basis_once_it_is_posted_and_a_present_to_the_customer_makes_none() -> None:
    history = known()
    present = exchange_pb2.Leg(
        giver=exchange_pb2.PARTY_ORGANIZATION,
        category=exchange_pb2.CATEGORY_GOODS,
        amount=Amount(units=1, asset="CD/0"),
    )
    history.add(exchange_pb2.ExchangeRecorded(exchange_id="gift", legs=[present]), T - 9 * DAY)
    hold = history.add(paid("x1", pending_until=T + DAY), T - 5 * DAY)
    assert failed("NO_BASIS") == asked(history, **ORDER)[:3]

    history.add(exchange_pb2.ExchangePosted(exchange_id="x1", units=[600, 1]), T - DAY)
    assert resting_on(CONTRACT, hold) == ground(asked(history, **ORDER))


def test_a_hold_of_which_no_money_was_posted_makes_no_basis() -> None:
    history = known()
    history.add(paid("x1", pending_until=T + DAY), T - 5 * DAY)
    history.add(exchange_pb2.ExchangePosted(exchange_id="x1", units=[0, 1]), T - DAY)

    assert failed("NO_BASIS") == asked(history, **ORDER)[:3]


def test_the_first_contact_on_a_basis_has_to_come_in_time() -> None:
    history = known(basis_rules=[soft(months=24, first_contact_months=12)])
    bought = history.add(did("PURCHASE"), moment("2025-03-01T00:00Z"))
    end = moment("2026-03-01T00:00Z")
    assert end == asked(history, end - 1).changes_at
    late = asked(history, end)
    assert failed("CONSENT_EXPIRED", bought) == late[:3]
    assert "basis_rules[0].first_contact_months" == late.policy_field

    # A contact that rested on something else, or on nothing, is not the first one on this basis.
    history.add(sent(), end - DAY)
    assert FAIL == asked(history, end).result
    permit, decided = history.decide_and_record(end - HOUR)
    assert SOFT == decided.legal_basis
    history.add(sent(decision_id=permit), end - 1)
    assert PASS == asked(history, end).result
    assert moment("2027-03-01T00:00Z") == asked(history, end).changes_at


def test_a_first_contact_in_time_makes_a_basis_no_longer_than_its_months() -> None:
    history = known(basis_rules=[soft(months=6, first_contact_months=12)])
    history.add(did("PURCHASE"), moment("2025-03-01T00:00Z"))
    end = moment("2025-09-01T00:00Z")

    assert end == asked(history, end - 1).changes_at
    assert (FAIL, "basis_rules[0].months") == (asked(history, end).result, asked(history, end).policy_field)


def test_a_contact_that_rested_on_another_basis_is_not_the_first_on_this_one() -> None:
    history = known(basis_rules=[soft(months=24, first_contact_months=12)])
    history.add(did("PURCHASE"), moment("2025-03-01T00:00Z"))
    end = moment("2026-03-01T00:00Z")
    history.add(given(), end - DAY)
    permit, decided = history.decide_and_record(end - HOUR)
    assert CONSENT == decided.legal_basis
    history.add(sent(decision_id=permit), end - 1)

    assert FAIL == asked(history, end, legal_basis=SOFT).result


def test_a_first_contact_that_came_too_late_keeps_nothing_alive() -> None:
    history = known(basis_rules=[soft(months=24, first_contact_months=12)])
    history.add(did("PURCHASE"), moment("2025-03-01T00:00Z"))
    end = moment("2026-03-01T00:00Z")
    permit, decided = history.decide_and_record(end - 1)
    assert SOFT == decided.legal_basis
    history.add(sent(decision_id=permit), end)

    assert FAIL == asked(history, end).result


def test_bases_are_tried_in_the_order_of_the_registry_and_the_one_asked_for_alone() -> None:
    history = known(basis_rules=[soft()])
    bought = history.add(did("PURCHASE"), T - DAY)
    assert resting_on(SOFT, bought) == ground(asked(history))

    consent = history.add(given(), T - DAY)
    assert resting_on(CONSENT, consent) == ground(asked(history))
    assert resting_on(SOFT, bought) == ground(asked(history, legal_basis=SOFT))
    history.add(withdrawn(), T)
    assert failed("NO_BASIS", consent + 1) == asked(history, legal_basis=CONSENT)[:3]


def test_a_consent_recorded_on_another_basis_is_that_basis() -> None:
    history = known()
    history.add(given(legal_basis=c.LEGAL_BASIS_LEGITIMATE_INTEREST_CONTROLLER), T - DAY)

    assert FAIL == asked(history, legal_basis=CONSENT).result
    assert c.LEGAL_BASIS_LEGITIMATE_INTEREST_CONTROLLER == asked(history).legal_basis


# Gate 6.


def test_the_organization_alone_needs_no_grant() -> None:
    assert Finding(PASS) == taking_part(known())


def test_a_sender_or_recipient_needs_a_live_grant_for_exactly_this_purpose() -> None:
    history = known()
    history.add(recipient("ads", T + DAY), T - DAY)

    assert Finding(PASS, changes_at=T + DAY) == taking_part(history, sender="ads")
    assert PASS == taking_part(history, recipients=["ads"]).result
    assert failed("SENDER_NOT_GRANTED") == taking_part(history, T + DAY, sender="ads")[:3]
    assert failed("RECIPIENT_NOT_GRANTED") == taking_part(history, T + DAY, recipients=["ads"])[:3]
    assert failed("RECIPIENT_NOT_GRANTED") == taking_part(history, sender="ads", recipients=["ads", "other"])[:3]
    assert failed("SENDER_NOT_GRANTED") == taking_part(history, sender="other", recipients=["third"])[:3]
    assert FAIL == taking_part(history, sender="ads", purpose="marketing").result
    assert FAIL == taking_part(history, sender="ads", purpose="marketing.social").result


def test_a_revoked_or_used_up_grant_is_none() -> None:
    history = known()
    history.add(recipient("ads", T + DAY, max_uses=1), T - DAY)
    history.add(
        attribute_pb2.DisclosureRecorded(recipient="ads", purposes=["marketing.direct"], fields=["contact"]), T - HOUR
    )
    assert FAIL == taking_part(history, sender="ads").result

    history.add(recipient("ads", T + DAY), T - HOUR)
    assert PASS == taking_part(history, sender="ads").result
    history.add(c.RecipientGrantRevoked(recipient="ads"), T)
    assert FAIL == taking_part(history, sender="ads").result


@pytest.mark.parametrize(
    "opt_out",
    [withdrawn(), withdrawn("marketing.social"), refused("marketing"), objected("marketing.direct"), objected()],
)
def test_rule_8_after_an_opt_out_the_address_is_not_passed_on_though_a_grant_is_live(opt_out: Any) -> None:
    history = known()
    history.add(recipient("ads", T + 9 * DAY), T - 5 * DAY)
    no = history.add(opt_out, T - 4 * DAY)
    assert failed("TRANSFER_AFTER_OPT_OUT", no) == taking_part(history, recipients=["ads"])[:3]
    assert failed("TRANSFER_AFTER_OPT_OUT", no) == taking_part(history, sender="ads")[:3]

    # A consent, or a grant that is not later on both axes, makes no difference.
    history.add(given(), T - 3 * DAY)
    history.add(recipient("ads", T + 9 * DAY), T - 4 * DAY, recorded=T - 3 * DAY)
    assert FAIL == taking_part(history, sender="ads").result
    history.add(recipient("ads", T + 9 * DAY), T - 2 * DAY)
    assert PASS == taking_part(history, sender="ads").result


def test_a_grant_has_to_be_later_than_every_opt_out_on_both_axes() -> None:
    history = known()
    early = history.add(refused("marketing"), T - 9 * DAY)
    history.add(recipient("ads", T + 9 * DAY), T - 5 * DAY)
    late = history.add(withdrawn("marketing"), T - 8 * DAY, recorded=T - 4 * DAY)
    assert failed("TRANSFER_AFTER_OPT_OUT", early, late) == taking_part(history, sender="ads")[:3]

    history.add(recipient("ads", T + 9 * DAY), T - 6 * DAY, recorded=T - 3 * DAY)
    assert PASS == taking_part(history, sender="ads").result


def test_an_opt_out_that_somebody_else_made_or_is_of_another_class_channel_point_or_brand_is_none() -> None:
    history = known()
    history.add(verified("p"), T - 9 * DAY)
    history.add(recipient("ads", T + 9 * DAY), T - 5 * DAY)
    history.add(c.ConsentRevoked(scope=c.ConsentScope()), T - 4 * DAY)
    history.add(withdrawn("community"), T - 4 * DAY)
    history.add(withdrawn(channels=[i.CHANNEL_SMS]), T - 4 * DAY)
    history.add(withdrawn(brands=["rum"]), T - 4 * DAY)
    history.add(withdrawn(contact_point_ids=["q"]), T - 4 * DAY)

    assert PASS == taking_part(history, sender="ads", brand="tea", contact_point_id="p").result
    assert FAIL == taking_part(history, sender="ads", brand="rum", contact_point_id="p").result
    assert FAIL == taking_part(history, sender="ads", contact_point_id="p").result


def test_an_opt_out_of_a_linked_id_and_a_lifted_objection_count() -> None:
    history = known()
    history.add(recipient("ads", T + 9 * DAY), T - 5 * DAY)
    raised = history.add(objected("marketing"), T - 4 * DAY)
    history.add(c.ObjectionLifted(raised_position=raised), T - 3 * DAY)
    assert failed("TRANSFER_AFTER_OPT_OUT", raised) == taking_part(history, sender="ads")[:3]

    history.add(recipient("ads", T + 9 * DAY), T - 2 * DAY)
    assert PASS == taking_part(history, sender="ads").result
    history.add(withdrawn("marketing.direct"), T - DAY, customer="b")
    history.link("c", "b", T)
    assert FAIL == taking_part(history, sender="ads").result
