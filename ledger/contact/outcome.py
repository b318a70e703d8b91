"""From the results of the twelve gates to the answer: a function of the trace alone (consent.md 6, property 8)."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.contact.finding import DEFER, FAIL, Finding
from rapport.events.v1 import contact_pb2

PERMIT: Final = contact_pb2.DECISION_OUTCOME_PERMIT
DENY: Final = contact_pb2.DECISION_OUTCOME_DENY
DEFERRED: Final = contact_pb2.DECISION_OUTCOME_DEFER


class Outcome(NamedTuple):
    """The answer, and the gate that gave it."""

    outcome: contact_pb2.DecisionOutcome.ValueType
    reason: contact_pb2.DecisionReason.ValueType
    """UNSPECIFIED for PERMIT."""
    decisive: int
    """Index of the gate in the trace; -1 for PERMIT."""


def outcome_of(findings: Sequence[Finding]) -> Outcome:
    """Return DENY for the first FAIL, else DEFER for the first DEFER, else PERMIT.

    FAIL beats DEFER: nobody is told to wait for what will not be allowed. ADVISE changes nothing.
    """
    first_defer = -1
    for index, finding in enumerate(findings):
        if finding.result == FAIL:
            return Outcome(DENY, finding.reason, index)
        if finding.result == DEFER and first_defer < 0:
            first_defer = index
    if first_defer >= 0:
        return Outcome(DEFERRED, findings[first_defer].reason, first_defer)
    return Outcome(PERMIT, contact_pb2.DECISION_REASON_UNSPECIFIED, -1)
