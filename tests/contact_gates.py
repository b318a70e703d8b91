"""What the gates of the basis and of the parties find in a history, for tests."""

from __future__ import annotations

from typing import Any

from ledger.contact.finding import FAIL, PASS, Finding
from ledger.contact.gates import basis, parties
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from tests.contact_histories import DAY, History, did, moment, question

T = moment("2026-05-01T12:00Z")
CONSENT = c.LEGAL_BASIS_CONSENT
SOFT = c.LEGAL_BASIS_SOFT_OPT_IN
CONTRACT = c.LEGAL_BASIS_CONTRACT_PERFORMANCE


def known(**policy: Any) -> History:
    """Return a history of somebody who is known, under a policy where one is given."""
    history = History()
    if policy:
        history.publish(p.ContactPolicy(version=1, **policy), T - 2000 * DAY)
    history.add(did("VISIT"), T - 1000 * DAY)
    return history


def asked(history: History, at: int = T, **values: Any) -> Finding:
    """Return what the gate of the basis finds."""
    return basis.gate(history.picture(at), question(**values), at)


def taking_part(history: History, at: int = T, **values: Any) -> Finding:
    """Return what the gate of the parties finds."""
    return parties.gate(history.picture(at), question(**values), at)


def failed(reason: str, *evidence: int) -> tuple[Any, ...]:
    """Return how a finding begins that fails."""
    return FAIL, d.DecisionReason.Value(f"DECISION_REASON_{reason}"), evidence


def resting_on(legal_basis: int, *evidence: int) -> tuple[Any, ...]:
    """Return what a finding that passes rests on."""
    return PASS, legal_basis, evidence


def ground(found: Finding) -> tuple[Any, ...]:
    """Return what a finding rests on."""
    return found.result, found.legal_basis, found.evidence
