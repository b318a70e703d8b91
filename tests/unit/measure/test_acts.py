"""What is kept of acts: columns by time, counts by day, memberships, whatever comes late or is undone."""

from __future__ import annotations

import pytest

from ledger.measure.act_shapes import code_of, is_partial, kind_of
from rapport.events.v1 import interaction_pb2 as i
from tests.contact_histories import DAY, HOUR, did
from tests.measured_histories import START, MeasuredHistory, acted

TODAY = START // DAY
PURCHASE = code_of(i.INTERACTION_KIND_PURCHASE, partial=False)
VIEW = code_of(i.INTERACTION_KIND_VIEW, partial=False)
HALF_A_VIEW = code_of(i.INTERACTION_KIND_VIEW, partial=True)


def retract(position: int) -> i.InteractionRetracted:
    return i.InteractionRetracted(original_position=position)


def test_a_code_is_a_kind_and_whether_attention_was_partial() -> None:
    code = code_of(i.INTERACTION_KIND_REFERRAL, partial=True)

    assert (i.INTERACTION_KIND_REFERRAL, True) == (kind_of(code), is_partial(code))
    assert not is_partial(code_of(i.INTERACTION_KIND_REFERRAL, partial=False))


@pytest.mark.parametrize(
    "attention, code",
    [(i.ATTENTION_UNSPECIFIED, VIEW), (i.ATTENTION_FULL, VIEW), (i.ATTENTION_PARTIAL, HALF_A_VIEW)],
)
def test_attention_that_is_not_said_is_full(attention: i.Attention.ValueType, code: int) -> None:
    history = MeasuredHistory()
    history.add(acted("VIEW", attention=attention), START)

    assert {TODAY: {code: 1}} == history.record().acts.days


def test_acts_are_counted_on_their_day_in_whatever_order_they_come() -> None:
    history = MeasuredHistory()
    for kind, at in (
        ("VIEW", 2 * DAY),
        ("PURCHASE", 0),
        ("VIEW", 2 * DAY - 1),
        ("VIEW", 2 * DAY + 5),
        ("VIEW", 9 * DAY),
    ):
        history.add(acted(kind), START + at, recorded=START + 9 * DAY)

    acts = history.record().acts

    assert {TODAY: {PURCHASE: 1}, TODAY + 1: {VIEW: 1}, TODAY + 2: {VIEW: 2}, TODAY + 9: {VIEW: 1}} == acts.days
    assert [TODAY, TODAY + 1, TODAY + 2, TODAY + 9] == acts.day_numbers
    assert [2, 3, 1, 4, 5] == list(acts.positions)
    assert range(2, 4) == acts.on_day(TODAY + 2)
    assert [START + 2 * DAY, START + 2 * DAY + 5, START + 9 * DAY] == list(acts.since(START + 2 * DAY))


def test_a_day_that_was_emptied_is_gone_and_may_be_opened_again() -> None:
    history = MeasuredHistory()
    history.add(acted("VIEW"), START)
    history.add(retract(1), START + HOUR)
    emptied = history.record().acts
    history.add(acted("PURCHASE"), START + 2 * HOUR)

    assert ({}, []) == (emptied.days, emptied.day_numbers)
    assert {TODAY: {PURCHASE: 1}} == history.record().acts.days


def test_an_act_after_one_that_was_corrected_into_the_future_of_the_others_is_in_its_place() -> None:
    history = MeasuredHistory()
    history.add(acted("VIEW"), START)
    history.add(i.InteractionCorrected(original_position=1, replacement=acted("PURCHASE")), START + 5 * DAY)
    history.add(acted("VIEW"), START + 3 * DAY, recorded=START + 6 * DAY)
    history.add(acted("VIEW"), START + 5 * DAY, recorded=START + 6 * DAY)

    acts = history.record().acts

    assert [(3, VIEW), (1, PURCHASE), (4, VIEW)] == list(zip(acts.positions, acts.codes, strict=True))
    assert {TODAY + 3: {VIEW: 1}, TODAY + 5: {PURCHASE: 1, VIEW: 1}} == acts.days


def test_what_names_no_interaction_or_a_retracted_one_corrects_nothing() -> None:
    history = MeasuredHistory()
    history.add(acted("VIEW"), START)
    history.add(retract(1), START)
    for position in (1, 2, 99):
        history.add(i.InteractionCorrected(original_position=position, replacement=acted("PURCHASE")), START)

    assert not history.record().acts.days


def test_a_correction_may_bring_into_view_what_was_said_to_happen_later() -> None:
    history = MeasuredHistory()
    history.add(acted("VIEW"), START + 9)
    history.add(i.InteractionCorrected(original_position=1, replacement=acted("PURCHASE")), START, recorded=START + 9)

    assert {TODAY: {PURCHASE: 1}} == history.record(until=START).acts.days
    assert not history.record(until=START, position=1).acts.days


def test_an_outbound_is_no_act_of_the_customer_even_if_they_are_said_to_have_begun_it() -> None:
    history = MeasuredHistory()
    history.add(did("CALL", direction=i.DIRECTION_OUTBOUND), START)
    history.add(did("JOIN", direction=i.DIRECTION_OUTBOUND), START)

    acts = history.record().acts

    assert not acts.days
    assert not acts.memberships.joined


@pytest.mark.parametrize("first, second, live", [("JOIN", "LEAVE", False), ("LEAVE", "JOIN", True)])
def test_of_a_join_and_a_leave_at_one_instant_the_one_recorded_later_holds(
    first: str, second: str, *, live: bool
) -> None:
    history = MeasuredHistory()
    for kind in (first, second):
        history.add(acted(kind, programme="club"), START)

    assert live is ("club" in history.record().acts.memberships.joined)


def test_a_retracted_leave_was_none_and_the_membership_goes_on_from_its_first_join() -> None:
    history = MeasuredHistory()
    for hours, kind in enumerate(("JOIN", "LEAVE", "JOIN")):
        history.add(acted(kind, programme="club"), START + hours * HOUR)
    before = history.record().acts.memberships.earliest()
    history.add(retract(2), START + DAY)

    assert (3, 1) == (before, history.record().acts.memberships.earliest())
