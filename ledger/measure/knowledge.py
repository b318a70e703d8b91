"""What is known of the customer, by provenance (relationship.md 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import Knowledge

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def knowledge(m: Measured) -> Knowledge:
    """Return the measure."""
    raise NotImplementedError
