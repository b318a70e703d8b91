"""Why a balance is what it is: every leg that counts with its part, and every other one with its reason.

The rules are those of `reciprocity.md` 8. Values of entries add up to got and gave, and their contributions to the
numerator of the index, exactly; that is checked before anything is told. In whole ppm the contributions add up to
`index_ppm`, by the largest remainder.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from heapq import nlargest, nsmallest
from typing import NamedTuple

from ledger.balance.numbers import Balance, Ratio
from ledger.balance.viewed import REVERSED, SELECTED, ViewedLeg
from ledger.domain.amounts import largest_remainder
from ledger.domain.decay import FULL


class ExplanationMismatch(Exception):
    """The entries do not add up to the balance: a defect of the arithmetic, and nothing may be told."""


class Entry(NamedTuple):
    """A leg that counts."""

    ordinal: int
    """Its place, from 1: by effective time, position and leg."""
    leg: ViewedLeg
    numerator: int
    """What it adds to the numerator of the index: value in nanos times weight in ppm, negative where given."""
    ppm: int
    """Its part of the index; 0 where there is none."""


class Driver(NamedTuple):
    """What the index would be without one entry."""

    ordinal: int
    without: Ratio | None
    """None: nothing else is of value."""


class Explanation:
    """A balance with the legs it was checked against."""

    __slots__ = ("_contributions", "_excluded", "_perspective", "_ppm", "_selected", "balance")

    def __init__(self, balance: Balance, legs: Sequence[ViewedLeg], perspective: int) -> None:
        """Explain a balance by all legs of its view, in order.

        Raises:
            ExplanationMismatch: they do not add up to it.
        """
        self.balance = balance
        self._perspective = perspective
        self._selected = [leg for leg in legs if leg.reason == SELECTED]
        self._excluded = [leg for leg in legs if leg.reason != SELECTED]
        self._contributions = [self._signed(leg) * leg.weight for leg in self._selected]
        self._check()
        self._ppm = self._parts()

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._selected)

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Yield the entries whose ordinal is greater than `after`, in order."""
        for i in range(after, len(self._selected)):
            yield Entry(i + 1, self._selected[i], self._contributions[i], self._ppm[i])

    def exclusions(self) -> Sequence[ViewedLeg]:
        """Return the legs that do not count, in order. One that is REVERSED stands for itself and its reversal."""
        return self._excluded

    def drivers(self, count: int) -> list[Driver]:
        """Return the entries whose removal moves the index most, at most `count`: by how far, then by ordinal."""
        if self.balance.index is None:
            return []
        by_move = nsmallest(count, self._movers(count), key=lambda i: (-self._move(i), i))
        return [Driver(i + 1, self._without(i)) for i in by_move]

    def _signed(self, leg: ViewedLeg) -> int:
        return leg.value if leg.got(self._perspective) else -leg.value

    def _check(self) -> None:
        got = sum(leg.value for leg in self._selected if leg.got(self._perspective))
        gave = sum(leg.value for leg in self._selected if not leg.got(self._perspective))
        if (got, gave) != (self.balance.got, self.balance.gave):
            raise ExplanationMismatch("the values of the entries do not add up to got and gave")
        numerator = sum(self._contributions)
        weighted = sum(map(abs, self._contributions))
        index = Ratio(numerator, weighted + 2 * self.balance.kappa_nanos * FULL) if weighted else None
        if index != self.balance.index:
            raise ExplanationMismatch("the contributions of the entries do not add up to the index")

    def _parts(self) -> Sequence[int]:
        """Return the contributions in ppm, which add up to the index in ppm."""
        index, index_ppm = self.balance.index, self.balance.index_ppm
        if index is None or index_ppm is None:
            return [0] * len(self._selected)
        return largest_remainder([FULL * part for part in self._contributions], index.denominator, index_ppm)

    def _movers(self, count: int) -> Iterable[int]:
        """Return the entries among which are the `count` that move the index most.

        Of two entries of one side the larger moves it more. Only where a whole side moves nothing, because all of the
        index is that side and kappa is 0, size says nothing and the first ones come first.
        """
        size = [abs(part) for part in self._contributions]
        every = range(len(self._selected))
        gets = [i for i in every if self._selected[i].got(self._perspective)]
        gives = [i for i in every if not self._selected[i].got(self._perspective)]
        found = set(range(min(count, len(self._selected))))
        for side in (gets, gives):
            found.update(nlargest(count, side, key=lambda i: (size[i], -i)))
        return found

    def _move(self, i: int) -> Fraction:
        index, without = self.balance.index, self._without(i)
        assert index is not None
        now = Fraction(index.numerator, index.denominator)
        return abs(now - Fraction(without.numerator, without.denominator)) if without else abs(now)

    def _without(self, i: int) -> Ratio | None:
        index, part = self.balance.index, self._contributions[i]
        assert index is not None
        rest = index.denominator - abs(part)
        if rest == 2 * self.balance.kappa_nanos * FULL:
            return None
        return Ratio(index.numerator - part, rest)


def both_of(leg: ViewedLeg) -> tuple[ViewedLeg, ...]:
    """Return what an exclusion is told as: the leg, and where it was reversed its reversal too, which takes it back."""
    if leg.reason != REVERSED:
        return (leg,)
    twin = leg._replace(
        effective_time=leg.reversal_time, position=leg.reversal_position, record_time=leg.reversal_record_time
    )
    return leg, twin
