"""Explanations, differences and statements add up exactly, whatever happened and whatever is asked.

Histories and policies are drawn by tests/balance_histories.py from the session's seed.
"""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest

from ledger.balance.differing import Side, differences
from ledger.balance.explaining import Explanation, both_of
from ledger.balance.lots import lots_in_view
from ledger.balance.numbers import Balance, Ratio, balance
from ledger.balance.statement import Statement, statement, whole
from ledger.balance.view import BalanceView
from ledger.balance.viewed import SELECTED, ViewedLeg, legs_in_view
from ledger.domain.amounts import half_even, largest_remainder
from ledger.policy.valuation import Valuations
from tests.balance_histories import History, some_opinion, some_valuations, some_view

EXPLANATIONS = 20_000
PAIRS = 4_000


def signed(leg: ViewedLeg, view: BalanceView) -> int:
    return leg.value if leg.got(view.perspective) else -leg.value


def check_entries(explained: Explanation, made: Balance, view: BalanceView) -> None:
    entries = list(explained.entries())
    assert made.got == sum(each.leg.value for each in entries if each.leg.got(view.perspective))
    assert made.gave == sum(each.leg.value for each in entries if not each.leg.got(view.perspective))
    assert [signed(each.leg, view) * each.leg.weight for each in entries] == [each.numerator for each in entries]
    if made.index is None:
        assert not any(each.ppm for each in entries)
        return
    assert made.index.numerator == sum(each.numerator for each in entries)
    assert made.index_ppm == sum(each.ppm for each in entries)
    exact = [10**6 * each.numerator for each in entries]
    assert list(largest_remainder(exact, made.index.denominator, half_even(sum(exact), made.index.denominator))) == [
        each.ppm for each in entries
    ]


def check_drivers(explained: Explanation, made: Balance, count: int) -> None:
    """Try every entry, and take those that move the index most."""
    numerators = [each.numerator for each in explained.entries()]
    kappa = 2 * made.kappa_nanos * 10**6
    now = Fraction(*made.index) if made.index is not None else Fraction(0)
    moves = []
    for ordinal, part in enumerate(numerators, start=1):
        g_u = sum(map(abs, numerators)) - abs(part)
        without = Fraction(sum(numerators) - part, g_u + kappa) if g_u else None
        moves.append((-abs(now - (without or 0)), ordinal, without))
    moves.sort(key=lambda each: each[:2])
    wanted = [(ordinal, without) for _, ordinal, without in moves[:count]] if made.index is not None else []

    drivers = explained.drivers(count)

    assert wanted == [(each.ordinal, None if each.without is None else Fraction(*each.without)) for each in drivers]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_explanations_add_up_exactly_and_hold_every_leg_known(seed: int) -> None:
    chance = Random(seed)
    for number in range(EXPLANATIONS // 10):
        history, known = History(chance, chance.choice([0, 2, 4, 6, 9, 14])), some_valuations(chance)
        for _ in range(10):
            book, view = history.told.book(chance.choice(history.positions)), some_view(chance, history)
            opinion = some_opinion(chance, known, view.at)
            made, legs = balance(book, opinion, view), legs_in_view(book, opinion, view)

            explained = Explanation(made, legs, view.perspective)

            check_entries(explained, made, view)
            # B10: what is reversed is told twice and nets to nothing, everything else once.
            assert book.legs == len(explained) + len(explained.exclusions())
            assert all(1 <= len(both_of(each)) <= 2 for each in explained.exclusions())
            check_drivers(explained, made, chance.choice([1, 2, 5]))
            if not number % 4:
                check_statement(statement(legs_in_view(book, opinion, whole(view)), view), made, view)


def check_statement(told: Statement, made: Balance, view: BalanceView) -> None:
    opening, lines, closing = told
    for side in ("got", "gave"):
        of_lines = sum(line.value or 0 for line in lines if line.leg.got(view.perspective) == (side == "got"))
        assert getattr(opening, side) + of_lines == getattr(closing, side)
        assert of_lines == getattr(made, side)  # The lines are what the balance of the window counts.
    running = opening.net
    for line in lines:
        running += signed(line.leg, view) if line.value is not None else 0
        assert running == line.running_net
        assert (line.value is not None) == (line.leg.reason == SELECTED)
    assert running == closing.net


def some_side(chance: Random, history: History, perspective: int, known: Valuations) -> Side:
    position, view = chance.choice(history.positions), some_view(chance, history)._replace(perspective=perspective)
    opinion, book = some_opinion(chance, known, view.at), history.told.book(position)
    legs, lots = legs_in_view(book, opinion, view), lots_in_view(book, opinion, view)
    return Side(view, position, balance(book, opinion, view), legs, lots)


def index(side: Side) -> Fraction:
    return Fraction(*(side.balance.index or Ratio(0, 1)))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_differences_add_up_exactly_in_both_directions_and_are_none_from_a_view_to_itself(seed: int) -> None:
    chance = Random(seed)
    for _ in range(PAIRS // 4):
        history = History(chance, chance.choice([2, 5, 10, 20]))
        perspective, known = chance.choice([1, 2]), [some_valuations(chance)]
        known += chance.choice([known, [some_valuations(chance)]])  # One set of policies, or another in each view.
        for _ in range(4):
            a, b = (some_side(chance, history, perspective, each) for each in known)

            steps = differences(a, b)

            assert b.balance.net - a.balance.net == sum(step.net for step in steps)
            assert index(b) - index(a) == sum((Fraction(*step.index) for step in steps), Fraction(0))
            assert [step.cause for step in steps] == sorted({step.cause for step in steps})
            assert [] == differences(a, a)
            assert [] == differences(b, b)
            back = differences(b, a)
            assert a.balance.net - b.balance.net == sum(step.net for step in back)
