"""Gate 5, what makes it lawful: what the purpose allows, and which facts make other bases than a consent."""

from __future__ import annotations

from typing import Any

from ledger.contact.finding import FAIL, PASS
from ledger.domain.months import months_after
from ledger.domain.times import timestamp
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import exchange_pb2
from rapport.events.v1 import interaction_pb2 as i
from rapport.type.v1.amount_pb2 import Amount
from tests.contact_gates import CONSENT, CONTRACT, SOFT, T, asked, failed, ground, known, resting_on
from tests.contact_histories import DAY, HOUR, did, given, moment, profile, sent, withdrawn

ORDER: dict[str, Any] = {"purpose": "order.management", "message_class": i.MESSAGE_CLASS_TRANSACTIONAL}


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
