"""What a store of events is: the seam between the ledger and its databases.

A store keeps two tables, events and requests, and does one thing that matters: it appends a *group* of appends in
one transaction, under a lock that is held until the commit is durable. So positions are 1, 2, 3 … without holes,
and position order is commit order is the order in which readers see events (I6).

Everything here is bytes and integers; no message is parsed. Times are whole microseconds since 1970-01-01T00:00Z.
The layout of `state` (`lp(metadata) || lp(event) || lp(sealed)`) is a matter of the layers above: a store keeps any
bytes. Two stores exist, equals: `sqlite_store.py` and `postgres_store.py`; `ledger.testing.recorder_contract` holds
what every store must do.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol


class EventRow(NamedTuple):
    """One stored event, as it is in the database, never changed."""

    position: int
    """Place in the log: 1, 2, 3 … without holes."""
    stream_id: str
    version: int
    """Place in the stream: 1, 2, 3 …"""
    topic: str
    record_time: int
    """Microseconds since the epoch, UTC; never decreases with `position`."""
    salt: bytes
    """16 random bytes, made with the event."""
    state: bytes


class NewEvent(NamedTuple):
    """An event that wants to be stored."""

    stream_id: str
    version: int
    """The version that the decision expects: that of the stream's last event, plus one."""
    topic: str
    state: bytes


class RequestKey(NamedTuple):
    """Names a request for ever."""

    organization_id: str
    request_id: bytes
    """16 bytes."""


class RequestRow(NamedTuple):
    """What is remembered of a request that was carried out."""

    organization_id: str
    request_id: bytes
    fingerprint: bytes
    first_position: int
    """First of the events that it caused; 0 when it changed nothing."""
    last_position: int
    """Last of the events that it caused; 0 when it changed nothing."""
    record_time: int
    answer: bytes | None
    """The open answer, kept only where the positions cannot give it again."""


class Append(NamedTuple):
    """The outcome of one decision: its events and its request row are stored together or not at all."""

    events: tuple[NewEvent, ...]
    request: RequestKey | None = None
    fingerprint: bytes = b""
    answer: bytes | None = None
    read_set: tuple[tuple[str, int], ...] = ()
    """(stream_id, version) of streams that were read and are not written: none of them may have grown since."""
    first_position: int = 0
    """Where the first event must come to stand, because the decision names positions that it was promised; 0: anywhere.
    Elsewhere it is a conflict."""


class Appended(NamedTuple):
    """The append is durable. Positions are 0, 0 for an append without events."""

    first_position: int
    last_position: int
    record_time: int


class Conflict(NamedTuple):
    """The append was left out: streams that it wrote or read had grown, or its place was taken."""

    streams: tuple[str, ...]


class Repeated(NamedTuple):
    """The append was left out: its request had been carried out before."""

    request: RequestRow


Outcome = Appended | Conflict | Repeated


class Head(NamedTuple):
    """The end of the log. (0, 0) when it is empty."""

    position: int
    record_time: int


class Store(Protocol):
    """A database of events. Every method may be called from any thread.

    Reads raise `StoreClosed` once the store is closed, and `StoreFailed` where the database does not answer.
    """

    reads_are_local: bool
    """Reads of a few rows take microseconds, so that an event loop makes them itself rather than in a thread."""

    def append(
        self, group: Sequence[Append], known_head: int, now: int, latest_decision: int
    ) -> tuple[list[Outcome], Head]:
        """Store a group in one transaction, in order; return one outcome per append and the head after it.

        `known_head`: position of the head up to which the caller knows all streams of the group. While the log still
        ends there, nothing can conflict and the rows are inserted straight away. Otherwise (or when a request key
        turns out to be there already) the careful path reads the current versions of all streams written or read and
        the request rows of the group in the same transaction. An append whose streams have grown is answered
        `Conflict`; one whose request is known, `Repeated`; one that builds on streams of such a one, `Conflict`.

        The head that comes back may be taken as the next `known_head` only if every outcome is `Appended` and it is
        `known_head` plus the number of events of the group. Else somebody else wrote too, and streams that the caller
        has cached may have grown: then take `head()` first and read what is cached after it.

        All events of a group get the same record_time: max(now, record_time of the head, latest_decision), where
        `latest_decision` is the latest `now` that a decision of the group was given.

        Raises:
            OutcomeUnknown: the commit was sent and its outcome is not known. Never retried here.
            StoreFailed: nothing was written.
            StoreClosed: nothing was done.
        """
        ...

    def head(self) -> Head:
        """Return the position and record time of the last event; (0, 0) when there is none."""
        ...

    def read_log(
        self,
        after: int,
        limit: int,
        to: int | None = None,
        stream_from: str | None = None,
        stream_before: str | None = None,
        topics: Sequence[str] = (),
    ) -> list[EventRow]:
        """Return at most `limit` events with position > `after`, in order of position.

        to: no event after this position. stream_from, stream_before: only streams with stream_from <= id <
        stream_before, compared as UTF-8 bytes. topics: only these; empty: all.
        """
        ...

    def read_stream(
        self,
        stream_id: str,
        after_version: int = 0,
        limit: int | None = None,
        to_position: int | None = None,
    ) -> list[EventRow]:
        """Return the events of one stream with version > `after_version`, in order."""
        ...

    def read_streams(self, stream_ids: Sequence[str]) -> dict[str, list[EventRow]]:
        """Return the events of many streams, in order, in one query; a stream without events has an empty list."""
        ...

    def versions(self, stream_ids: Sequence[str]) -> dict[str, int]:
        """Return the version of the last event of each stream, in one query; 0 for a stream without events."""
        ...

    def tails(self, streams: Mapping[str, int]) -> dict[str, list[EventRow]]:
        """Return for each stream its events after the version given, in order, in one query."""
        ...

    def find_requests(self, keys: Sequence[RequestKey]) -> dict[RequestKey, RequestRow]:
        """Return the rows of those requests that were carried out, in one query."""
        ...

    def get(self, position: int) -> EventRow | None:
        """Return the event at a position, or None beyond the log."""
        ...

    def position_at(self, record_time: int) -> int:
        """Return the last position with record_time <= the one asked; 0 when there is none."""
        ...

    def list_streams(self, after: str, before: str, limit: int) -> list[str]:
        """Return at most `limit` stream ids with after < id < before, each once, in order of their UTF-8 bytes."""
        ...

    def listen(self, wake: Callable[[int], None]) -> None:
        """Call `wake` with the head's position after appends, by this process or another one.

        Called from other threads, at times late, twice or with a head that is already known: it says where to look,
        and a follower asks again at least once a second whatever it hears (A6, I18). It must not block.
        """
        ...

    def close(self) -> None:
        """Let go of the database. Calling it twice is the same as calling it once."""
        ...

    def description(self) -> dict[str, str]:
        """Return engine, version and the settings that durability rests on, for health and `log head`."""
        ...

    def warnings(self) -> list[str]:
        """Return what an operator should know about the database's settings, a sentence each."""
        ...
