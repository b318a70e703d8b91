"""Promises kept (relationship.md 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import Promises

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def promises(m: Measured) -> Promises:
    """Return the measure."""
    raise NotImplementedError
