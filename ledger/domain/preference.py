"""Preferences: how a customer wants to be spoken to (consent.md 5).

Declared by the customer, never inferred. They limit, they never permit. A declaration holds until another of the same
kind and scope is made, or it is cleared; which one is later is told by (occur_time, position).
"""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.fact import Decision, Fact
from ledger.domain.times import END_OF_TIME
from rapport.events.v1 import preference_pb2
from rapport.events.v1.preference_pb2 import PreferenceCleared, PreferenceDeclared
from rapport.type.v1.event_context_pb2 import EventContext

PREFERENCE_DECLARED: Final = "preference.declared.v1"
PREFERENCE_CLEARED: Final = "preference.cleared.v1"

TOPICS: Final = (PREFERENCE_DECLARED, PREFERENCE_CLEARED)
"""What this subject folds."""

KINDS: Final[dict[str, int]] = {
    "channels": preference_pb2.PREFERENCE_KIND_CHANNELS,
    "topics": preference_pb2.PREFERENCE_KIND_TOPICS,
    "frequency": preference_pb2.PREFERENCE_KIND_FREQUENCY,
    "quiet_hours": preference_pb2.PREFERENCE_KIND_QUIET_HOURS,
    "pause": preference_pb2.PREFERENCE_KIND_PAUSE,
    "language": preference_pb2.PREFERENCE_KIND_LANGUAGE,
    "hours_wanted": preference_pb2.PREFERENCE_KIND_HOURS_WANTED,
    "time_zone": preference_pb2.PREFERENCE_KIND_TIME_ZONE,
}
"""`PreferenceKind` by the field of `PreferenceDeclared` that declares it."""

SCOPED: Final = frozenset({preference_pb2.PREFERENCE_KIND_FREQUENCY, preference_pb2.PREFERENCE_KIND_PAUSE})
"""Kinds of which several may hold, one for each channel and topic; of the others a later one replaces all."""


@dataclass(frozen=True, slots=True)
class DeclarePreference:
    """Record how the customer wants to be spoken to."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    preference: PreferenceDeclared
    """With one of its kinds."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002 # Whatever was declared before.
        """Return the fact.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(PREFERENCE_DECLARED, self.preference, when, self.context),))


@dataclass(frozen=True, slots=True)
class ClearPreference:
    """Record that a declaration no longer holds. Harmless where there is none."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    clearing: PreferenceCleared
    """A channel or topic only with a kind that has them."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002 # There may be nothing to clear.
        """Return the fact.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(PREFERENCE_CLEARED, self.clearing, when, self.context),))


class Declared(NamedTuple):
    """A declaration that holds."""

    message: PreferenceDeclared
    """As it is stored; never changed."""
    position: int
    """Log position of its event."""
    occur_time: int
    """Microseconds."""

    @property
    def kind(self) -> int:
        """Its `PreferenceKind`."""
        return KINDS[self.message.WhichOneof("preference") or ""]


class _Last(NamedTuple):
    """The last word on a kind and scope."""

    occur_time: int
    declared: Declared | None
    """None: cleared."""


_Key = tuple[int, int, str]
"""Kind, channel, topic; the latter two 0 and empty for kinds without scope."""


class PreferenceState:
    """Fold of the preferences of one relationship: the last word on each kind and scope."""

    __slots__ = ("_facts", "_last", "_until")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._last: dict[_Key, _Last] = {}
        self._facts: list[Fact] = []
        """Each word on them, by (occur_time, position): few, and asked for when contacts of the past are judged."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: one that declares nothing known passes by."""
        if fact.occur_time > self._until:
            return
        insort(self._facts, fact, key=_moment)
        event = fact.event
        if isinstance(event, PreferenceDeclared):
            key = _key_of(event)
            declared: Declared | None = Declared(event, fact.position, fact.occur_time)
        else:
            assert isinstance(event, PreferenceCleared)
            key = _key(event.kind, event.channel, event.topic)
            declared = None
        last = self._last.get(key)
        if key[0] and (last is None or fact.occur_time >= last.occur_time):
            self._last[key] = _Last(fact.occur_time, declared)

    def words(self) -> Iterator[Fact]:
        """Yield each declaration and clearing in the order in which they count, by (occur_time, position)."""
        return iter(self._facts)

    def of(self, kind: int, channel: int = 0, topic: str = "") -> Declared | None:
        """Return the declaration of a kind that holds for exactly this scope, or None."""
        last = self._last.get(_key(kind, channel, topic))
        return None if last is None else last.declared

    def all(self) -> list[Declared]:
        """Return the declarations that hold, by kind, channel and topic."""
        return [last.declared for _, last in sorted(self._last.items(), key=_by_key) if last.declared is not None]

    def wanted_topics(self) -> frozenset[str]:
        """Return the codes of what the customer asked to hear of."""
        declared = self.of(preference_pb2.PREFERENCE_KIND_TOPICS)
        return frozenset() if declared is None else frozenset(declared.message.topics.wanted)


def _moment(fact: Fact) -> tuple[int, int]:
    return fact.occur_time, fact.position


def _key(kind: int, channel: int, topic: str) -> _Key:
    return (kind, channel, topic) if kind in SCOPED else (kind, 0, "")


def _key_of(event: PreferenceDeclared) -> _Key:
    match event.WhichOneof("preference"):
        case "frequency":
            return _key(KINDS["frequency"], event.frequency.channel, event.frequency.topic)
        case "pause":
            return _key(KINDS["pause"], event.pause.channel, event.pause.topic)
        case field:
            return (KINDS.get(field or "", 0), 0, "")


def _by_key(item: tuple[_Key, _Last]) -> _Key:
    return item[0]
