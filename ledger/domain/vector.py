"""Involvement vectors: what the customer wants to achieve with us (relationship.md 9).

A vector is opened once; then it is fulfilled, or renewed, which opens it again with a new reason to return. Where it
stands follows from its acts in the order (occur_time, position).
"""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.relating import Relate
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.relationship_pb2 import VectorFulfilled, VectorOpened, VectorRenewed
from rapport.type.v1 import levels_pb2 as levels

VECTOR_OPENED: Final = "vector.opened.v1"
VECTOR_RENEWED: Final = "vector.renewed.v1"
VECTOR_FULFILLED: Final = "vector.fulfilled.v1"

TOPICS: Final = (VECTOR_OPENED, VECTOR_RENEWED, VECTOR_FULFILLED)
"""What this subject folds."""

FULFILLED: Final = levels.VECTOR_STATUS_FULFILLED


class HasVectors(Protocol):
    """State of a relationship, as far as decisions about vectors read it."""

    @property
    def vectors(self) -> "VectorStates":
        """Fold of the relationship's vectors."""
        ...


@dataclass(frozen=True, slots=True)
class OpenVector(Relate):
    """Record what the customer wants to achieve."""

    topic: ClassVar[str] = VECTOR_OPENED

    def refuse(self, state: HasVectors, at: int, setting: Setting) -> None:  # noqa: ARG002  # As others take it.
        """Refuse with VECTOR_ID_TAKEN an id that was used before."""
        known = state.vectors.find(self.event.vector_id)
        if known is not None:
            raise Rejected(
                reasons.ERROR_REASON_VECTOR_ID_TAKEN,
                "the vector_id was used before; choose a new one, or renew the vector",
                vector_id=known.vector_id,
                position=known.positions[0],
            )


@dataclass(frozen=True, slots=True)
class RenewVector(Relate):
    """Record a new reason to return; a fulfilled vector is open again."""

    topic: ClassVar[str] = VECTOR_RENEWED

    def refuse(self, state: HasVectors, at: int, setting: Setting) -> None:  # noqa: ARG002  # As others take it.
        """Refuse with VECTOR_UNKNOWN one that was not opened by then."""
        _opened_by(state.vectors, self.event.vector_id, at)


@dataclass(frozen=True, slots=True)
class FulfilVector(Relate):
    """Record that the customer has got what they came for."""

    topic: ClassVar[str] = VECTOR_FULFILLED

    def refuse(self, state: HasVectors, at: int, setting: Setting) -> None:  # noqa: ARG002  # As others take it.
        """Refuse with VECTOR_UNKNOWN one that was not opened by then, with VECTOR_NOT_OPEN one that is fulfilled."""
        then = _opened_by(state.vectors, self.event.vector_id, at)
        now = state.vectors.find(self.event.vector_id)
        for vector in (then, now):
            if vector is not None and vector.status == FULFILLED:
                raise Rejected(
                    reasons.ERROR_REASON_VECTOR_NOT_OPEN,
                    "the vector is fulfilled; open a new one, or renew it",
                    vector_id=vector.vector_id,
                    position=vector.changed_position,
                )


class VectorState(NamedTuple):
    """One vector and where it stands."""

    vector_id: str
    goal: str
    """A code."""
    status: levels.VectorStatus.ValueType
    next_reason: str
    """The next reason to return, a code; empty: none."""
    opened_time: int
    """Microseconds."""
    changed_time: int
    """When it came to stand so. Microseconds."""
    positions: tuple[int, ...]
    """Of its events, the opening first, then by (occur_time, position)."""
    programme: str
    """A code; empty: none."""
    changed_position: int
    """Position of the event by which it came to stand so."""


_Act = tuple[int, int, VectorOpened | VectorRenewed | VectorFulfilled]
"""Occur time, position and event. No two acts have one position, so events are never compared."""


class VectorStates:
    """Fold of the vectors of one relationship."""

    __slots__ = ("_acts", "_until")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._acts: dict[str, list[_Act]] = {}
        """What came of each vector, in order."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: what came before an opening is left out of account.

        An id is opened once; a second opening all the same opens it again.
        """
        if fact.occur_time > self._until:
            return
        event = fact.event
        assert isinstance(event, VectorOpened | VectorRenewed | VectorFulfilled)
        insort(self._acts.setdefault(event.vector_id, []), (fact.occur_time, fact.position, event))

    def all(self) -> tuple[VectorState, ...]:
        """Return every vector, by the position of its opening."""
        found = (_state(acts, END_OF_TIME) for acts in self._acts.values())
        return tuple(sorted((each for each in found if each is not None), key=lambda each: each.positions[0]))

    def find(self, vector_id: str, at: int = END_OF_TIME) -> VectorState | None:
        """Return a vector as it stands by an instant, in microseconds; None: it was not opened by then."""
        return _state(self._acts.get(vector_id, ()), at)


def _state(acts: Iterable[_Act], at: int) -> VectorState | None:
    """Return what a vector's acts come to by an instant, in microseconds; None: none opened it."""
    state: VectorState | None = None
    for time, position, event in acts:
        if time > at:
            break
        if isinstance(event, VectorOpened):
            state = _opened(event, time, position, state)
        elif state is not None:
            state = _moved(state, event, time, position)
    return state


def _opened(event: VectorOpened, time: int, position: int, before: VectorState | None) -> VectorState:
    opened_time, positions = (time, ()) if before is None else (before.opened_time, before.positions)
    return VectorState(
        event.vector_id,
        event.goal,
        levels.VECTOR_STATUS_OPEN,
        event.next_reason,
        opened_time,
        time,
        (*positions, position),
        event.programme,
        position,
    )


def _moved(state: VectorState, event: VectorRenewed | VectorFulfilled, time: int, position: int) -> VectorState:
    positions = (*state.positions, position)
    if isinstance(event, VectorFulfilled) and state.status == FULFILLED:
        return state._replace(positions=positions)
    status, next_reason = FULFILLED, ""
    if isinstance(event, VectorRenewed):
        status, next_reason = levels.VECTOR_STATUS_RENEWED, event.next_reason
    return state._replace(
        status=status,
        next_reason=next_reason,
        changed_time=time,
        positions=positions,
        changed_position=position,
    )


def _opened_by(vectors: VectorStates, vector_id: str, at: int) -> VectorState:
    """Return a vector that had been opened at an instant."""
    vector = vectors.find(vector_id, at)
    if vector is None:
        raise Rejected(
            reasons.ERROR_REASON_VECTOR_UNKNOWN,
            "no vector of this id was opened in the relationship by then; check the id and the time",
            vector_id=vector_id,
        )
    return vector
