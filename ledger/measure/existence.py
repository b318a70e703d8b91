"""Whether there is a relationship (relationship.md 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import Existence

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def existence(m: Measured) -> Existence:
    """Return the measure."""
    raise NotImplementedError
