"""The log's own time, and marks that move it on (relationship.md 15, settled.md 41).

What the clock changes follows from the log: it runs when an event of a later record time is reached. Where nobody
writes, a mark is that event. It says that nothing else happened up to its record time.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.fact import Decision, Fact
from ledger.domain.identifiers import LEDGER_STREAM
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.events.v1.ledger_pb2 import TimeMarked

TIME_MARKED: Final = "ledger.time_marked.v1"


@dataclass(frozen=True, slots=True)
class MarkTime:
    """Move the log's time past an instant at which something is due."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    due: int
    """Microseconds."""
    stream_id: str = LEDGER_STREAM

    def decide(self, state: "LogTimeState", setting: Setting) -> Decision:
        """Return a mark; nothing where another one is past the instant already, or the clock is not."""
        if self.due < state.marked_time or setting.now <= self.due:
            return Decision(())
        return Decision((new_fact(TIME_MARKED, TimeMarked(), occurrence(None, setting), None),))


class LogTimeState:
    """Fold of the log's own stream, as far as marks need it."""

    __slots__ = ("key_check", "last_position", "marked_time", "version")

    def __init__(self, until: int = END_OF_TIME) -> None:  # noqa: ARG002  # As other states; marks are never asked as of.
        self.version = 0
        """Version of the stream; 0 before its first event."""
        self.last_position = 0
        """Log position of the last event folded."""
        self.marked_time = START_OF_TIME
        """Record time of the last mark, in microseconds."""
        self.key_check: bytes | None = None
        """None: nothing here is personal, so there is no key."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Whatever is no mark only moves the version."""
        self.version = fact.version
        self.last_position = fact.position
        if fact.topic == TIME_MARKED:
            self.marked_time = fact.record_time
