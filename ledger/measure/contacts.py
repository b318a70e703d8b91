"""Points of contact and their shape (relationship.md 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import Contacts

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def contacts(m: Measured) -> Contacts:
    """Return the measure."""
    raise NotImplementedError
