"""Wished and actual types, and how they differ (relationship.md 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import Types

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def types(m: Measured) -> Types:
    """Return the measure."""
    raise NotImplementedError
