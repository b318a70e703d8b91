"""The lines of the strength are those that scanning every fact comes to."""

from __future__ import annotations

import pytest

from tests.contact_histories import DAY, stream
from tests.measured_histories import MeasuredDraw
from tests.oracles.strength_brute import Brute
from tests.unit.measure.test_strength import NOW, by_component, example_a


@pytest.mark.parametrize("seed", range(48))
def test_lines_are_those_of_a_brute_reading(seed: int) -> None:
    draw = MeasuredDraw(seed, days=draw_days(seed))
    at = draw.fill(80) + (seed % 5) * 30 * DAY
    measured = draw.history.measured(at)
    facts = [fact for name, fact in draw.history.facts if name == stream("c")]
    rate = 10_000_000 if measured.outlook.opinion is not None else 0

    expected = Brute(facts, at, nanos_per_cent=rate).lines()

    found = {name: ppm for name, ppm in by_component(measured.strength).items() if ppm}
    compared = {
        *expected,
        "INVOLVEMENT",
        "RECIPROCITY",
        "PREFERENCE",
        "BALANCE",
        "ANSWERING",
        "SPAM",
        "COMPLAINT",
        "OBSTACLE",
    }
    assert expected == {name: found[name] for name in compared if name in found}


def draw_days(seed: int) -> int:
    """Return over how many days a history stretches: some within the window, some over years."""
    return (40, 120, 400, 2_500)[seed % 4]


def test_example_a_is_read_the_same() -> None:
    facts = [fact for name, fact in example_a().facts if name == stream("c")]

    found = Brute(facts, NOW, nanos_per_cent=10_000_000).lines()

    assert {
        "INVOLVEMENT": 159_823,
        "RECIPROCITY": 200_000,
        "PREFERENCE": 75_000,
        "BALANCE": 50_000,
        "ANSWERING": 50_000,
        "COMPLAINT": -50_000,
    } == found
