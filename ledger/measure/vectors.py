"""Involvement vectors (relationship.md 9, first half)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.domain.vector import FULFILLED
from ledger.measure.results import Ratio, Vector, Vectors, unknown
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE

if TYPE_CHECKING:
    from ledger.domain.vector import VectorState
    from ledger.measure.measured import Measured


def vectors(m: Measured) -> Vectors:
    """Return every vector and how many are not fulfilled; that is unknown, not 0, where none was ever opened."""
    found = m.record.state.vectors.all()
    if not found:
        return Vectors(unknown(UNKNOWN_REASON_NO_EVIDENCE), ())
    open_count = sum(each.status != FULFILLED for each in found)
    return Vectors(Ratio(open_count, 1), tuple(map(_told, found)))


def _told(vector: VectorState) -> Vector:
    return Vector(
        vector.vector_id,
        vector.goal,
        vector.status,
        vector.next_reason,
        vector.opened_time,
        vector.changed_time,
        vector.positions,
    )
