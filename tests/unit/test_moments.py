"""Moments: empty ones share what they are made of, and tell nothing of each other."""

import random

import pytest

from ledger.domain.made_late import MadeLate
from ledger.domain.moments import Moments


def test_what_is_added_to_one_is_in_no_other() -> None:
    one, other = Moments(), Moments()
    one.add(5, 1)
    assert (1, 0) == (len(one), len(other))
    one.remove(5, 1)
    one.add(6, 2)
    assert ([6], [2], []) == (list(one.times), list(one.positions), list(other.times))


def test_nobody_adds_to_the_columns_of_an_empty_one() -> None:
    with pytest.raises(AttributeError):
        Moments().times.append(1)


@pytest.mark.parametrize("number", range(20))
def test_whatever_comes_is_in_order(seed: int, number: int) -> None:
    draw, moments, known = random.Random(f"{seed}/moments/{number}"), Moments(), list[tuple[int, int]]()
    for position in draw.sample(range(100), 60):
        if known and draw.random() < 0.2:
            moments.remove(*known.pop(draw.randrange(len(known))))
        known.append((draw.randrange(4), position))
        moments.add(*known[-1])
        assert sorted(known) == list(zip(moments.times, moments.positions, strict=True))


class Late(MadeLate):
    __slots__ = ("found", "other")

    LATE = {"found": list}  # noqa: RUF012  # As its folds do, which say more of it.

    found: list[int]


def test_a_part_is_made_once_when_first_asked_for() -> None:
    late = Late()
    assert not hasattr(late, "other")
    found = late.found
    found.append(1)
    assert late.found is found
    assert [] == Late().found
