"""Where the relay stands, decided from what the stream holds and what the source says (audit.md 7). Pure.

The last stored message says it, never a table: tables and streams are restored apart from each other.
"""

from __future__ import annotations

from typing import NamedTuple

from services.relay.source import Message, Place


class View(NamedTuple):
    """What a stream holds."""

    first: Place | None
    """Its first message. None: it holds none, or nobody looked."""
    last: Place | None
    """Its last message. None: it holds none."""
    size: int
    """How many messages it holds."""
    last_sequence: int
    """The stream's own number of the last message that it ever took, also where that is deleted."""

    @property
    def holes(self) -> int:
        """How many messages are missing between the first and the last. Their consumers find them by themselves."""
        if self.first is None or self.last is None:
            return 0
        return max(self.last.number - self.first.number + 1 - self.size, 0)


class Standing(NamedTuple):
    """After which message to go on, and by what link."""

    number: int
    message_id: str
    """Id of the message that the next one must follow; empty: the link is `sequence`."""
    sequence: int
    """The stream's last sequence."""


class Halted(Exception):
    """Nothing may be published until somebody has looked: an alarm."""


class Ahead(Exception):
    """The stream holds what the source does not have yet: somebody else publishes too, and has seen more."""

    def __init__(self, number: int, last: int) -> None:
        super().__init__(f"the stream holds number {number}, the source ends at {last}")
        self.number = number


def standing(view: View, log_id: str, source_last: int, ours: Message | None, kept_from: int) -> Standing:
    """Return where to go on. The first link is the sequence: what came before may be a hole that an id would span.

    ours: the source's message of the number that the stream ends with, where there is one. kept_from: number of the
    last message that is too old to be kept; an empty stream is filled after it.

    Raises:
        Halted: the stream holds messages of another log, or of another past of this one.
        Ahead: the stream is ahead of the source.
    """
    stored = view.last
    if stored is None:
        return Standing(min(kept_from, source_last), "", view.last_sequence)
    if stored.log_id != log_id:
        raise Halted(
            f"the stream holds messages of log {stored.log_id}, not of {log_id}: "
            f"name another NATS server, or delete the stream"
        )
    if stored.number > source_last:
        raise Ahead(stored.number, source_last)
    assert ours is not None, "the source reaches to here"
    if not same(stored, ours):
        raise Halted(
            f"message {stored.number} of the stream is not that of the source: one of them was restored to another "
            f"past; when the source is right, delete the stream, and it is filled again"
        )
    return Standing(stored.number, "", view.last_sequence)


def same(stored: Place, ours: Message) -> bool:
    """Tell whether a stored message is the one of the source."""
    mark = ours.headers.get("Rapport-Leaf-Hash", "")
    return stored.message_id == ours.message_id and (not stored.mark or stored.mark == mark)
