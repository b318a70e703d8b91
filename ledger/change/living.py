"""Changes of the lifecycle: `at_risk`, `lapsed`, `ended`, `reactivated` (relationship.md 4 and 15, settled.md 41).

What is not announced leaves the announced level where it is, so that each announcement begins where the last ended.
Before the first announcement the level follows silently: a customer who begins to act is not back from anywhere.
"""

from collections.abc import Iterator
from typing import Final

from ledger.change.look import Draft, Look
from rapport.change.v1 import change_pb2 as pb
from rapport.type.v1 import levels_pb2
from rapport.type.v1.levels_pb2 import Lifecycle

MEASURE: Final = "lifecycle"
_ENTERED: Final = {
    levels_pb2.LIFECYCLE_AT_RISK: pb.CHANGE_KIND_AT_RISK,
    levels_pb2.LIFECYCLE_LAPSED: pb.CHANGE_KIND_LAPSED,
    levels_pb2.LIFECYCLE_ENDED: pb.CHANGE_KIND_ENDED,
}


def living(look: Look) -> Iterator[Draft]:
    """Announce that it entered one of the three states, or that it came back from one of them."""
    levels, now = look.levels, look.measured.lifecycle.lifecycle
    before = levels.lifecycle
    if now == before:
        return
    kind = _ENTERED.get(now)
    if now == levels_pb2.LIFECYCLE_ACTIVE and before in _ENTERED:
        kind = pb.CHANGE_KIND_REACTIVATED
    if kind is None:
        if not levels.lifecycle_told:
            levels.lifecycle = now
        return
    levels.lifecycle, levels.lifecycle_told = now, True
    falls_back = (before, now) == (levels_pb2.LIFECYCLE_LAPSED, levels_pb2.LIFECYCLE_AT_RISK)
    yield Draft(kind, MEASURE, name(before), name(now), look.cause, pair=MEASURE, corrects=falls_back)


def name(lifecycle: int) -> str:
    """Return the word for a state. Example: `AT_RISK`."""
    return Lifecycle.Name(lifecycle).removeprefix("LIFECYCLE_")  # type: ignore[arg-type]  # A number of the enum.
