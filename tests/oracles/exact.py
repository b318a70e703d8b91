"""Rounding and decay of reciprocity.md 6.5 and relationship.md 2, written apart from the ledger's."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache


def half_even(n: int, d: int) -> int:
    whole, rest = n // d, n % d
    return whole + (2 * rest > d or (2 * rest == d and whole % 2 == 1))


def largest_remainder(parts: Sequence[Fraction], total: int) -> list[int]:
    shares = [part.numerator // part.denominator for part in parts]
    order = sorted(range(len(parts)), key=lambda i: (shares[i] - parts[i], i))
    return [share + (i in order[: total - sum(shares)]) for i, share in enumerate(shares)]


@cache
def decay(age: int, half_life: int) -> int:
    """Return the largest integer d with d^H * 2^age <= 10^(6H): near a guess, and proven by whole numbers."""
    d = int(10**6 * 2 ** (-age / half_life)) + 1
    while d**half_life * 2**age > 10 ** (6 * half_life):
        d -= 1
    assert (d + 1) ** half_life * 2**age > 10 ** (6 * half_life), "the guess was too low"
    return d
