"""When the customer usually acts, the heaviest hours first (relationship.md 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import OpenHour

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def open_hours(m: Measured) -> tuple[OpenHour, ...]:
    """Return the measure."""
    raise NotImplementedError
