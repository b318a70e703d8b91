"""What followed the solicitations of each tactic (relationship.md 10)."""

from __future__ import annotations

from ledger.domain.amounts import half_even
from ledger.measure.measured import Measured
from ledger.measure.results import TacticEffect
from ledger.measure.tactics import CHANGES_MAX, LATER, with_strength_changes
from rapport.events.v1 import interaction_pb2 as i
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NOTHING_MATURED
from tests.contact_histories import DAY, did, moment, sent
from tests.measured_histories import MeasuredHistory, acted, told

T = moment("2026-01-05T12:00Z")
A = 14 * DAY
CARD, DISCOUNT, CHAT = i.TACTIC_BIRTHDAY_CARD, i.TACTIC_DISCOUNT, i.TACTIC_LIVE_CHAT


def effects(made: MeasuredHistory, at: int) -> dict[int, TacticEffect]:
    return {effect.tactic: effect for effect in made.measured(at).tactics}


def changes(made: MeasuredHistory, at: int) -> dict[int, int | None]:
    facts = [fact for name, fact in made.facts if name.endswith("/c")]
    return {effect.tactic: effect.mean_strength_change for effect in with_strength_changes(made.measured(at), facts)}


def score(made: MeasuredHistory, at: int) -> int:
    record = made.record(until=at)
    return Measured(record, made.measured(T + 900 * DAY).outlook, at).strength.score


def test_birthday_cards_without_reply_have_effect_0() -> None:
    made = MeasuredHistory()
    for number in range(3):
        made.add(sent(kind=i.INTERACTION_KIND_GREETING, tactic=CARD), T + number * 2 * A)

    assert (3, 0, 0) == (effects(made, T + 9 * A)[CARD].matured, *_effect(made, CARD))


def _effect(made: MeasuredHistory, tactic: int) -> tuple[int, int]:
    found = effects(made, T + 99 * A)[tactic]
    return found.followed, found.effect.ppm


def test_the_effect_is_the_share_of_matured_ones_that_an_act_without_incentive_followed() -> None:
    made = MeasuredHistory()
    for number, incentivised in enumerate([False, True, None, None]):
        made.add(sent(tactic=DISCOUNT), T + number * 2 * A)
        if incentivised is not None:
            made.add(did("PURCHASE", incentivised=incentivised), T + number * 2 * A + DAY)
    made.add(sent(), T + 8 * A)
    made.add(sent(tactic=CARD), T + 8 * A)
    made.add(acted("VISIT"), T + 9 * A - 1)

    assert {DISCOUNT, CARD} == set(effects(made, T + 9 * A))
    assert (1, 250_000) == _effect(made, DISCOUNT)
    assert (1, 1_000_000) == _effect(made, CARD)


def test_what_is_not_matured_tells_nothing() -> None:
    made = MeasuredHistory()
    made.add(sent(tactic=CHAT), T)
    made.add(did("CHAT_SESSION"), T + DAY)

    found = effects(made, T + A - 1)[CHAT]

    assert (0, 0, UNKNOWN_REASON_NOTHING_MATURED) == (found.matured, found.followed, found.effect.unknown)
    assert (1, 1_000_000) == _effect(made, CHAT)


def test_the_change_of_the_strength_is_of_the_thirty_days_after_of_those_as_old_as_that() -> None:
    made = MeasuredHistory()
    made.add(told(tactic=CARD), T)
    made.add(did("PURCHASE"), T + DAY)
    made.add(told(tactic=DISCOUNT), T + 10 * DAY)
    made.add(did("QUESTION"), T + 11 * DAY)
    made.add(told(tactic=CARD), T + 20 * DAY)

    first, other, second = (
        score(made, T + days * DAY + LATER) - score(made, T + days * DAY) for days in (0, 10, 20)
    )  # fmt: skip

    assert 0 < first != second
    assert {CARD: None, DISCOUNT: None} == changes(made, T + LATER - 1)
    assert {CARD: first, DISCOUNT: None} == changes(made, T + LATER)
    assert {CARD: first, DISCOUNT: other} == changes(made, T + 20 * DAY + LATER - 1)
    assert {CARD: half_even(first + second, 2), DISCOUNT: other} == changes(made, T + 20 * DAY + LATER)


def test_what_came_late_is_in_its_place_in_the_views_of_the_past() -> None:
    made = MeasuredHistory()
    made.add(told(tactic=CARD), T)
    purchase = made.add(did("PURCHASE"), T + DAY)
    made.add(acted("VISIT"), T + LATER + DAY)
    made.add(did("QUESTION"), T - DAY, recorded=T + LATER + DAY)
    expected = score(made, T + LATER) - score(made, T)
    assert {CARD: expected} == changes(made, T + LATER + DAY)

    made.add(i.InteractionRetracted(original_position=purchase), T + LATER + DAY)
    again = score(made, T + LATER) - score(made, T)
    assert {CARD: again} == changes(made, T + LATER + DAY)
    assert again != expected


def test_only_the_latest_are_compared() -> None:
    made = MeasuredHistory()
    made.add(told(tactic=CHAT), T)
    for number in range(CHANGES_MAX):
        made.add(told(tactic=CARD), T + DAY + number)

    found = changes(made, T + DAY + LATER + CHANGES_MAX)

    assert (None, True) == (found[CHAT], found[CARD] is not None)
