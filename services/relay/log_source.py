"""The log as a source: every event as it is stored, its personal part encrypted (audit.md 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ledger.domain.identifiers import organization_of
from ledger.domain.times import timestamp
from ledger.ledger import Ledger
from ledger.log.entries import entry_bytes, leaf_hash
from ledger.log.envelope import split_state
from ledger.log.reading import check_dense
from ledger.log.store import EventRow
from rapport.relay.v1.log_message_pb2 import LogMessage
from services.relay.source import MESSAGE_ID, Message, Place, UnknownMessage, bucket, token

STREAM: Final = "RAPPORT_LOG"
PREFIX: Final = "rapport.log.v1"


class LogSource:
    """The events of a log. Number: log position."""

    stream = STREAM
    subjects = f"{PREFIX}.>"
    pace_s = 0.02

    def __init__(self, ledger: Ledger) -> None:
        self.log_id = ledger.log_id
        self._store = ledger.store
        self._follower = ledger.follower
        self._ledger = ledger

    @property
    def known(self) -> int:
        """Position of the head, as far as this process knows."""
        return max(self._ledger.head.position, self._follower.position)

    async def last(self) -> int:
        """Return the position of the head."""
        return (await self._follower.reads(self._store.head)).position

    async def after(self, number: int, limit: int) -> Sequence[Message]:
        """Return events after a position as messages.

        Raises:
            LogDamaged: a position is missing, or an event cannot be read.
            StoreFailed, StoreClosed: storage does not answer.
        """
        rows = await self._follower.reads(self._store.read_log, number, limit)
        check_dense(rows, number)
        return [message(self.log_id, row) for row in rows]

    async def before(self, time: int) -> int:
        """Return the last position recorded before a time."""
        return await self._follower.reads(self._store.position_at, time - 1)

    async def wait_beyond(self, number: int, timeout_s: float) -> None:
        """Return once the log reaches beyond a position, or time is up."""
        await self._follower.wait_for(number + 1, timeout_s)

    def place(self, headers: Mapping[str, str]) -> Place:
        """Return which event a stored message is: `Nats-Msg-Id` is `<log_id>/<position>`.

        Raises:
            UnknownMessage: it does not say.
        """
        message_id = headers.get(MESSAGE_ID, "")
        log_id, _, position = message_id.rpartition("/")
        if not log_id or not position.isdecimal():
            raise UnknownMessage(f"a message of {STREAM} names no position of a log")
        return Place(log_id, int(position), message_id, headers.get("Rapport-Leaf-Hash", ""))


def message(log_id: str, row: EventRow) -> Message:
    """Return the message of an event: exactly the bytes that are stored.

    Raises:
        MalformedState: the row is damaged.
    """
    metadata, event, sealed = split_state(row.state)
    body = LogMessage(
        position=row.position,
        stream_id=row.stream_id,
        version=row.version,
        topic=row.topic,
        record_time=timestamp(row.record_time),
        metadata=metadata,
        event=event,
        sealed=sealed,
    )
    headers = {
        "Rapport-Position": str(row.position),
        "Rapport-Prev-Position": str(row.position - 1),
        "Rapport-Version": str(row.version),
        "Rapport-Leaf-Hash": leaf_hash(entry_bytes(row)).hex(),
    }
    return Message(row.position, f"{log_id}/{row.position}", subject(row), headers, body.SerializeToString())


def subject(row: EventRow) -> str:
    """Return the subject of an event; the dots of its topic part the subject, so that topics can be asked for."""
    return f"{PREFIX}.{token(organization_of(row.stream_id))}.{bucket(row.stream_id)}.{row.topic}"
