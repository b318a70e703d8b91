"""Consents that count from their confirmation on, by a token that is used once, and renewals, which need none."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.consent import Cell, GiveConsent, RenewConsent, WithdrawConsent, status
from ledger.domain.consent_confirming import ConfirmConsent, confirmed_position
from ledger.domain.consent_ending import RefuseConsent
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS
from rapport.type.v1.event_context_pb2 import EventContext
from tests.consent_acts import (
    DIRECT,
    IMPORT,
    SOCIAL,
    confirm,
    double_opt_in,
    give,
    given,
    history,
    publish,
    record_first,
    refused,
    told,
    verdict,
)
from tests.relationship_history import DAY, NOON, STREAM, History

__all__ = ["history"]
"""The fixture of all tests of acts of consent; a test has it by its name."""


# Confirmed.


def test_an_unconfirmed_consent_does_not_count_before_its_confirmation_and_counts_from_then_on(
    history: History,
) -> None:
    first = give(history, DIRECT, at=NOON - 2 * DAY, confirmation_required=True)
    before = verdict(history, DIRECT)
    second = record_first(history, confirm(at=NOON - DAY))
    after = verdict(history, DIRECT)

    assert (c.CONSENT_STATUS_REQUESTED, (first.position,)) == (before.status, before.unconfirmed)
    assert (c.CONSENT_STATUS_GIVEN, (first.position, second.position)) == (after.status, after.evidence)
    assert (NOON - 2 * DAY, ()) == (after.since, after.unconfirmed)
    early = status(history.state().consents, Cell(DIRECT), NOON - DAY)
    assert c.CONSENT_STATUS_GIVEN == early.status
    grant = verdict(history, DIRECT).grant
    assert grant is not None
    assert NOON - DAY == grant.start
    assert not history.state().consents.grant_in_force(first.position, NOON - DAY - 1)
    assert history.state().consents.grant_in_force(first.position, NOON - DAY)


def test_the_policy_asks_for_confirmation_by_law_channel_and_purpose_and_an_import_needs_none(
    history: History,
) -> None:
    double_opt_in(history, jurisdictions=["DE"], channels=[CHANNEL_EMAIL], purposes=["marketing"])

    def asks(context: EventContext | None = None, **consent: Any) -> bool:
        (fact, *_) = history.decide(GiveConsent(STREAM, c.ConsentGiven(**consent), context=context)).facts
        return fact.event.confirmation_required  # type: ignore[attr-defined, no-any-return]

    mail: dict[str, Any] = {"purposes": [DIRECT], "channels": [CHANNEL_EMAIL], "jurisdiction": "DE-BY"}
    assert asks(**mail)
    assert asks(**mail | {"channels": []})
    assert asks(**mail | {"purposes": ["service.care", SOCIAL]})
    assert not asks(**mail | {"jurisdiction": "FR"})
    assert not asks(**mail | {"jurisdiction": ""})
    assert not asks(**mail | {"channels": [CHANNEL_SMS]})
    assert not asks(**mail | {"purposes": ["service.care"]})
    assert not asks(IMPORT, **mail)


def test_a_consent_is_not_changed_by_the_policy_that_asks_for_more(history: History) -> None:
    double_opt_in(history)
    consent = given(DIRECT)

    history.decide(GiveConsent(STREAM, consent))

    assert not consent.confirmation_required


@pytest.mark.parametrize("age, possible", [(7 * DAY, True), (7 * DAY + 1, False)])
def test_a_token_can_be_used_for_seven_days_to_the_microsecond(history: History, age: int, possible: bool) -> None:
    give(history, DIRECT, at=NOON - age, confirmation_required=True)

    if possible:
        record_first(history, confirm())
        assert "GIVEN" == told(history, DIRECT)
    else:
        refusal = refused(history, confirm())
        assert reasons.ERROR_REASON_CONFIRMATION_NOT_POSSIBLE == refusal.reason
        assert {"cause": "EXPIRED"} == refusal.metadata


def test_the_days_of_a_token_are_the_policys(history: History) -> None:
    publish(history, ContactPolicy(confirmation_days=1))
    give(history, DIRECT, at=NOON - DAY - 1, confirmation_required=True)

    assert {"cause": "EXPIRED"} == refused(history, confirm()).metadata


def test_a_token_is_used_once(history: History) -> None:
    give(history, DIRECT, SOCIAL, confirmation_required=True)
    record_first(history, confirm(DIRECT))

    assert {"cause": "USED"} == refused(history, confirm(SOCIAL)).metadata
    give(history, SOCIAL, confirmation_required=True)
    assert {"cause": "USED"} == refused(history, confirm()).metadata


def test_of_two_recorded_confirmations_the_first_counts(history: History) -> None:
    fact = give(history, DIRECT, SOCIAL, confirmation_required=True)
    for purpose in (DIRECT, SOCIAL):
        event = c.ConsentConfirmed(given_position=fact.position, purposes=[purpose])
        history.add("consent.confirmed.v1", event, NOON)

    assert ("GIVEN", "REQUESTED") == (told(history, DIRECT), told(history, SOCIAL))


def test_an_unknown_token_and_a_foreign_purpose_confirm_nothing(history: History) -> None:
    give(history, DIRECT, confirmation_required=True)

    assert {"cause": "UNKNOWN"} == refused(history, confirm(token=b"x" * 32)).metadata
    assert {"cause": "PURPOSES"} == refused(history, confirm(DIRECT, SOCIAL)).metadata


def test_some_purposes_may_be_confirmed_and_the_others_never_count(history: History) -> None:
    notice = c.NoticeReference(notice_id="n", purposes=["service.care", DIRECT, SOCIAL])
    give(history, "marketing", "service", notice=notice, confirmation_required=True)
    fact = record_first(history, confirm("service"))

    assert "GIVEN" == told(history, "service") == told(history, "service.care")
    assert "REQUESTED" == told(history, "marketing") == told(history, DIRECT)
    assert not history.state().consents.grant_in_force(fact.event.given_position, NOON)  # type: ignore[attr-defined]


def test_a_no_between_the_yes_and_its_confirmation_stands(history: History) -> None:
    first = give(history, DIRECT, "service", at=NOON - 3, confirmation_required=True)
    no = history.record(WithdrawConsent(STREAM, c.ConsentWithdrawn(purposes=[DIRECT]), NOON - 5))

    refusal = refused(history, confirm())

    assert reasons.ERROR_REASON_CONSENT_WITHDRAWN_SINCE == refusal.reason
    assert {"purpose": DIRECT, "position": str(no.position)} == refusal.metadata
    decision = history.decide(confirm("service"))
    assert first.position == confirmed_position(decision.note)


def test_a_confirmation_makes_no_consent_later_than_it_was(history: History) -> None:
    give(history, DIRECT, at=NOON - 3, confirmation_required=True)
    record_first(history, confirm(at=NOON - 1))
    history.record(WithdrawConsent(STREAM, c.ConsentWithdrawn(purposes=[DIRECT]), NOON - 2))

    assert "WITHDRAWN" == told(history, DIRECT)


def test_an_unconfirmed_consent_lifts_no_denial(history: History) -> None:
    history.record(RefuseConsent(STREAM, c.ConsentRefused(purposes=[DIRECT]), NOON - 5))
    give(history, DIRECT, at=NOON - 3, confirmation_required=True)

    assert "REFUSED" == told(history, DIRECT)
    assert verdict(history, DIRECT).unconfirmed


def test_a_confirmation_names_a_position_and_so_is_decided_again_where_that_was_taken() -> None:
    assert ConfirmConsent.names_positions


# Renewed.


def test_a_renewal_is_live_by_its_own_name_and_needs_no_confirmation(history: History) -> None:
    double_opt_in(history)
    first = give(history, DIRECT, at=NOON - 2 * DAY)
    record_first(history, confirm(at=NOON - 2 * DAY))
    renewed = c.ConsentRenewed(consent=c.ConsentGiven(purposes=[DIRECT]), renews_position=first.position)
    fact = record_first(history, RenewConsent(STREAM, renewed, NOON - DAY))

    assert ("RENEWED", (fact.position,)) == (told(history, DIRECT), verdict(history, DIRECT).evidence)


def test_a_renewal_names_a_consent_that_ever_counted(history: History) -> None:
    first = give(history, DIRECT, confirmation_required=True)
    consent = c.ConsentGiven(purposes=[DIRECT], confirmation_required=True)  # Of no account in a renewal.

    for position in (first.position, first.position + 1):
        step = RenewConsent(STREAM, c.ConsentRenewed(consent=consent, renews_position=position))
        assert reasons.ERROR_REASON_CONSENT_UNKNOWN == refused(history, step).reason
    record_first(history, RenewConsent(STREAM, c.ConsentRenewed(consent=consent)))
    assert "RENEWED" == told(history, DIRECT)


def test_a_renewal_is_no_way_around_the_confirmation_of_a_new_consent(history: History) -> None:
    double_opt_in(history)
    first = give(history, DIRECT, "service", at=NOON - 3 * DAY, channels=[CHANNEL_EMAIL])
    record_first(history, confirm(DIRECT, at=NOON - 2 * DAY))

    def renew(*purposes: str, position: int = 0, channel: int = CHANNEL_EMAIL, **more: Any) -> RenewConsent:
        consent = c.ConsentGiven(purposes=purposes, channels=[channel] if channel else [])  # type: ignore[list-item]
        return RenewConsent(STREAM, c.ConsentRenewed(consent=consent, renews_position=position), **more)

    for unfounded in (
        renew(DIRECT),
        renew(DIRECT, "service", position=first.position),
        renew(SOCIAL, position=first.position),
        renew(DIRECT, position=first.position, channel=CHANNEL_SMS),
        renew(DIRECT, position=first.position, channel=0),
    ):
        assert reasons.ERROR_REASON_CONSENT_UNKNOWN == refused(history, unfounded).reason
    history.decide(renew(DIRECT, position=first.position))
    history.decide(renew(DIRECT, context=IMPORT))
    history.record(WithdrawConsent(STREAM, c.ConsentWithdrawn(purposes=["marketing"]), NOON - DAY))
    again = refused(history, renew(DIRECT, position=first.position))
    assert reasons.ERROR_REASON_CONSENT_WITHDRAWN_SINCE == again.reason


def test_a_renewal_is_refused_where_a_consent_would_be(history: History) -> None:
    history.record(WithdrawConsent(STREAM, c.ConsentWithdrawn(), NOON))
    step = RenewConsent(STREAM, c.ConsentRenewed(consent=c.ConsentGiven(purposes=[DIRECT])), NOON)

    assert reasons.ERROR_REASON_CONSENT_WITHDRAWN_SINCE == refused(history, step).reason


def test_a_purpose_left_out_of_a_confirmation_is_left_out_though_the_notice_lists_it(history: History) -> None:
    notice = c.NoticeReference(notice_id="n", purposes=[DIRECT, SOCIAL])
    give(history, "marketing", DIRECT, notice=notice, confirmation_required=True)
    record_first(history, confirm("marketing"))

    assert ("GIVEN", "GIVEN", "REQUESTED") == tuple(told(history, each) for each in ("marketing", SOCIAL, DIRECT))
