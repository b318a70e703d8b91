"""Suppressions: whether a customer can be reached (consent.md 5).

Deliverability, not permission: no consent lifts a suppression, only a lifting with an actor and a reason does. Lists
are matched where the addresses are, so an import writes one event into each matched relationship (settled.md 14).
"""

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact, NewFact
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import SuppressionAdded, SuppressionLifted
from rapport.type.v1.event_context_pb2 import EventContext

SUPPRESSION_ADDED: Final = "suppression.added.v1"
SUPPRESSION_LIFTED: Final = "suppression.lifted.v1"

TOPICS: Final = (SUPPRESSION_ADDED, SUPPRESSION_LIFTED)
"""What this subject folds."""

KNOWN: Final = b"\x01"
"""Note of the import of an entry that the same list suppressed before: nothing was recorded."""


class HasSuppressions(Protocol):
    """State of a relationship, as far as decisions about suppressions read it."""

    @property
    def suppressions(self) -> "SuppressionState":
        """Fold of the relationship's suppressions."""
        ...


@dataclass(frozen=True, slots=True)
class AddSuppression:
    """Record that a customer cannot, or must not, be reached."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    suppression: SuppressionAdded
    """One of EXTERNAL_LIST names its list and version."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002 # It may stand twice.
        """Return the fact.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        return Decision((_added(self.suppression, self.occur_time, self.context, setting),))


@dataclass(frozen=True, slots=True)
class LiftSuppression:
    """Record that a suppression no longer stands. Its context names who says so."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    lift: SuppressionLifted
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasSuppressions, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: SUPPRESSION_UNKNOWN; OCCUR_TIME_IN_FUTURE.
        """
        position = self.lift.added_position
        found = state.suppressions.find(position)
        if found is None or found.lifted_position:
            raise Rejected(
                reasons.ERROR_REASON_SUPPRESSION_UNKNOWN,
                "the position does not name a suppression of this relationship that stands; check the suppressions",
                added_position=position,
            )
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(SUPPRESSION_LIFTED, self.lift, when, self.context),))


@dataclass(frozen=True, slots=True)
class ImportSuppression:
    """Record that a customer is on a list; change nothing where the same version of the list said so before."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    suppression: SuppressionAdded
    """With the name and the version of its list."""
    context: EventContext | None = None

    def decide(self, state: HasSuppressions, setting: Setting) -> Decision:
        """Return the fact; nothing but the note KNOWN where the entry was imported before, even if it was lifted since.

        Who lifted it judged this very entry: sending the list once more must not overrule that, its next version may.
        """
        if state.suppressions.imported(self.suppression):
            return Decision((), KNOWN)
        return Decision((_added(self.suppression, None, self.context, setting),))


def _added(
    suppression: SuppressionAdded, occur_time: int | None, context: EventContext | None, setting: Setting
) -> NewFact:
    return new_fact(SUPPRESSION_ADDED, suppression, occurrence(occur_time, setting), context)


class Suppression(NamedTuple):
    """One suppression and what became of it."""

    position: int
    """Log position of its event."""
    message: SuppressionAdded
    """As it was recorded; never changed."""
    occur_time: int
    """Microseconds."""
    lifted_position: int = 0
    """Log position of the event that lifted it; 0: it stands."""
    lifted_time: int = 0
    """Occur time of that event. Microseconds."""


_Entry = tuple[str, str, int, str]
"""Name and version of a list, channel and contact point."""


class SuppressionState:
    """Fold of one relationship."""

    __slots__ = ("_all", "_imported", "_standing", "_until")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._all: dict[int, Suppression] = {}
        self._standing: tuple[Suppression, ...] = ()
        self._imported: set[_Entry] = set()

    def standing(self) -> tuple[Suppression, ...]:
        """Return the suppressions that were not lifted, by ascending position."""
        return self._standing

    def all(self) -> tuple[Suppression, ...]:
        """Return every suppression, lifted ones too, by ascending position."""
        return tuple(self._all.values())

    def find(self, position: int) -> Suppression | None:
        """Return the suppression that was recorded at a position, lifted or not."""
        return self._all.get(position)

    def imported(self, suppression: SuppressionAdded) -> bool:
        """Tell whether the same list, in the same version, suppressed the same channel and contact point before."""
        return _entry(suppression) in self._imported

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: a lifting of what is not there lifts nothing."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        if isinstance(event, SuppressionAdded):
            self._all[fact.position] = Suppression(fact.position, event, fact.occur_time)
            if event.list_name:
                self._imported.add(_entry(event))
        elif isinstance(event, SuppressionLifted):
            found = self._all.get(event.added_position)
            if found is None or found.lifted_position:
                return
            lifted = found._replace(lifted_position=fact.position, lifted_time=fact.occur_time)
            self._all[found.position] = lifted
        self._standing = tuple([each for each in self._all.values() if not each.lifted_position])


def _entry(suppression: SuppressionAdded) -> _Entry:
    return suppression.list_name, suppression.list_version, suppression.channel, suppression.contact_point_id
