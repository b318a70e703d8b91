"""A fact: one event as folds see it, and a new one as decisions return it.

Folds see the open part only; personal fields are empty in `event` (audit.md 5), so erasure changes no fold.
"""

from typing import NamedTuple

from google.protobuf.message import Message

from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.type.v1.event_context_pb2 import EventContext


class Fact(NamedTuple):
    """One recorded event with its place. Never changed."""

    position: int
    version: int
    record_time: int
    """Microseconds."""
    occur_time: int
    """Microseconds; at most `record_time`. For a reversal and the like its effective time."""
    topic: str
    event: Message
    """The open part, parsed."""
    metadata: EventMetadata


class NewFact(NamedTuple):
    """One event that a decision wants recorded, with its personal fields still in place. Made with keywords."""

    topic: str
    event: Message
    occur_time: int
    """Microseconds."""
    defaulted: bool = False
    """The caller gave no occur_time."""
    clamped: bool = False
    """The caller's occur_time lay slightly ahead of the server's clock."""
    context: EventContext | None = None


class Decision(NamedTuple):
    """What a command causes: facts in the order they happened, and what the answer says beyond their positions."""

    facts: tuple[NewFact, ...]
    note: bytes = b""
    """Kept with the request so that a retry gets the same answer; empty where positions and versions say it all."""
