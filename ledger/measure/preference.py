"""Preferential repurchase, incentives excluded (relationship.md 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import PreferenceMeasure

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def preference(m: Measured) -> PreferenceMeasure:
    """Return the measure."""
    raise NotImplementedError
