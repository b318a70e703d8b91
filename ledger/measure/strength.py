"""Strength: a published sum (relationship.md 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import Strength

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def strength(m: Measured) -> Strength:
    """Return the measure."""
    raise NotImplementedError
