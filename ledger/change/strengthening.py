"""Changes of the strength: `strengthened` and `weakened` (relationship.md 5 and 15, settled.md 48).

Announced is the score with its lines and its band, from (0, WEAK) on. It is announced again when the band differs,
which falls only some way below its threshold, or when the score has moved by a step; and if that held for a day. The
deltas are what the lines gained or lost since the last announcement, so they sum to the difference of the scores.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ledger.change.dwell import held
from ledger.change.levels import Levels
from ledger.change.look import Draft, Look
from ledger.measure import drift
from ledger.measure.measured import Measured
from ledger.measure.rules import Rules
from ledger.measure.strength import contributions, levels_of
from rapport.change.v1 import change_pb2 as pb
from rapport.type.v1 import levels_pb2
from rapport.type.v1.levels_pb2 import StrengthBand

MEASURE: Final = "strength"
LOOKS_MAX: Final = 2
"""Most instants at which one look makes the score exactly to find out when the next one is due."""
_WEAK: Final = levels_pb2.STRENGTH_BAND_WEAK
_MODERATE: Final = levels_pb2.STRENGTH_BAND_MODERATE
_STRONG: Final = levels_pb2.STRENGTH_BAND_STRONG
_STRENGTHENED: Final = "strengthened"
_WEAKENED: Final = "weakened"


class Bounds(NamedTuple):
    """Within which scores nothing is announced: from `low` on, and below `high`."""

    low: int
    high: int


def strengthening(look: Look) -> Iterator[Draft]:
    """Announce that the strength rose or fell."""
    levels, rules, score = look.levels, look.measured.outlook.rules, look.score
    bounds = quiet(levels, rules)
    what = _beside(score, bounds)
    cause = held(look, MEASURE, what, rules.strength_dwell)
    if cause is None:
        return
    band = band_of(score, levels.band, rules)
    lines = lines_of(look.measured)
    yield Draft(
        pb.CHANGE_KIND_STRENGTHENED if what == _STRENGTHENED else pb.CHANGE_KIND_WEAKENED,
        MEASURE,
        name(levels.band),
        name(band),
        cause,
        value=score,
        threshold=bounds.high if what == _STRENGTHENED else bounds.low,
        hysteresis=rules.band_gap,
        deltas=deltas(levels.lines, lines),
    )
    levels.score, levels.band, levels.lines = score, band, lines


def crosses_at(look: Look) -> int | None:
    """Return when the clock alone may next carry the score over what matters, in microseconds, or None.

    That is what is announced, and the plain threshold of a band, for lists. Never later than the crossing. Sooner where
    excluding more would cost more than a look in vain: the next event makes all of it anew.
    """
    levels = levels_of(look.measured.outlook.rules, look.levels.score)
    return drift.crosses_at(look.measured, look.score, levels, LOOKS_MAX)


def direction(score: int, levels: Levels, rules: Rules) -> str:
    """Return whether a score is `strengthened` or `weakened` beside what was announced; empty: it is neither."""
    return _beside(score, quiet(levels, rules))


def _beside(score: int, bounds: Bounds) -> str:
    return _STRENGTHENED if score >= bounds.high else _WEAKENED if score < bounds.low else ""


def quiet(levels: Levels, rules: Rules) -> Bounds:
    """Return the bounds around what was announced."""
    low, high = levels.score - rules.strength_step, levels.score + rules.strength_step
    # A step down is one as soon as it is reached, and the bounds are half-open.
    low += 1
    if levels.band == _WEAK:
        high = min(high, rules.moderate_from)
    elif levels.band == _MODERATE:
        low, high = max(low, rules.moderate_from - rules.band_gap), min(high, rules.strong_from)
    elif levels.band == _STRONG:
        low = max(low, rules.strong_from - rules.band_gap)
    return Bounds(low, high)


def band_of(score: int, announced: int, rules: Rules) -> int:
    """Return the band of a score; one below that announced only where the score is some way below its threshold."""
    gap = {band: rules.band_gap if announced >= band else 0 for band in (2, 3)}
    if score >= rules.strong_from - gap[levels_pb2.STRENGTH_BAND_STRONG]:
        return levels_pb2.STRENGTH_BAND_STRONG
    if score >= rules.moderate_from - gap[levels_pb2.STRENGTH_BAND_MODERATE]:
        return levels_pb2.STRENGTH_BAND_MODERATE
    return levels_pb2.STRENGTH_BAND_WEAK


def lines_of(measured: Measured) -> dict[str, int]:
    """Return the score by component, those that add nothing left out; the sum is the score."""
    lines: dict[str, int] = {}
    for line in contributions(measured):
        key = str(int(line.component))
        lines[key] = lines.get(key, 0) + line.ppm
    return {key: ppm for key, ppm in lines.items() if ppm}


def deltas(before: dict[str, int], after: dict[str, int]) -> tuple[tuple[int, int], ...]:
    """Return what components gained or lost, by component; those that did neither are left out."""
    keys = sorted(before.keys() | after.keys(), key=int)
    moved = ((int(key), after.get(key, 0) - before.get(key, 0)) for key in keys)
    return tuple((component, ppm) for component, ppm in moved if ppm)


def name(band: int) -> str:
    """Return the word for a band. Example: `WEAK`."""
    return StrengthBand.Name(band).removeprefix("STRENGTH_BAND_")  # type: ignore[arg-type]  # A number of the enum.
