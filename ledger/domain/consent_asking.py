"""Asking for a consent, and putting the question off: neither yes nor no (consent.md 1)."""

from dataclasses import dataclass
from typing import ClassVar

from ledger.domain.consent_state import CONSENT_DEFERRED, CONSENT_REQUESTED
from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.fact import Decision
from ledger.domain.notice import HasNotices, refuse_unknown_notice
from rapport.events.v1.consent_pb2 import ConsentDeferred, ConsentRequested
from rapport.type.v1.event_context_pb2 import EventContext


@dataclass(frozen=True, slots=True)
class RequestConsent:
    """Record that the customer was asked and has not answered."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    asked: ConsentRequested
    """With at least one purpose."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasNotices, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: NOTICE_UNKNOWN; OCCUR_TIME_IN_FUTURE.
        """
        refuse_unknown_notice(state, self.asked.notice)
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(CONSENT_REQUESTED, self.asked, when, self.context),))


@dataclass(frozen=True, slots=True)
class DeferConsent:
    """Record that the customer put the question off."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    deferral: ConsentDeferred
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasNotices, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: NOTICE_UNKNOWN; OCCUR_TIME_IN_FUTURE.
        """
        refuse_unknown_notice(state, self.deferral.notice)
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(CONSENT_DEFERRED, self.deferral, when, self.context),))
