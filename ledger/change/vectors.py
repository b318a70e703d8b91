"""Changes of what the customer comes for: `vector_exhausted` (relationship.md 9 and 15). No hysteresis, no dwell."""

from collections.abc import Iterator
from typing import Final

from ledger.change.look import Draft, Look
from rapport.change.v1 import change_pb2 as pb

MEASURE: Final = "vectors"


def exhausting(look: Look) -> Iterator[Draft]:
    """Announce that the last open vector is fulfilled. That another one is opened is told by its own event."""
    if "vectors" not in look.measured.record.state.parts:
        return
    levels, open_count = look.levels, look.measured.vectors.open_count
    exhausted = open_count.unknown is None and open_count.n == 0
    if exhausted and not levels.exhausted:
        yield Draft(pb.CHANGE_KIND_VECTOR_EXHAUSTED, MEASURE, "OPEN", "EXHAUSTED", look.cause)
    levels.exhausted = exhausted
