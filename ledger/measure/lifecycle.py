"""Lifecycle by personal cadence (relationship.md 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import LifecycleMeasure

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def lifecycle(m: Measured) -> LifecycleMeasure:
    """Return the measure."""
    raise NotImplementedError
