"""Promises made to a customer (relationship.md 12).

A promise runs from its trigger and is due when its time is over: at that instant one that was not kept is broken, by
the clock and without an event. Kept later it is kept late, and counts as broken all the same. Keeping one is a contact
like others: where the contact decision says no, the promise is given up with that reason, and is not broken.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.amounts import half_even
from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Decision, Fact
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.interaction import HasInteractions
from ledger.domain.moments import Moments
from ledger.domain.relationship_policy import RelationshipPolicies
from ledger.domain.times import END_OF_TIME, MICROSECONDS
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import contact_pb2, identity_pb2
from rapport.events.v1.contact_pb2 import ContactDecided
from rapport.events.v1.identity_pb2 import PromiseCancelled, PromiseKept, PromiseMade, PromiseTriggered
from rapport.type.v1.event_context_pb2 import EventContext

PROMISE_MADE: Final = "promise.made.v1"
PROMISE_TRIGGERED: Final = "promise.triggered.v1"
PROMISE_KEPT: Final = "promise.kept.v1"
PROMISE_CANCELLED: Final = "promise.cancelled.v1"

TOPICS: Final = (PROMISE_MADE, PROMISE_TRIGGERED, PROMISE_KEPT, PROMISE_CANCELLED)
"""What this subject folds."""

SLA_SECONDS_DEFAULT: Final = 7 * 86_400
"""Of promises recorded before policies said how long one may take."""
FULL: Final = 1_000_000
_DUE: Final = Struct(">q")


class Standing(IntEnum):
    """Where a promise stands; numbers as in `rapport.customer.v1.PromiseState`."""

    OPEN = 1
    TRIGGERED = 2
    KEPT = 3
    BROKEN = 4
    KEPT_LATE = 5
    CANCELLED = 6


class HasPromises(Protocol):
    """State of a relationship, as far as decisions about promises read it."""

    @property
    def promises(self) -> "PromiseState":
        """Fold of the relationship's promises."""
        ...


class HasPromisesAndInteractions(HasPromises, HasInteractions, Protocol):
    """State of a relationship, as far as keeping a promise reads it."""


class _Decided(Protocol):
    @property
    def message(self) -> ContactDecided: ...


class _Contacts(Protocol):
    def find(self, decision_id: int) -> _Decided | None: ...


class _Published(Protocol):
    @property
    def relationship(self) -> RelationshipPolicies: ...


class HasPromisesAndContacts(HasPromises, Protocol):
    """State of a relationship, as far as giving up a promise reads it."""

    @property
    def contacts(self) -> _Contacts:
        """Fold of the relationship's contact decisions."""
        ...


@dataclass(frozen=True, slots=True)
class MakePromise:
    """Record a promise."""

    needs_state: ClassVar[bool] = True

    stream_id: str
    promise: PromiseMade
    """One of kind NOTIFY_ME has a topic."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The organization's policy stream, for how long promises may take."""
        return (policy_stream(organization_of(self.stream_id)),)

    def decide(self, state: HasPromises, setting: Setting) -> Decision:
        """Return the fact. It carries how long the promise may take: what later policies say does not move it.

        Raises:
            Rejected: PROMISE_ID_TAKEN, OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        known = state.promises.find(self.promise.promise_id)
        if known is not None:
            raise Rejected(
                reasons.ERROR_REASON_PROMISE_ID_TAKEN,
                "the promise_id was used before; choose a new one",
                promise_id=self.promise.promise_id,
                position=known.position,
            )
        return Decision((new_fact(PROMISE_MADE, self._with_term(when.time, setting), when, self.context),))

    def _with_term(self, at: int, setting: Setting) -> PromiseMade:
        """Return the promise with the term of the policy in force, where it names none."""
        if self.promise.sla_seconds:
            return self.promise
        (stream_id,) = self.reads
        published: _Published = setting.others[stream_id]
        whole = PromiseMade()
        whole.CopyFrom(self.promise)
        whole.sla_seconds = published.relationship.in_force(at).policy.promise_days * 86_400
        return whole


@dataclass(frozen=True, slots=True)
class TriggerPromise:
    """Record that what was awaited has happened: the promise runs from its occur time."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    trigger: PromiseTriggered
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasPromises, setting: Setting) -> Decision:
        """Return the fact, with the instant at which the promise is due as note (`noted_due`).

        Raises:
            Rejected: PROMISE_UNKNOWN, also where it was made later than this occurs; PROMISE_NOT_OPEN,
                OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        promise = _made_by(state.promises, self.trigger.promise_id, when.time)
        if promise.triggered_time is not None or promise.ended_time is not None:
            raise _not_open(promise, "it was triggered before, or given up", setting.now)
        note = _DUE.pack(when.time + promise.sla)
        return Decision((new_fact(PROMISE_TRIGGERED, self.trigger, when, self.context),), note)


@dataclass(frozen=True, slots=True)
class KeepPromise:
    """Record that a promise was kept, in time or late."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    kept: PromiseKept
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasPromisesAndInteractions, setting: Setting) -> Decision:
        """Return the fact, with its Standing as note: KEPT or KEPT_LATE.

        Raises:
            Rejected: PROMISE_UNKNOWN; PROMISE_NOT_OPEN, also where it was not triggered by then; INTERACTION_UNKNOWN
                or INTERACTION_RETRACTED of the interaction that is said to have kept it; OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        promise = _made_by(state.promises, self.kept.promise_id, when.time)
        if promise.ended_time is not None:
            raise _not_open(promise, "it was kept or given up before", setting.now)
        due = promise.due_time
        if promise.triggered_time is None or due is None or when.time < promise.triggered_time:
            raise _not_open(promise, "what it waits for has not happened by then", when.time)
        if self.kept.interaction_position:
            state.interactions.require(self.kept.interaction_position)
        standing = Standing.KEPT if when.time < due else Standing.KEPT_LATE
        return Decision((new_fact(PROMISE_KEPT, self.kept, when, self.context),), bytes((standing,)))


@dataclass(frozen=True, slots=True)
class CancelPromise:
    """Record that a promise was given up before it was due."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    cancellation: PromiseCancelled
    """With a decision where the reason is CONTACT_DENIED, and only there."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasPromisesAndContacts, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: PROMISE_UNKNOWN; PROMISE_NOT_OPEN, also where it was broken by then: a breach stays one;
                DECISION_UNKNOWN; REQUEST_INVALID where the decision did not deny; OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        promise = _made_by(state.promises, self.cancellation.promise_id, when.time)
        if promise.ended_time is not None:
            raise _not_open(promise, "it was kept or given up before", setting.now)
        if promise.standing(when.time) is Standing.BROKEN:
            raise _not_open(promise, "its time was over by then; if it was given up before, say when", when.time)
        if self.cancellation.reason == identity_pb2.PROMISE_CANCEL_REASON_CONTACT_DENIED:
            self._require_denial(state.contacts)
        return Decision((new_fact(PROMISE_CANCELLED, self.cancellation, when, self.context),))

    def _require_denial(self, contacts: _Contacts) -> None:
        decision_id = self.cancellation.decision_id
        decided = contacts.find(decision_id)
        if decided is None:
            raise Rejected(
                reasons.ERROR_REASON_DECISION_UNKNOWN,
                "the position does not name a decision of this relationship; name the decision_id that Decide answered",
                decision_id=decision_id,
            )
        if decided.message.outcome != contact_pb2.DECISION_OUTCOME_DENY:
            violation = Violation("cancellation.decision_id", "must name a decision whose outcome is DENY")
            raise Rejected(
                reasons.ERROR_REASON_REQUEST_INVALID, f"{violation.field}: {violation.description}", [violation]
            )


class Promise:
    """One promise and what became of it. Times are microseconds."""

    __slots__ = ("cancel_reason", "ended_position", "ended_time", "made_time", "message", "position", "triggered_time")

    def __init__(self, message: PromiseMade, position: int, made_time: int) -> None:
        self.message = message
        """As it is stored; never changed."""
        self.position = position
        """Log position of its event."""
        self.made_time = made_time
        self.triggered_time: int | None = None
        self.ended_time: int | None = None
        """When it was kept or given up."""
        self.ended_position = 0
        """Log position of that event; 0: none."""
        self.cancel_reason = 0
        """A `PromiseCancelReason`; 0: it was not given up."""

    @property
    def sla(self) -> int:
        """How long it may take from the trigger, in microseconds."""
        return (self.message.sla_seconds or SLA_SECONDS_DEFAULT) * MICROSECONDS

    @property
    def due_time(self) -> int | None:
        """First instant at which it is too late; None: it is not triggered."""
        return None if self.triggered_time is None else self.triggered_time + self.sla

    def standing(self, at: int) -> Standing:
        """Return where it stands at an instant, by what is folded (settled.md 43: at due it is too late)."""
        due, ended = self.due_time, self.ended_time
        if ended is not None and ended <= at:
            in_time = due is None or ended < due
            if self.cancel_reason:
                return Standing.CANCELLED if in_time else Standing.BROKEN
            return Standing.KEPT if in_time else Standing.KEPT_LATE
        if due is None or self.triggered_time is None or at < self.triggered_time:
            return Standing.OPEN
        return Standing.TRIGGERED if at < due else Standing.BROKEN


class KeptRate(NamedTuple):
    """How many promises were kept."""

    kept: int
    """In time."""
    broken: int
    """Not in time; those kept late are among them."""

    @property
    def ppm(self) -> int | None:
        """Kept of those that fell due, in millionths; None: none did."""
        due = self.kept + self.broken
        return half_even(FULL * self.kept, due) if due else None


class PromiseState:
    """Fold of the promises of one relationship. Where they stand is asked with an instant."""

    __slots__ = ("_due", "_late", "_promises", "_until", "kept", "running")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._promises: dict[str, Promise] = {}
        self._late: list[Promise] = []
        """Promises that ended after their time was over."""
        self._due: dict[int, Promise] = {}
        """Promises that were triggered and have not ended, by position."""
        self.running = Moments()
        """The same by when they are due. Not to be changed."""
        self.kept = 0
        """How many were kept in time."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: what follows no promise, or an ended one, changes nothing."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        assert isinstance(event, PromiseMade | PromiseTriggered | PromiseKept | PromiseCancelled)
        promise = self._promises.get(event.promise_id)
        if isinstance(event, PromiseMade):
            if promise is None:
                self._promises[event.promise_id] = Promise(event, fact.position, fact.occur_time)
        elif promise is None or promise.ended_time is not None:
            return
        elif isinstance(event, PromiseTriggered):
            if promise.triggered_time is None:
                promise.triggered_time = fact.occur_time
                self._due[promise.position] = promise
                self.running.add(promise.triggered_time + promise.sla, promise.position)
        else:
            promise.ended_time, promise.ended_position = fact.occur_time, fact.position
            promise.cancel_reason = event.reason if isinstance(event, PromiseCancelled) else 0
            self._end(promise)

    def _end(self, promise: Promise) -> None:
        due, ended = promise.due_time, promise.ended_time
        assert ended is not None, "it has ended"
        if due is not None:
            del self._due[promise.position]
            self.running.remove(due, promise.position)
        standing = promise.standing(ended)
        if standing is Standing.KEPT:
            self.kept += 1
        elif standing is not Standing.CANCELLED:
            self._late.append(promise)

    def broken_count(self, at: int) -> int:
        """Return how many were broken by an instant, in microseconds, at or after every fact: what `broken` would."""
        return len(self._late) + self.running.until(at)

    def broken(self, at: int) -> list[Promise]:
        """Return the promises that were broken by an instant, in microseconds, at or after every fact, in any order.

        Those kept late, or given up when broken, are among them.
        """
        return [*self._late, *(self._due[position] for position in self.running.positions[: self.running.until(at)])]

    def find(self, promise_id: str) -> Promise | None:
        """Return a promise by its id."""
        return self._promises.get(promise_id)

    def all(self) -> list[Promise]:
        """Return every promise, by position."""
        return list(self._promises.values())

    def kept_rate(self, at: int) -> KeptRate:
        """Return how many were kept and broken by an instant, in microseconds."""
        standings = [promise.standing(at) for promise in self._promises.values()]
        broken = standings.count(Standing.BROKEN) + standings.count(Standing.KEPT_LATE)
        return KeptRate(standings.count(Standing.KEPT), broken)


def noted_due(note: bytes) -> int:
    """Return the instant, in microseconds, that the note of a trigger's decision names."""
    due: int = _DUE.unpack(note)[0]
    return due


def _made_by(promises: PromiseState, promise_id: str, at: int) -> Promise:
    """Return a promise that had been made at an instant."""
    promise = promises.find(promise_id)
    if promise is None or promise.made_time > at:
        raise Rejected(
            reasons.ERROR_REASON_PROMISE_UNKNOWN,
            "no promise of this id was made in the relationship by then; check the id and the time",
            promise_id=promise_id,
        )
    return promise


def _not_open(promise: Promise, why: str, at: int) -> Rejected:
    """Return the refusal, with where the promise stands at an instant, or once it has ended."""
    return Rejected(
        reasons.ERROR_REASON_PROMISE_NOT_OPEN,
        f"{why}; check the promises",
        promise_id=promise.message.promise_id,
        state=promise.standing(at if promise.ended_time is None else max(at, promise.ended_time)).name,
        position=promise.ended_position or promise.position,
    )
