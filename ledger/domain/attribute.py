"""Attributes with provenance: what is known of a customer, and where it comes from (relationship.md 13).

A value stands in the slot of its key and its provenance and in no other: what was inferred never passes for what was
declared. Only a disclosure fills the slot DECLARED. Codes are open, words are sealed, so no fold sees those.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from ledger.domain.attribute_catalogue import AttributeCatalogues, Catalogue
from ledger.domain.consent_scope import lineage
from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.interaction import InteractionState
from ledger.domain.times import END_OF_TIME, MICROSECONDS
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import disclosure_pb2
from rapport.events.v1.attribute_pb2 import (
    AttributeDisclosed,
    AttributeInferred,
    AttributeObserved,
    AttributeObtained,
    AttributeRequested,
    AttributeWithdrawn,
)
from rapport.type.v1.event_context_pb2 import EventContext

ATTRIBUTE_REQUESTED: Final = "attribute.requested.v1"
ATTRIBUTE_DISCLOSED: Final = "attribute.disclosed.v1"
ATTRIBUTE_OBSERVED: Final = "attribute.observed.v1"
ATTRIBUTE_INFERRED: Final = "attribute.inferred.v1"
ATTRIBUTE_OBTAINED: Final = "attribute.obtained.v1"
ATTRIBUTE_WITHDRAWN: Final = "attribute.withdrawn.v1"

TOPICS: Final = (
    ATTRIBUTE_REQUESTED,
    ATTRIBUTE_DISCLOSED,
    ATTRIBUTE_OBSERVED,
    ATTRIBUTE_INFERRED,
    ATTRIBUTE_OBTAINED,
    ATTRIBUTE_WITHDRAWN,
)
"""What this subject folds."""

DECLARED: Final = disclosure_pb2.PROVENANCE_DECLARED
OBTAINED: Final = frozenset(
    {disclosure_pb2.PROVENANCE_THIRD_PARTY, disclosure_pb2.PROVENANCE_ASSESSED, disclosure_pb2.PROVENANCE_IMPORTED}
)
"""Provenances of what an `attribute.obtained.v1` fills."""

Value = AttributeDisclosed | AttributeObserved | AttributeInferred | AttributeObtained
"""Events that fill a slot."""

_DAY: Final = 86_400 * MICROSECONDS


class HasAttributes(Protocol):
    """State of a relationship, as far as decisions about attributes read it."""

    @property
    def attributes(self) -> "AttributeState":
        """Fold of the relationship's attributes."""
        ...

    @property
    def interactions(self) -> InteractionState:
        """Fold of the relationship's interactions."""
        ...


class _Catalogued(Protocol):
    @property
    def attributes(self) -> AttributeCatalogues: ...


@dataclass(frozen=True, slots=True)
class _Command:
    """What commands about attributes have in common."""

    topic: ClassVar[str]
    needs_state: ClassVar[bool] = False

    stream_id: str
    event: Any
    """The fact as it will be recorded."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The organization's policy stream, for its catalogue."""
        return (policy_stream(organization_of(self.stream_id)),)

    def decide(self, state: Any, setting: Setting) -> Decision:  # noqa: ARG002 # What was known does not matter.
        """Return the fact.

        Raises:
            Rejected: ATTRIBUTE_UNKNOWN, where a catalogue is published and has no such key, or no such code for it.
                OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        (stream_id,) = self.reads
        published: _Catalogued = setting.others[stream_id]
        _refuse_unknown(published.attributes.current, self.event.key, getattr(self.event, "code", ""))
        return Decision((new_fact(self.topic, self.event, when, self.context),))


@dataclass(frozen=True, slots=True)
class RequestAttribute(_Command):
    """Record that the customer was asked for something about them, with what for and why."""

    topic: ClassVar[str] = ATTRIBUTE_REQUESTED


@dataclass(frozen=True, slots=True)
class DiscloseAttribute(_Command):
    """Record what the customer told: the only command that fills a slot DECLARED."""

    topic: ClassVar[str] = ATTRIBUTE_DISCLOSED
    needs_state: ClassVar[bool] = True

    def decide(self, state: HasAttributes, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: ATTRIBUTE_UNKNOWN, OCCUR_TIME_IN_FUTURE; INTERACTION_UNKNOWN or INTERACTION_RETRACTED, of the
                interaction in which it is said to have been told.
        """
        state.interactions.require(self.event.interaction_position)
        return _Command.decide(self, state, setting)


@dataclass(frozen=True, slots=True)
class ObserveAttribute(_Command):
    """Record what was seen in what the customer did."""

    topic: ClassVar[str] = ATTRIBUTE_OBSERVED


@dataclass(frozen=True, slots=True)
class InferAttribute(_Command):
    """Record what a rule or a model concluded."""

    topic: ClassVar[str] = ATTRIBUTE_INFERRED


@dataclass(frozen=True, slots=True)
class ObtainAttribute(_Command):
    """Record what was obtained otherwise: from somebody else, by a judgement, from an older system."""

    topic: ClassVar[str] = ATTRIBUTE_OBTAINED


@dataclass(frozen=True, slots=True)
class WithdrawAttribute:
    """Empty a slot. Harmless where it is empty, and never refused for a key."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    withdrawal: AttributeWithdrawn
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002 # There may be nothing to empty.
        """Return the fact.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(ATTRIBUTE_WITHDRAWN, self.withdrawal, when, self.context),))


class Slot(NamedTuple):
    """The last word on one key from one provenance."""

    key: str
    provenance: int
    """A `Provenance`."""
    value: Value | None
    """The event that filled it, without its words; None: it was withdrawn."""
    position: int
    """Log position of the event that filled or emptied it."""
    since: int
    """Its occur time. Microseconds."""


class Usable(NamedTuple):
    """Whether a decision may read a slot, and for what."""

    reason: str
    """Why not, a code; empty: it may."""
    purposes: tuple[str, ...]
    """What it may be used for, in order. Empty without a published catalogue: not limited."""


class AttributeState:
    """Fold of the attributes of one relationship: the last word on each slot by (occur_time, position)."""

    __slots__ = ("_requested", "_slots", "_until")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._slots: dict[tuple[str, int], Slot] = {}
        self._requested: set[str] = set()

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: what names no slot of its own fills none."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        if isinstance(event, AttributeRequested):
            self._requested.add(event.key)
        elif isinstance(event, AttributeWithdrawn):
            self._put(Slot(event.key, event.provenance, None, fact.position, fact.occur_time))
        elif isinstance(event, AttributeDisclosed | AttributeObserved | AttributeInferred | AttributeObtained):
            provenance = _provenance(event)
            if provenance:
                self._put(Slot(event.key, provenance, event, fact.position, fact.occur_time))

    def slot(self, key: str, provenance: int) -> Slot | None:
        """Return what stands in a slot; None: nothing ever did. Never what stands in another."""
        return self._slots.get((key, provenance))

    def keys(self) -> list[str]:
        """Return every key that an event names, in order: also those only asked for."""
        return sorted({key for key, _ in self._slots} | self._requested)

    def slots(self, key: str) -> list[int]:
        """Return the provenances of a key that an event names, in order; of one asked for, DECLARED is one."""
        named = {provenance for other, provenance in self._slots if other == key}
        return sorted(named | ({DECLARED} if key in self._requested else set()))

    def inventory(self) -> list[tuple[int, int]]:
        """Return (provenance, how many keys have a value from it), by provenance."""
        return sorted(Counter(slot.provenance for slot in self._slots.values() if slot.value is not None).items())

    def _put(self, slot: Slot) -> None:
        place = slot.key, slot.provenance
        known = self._slots.get(place)
        if known is None or slot.since >= known.since:
            self._slots[place] = slot


def usable(slot: Slot | None, catalogue: Catalogue, at: int) -> Usable:
    """Tell whether a decision may read a slot at an instant, in microseconds, and for what purposes.

    Reasons: `not_known`, `withdrawn`, `not_in_catalogue`, `retention_ended`, `no_legal_basis`, `no_purpose`. What the
    customer declared needs no legal basis of its own; everything else is a mere fact of processing without one.
    """
    if slot is None:
        return Usable("not_known", ())
    if slot.value is None:
        return Usable("withdrawn", ())
    purposes = purposes_of(slot.value, catalogue)
    definition = catalogue.by_key.get(slot.key)
    if definition is None and catalogue.version:
        return Usable("not_in_catalogue", ())
    if definition is not None and 0 < definition.retention_days * _DAY <= at - slot.since:
        return Usable("retention_ended", purposes)
    if not isinstance(slot.value, AttributeDisclosed) and not slot.value.legal_basis:
        return Usable("no_legal_basis", purposes)
    if definition is not None and not purposes:
        return Usable("no_purpose", ())
    return Usable("", purposes)


def purposes_of(value: Value, catalogue: Catalogue) -> tuple[str, ...]:
    """Return what a value may be used for: what the catalogue allows, as far as the customer told it for that.

    A purpose of the catalogue allows its children; one that the customer named stands for itself only, as in consents.
    """
    told = frozenset(value.purposes) if isinstance(value, AttributeDisclosed) else frozenset[str]()
    definition = catalogue.by_key.get(value.key)
    if definition is None:
        return tuple(sorted(told)) if not catalogue.version else ()
    allowed = frozenset(definition.purposes)
    if not told:
        return tuple(sorted(allowed))
    return tuple(sorted(purpose for purpose in told if not allowed.isdisjoint((purpose, *lineage(purpose)))))


def _refuse_unknown(catalogue: Catalogue, key: str, code: str) -> None:
    definition = catalogue.by_key.get(key)
    unknown_code = bool(code and definition is not None and definition.codes and code not in definition.codes)
    if not catalogue.admits(key) or unknown_code:
        what = "the code is not one of its key" if unknown_code else "the key is not in the catalogue"
        raise Rejected(
            reasons.ERROR_REASON_ATTRIBUTE_UNKNOWN, f"{what}; publish it in the catalogue, or correct it", key=key
        )


def _provenance(event: Value) -> int:
    """Return the slot that an event fills; 0: none, where it claims one that is not its own to fill."""
    match event:
        case AttributeDisclosed():
            return DECLARED
        case AttributeObserved():
            return disclosure_pb2.PROVENANCE_OBSERVED
        case AttributeInferred():
            return disclosure_pb2.PROVENANCE_INFERRED
        case _:
            return event.provenance if event.provenance in OBTAINED else 0
