"""Involvement: how much a customer does, fading with age, with a cap for each day (relationship.md 5).

Of each UTC day `raw = sum(weight * attention)` over the acts of the customer; `mass = min(raw, cap) * decay(age)`; M is
the sum of the masses, and x = M / (M + K). A rational saturation, so it is exact: half of full involvement at K.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.domain.decay import FULL
from ledger.domain.times import END_OF_TIME, MICROSECONDS
from ledger.measure.results import Ratio, unknown
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE

if TYPE_CHECKING:
    from ledger.measure.acts import Acts
    from ledger.measure.measured import Measured
    from ledger.measure.rules import Rules

DAY: Final = 86_400 * MICROSECONDS

Weights = Mapping[int, int]
"""`Rules.act_weights`."""


class Day(NamedTuple):
    """What the customer did on one day."""

    day: int
    """UTC days since the epoch."""
    raw: int
    """Above 0. In 10^-12, as `capped`."""
    capped: int
    """At most the cap of a day."""


class _Days:
    """Days with mass under one policy, from some day on, up to one event, as columns: as `Day`."""

    __slots__ = ("capped", "days", "position", "raw", "rules", "since")

    def __init__(self, rules: Rules, since: int) -> None:
        self.rules = rules
        self.since = since
        self.position = 0
        """Of that event."""
        self.days: list[int] = []
        self.raw: list[int] = []
        self.capped: list[int] = []

    def add_up(self, acts: Acts, weights: Weights) -> None:
        """Add up the last day and those after it again, and those from which on something came late."""
        first = min(self.days[-1], acts.disturbed) if self.days else self.since
        acts.disturbed = END_OF_TIME
        kept, cap = bisect_left(self.days, first), self.rules.day_cap * FULL
        for column in (self.days, self.raw, self.capped):
            del column[kept:]
        days, day_numbers = acts.days, acts.day_numbers
        for day in islice(day_numbers, bisect_left(day_numbers, max(first, self.since)), None):
            raw = 0
            for code, count in days[day].items():
                raw += count * weights.get(code, 0)
            if raw:
                self.days.append(day)
                self.raw.append(raw)
                self.capped.append(min(raw, cap))


class Mass(NamedTuple):
    """M, and what it would be without decay."""

    mass: int
    """In 10^-18."""
    fresh: int
    """In 10^-12."""


def involvement(m: Measured) -> Ratio:
    """Return x = M / (M + K); unknown where the customer never did anything of weight."""
    mass = m.mass.mass
    if not mass and not _ever(m):
        return unknown(UNKNOWN_REASON_NO_EVIDENCE)
    return Ratio(mass, mass + half_mass(m.outlook.rules))


def half_mass(rules: Rules) -> int:
    """Return K: the mass that makes half of full involvement, in 10^-18."""
    return rules.half_mass * FULL * FULL


def mass_on(m: Measured, today: int) -> Mass:
    """Return M as of a UTC day that is no earlier than that of the measure, if nothing more happens.

    Costs a look at each day on which the customer did something, as far back as decay reaches.
    """
    table, known = m.outlook.rules.decay, _days(m, today)
    first = bisect_left(known.days, today - len(table) + 1)
    days, capped = known.days[first:], known.capped[first:]
    return Mass(sum([mass * table[today - day] for day, mass in zip(days, capped, strict=True)]), sum(capped))


def days_of(m: Measured) -> Iterator[Day]:
    """Yield the days that have mass, the earliest first."""
    today = m.at // DAY
    known = _days(m, today)
    first = bisect_left(known.days, today - len(m.outlook.rules.decay) + 1)
    yield from map(Day, known.days[first:], known.raw[first:], known.capped[first:])


def _days(m: Measured, today: int) -> _Days:
    """Return the days that have mass on a UTC day or later; remembered until something is recorded."""
    record, rules = m.record, m.outlook.rules
    position, since = record.state.last_position, today - len(rules.decay) + 1
    known: _Days | None = record.memo.get("days")
    if known is None or known.rules is not rules or known.since > since:
        known = _Days(rules, since)
    elif known.position == position:
        return known
    record.memo["days"] = known
    known.add_up(record.acts, rules.act_weights)
    known.position = position
    return known


def evidence(m: Measured, most: int) -> tuple[int, ...]:
    """Return the positions of the latest acts that have weight, ascending, at most `most`."""
    weights, acts = m.outlook.rules.act_weights, m.record.acts
    found: list[int] = []
    for place in range(len(acts.codes) - 1, -1, -1):
        if acts.codes[place] in weights:
            found.append(acts.positions[place])
            if len(found) == most:
                break
    return tuple(sorted(found))


def _ever(m: Measured) -> bool:
    weights = m.outlook.rules.act_weights.keys()
    return any(not weights.isdisjoint(counts) for counts in m.record.acts.days.values())
