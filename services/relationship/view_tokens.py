"""View tokens: a resolved view in some 150 bytes, with digests of what it rests on and of what it gave.

The rules are those of `reciprocity.md` 7. The layout:

    version of this layout  1 byte
    model version           2 bytes
    position, time          8 bytes each; the time, like all times here, in microseconds, signed
    perspective             1 byte
    half-life               2 bytes, in days
    window                  1 byte that says which ends there are, then both of 8 bytes
    version valued under    4 bytes; 0: each leg by the version of its time
    digest of the policies  32 bytes, of id, version and digest of every one that the balance lists
    digest of the balance   32 bytes
    policy                  1 byte for its length, and its id
    checksum                16 bytes, over the relationship and all of the above

Integers are unsigned and big-endian where nothing else is said. A token holds no customer id: the relationship is in
the checksum only, so a token of another one does not fit. It grants no access and hides nothing; the checksum finds
damage and mistakes, not forgers, who could as well ask for the view in plain words.
"""

import hashlib
from struct import Struct
from typing import Final, NamedTuple

from ledger.balance.numbers import MODEL_VERSION
from ledger.balance.view import BalanceView
from ledger.domain.decay import HALF_LIFE_DAYS_MAX
from ledger.domain.errors import Rejected, Violation
from rapport.errors.v1 import error_reason_pb2 as reasons

_LAYOUT: Final = 1
_FIXED: Final = Struct(">BHQqBHBqqI32s32sB")
_CHECKSUM_BYTES: Final = 16
_FROM: Final = 1
_TO: Final = 2


class Token(NamedTuple):
    """What a token says."""

    position: int
    view: BalanceView
    policy_id: str
    """Empty: nothing was published in the view."""
    policy_version: int
    """0: each leg by the version in force at its time."""
    policies_digest: bytes
    """SHA-256, 32 bytes, of the policy versions that the balance lists."""
    balance_digest: bytes
    """SHA-256, 32 bytes, of the Balance with an empty token."""
    model_version: int = MODEL_VERSION

    @property
    def digests(self) -> tuple[bytes, bytes]:
        """Of the balance and of the policies."""
        return self.balance_digest, self.policies_digest


def write(stream_id: str, token: Token) -> bytes:
    """Return the token of a relationship's view; the same for the same view, for ever."""
    view, policy = token.view, token.policy_id.encode()
    ends = (_FROM if view.window_from is not None else 0) | (_TO if view.window_to is not None else 0)
    content = _FIXED.pack(
        _LAYOUT,
        token.model_version,
        token.position,
        view.at,
        view.perspective,
        view.half_life_days,
        ends,
        view.window_from or 0,
        view.window_to or 0,
        token.policy_version,
        token.policies_digest,
        token.balance_digest,
        len(policy),
    )
    content += policy
    return content + _checksum(stream_id, content)


def read(stream_id: str, raw: bytes, field: str) -> Token:
    """Return what the token of a relationship says. `field`: where it stood in the request.

    Raises:
        Rejected: VIEW_TOKEN_INVALID, VIEW_MODEL_UNSUPPORTED.
    """
    content, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if len(content) < _FIXED.size or content[0] != _LAYOUT or checksum != _checksum(stream_id, content):
        raise _invalid(field)
    (
        _,
        model_version,
        position,
        at,
        perspective,
        half_life_days,
        ends,
        window_from,
        window_to,
        policy_version,
        policies_digest,
        balance_digest,
        _,
    ) = _FIXED.unpack_from(content)
    if model_version != MODEL_VERSION:
        raise Rejected(
            reasons.ERROR_REASON_VIEW_MODEL_UNSUPPORTED,
            "the view was told by another version of the arithmetic, which this release does not have",
            model_version=model_version,
        )
    if half_life_days > HALF_LIFE_DAYS_MAX:
        raise _invalid(field)  # No answer gave it: it was made up.
    view = BalanceView(
        at,
        perspective,
        window_from if ends & _FROM else None,
        window_to if ends & _TO else None,
        half_life_days,
    )
    policy_id = content[_FIXED.size :].decode()
    return Token(position, view, policy_id, policy_version, policies_digest, balance_digest, model_version)


def _invalid(field: str) -> Rejected:
    description = "is not a token as an answer about this relationship gave it"
    violation = Violation(field, description, reasons.ERROR_REASON_VIEW_TOKEN_INVALID)
    return Rejected(reasons.ERROR_REASON_VIEW_TOKEN_INVALID, f"the view token {description}", [violation])


def _checksum(stream_id: str, content: bytes) -> bytes:
    stream = stream_id.encode()
    return hashlib.sha256(b"rapport.view.v1 %d %b%b" % (len(stream), stream, content)).digest()[:_CHECKSUM_BYTES]
