"""Types of relationships, as the customer wishes and as persons judge (relationship.md 8).

Kept apart: a judgement never overwrites a wish. Types are data of a catalogue, so whether there is one of a slug is
asked of what the organization has published.
"""

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Fact
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.relating import Relate
from ledger.domain.times import END_OF_TIME, microseconds
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.relationship_pb2 import RelationshipTypeAssessed, RelationshipTypeDeclared

TYPE_DECLARED: Final = "relationship_type.declared.v1"
TYPE_ASSESSED: Final = "relationship_type.assessed.v1"

TOPICS: Final = (TYPE_DECLARED, TYPE_ASSESSED)
"""What this subject folds."""


class _Catalogue(Protocol):
    @property
    def current(self) -> Mapping[str, Any]: ...


class _Published(Protocol):
    @property
    def types(self) -> _Catalogue: ...


@dataclass(frozen=True, slots=True)
class _Typed(Relate):
    """What names a type of the organization's catalogue."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The organization's policy stream, for its catalogue."""
        return (policy_stream(organization_of(self.stream_id)),)

    def refuse(self, state: object, at: int, setting: Setting) -> None:  # noqa: ARG002  # As others take it.
        """Refuse with TYPE_UNKNOWN a slug that is neither shipped nor published."""
        (stream_id,) = self.reads
        published: _Published = setting.others[stream_id]
        if self.event.slug not in published.types.current:
            raise Rejected(
                reasons.ERROR_REASON_TYPE_UNKNOWN,
                "the slug is in no catalogue; publish it in one, or correct it",
                slug=self.event.slug,
            )


@dataclass(frozen=True, slots=True)
class DeclareRelationshipType(_Typed):
    """Record the kind of relationship that the customer wishes."""

    topic: ClassVar[str] = TYPE_DECLARED


@dataclass(frozen=True, slots=True)
class AssessRelationshipType(_Typed):
    """Record what kind of relationship it is, as a named person judges it."""

    topic: ClassVar[str] = TYPE_ASSESSED

    def refuse(self, state: object, at: int, setting: Setting) -> None:
        """Refuse with REQUEST_INVALID a judgement that ends before it holds; else as for a wish."""
        if self.event.HasField("until") and microseconds(self.event.until) <= at:
            violation = Violation("assessment.until", "must be later than occur_time")
            raise Rejected(
                reasons.ERROR_REASON_REQUEST_INVALID, f"{violation.field}: {violation.description}", [violation]
            )
        _Typed.refuse(self, state, at, setting)


class Wish(NamedTuple):
    """The kind of relationship that the customer wished at a time."""

    slug: str
    position: int
    occur_time: int
    """Microseconds."""


class Assessed(NamedTuple):
    """What kind of relationship it is, as a named person judged it."""

    slug: str
    our_function: int
    """An `OurFunction`; 0: not said."""
    assessor_id: str
    until: int
    """First instant at which it no longer holds. Microseconds."""
    position: int
    occur_time: int
    """Microseconds."""


class _Judged(NamedTuple):
    message: RelationshipTypeAssessed
    position: int
    occur_time: int

    def until(self, term: int) -> int:
        return microseconds(self.message.until) if self.message.HasField("until") else self.occur_time + term


class WishState:
    """Fold of wished and assessed types of one relationship."""

    __slots__ = ("_judged", "_until", "_wishes")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._wishes: list[tuple[int, int, str]] = []
        """(occur_time, position, slug), in that order."""
        self._judged: dict[int, _Judged] = {}
        """The latest judgement by function."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        if isinstance(event, RelationshipTypeDeclared):
            insort(self._wishes, (fact.occur_time, fact.position, event.slug))
            return
        assert isinstance(event, RelationshipTypeAssessed)
        known = self._judged.get(event.our_function)
        if known is None or known.occur_time <= fact.occur_time:
            self._judged[event.our_function] = _Judged(event, fact.position, fact.occur_time)

    @property
    def desired(self) -> Wish | None:
        """The latest wish; None: none was ever declared, and no other provenance stands in for it."""
        if not self._wishes:
            return None
        occur_time, position, slug = self._wishes[-1]
        return Wish(slug, position, occur_time)

    def history(self) -> list[Wish]:
        """Return every wish, by (occur_time, position)."""
        return [Wish(slug, position, occur_time) for occur_time, position, slug in self._wishes]

    def assessed(self, at: int, term: int) -> tuple[Assessed, ...]:
        """Return the latest judgement of each function, as far as it holds at an instant; by (occur_time, position).

        `term`: how long one holds that does not say; both in microseconds.
        """
        live = [each for each in self._judged.values() if at < each.until(term)]
        return tuple(
            Assessed(
                each.message.slug,
                each.message.our_function,
                each.message.assessor_id,
                each.until(term),
                each.position,
                each.occur_time,
            )
            for each in sorted(live, key=lambda each: (each.occur_time, each.position))
        )

    def changes_after(self, at: int, term: int) -> int | None:
        """Return the earliest later instant at which a judgement no longer holds, in microseconds; None: none does."""
        return min((each.until(term) for each in self._judged.values() if at < each.until(term)), default=None)
