"""Valence, closeness and intensity (relationship.md 7)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
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
    evidence: Callable[[], Iterable[int]]
    changes_at: int | None


_NO_TONE: Final = _Axis(levels.VALENCE_UNSPECIFIED, unknown(UNKNOWN_REASON_NO_EVIDENCE), tuple, None)
"""The valence of a customer of whom nothing bore a tone."""


def axes(m: Measured) -> Axes:
    """Return the axes at the instant. Levels go by the exact values; what is reported of those is rounded."""
    tone, near, much = _valence(m), _closeness(m), _intensity(m)
    changes = [each.changes_at for each in (tone, near, much) if each.changes_at is not None]
    return Axes(
        valence=levels.Valence.ValueType(tone.level),
        valence_value=tone.value,
        closeness=levels.Closeness.ValueType(near.level),
        closeness_value=near.value,
        intensity=levels.Intensity.ValueType(much.level),
        intensity_value=much.value,
        evidence=Evidence({"valence": tone.evidence, "closeness": near.evidence, "intensity": much.evidence}),
        changes_at=min(changes, default=None),
    )


def _valence(m: Measured) -> _Axis:
    """Return (P - N) / (P + N + prior) of what bore a tone in its window."""
    rules, tones = m.outlook.rules, m.record.acts.tones
    if not tones:
        return _NO_TONE
    heard = {BY_KIND, *rules.sentiment_provenances}
    window = rules.valence_window
    counts = {1: 0, -1: 0}
    moments = []
    for (sign, provenance), each in tones.items():
        if provenance in heard:
            counts[sign] += _within(each, m.at, window)
            moments.append(each)
    good, bad = counts[1], counts[-1]
    if good + bad < max(rules.valence_min, 1):
        value, level = _too_few(good + bad), levels.VALENCE_UNSPECIFIED
    else:
        value = Ratio(good - bad, good + bad + rules.valence_prior)
        level = _valence_of(value, rules)
    return _Axis(level, value, lambda: _latest(moments, m.at, window), _next_exit(moments, m.at, window))


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
    rules, talk, known = m.outlook.rules, m.record.talk, m.knowledge
    at, window = m.at, rules.window
    addressed = sum(_within(each, at, window) for each in (talk.inbound, talk.outbound))
    addressed -= _within(talk.mutual, at, window)
    exits = _next_exit((talk.inbound, talk.outbound), at, window)

    def evidence() -> tuple[int, ...]:
        return _latest((talk.together,), at, window)

    if addressed < max(rules.closeness_min, 1):
        return _Axis(levels.CLOSENESS_UNSPECIFIED, _too_few(addressed), evidence, exits)
    together, groups = _within(talk.together, at, window), max(known.groups, 1)
    value = Ratio(known.groups_declared * addressed + together * groups, 2 * groups * addressed)
    intimate = value.n * FULL >= rules.intimate_from * value.d
    level = levels.CLOSENESS_INTIMATE if intimate else levels.CLOSENESS_DISTANT
    return _Axis(level, value, evidence, exits)


def _intensity(m: Measured) -> _Axis:
    """Return the involvement, where the customer has begun enough for it to mean something."""
    rules = m.outlook.rules
    begun = len(m.sessions.acts)
    if begun < rules.intensity_min:
        return _Axis(levels.INTENSITY_UNSPECIFIED, _too_few(begun), tuple, None)
    value = involvement.involvement(m)

    def evidence() -> tuple[int, ...]:
        return involvement.evidence(m, EVIDENCE_MAX)

    if value.unknown is not None:
        return _Axis(levels.INTENSITY_UNSPECIFIED, value, evidence, None)
    if value.n * FULL >= rules.intense_from * value.d:
        return _Axis(levels.INTENSITY_INTENSE, value, evidence, _weaker_at(m))
    return _Axis(levels.INTENSITY_WEAK, value, evidence, None)


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
    return len(moments) - moments.until(at - window)


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
