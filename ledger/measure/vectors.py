"""Involvement vectors (relationship.md 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import Vectors

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def vectors(m: Measured) -> Vectors:
    """Return the measure."""
    raise NotImplementedError
