"""What became of solicitations (relationship.md 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import Solicitations

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def solicitations(m: Measured) -> Solicitations:
    """Return the measure."""
    raise NotImplementedError
