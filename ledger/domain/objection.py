"""Objections (GDPR Article 21) and their lifting (consent.md 1 and 6).

An objection stands until it is lifted by a later act on both axes; a later consent does not lift it (settled.md 60).
What it binds depends on the purpose, which the contact decision knows. It reaches as far as any other no.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.consent_scope import Cell, Scope, denial_scope
from ledger.domain.decider import Setting, new_fact, occurrence, past_occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import ObjectionLifted, ObjectionRaised
from rapport.type.v1.event_context_pb2 import EventContext

OBJECTION_RAISED: Final = "objection.raised.v1"
OBJECTION_LIFTED: Final = "objection.lifted.v1"
TOPICS: Final = (OBJECTION_RAISED, OBJECTION_LIFTED)
"""What this subject folds."""


class HasObjections(Protocol):
    """State of a relationship, as far as decisions about objections read it."""

    @property
    def objections(self) -> "ObjectionState":
        """Fold of the relationship's objections."""
        ...


@dataclass(frozen=True, slots=True)
class RaiseObjection:
    """Record that the customer objects. Never refused: not for its scope, nor for a clock."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    objection: ObjectionRaised
    """No scope: everything."""
    occur_time: int | None = None
    """Microseconds. None, or in the future: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002  # A no needs nothing before it.
        """Return the fact."""
        when = past_occurrence(self.occur_time, setting)
        return Decision((new_fact(OBJECTION_RAISED, self.objection, when, self.context),))


@dataclass(frozen=True, slots=True)
class LiftObjection:
    """Record that an objection no longer stands."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    lift: ObjectionLifted
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasObjections, setting: Setting) -> Decision:
        """Return the fact. One that is not later than the objection is recorded, and lifts nothing.

        Raises:
            Rejected: OBJECTION_UNKNOWN; OCCUR_TIME_IN_FUTURE.
        """
        if state.objections.find(self.lift.raised_position) is None:
            raise Rejected(
                reasons.ERROR_REASON_OBJECTION_UNKNOWN,
                "the position does not name an objection of this relationship; name that of the objection",
                position=self.lift.raised_position,
            )
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(OBJECTION_LIFTED, self.lift, when, self.context),))


class Objection(NamedTuple):
    """What a customer objected to."""

    position: int
    occur_time: int
    """Microseconds."""
    scope: Scope
    lifted_position: int = 0
    """Of the act that lifted it. 0: it stands."""


class ObjectionState:
    """Fold of the objections of one relationship."""

    __slots__ = ("_raised", "_until")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._raised: dict[int, Objection] = {}

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: a lift that names nothing, or is not later, lifts nothing."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        if isinstance(event, ObjectionRaised):
            self._raised[fact.position] = Objection(fact.position, fact.occur_time, denial_scope(event.scope))
        elif isinstance(event, ObjectionLifted):
            objection = self._raised.get(event.raised_position)
            if objection is not None and not objection.lifted_position and fact.occur_time > objection.occur_time:
                self._raised[objection.position] = objection._replace(lifted_position=fact.position)

    def find(self, position: int) -> Objection | None:
        """Return the objection raised at a position, standing or not."""
        return self._raised.get(position)

    def raised(self) -> Iterator[Objection]:
        """Return all objections, lifted ones too, in the order of their positions."""
        return iter(self._raised.values())

    def standing(self) -> Iterator[Objection]:
        """Return the objections that stand, in the order of their positions."""
        return (objection for objection in self._raised.values() if not objection.lifted_position)

    def against(self, cell: Cell) -> tuple[int, ...]:
        """Return the positions of the standing objections that cover a cell, ascending.

        A question that leaves its contact point or brand open meets the narrowed ones too (settled.md 61).
        """
        if not self._raised:
            return ()
        return tuple(objection.position for objection in self.standing() if objection.scope.denies(cell))
