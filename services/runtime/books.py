"""Books of relationships kept in memory, so that a balance asked for again costs what was recorded since, and no more.

A book serves every time, window, perspective and policy; what was known at an earlier position is the fold of fewer
facts, made anew and not kept (reciprocity.md 9.3). A book is continued in position order by whoever first needs what
was recorded since; whoever comes meanwhile waits for that and folds nothing twice. A book is right at every version
that it passes through, so it is read where its version is the one that the reader's view sees, and else not at all.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ledger.balance.book import Book
from ledger.domain.times import END_OF_TIME
from ledger.ledger import Ledger
from ledger.views import View

PIECES_MAX: Final = 400_000
"""Events folded into the books kept, and their legs: some 250 to 600 bytes each. The least used books are dropped."""
_BOOK_PIECES: Final = 5
"""Pieces that take as much memory as a book takes before its first event."""


class _Kept:
    """A book, and the right to continue it."""

    __slots__ = ("book", "counted", "lock")

    def __init__(self) -> None:
        self.book = Book()
        self.counted = 0
        """Pieces for which it counts against the bound."""
        self.lock = asyncio.Lock()


class Books:
    """Books by stream. Lives on one event loop."""

    def __init__(self, ledger: Ledger, pieces_max: int = PIECES_MAX) -> None:
        self._ledger = ledger
        self._pieces_max = pieces_max
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self.pieces = 0
        """For how many events and legs the books kept count."""

    def __len__(self) -> int:
        return len(self._kept)

    async def at_version(self, stream_id: str, version: int, position: int) -> Book | None:
        """Return the book of a stream at a version, its last up to a log position; to be read before the next await.

        None: others have continued it beyond.

        Raises:
            LogDamaged, StoreFailed, StoreClosed: the stream cannot be read.
        """
        kept = self._kept.get(stream_id)
        if kept is None:
            kept = self._kept[stream_id] = _Kept()
        else:
            self._kept.move_to_end(stream_id)
        if kept.book.version < version:
            await self._continue(stream_id, kept, version, position)
        return kept.book if kept.book.version == version else None

    def glance(self, stream_id: str, exchange_version: int) -> Book | None:
        """Return the book of a stream if it holds its exchanges up to a version, and none after; else None.

        Other events may be missing from it, or ahead. To be read before the next await.
        """
        kept = self._kept.get(stream_id)
        if kept is None or kept.book.exchange_version != exchange_version:
            return None
        self._kept.move_to_end(stream_id)
        return kept.book

    async def past(self, stream_id: str, view: View) -> Book:
        """Return a book of what was recorded up to a view's position, its reader's alone.

        Raises:
            Rejected: KNOWN_AT_INSIDE_BATCH.
        """
        book = Book()
        await self._ledger.feed(stream_id, view, book.evolve)
        return book

    @asynccontextmanager
    async def still(self, stream_id: str, book: Book) -> AsyncIterator[None]:
        """Let nobody continue a book, so that a thread may read it; it may have been continued before that."""
        kept = self._kept.get(stream_id)
        if kept is None or kept.book is not book:
            yield
            return
        async with kept.lock:
            yield

    async def _continue(self, stream_id: str, kept: _Kept, version: int, position: int) -> None:
        """Fold what a book lacks up to a version, unless somebody else did while this waited for its turn."""
        async with kept.lock:
            book = kept.book
            if book.version >= version:
                return
            try:
                await self._ledger.feed(stream_id, View(END_OF_TIME, position), book.evolve, book.version)
            except Exception:
                self._forget(stream_id, kept)  # A fact may be half in it.
                raise
            finally:
                self._count(stream_id, kept)

    def _count(self, stream_id: str, kept: _Kept) -> None:
        if self._kept.get(stream_id) is not kept:
            return
        pieces = _BOOK_PIECES + kept.book.version + kept.book.legs
        self.pieces += pieces - kept.counted
        kept.counted = pieces
        while self.pieces > self._pieces_max and len(self._kept) > 1:
            self._forget(*next(iter(self._kept.items())))

    def _forget(self, stream_id: str, kept: _Kept) -> None:
        if self._kept.get(stream_id) is kept:
            del self._kept[stream_id]
            self.pieces -= kept.counted
