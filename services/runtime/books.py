"""Books of relationships kept in memory, for balances and for decisions that rest on them."""

from __future__ import annotations

from typing import Final

from ledger.balance.book import Book
from ledger.ledger import Ledger
from services.runtime.folds import Folds

PIECES_MAX: Final = 400_000
"""Events folded into the books kept, and their legs: some 250 to 600 bytes each. The least used books are dropped."""


class Books(Folds[Book]):
    """Books by stream. Lives on one event loop."""

    def __init__(self, ledger: Ledger, pieces_max: int = PIECES_MAX) -> None:
        super().__init__(ledger, Book, pieces_max)

    def glance(self, stream_id: str, exchange_version: int) -> Book | None:
        """Return the book of a stream if it holds its exchanges up to a version, and none after; else None.

        Other events may be missing from it, or ahead. To be read before the next await.
        """
        book = self._glance(stream_id)
        if book is None or book.exchange_version != exchange_version:
            return None
        self._kept.touch(stream_id)
        return book
