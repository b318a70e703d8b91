"""Consents: what a customer allows, and no longer allows; a stream of acts, never a flag (consent.md 1).

What follows from the acts for one combination of purpose, channel, contact point and brand is in `consent_status.py`.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from ledger.domain.consent_effect import ends_anything
from ledger.domain.consent_scope import CELLS_PER_ACT_MAX, Cell, Scope, denial_scope, grant_scope
from ledger.domain.consent_state import (
    CONSENT_GIVEN,
    CONSENT_REFUSED,
    CONSENT_WITHDRAWN,
    TOPICS,
    ConsentState,
    HasConsents,
)
from ledger.domain.consent_status import (
    PLAIN,
    Acts,
    CellVerdict,
    Denial,
    Grant,
    Terms,
    cell_verdict,
    named_cells,
    permits,
    person_verdict,
)
from ledger.domain.decider import Setting, new_fact, occurrence, past_occurrence
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Decision
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentRefused, ConsentWithdrawn
from rapport.type.v1.event_context_pb2 import EventContext

__all__ = [
    "CONSENT_GIVEN",
    "CONSENT_REFUSED",
    "CONSENT_WITHDRAWN",
    "PLAIN",
    "TOPICS",
    "Acts",
    "Cell",
    "CellVerdict",
    "ConsentState",
    "Denial",
    "GiveConsent",
    "Grant",
    "RefuseConsent",
    "Scope",
    "Terms",
    "WithdrawConsent",
    "WithdrawalEffect",
    "cells",
    "permits",
    "person_verdict",
    "status",
]


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
        scope = grant_scope(self.consent)
        self._refuse_endless_list(scope)
        if not (self.context is not None and self.context.historical_import):
            self._refuse_denied(state.consents.acts, scope, when.time)
        return Decision((new_fact(CONSENT_GIVEN, self.consent, when, self.context),))

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
        return Decision((new_fact(CONSENT_REFUSED, self.refusal, when, self.context),))


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
        ended = ends_anything(consents.acts, denial_scope(self.withdrawal), at)
        effect = WithdrawalEffect.ENDED if ended else WithdrawalEffect.NONE
        fact = new_fact(CONSENT_WITHDRAWN, self.withdrawal, past_occurrence(self.occur_time, setting), self.context)
        return Decision((fact,), effect.note())


def cells(state: ConsentState) -> list[Cell]:
    """Return every cell that an act of the customer named, in order."""
    return named_cells(state.acts)


def status(state: ConsentState, cell: Cell, at: int, terms: Terms = PLAIN) -> CellVerdict:
    """Return the status of a cell at an instant, in microseconds: a consent ends by its own term without an event.

    For a view as of T fold with until=T and ask at T. The instant is never before the last act that the state admits:
    a clock that lags behind the one that recorded a withdrawal must not bring back what was withdrawn.
    """
    return cell_verdict(state.acts, cell, max(at, state.last_time or at), terms)


def _axes(denial: Denial) -> tuple[int, int]:
    return denial.occur_time, denial.position
