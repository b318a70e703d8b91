"""What one gate found, and when that could change."""

from typing import Final, NamedTuple

from rapport.events.v1 import contact_pb2

PASS: Final = contact_pb2.GATE_RESULT_PASS
FAIL: Final = contact_pb2.GATE_RESULT_FAIL
DEFER: Final = contact_pb2.GATE_RESULT_DEFER
ADVISE: Final = contact_pb2.GATE_RESULT_ADVISE
SKIPPED: Final = contact_pb2.GATE_RESULT_SKIPPED


class Finding(NamedTuple):
    """Result of one gate at one instant. Times are microseconds."""

    result: contact_pb2.GateResult.ValueType
    reason: contact_pb2.DecisionReason.ValueType = contact_pb2.DECISION_REASON_UNSPECIFIED
    """UNSPECIFIED for PASS and SKIPPED."""
    evidence: tuple[int, ...] = ()
    """Log positions of the events that made it so, ascending."""
    until: int | None = None
    """DEFER: first instant at which the gate no longer defers for this cause."""
    changes_at: int | None = None
    """Earliest instant after the one asked at which the finding could differ by the clock alone; a lower bound. None:
    never."""
    policy_field: str = ""
    """Path of the field of the contact policy that decided."""
    time_zones: tuple[str, ...] = ()
    """Zones considered, where local time decided."""
    legal_basis: int = 0
    """Of the gate of the basis, on PASS: the `LegalBasis` it rests on; its evidence are the facts that make it."""


PASSED: Final = Finding(PASS)
NOT_ASKED: Final = Finding(SKIPPED)


def earliest(*instants: int | None) -> int | None:
    """Return the earliest of some instants, None where none is given."""
    return min((instant for instant in instants if instant is not None), default=None)
