"""Saying no, and what ends a consent otherwise: refused, withdrawn, revoked, invalidated; and who acts on it.

A withdrawal is never refused (GDPR Article 7(3); consent.md 4, rule 1).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Protocol

from ledger.domain.consent_effect import ends_anything
from ledger.domain.consent_scope import Scope, denial_scope
from ledger.domain.consent_state import (
    CONSENT_INVALIDATED,
    CONSENT_REFUSED,
    CONSENT_REVOKED,
    CONSENT_WITHDRAWN,
    WITHDRAWAL_HONOURED,
    ConsentState,
    HasConsents,
)
from ledger.domain.decider import Setting, new_fact, occurrence, past_occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision
from ledger.domain.objection import HasObjections
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import (
    ConsentInvalidated,
    ConsentRefused,
    ConsentRevoked,
    ConsentWithdrawn,
    WithdrawalHonoured,
)
from rapport.type.v1.event_context_pb2 import EventContext


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

    @classmethod
    def of(cls, consents: ConsentState, scope: Scope, now: int) -> "WithdrawalEffect":
        """Return what a denial recorded now changes. Consents end here by what they say themselves, and by denials.

        `now`: microseconds.
        """
        # As in `status`: what a faster clock recorded is live for the customer all the same.
        at = max(now, consents.last_time or now)
        return cls.ENDED if ends_anything(consents.acts, scope, at) else cls.NONE


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

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002  # A no needs nothing before it.
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
        effect = WithdrawalEffect.of(state.consents, denial_scope(self.withdrawal), setting.now)
        when = past_occurrence(self.occur_time, setting)
        return Decision((new_fact(CONSENT_WITHDRAWN, self.withdrawal, when, self.context),), effect.note())


@dataclass(frozen=True, slots=True)
class RevokeConsent:
    """Record that somebody other than the customer ended a consent."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    revocation: ConsentRevoked
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasConsents, setting: Setting) -> Decision:
        """Return the fact, with its WithdrawalEffect as note.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        effect = WithdrawalEffect.of(state.consents, denial_scope(self.revocation.scope), setting.now)
        return Decision((new_fact(CONSENT_REVOKED, self.revocation, when, self.context),), effect.note())


@dataclass(frozen=True, slots=True)
class InvalidateConsent:
    """Record that a consent was found never to have been valid."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    invalidation: ConsentInvalidated
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasConsents, setting: Setting) -> Decision:
        """Return the fact, with its WithdrawalEffect as note.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        effect = WithdrawalEffect.of(state.consents, denial_scope(self.invalidation.scope), setting.now)
        return Decision((new_fact(CONSENT_INVALIDATED, self.invalidation, when, self.context),), effect.note())


class HasDenials(HasConsents, HasObjections, Protocol):
    """State of a relationship, as far as those who act on a denial read it."""


@dataclass(frozen=True, slots=True)
class HonourWithdrawal:
    """Record that a system acts on a withdrawal or an objection. Nothing waits for it; only alarms do."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    honoured: WithdrawalHonoured
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasDenials, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: WITHDRAWAL_UNKNOWN, where the position is not that of a denial or an objection of this
                relationship; OCCUR_TIME_IN_FUTURE.
        """
        position = self.honoured.withdrawal_position
        if state.consents.find_denial(position) is None and state.objections.find(position) is None:
            raise Rejected(
                reasons.ERROR_REASON_WITHDRAWAL_UNKNOWN,
                "the position does not name a withdrawal or an objection of this relationship; name that of one",
                position=position,
            )
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(WITHDRAWAL_HONOURED, self.honoured, when, self.context),))
