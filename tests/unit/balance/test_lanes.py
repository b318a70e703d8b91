"""Sums over time and spans of time, against the plain way to have them."""

from __future__ import annotations

from random import Random

import pytest

from ledger.balance.lanes import Lane
from ledger.balance.spans import Spans


def test_a_lane_sums_what_was_added_in_any_order_and_not_removed(seed: int) -> None:
    chance = Random(seed)
    for _ in range(50):
        lane, kept = Lane(), list[tuple[int, int]]()
        for _ in range(60):
            if kept and chance.random() < 0.25:
                gone = kept.pop(chance.randrange(len(kept)))
                lane.remove(*gone)
            else:
                kept.append((chance.randint(0, 20), chance.randint(1, 3)))
                lane.add(*kept[-1])
            if chance.random() < 0.3:
                at = chance.randint(-1, 21)
                assert sum(units for time, units in kept if time <= at) == lane.until(at)

        assert sorted(time for time, _ in kept) == lane.times
        assert len(kept) + 1 == len(lane.totals())


def test_only_what_was_added_is_removed() -> None:
    lane = Lane()
    lane.add(1, 5)
    lane.add(2, 6)

    with pytest.raises(AssertionError):
        lane.remove(1, 6)


@pytest.mark.parametrize("units", [0, -1])
def test_units_are_at_least_1(units: int) -> None:
    with pytest.raises(AssertionError, match="only grow"):
        Lane().add(1, units)


def test_spans_hold_from_their_start_until_before_their_end(seed: int) -> None:
    chance = Random(seed)
    for _ in range(50):
        spans, kept = Spans[int](), {}
        for number in range(40):
            start = chance.randint(0, 30)
            end = start + chance.choice([-1, 0, 1, 5, 10**9])
            kept[number] = (start, end, spans.add(start, end, number))
            if chance.random() < 0.3:
                _, _, span = kept.pop(chance.choice(list(kept)))
                spans.discard(span)
            at = chance.randint(-1, 40)

            assert {n for n, (start, end, _) in kept.items() if start <= at < end} == set(spans.at(at))
