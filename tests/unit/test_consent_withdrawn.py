"""What refusing and withdrawing a consent does, what it says it ended, and a yes beside a no (consent.md 1, 4)."""

from __future__ import annotations

import pytest

from ledger.domain.consent import Cell, CellVerdict, WithdrawalEffect, WithdrawConsent, cells
from ledger.domain.errors import Rejected
from ledger.domain.times import timestamp
from rapport.consent.v1 import consent_service_pb2
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.consent_pb2 import ConsentWithdrawn, Validity
from tests.consent_verdicts import (
    DIRECT,
    EMAIL,
    IMPORT,
    SMS,
    SOCIAL,
    effect,
    give,
    history,
    is_live,
    refuse,
    verdict,
    withdraw,
)
from tests.relationship_history import DAY, NOON, STREAM, History

__all__ = ["history"]
"""The fixture of all tests of consents; a test has it by its name."""


# Saying no.


def test_a_withdrawal_of_nothing_in_particular_covers_everything(history: History) -> None:
    history.record(give(DIRECT, at=NOON - DAY, channels=(EMAIL,), points=("cp-1",), brands=("north",)))
    given = history.record(give("service.care", at=NOON - DAY))
    history.record(withdraw())

    for cell in cells(history.state().consents):
        assert c.CONSENT_STATUS_WITHDRAWN == verdict(history, cell).status
    assert given.position not in verdict(history, Cell("service.care")).evidence


def test_a_no_at_a_parent_covers_its_children_and_not_the_other_way(history: History) -> None:
    history.record(give("marketing", DIRECT, "marketing.advertising.targeted", at=NOON - DAY))
    history.record(withdraw(DIRECT))

    assert is_live(history, "marketing")
    assert not is_live(history, DIRECT)
    history.record(refuse("marketing.advertising"))
    assert not is_live(history, "marketing.advertising.targeted")
    assert is_live(history, "marketing")


def test_an_open_part_of_a_request_meets_every_narrowed_no(history: History) -> None:
    history.record(give(DIRECT, at=NOON - DAY))
    history.record(withdraw(DIRECT, channels=(EMAIL,), points=("cp-1",), brands=("north",)))

    assert not is_live(history, DIRECT, EMAIL, "cp-1", "north")
    assert not is_live(history, DIRECT, EMAIL, "", "")
    assert not is_live(history, DIRECT, i.CHANNEL_UNSPECIFIED, "cp-1", "north")
    assert is_live(history, DIRECT, SMS)
    assert is_live(history, DIRECT, EMAIL, "cp-2")
    assert is_live(history, DIRECT, EMAIL, "cp-1", "south")


def test_of_two_denials_the_one_recorded_last_names_the_status(history: History) -> None:
    first = history.record(withdraw(DIRECT, at=NOON))
    second = history.record(refuse(DIRECT, at=NOON - DAY))

    expected = CellVerdict(c.CONSENT_STATUS_REFUSED, NOON - DAY, evidence=(first.position, second.position))
    assert expected[:5] == verdict(history, Cell(DIRECT))[:5]


def test_a_withdrawal_of_the_future_counts_from_now(history: History) -> None:
    fact = history.record(withdraw(at=NOON + 365 * DAY))

    assert NOON == fact.occur_time
    (new,) = history.decide(withdraw(at=NOON + 365 * DAY)).facts
    assert (NOON, False, True) == (new.occur_time, new.defaulted, new.clamped)
    (new,) = history.decide(withdraw()).facts
    assert (NOON, True, False) == (new.occur_time, new.defaulted, new.clamped)


def test_a_withdrawal_takes_any_scope(history: History) -> None:
    history.record(give(DIRECT, at=NOON - DAY))
    event = ConsentWithdrawn(purposes=["No such purpose!", ""], contact_point_ids=[""], brands=["?"])

    history.record(WithdrawConsent(STREAM, event))

    # An empty value among others means any; "?" is no brand of anything, yet narrows.
    assert is_live(history, DIRECT, EMAIL, "cp-1", "north")
    assert not is_live(history, DIRECT, EMAIL, "cp-1", "?")


# The effect of a withdrawal.


def test_a_withdrawal_says_whether_it_ended_anything(history: History) -> None:
    assert WithdrawalEffect.NONE is effect(history, withdraw())
    history.record(give(DIRECT, at=NOON - DAY))
    assert WithdrawalEffect.ENDED is effect(history, withdraw())
    assert WithdrawalEffect.NONE is effect(history, withdraw("service"))
    history.record(withdraw(at=NOON - DAY))
    assert WithdrawalEffect.NONE is effect(history, withdraw())
    history.record(give(DIRECT, at=NOON))
    assert WithdrawalEffect.ENDED is effect(history, withdraw())


def test_an_older_yes_of_the_same_scope_that_still_holds_is_ended(history: History) -> None:
    history.record(give(DIRECT, at=NOON - 2 * DAY))
    history.record(give(DIRECT, at=NOON - DAY, validity=Validity(until_time=timestamp(NOON))))

    assert WithdrawalEffect.ENDED is effect(history, withdraw())


def test_denials_that_together_leave_nothing_live_leave_nothing_to_end(history: History) -> None:
    history.record(give(DIRECT, at=NOON - DAY, channels=(EMAIL, SMS)))
    history.record(withdraw(channels=(EMAIL,)))
    assert WithdrawalEffect.ENDED is effect(history, withdraw())
    history.record(withdraw(channels=(SMS,)))
    assert WithdrawalEffect.NONE is effect(history, withdraw())


def test_what_nobody_named_can_end_too(history: History) -> None:
    history.record(give(DIRECT, at=NOON - DAY))
    history.record(withdraw(channels=(EMAIL,)))

    # No cell that anybody named is live, and yet text messages were allowed.
    assert not any(is_live(history, *cell) for cell in cells(history.state().consents))
    assert WithdrawalEffect.NONE is effect(history, withdraw(channels=(EMAIL,)))
    assert WithdrawalEffect.ENDED is effect(history, withdraw())


def test_an_expired_consent_and_one_to_come_are_not_ended(history: History) -> None:
    history.record(give(DIRECT, at=NOON - DAY, validity=Validity(until_time=timestamp(NOON))))
    history.record(give(DIRECT, at=NOON - DAY, valid_from=NOON + 1))

    assert WithdrawalEffect.NONE is effect(history, withdraw())


def test_a_backdated_withdrawal_ends_what_was_recorded_before_it(history: History) -> None:
    history.record(give(DIRECT, at=NOON - DAY))

    late = withdraw(at=NOON - 30 * DAY)

    assert WithdrawalEffect.ENDED is effect(history, late)
    history.record(late)
    assert not is_live(history, DIRECT)


def test_a_consent_recorded_by_a_clock_that_is_ahead_is_ended_too(history: History) -> None:
    history.record(give(DIRECT, at=NOON))
    history.now = NOON - 1

    assert WithdrawalEffect.ENDED is effect(history, withdraw())


def test_effects_have_the_numbers_of_the_service() -> None:
    prefix = "WITHDRAWAL_EFFECT_"
    published = dict(consent_service_pb2.WithdrawalEffect.items())

    assert {prefix + value.name: int(value) for value in WithdrawalEffect} | {prefix + "UNSPECIFIED": 0} == published
    assert all(WithdrawalEffect.noted(value.note()) is value and 1 == len(value.note()) for value in WithdrawalEffect)


# A yes beside a no.


@pytest.mark.parametrize("earlier_us", [0, 1, DAY])
def test_a_yes_dated_at_or_before_a_no_is_refused(history: History, earlier_us: int) -> None:
    denial = history.record(withdraw("marketing", at=NOON - DAY))

    with pytest.raises(Rejected) as refusal:
        history.decide(give(DIRECT, at=NOON - DAY - earlier_us))

    assert reasons.ERROR_REASON_CONSENT_WITHDRAWN_SINCE == refusal.value.reason
    assert {"purpose": DIRECT, "position": str(denial.position)} == refusal.value.metadata


def test_a_yes_after_a_no_counts(history: History) -> None:
    history.record(refuse(DIRECT, at=NOON - DAY))
    history.record(give(DIRECT, at=NOON - DAY + 1))

    assert is_live(history, DIRECT)


def test_a_yes_is_refused_whole_for_any_of_its_cells(history: History) -> None:
    history.record(withdraw(SOCIAL, channels=(SMS,)))

    for step in (
        give("service.care", SOCIAL, at=NOON - DAY),
        give(SOCIAL, at=NOON - DAY, channels=(EMAIL, SMS)),
        give("marketing", at=NOON - DAY, listed=(SOCIAL,)),
    ):
        with pytest.raises(Rejected) as refusal:
            history.decide(step)
        assert SOCIAL == refusal.value.metadata["purpose"]
    history.record(give("marketing", "service.care", at=NOON - DAY))
    history.record(give(SOCIAL, at=NOON - DAY, channels=(EMAIL,)))


def test_the_no_named_is_the_latest(history: History) -> None:
    history.record(refuse(DIRECT, at=NOON - 2 * DAY))
    latest = history.record(withdraw("marketing", at=NOON - DAY))
    history.record(refuse(at=NOON - 3 * DAY))

    with pytest.raises(Rejected) as refusal:
        history.decide(give(DIRECT, at=NOON - 5 * DAY))

    assert str(latest.position) == refusal.value.metadata["position"]


def test_an_imported_yes_is_recorded_and_never_steps_over_a_no(history: History) -> None:
    history.record(withdraw(at=NOON - DAY))
    history.record(give(DIRECT, at=NOON - DAY, context=IMPORT))
    history.record(give(DIRECT, at=NOON - 2 * DAY, context=IMPORT))

    assert c.CONSENT_STATUS_WITHDRAWN == verdict(history, Cell(DIRECT)).status


def test_a_no_that_arrives_late_ends_a_yes_of_a_later_time(history: History) -> None:
    history.record(give(DIRECT, at=NOON))
    history.record(withdraw(DIRECT, at=NOON - 30 * DAY))

    assert not is_live(history, DIRECT)
    history.record(give(DIRECT, at=NOON))
    assert is_live(history, DIRECT)
