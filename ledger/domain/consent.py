"""Consents: what a customer allows, and no longer allows; a stream of acts, never a flag (consent.md 1).

Acts are in `consent_asking.py`, `consent_giving.py`, `consent_confirming.py` and `consent_ending.py`, their fold in
`consent_state.py`. What follows from the acts for one combination of purpose, channel, contact point and brand is in
`consent_status.py`.
"""

from ledger.domain.consent_ending import RefuseConsent, WithdrawalEffect, WithdrawConsent
from ledger.domain.consent_giving import GiveConsent, RenewConsent
from ledger.domain.consent_scope import Cell, Scope
from ledger.domain.consent_state import (
    CONSENT_GIVEN,
    CONSENT_REFUSED,
    CONSENT_WITHDRAWN,
    TOPICS,
    ConsentState,
)
from ledger.domain.consent_status import (
    PLAIN,
    Acts,
    CellVerdict,
    Denial,
    Grant,
    Terms,
    cell_verdict,
    named_cells,
    permits,
    person_verdict,
)

__all__ = [
    "CONSENT_GIVEN",
    "CONSENT_REFUSED",
    "CONSENT_WITHDRAWN",
    "PLAIN",
    "TOPICS",
    "Acts",
    "Cell",
    "CellVerdict",
    "ConsentState",
    "Denial",
    "GiveConsent",
    "Grant",
    "RefuseConsent",
    "RenewConsent",
    "Scope",
    "Terms",
    "WithdrawConsent",
    "WithdrawalEffect",
    "cells",
    "permits",
    "person_verdict",
    "status",
]


def cells(state: ConsentState) -> list[Cell]:
    """Return every cell that an act of the customer named, in order."""
    return named_cells(state.acts)


def status(state: ConsentState, cell: Cell, at: int, terms: Terms = PLAIN) -> CellVerdict:
    """Return the status of a cell at an instant, in microseconds: a consent ends by its own term without an event.

    For a view as of T fold with until=T and ask at T. The instant is never before the last act that the state admits:
    a clock that lags behind the one that recorded a withdrawal must not bring back what was withdrawn.
    """
    return cell_verdict(state.acts, cell, max(at, state.last_time or at), terms)
