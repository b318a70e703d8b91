import pytest

from ledger.change.levels import Levels
from ledger.change.strengthening import band_of, deltas, quiet
from ledger.domain.policy import PolicyState
from ledger.measure.outlook import outlook_of
from rapport.events.v1 import interaction_pb2 as i
from rapport.type.v1 import levels_pb2
from tests.changed_histories import ChangedHistory, at, event, levels_of, times
from tests.contact_histories import DAY, did
from tests.measured_histories import acted, told, traded

RULES = outlook_of(PolicyState(), 0).rules
WEAK, MODERATE, STRONG = (
    levels_pb2.STRENGTH_BAND_WEAK,
    levels_pb2.STRENGTH_BAND_MODERATE,
    levels_pb2.STRENGTH_BAND_STRONG,
)


@pytest.mark.parametrize(
    "score, announced, band",
    [
        (339_999, WEAK, WEAK), (340_000, WEAK, MODERATE), (310_000, MODERATE, MODERATE), (309_999, MODERATE, WEAK),
        (670_000, MODERATE, STRONG), (640_000, STRONG, STRONG), (639_999, STRONG, MODERATE), (309_999, STRONG, WEAK),
        (310_000, STRONG, MODERATE),
    ],
)  # fmt: skip
def test_a_band_rises_at_its_threshold_and_falls_some_way_below(score: int, announced: int, band: int) -> None:
    assert band == band_of(score, announced, RULES)


@pytest.mark.parametrize(
    "score, band, low, high",
    [
        (0, WEAK, -99_999, 100_000),
        (300_000, WEAK, 200_001, 340_000),
        (350_000, MODERATE, 310_000, 450_000),
        (700_000, STRONG, 640_000, 800_000),
    ],
)
def test_nothing_is_announced_within_a_step_and_the_band(score: int, band: int, low: int, high: int) -> None:
    assert (low, high) == quiet(Levels(score=score, band=band), RULES)


def test_deltas_are_what_lines_gained_or_lost() -> None:
    assert deltas({"1": 5, "2": 7}, {"1": 9, "7": -3}) == ((1, 4), (2, -7), (7, -3))


def test_a_rise_is_announced_when_it_has_held_for_a_day() -> None:
    history = ChangedHistory()
    first = history.add(acted("MEETING"), "2026-01-01T10:00Z")
    history.mark("2026-01-02T10:00Z")
    assert history.names("strengthened") == []

    history.mark("2026-01-02T10:00:01Z")

    rise = history.one("strengthened")
    assert levels_of(rise) == ("WEAK", "WEAK")
    assert times(rise) == (at("2026-01-01T10:00Z"), at("2026-01-02T10:00Z"))
    assert (rise.cause, list(rise.cause_positions)) == (event(first), [first])
    assert rise.measure.name == "strength"
    assert (rise.measure.threshold_ppm, rise.measure.hysteresis_ppm) == (100_000, 30_000)
    assert rise.measure.value_ppm == sum(delta.delta_ppm for delta in rise.deltas)


def test_a_rise_that_does_not_hold_is_not_announced() -> None:
    history = ChangedHistory()
    position = history.add(acted("MEETING"), "2026-01-01T10:00Z")
    history.add(i.InteractionRetracted(original_position=position), "2026-01-02T09:00Z")
    history.mark("2026-03-01")

    assert history.names("strengthened") == []


def test_what_interrupts_it_lets_the_day_begin_anew() -> None:
    history = ChangedHistory()
    position = history.add(acted("MEETING"), "2026-01-01T10:00Z")
    history.add(i.InteractionRetracted(original_position=position), "2026-01-01T12:00Z")
    again = history.add(acted("MEETING"), "2026-01-01T13:00Z")
    history.mark("2026-01-03")

    assert history.one("strengthened").cause == event(again)
    assert times(history.one("strengthened"))[1] == at("2026-01-02T13:00Z")


def test_fading_is_announced_as_weaker_by_the_clock() -> None:
    history = ChangedHistory()
    for day in range(1, 10):
        history.add(acted("CALL"), f"2026-01-0{day}T10:00Z")
    history.mark("2026-01-20")
    strong = history.changes("strengthened")[-1].measure.value_ppm
    history.mark("2027-01-01")

    falls = history.changes("weakened")

    assert falls
    for fall in falls:
        assert fall.cause.startswith("timer:")
        assert strong - fall.measure.value_ppm >= 100_000
        assert fall.measure.value_ppm - strong == sum(delta.delta_ppm for delta in fall.deltas)
        assert times(fall)[1] - times(fall)[0] == DAY
        strong = fall.measure.value_ppm


def imbalanced() -> ChangedHistory:
    history = ChangedHistory()
    history.value_euros()
    return history


IMBALANCE = ("reciprocity_imbalance_entered", "reciprocity_imbalance_cleared")


def test_a_customer_who_gives_more_than_they_get_is_announced_after_a_day() -> None:
    history = imbalanced()
    began = history.add(traded("x", paid=100_000), "2026-01-01T10:00Z")
    history.mark("2026-01-03")

    entered = history.one("reciprocity_imbalance_entered")

    assert levels_of(entered) == ("BALANCED", "IMBALANCED")
    assert times(entered) == (at("2026-01-01T10:00Z"), at("2026-01-02T10:00Z"))
    assert entered.cause == event(began)
    assert entered.measure.value_ppm < -100_000 == entered.measure.threshold_ppm
    assert entered.measure.hysteresis_ppm == 50_000


def test_it_clears_beyond_the_gap_only() -> None:
    history = imbalanced()
    history.add(traded("x", paid=100_000), "2026-01-01T10:00Z")
    history.mark("2026-01-03")
    history.add(traded("y", got=85_000), "2026-01-04")  # Between the two bounds.
    history.mark("2026-01-10")
    assert history.names(*IMBALANCE) == ["reciprocity_imbalance_entered"]

    history.add(traded("z", got=10_000), "2026-01-11")
    history.mark("2026-01-13")

    cleared = history.changes(*IMBALANCE)[-1]
    assert levels_of(cleared) == ("IMBALANCED", "BALANCED")
    assert cleared.measure.threshold_ppm == -50_000
    assert times(cleared) == (at("2026-01-11"), at("2026-01-12"))


def test_without_an_index_nobody_is_imbalanced() -> None:
    history = ChangedHistory()
    history.add(traded("x", paid=100_000), "2026-01-01T10:00Z")
    history.mark("2026-02-01")

    assert history.names(*IMBALANCE) == []


BROADCAST = ("broadcast_mode_entered", "broadcast_mode_left")


def solicited(times_: int) -> ChangedHistory:
    history = ChangedHistory()
    for day in range(1, 1 + times_):
        history.add(told("MESSAGE", message_class=i.MESSAGE_CLASS_MARKETING), f"2026-01-{day:02d}T10:00Z")
    return history


def test_the_fifth_solicitation_without_answer_is_a_broadcast_at_once() -> None:
    assert solicited(4).names(*BROADCAST) == []

    entered = solicited(5).one("broadcast_mode_entered")

    assert levels_of(entered) == ("CONVERSATION", "BROADCAST")
    assert times(entered) == (at("2026-01-05T10:00Z"), at("2026-01-05T10:00Z"))
    assert entered.cause == event(5)
    assert (entered.measure.threshold_ppm, entered.measure.hysteresis_ppm) == (100_000, 50_000)


def test_an_answer_ends_it_where_little_was_said() -> None:
    history = solicited(5)
    history.add(did("MESSAGE"), "2026-01-06")

    left = history.changes(*BROADCAST)[-1]

    assert levels_of(left) == ("BROADCAST", "CONVERSATION")
    assert left.measure.threshold_ppm == 150_000


def test_where_much_was_said_one_answer_is_too_little() -> None:
    history = solicited(12)
    for day in ("13", "14"):
        history.add(did("MESSAGE"), f"2026-01-{day}")
        listening = 1 / 13 if day == "13" else 2 / 14
        assert listening < 0.15
        assert history.names(*BROADCAST) == ["broadcast_mode_entered"]

    history.add(did("MESSAGE"), "2026-01-15")

    assert history.names(*BROADCAST) == ["broadcast_mode_entered", "broadcast_mode_left"]
