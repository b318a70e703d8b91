"""Strength on histories drawn at random: sums are exact, bounded and monotone, and the clock crosses nothing unseen."""

from __future__ import annotations

import pytest

from ledger.measure import drift, reciprocity
from ledger.measure.measured import Measured
from ledger.measure.score import score_of
from ledger.measure.shares import shares
from ledger.measure.strength import CLAMP, COMPONENTS, changes_at, levels_of
from rapport.events.v1.relationship_policy_pb2 import AnnouncementRules, Penalties, RelationshipPolicy, StrengthRules
from tests.contact_histories import DAY
from tests.measured_histories import MeasuredDraw, acted, told

MILD = RelationshipPolicy(
    half_life_days=30,
    window_days=40,
    strength=StrengthRules(
        penalties=Penalties(
            withdrawal_ppm=20_000, spam_ppm=3_000, complaint_ppm=2_000, obstacle_ppm=5_000, promise_ppm=10_000,
            preference_ppm=2_000, trust_ppm=4_000,
        ),
        moderate_from_ppm=300_000,
        strong_from_ppm=500_000,
    ),
    announcements=AnnouncementRules(band_gap_ppm=10_000, strength_step_ppm=40_000),
)  # fmt: skip
"""Penalties that leave something to measure, and levels near each other."""


def drawn(seed: int, events: int = 50, under: RelationshipPolicy | None = None) -> tuple[MeasuredDraw, Measured]:
    draw = MeasuredDraw(seed)
    at = draw.fill(events)
    return draw, draw.history.measured(at, under=under)


@pytest.mark.parametrize("seed", range(40))
def test_lines_sum_to_the_score_and_stay_within_their_weights(seed: int) -> None:
    _, m = drawn(seed, under=MILD if seed % 2 else None)

    strength = m.strength

    assert strength.score == sum(line.ppm for line in strength.contributions)
    assert 0 <= strength.score <= 1_000_000
    assert strength.score == score_of(m)
    for line in strength.contributions[: len(COMPONENTS)]:
        assert 0 <= line.ppm <= line.weight
    assert strength.coverage == sum(
        line.weight for line in strength.contributions[: len(COMPONENTS)] if line.ratio.unknown is None
    )


@pytest.mark.parametrize("seed", range(30))
def test_shares_sum_to_their_lines(seed: int) -> None:
    _, m = drawn(seed, under=MILD if seed % 2 else None)

    explained = list(shares(m))

    assert [line for line, _ in explained] == list(m.strength.contributions)
    for line, parts in explained:
        positions = [part.position for part in parts]
        assert sorted(set(positions)) == positions
        assert line.component == CLAMP or line.ppm == sum(part.ppm for part in parts)
        assert all(part.ppm * line.ppm >= 0 for part in parts)


@pytest.mark.parametrize("seed", range(20))
def test_penalties_at_once_are_the_sum_of_their_lines_on_any_day(seed: int) -> None:
    _, m = drawn(seed)

    for days in (0, 1, 45, 400, 1_900):
        lines = Measured(m.record, m.outlook, m.at + days * DAY).penalties
        leap = drift.leaps_at(m)
        if leap is None or m.at + days * DAY < leap:
            assert sum(line.ppm for line in lines) == m.injuries.on(m.at // DAY + days)


@pytest.mark.parametrize("seed", range(20))
def test_an_act_of_the_customer_never_lowers_involvement_and_a_day_adds_little(seed: int) -> None:
    draw, before = drawn(seed)
    for _ in range(5):
        draw.history.add(acted(draw.random.choice(["VISIT", "PURCHASE", "VIEW"])), before.at)

    after = draw.history.measured(before.at)

    lines = [each.strength.contributions[0].ppm for each in (before, after)]
    assert lines[0] <= lines[1] <= lines[0] + 138_462


@pytest.mark.parametrize("seed", range(20))
def test_an_outbound_that_answers_nothing_never_raises_the_score(seed: int) -> None:
    draw, before = drawn(seed)
    draw.history.add(told(), before.at)

    assert draw.history.measured(before.at).strength.score <= before.strength.score


@pytest.mark.parametrize("seed", range(30))
def test_no_crossing_is_missed_between_looks(seed: int) -> None:
    draw, now = drawn(seed, 40, under=MILD)
    rules, record, outlook = now.outlook.rules, now.record, now.outlook
    announced = now.strength.score + draw.random.randrange(-30_000, 30_000)
    levels = levels_of(rules, announced)
    sides = [now.strength.score >= level for level in levels]

    due = changes_at(now, announced)

    end = now.at + 400 * DAY if due is None else due
    instants = [*range((now.at // DAY + 1) * DAY, end, DAY), *_moves_before(now, end)]
    for instant in instants:
        score = score_of(Measured(record, outlook, instant))
        assert sides == [score >= level for level in levels], f"a level was crossed at {instant}, not at {due}"


def _moves_before(m: Measured, end: int) -> list[int]:
    """Return the instants before another at which something leaves the window or is answered too late."""
    talk, rules = m.record.talk, m.outlook.rules
    leaving = [time + rules.window for each in (talk.inbound, talk.outbound, talk.requests) for time in each.times]
    late = [time + rules.answer_within for time in talk.requests.times]
    return [instant for instant in (*leaving, *late) if m.at < instant < end]


@pytest.mark.parametrize("seed", range(10))
def test_looks_are_few_when_no_level_is_near(seed: int) -> None:
    _, m = drawn(seed, 40)
    far = (m.strength.score + 400_000, m.strength.score - 400_000)

    due = drift.crosses_at(m, m.strength.score, far)

    leap = drift.leaps_at(m)
    assert due is None or due == leap or due >= m.at + 14 * DAY


@pytest.mark.parametrize("seed", range(10))
def test_whoever_looks_only_when_it_is_due_is_not_there_every_midnight(seed: int) -> None:
    _, m = drawn(seed, 30, under=MILD)
    looks, now = 0, m
    while now.strength.changes_at is not None and now.at < m.at + 365 * DAY:
        looks, now = looks + 1, Measured(m.record, m.outlook, now.strength.changes_at)

    assert looks < 60


@pytest.mark.parametrize("seed", range(20))
def test_sums_of_exchanges_agree_with_the_legs_one_by_one(seed: int) -> None:
    _, m = drawn(seed)
    at, table = m.at // DAY, m.outlook.rules.decay
    got = gave = 0
    for exchange in m.record.book.exchanges.values():
        if exchange.reversal_position:
            continue
        weight = table[at - exchange.time // DAY]
        for leg in exchange.legs:
            value = leg.units * 10_000_000 * weight
            gave, got = (gave + value, got) if leg.giver == 1 else (gave, got + value)

    assert (got, gave) == reciprocity.weighed(m)[:2] or m.outlook.opinion is None
