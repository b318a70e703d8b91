"""How much of what happened a balance rests on, and its lines, made of slices (reciprocity.md 6.4, settled.md 36)."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from google.protobuf.descriptor import EnumDescriptor

from ledger.balance.slices import Slice
from ledger.domain.amounts import half_even
from ledger.domain.decay import FULL
from rapport.events.v1.exchange_pb2 import Category, OneSided
from rapport.events.v1.valuation_pb2 import ValuationMethod


class Share(NamedTuple):
    """A part of a whole, by some key."""

    key: str
    """A method (`FACE`), `CATEGORY ASSET` of what is unvalued (`WAITING MIN/0`), or a reason of one-sided books."""
    value: int
    """Nanos."""
    legs: int
    share_ppm: int
    """Of got + gave, rounded half to even; 0 where those are 0."""
    units: int
    """Of what is unvalued; else 0."""


class Coverage(NamedTuple):
    """How much of what happened a balance rests on. Points count nowhere here."""

    valued_legs: int
    unvalued_legs: int
    by_method: tuple[Share, ...]
    """By how the rate was found, ordered by method."""
    unvalued: tuple[Share, ...]
    """Units without a value, ordered by category and asset."""
    one_sided: tuple[Share, ...]
    """Legs, valued or not, of exchanges in which only one party gave, ordered by reason."""
    observed: tuple[tuple[int, int], ...]
    """(category, since when in microseconds), ordered by category."""

    @property
    def ppm(self) -> int | None:
        """Share of the legs that have a value, in ppm; None where there are no legs."""
        legs = self.valued_legs + self.unvalued_legs
        return half_even(FULL * self.valued_legs, legs) if legs else None


class Line(NamedTuple):
    """What one party gave of one category and asset, within the view's window."""

    giver: int
    """A `Party`."""
    category: int
    """A `Category`."""
    asset: str
    units: int
    """Of legs with a value, like all up to `high`."""
    legs: int
    value: int
    """Nanos."""
    low: int
    """Nanos at low rates."""
    high: int
    """Nanos at high rates."""
    unvalued_units: int
    unvalued_legs: int


class Side:
    """What was received by one party, or given by it, in nanos."""

    __slots__ = ("high", "last", "low", "value", "weighted")

    def __init__(self) -> None:
        self.value = 0
        """Unweighted; all others are sums of value * weight in ppm."""
        self.weighted = 0
        self.low = 0
        """At low rates."""
        self.high = 0
        """At high rates."""
        self.last: int | None = None
        """Effective time of the latest leg with a value, in microseconds; None: there is none."""


class Tally:
    """Slices of one view, added up by everything that a balance tells."""

    __slots__ = ("_lines", "_methods", "_one_sided", "gave", "got")

    def __init__(self, slices: Iterable[Slice], perspective: int) -> None:
        self.got = Side()
        self.gave = Side()
        self._lines: dict[tuple[int, int, str], list[int]] = {}
        self._methods: dict[int, list[int]] = {}
        self._one_sided: dict[int, list[int]] = {}
        for each in slices:
            self._add(each, self.gave if each.giver == perspective else self.got)

    def _add(self, each: Slice, side: Side) -> None:
        giver, category, asset, one_sided, rate, units, legs, weighted, _, last = each
        line = self._lines.get((giver, category, asset))
        if line is None:
            line = self._lines[giver, category, asset] = [0] * 7
        value = 0
        if rate is None:
            line[5] += units
            line[6] += legs
        else:
            _, nanos, low, high, method, _, _ = rate
            value = units * nanos
            side.value += value
            side.weighted += weighted * nanos
            side.low += weighted * low
            side.high += weighted * high
            if side.last is None or last > side.last:
                side.last = last
            line[0] += units
            line[1] += legs
            line[2] += value
            line[3] += units * low
            line[4] += units * high
            _grow(self._methods, method, value, legs)
        if one_sided:
            _grow(self._one_sided, one_sided, value, legs)

    def lines(self) -> tuple[Line, ...]:
        """Return the lines, ordered by giver, category and asset."""
        return tuple([Line(*key, *line) for key, line in sorted(self._lines.items())])

    def coverage(self, observed: tuple[tuple[int, int], ...]) -> Coverage:
        """Return the coverage; `observed` is known from elsewhere."""
        whole = self.got.value + self.gave.value
        lines = self._lines.values()
        return Coverage(
            sum([line[1] for line in lines]),
            sum([line[6] for line in lines]),
            _shares(self._methods, _METHODS, whole),
            self._unvalued(),
            _shares(self._one_sided, _ONE_SIDED, whole),
            observed,
        )

    def _unvalued(self) -> tuple[Share, ...]:
        rows: dict[tuple[int, str], list[int]] = {}
        for (_, category, asset), line in self._lines.items():
            if line[6]:
                row = rows.setdefault((category, asset), [0, 0])
                row[0] += line[5]
                row[1] += line[6]
        return tuple(
            [
                Share(f"{_CATEGORIES[c]} {asset}", 0, legs, 0, units)
                for (c, asset), (units, legs) in sorted(rows.items())
            ]
        )


def _grow(rows: dict[int, list[int]], key: int, value: int, legs: int) -> None:
    row = rows.get(key)
    if row is None:
        rows[key] = [value, legs]
    else:
        row[0] += value
        row[1] += legs


def _shares(rows: dict[int, list[int]], names: dict[int, str], whole: int) -> tuple[Share, ...]:
    return tuple(
        [
            Share(names[key], value, legs, half_even(FULL * value, whole) if whole else 0, 0)
            for key, (value, legs) in sorted(rows.items())
        ]
    )


def _names(enum: EnumDescriptor) -> dict[int, str]:
    """Return the names of an enum's values without their prefix, by number."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {number: value.name.removeprefix(prefix) for number, value in enum.values_by_number.items()}


_METHODS: Final = _names(ValuationMethod.DESCRIPTOR)
_ONE_SIDED: Final = _names(OneSided.DESCRIPTOR)
_CATEGORIES: Final = _names(Category.DESCRIPTOR)
