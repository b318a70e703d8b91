"""Consents: what a customer allows, and no longer allows; a stream of acts, never a flag (consent.md 1).

What follows from the acts for one combination of purpose, channel, contact point and brand is in `consent_status.py`.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Protocol, TypeVar

from google.protobuf.message import Message

from ledger.domain.consent_effect import ends_anything
from ledger.domain.consent_status import (
    ANY_CHANNEL,
    CELLS_PER_ACT_MAX,
    REFUSED,
    WITHDRAWN,
    Acts,
    Cell,
    CellVerdict,
    Denial,
    Grant,
    Scope,
    cell_verdict,
    lineage,
    named_cells,
    permits,
)
from ledger.domain.decider import Occurrence, Setting, occurrence
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Decision, Fact, NewFact
from ledger.domain.times import END_OF_TIME, MICROSECONDS, microseconds
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentRefused, ConsentWithdrawn
from rapport.type.v1.event_context_pb2 import EventContext

__all__ = [
    "GiveConsent",
    "RefuseConsent",
    "WithdrawConsent",
    "WithdrawalEffect",
    "ConsentState",
    "Cell",
    "CellVerdict",
    "cells",
    "status",
    "permits",
]

CONSENT_GIVEN: Final = "consent.given.v1"
CONSENT_REFUSED: Final = "consent.refused.v1"
CONSENT_WITHDRAWN: Final = "consent.withdrawn.v1"


class HasConsents(Protocol):
    """State of a relationship, as far as decisions about consents read it."""

    @property
    def consents(self) -> "ConsentState":
        """Fold of the relationship's consents."""
        ...


class WithdrawalEffect(IntEnum):
    """What a withdrawal changed; numbers as in `rapport.consent.v1.WithdrawalEffect`."""

    ENDED = 1
    """At least one live consent ended."""
    NONE = 2
    """Nothing was live; the withdrawal is recorded all the same."""

    def note(self) -> bytes:
        """Return the note of a decision that says so: one byte."""
        return bytes((self,))

    @classmethod
    def noted(cls, note: bytes) -> "WithdrawalEffect":
        """Return what the note of a withdrawal's decision says."""
        (number,) = note
        return cls(number)


@dataclass(frozen=True, slots=True)
class GiveConsent:
    """Record that the customer allowed something."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    consent: ConsentGiven
    """With at least one purpose."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasConsents, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE. CONSENT_WITHDRAWN_SINCE when any cell of it is denied at or after its
                occur_time: it is refused whole, unless it is a historical import, which never overrides a denial.
                REQUEST_INVALID when it names more than CELLS_PER_ACT_MAX cells.
        """
        when = occurrence(self.occur_time, setting)
        scope = _grant_scope(self.consent)
        self._refuse_endless_list(scope)
        if not (self.context is not None and self.context.historical_import):
            self._refuse_denied(state.consents.acts, scope, when.time)
        return Decision((_new_fact(CONSENT_GIVEN, self.consent, when, self.context),))

    def _refuse_endless_list(self, scope: Scope) -> None:
        if scope.combinations > CELLS_PER_ACT_MAX:
            description = (
                f"names {scope.combinations} combinations of purposes, channels, contact points and brands; "
                f"at most {CELLS_PER_ACT_MAX} are kept in one consent: give it in parts"
            )
            raise Rejected(
                reasons.ERROR_REASON_REQUEST_INVALID, f"consent: {description}", [Violation("consent", description)]
            )

    def _refuse_denied(self, acts: Acts, scope: Scope, occur_time: int) -> None:
        standing: tuple[Denial, frozenset[str]] | None = None
        for denied, denials in acts.denials.items():
            purposes = denied.denied_purposes(scope)
            if purposes:
                for denial in denials:
                    later = standing is None or _axes(denial) > _axes(standing[0])
                    if denial.occur_time >= occur_time and later:
                        standing = denial, purposes
        if standing is not None:
            denial, purposes = standing
            named = [purpose for purpose in self.consent.purposes if purpose in purposes]
            raise Rejected(
                reasons.ERROR_REASON_CONSENT_WITHDRAWN_SINCE,
                "the customer refused or withdrew at or after the time of this consent; ask the customer again",
                purpose=named[0] if named else min(purposes),
                position=denial.position,
            )


@dataclass(frozen=True, slots=True)
class RefuseConsent:
    """Record that the customer was asked and said no."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    refusal: ConsentRefused
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002 # A no needs nothing before it.
        """Return the fact.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        return Decision((_new_fact(CONSENT_REFUSED, self.refusal, when, self.context),))


@dataclass(frozen=True, slots=True)
class WithdrawConsent:
    """Record that the customer took a consent back, whether or not one was in force (GDPR Article 7(3))."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    withdrawal: ConsentWithdrawn
    """No purposes: everything is taken back."""
    occur_time: int | None = None
    """Microseconds. None, or in the future: now."""
    context: EventContext | None = None

    def decide(self, state: HasConsents, setting: Setting) -> Decision:
        """Return the fact, with its WithdrawalEffect as note. Never refused: not for a scope, nor for a clock."""
        consents = state.consents
        # As in `status`: what a faster clock recorded is live for the customer all the same.
        at = max(setting.now, consents.last_time or setting.now)
        ended = ends_anything(consents.acts, _denial_scope(self.withdrawal), at)
        effect = WithdrawalEffect.ENDED if ended else WithdrawalEffect.NONE
        fact = _new_fact(CONSENT_WITHDRAWN, self.withdrawal, self._when(setting.now), self.context)
        return Decision((fact,), effect.note())

    def _when(self, now: int) -> Occurrence:
        if self.occur_time is None:
            return Occurrence(now, defaulted=True)
        return Occurrence(min(self.occur_time, now), clamped=self.occur_time > now)


class ConsentState:
    """Fold of the consents of one relationship: every act that the view admits. Statuses are derived when asked for."""

    __slots__ = ("_until", "acts", "first_time", "last_time")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self.acts = Acts()
        self.first_time: int | None = None
        """Occur time of the first act. Microseconds."""
        self.last_time: int | None = None
        """Occur time of the last act. Microseconds."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact; other subjects' pass by. Total: a grant that may not count is kept, and does not count."""
        fold = _FOLDS.get(fact.topic)
        if fold is None or fact.occur_time > self._until:
            return
        fold(self.acts, fact)
        if self.first_time is None or fact.occur_time < self.first_time:
            self.first_time = fact.occur_time
        if self.last_time is None or fact.occur_time > self.last_time:
            self.last_time = fact.occur_time

    def grant_in_force(self, position: int, at: int) -> bool:
        """Tell whether the event at `position` gave a consent that was in force at a time, in microseconds, in full.

        That is: none of its cells is denied by an act that had occurred by then and that it does not come after.
        """
        found = self._find(position)
        if found is None:
            return False
        scope, grant = found
        if not (grant.occur_time <= at and grant.valid_from <= at < grant.until):
            return False
        return not any(
            denial.occur_time <= at and (denial.occur_time >= grant.occur_time or denial.position > grant.position)
            for denied, denials in self.acts.denials.items()
            if denied.denied_purposes(scope)
            for denial in denials
        )

    def _find(self, position: int) -> tuple[Scope, Grant] | None:
        for scope, grants in self.acts.grants.items():
            index = bisect_left(grants, position, key=lambda grant: grant.position)
            if index < len(grants) and grants[index].position == position:
                return scope, grants[index]
        return None


def cells(state: ConsentState) -> list[Cell]:
    """Return every cell that an act of the customer named, in order."""
    return named_cells(state.acts)


def status(state: ConsentState, cell: Cell, at: int) -> CellVerdict:
    """Return the status of a cell at an instant, in microseconds: a consent ends by its own term without an event.

    For a view as of T fold with until=T and ask at T. The instant is never before the last act that the state admits:
    a clock that lags behind the one that recorded a withdrawal must not bring back what was withdrawn.
    """
    return cell_verdict(state.acts, cell, max(at, state.last_time or at))


def _give(acts: Acts, fact: Fact) -> None:
    event: ConsentGiven = fact.event  # type: ignore[assignment]  # The topic says so.
    valid_from = microseconds(event.valid_from_time) if event.HasField("valid_from_time") else fact.occur_time
    until = _until(event, valid_from)
    basis = event.legal_basis or consent_pb2.LEGAL_BASIS_CONSENT
    grant = Grant(fact.position, fact.occur_time, valid_from, until, basis)
    acts.grants.setdefault(_grant_scope(event), []).append(grant)


def _refuse(acts: Acts, fact: Fact) -> None:
    event: ConsentRefused = fact.event  # type: ignore[assignment]  # The topic says so.
    acts.denials.setdefault(_denial_scope(event), []).append(Denial(fact.position, fact.occur_time, REFUSED))


def _withdraw(acts: Acts, fact: Fact) -> None:
    event: ConsentWithdrawn = fact.event  # type: ignore[assignment]  # The topic says so.
    acts.denials.setdefault(_denial_scope(event), []).append(Denial(fact.position, fact.occur_time, WITHDRAWN))


_FOLDS: Final = {CONSENT_GIVEN: _give, CONSENT_REFUSED: _refuse, CONSENT_WITHDRAWN: _withdraw}
TOPICS: Final = tuple(_FOLDS)
"""What this subject folds."""


def _until(event: ConsentGiven, valid_from: int) -> int:
    """Return the instant at which a grant ends by its own term, in microseconds.

    END_OF_TIME where no time ends it: it is endless, says nothing, or ends with an event or a number of uses, which no
    clock tells.
    """
    if not event.HasField("validity"):
        return END_OF_TIME
    match event.validity.WhichOneof("end"):
        case "until_time":
            return min(microseconds(event.validity.until_time), END_OF_TIME)
        case "duration":
            duration = event.validity.duration
            return min(valid_from + duration.seconds * MICROSECONDS + duration.nanos // 1000, END_OF_TIME)
        case _:
            return END_OF_TIME


def _grant_scope(event: ConsentGiven) -> Scope:
    purposes = frozenset(event.purposes)
    return Scope(
        purposes,
        _part(event.channels),
        _part(event.contact_point_ids),
        _part(event.brands),
        _listed(purposes, event.notice.purposes) if event.HasField("notice") else frozenset(),
    )


def _listed(purposes: frozenset[str], notice: Iterable[str]) -> frozenset[str]:
    """Return the children of a grant's purposes that a notice lists."""
    return frozenset(
        purpose for purpose in notice if purpose not in purposes and not purposes.isdisjoint(lineage(purpose))
    )


def _denial_scope(event: ConsentRefused | ConsentWithdrawn) -> Scope:
    """Return what a no is about. A withdrawal is taken as it comes: an empty value among others means any."""
    return Scope(
        _part(event.purposes, ""),
        _part(event.channels, ANY_CHANNEL),
        _part(event.contact_point_ids, ""),
        _part(event.brands, ""),
    )


_Value = TypeVar("_Value", str, int)


def _part(values: Sequence[_Value], any_value: _Value | None = None) -> frozenset[_Value]:
    if not values:  # Most parts of most acts; an iteration over nothing costs half a microsecond.
        return frozenset()
    part = frozenset(values)
    return frozenset() if any_value in part else part


def _axes(denial: Denial) -> tuple[int, int]:
    return denial.occur_time, denial.position


def _new_fact(topic: str, event: Message, when: Occurrence, context: EventContext | None) -> NewFact:
    return NewFact(
        topic=topic,
        event=event,
        occur_time=when.time,
        defaulted=when.defaulted,
        clamped=when.clamped,
        context=context,
    )
