"""Decisions as they are told: the twelve findings written out, and where each stands."""

from __future__ import annotations

from typing import Final

from ledger.views import View
from rapport.contact.v1.decision_pb2 import Decision
from rapport.events.v1.contact_pb2 import ContactDecided, Gate, GateFinding, GateResult
from rapport.type.v1.as_of_pb2 import AsOf
from services.runtime.times import set_time


def _entry(finding: GateFinding) -> bytes:
    """Return a finding as an entry of a trace, on the wire."""
    return Decision(trace=[finding]).SerializeToString()


_GATES: Final = Gate.values()[1:]
_WITHOUT_FINDING: Final = {
    (gate, result): _entry(GateFinding(gate=gate, result=result)) for gate in _GATES for result in GateResult.values()
}
"""Entries of gates of which nothing is stored but the result."""


def tell_recorded(target: Decision, decided: ContactDecided, position: int, at: int) -> None:
    """Write a decision that was recorded at a position, for an instant in microseconds."""
    _tell(target, decided, at)
    target.decision_id = position
    target.position = position


def tell_simulated(target: Decision, decided: ContactDecided, at: int, view: View, as_of: AsOf | None = None) -> None:
    """Write a decision that was not recorded: of an instant, in microseconds, in a view.

    `as_of`: the view as it is told, where it was made for others too.
    """
    _tell(target, decided, at)
    target.simulated = True
    target.position = view.position
    if as_of is not None:
        target.as_of.CopyFrom(as_of)
        return
    set_time(target.as_of.occur_time, view.occur_time)
    target.as_of.position = view.position


def _tell(target: Decision, decided: ContactDecided, at: int) -> None:
    set_time(target.decide_time, at)
    target.outcome = decided.outcome
    target.decisive_reason = decided.decisive_reason
    if decided.HasField("defer_until"):
        target.defer_until.CopyFrom(decided.defer_until)
    _tell_trace(target, decided)
    target.obligations.extend(decided.obligations)
    if decided.HasField("next_change_time"):
        target.next_change_time.CopyFrom(decided.next_change_time)
    if decided.HasField("permit_expires_time"):
        target.permit_expires_time.CopyFrom(decided.permit_expires_time)
    target.legal_basis = decided.legal_basis
    target.basis_positions.extend(decided.basis_positions)
    target.read_set.extend(decided.read_set)
    target.contact_policy_version = decided.contact_policy_version
    target.purposes_version = decided.purposes_version
    target.valuation_policy_id = decided.valuation_policy_id
    target.tzdata_version = decided.tzdata_version
    target.model_version = decided.model_version
    target.question.CopyFrom(decided.question)


def _tell_trace(target: Decision, decided: ContactDecided) -> None:
    """Write what every gate found: what is stored of those that did not PASS, among the others.

    Entries are joined on the wire and read at once: twelve messages, most of them the same in every answer, cost more
    than all else that is told.
    """
    stored = {finding.gate: finding for finding in decided.findings}
    target.MergeFromString(
        b"".join(
            [
                _entry(stored[gate]) if gate in stored else _WITHOUT_FINDING[gate, result]
                for gate, result in zip(_GATES, decided.gate_results, strict=False)
            ]
        )
    )
