"""How two views of a relationship differ: which measures, and by how much the lines of the strength."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ledger.measure.explaining import evidence
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from ledger.measure.measured import Measured
    from ledger.measure.results import Contribution

ABSENT = ""
"""Value of what the other view does not have."""


class Delta(NamedTuple):
    """What the lines of one component gained or lost."""

    component: levels.StrengthComponent.ValueType
    ppm: int
    """Not 0."""


class Change(NamedTuple):
    """A measure whose value differs."""

    measure: str
    """Its path in `Measures`."""
    a: str
    """As people read it; empty: the view has no such thing, as a person who took no part then."""
    b: str


def deltas(a: Iterable[Contribution], b: Iterable[Contribution]) -> tuple[Delta, ...]:
    """Return by how much b's lines differ from a's, by component; they sum to b's score less a's, exactly."""
    return deltas_of(by_component(a), by_component(b))


def deltas_of(a: Mapping[int, int], b: Mapping[int, int]) -> tuple[Delta, ...]:
    """Return the same of sums by component, such as were kept of what was announced last."""
    found = ((component, b.get(component, 0) - a.get(component, 0)) for component in sorted(a.keys() | b.keys()))
    return tuple(Delta(levels.StrengthComponent.ValueType(component), ppm) for component, ppm in found if ppm)


def by_component(lines: Iterable[Contribution]) -> dict[int, int]:
    """Return the sums of the lines of each component, in ppm."""
    sums: Counter[int] = Counter()
    for line in lines:
        sums[line.component] += line.ppm
    return dict(sums)


def changes(a: Measured, b: Measured) -> Iterator[Change]:
    """Yield the measures whose values differ, in the order of `Measures`."""
    before = {each.measure: each.value for each in evidence(a)}
    after = {each.measure: each.value for each in evidence(b)}
    for measure in _in_order(before, after):
        found = Change(measure, before.get(measure, ABSENT), after.get(measure, ABSENT))
        if found.a != found.b:
            yield found


def _in_order(a: Iterable[str], b: Iterable[str]) -> list[str]:
    """Return the paths of both in one order: what only one has stands after what it follows there."""
    ordered = list(a)
    known, place = set(ordered), 0
    for path in b:
        if path in known:
            place = ordered.index(path) + 1
        else:
            ordered.insert(place, path)
            place += 1
    return ordered
