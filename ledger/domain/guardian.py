"""Guardians: who may speak for a minor (consent.md 4 rule 7, 5).

An appointment is an interval of occur times: from when it was made, to its end, or to the first release of that
guardian that is not earlier than it. A release recorded late counts from when it happened.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.consent_scope import lineage
from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact
from ledger.domain.times import END_OF_TIME, microseconds
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import GuardianAppointed, GuardianReleased
from rapport.type.v1.event_context_pb2 import EventContext

GUARDIAN_APPOINTED: Final = "guardian.appointed.v1"
GUARDIAN_RELEASED: Final = "guardian.released.v1"
TOPICS: Final = (GUARDIAN_APPOINTED, GUARDIAN_RELEASED)
"""What this subject folds."""


class HasGuardians(Protocol):
    """State of a relationship, as far as decisions about guardians read it."""

    @property
    def guardians(self) -> "GuardianState":
        """Fold of the relationship's guardians."""
        ...


@dataclass(frozen=True, slots=True)
class AppointGuardian:
    """Record who may speak for a customer who is a minor."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    appointment: GuardianAppointed
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002  # Whoever was appointed before.
        """Return the fact.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(GUARDIAN_APPOINTED, self.appointment, when, self.context),))


@dataclass(frozen=True, slots=True)
class ReleaseGuardian:
    """Record that a guardian no longer speaks for the customer."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    release: GuardianReleased
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasGuardians, setting: Setting) -> Decision:
        """Return the fact; released again does no harm.

        Raises:
            Rejected: GUARDIAN_UNKNOWN, where this guardian was never appointed; OCCUR_TIME_IN_FUTURE.
        """
        if not state.guardians.was_appointed(self.release.guardian_id):
            raise Rejected(
                reasons.ERROR_REASON_GUARDIAN_UNKNOWN,
                "this guardian was never appointed for this customer; name one that was",
            )
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(GUARDIAN_RELEASED, self.release, when, self.context),))


class Appointment(NamedTuple):
    """Somebody may speak for the customer. Times are microseconds."""

    guardian_id: str
    position: int
    until: int
    """First instant at which it no longer holds. END_OF_TIME: no such instant is known."""
    since: int
    """Its occur time."""
    purposes: frozenset[str]
    """For which, with their children. Empty: for all."""

    def is_live(self, at: int) -> bool:
        """Tell whether it holds at an instant, in microseconds."""
        return self.since <= at < self.until

    def covers(self, purpose: str) -> bool:
        """Tell whether the guardian may speak about a purpose. The empty one: about anything at all."""
        return not purpose or not self.purposes or not self.purposes.isdisjoint(lineage(purpose))


class GuardianState:
    """Fold of the guardians of one relationship."""

    __slots__ = ("_appointments", "_releases", "_until")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._appointments: list[Appointment] = []
        self._releases: dict[str, list[int]] = {}
        """Occur times of the releases of a guardian."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: what was recorded is a fact."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        if isinstance(event, GuardianAppointed):
            self._appoint(fact, event)
        elif isinstance(event, GuardianReleased):
            self._releases.setdefault(event.guardian_id, []).append(fact.occur_time)
            self._appointments = [_released(each, event.guardian_id, fact.occur_time) for each in self._appointments]

    def of(self, guardian_id: str) -> Iterator[Appointment]:
        """Return the appointments of a guardian, over or not, in the order of their positions."""
        return (appointment for appointment in self._appointments if appointment.guardian_id == guardian_id)

    def live(self, at: int, purpose: str = "") -> tuple[Appointment, ...]:
        """Return the appointments that hold at an instant, in microseconds, for a purpose, by position."""
        return tuple(each for each in self._appointments if each.is_live(at) and each.covers(purpose))

    def was_live(self, guardian_id: str, at: int, purpose: str = "") -> bool:
        """Tell whether a guardian could speak about a purpose at an instant, in microseconds."""
        return any(each.is_live(at) and each.covers(purpose) for each in self.of(guardian_id))

    def was_appointed(self, guardian_id: str) -> bool:
        """Tell whether a guardian was ever appointed."""
        return any(True for _ in self.of(guardian_id))

    def changes_after(self, at: int) -> int | None:
        """Return the earliest later instant at which an appointment begins or ends by the clock; None: there is none.

        Microseconds.
        """
        instants = (instant for each in self._appointments for instant in (each.since, each.until))
        return min((instant for instant in instants if at < instant < END_OF_TIME), default=None)

    def _appoint(self, fact: Fact, event: GuardianAppointed) -> None:
        until = microseconds(event.until) if event.HasField("until") else END_OF_TIME
        purposes = frozenset(event.purposes)
        appointment = Appointment(event.guardian_id, fact.position, until, fact.occur_time, purposes)
        for released in self._releases.get(event.guardian_id, ()):
            appointment = _released(appointment, event.guardian_id, released)
        self._appointments.append(appointment)


def _released(appointment: Appointment, guardian_id: str, at: int) -> Appointment:
    if appointment.guardian_id != guardian_id or not appointment.since <= at < appointment.until:
        return appointment
    return appointment._replace(until=at)
