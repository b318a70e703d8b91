"""What the relay publishes: a dense row of messages that never change, read from where they are recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

MESSAGE_ID: Final = "Nats-Msg-Id"


class Message(NamedTuple):
    """One message, the same whenever it is made."""

    number: int
    """Its place in the source: 1, 2, 3 … without holes."""
    message_id: str
    """Names it for ever, in all streams of all logs."""
    subject: str
    headers: Mapping[str, str]
    """Those of its own; the links of the chain come with publication."""
    body: bytes


class Place(NamedTuple):
    """Which message of which log a stored message says it is."""

    log_id: str
    number: int
    message_id: str
    mark: str
    """A digest of its content, as its headers tell it; empty: they tell none."""


class UnknownMessage(ValueError):
    """A message in the stream is none of ours: its headers do not say what it is."""


class Source(Protocol):
    """Where messages come from. Numbers are dense from 1, and what was read once reads the same for ever."""

    stream: str
    """Name of the JetStream stream."""
    subjects: str
    """Wildcard of the subjects of all its messages."""
    log_id: str
    pace_s: float
    """Seconds of rest after what was published, once the end is reached: what comes meanwhile is published together."""

    @property
    def known(self) -> int:
        """Number of the last message, as far as this process knows without asking."""
        ...

    async def last(self) -> int:
        """Return the number of the last message; 0: there is none.

        Raises:
            LedgerError: it cannot be read now.
        """
        ...

    async def after(self, number: int, limit: int) -> Sequence[Message]:
        """Return at most `limit` messages with a higher number, in order and without a hole.

        Raises:
            LedgerError: they cannot be read.
        """
        ...

    async def before(self, time: int) -> int:
        """Return the number of the last message recorded before a time (microseconds since the epoch); 0: none."""
        ...

    async def wait_beyond(self, number: int, timeout_s: float) -> None:
        """Return once there is a message with a higher number, or time is up."""
        ...

    def place(self, headers: Mapping[str, str]) -> Place:
        """Return which message a stored one is.

        Raises:
            UnknownMessage: it does not say.
        """
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """How much of a source its stream is to hold."""

    age_s: float
    size_bytes: int
    replicas: int
    protected: bool
    """Whether the server refuses to delete and purge, whoever asks."""


def bucket(stream_id: str) -> int:
    """Return the bucket of a relationship, 0 to 255: the first byte of the SHA-256 of its stream id (audit.md 7)."""
    return sha256(stream_id.encode()).digest()[0]


def token(identifier: str) -> str:
    """Return an id as one part of a subject: dots part subjects, so those inside are written `%2E`."""
    return identifier.replace(".", "%2E")
