"""Since when exchanges of a category are recorded (reciprocity.md 6.4): before that, none means nobody looked."""

from dataclasses import dataclass
from typing import ClassVar, Final

from ledger.domain.decider import Setting, occurrence
from ledger.domain.exchange_deciding import Relationship, check_version
from ledger.domain.fact import Decision, NewFact
from ledger.domain.times import microseconds, timestamp
from rapport.events.v1.exchange_pb2 import ObservationDeclared
from rapport.type.v1.event_context_pb2 import EventContext

OBSERVATION_DECLARED: Final = "exchange.observation_declared.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareObservation:
    """Say since when a category is observed in a relationship. Of several the earliest counts (settled.md 36)."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    event: ObservationDeclared
    """Category and `since`, both given; `since` may be slightly ahead of the clock."""
    expected_version: int | None = None
    """Version the relationship must be at; None: any."""
    context: EventContext | None = None

    def decide(self, state: Relationship, setting: Setting) -> Decision:
        """Return the declaration as a fact; it is made now, so only `since` lies in the past.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE, of `since`; VERSION_CONFLICT.
        """
        since = occurrence(microseconds(self.event.since), setting)
        check_version(self.expected_version, state.version)
        event = self.event
        if since.clamped:
            event = ObservationDeclared(category=event.category, since=timestamp(since.time))
        fact = NewFact(
            topic=OBSERVATION_DECLARED, event=event, occur_time=setting.now, defaulted=True, context=self.context
        )
        return Decision((fact,))
