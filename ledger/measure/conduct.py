"""How the organization kept to what was decided and declared (relationship.md 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.measure.results import Conduct

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


def conduct(m: Measured) -> Conduct:
    """Return the measure."""
    raise NotImplementedError
