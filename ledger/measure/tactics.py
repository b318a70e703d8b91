"""What followed the outbounds of each tactic, by tactic (relationship.md 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import TacticEffect

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def tactics(m: Measured) -> tuple[TacticEffect, ...]:
    """Return the measure."""
    raise NotImplementedError
