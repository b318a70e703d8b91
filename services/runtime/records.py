"""Records of relationships kept in memory, for measures."""

from __future__ import annotations

from typing import Final

from ledger.ledger import Ledger
from ledger.measure.record import Record
from services.runtime.folds import Folds

PIECES_MAX: Final = 300_000
"""Events folded into the records kept, and what counts like them: seen to take 300 to 800 bytes each. The least used
records are dropped."""


class Records(Folds[Record]):
    """Records by stream. Lives on one event loop."""

    def __init__(self, ledger: Ledger, pieces_max: int = PIECES_MAX) -> None:
        super().__init__(ledger, Record, pieces_max)
