"""What a run of clients saw, held against the log that it left behind (invariants.md part E).

Every attempt is written down with its times on a monotonic clock. At the end the log is read whole, and `faults` says
what is wrong: acknowledged events that are lost, events twice, events that nobody asked for or that were refused,
positions or versions with holes, record times that go back, and answers that came out of real-time order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from ledger.log.reading import metadata
from ledger.log.store import EventRow


@dataclass(slots=True)
class Operation:
    """One request, however often it was sent."""

    request_id: UUID
    stream_id: str
    started: float
    """Of the first attempt, on a monotonic clock."""
    ended: float = 0.0
    """When it was answered with OK; 0: it never was."""
    position: int = 0
    version: int = 0
    refused: bool = False
    """It got a definite error: it must not be in the log."""
    attempts: int = 0


@dataclass(slots=True)
class History:
    """Operations in the order in which they were started."""

    operations: list[Operation] = field(default_factory=list)

    @property
    def acknowledged(self) -> list[Operation]:
        """Those that were answered with OK."""
        return [operation for operation in self.operations if operation.ended]


def faults(history: History, log: Sequence[EventRow]) -> list[str]:
    """Return what is wrong, a sentence each; nothing when the log keeps every promise made to the clients."""
    return [
        *_order_faults(log),
        *_lost(history.acknowledged, log),
        *_twice_or_unasked(history.operations, log),
        *_out_of_real_time(history.acknowledged),
    ]


def _order_faults(log: Sequence[EventRow]) -> Iterable[str]:
    versions: defaultdict[str, int] = defaultdict(int)
    record_time = 0
    for place, row in enumerate(log, start=1):
        if row.position != place:
            yield f"position {row.position} stands where {place} belongs"
            return
        versions[row.stream_id] += 1
        if row.version != versions[row.stream_id]:
            yield f"position {place}: {row.stream_id} has version {row.version} for {versions[row.stream_id]}"
        if row.record_time < record_time:
            yield f"position {place}: its record time goes back"
        record_time = row.record_time


def _lost(acknowledged: Sequence[Operation], log: Sequence[EventRow]) -> Iterable[str]:
    for operation in acknowledged:
        row = log[operation.position - 1] if 0 < operation.position <= len(log) else None
        if row is None:
            yield f"acknowledged position {operation.position} is lost"
        elif (row.stream_id, row.version) != (operation.stream_id, operation.version):
            yield f"position {operation.position} was acknowledged as {operation.stream_id} {operation.version}"
        elif metadata(row).request_id != operation.request_id.bytes:
            yield f"position {operation.position} was acknowledged to another request"


def _twice_or_unasked(operations: Sequence[Operation], log: Sequence[EventRow]) -> Iterable[str]:
    stored = Counter(UUID(bytes=stored_id) for row in log if (stored_id := _request_id(row)))
    asked = {operation.request_id: operation for operation in operations}
    for request_id, count in stored.items():
        if count > 1:
            yield f"request {request_id} is stored {count} times"
        if request_id not in asked:
            yield f"request {request_id} is stored and was never sent"
        elif asked[request_id].refused:
            yield f"request {request_id} is stored and was refused"


def _request_id(row: EventRow) -> bytes:
    # The event that tells of a new key belongs to the request that needed it, and is no second effect of it.
    return b"" if row.topic == "privacy.key_created.v1" else metadata(row).request_id


def _out_of_real_time(acknowledged: Sequence[Operation]) -> Iterable[str]:
    """What was answered before another was first sent stands before it (I7)."""
    ended = sorted(acknowledged, key=lambda operation: operation.ended)
    highest = at = 0
    for operation in sorted(acknowledged, key=lambda operation: operation.started):
        while at < len(ended) and ended[at].ended < operation.started:
            highest = max(highest, ended[at].position)
            at += 1
        if operation.position < highest:
            yield f"position {operation.position} was sent after {highest} had been answered"
