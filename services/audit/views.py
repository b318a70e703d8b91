"""How much of an event is sent: what each view adds to the open part.

The personal part is decrypted for whoever may see it and says why; the key of an erased subject is gone, and the event
stays. A key that is missing without having been destroyed, or a sealed part that does not open, is an error and never
passed off as an erasure.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ledger.domain.errors import LogDamaged
from ledger.log.entries import entry_bytes, leaf_hash
from ledger.log.keys import Keys, KeyStore
from ledger.log.reading import parts
from ledger.log.scanning import Reads
from ledger.log.sealing import MalformedSeal, Place, SealingError, key_id_of, open_sealed
from ledger.log.store import EventRow
from services.audit.frames import Tail, field

NONE = b"\x40\x01"
PRESENT = b"\x40\x02"
WITHHELD = b"\x40\x03"
ERASED = b"\x40\x04"


class View(Protocol):
    """A way to show events."""

    async def tail(self, rows: Sequence[EventRow]) -> Tail | None:
        """Return what adds the view's part to each of `rows`; None: nothing is added to the open view.

        Raises:
            KeyUnavailable: a key is missing, or does not unwrap.
            LogDamaged: a sealed part cannot be read.
        """
        ...


class OpenView:
    """Everything but the personal part."""

    async def tail(self, rows: Sequence[EventRow]) -> Tail | None:  # noqa: ARG002  # The same for all rows.
        """Return None."""
        return None


class EntryView:
    """The open view, the entry that proofs cover and its leaf hash. Never decrypts."""

    async def tail(self, rows: Sequence[EventRow]) -> Tail | None:  # noqa: ARG002  # The same for all rows.
        """Return what computes the entry of a row."""
        return _entry


class PersonalView:
    """The open view, and the personal part decrypted."""

    def __init__(self, keys: KeyStore, reads: Reads) -> None:
        self._keys = keys
        self._reads = reads

    async def tail(self, rows: Sequence[EventRow]) -> Tail | None:
        """Return what opens the rows, with their keys found in one query."""
        sealed = {row.position: content for row in rows if (content := parts(row).sealed)}
        if not sealed:
            return None
        ids = {position: _key_id(position, content) for position, content in sealed.items()}
        keys = await self._reads(self._keys.find, set(ids.values()))
        return _opener(keys, ids)


def _entry(row: EventRow, sealed_at: int) -> bytes:
    entry = entry_bytes(row)
    state = WITHHELD if sealed_at < len(row.state) else NONE
    return b"".join((state, field(b"\x4a", leaf_hash(entry)), field(b"\x52", entry)))


def _opener(keys: Keys, ids: Mapping[int, str]) -> Tail:
    def personal(row: EventRow, _: int) -> bytes:
        key_id = ids.get(row.position)
        if key_id is None:
            return NONE
        if key_id in keys.destroyed:
            return ERASED
        data_key = keys.require(key_id)
        metadata, event, sealed = parts(row)
        place = Place(row.stream_id, row.version, row.topic, metadata, event)
        try:
            return PRESENT + field(b"\x5a", open_sealed(data_key, place, sealed))
        except SealingError as error:
            raise LogDamaged(row.position, str(error)) from error

    return personal


def _key_id(position: int, sealed: bytes) -> str:
    try:
        return key_id_of(sealed)
    except MalformedSeal as error:
        raise LogDamaged(position, str(error)) from error
