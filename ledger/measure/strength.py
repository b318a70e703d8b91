"""Strength: a published sum (relationship.md 5).

The score is defined as the sum of its rounded lines, so they add up exactly, always: six components, each its weight
times a ratio of 0 to 1, rounded half to even; penalties as negative lines; and a clamp where the sum leaves 0 to
1,000,000. What is not known adds nothing and lowers the coverage, so the score is a lower bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.measure import drift, involvement, reciprocity
from ledger.measure.remembering import remembered
from ledger.measure.results import Contribution, Ratio, Strength
from ledger.measure.score import clamped, portion, ratios
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from ledger.measure.measured import Measured
    from ledger.measure.rules import Rules

EVIDENCE_MAX: Final = 64
"""Most positions of one line."""
LOOKS_MAX: Final = 8
"""Most instants at which the score is made exactly to tell when a level may be crossed: enough for some weeks."""
CLAMP: Final = levels.STRENGTH_COMPONENT_CLAMP
COMPONENTS: Final = (
    levels.STRENGTH_COMPONENT_INVOLVEMENT,
    levels.STRENGTH_COMPONENT_RECIPROCITY,
    levels.STRENGTH_COMPONENT_PREFERENCE,
    levels.STRENGTH_COMPONENT_BALANCE,
    levels.STRENGTH_COMPONENT_ANSWERING,
    levels.STRENGTH_COMPONENT_PERMISSION,
)
"""In the order of the weights of a policy."""


def strength(m: Measured) -> Strength:
    """Return the measure."""
    return remembered(m, "strength", _strength, drift.steady_until)


def _strength(m: Measured) -> Strength:
    lines, rules = contributions(m), m.outlook.rules
    total = sum(line.ppm for line in lines)
    coverage = sum(line.weight for line in lines[: len(COMPONENTS)] if line.ratio.unknown is None)
    crosses_at = drift.crosses_at(m, total, levels_of(rules, total), LOOKS_MAX)
    return Strength(total, band_of(total, rules), coverage, lines, crosses_at)


def changes_at(m: Measured, announced: int) -> int | None:
    """Return the earliest later instant at which the clock alone may cross what is announced, in microseconds.

    That is a threshold of a band, one at which a band falls, or a step from the score that was `announced` last. None:
    it will not. Never later than the crossing; sooner only where none can be excluded until then.
    """
    return drift.crosses_at(m, m.strength.score, levels_of(m.outlook.rules, announced))


def contributions(m: Measured) -> tuple[Contribution, ...]:
    """Return the lines: the components in order, penalties by position, then a clamp where one is needed."""
    lines = [
        Contribution(component, portion(weight, ratio), weight, ratio, evidence)
        for component, weight, ratio, evidence in zip(
            COMPONENTS, m.outlook.rules.weights, ratios(m), _evidence(m), strict=True
        )
    ]
    for event, base, ppm in m.penalties:
        lines.append(Contribution(event.kind, -ppm, base, Ratio(ppm, base), (event.position,)))
    total = sum(line.ppm for line in lines)
    excess = total - clamped(total)
    if excess:
        lines.append(Contribution(CLAMP, -excess, abs(excess), Ratio(1, 1), ()))
    return tuple(lines)


def band_of(total: int, rules: Rules) -> levels.StrengthBand.ValueType:
    """Return the band of a score by the plain thresholds."""
    if total < rules.moderate_from:
        return levels.STRENGTH_BAND_WEAK
    return levels.STRENGTH_BAND_MODERATE if total < rules.strong_from else levels.STRENGTH_BAND_STRONG


def levels_of(rules: Rules, announced: int) -> tuple[int, ...]:
    """Return the scores from which on something differs: bands, bands that fall, a step up, and no longer a step down.

    `announced`: the score that a step is measured from.
    """
    bands = rules.moderate_from, rules.strong_from
    falls = (each - rules.band_gap for each in bands)
    return (*bands, *falls, announced + rules.strength_step, announced - rules.strength_step + 1)


def _evidence(m: Measured) -> tuple[tuple[int, ...], ...]:
    """Return the evidence of each component, in order."""
    spoken, cells = m.conversation.evidence, m.permission.cells
    said = {position for each in cells for position in each.evidence}
    return (
        involvement.evidence(m, EVIDENCE_MAX),
        reciprocity.evidence(m, EVIDENCE_MAX),
        tuple(m.preference.evidence[-EVIDENCE_MAX:]),
        spoken.get("listening", ()),
        spoken.get("answered", ()),
        tuple(sorted(said)[-EVIDENCE_MAX:]),
    )
