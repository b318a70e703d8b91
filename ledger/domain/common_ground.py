"""Common ground: what both sides share (relationship.md 3).

Ground is declared and ended by its id; of several words on one id the latest by (occur_time, position) holds.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.relating import Relate
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.relationship_pb2 import CommonGroundDeclared, CommonGroundEnded

COMMON_GROUND_DECLARED: Final = "common_ground.declared.v1"
COMMON_GROUND_ENDED: Final = "common_ground.ended.v1"

TOPICS: Final = (COMMON_GROUND_DECLARED, COMMON_GROUND_ENDED)
"""What this subject folds."""


class HasCommonGround(Protocol):
    """State of a relationship, as far as decisions about common ground read it."""

    @property
    def common_ground(self) -> "CommonGroundState":
        """Fold of the relationship's common ground."""
        ...


@dataclass(frozen=True, slots=True)
class DeclareCommonGround(Relate):
    """Record what both sides share; declared again under one id, it is replaced."""

    topic: ClassVar[str] = COMMON_GROUND_DECLARED


@dataclass(frozen=True, slots=True)
class EndCommonGround(Relate):
    """Record that ground is shared no more."""

    topic: ClassVar[str] = COMMON_GROUND_ENDED

    def refuse(self, state: HasCommonGround, at: int, setting: Setting) -> None:  # noqa: ARG002  # As others take it.
        """Refuse with COMMON_GROUND_UNKNOWN what is not live, or was not declared by then."""
        ground = state.common_ground.find(self.event.item_id)
        if ground is None or ground.occur_time > at:
            raise Rejected(
                reasons.ERROR_REASON_COMMON_GROUND_UNKNOWN,
                "no live common ground of this id was declared by then; check the id and the time",
                item_id=self.event.item_id,
            )


class Ground(NamedTuple):
    """Something that both sides share."""

    item_id: str
    ground: str
    """A code."""
    provenance: int
    """A `Provenance`. Only DECLARED ground counts for existence."""
    position: int
    occur_time: int
    """Microseconds."""


class CommonGroundState:
    """Fold of the common ground of one relationship."""

    __slots__ = ("_grounds", "_until")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._grounds: dict[str, tuple[int, Ground | None]] = {}
        """By id the occur time of the latest word on it, and the ground if that is a declaration."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: an end of what is not declared only lasts until it is."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        assert isinstance(event, CommonGroundDeclared | CommonGroundEnded)
        known = self._grounds.get(event.item_id)
        if known is not None and known[0] > fact.occur_time:
            return
        ground = None
        if isinstance(event, CommonGroundDeclared):
            ground = Ground(event.item_id, event.ground, event.provenance, fact.position, fact.occur_time)
        self._grounds[event.item_id] = fact.occur_time, ground

    def live(self) -> tuple[Ground, ...]:
        """Return what is shared, by (occur_time, position)."""
        found = (ground for _, ground in self._grounds.values() if ground is not None)
        return tuple(sorted(found, key=lambda ground: (ground.occur_time, ground.position)))

    def find(self, item_id: str) -> Ground | None:
        """Return live ground by its id."""
        return self._grounds.get(item_id, (0, None))[1]
