"""Valence, closeness and intensity (relationship.md 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import Axes

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def axes(m: Measured) -> Axes:
    """Return the measure."""
    raise NotImplementedError
