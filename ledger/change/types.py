"""Changes of types: `expectation_mismatch`, `_resolved` and `type_changed` (relationship.md 8 and 15)."""

from collections.abc import Iterator, Sequence
from typing import Final

from ledger.change.dwell import held
from ledger.change.look import Draft, Look
from ledger.measure.results import Mismatch
from rapport.change.v1 import change_pb2 as pb
from rapport.events.v1.disclosure_pb2 import PROVENANCE_INFERRED, Provenance
from rapport.type.v1.levels_pb2 import MismatchDirection

MISMATCH: Final = "mismatch"
DESIRED: Final = "type:desired"
ACTUAL: Final = "type:actual"
_NONE: Final = "NONE"


def mismatching(look: Look) -> Iterator[Draft]:
    """Announce that it differs from the wish for long, or, at once, that it no longer does."""
    levels, rules = look.levels, look.measured.outlook.rules
    now = mismatches(look.measured.types.mismatches)
    if levels.mismatched:
        look.levels.pending.pop(MISMATCH, None)
        if not now:
            before, levels.mismatched = levels.mismatched, ""
            kind = pb.CHANGE_KIND_EXPECTATION_MISMATCH_RESOLVED
            yield Draft(kind, MISMATCH, before, _NONE, look.cause, pair=MISMATCH)
        return
    cause = held(look, MISMATCH, "MISMATCH" if now else "", rules.mismatch_dwell)
    if cause is not None:
        levels.mismatched = now
        yield Draft(pb.CHANGE_KIND_EXPECTATION_MISMATCH, MISMATCH, _NONE, now, cause, pair=MISMATCH)


def mismatches(found: Sequence[Mismatch]) -> str:
    """Return axes with their directions, parted by commas. Example: `closeness:CLOSER_THAN_WISHED`."""
    return ",".join(f"{each.axis}:{_direction(each.direction)}" for each in sorted(found))


def type_changing(look: Look) -> Iterator[Draft]:
    """Announce another wish at once, and another actual type: at once if a person judges, else if it lasts."""
    levels, now = look.levels, look.measured.types
    if now.desired_slug != levels.desired:
        measure = f"{DESIRED}/DECLARED"
        yield Draft(
            pb.CHANGE_KIND_TYPE_CHANGED, measure, levels.desired, now.desired_slug, look.cause, pair=DESIRED
        )  # fmt: skip
        levels.desired = now.desired_slug
    if now.actual_slug == levels.actual:
        held(look, ACTUAL, "", 0)
        return
    provenance = Provenance.Name(now.actual_provenance).removeprefix("PROVENANCE_")  # type: ignore[arg-type]
    inferred = now.actual_provenance == PROVENANCE_INFERRED
    dwell = look.measured.outlook.rules.type_dwell if inferred else 0
    cause = held(look, ACTUAL, f"{provenance} {now.actual_slug}", dwell)
    if cause is not None:
        measure = f"{ACTUAL}/{provenance}"
        yield Draft(pb.CHANGE_KIND_TYPE_CHANGED, measure, levels.actual, now.actual_slug, cause, pair=ACTUAL)
        levels.actual = now.actual_slug


def _direction(direction: MismatchDirection.ValueType) -> str:
    return MismatchDirection.Name(direction).removeprefix("MISMATCH_DIRECTION_")
