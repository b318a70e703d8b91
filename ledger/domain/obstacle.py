"""Obstacles: what stands in the customer's way, until it is removed (relationship.md 1 and 5)."""

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.relating import Relate
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.relationship_pb2 import ObstacleRemoved, ObstacleReported

OBSTACLE_REPORTED: Final = "obstacle.reported.v1"
OBSTACLE_REMOVED: Final = "obstacle.removed.v1"

TOPICS: Final = (OBSTACLE_REPORTED, OBSTACLE_REMOVED)
"""What this subject folds."""


class HasObstacles(Protocol):
    """State of a relationship, as far as decisions about obstacles read it."""

    @property
    def obstacles(self) -> "ObstacleState":
        """Fold of the relationship's obstacles."""
        ...


@dataclass(frozen=True, slots=True)
class ReportObstacle(Relate):
    """Record that something stands in the customer's way."""

    topic: ClassVar[str] = OBSTACLE_REPORTED

    def refuse(self, state: HasObstacles, at: int, setting: Setting) -> None:  # noqa: ARG002  # As others take it.
        """Refuse with OBSTACLE_ID_TAKEN an id that was used before."""
        known = state.obstacles.find(self.event.obstacle_id)
        if known is not None:
            raise Rejected(
                reasons.ERROR_REASON_OBSTACLE_ID_TAKEN,
                "the obstacle_id was used before; choose a new one",
                obstacle_id=known.obstacle_id,
                position=known.position,
            )


@dataclass(frozen=True, slots=True)
class RemoveObstacle(Relate):
    """Record that an obstacle is gone."""

    topic: ClassVar[str] = OBSTACLE_REMOVED

    def refuse(self, state: HasObstacles, at: int, setting: Setting) -> None:  # noqa: ARG002  # As others take it.
        """Refuse with OBSTACLE_UNKNOWN one that is not open, or was not reported by then."""
        known = state.obstacles.find(self.event.obstacle_id)
        if known is None or known.occur_time > at or known not in state.obstacles.open():
            raise Rejected(
                reasons.ERROR_REASON_OBSTACLE_UNKNOWN,
                "no open obstacle of this id was reported by then; check the id and the time",
                obstacle_id=self.event.obstacle_id,
            )


class Obstacle(NamedTuple):
    """What stands, or stood, in the customer's way."""

    obstacle_id: str
    obstacle: str
    """A code."""
    position: int
    occur_time: int
    """Microseconds."""
    our_function: int
    """An `OurFunction`; 0: not said."""


class ObstacleState:
    """Fold of the obstacles of one relationship: the latest word on each by (occur_time, position)."""

    __slots__ = ("_first", "_until", "_words")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._first: dict[str, Obstacle] = {}
        """The first report of each, by position."""
        self._words: dict[str, tuple[int, Obstacle | None]] = {}
        """Occur time of the latest word on each, and the obstacle if that is a report."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: a removal before the report removes nothing.

        An id is reported once; reported again all the same, the obstacle stands again.
        """
        if fact.occur_time > self._until:
            return
        event, obstacle = fact.event, None
        assert isinstance(event, ObstacleReported | ObstacleRemoved)
        if isinstance(event, ObstacleReported):
            obstacle = Obstacle(event.obstacle_id, event.obstacle, fact.position, fact.occur_time, event.our_function)
            self._first.setdefault(event.obstacle_id, obstacle)
        known = self._words.get(event.obstacle_id)
        if known is None or known[0] <= fact.occur_time:
            self._words[event.obstacle_id] = fact.occur_time, obstacle

    def open(self) -> tuple[Obstacle, ...]:
        """Return what stands in the way, by (occur_time, position)."""
        found = (obstacle for _, obstacle in self._words.values() if obstacle is not None)
        return tuple(sorted(found, key=lambda each: (each.occur_time, each.position)))

    def find(self, obstacle_id: str) -> Obstacle | None:
        """Return an obstacle by its id, removed or not."""
        return self._first.get(obstacle_id)
