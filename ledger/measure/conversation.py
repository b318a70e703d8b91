"""Who speaks and who answers (relationship.md 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import ConversationMeasure

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def conversation(m: Measured) -> ConversationMeasure:
    """Return the measure."""
    raise NotImplementedError
