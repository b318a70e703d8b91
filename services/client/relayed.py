"""What the relay publishes, read by a consumer; and the same read from the services, where NATS has lost some of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar

from rapport.audit.v1 import audit_service_pb2
from rapport.audit.v1.recorded_event_pb2 import PERSONAL_STATE_NONE, PERSONAL_STATE_WITHHELD, RecordedEvent
from rapport.change.v1.change_pb2 import RelationshipChange
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.relay.v1.log_message_pb2 import LogMessage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.client.client import Client

Content = TypeVar("Content")


class Numbered(NamedTuple, Generic[Content]):
    """One message."""

    number: int
    previous: int
    """Number of the message before it, in the stream as it was published."""
    content: Content


class Relayed(Protocol[Content]):
    """A row of numbered messages that is published to a stream and kept by a service."""

    @property
    def stream(self) -> str:
        """Name of the stream."""
        ...

    @property
    def subjects(self) -> str:
        """Wildcard of the subjects that are wanted."""
        ...

    def read(self, headers: Mapping[str, str], body: bytes) -> Numbered[Content]:
        """Return what a message holds."""
        ...

    async def after(self, number: int, limit: int) -> Sequence[Numbered[Content]]:
        """Return at most `limit` with a higher number, in order, from the service; empty: it has none."""
        ...


class RelayedChanges:
    """Changes of the relationships of one organization; holes are filled by ChangeService.ListChanges."""

    stream: Final = "RAPPORT_CHANGES"

    def __init__(self, client: Client, organization_id: str) -> None:
        self.subjects = f"rapport.relationship.v1.{organization_id}.>"
        self._client = client
        self._organization_id = organization_id

    def read(self, headers: Mapping[str, str], body: bytes) -> Numbered[RelationshipChange]:
        """Return the change that a message holds."""
        previous = int(headers["Rapport-Prev-Number"])
        return Numbered(int(headers["Rapport-Number"]), previous, RelationshipChange.FromString(body))

    async def after(self, number: int, limit: int) -> Sequence[Numbered[RelationshipChange]]:
        """Return changes from the service."""
        page = await self._client.list_changes(self._organization_id, after_number=number, page_size=limit)
        return [Numbered(change.number, 0, change) for change in page.changes]


class RelayedEvents:
    """Events of the log, of one organization or all, without personal content; holes are filled by ReadEvents."""

    stream: Final = "RAPPORT_LOG"

    def __init__(self, client: Client, organization_id: str = "") -> None:
        """`organization_id`: empty: every organization."""
        self.subjects = f"rapport.log.v1.{organization_id}.>" if organization_id else "rapport.log.v1.>"
        self._client = client
        self._filter = audit_service_pb2.EventFilter(organization_id=organization_id) if organization_id else None

    def read(self, headers: Mapping[str, str], body: bytes) -> Numbered[RecordedEvent]:
        """Return the event that a message holds, as ReadEvents would send it."""
        message = LogMessage.FromString(body)
        event = RecordedEvent(
            position=message.position,
            record_time=message.record_time,
            stream_id=message.stream_id,
            version=message.version,
            topic=message.topic,
            metadata=EventMetadata.FromString(message.metadata),
            event=message.event,
            personal_state=PERSONAL_STATE_WITHHELD if message.sealed else PERSONAL_STATE_NONE,
        )
        return Numbered(message.position, int(headers["Rapport-Prev-Position"]), event)

    async def after(self, number: int, limit: int) -> Sequence[Numbered[RecordedEvent]]:
        """Return events from the service."""
        reader = self._client.read_events(after_position=number, filter=self._filter, max_events=limit)
        return [Numbered(event.position, 0, event) async for event in reader]
