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
    results = [finding.result for finding in findings]
    for result, outcome in _DECISIVE:
        if result in results:
            index = results.index(result)
            return Outcome(outcome, findings[index].reason, index)
    return _PERMITTED


_DECISIVE: Final = ((FAIL, DENY), (DEFER, DEFERRED))
_PERMITTED: Final = Outcome(PERMIT, contact_pb2.DECISION_REASON_UNSPECIFIED, -1)
