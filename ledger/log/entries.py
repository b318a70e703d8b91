"""Entries of the log: the bytes that a leaf of the Merkle tree commits to, and how the tree hashes them.

`entry = lp("rapport.entry.v1") || u64(position) || u64(record_time) || lp(stream_id) || u64(version) || lp(topic)
|| lp(salt) || state`, integers as 8 bytes big-endian, text as UTF-8 without normalisation. The tag keeps this hash
apart from every other use of SHA-256; another layout gets another tag and never hashes old entries again.

Hashing is that of RFC 6962, section 2.1. It covers ciphertext and never plaintext, so that destroying a key changes no
leaf. The tree itself is made behind the write path, not in it.
"""

from hashlib import sha256
from struct import Struct
from typing import Final

from ledger.domain.errors import Refused
from ledger.log.envelope import lp
from ledger.log.store import EventRow
from rapport.errors.v1 import error_reason_pb2 as reasons

ENTRY_BYTES_MAX: Final = 65_535
"""Bytes of an entry at most: C2SP tile bundles write its length in 16 bits."""

SALT_BYTES: Final = 16
"""Random bytes per event: the sibling hashes in somebody else's proof reveal nothing that could be guessed."""

_TAG = lp(b"rapport.entry.v1")
_POSITION_AND_TIME = Struct(">QQ")
_VERSION = Struct(">Q")
_LENGTH_BYTES = 4
_FIXED_BYTES = len(_TAG) + _POSITION_AND_TIME.size + _VERSION.size + 3 * _LENGTH_BYTES + SALT_BYTES
_SURELY_FITS = ENTRY_BYTES_MAX - _FIXED_BYTES


class EventTooLarge(Refused):
    """The event does not fit into an entry. What is large lives elsewhere; the event holds its place and digest."""

    reason = reasons.ERROR_REASON_EVENT_TOO_LARGE

    def __init__(self, stream_id: str, topic: str, size_bytes: int) -> None:
        super().__init__(f"{topic} for {stream_id} makes an entry of {size_bytes} bytes; at most {ENTRY_BYTES_MAX} fit")
        self.size_bytes = size_bytes

    @property
    def metadata(self) -> dict[str, str]:
        """Bytes that the entry would take, and the limit."""
        return {"size": str(self.size_bytes), "limit": str(ENTRY_BYTES_MAX)}


def entry_size(stream_id: str, topic: str, state: bytes) -> int:
    """Return the bytes that the entry of an event will have; known before position and record time are."""
    return _FIXED_BYTES + _text_size(stream_id) + _text_size(topic) + len(state)


def check_entry_size(stream_id: str, topic: str, state: bytes) -> None:
    """Let pass what fits into an entry.

    Raises:
        EventTooLarge: the entry would have more than `ENTRY_BYTES_MAX` bytes.
    """
    # A character has four bytes at most, so that nearly every event fits at a glance.
    if len(state) + 4 * (len(stream_id) + len(topic)) <= _SURELY_FITS:
        return
    size_bytes = entry_size(stream_id, topic, state)
    if size_bytes > ENTRY_BYTES_MAX:
        raise EventTooLarge(stream_id, topic, size_bytes)


def entry_bytes(row: EventRow) -> bytes:
    """Return the entry of a stored event.

    Rows are taken as they are, also one whose salt has another length: the entry of a damaged row must be computable
    too, so that the damage shows in its hash.
    """
    return b"".join(
        (
            _TAG,
            _POSITION_AND_TIME.pack(row.position, row.record_time),
            lp(row.stream_id.encode()),
            _VERSION.pack(row.version),
            lp(row.topic.encode()),
            lp(row.salt),
            row.state,
        )
    )


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256(0x00 || entry), RFC 6962 section 2.1."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256(0x01 || left || right), RFC 6962 section 2.1."""
    return sha256(b"\x01" + left + right).digest()


def _text_size(text: str) -> int:
    # Ids and topics are ASCII; only what is not has to be encoded to be measured.
    return len(text) if text.isascii() else len(text.encode())
