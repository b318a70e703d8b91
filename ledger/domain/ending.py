"""A declared end: one side says that the relationship is over (relationship.md 4). What reopens it is an act."""

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from ledger.domain.fact import Fact
from ledger.domain.relating import Relate
from ledger.domain.times import END_OF_TIME
from rapport.events.v1.relationship_pb2 import RelationshipEnded

RELATIONSHIP_ENDED: Final = "relationship.ended.v1"

TOPICS: Final = (RELATIONSHIP_ENDED,)
"""What this subject folds."""


@dataclass(frozen=True, slots=True)
class EndRelationship(Relate):
    """Record that one side declares the relationship over."""

    topic: ClassVar[str] = RELATIONSHIP_ENDED


class Ended(NamedTuple):
    """A declared end."""

    position: int
    occur_time: int
    """Microseconds."""
    by: int
    """A `Party`."""


class EndingState:
    """Fold of the declared ends of one relationship."""

    __slots__ = ("_until", "latest")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self.latest: Ended | None = None
        """The latest by (occur_time, position); None: there is none."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order."""
        event = fact.event
        assert isinstance(event, RelationshipEnded)
        if fact.occur_time <= self._until and (self.latest is None or fact.occur_time >= self.latest.occur_time):
            self.latest = Ended(fact.position, fact.occur_time, event.by)
