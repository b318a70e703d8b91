"""Changes of existence: `formed` and `dissolved` (relationship.md 3 and 15). No hysteresis, no dwell."""

from collections.abc import Iterator
from typing import Final

from ledger.change.look import Draft, Look
from ledger.measure.results import Existence
from rapport.change.v1 import change_pb2 as pb
from rapport.type.v1.levels_pb2 import ExistenceLeg

MEASURE: Final = "existence"
EXISTS: Final = "EXISTS"
"""The level of a relationship all of whose legs hold; else `MISSING:` and the legs that do not."""
_NAMES: Final = {number: name.removeprefix("EXISTENCE_LEG_") for name, number in ExistenceLeg.items()}


def existing(look: Look) -> Iterator[Draft]:
    """Announce that all three legs hold, or that one no longer does; both name the legs that were or are missing."""
    levels, now = look.levels, look.measured.existence
    before = levels.missing
    levels.missing = legs_missing(now)
    if now.exists != levels.exists:
        levels.exists = now.exists
        kind = pb.CHANGE_KIND_FORMED if now.exists else pb.CHANGE_KIND_DISSOLVED
        told = (_level(before), EXISTS) if now.exists else (EXISTS, _level(levels.missing))
        yield Draft(kind, MEASURE, *told, look.cause, pair=MEASURE)


def legs_missing(existence: Existence) -> list[str]:
    """Return the names of the legs that do not hold, in order."""
    return [_NAMES[leg] for leg in existence.missing]


def _level(missing: list[str]) -> str:
    return f"MISSING:{','.join(missing)}" if missing else "MISSING"
