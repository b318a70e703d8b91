"""What customers say is of value to them, and how often they were asked (relationship.md 10)."""

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.relating import Relate
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.relationship_pb2 import ValueDefinitionAsked, ValueDefinitionDeclared

VALUE_ASKED: Final = "value_definition.asked.v1"
VALUE_DECLARED: Final = "value_definition.declared.v1"

TOPICS: Final = (VALUE_ASKED, VALUE_DECLARED)
"""What this subject folds."""


class HasValueQuestions(Protocol):
    """State of a relationship, as far as decisions about definitions of value read it."""

    @property
    def value_questions(self) -> "ValueQuestionState":
        """Fold of the questions about value, and of their answers."""
        ...


@dataclass(frozen=True, slots=True)
class AskValueDefinition(Relate):
    """Record that the customer was asked how they define value."""

    topic: ClassVar[str] = VALUE_ASKED


@dataclass(frozen=True, slots=True)
class DeclareValueDefinition(Relate):
    """Record how the customer defines value, asked or unasked."""

    topic: ClassVar[str] = VALUE_DECLARED

    def refuse(self, state: HasValueQuestions, at: int, setting: Setting) -> None:  # noqa: ARG002  # As others take it.
        """Refuse with VALUE_QUESTION_UNKNOWN a question that was not asked by then."""
        position = self.event.asked_position
        if position and not state.value_questions.was_asked(position, at):
            raise Rejected(
                reasons.ERROR_REASON_VALUE_QUESTION_UNKNOWN,
                "the position names no question about value that was asked by then; name that of the question, or none",
                asked_position=position,
            )


class Definition(NamedTuple):
    """What the customer said is of value to them."""

    message: ValueDefinitionDeclared
    """As it is stored; never changed."""
    position: int
    occur_time: int
    """Microseconds."""


class ValueQuestionState:
    """Fold of the questions about value of one relationship, and of their answers."""

    __slots__ = ("_asked", "_definitions", "_until")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._asked: dict[int, int] = {}
        """Occur times by position."""
        self._definitions: list[Definition] = []

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        if isinstance(event, ValueDefinitionAsked):
            self._asked[fact.position] = fact.occur_time
        elif isinstance(event, ValueDefinitionDeclared):
            self._definitions.append(Definition(event, fact.position, fact.occur_time))

    @property
    def asked(self) -> tuple[int, ...]:
        """Positions of the questions, ascending."""
        return tuple(self._asked)

    @property
    def declared(self) -> int:
        """How many of the questions were answered: each once, and never more than were asked."""
        return len({each.message.asked_position for each in self._definitions} & self._asked.keys())

    def definitions(self) -> tuple[Definition, ...]:
        """Return what the customer said, asked or not, by (occur_time, position)."""
        return tuple(sorted(self._definitions, key=lambda each: (each.occur_time, each.position)))

    def was_asked(self, position: int, at: int) -> bool:
        """Tell whether a question stands at a position and was asked by an instant, in microseconds."""
        return self._asked.get(position, END_OF_TIME + 1) <= at
