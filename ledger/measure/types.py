"""Wished and actual types, and how they differ (relationship.md 8).

Three provenances, kept apart: what the customer declared, what named persons assessed, and what the first matching rule
of the policy infers. None of them ever stands in for the wish. What is not known matches no rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.domain.decay import FULL
from ledger.domain.times import MICROSECONDS
from ledger.measure import reciprocity
from ledger.measure.clauses import Conditions
from ledger.measure.evidence import WhenRead
from ledger.measure.results import AssessedType, Axes, Mismatch, TypeClause, Types
from rapport.events.v1.disclosure_pb2 import PROVENANCE_ASSESSED, PROVENANCE_INFERRED
from rapport.events.v1.relationship_types_pb2 import RelationshipType
from rapport.relationship.v1.measures_pb2 import (
    UNKNOWN_REASON_NOT_COMPARABLE,
    UNKNOWN_REASON_NOT_DECLARED,
    UnknownReason,
)
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from ledger.domain.relationship_type import Assessed, Wish
    from ledger.measure.measured import Measured
    from ledger.measure.rules import Rules

EVIDENCE_MAX: Final = 64

_DAY: Final = 86_400 * MICROSECONDS
_SCAN_DAYS: Final = 64
"""So many days are looked at one by one, where no bound tells how long a ratio stays where it is."""

_LEVELS: Final = {
    "valence": levels.Valence.DESCRIPTOR,
    "closeness": levels.Closeness.DESCRIPTOR,
    "intensity": levels.Intensity.DESCRIPTOR,
}
"""Axes that are measured, and what their levels are called."""
_VALENCES: Final = (levels.VALENCE_NEGATIVE, levels.VALENCE_NEUTRAL, levels.VALENCE_POSITIVE)
"""From bad to good."""


class _Inferred(NamedTuple):
    """What the rules say."""

    slug: str
    rule: int
    """From 1; 0: the fallback."""
    changes_at: int | None
    """When a ratio that decided could leave its bounds, or enter them."""


def types(m: Measured) -> Types:
    """Return the measure. Cheap: a ratio is asked for only where nothing else of its rule is left open."""
    state, term, inferred = m.record.state, m.outlook.rules.assessment_term, _infer(m)
    wish: Wish | None = None
    live: tuple[Assessed, ...] = ()
    ends: int | None = None
    if "wishes" in state.parts:
        wish, live, ends = (
            state.wishes.desired,
            state.wishes.assessed(m.at, term),
            state.wishes.changes_after(m.at, term),
        )
    desired = None if wish is None else m.outlook.types.get(wish.slug)
    mismatches, why = ((), UNKNOWN_REASON_NOT_DECLARED) if wish is None else differences(desired, m.axes)
    changes = [ends, m.lifecycle.changes_at, m.axes.changes_at, inferred.changes_at]
    return Types(
        desired_slug="" if wish is None else wish.slug,
        desired_position=0 if wish is None else wish.position,
        # The latest judgement, whoever made it; that others differ is told beside it.
        actual_slug=live[-1].slug if live else inferred.slug,
        actual_provenance=PROVENANCE_ASSESSED if live else PROVENANCE_INFERRED,
        actual_position=live[-1].position if live else 0,
        assessed=_assessed(live) if live else (),
        inferred_slug=inferred.slug,
        inferred_rule=inferred.rule,
        clauses=WhenRead(_clauses, m, inferred.rule),
        mismatches=mismatches,
        mismatch_unknown=why,
        changes_at=min([each for each in changes if each is not None], default=None),
    )


def _assessed(live: Sequence[Assessed]) -> tuple[AssessedType, ...]:
    return tuple(
        AssessedType(each.slug, each.our_function, each.assessor_id, each.until, each.position)
        for each in sorted(live, key=lambda each: each.our_function)
    )


def differences(
    desired: RelationshipType | None, axes: Axes
) -> tuple[tuple[Mismatch, ...], UnknownReason.ValueType | None]:
    """Return the axes that are set in a type, known of the relationship, and different; or why none can be compared.

    `desired`: None where the catalogue no longer has the type.
    """
    if desired is None:
        return (), UNKNOWN_REASON_NOT_COMPARABLE
    wished = desired.axes
    pairs = (
        ("valence", axes.valence, wished.valence),
        ("closeness", axes.closeness, wished.closeness),
        ("intensity", axes.intensity, wished.intensity),
    )
    compared = [(axis, found, wanted) for axis, found, wanted in pairs if found and wanted]
    if not compared:
        return (), UNKNOWN_REASON_NOT_COMPARABLE
    differing = (each for each in compared if each[1] != each[2])
    return tuple(Mismatch(axis, _direction(axis, found, wanted)) for axis, found, wanted in differing), None


def level_name(axis: str, level: int) -> str:
    """Return a level of an axis without its prefix. Example: `POSITIVE`."""
    found = _LEVELS[axis].values_by_number[level].name
    return found.removeprefix(f"{axis.upper()}_")


def _direction(axis: str, found: int, wanted: int) -> levels.MismatchDirection.ValueType:
    if axis == "closeness":
        closer = found == levels.CLOSENESS_INTIMATE
        return (
            levels.MISMATCH_DIRECTION_CLOSER_THAN_WISHED
            if closer
            else levels.MISMATCH_DIRECTION_MORE_DISTANT_THAN_WISHED
        )
    if axis == "intensity":
        more = found == levels.INTENSITY_INTENSE
        return (
            levels.MISMATCH_DIRECTION_MORE_INTENSE_THAN_WISHED if more else levels.MISMATCH_DIRECTION_WEAKER_THAN_WISHED
        )
    better = _VALENCES.index(found) > _VALENCES.index(wanted)
    return levels.MISMATCH_DIRECTION_BETTER_THAN_WISHED if better else levels.MISMATCH_DIRECTION_WORSE_THAN_WISHED


def _infer(m: Measured) -> _Inferred:
    rules, axes = m.outlook.rules, m.axes
    found = m.lifecycle.lifecycle, axes.valence, axes.closeness, axes.intensity
    changes: list[int] = []
    for number, rule in enumerate(rules.type_conditions, 1):
        if not _levels_hold(rule, *found):
            continue
        if not rule.bounded:
            return _Inferred(rule.slug, number, min(changes, default=None))
        weighed = m.reciprocity
        changes += _ratio_changes(rule, weighed, m)
        if _within(rule, weighed):
            return _Inferred(rule.slug, number, min(changes, default=None))
    return _Inferred(rules.fallback_slug, 0, min(changes, default=None))


def _levels_hold(rule: Conditions, lifecycle: int, valence: int, closeness: int, intensity: int) -> bool:
    """Tell whether every condition holds but that of reciprocity; what is not known is no level that a rule names."""
    _, lifecycles, good, close, much, _, _ = rule
    return (
        (not lifecycles or lifecycle in lifecycles)
        and (not good or good == valence)
        and (not close or close == closeness)
        and (not much or much == intensity)
    )


def _within(rule: Conditions, of: reciprocity.Weighed) -> bool:
    """Tell whether got / gave lies within the bounds of a rule: exactly, as nothing is reported here."""
    if of.got == of.gave == 0:
        return False
    if FULL * of.got < (rule.ratio_min or 0) * of.gave:
        return False
    return rule.ratio_max is None or FULL * of.got <= rule.ratio_max * of.gave


def _clauses(m: Measured, number: int) -> Iterator[TypeClause]:
    """Yield the conditions of the rule of a number that holds, each with its value; 0: there is none."""
    if not number:
        return
    rule = m.outlook.rules.type_conditions[number - 1]
    if rule.lifecycles:
        name = levels.Lifecycle.Name(m.lifecycle.lifecycle).removeprefix("LIFECYCLE_")
        yield TypeClause("lifecycle", name, m.lifecycle.evidence[-EVIDENCE_MAX:])
    for axis in _LEVELS:
        if getattr(rule, axis):
            yield TypeClause(axis, level_name(axis, getattr(m.axes, axis)), m.axes.evidence.get(axis, ()))
    if rule.bounded:
        weighed = m.reciprocity
        value = "UNBOUNDED" if weighed.unbounded else str(reciprocity.ratio(weighed).ppm)
        yield TypeClause("reciprocity", value, reciprocity.evidence(m, EVIDENCE_MAX))


def _ratio_changes(rule: Conditions, of: reciprocity.Weighed, m: Measured) -> Iterator[int]:
    """Yield when the clock could first move got / gave over a bound of a rule.

    With age all sums shrink by one factor, so their ratio stays where it is but for the rounding of each weight: a ppm
    of the fresh sum at most. So long as that does not reach a bound, nobody needs to look (settled.md 18).
    """
    if of.got == of.gave == 0:
        return
    within = _within(rule, of)
    today = m.at - m.at % _DAY
    safe = _safe_days(rule, of, m.outlook.rules, within=within)
    if safe:
        yield today + (safe + 1) * _DAY
        return
    for day in range(1, _SCAN_DAYS):
        then = today + day * _DAY
        if _within(rule, reciprocity.weighed(type(m)(m.record, m.outlook, then))) != within:
            yield then
            return
    yield today + _SCAN_DAYS * _DAY


def _safe_days(rule: Conditions, of: reciprocity.Weighed, rules: Rules, *, within: bool) -> int:
    """Return for how many days from today it is certain that the ratio stays on its side of every bound."""
    low, high = 0, len(rules.decay) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _stays(rule, of, rules.decay[middle], within=within):
            low = middle
        else:
            high = middle - 1
    return low


def _stays(rule: Conditions, of: reciprocity.Weighed, weight: int, *, within: bool) -> bool:
    """Tell whether the ratio is where it is after so many days that a fact of today weighs `weight` ppm."""
    if not weight:
        return False
    # What is true lies up to a ppm of the fresh sum above what was added up, and what will be, below what is true then.
    least = of.got * weight - of.got_fresh * FULL, (of.gave + of.gave_fresh) * weight
    most = (of.got + of.got_fresh) * weight, of.gave * weight - of.gave_fresh * FULL
    ratio_min = rule.ratio_min or 0
    over_min = FULL * least[0] >= ratio_min * least[1]
    if rule.ratio_max is None:
        under_max, over_max = True, False
    else:
        under_max = most[1] > 0 and FULL * most[0] <= rule.ratio_max * most[1]
        over_max = FULL * least[0] > rule.ratio_max * least[1]
    if within:
        return over_min and under_max
    under_min = most[1] > 0 and FULL * most[0] < ratio_min * most[1]
    return under_min or over_max
