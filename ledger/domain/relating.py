"""What commands about the relationship as such have in common.

Each records one fact. Where it names the interaction in which something was said, there is one (relationship.md 1).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.fact import Decision
from ledger.domain.interaction import HasInteractions
from rapport.type.v1.event_context_pb2 import EventContext


@dataclass(frozen=True, slots=True)
class Relate:
    """Record one fact, unless a rule of its subject says no."""

    topic: ClassVar[str]
    needs_state: ClassVar[bool] = True

    stream_id: str
    event: Any
    """The fact as it will be recorded; of the message that the topic stands for."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """No other stream."""
        return ()

    def decide(self, state: HasInteractions, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE; what `refuse` names; INTERACTION_UNKNOWN or INTERACTION_RETRACTED of the
                interaction in which it is said to have been told.
        """
        when = occurrence(self.occur_time, setting)
        self.refuse(state, when.time, setting)
        position = getattr(self.event, "interaction_position", 0)
        if position:
            state.interactions.require(position)
        return Decision((new_fact(self.topic, self.event, when, self.context),))

    def refuse(self, state: Any, at: int, setting: Setting) -> None:
        """Raise Rejected where a rule of the subject says no to what occurs at `at`, in microseconds. Here: none."""
