"""Valence, closeness and intensity (relationship.md 7)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import neg
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.domain.decay import FULL
from ledger.domain.moments import Moments
from ledger.measure import involvement
from ledger.measure.acts import BY_KIND, DAY
from ledger.measure.evidence import EVIDENCE_MAX, Evidence
from ledger.measure.results import Axes, Ratio, unknown
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE, UNKNOWN_REASON_TOO_FEW
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from ledger.measure.measured import Measured
    from ledger.measure.rules import Rules


class _Axis(NamedTuple):
    level: int
    value: Ratio
    changes_at: int | None


_NO_TONE: Final = _Axis(levels.VALENCE_UNSPECIFIED, unknown(UNKNOWN_REASON_NO_EVIDENCE), None)
"""The valence of a customer of whom nothing bore a tone."""


def axes(m: Measured) -> Axes:
    """Return the axes at the instant. Levels go by the exact values; what is reported of those is rounded."""
    tone, near, much = _valence(m), _closeness(m), _intensity(m)
    changes = [at for at in (tone.changes_at, near.changes_at, much.changes_at) if at is not None]
    return Axes(
        valence=levels.Valence.ValueType(tone.level),
        valence_value=tone.value,
        closeness=levels.Closeness.ValueType(near.level),
        closeness_value=near.value,
        intensity=levels.Intensity.ValueType(much.level),
        intensity_value=much.value,
        evidence=Evidence(_EVIDENCE, m),
        changes_at=min(changes, default=None),
    )


def _valence(m: Measured) -> _Axis:
    """Return (P - N) / (P + N + prior) of what bore a tone in its window."""
    rules, tones = m.outlook.rules, m.record.acts.tones
    if not tones:
        return _NO_TONE
    window = rules.valence_window
    counts, moments = {1: 0, -1: 0}, []
    for sign, each in _tones(m):
        counts[sign] += _within(each, m.at, window)
        moments.append(each)
    good, bad = counts[1], counts[-1]
    if good + bad < max(rules.valence_min, 1):
        value, level = _too_few(good + bad), levels.VALENCE_UNSPECIFIED
    else:
        value = Ratio(good - bad, good + bad + rules.valence_prior)
        level = _valence_of(value, rules)
    return _Axis(level, value, _next_exit(moments, m.at, window))


def _tones(m: Measured) -> list[tuple[int, Moments]]:
    """Return what bore a tone that the policy hears, each with its sign."""
    heard = {BY_KIND, *m.outlook.rules.sentiment_provenances}
    return [(sign, each) for (sign, provenance), each in m.record.acts.tones.items() if provenance in heard]


def _valence_of(value: Ratio, rules: Rules) -> levels.Valence.ValueType:
    if value.n * FULL >= rules.positive_from * value.d:
        return levels.VALENCE_POSITIVE
    if value.n * FULL <= -rules.negative_from * value.d:
        return levels.VALENCE_NEGATIVE
    return levels.VALENCE_NEUTRAL


def _closeness(m: Measured) -> _Axis:
    """Return 1/2 groups declared / groups + 1/2 synchronous / addressed, over the window.

    A mutual communication counts once (settled.md 45). Of a catalogue without groups nothing was declared.
    """
    rules, talk, (inbound, outbound, _) = m.outlook.rules, m.record.talk, m.spoken
    at, window = m.at, rules.window
    addressed = inbound.within + outbound.within - _within(talk.mutual, at, window)
    leaves = [each for each in (inbound.leaves_at(window), outbound.leaves_at(window)) if each is not None]
    exits = min(leaves, default=None)
    if addressed < max(rules.closeness_min, 1):
        return _Axis(levels.CLOSENESS_UNSPECIFIED, _too_few(addressed), exits)
    known = m.knowledge
    together, groups = _within(talk.together, at, window), max(known.groups, 1)
    value = Ratio(known.groups_declared * addressed + together * groups, 2 * groups * addressed)
    intimate = value.n * FULL >= rules.intimate_from * value.d
    level = levels.CLOSENESS_INTIMATE if intimate else levels.CLOSENESS_DISTANT
    return _Axis(level, value, exits)


def _intensity(m: Measured) -> _Axis:
    """Return the involvement, where the customer has begun enough for it to mean something."""
    rules = m.outlook.rules
    begun = len(m.sessions.acts)
    if begun < rules.intensity_min:
        return _Axis(levels.INTENSITY_UNSPECIFIED, _too_few(begun), None)
    value = involvement.involvement(m)
    if value.unknown is not None:
        return _Axis(levels.INTENSITY_UNSPECIFIED, value, None)
    if value.n * FULL >= rules.intense_from * value.d:
        return _Axis(levels.INTENSITY_INTENSE, value, _weaker_at(m))
    return _Axis(levels.INTENSITY_WEAK, value, None)


def _weaker_at(m: Measured) -> int | None:
    """Return a midnight before which an INTENSE relationship does not become WEAK by the clock, in microseconds.

    k days later a mass M is still more than M * decay(k) - R, where R is what it would be without decay: each floor of
    the table takes less than a ppm of its day. That is so near M that the midnight is the right one or a little early.
    """
    rules = m.outlook.rules
    threshold, margin = rules.intense_from, FULL - rules.intense_from
    if not threshold or not margin:
        return None if not threshold else (m.at // DAY + 1) * DAY
    mass, fresh = m.mass
    # Intense while mass * margin >= threshold * half; so, for sure, while decay(k) is at least this.
    enough = threshold * involvement.half_mass(rules) * FULL + fresh * FULL * margin
    least = -(-enough // (mass * margin))
    days = bisect_right(rules.decay, -least, lo=1, key=neg)
    return (m.at // DAY + days) * DAY


def _too_few(count: int) -> Ratio:
    return unknown(UNKNOWN_REASON_TOO_FEW if count else UNKNOWN_REASON_NO_EVIDENCE)


def _within(moments: Moments, at: int, window: int) -> int:
    """Return how many are in the window that ends at an instant, which nothing folded is later than."""
    return len(moments.times) - bisect_right(moments.times, at - window)


def _next_exit(many: Iterable[Moments], at: int, window: int) -> int | None:
    """Return when the next event leaves the window, in microseconds, or None."""
    firsts = ((each, each.until(at - window)) for each in many)
    return min((each.times[first] + window for each, first in firsts if first < len(each)), default=None)


def _latest(many: Sequence[Moments], at: int, window: int) -> tuple[int, ...]:
    """Return the positions of the latest events in the window, ascending, at most 64."""
    found: list[tuple[int, int]] = []
    for each in many:
        first = max(each.until(at - window), len(each) - EVIDENCE_MAX)
        found += zip(each.times[first:], each.positions[first:], strict=True)
    return tuple(sorted(position for _, position in sorted(found)[-EVIDENCE_MAX:]))


def _toned(m: Measured) -> tuple[int, ...]:
    return _latest([each for _, each in _tones(m)], m.at, m.outlook.rules.valence_window)


def _together(m: Measured) -> tuple[int, ...]:
    return _latest((m.record.talk.together,), m.at, m.outlook.rules.window)


def _much(m: Measured) -> tuple[int, ...]:
    return involvement.evidence(m, EVIDENCE_MAX) if len(m.sessions.acts) >= m.outlook.rules.intensity_min else ()


_EVIDENCE: Final[Mapping[str, Callable[[Measured], Iterable[int]]]] = {
    "valence": _toned,
    "closeness": _together,
    "intensity": _much,
}
