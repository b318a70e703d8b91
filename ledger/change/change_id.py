"""The name of a change: the same wherever and whenever it is found (relationship.md 15)."""

import hashlib
from typing import Final

from ledger.domain.times import text
from rapport.change.v1.change_pb2 import ChangeKind

TAG: Final = "rapport.change.v1"
_PREFIX: Final = "CHANGE_KIND_"


def change_id(
    organization_id: str, subject_id: str, kind: ChangeKind.ValueType, measure: str, cause: str, policy_version: str
) -> str:
    """Return 32 lower-case hexadecimal digits.

    SHA-256 over the fields as UTF-8, each after its length in 4 bytes, big-endian; of that the first 16 bytes.
    """
    digest = hashlib.sha256()
    for field in (TAG, organization_id, subject_id, name_of(kind), measure, cause, policy_version):
        raw = field.encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest.digest()[:16].hex()


def name_of(kind: ChangeKind.ValueType) -> str:
    """Return the name of a kind, as types of CloudEvents have it. Example: `at_risk`."""
    return ChangeKind.Name(kind).removeprefix(_PREFIX).lower()


def event_cause(log_id: str, position: int) -> str:
    """Return how a change names the event that caused it."""
    return f"event:{log_id}/{position}"


def timer_cause(due: int) -> str:
    """Return how a change names the instant, in microseconds, that alone caused it."""
    return f"timer:{text(due)}"
