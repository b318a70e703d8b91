"""When the clock alone may carry the strength over a level (settled.md 18)."""

from __future__ import annotations

import pytest

from ledger.measure import drift
from ledger.measure.measured import Measured
from ledger.measure.score import score_of
from rapport.events.v1 import identity_pb2
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, StrengthRules, StrengthWeights
from tests.contact_histories import DAY, HOUR, did, given
from tests.measured_histories import START, MeasuredHistory, acted, promised, told, traded

NOW = START + 10 * DAY + 6 * HOUR


def crossing(m: Measured, level: int) -> tuple[int | None, int]:
    """Return when the score crosses a level, found by looking when it is due, and how many looks that took."""
    score, looks, now = score_of(m), 0, m
    while True:
        due = drift.crosses_at(now, score_of(now), [level])
        if due is None:
            return None, looks
        looks, now = looks + 1, Measured(m.record, m.outlook, due)
        if (score_of(now) >= level) != (score >= level):
            return due, looks


def by_day(m: Measured, level: int, days: int = 300) -> int | None:
    """Return the first midnight of some days at which the score is on the other side of a level."""
    above = score_of(m) >= level
    for day in range(m.at // DAY + 1, m.at // DAY + days):
        if (score_of(Measured(m.record, m.outlook, day * DAY)) >= level) != above:
            return day * DAY
    return None


def test_a_score_that_nothing_moves_is_never_looked_at() -> None:
    history = MeasuredHistory()
    history.add(given("marketing"), START)

    measured = history.measured(NOW)

    assert 100_000 == measured.strength.score
    assert measured.strength.changes_at is None


def test_a_fading_penalty_is_met_on_the_day_on_which_it_lets_the_score_rise_over_a_level() -> None:
    history = MeasuredHistory()
    history.add(given("marketing"), START)
    history.add(did("MARKED_SPAM"), START)

    found, looks = crossing(history.measured(NOW), 60_000)

    assert found == by_day(history.measured(NOW), 60_000)
    assert found is not None
    assert 0 < looks < 12


def test_fading_involvement_is_met_on_the_day_on_which_it_falls_below_a_level() -> None:
    history = MeasuredHistory()
    for day in range(8):
        history.add(acted("EVENT_ATTENDED"), START + day * DAY)

    found, looks = crossing(history.measured(NOW), 150_000)

    assert found == by_day(history.measured(NOW), 150_000)
    assert found is not None
    assert 0 < looks < 12


def test_a_level_far_away_is_looked_for_late() -> None:
    history = MeasuredHistory()
    history.add(acted("PURCHASE"), START)
    measured = history.measured(NOW)

    due = drift.crosses_at(measured, score_of(measured), [10_000])

    assert due is not None
    assert due > NOW + 60 * DAY


def test_what_leaves_the_window_is_met_at_its_instant() -> None:
    history = MeasuredHistory()
    for second in range(3):
        history.add(told(), START + 1_000_000 * second)
    history.add(did("GREETING"), START + 2 * HOUR)
    measured = history.measured(NOW)

    assert 25_000 == measured.strength.score
    assert (START + 180 * DAY, 1) == (crossing(measured, 30_000)[0], 1)


def test_a_request_that_nobody_answers_is_met_when_it_is_too_late() -> None:
    history = MeasuredHistory()
    asked = history.add(did("GREETING", needs_reply=True), NOW - DAY)
    history.add(told(in_reply_to=asked), NOW - DAY)
    history.add(did("GREETING", needs_reply=True), NOW)

    measured = history.measured(NOW)

    assert 150_000 == measured.strength.score
    assert NOW + 2 * DAY == crossing(measured, 120_000)[0]


def test_a_request_that_nobody_answered_is_forgotten_when_it_leaves_the_window() -> None:
    history = MeasuredHistory()
    history.add(did("GREETING", needs_reply=True), START)
    asked = history.add(did("GREETING", needs_reply=True), START + 5 * DAY)
    history.add(told(in_reply_to=asked), START + 5 * DAY)
    measured = history.measured(NOW)

    assert 75_000 + 37_500 == measured.strength.score
    assert START + 180 * DAY == crossing(measured, 140_000)[0]


@pytest.mark.parametrize("end", [40, 200])
def test_the_end_of_a_consent_and_the_term_of_a_promise_are_leaps(end: int) -> None:
    history = MeasuredHistory()
    history.add(given("marketing", NOW + end * DAY), START)
    history.add(promised("p", days=100), START)
    history.add(identity_pb2.PromiseTriggered(promise_id="p"), NOW)
    measured = history.measured(NOW)

    assert NOW + min(end, 100) * DAY == drift.leaps_at(measured)
    assert NOW + min(end, 100) * DAY == measured.strength.changes_at


@pytest.mark.parametrize("half_life", [1, 7, 90])
@pytest.mark.parametrize("old", [(0, 9_000), (9_000, 0)])
def test_floors_of_old_decays_move_a_ratio_and_no_crossing_is_missed(half_life: int, old: tuple[int, int]) -> None:
    history = MeasuredHistory()
    history.value_euros()
    history.add(traded("old", paid=old[0], got=old[1]), START)
    history.add(traded("new", paid=700, got=300), START + 9 * DAY)
    only = StrengthWeights(reciprocity_ppm=1_000_000)
    policy = RelationshipPolicy(half_life_days=half_life, strength=StrengthRules(weights=only))
    measured = history.measured(NOW, under=policy)
    score = score_of(measured)

    for level in (score - 50_000, score - 500, score + 500, score + 50_000):
        found, first = crossing(measured, level)[0], by_day(measured, level)
        assert found == first or (first is None and found is not None and found > NOW + 299 * DAY)
