"""Amounts: whole units of an asset, and the two places where integers are rounded (reciprocity.md 2 and 6.5).

Units are minor units of an asset named `CODE/scale`: 1250 of `EUR/2` is 12.50 euros. There are no floats and no signs;
direction is in the leg that holds the amount. Sums run on Python's integers and are refused, never wrapped, where they
would leave 64 bits. Everything on the wire that ends in `_ppm` passes through `half_even` or `largest_remainder`.
"""

import re
from collections.abc import Sequence
from typing import Final

ASSET: Final = re.compile(r"[A-Z][A-Z0-9]{1,15}/(?:0|[1-9]|1[0-2])\Z")
"""Code and scale. Example: `EUR/2`."""
UNITS_MAX: Final = 10**15
"""Most units that a registry may allow in one leg."""
INT64_MAX: Final = 2**63 - 1
"""Largest total that can be told on the wire."""


def is_asset(text: str) -> bool:
    """Tell whether a text has the form of an asset, `CODE/scale`."""
    return ASSET.match(text) is not None


def code_of(asset: str) -> str:
    """Return the code of an asset. Example: `EUR` of `EUR/2`."""
    return asset.partition("/")[0]


def half_even(n: int, d: int) -> int:
    """Return n/d rounded to the nearest integer, a half to the even one. Symmetric in n; d is at least 1."""
    assert d > 0, "a ratio has a positive denominator"
    q, r = divmod(n, d)
    if 2 * r > d or (2 * r == d and q % 2 == 1):
        return q + 1
    return q


def largest_remainder(parts: Sequence[int], d: int, total: int) -> tuple[int, ...]:
    """Return the ratios `part / d` as integers that add up to `total` exactly, each less than 1 from its ratio.

    Each ratio is rounded down; the units then missing go one each to the largest remainders, ties in the order of the
    parts. `total` is the sum of the ratios, or that sum rounded either way; d is at least 1.
    """
    assert d > 0, "a ratio has a positive denominator"
    floors = [part // d for part in parts]
    missing = total - sum(floors)
    assert 0 <= missing <= len(parts), "the total is the sum of the ratios, rounded"
    by_remainder = sorted(range(len(parts)), key=lambda i: -(parts[i] % d))  # Stable: ties stay in order.
    for i in by_remainder[:missing]:
        floors[i] += 1
    return tuple(floors)


def split(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Return `total` in shares that are as the weights and add up to it. Weights are at least 0, one of them above."""
    return largest_remainder([total * weight for weight in weights], sum(weights), total)
