"""Decide, then evolve: the pattern every subject follows.

`decide` turns a command and a state into facts or a refusal; `evolve` folds a fact into a state. Both are pure: no
clock, no I/O, no randomness. Time and identifiers come in as arguments.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from google.protobuf.message import Message

from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact, NewFact
from ledger.domain.times import MICROSECONDS, text
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.type.v1.event_context_pb2 import EventContext

DEFAULT_FUTURE_TOLERANCE: Final = 300 * MICROSECONDS
"""How far ahead of the server's clock an occur_time may lie and still be set back to it (settled.md 7)."""


class State(Protocol):
    """Fold of one stream. Mutable inside the fold; what leaves it is a value (settled.md 21)."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: what was recorded is a fact, and is never refused here."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """What a decision may know beside the state and the command."""

    now: int
    """The server's clock, read once for the group. Microseconds."""
    others: dict[str, Any]
    """States of the other streams that the step reads, by stream id."""
    future_tolerance: int = DEFAULT_FUTURE_TOLERANCE
    """Microseconds."""


class Step(Protocol):
    """One command on one stream. Frozen; a request holds one or more, each decided on what the earlier ones left.

    A step whose facts hold positions taken from the states says `names_positions = True`: where earlier events of the
    same group are only expected to get those, it is decided again should they get others.
    """

    @property
    def stream_id(self) -> str:
        """The stream it writes."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """Other streams whose state it needs; they become the read set of the append."""
        ...

    @property
    def needs_state(self) -> bool:
        """False when the decision reads nothing of the stream: then only its version is looked up."""
        ...

    def decide(self, state: Any, setting: Setting) -> Decision:
        """Return what the command causes.

        `state` is the stream's, or None where `needs_state` is False and it is not at hand.

        Raises:
            Rejected: a rule says no.
        """
        ...


class Occurrence(NamedTuple):
    """When something happened, as it will be recorded."""

    time: int
    defaulted: bool = False
    clamped: bool = False


def occurrence(occur_time: int | None, setting: Setting) -> Occurrence:
    """Return the occur_time to record (settled.md 7): now when absent; set back to now when slightly ahead.

    Raises:
        Rejected: OCCUR_TIME_IN_FUTURE when it lies further ahead than the tolerance.
    """
    if occur_time is None:
        return Occurrence(setting.now, defaulted=True)
    if occur_time <= setting.now:
        return Occurrence(occur_time)
    if occur_time <= setting.now + setting.future_tolerance:
        return Occurrence(setting.now, clamped=True)
    raise Rejected(
        reasons.ERROR_REASON_OCCUR_TIME_IN_FUTURE,
        "occur_time lies in the future; correct it or the clock it came from",
        occur_time=text(occur_time),
        now=text(setting.now),
    )


def past_occurrence(occur_time: int | None, setting: Setting) -> Occurrence:
    """Return the occur_time to record of what is never refused for its time: one in the future counts as now."""
    if occur_time is None:
        return Occurrence(setting.now, defaulted=True)
    return Occurrence(min(occur_time, setting.now), clamped=occur_time > setting.now)


def new_fact(topic: str, event: Message, when: Occurrence, context: EventContext | None) -> NewFact:
    """Return one event to record."""
    return NewFact(
        topic=topic,
        event=event,
        occur_time=when.time,
        defaulted=when.defaulted,
        clamped=when.clamped,
        context=context,
    )
