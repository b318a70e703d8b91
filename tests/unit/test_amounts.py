"""Rounding by the worked examples of reciprocity.md 11.1 and 11.8; the form of an asset."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.amounts import code_of, half_even, is_asset, largest_remainder, split


@pytest.mark.parametrize(
    "n, d, expected",
    [
        (1, 2, 0),
        (3, 2, 2),
        (5, 2, 2),
        (7, 2, 4),
        (-1, 2, 0),
        (-3, 2, -2),
        (-5, 2, -2),
        (1, 3, 0),
        (2, 3, 1),
        (-2, 3, -1),
        (10**18 + 1, 2, 5 * 10**17),
    ],
)
def test_half_even_worked_examples(n: int, d: int, expected: int) -> None:
    assert expected == half_even(n, d)


@pytest.mark.parametrize("units, expected", [(1, 0), (3, 2), (5, 2)])
def test_promise_worked_examples(units: int, expected: int) -> None:
    assert expected == half_even(units * 1 * 500_000, 10**6)


@given(st.integers(), st.integers(min_value=1))
def test_half_even_is_what_fractions_round_to(n: int, d: int) -> None:
    assert round(Fraction(n, d)) == half_even(n, d)


@given(st.integers(), st.integers(min_value=1))
def test_half_even_is_symmetric(n: int, d: int) -> None:
    assert -half_even(n, d) == half_even(-n, d)


@pytest.mark.parametrize(
    "total, weights, expected",
    [
        (100, (1, 1, 1), (34, 33, 33)),
        (1, (1, 1), (1, 0)),
        (5, (3, 3, 1), (2, 2, 1)),
        (999, (50, 30, 20), (499, 300, 200)),
    ],
)
def test_split_worked_examples(total: int, weights: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert expected == split(total, weights)


def test_contributions_of_the_full_example_add_up_to_the_index() -> None:
    nanos = [-47_500_000_000, 50_000_000_000, -3_000_000_000, -3_000_000_000, 10_800_000_000, -4_000_000_000]
    d = 138_300_000_000
    index_ppm = half_even(10**6 * sum(nanos), d)

    assert 23_861 == index_ppm
    assert (-343_456, 361_533, -21_692, -21_692, 78_091, -28_923) == largest_remainder(
        [10**6 * part for part in nanos], d, index_ppm
    )


@given(
    st.integers(min_value=0, max_value=10**18),
    st.lists(st.integers(min_value=0, max_value=10**12), min_size=1, max_size=20).filter(any),
)
def test_a_split_adds_up_and_stays_within_one_of_the_exact_share(total: int, weights: list[int]) -> None:
    shares = split(total, weights)

    assert total == sum(shares)
    assert all(
        abs(share - Fraction(total * weight, sum(weights))) < 1 for share, weight in zip(shares, weights, strict=True)
    )


@pytest.mark.parametrize("asset", ["EUR/2", "CD/0", "AB/12", "A1/9", "ABCDEFGHIJKLMNOP/0"])
def test_an_asset_is_a_code_and_a_scale(asset: str) -> None:
    assert is_asset(asset)


@pytest.mark.parametrize(
    "text", ["", "EUR", "E/2", "eur/2", "EUR/13", "EUR/02", "EUR/-1", "1EU/2", "EUR/2\n", "ABCDEFGHIJKLMNOPQ/0", "ÄÖ/2"]
)
def test_anything_else_is_not_an_asset(text: str) -> None:
    assert not is_asset(text)


def test_the_code_is_what_stands_before_the_scale() -> None:
    assert "EUR" == code_of("EUR/2")
