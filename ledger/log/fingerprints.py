"""The fingerprint of a request: tells a repeated request from another one that uses its request_id again.

    content     = lp("rapport.request.v1") || lp(method) || lp(request without its request_id)
    fingerprint = SHA-256(content)                                                  without personal content
                  HMAC-SHA-256(HKDF-SHA-256(data_key, "rapport.fingerprint.v1"), content)   with it

A plain digest of personal content would survive its erasure and could be guessed from; under the subject's key it says
nothing once that key is destroyed (a retry then is answered SUBJECT_ERASED). It stands in the idempotency row only.

The request is serialised with fields by number and maps by key. Protobuf promises that order within one release, not
for ever: a retry that crosses an upgrade of protobuf may be told REQUEST_ID_REUSED. It is never stored twice.
"""

from collections.abc import Sequence
from hashlib import sha256
from hmac import digest as hmac_digest

from google.protobuf.message import Message

from ledger.log.envelope import lp
from ledger.log.personal import has_personal

_TAG = lp(b"rapport.request.v1")
# HKDF without a salt takes as many zero bytes as the hash is long (RFC 5869, section 2.2).
_NO_SALT = bytes(32)
# The T(1) block of HKDF-Expand, the only one that 32 bytes take.
_INFO = b"rapport.fingerprint.v1\x01"


def fingerprint(
    method: str, request: Message, data_keys: Sequence[bytes] = (), *, personal: bool | None = None
) -> bytes:
    """Return the fingerprint of a request, 32 bytes.

    Args:
        method: Full name of the rpc. The same request_id for another method is another request.
        request: As it was received. Its `request_id`, if it has one, does not count.
        data_keys: Keys of the subjects whose personal content it holds, in the order of their first appearance. One
            key for a request about one customer. Not used without personal content.
        personal: Whether there is personal content, where the caller has looked already.

    Raises:
        ValueError: There is personal content and no key.
    """
    content = _TAG + lp(method.encode()) + lp(_without_request_id(request))
    if not (has_personal(request) if personal is None else personal):
        return sha256(content).digest()
    if not data_keys:
        raise ValueError(f"{method} has personal content: its fingerprint needs the subject's data key")
    return hmac_digest(_fingerprint_key(b"".join(data_keys)), content, "sha256")


def _without_request_id(request: Message) -> bytes:
    request_id = getattr(request, "request_id", None)
    if not request_id:
        return request.SerializeToString(deterministic=True)
    # Taken out and put back, rather than out of a copy: every request passes here.
    request.ClearField("request_id")
    try:
        return request.SerializeToString(deterministic=True)
    finally:
        request.request_id = request_id  # type: ignore[attr-defined]  # It has one.


def _fingerprint_key(data_key: bytes) -> bytes:
    return hmac_digest(hmac_digest(_NO_SALT, data_key, "sha256"), _INFO, "sha256")
