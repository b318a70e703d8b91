"""Sealing: the personal fields of one event, encrypted under a key of that event's own.

    event_key  = HKDF-SHA-256(data_key, salt = 32 random bytes, info = "rapport.event-key.v1", 32 bytes)
    commitment = HMAC-SHA-256(event_key, "rapport.commitment.v1")
    enc        = HMAC-SHA-256(event_key, "rapport.encryption.v1")
    aad        = lp("rapport.seal.v1") || lp(stream_id) || u64(version) || lp(topic) || lp(key_id)
                 || SHA-256(metadata) || SHA-256(event)
    sealed     = 0x01 || lp(key_id) || salt(32) || commitment(32) || nonce(12)
                 || AES-256-GCM(enc, nonce, personal, aad)

What it promises:

* A sealed part opens only in its place: the same stream, version and topic, beside the same metadata and open part.
* It opens under one key only. AES-GCM by itself does not commit to its key (Len, Grubbs, Ristenpart 2021:
  "Partitioning Oracle Attacks"); the commitment does.
* The key of one event opens that event and no other, so that one can be shown without the rest.

All functions are pure: randomness comes in as bytes, and nobody may use the same bytes twice.
"""

from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from struct import Struct
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.domain.errors import LedgerError
from ledger.log.envelope import lp
from rapport.errors.v1 import error_reason_pb2 as reasons

DATA_KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
NONCE_BYTES: Final = 12

SEAL_RANDOM_BYTES: Final = SALT_BYTES + NONCE_BYTES
"""Fresh random bytes that one `seal` takes: the salt, then the nonce."""

_FORMAT = b"\x01"
_LENGTH = Struct(">I")
_VERSION = Struct(">Q")
_COMMITMENT_BYTES = 32
_TAG_BYTES = 16
_AAD_TAG = lp(b"rapport.seal.v1")
# The T(1) block of HKDF-Expand, the only one that 32 bytes take.
_EVENT_KEY_INFO = b"rapport.event-key.v1\x01"


class SealingError(LedgerError):
    """A sealed part cannot be opened. Nothing of its content is known."""

    reason = reasons.ERROR_REASON_LOG_DAMAGED


class MalformedSeal(SealingError):
    """The bytes do not have the layout of a sealed part."""


class WrongKey(SealingError):
    """The key is not the one this part was sealed with, or salt or commitment were changed."""


class SealBroken(SealingError):
    """The key is right, but the ciphertext, or the place it stands in, is not what was sealed."""


class Place(NamedTuple):
    """Where a sealed part belongs; it opens nowhere else."""

    stream_id: str
    version: int
    """Version of the event in its stream: the one that the decision expects, from 1."""
    topic: str
    metadata: bytes
    """The event's serialised metadata, as stored."""
    event: bytes
    """The event's serialised open part, as stored."""


def seal(data_key: bytes, key_id: str, place: Place, personal: bytes, randomness: bytes) -> bytes:
    """Return the sealed part for `personal`, the serialised personal fields of one event.

    `data_key` has 32 bytes and is the one named by `key_id`; `randomness` has `SEAL_RANDOM_BYTES` fresh random bytes.
    An event without personal content has no sealed part: do not call this for it.
    """
    assert personal, "an event without personal content has no sealed part"
    assert len(data_key) == DATA_KEY_BYTES
    assert len(randomness) == SEAL_RANDOM_BYTES
    salt, nonce = randomness[:SALT_BYTES], randomness[SALT_BYTES:]
    key = event_key(data_key, salt)
    key_name = lp(key_id.encode())
    ciphertext = AESGCM(_encryption_key(key)).encrypt(nonce, personal, _aad(place, key_name))
    return b"".join((_FORMAT, key_name, salt, commitment(key), nonce, ciphertext))


def open_sealed(data_key: bytes, place: Place, sealed: bytes) -> bytes:
    """Return the serialised personal fields in a sealed part that stands in `place`.

    Raises:
        MalformedSeal: `sealed` does not have the layout.
        WrongKey: `data_key` is not the one it was sealed with.
        SealBroken: the sealed part was moved or changed, or the metadata or event beside it was.
    """
    parts = _parse(sealed)
    return _open(event_key(data_key, parts.salt), place, parts)


def open_with_event_key(key: bytes, place: Place, sealed: bytes) -> bytes:
    """Return what `open_sealed` returns, from the key of this one event; the same errors."""
    return _open(key, place, _parse(sealed))


def key_id_of(sealed: bytes) -> str:
    """Return the id of the data key that a sealed part needs.

    Raises:
        MalformedSeal: `sealed` does not have the layout.
    """
    try:
        return _parse(sealed).key_name[_LENGTH.size :].decode()
    except UnicodeDecodeError:
        raise MalformedSeal("the key id of a sealed part is not UTF-8") from None


def event_key(data_key: bytes, salt: bytes) -> bytes:
    """Return the key of one event: HKDF-SHA-256 (RFC 5869) of the data key, 32 bytes."""
    # By hand, because this is two calls of HMAC and the library's object costs more than both.
    return hmac_digest(hmac_digest(salt, data_key, "sha256"), _EVENT_KEY_INFO, "sha256")


def commitment(key: bytes) -> bytes:
    """Return what a sealed part shows of its event key: 32 bytes that fit no other key and reveal nothing of it."""
    return hmac_digest(key, b"rapport.commitment.v1", "sha256")


def _encryption_key(key: bytes) -> bytes:
    return hmac_digest(key, b"rapport.encryption.v1", "sha256")


def _aad(place: Place, key_name: bytes) -> bytes:
    return b"".join(
        (
            _AAD_TAG,
            lp(place.stream_id.encode()),
            _VERSION.pack(place.version),
            lp(place.topic.encode()),
            key_name,
            sha256(place.metadata).digest(),
            sha256(place.event).digest(),
        )
    )


class _Parts(NamedTuple):
    key_name: bytes
    """lp(key_id)"""
    salt: bytes
    commitment: bytes
    nonce: bytes
    ciphertext: bytes


def _parse(sealed: bytes) -> _Parts:
    if sealed[:1] != _FORMAT:
        raise MalformedSeal("a sealed part of a format unknown here, or none")
    if len(sealed) < 1 + _LENGTH.size:
        raise MalformedSeal("a sealed part that ends before its key id")
    (key_id_size,) = _LENGTH.unpack_from(sealed, 1)
    salt_at = 1 + _LENGTH.size + key_id_size
    commitment_at = salt_at + SALT_BYTES
    nonce_at = commitment_at + _COMMITMENT_BYTES
    ciphertext_at = nonce_at + NONCE_BYTES
    if len(sealed) < ciphertext_at + _TAG_BYTES:
        raise MalformedSeal(f"a sealed part of {len(sealed)} bytes is cut short")
    return _Parts(
        sealed[1:salt_at],
        sealed[salt_at:commitment_at],
        sealed[commitment_at:nonce_at],
        sealed[nonce_at:ciphertext_at],
        sealed[ciphertext_at:],
    )


def _open(key: bytes, place: Place, parts: _Parts) -> bytes:
    # The commitment comes first: a wrong key must not reach the cipher, where it could be made to fit.
    if not compare_digest(commitment(key), parts.commitment):
        raise WrongKey(f"the sealed part of {place.stream_id} version {place.version} was sealed with another key")
    try:
        return AESGCM(_encryption_key(key)).decrypt(parts.nonce, parts.ciphertext, _aad(place, parts.key_name))
    except InvalidTag:
        raise SealBroken(
            f"the sealed part of {place.stream_id} version {place.version} was changed, or belongs elsewhere"
        ) from None
