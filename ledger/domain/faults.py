"""What is wrong with what is to be published or recorded, and by which rule: everything, and not only the first."""

from collections.abc import Mapping
from typing import NamedTuple

from ledger.domain.errors import Violation
from rapport.errors.v1.error_reason_pb2 import ErrorReason


class Fault(NamedTuple):
    """One rule that is broken."""

    violation: Violation
    values: Mapping[str, object] = {}
    """What the refusal tells as metadata, if this fault is the one that names its reason."""


def fault_of(field: str, description: str, reason: ErrorReason.ValueType, **values: object) -> Fault:
    """Return that a field breaks a rule; `values` are what the refusal tells beside it."""
    return Fault(Violation(field, description, reason), values)
