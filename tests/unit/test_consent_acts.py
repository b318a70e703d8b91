"""Acts of consent beside giving and taking back: asked, put off, confirmed, renewed, revoked, invalidated, honoured."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from ledger.domain.consent import (
    Cell,
    CellVerdict,
    GiveConsent,
    RenewConsent,
    WithdrawalEffect,
    WithdrawConsent,
    status,
)
from ledger.domain.consent_asking import DeferConsent, RequestConsent
from ledger.domain.consent_confirming import ConfirmConsent, confirmed_position
from ledger.domain.consent_ending import HonourWithdrawal, InvalidateConsent, RefuseConsent, RevokeConsent
from ledger.domain.consent_status import Grant, person_verdict
from ledger.domain.contact_policy import CONTACT_PUBLISHED
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.notice import ServeNotice
from ledger.domain.objection import LiftObjection, RaiseObjection
from ledger.domain.recipient_grant import RecordDisclosure
from ledger.domain.times import timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1.attribute_pb2 import DisclosureRecorded
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, ContactPolicyPublished, DoubleOptInRule
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.type.v1.event_context_pb2 import EventContext
from tests.relationship_history import DAY, NOON, STREAM, History

DIRECT = "marketing.direct"
SOCIAL = "marketing.social"
TOKEN = sha256(b"letmein").digest()
IMPORT = EventContext(historical_import=True)


@pytest.fixture
def history() -> History:
    return History()


def publish(history: History, policy: ContactPolicy) -> None:
    policy.version = 1
    event = ContactPolicyPublished(policy=policy)
    history.policies.evolve(Fact(1, 1, 0, 0, CONTACT_PUBLISHED, event, EventMetadata()))


def double_opt_in(history: History, **rule: object) -> None:
    publish(history, ContactPolicy(double_opt_in=[DoubleOptInRule(**rule)]))  # type: ignore[arg-type]


def given(*purposes: str, **more: object) -> c.ConsentGiven:
    return c.ConsentGiven(purposes=purposes, confirmation_sha256=TOKEN, **more)  # type: ignore[arg-type]


def give(history: History, *purposes: str, at: int | None = None, **more: object) -> Fact:
    return record_first(history, GiveConsent(STREAM, given(*purposes, **more), at))


def record_first(history: History, step: GiveConsent | RenewConsent | ConfirmConsent) -> Fact:
    """Decide a step, keep all its facts and return the first."""
    first, *_ = [history.add(new.topic, new.event, new.occur_time) for new in history.decide(step).facts]
    return first


def confirm(*purposes: str, at: int | None = None, token: bytes = TOKEN) -> ConfirmConsent:
    return ConfirmConsent(STREAM, token, purposes, occur_time=at)


def scope(*purposes: str, channels: tuple[int, ...] = ()) -> c.ConsentScope:
    return c.ConsentScope(purposes=purposes, channels=channels)  # type: ignore[arg-type]


def verdict(history: History, *cell: object, at: int | None = None) -> CellVerdict:
    return status(history.state().consents, Cell(*cell), history.now if at is None else at)  # type: ignore[arg-type]


def told(history: History, *cell: object, at: int | None = None) -> str:
    number = verdict(history, *cell, at=at).status
    return c.ConsentStatus.Name(number).removeprefix("CONSENT_STATUS_")  # type: ignore[arg-type]


def refused(history: History, step: object) -> Rejected:
    with pytest.raises(Rejected) as caught:
        history.decide(step)  # type: ignore[arg-type]
    return caught.value


# Asked.


def test_a_question_and_its_putting_off_show_until_something_is_answered(history: History) -> None:
    asked = history.record(RequestConsent(STREAM, c.ConsentRequested(scope=scope(DIRECT))))
    first = told(history, DIRECT, CHANNEL_EMAIL), verdict(history, DIRECT).evidence
    history.record(DeferConsent(STREAM, c.ConsentDeferred(scope=scope(DIRECT))))
    second = told(history, DIRECT)
    history.record(RequestConsent(STREAM, c.ConsentRequested(scope=scope(DIRECT))))
    third = told(history, DIRECT)
    history.record(RefuseConsent(STREAM, c.ConsentRefused(purposes=[DIRECT])))

    assert (("REQUESTED", (asked.position,)), "REQUEST_DEFERRED", "REQUEST_DEFERRED") == (first, second, third)
    assert "REFUSED" == told(history, DIRECT)


def test_a_question_asks_for_no_more_than_the_yes_would_cover(history: History) -> None:
    notice = c.NoticeReference(notice_id="n", purposes=[DIRECT])
    question = c.ConsentRequested(scope=scope("marketing", channels=(CHANNEL_EMAIL,)), notice=notice)
    history.record(RequestConsent(STREAM, question))

    assert "REQUESTED" == told(history, "marketing", CHANNEL_EMAIL) == told(history, DIRECT, CHANNEL_EMAIL)
    assert "UNKNOWN" == told(history, SOCIAL, CHANNEL_EMAIL) == told(history, "marketing") == told(history, DIRECT, 2)


def test_questions_name_cells_and_a_system_that_honours_is_no_act_of_the_customer(history: History) -> None:
    asked = history.record(RequestConsent(STREAM, c.ConsentRequested(scope=scope(DIRECT)), NOON - 3 * DAY))
    no = history.record(WithdrawConsent(STREAM, c.ConsentWithdrawn(purposes=[SOCIAL]), NOON - 2 * DAY))
    history.record(HonourWithdrawal(STREAM, c.WithdrawalHonoured(withdrawal_position=no.position, system="mail")))
    consents = history.state().consents

    assert (asked.occur_time, no.occur_time) == (consents.first_time, consents.last_time)
    assert {no.position: ["mail"]} == consents.honoured
    assert "REQUESTED" == told(history, DIRECT)


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


# Revoked, invalidated.


@pytest.mark.parametrize(
    "step, name",
    [
        (RevokeConsent(STREAM, c.ConsentRevoked(scope=scope("marketing"))), "REVOKED"),
        (InvalidateConsent(STREAM, c.ConsentInvalidated(scope=scope("marketing"))), "INVALIDATED"),
    ],
)
def test_what_others_end_is_ended_and_says_whether_anything_was_live(
    history: History, step: RevokeConsent | InvalidateConsent, name: str
) -> None:
    nothing = WithdrawalEffect.noted(history.decide(step).note)
    give(history, DIRECT, at=NOON - DAY)
    something = WithdrawalEffect.noted(history.decide(step).note)
    history.record(step)

    assert (WithdrawalEffect.NONE, WithdrawalEffect.ENDED) == (nothing, something)
    assert name == told(history, DIRECT)
    denied = verdict(history, DIRECT).denied
    assert denied is not None
    assert name in c.ConsentStatus.Name(denied.status)  # type: ignore[arg-type]


def test_a_withdrawal_of_what_was_never_confirmed_ends_nothing(history: History) -> None:
    give(history, DIRECT, SOCIAL, confirmation_required=True)
    withdrawal = WithdrawConsent(STREAM, c.ConsentWithdrawn(purposes=[DIRECT]))
    before = WithdrawalEffect.noted(history.decide(withdrawal).note)
    record_first(history, confirm(SOCIAL))
    other = WithdrawalEffect.noted(history.decide(withdrawal).note)
    social = WithdrawConsent(STREAM, c.ConsentWithdrawn(purposes=[SOCIAL]))

    assert WithdrawalEffect.NONE is before is other
    assert WithdrawalEffect.ENDED is WithdrawalEffect.noted(history.decide(social).note)


# Late withdrawals (consent.md 8, example 7).


def test_a_withdrawal_that_arrives_late_ends_what_was_given_after_it_and_is_not_known_before(history: History) -> None:
    first = give(history, DIRECT, at=NOON - 30 * DAY)
    late = history.record(WithdrawConsent(STREAM, c.ConsentWithdrawn(), NOON - 58 * DAY))

    assert "WITHDRAWN" == told(history, DIRECT)
    before = history.state(position=late.position - 1)
    assert c.CONSENT_STATUS_GIVEN == status(before.consents, Cell(DIRECT), NOON).status
    assert (first.position, None) == (
        status(before.consents, Cell(DIRECT), NOON).evidence[0],
        verdict(history, DIRECT).grant,
    )


# Objections.


def test_an_objection_stands_until_it_is_lifted_later_on_both_axes(history: History) -> None:
    raised = history.record(RaiseObjection(STREAM, c.ObjectionRaised(scope=scope("marketing")), NOON - DAY))
    cell = Cell(DIRECT, CHANNEL_EMAIL)

    def standing() -> tuple[int, ...]:
        return history.state().objections.against(cell)

    lift = c.ObjectionLifted(raised_position=raised.position)
    give(history, DIRECT)
    history.record(LiftObjection(STREAM, lift, NOON - DAY))  # Not later.
    assert (raised.position,) == standing()
    history.record(LiftObjection(STREAM, lift, NOON - DAY + 1))
    assert () == standing()


def test_an_objection_reaches_as_far_as_a_no_and_in_the_future_it_is_made_now(history: History) -> None:
    narrow = c.ObjectionRaised(scope=scope(channels=(CHANNEL_SMS,)))
    fact = history.record(RaiseObjection(STREAM, narrow, NOON + 900 * DAY))
    objections = history.state().objections

    assert NOON == fact.occur_time
    assert (fact.position,) == objections.against(Cell(DIRECT, CHANNEL_SMS)) == objections.against(Cell(DIRECT))
    assert () == objections.against(Cell(DIRECT, CHANNEL_EMAIL))


def test_only_an_objection_is_lifted_and_only_a_no_honoured(history: History) -> None:
    yes = give(history, DIRECT)
    lift = LiftObjection(STREAM, c.ObjectionLifted(raised_position=yes.position))
    honour = HonourWithdrawal(STREAM, c.WithdrawalHonoured(withdrawal_position=yes.position, system="mail"))

    assert reasons.ERROR_REASON_OBJECTION_UNKNOWN == refused(history, lift).reason
    assert reasons.ERROR_REASON_WITHDRAWAL_UNKNOWN == refused(history, honour).reason


# Notices.


def test_a_served_notice_is_named_as_it_was_served(history: History) -> None:
    text = c.NoticeReference(notice_id="privacy", version="2", sha256=TOKEN)
    served = history.record(ServeNotice(STREAM, c.NoticeServed(notice=text)))
    text.served_position = served.position

    history.decide(GiveConsent(STREAM, c.ConsentGiven(purposes=[DIRECT], notice=text)))
    for change in ({"notice_id": "other"}, {"version": "1"}, {"sha256": b"o" * 32}, {"served_position": 1}):
        other = c.NoticeReference()
        other.CopyFrom(text)
        other.MergeFrom(c.NoticeReference(**change))
        for step in (
            GiveConsent(STREAM, c.ConsentGiven(purposes=[DIRECT], notice=other)),
            RenewConsent(STREAM, c.ConsentRenewed(consent=c.ConsentGiven(purposes=[DIRECT], notice=other))),
            RequestConsent(STREAM, c.ConsentRequested(scope=scope(DIRECT), notice=other)),
            DeferConsent(STREAM, c.ConsentDeferred(scope=scope(DIRECT), notice=other)),
        ):
            assert reasons.ERROR_REASON_NOTICE_UNKNOWN == refused(history, step).reason
    history.decide(RefuseConsent(STREAM, c.ConsentRefused(notice=c.NoticeReference(notice_id="n", served_position=1))))


def test_a_consent_lists_no_purpose_that_the_notice_served_did_not_list(history: History) -> None:
    notice = c.NoticeReference(notice_id="privacy", sha256=TOKEN, purposes=["marketing", DIRECT])
    served = history.record(ServeNotice(STREAM, c.NoticeServed(notice=notice)))
    notice.served_position = served.position
    history.decide(GiveConsent(STREAM, c.ConsentGiven(purposes=["marketing"], notice=notice)))

    notice.purposes.append(SOCIAL)

    step = GiveConsent(STREAM, c.ConsentGiven(purposes=["marketing"], notice=notice))
    assert reasons.ERROR_REASON_NOTICE_UNKNOWN == refused(history, step).reason


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


# Persons.


def test_denials_of_all_ids_unite_and_grants_only_for_the_same_contact_point() -> None:
    own, other = History(), History()
    other.record(WithdrawConsent(STREAM, c.ConsentWithdrawn(purposes=[SOCIAL])))
    record_first(other, GiveConsent(STREAM, c.ConsentGiven(purposes=[DIRECT], contact_point_ids=["cp"])))
    record_first(other, GiveConsent(STREAM, c.ConsentGiven(purposes=["service"])))
    record_first(own, GiveConsent(STREAM, c.ConsentGiven(purposes=[SOCIAL])))

    def of_person(*cell: object) -> CellVerdict:
        acts = own.state().consents.acts, [other.state().consents.acts]
        return person_verdict(*acts, Cell(*cell), NOON)  # type: ignore[arg-type]

    assert c.CONSENT_STATUS_WITHDRAWN == of_person(SOCIAL).status
    assert c.CONSENT_STATUS_GIVEN == of_person(DIRECT, 0, "cp").status
    assert c.CONSENT_STATUS_UNKNOWN == of_person(DIRECT).status == of_person(DIRECT, 0, "other").status
    assert c.CONSENT_STATUS_UNKNOWN == of_person("service", 0, "cp").status


class _Limits:
    """Terms that end everything at one instant, or admit nobody."""

    def __init__(self, end: int, *, admit: bool = True) -> None:
        self._end = end
        self._admit = admit

    def end_of(self, grant: Grant, at: int, purpose: str = "") -> int:  # noqa: ARG002  # As the protocol has it.
        return min(grant.until, self._end)

    def admits(self, grant: Grant, at: int, purpose: str = "") -> bool:  # noqa: ARG002  # As the protocol has it.
        return self._admit


def test_terms_end_consents_by_clock_and_say_when(history: History) -> None:
    fact = give(history, DIRECT, at=NOON - DAY, validity=c.Validity(until_time=timestamp(NOON + 9)))
    acts = history.state().consents.acts

    def seen(end: int, *, admit: bool = True) -> CellVerdict:
        return person_verdict(acts, (), Cell(DIRECT), NOON, _Limits(end, admit=admit))

    assert (c.CONSENT_STATUS_GIVEN, NOON + 5, NOON + 5) == (
        seen(NOON + 5)[0],
        seen(NOON + 5).until,
        seen(NOON + 5).changes_at,
    )
    assert (NOON + 9, NOON + 9) == (seen(NOON + 99).until, seen(NOON + 99).changes_at)
    assert (c.CONSENT_STATUS_EXPIRED, (fact.position,), None) == (
        seen(NOON)[0],
        seen(NOON).expired,
        seen(NOON).changes_at,
    )
    assert c.CONSENT_STATUS_UNKNOWN == seen(NOON + 5, admit=False).status


def test_a_grant_of_the_parent_without_the_child_in_its_notice_is_told_as_unspecific(history: History) -> None:
    fact = give(history, "marketing", notice=c.NoticeReference(notice_id="n", purposes=[SOCIAL]))

    assert ((fact.position,), "UNKNOWN") == (verdict(history, DIRECT).unspecific, told(history, DIRECT))
    assert ((), "GIVEN") == (verdict(history, SOCIAL).unspecific, told(history, SOCIAL))
    assert () == verdict(history, "service").unspecific


def test_a_purpose_left_out_of_a_confirmation_is_left_out_though_the_notice_lists_it(history: History) -> None:
    notice = c.NoticeReference(notice_id="n", purposes=[DIRECT, SOCIAL])
    give(history, "marketing", DIRECT, notice=notice, confirmation_required=True)
    record_first(history, confirm("marketing"))

    assert ("GIVEN", "GIVEN", "REQUESTED") == tuple(told(history, each) for each in ("marketing", SOCIAL, DIRECT))
