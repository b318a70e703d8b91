"""Decay: how much of its weight a fact keeps with age, one table for the whole product (relationship.md 2).

Integers throughout: no floats, no logarithms, so the table is the same on every machine.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import isqrt
from typing import Final

FULL: Final = 1_000_000
"""Weight of a fact of the same day, in ppm."""
HALF_LIFE_DAYS_MAX: Final = 3650

_BITS: Final = 160
_ONE: Final = 1 << _BITS
_MARGIN: Final = 1 << 32
"""More than the powers below are ever off by, in units of 2^-160."""


def decay(age_days: int, half_life_days: int) -> int:
    """Return the weight in ppm at an age in whole UTC days, from 0.

    It is the largest integer d with d^H * 2^age <= 10^(6H), the floor of 10^6 * 2^(-age/H), for a half-life H of 1 to
    3650 days. It never rises with age and is 0 after at most 20 half-lives.
    """
    table = decay_table(half_life_days)
    return table[age_days] if age_days < len(table) else 0


@lru_cache(maxsize=64)
def decay_table(half_life_days: int) -> tuple[int, ...]:
    """Return the weights in ppm at age 0, 1, 2 ... up to the first 0."""
    assert 1 <= half_life_days <= HALF_LIFE_DAYS_MAX, "a half-life is 1 to 3650 days"
    table: list[int] = []
    half = list(_first_half_life(half_life_days))
    while half[-1]:
        table += half
        # A whole half-life later is half of it: floor(floor(x) / 2) is floor(x / 2).
        half = [weight // 2 for weight in half]
    return (*table, *half[: half.index(0) + 1])


def _first_half_life(days: int) -> Iterator[int]:
    """Yield the weights of one half-life by powers of 2^(-1/days), multiplied out to 160 bits.

    No power comes near enough to a whole ppm to leave its floor in doubt: that is asserted for each. Exactly whole is
    none but the first, for 10^6 * 2^(-age/H) is irrational between whole half-lives.
    """
    root, power = _root(days), _ONE
    yield FULL
    for _ in range(1, days):
        # The root is off by less than 2^9 units, so a power is by less than 3650 * 2^9 + 3650 < 2^22.
        power = power * root >> _BITS
        weight = FULL * (power + _MARGIN) >> _BITS
        assert weight == FULL * (power - _MARGIN) >> _BITS, "more bits are needed"
        yield weight


def _root(days: int) -> int:
    """Return 2^(-1/days) in units of 2^-160: the product of 2^(-1/2), 2^(-1/4) ... at the binary digits of 1/days."""
    root, power, rest = _ONE, _ONE >> 1, 1
    for _ in range(_BITS):
        power = isqrt(power << _BITS)
        rest *= 2
        if rest >= days:
            rest -= days
            root = root * power >> _BITS
    return root
