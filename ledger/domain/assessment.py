"""Assessments: answers of surveys, and judgements such as satisfaction, trust or commitment (relationship.md 5).

Recorded as they were given, never derived, and no part of the strength.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Fact
from ledger.domain.relating import Relate
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.relationship_pb2 import AssessmentRecorded

ASSESSMENT_RECORDED: Final = "assessment.recorded.v1"

TOPICS: Final = (ASSESSMENT_RECORDED,)
"""What this subject folds."""


@dataclass(frozen=True, slots=True)
class RecordAssessment(Relate):
    """Record an answer on a scale."""

    topic: ClassVar[str] = ASSESSMENT_RECORDED

    def refuse(self, state: object, at: int, setting: Setting) -> None:  # noqa: ARG002  # As others take it.
        """Refuse with SCALE_INVALID a scale that is empty, and an answer outside of it."""
        event, fault = self.event, scale_fault(self.event)
        if fault is not None:
            values = {"score": event.score, "scale_min": event.scale_min, "scale_max": event.scale_max}
            raise Rejected(fault.reason, f"{fault.field}: {fault.description}", [fault], **values)


class Assessment(NamedTuple):
    """The latest answer on a dimension of an instrument."""

    message: AssessmentRecorded
    """As it is stored; never changed."""
    position: int
    occur_time: int
    """Microseconds."""


class AssessmentState:
    """Fold of the assessments of one relationship: the latest by (occur_time, position)."""

    __slots__ = ("_latest", "_until")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._latest: dict[tuple[str, str], Assessment] = {}

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        assert isinstance(event, AssessmentRecorded)
        place = event.instrument, event.dimension
        known = self._latest.get(place)
        if known is None or known.occur_time <= fact.occur_time:
            self._latest[place] = Assessment(event, fact.position, fact.occur_time)

    def latest(self) -> tuple[Assessment, ...]:
        """Return the latest answer of each dimension, by instrument and dimension."""
        return tuple(answer for _, answer in sorted(self._latest.items()))


def scale_fault(event: AssessmentRecorded) -> Violation | None:
    """Return what is wrong with a scale and the answer on it, as a field of a request; None: nothing is."""
    reason = reasons.ERROR_REASON_SCALE_INVALID
    if event.scale_max <= event.scale_min:
        return Violation("assessment.scale_max", "must be above scale_min", reason)
    if not event.scale_min <= event.score <= event.scale_max:
        return Violation("assessment.score", "must lie on the scale", reason)
    return None
