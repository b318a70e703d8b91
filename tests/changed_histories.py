"""Histories whose changes are found: those of `measured_histories`, in a log in memory, with marks of its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from ledger.change.finding import Finder
from ledger.change.kept import KeptInMemory
from ledger.change.table import Progress, StoredChange
from ledger.domain.identifiers import LEDGER_STREAM
from ledger.domain.times import microseconds, timestamp
from ledger.log.envelope import join_state
from ledger.log.store import Append, EventRow, Head, NewEvent, Store
from rapport.change.v1 import change_pb2 as pb
from rapport.events.v1.ledger_pb2 import TimeMarked
from rapport.events.v1.metadata_pb2 import EventMetadata
from tests.contact_histories import instant
from tests.measured_histories import MeasuredHistory

LOG_ID: Final = "11111111-1111-4111-8111-111111111111"
KINDS: Final = {name.removeprefix("CHANGE_KIND_").lower(): number for name, number in pb.ChangeKind.items()}


class RowsInMemory:
    """A store that can be read, as far as finding changes reads it."""

    def __init__(self, rows: Sequence[EventRow]) -> None:
        self.rows = list(rows)
        self.streams: dict[str, list[EventRow]] = {}
        for row in rows:
            self.streams.setdefault(row.stream_id, []).append(row)

    def head(self) -> Head:
        return Head(self.rows[-1].position, self.rows[-1].record_time) if self.rows else Head(0, 0)

    def read_log(self, after: int, limit: int, to: int | None = None) -> list[EventRow]:
        return self.rows[after : min(after + limit, len(self.rows) if to is None else to)]

    def read_stream(
        self, stream_id: str, after_version: int = 0, limit: int | None = None, to_position: int | None = None
    ) -> list[EventRow]:
        found = self.streams.get(stream_id, [])[after_version:]
        kept = [row for row in found if to_position is None or row.position <= to_position]
        return kept[:limit]


class ChangedHistory(MeasuredHistory):
    """A history of customers of one organization, with marks of the log's time."""

    def mark(self, at: int | str) -> int:
        """Move the log's time to an instant: what is due before it is looked at."""
        return self._add(LEDGER_STREAM, TimeMarked(), at, None)

    def rows(self, before: int = 0) -> list[EventRow]:
        """Return the facts as they would be stored. `before`: how many events stand before them."""
        return [
            EventRow(before + position, name, version, topic, record_time, b"", _state(occur_time, event))
            for name, (position, version, record_time, occur_time, topic, event, _) in self.facts
        ]

    def store(self) -> Store:
        """Return a log of the facts, in memory."""
        return cast(Store, RowsInMemory(self.rows()))

    def found(self, to: int | None = None, **sizes: int) -> list[StoredChange]:
        """Return the changes as they are stored, up to a position."""
        return find(self.store(), self.head if to is None else to, KeptInMemory(), **sizes)

    def changes(self, *names: str) -> list[pb.RelationshipChange]:
        """Return the changes of some kinds, by their names; of all where none is given."""
        kinds = {KINDS[name] for name in names}
        changes = [pb.RelationshipChange.FromString(change.body) for change in self.found()]
        return [change for change in changes if not kinds or change.kind in kinds]

    def names(self, *names: str) -> list[str]:
        """Return the names of changes of some kinds, in order."""
        return [name_of(change) for change in self.changes(*names)]

    def one(self, name: str) -> pb.RelationshipChange:
        """Return the only change of a kind."""
        (change,) = self.changes(name)
        return change


def find(store: Store, to: int, kept: KeptInMemory, **sizes: int) -> list[StoredChange]:
    """Return the changes of a log up to a position."""
    progress, changes = Progress(LOG_ID), list[StoredChange]()
    finder = Finder(store, kept, LOG_ID)
    while found := finder.find(progress, to, **sizes):
        kept.store(found.watched, found.aggregates)
        progress = found.progress
        changes += found.changes
    return changes


def name_of(change: pb.RelationshipChange) -> str:
    """Return the name of a change. Example: `at_risk`."""
    return pb.ChangeKind.Name(change.kind).removeprefix("CHANGE_KIND_").lower()


def levels_of(change: pb.RelationshipChange) -> tuple[str, str]:
    """Return what it was and what it is."""
    return cast(str, getattr(change, "from")), change.to


def times(change: pb.RelationshipChange) -> tuple[int, int]:
    """Return when it took effect and when it was found, in microseconds."""
    return microseconds(change.effective_time), microseconds(change.detected_time)


def event(position: int) -> str:
    """Return an event as a cause."""
    return f"event:{LOG_ID}/{position}"


def at(text: str | int) -> int:
    """Return an instant in microseconds."""
    return instant(text)


def put(history: ChangedHistory, store: Store) -> None:
    """Put the facts of a history that are not there yet into a store, each with its record time."""
    for row in history.rows()[store.head().position :]:
        new = NewEvent(row.stream_id, row.version, row.topic, row.state)
        store.append([Append((new,))], store.head().position, row.record_time, 0)


def _state(occur_time: int, event: Any) -> bytes:
    metadata = EventMetadata(occur_time=timestamp(occur_time))
    return join_state(metadata.SerializeToString(), event.SerializeToString())
