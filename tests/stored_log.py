"""A log for tests: events put straight into a store, without the decisions that would make them."""

from collections.abc import Iterable

from ledger.domain.times import timestamp
from ledger.log.envelope import join_state
from ledger.log.store import Append, Head, NewEvent, Store
from rapport.events.v1.interaction_pb2 import InteractionRecorded
from rapport.events.v1.metadata_pb2 import EventMetadata

START = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z, in microseconds."""

INTERACTION = "interaction.recorded.v1"


def state(external_id: str = "", sealed: bytes = b"", text: str = "spring") -> bytes:
    metadata = EventMetadata(occur_time=timestamp(START), actor="test", external_id=external_id)
    event = InteractionRecorded(campaign=text)
    return join_state(metadata.SerializeToString(), event.SerializeToString(), sealed)


class Writer:
    """Appends events in groups and knows the versions of its streams; one writer per log."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._versions: dict[str, int] = {}

    def append(
        self,
        streams: Iterable[str],
        *,
        now: int = START,
        topic: str = INTERACTION,
        stored: bytes | None = None,
    ) -> Head:
        """Append one event to each of `streams`, all in one group; return the head after it."""
        content = state() if stored is None else stored
        events = []
        for stream_id in streams:
            self._versions[stream_id] = version = self._versions.get(stream_id, 0) + 1
            events.append(NewEvent(stream_id, version, topic, content))
        _, head = self.store.append([Append(tuple(events))], self.store.head().position, now, 0)
        return head
