"""Acts of consent beside giving and taking back: asked, put off, ended by others, objected, served; and of a person."""

from __future__ import annotations

import pytest

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
from ledger.domain.consent_ending import HonourWithdrawal, InvalidateConsent, RefuseConsent, RevokeConsent
from ledger.domain.consent_status import Grant, person_verdict
from ledger.domain.notice import ServeNotice
from ledger.domain.objection import LiftObjection, RaiseObjection
from ledger.domain.times import timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS
from tests.consent_acts import (
    DIRECT,
    SOCIAL,
    TOKEN,
    confirm,
    give,
    history,
    record_first,
    refused,
    scope,
    told,
    verdict,
)
from tests.relationship_history import DAY, NOON, STREAM, History

__all__ = ["history"]
"""The fixture of all tests of acts of consent; a test has it by its name."""


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
