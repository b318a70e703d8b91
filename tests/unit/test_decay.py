"""Decay by its definition, and by the tables of reciprocity.md 11.9 and relationship.md 2."""

import hashlib

import pytest

from ledger.domain.decay import HALF_LIFE_DAYS_MAX, decay, decay_table

OF_90_DAYS = [
    *[(0, 1_000_000), (1, 992_327), (7, 947_516), (30, 793_700), (45, 707_106), (89, 503_865), (90, 500_000)],
    *[(100, 462_937), (180, 250_000), (360, 62_500), (365, 60_138), (730, 3_616), (1_793, 1), (1_794, 0), (1_795, 0)],
    (10**9, 0),
]


@pytest.mark.parametrize("age, expected", OF_90_DAYS)
def test_a_half_life_of_90_days(age: int, expected: int) -> None:
    assert expected == decay(age, 90)


@pytest.mark.parametrize(
    "days, expected",
    [
        (7, "a7838be5ac7ba91e"),
        (30, "d753c3b45568fde8"),
        (90, "66129d74b7b4e9f7cf915581785f43545a1d49c9f98f21fa255f553e486e8995"),
        (180, "963f5470e17bb797"),
        (365, "f2b5d50bdf059286"),
    ],
)
def test_tables_are_the_published_ones(days: int, expected: str) -> None:
    table = "\n".join(str(weight) for weight in decay_table(days))

    assert hashlib.sha256(table.encode()).hexdigest().startswith(expected)


def is_largest(weight: int, age: int, days: int) -> bool:
    at_most: int = 10 ** (6 * days) >> age
    power: int = weight**days
    next_power: int = (weight + 1) ** days
    return power <= at_most < next_power


@pytest.mark.parametrize("days", [1, 2, 3, 10, 64, 97])
def test_a_weight_is_the_largest_integer_by_the_definition(days: int) -> None:
    table = decay_table(days)

    assert all(is_largest(weight, age, days) for age, weight in enumerate(table))


@pytest.mark.parametrize("days", [500, 1_461, HALF_LIFE_DAYS_MAX])
def test_so_it_is_for_long_half_lives(days: int) -> None:
    ages = [1, 2, days // 3, days - 1, days, days + 1, 5 * days + 7, len(decay_table(days)) - 2]

    assert all(is_largest(decay(age, days), age, days) for age in ages)


@pytest.mark.parametrize("days", [1, 2, 89, 365, 999, HALF_LIFE_DAYS_MAX])
def test_a_weight_never_rises_and_is_gone_after_twenty_half_lives(days: int) -> None:
    table = decay_table(days)

    assert list(table) == sorted(table, reverse=True)
    assert 0 == table[-1] < table[-2]
    assert 0 == decay(20 * days, days)


@pytest.mark.parametrize("days", [0, -1, HALF_LIFE_DAYS_MAX + 1])
def test_other_half_lives_are_a_mistake(days: int) -> None:
    with pytest.raises(AssertionError):
        decay_table(days)
