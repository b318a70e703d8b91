"""Rounding and decay of reciprocity.md 6.5 and relationship.md 2, written apart from the ledger's."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def half_even(n: int, d: int) -> int:
    whole, rest = n // d, n % d
    return whole + (2 * rest > d or (2 * rest == d and whole % 2 == 1))


def largest_remainder(parts: Sequence[Fraction], total: int) -> list[int]:
    shares = [part.numerator // part.denominator for part in parts]
    order = sorted(range(len(parts)), key=lambda i: (shares[i] - parts[i], i))
    return [share + (i in order[: total - sum(shares)]) for i, share in enumerate(shares)]


def decay(age: int, half_life: int) -> int:
    low, high = 0, 10**6 + 1  # decay is at least low, less than high
    while high - low > 1:
        middle = (low + high) // 2
        fits = middle**half_life * 2**age <= 10 ** (6 * half_life)
        low, high = (middle, high) if fits else (low, middle)
    return low
