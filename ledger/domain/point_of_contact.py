"""Points of contact: who takes part in a relationship, on either side, and in what shape (relationship.md 11).

Interactions name the people who had a part in them. So somebody who was never opened as a point of contact can be
closed, if an interaction that counts names them.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.relating import Relate
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import exchange_pb2
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted
from rapport.events.v1.relationship_pb2 import ContactShapeWanted, PointOfContactClosed, PointOfContactOpened

POINT_OF_CONTACT_OPENED: Final = "point_of_contact.opened.v1"
POINT_OF_CONTACT_CLOSED: Final = "point_of_contact.closed.v1"
CONTACT_SHAPE_WANTED: Final = "contact_shape.wanted.v1"

TOPICS: Final = (POINT_OF_CONTACT_OPENED, POINT_OF_CONTACT_CLOSED)
"""What this subject folds, beside interactions that name people, and what rewrites interactions."""
SHAPE_TOPICS: Final = (CONTACT_SHAPE_WANTED,)
"""What the wanted shape is folded from."""

_CUSTOMER: Final = exchange_pb2.PARTY_CUSTOMER
_ORGANIZATION: Final = exchange_pb2.PARTY_ORGANIZATION


class HasPointsOfContact(Protocol):
    """State of a relationship, as far as decisions about points of contact read it."""

    @property
    def points_of_contact(self) -> "PointOfContactState":
        """Fold of the relationship's points of contact."""
        ...


@dataclass(frozen=True, slots=True)
class OpenPointOfContact(Relate):
    """Record that somebody takes part from now on; opened again, they are replaced."""

    topic: ClassVar[str] = POINT_OF_CONTACT_OPENED


@dataclass(frozen=True, slots=True)
class ClosePointOfContact(Relate):
    """Record that somebody takes part no more."""

    topic: ClassVar[str] = POINT_OF_CONTACT_CLOSED

    def refuse(self, state: HasPointsOfContact, at: int, setting: Setting) -> None:  # noqa: ARG002  # As others take it.
        """Refuse with POINT_OF_CONTACT_UNKNOWN who takes no part by then."""
        if not state.points_of_contact.takes_part(self.event.point_of_contact_id, at):
            raise Rejected(
                reasons.ERROR_REASON_POINT_OF_CONTACT_UNKNOWN,
                "nobody of this id takes part in the relationship by then; check the id and the time",
                point_of_contact_id=self.event.point_of_contact_id,
            )


@dataclass(frozen=True, slots=True)
class WantContactShape(Relate):
    """Record the shape that the organization wants for the relationship."""

    topic: ClassVar[str] = CONTACT_SHAPE_WANTED


class PointOfContact(NamedTuple):
    """Somebody who takes part."""

    point_of_contact_id: str
    side: int
    """A `Party`."""
    our_function: int
    """An `OurFunction`; 0: not said."""
    role: str
    """A code; empty: not said."""
    position: int
    occur_time: int
    """Microseconds."""


class Closed(NamedTuple):
    """Somebody who takes part no more."""

    point_of_contact_id: str
    side: int
    """A `Party`; 0: neither an opening nor an interaction that counts tells."""
    position: int
    """Of the closing."""
    occur_time: int
    """Microseconds."""


class _Words(NamedTuple):
    """The latest word on a person, and their last opening."""

    occur_time: int
    opened: PointOfContact | None
    closed_position: int
    """0: the latest word is an opening."""


class PointOfContactState:
    """Fold of the points of contact of one relationship: the latest word on each by (occur_time, position)."""

    __slots__ = ("_named", "_until", "_words")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._words: dict[str, _Words] = {}
        self._named: dict[int, tuple[int, str, str]] = {}
        """Whom interactions name, by the position of the original: its time, our person, the customer's."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: whoever never took part is closed all the same."""
        event = fact.event
        if isinstance(event, PointOfContactOpened | PointOfContactClosed):
            if fact.occur_time <= self._until:
                self._put(event, fact)
        elif isinstance(event, InteractionRecorded):
            self._name(fact.position, fact.occur_time, event)
        elif isinstance(event, InteractionCorrected | InteractionRetracted):
            self._named.pop(event.original_position, None)  # On both axes (settled.md 8).
            if isinstance(event, InteractionCorrected):
                self._name(event.original_position, fact.occur_time, event.replacement)

    def open(self) -> tuple[PointOfContact, ...]:
        """Return who takes part, by (occur_time, position)."""
        found = (words.opened for words in self._words.values() if words.opened and not words.closed_position)
        return tuple(sorted(found, key=lambda each: (each.occur_time, each.position)))

    def closed(self) -> tuple[Closed, ...]:
        """Return whose latest word is a closing, by (occur_time, position)."""
        found = (
            Closed(name, self._side(name), words.closed_position, words.occur_time)
            for name, words in self._words.items()
            if words.closed_position
        )
        return tuple(sorted(found, key=lambda each: (each.occur_time, each.position)))

    def takes_part(self, point_of_contact_id: str, at: int) -> bool:
        """Tell whether somebody takes part by an instant, in microseconds: opened and not closed, or merely named."""
        words = self._words.get(point_of_contact_id)
        if words is not None:
            return not words.closed_position and words.occur_time <= at
        return any(point_of_contact_id in named[1:] and named[0] <= at for named in self._named.values())

    def _put(self, event: PointOfContactOpened | PointOfContactClosed, fact: Fact) -> None:
        name = event.point_of_contact_id
        known = self._words.get(name)
        opened = known.opened if known is not None else None
        if isinstance(event, PointOfContactOpened) and (opened is None or opened.occur_time <= fact.occur_time):
            opened = PointOfContact(
                name, event.side, event.our_function, event.role, fact.position, fact.occur_time
            )  # fmt: skip
        if known is not None and known.occur_time > fact.occur_time:
            self._words[name] = known._replace(opened=opened)
        else:
            closed = fact.position if isinstance(event, PointOfContactClosed) else 0
            self._words[name] = _Words(fact.occur_time, opened, closed)

    def _name(self, position: int, occur_time: int, interaction: InteractionRecorded) -> None:
        ours, theirs = interaction.point_of_contact_id, interaction.customer_person_id
        if (ours or theirs) and occur_time <= self._until:
            self._named[position] = occur_time, ours, theirs

    def _side(self, name: str) -> int:
        opened = self._words[name].opened
        if opened is not None:
            return opened.side
        for _, ours, theirs in self._named.values():
            if name in (ours, theirs):
                return _ORGANIZATION if name == ours else _CUSTOMER
        return 0


class ContactShapeState:
    """Fold of the shape that the organization wants: the latest by (occur_time, position)."""

    __slots__ = ("_time", "_until", "position", "shape")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._time = 0
        self.shape = 0
        """A `ContactShape`; 0: none is wanted."""
        self.position = 0
        """Of the event that said so; 0: none did."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order."""
        event = fact.event
        assert isinstance(event, ContactShapeWanted)
        if fact.occur_time <= self._until and (not self.position or fact.occur_time >= self._time):
            self.shape, self.position, self._time = event.shape, fact.position, fact.occur_time
