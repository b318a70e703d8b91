"""The `state` of a stored event: three byte strings, made once and never serialised again.

`state = lp(metadata) || lp(event) || lp(sealed)`, where `lp(x)` is the length of x as four bytes, big-endian, then x.

* metadata: a serialised `EventMetadata`;
* event: the serialised message without its personal fields;
* sealed: the personal fields, encrypted (`sealing.py`); empty where there are none.

Hashes and proofs are over these bytes, never over a second serialisation: two releases of protobuf may write one
message differently (A21). The layout is permanent; another one would get another entry tag (`entries.py`).
"""

from struct import Struct
from typing import NamedTuple

from ledger.domain.errors import LedgerError
from rapport.errors.v1 import error_reason_pb2 as reasons

_LENGTH = Struct(">I")
_LENGTH_BYTES = _LENGTH.size
_THREE_LENGTHS = 3 * _LENGTH_BYTES


class MalformedState(LedgerError):
    """Stored bytes are not three length-prefixed strings and nothing else: the row is damaged or not ours."""

    reason = reasons.ERROR_REASON_LOG_DAMAGED


class State(NamedTuple):
    """The three parts of an event, as stored."""

    metadata: bytes
    event: bytes
    sealed: bytes
    """Empty when the event has no personal content."""


def lp(content: bytes) -> bytes:
    """Return `content` behind its length, four bytes big-endian.

    Raises:
        struct.error: `content` has 4 GiB or more.
    """
    return _LENGTH.pack(len(content)) + content


def join_state(metadata: bytes, event: bytes, sealed: bytes = b"") -> bytes:
    """Return the `state` of an event: its three parts, each behind its length."""
    # Not three calls of lp(): every event written passes here.
    pack = _LENGTH.pack
    return b"".join((pack(len(metadata)), metadata, pack(len(event)), event, pack(len(sealed)), sealed))


def split_state(state: bytes) -> State:
    """Return the three parts of a `state`; the inverse of `join_state`.

    Raises:
        MalformedState: a length points beyond the end, or bytes are left over.
    """
    size = len(state)
    if size < _THREE_LENGTHS:
        raise MalformedState(f"a state of {size} bytes cannot hold three lengths")
    (metadata_size,) = _LENGTH.unpack_from(state)
    event_at = _LENGTH_BYTES + metadata_size
    if event_at + 2 * _LENGTH_BYTES > size:
        raise MalformedState(f"metadata of {metadata_size} bytes does not fit into a state of {size}")
    (event_size,) = _LENGTH.unpack_from(state, event_at)
    sealed_at = event_at + _LENGTH_BYTES + event_size
    if sealed_at + _LENGTH_BYTES > size:
        raise MalformedState(f"an event of {event_size} bytes does not fit into a state of {size}")
    (sealed_size,) = _LENGTH.unpack_from(state, sealed_at)
    if sealed_at + _LENGTH_BYTES + sealed_size != size:
        raise MalformedState(f"a sealed part of {sealed_size} bytes does not end a state of {size}")
    return State(
        state[_LENGTH_BYTES:event_at],
        state[event_at + _LENGTH_BYTES : sealed_at],
        state[sealed_at + _LENGTH_BYTES :],
    )
