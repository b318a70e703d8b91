"""The table of relationship changes as a source: CloudEvents in binary mode (relationship.md 15, audit.md 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from ledger.change.reading import Changes
from ledger.domain.identifiers import relationship_stream
from ledger.domain.times import microseconds, text
from rapport.change.v1.change_pb2 import ChangeKind, RelationshipChange
from services.relay.source import MESSAGE_ID, Message, Place, UnknownMessage, bucket, token

STREAM: Final = "RAPPORT_CHANGES"
PREFIX: Final = "rapport.relationship.v1"


class ChangeSource:
    """The changes of all relationships of a log. Number: the change's place in the table."""

    stream = STREAM
    subjects = f"{PREFIX}.>"
    pace_s = 0.0

    def __init__(self, changes: Changes, log_id: str) -> None:
        self.log_id = log_id
        self._changes = changes

    @property
    def known(self) -> int:
        """Number of the last change, as last told."""
        return self._changes.seen

    async def last(self) -> int:
        """Return the number of the last change."""
        return (await self._changes.read(self._changes.last)).number

    async def after(self, number: int, limit: int) -> Sequence[Message]:
        """Return changes after a number as messages.

        Raises:
            StoreFailed, StoreClosed: the table does not answer.
        """
        rows = (await self._changes.next(number, limit)).changes
        return [message(self.log_id, row.number, row.body) for row in rows]

    async def before(self, time: int) -> int:
        """Return the number of the last change found before a time."""
        low, high = 0, await self.last()
        while low < high:  # Changes are found in order of time: of some millions, twenty are looked at.
            middle = (low + high + 1) // 2
            (row,) = await self._changes.read(partial(self._changes.after, middle - 1, 1))
            if microseconds(RelationshipChange.FromString(row.body).detected_time) < time:
                low = middle
            else:
                high = middle - 1
        return low

    async def wait_beyond(self, number: int, timeout_s: float) -> None:
        """Return once there is a change with a higher number, or time is up."""
        await self._changes.wait_beyond(number, timeout_s)

    def place(self, headers: Mapping[str, str]) -> Place:
        """Return which change a stored message is.

        Raises:
            UnknownMessage: it does not say.
        """
        log_id, number = headers.get("Rapport-Log-Id", ""), headers.get("Rapport-Number", "")
        if not log_id or not number.isdecimal():
            raise UnknownMessage(f"a message of {STREAM} names no change of a log")
        return Place(log_id, int(number), headers.get(MESSAGE_ID, ""), "")


def message(log_id: str, number: int, body: bytes) -> Message:
    """Return the message of a change: a CloudEvent whose attributes are headers, and the stored bytes."""
    change = RelationshipChange.FromString(body)
    name = kind_name(change.kind)
    headers = {
        "ce-specversion": "1.0",
        "ce-id": change.change_id,
        "ce-source": f"/organizations/{change.organization_id}",
        "ce-type": f"rapport.relationship.{name}.v1",
        "ce-subject": change.subject_id,
        "ce-time": text(microseconds(change.effective_time)),
        "ce-datacontenttype": "application/protobuf",
        "Rapport-Log-Id": log_id,
        "Rapport-Number": str(number),
        "Rapport-Prev-Number": str(number - 1),
        "Rapport-Subject-Number": str(change.subject_number),
    }
    stream_id = relationship_stream(change.organization_id, change.subject_id)
    subject = f"{PREFIX}.{token(change.organization_id)}.{bucket(stream_id)}.{name}"
    return Message(number, change.change_id, subject, headers, body)


def kind_name(kind: ChangeKind.ValueType) -> str:
    """Return the name of a kind in types and subjects: `at_risk`."""
    return ChangeKind.Name(kind).removeprefix("CHANGE_KIND_").lower()
