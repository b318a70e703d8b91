"""Folds of relationships kept in memory, so that one asked for again costs what was recorded since, and no more.

A fold serves every time and policy; what was known at an earlier position is the fold of fewer facts, made anew and not
kept (reciprocity.md 9.3). It is continued in position order by whoever first needs what was recorded since; whoever
comes meanwhile waits for that and folds nothing twice. A fold is right at every version that it passes through, so it
is read where its version is the one that the reader's view sees, and else not at all.

Who wants a fold as it is now has it by `now`: one turn with the store for where the log ends and for what the fold
lacks. Who has a view already, of which the ledger told the version, has it by `at_version`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from ledger.domain.fact import Fact
from ledger.domain.times import END_OF_TIME
from ledger.ledger import Ledger
from ledger.log.reading import facts
from ledger.log.store import Head
from ledger.tails import Known, Tail
from ledger.views import View
from ledger.weighed import Weighed


class Fold(Protocol):
    """What is kept of a stream."""

    @property
    def version(self) -> int:
        """Version of the last event folded; 0: there is none."""
        ...

    @property
    def pieces(self) -> int:
        """For how many pieces of memory it counts."""
        ...

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order."""
        ...


F = TypeVar("F", bound=Fold)


class Now(NamedTuple, Generic[F]):
    """A fold as it is now."""

    fold: F | None
    """None: nothing is recorded in the stream."""
    view: View
    beside: int
    """Version of the other stream in the same view."""


class _Kept(Generic[F]):
    """A fold, how far it goes, and the right to continue it."""

    __slots__ = ("broken", "fold", "head", "lock", "position", "version")

    def __init__(self, fold: F) -> None:
        self.fold = fold
        self.version = 0
        """Version of the last event that was read for it, also of one whose topic nobody here knows."""
        self.position = 0
        """A log position at or after that event."""
        self.head: Head | None = None
        """An end of the log up to which nothing was missing from it."""
        self.broken = False
        """A fact may be half in it: it is kept no more, and to be used by nobody."""
        self.lock = asyncio.Lock()


_NOTHING: Final = Known(0, None)


class Folds(Generic[F]):
    """Folds by stream. Lives on one event loop."""

    def __init__(self, ledger: Ledger, make: Callable[[], F], pieces_max: int) -> None:
        """`make` returns an empty fold of everything recorded. The least used are dropped beyond `pieces_max`."""
        self._ledger = ledger
        self._make: Final = make
        self._kept = Weighed[_Kept[F]](pieces_max)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def pieces(self) -> int:
        """For how many pieces the folds kept count."""
        return self._kept.weight

    async def now(self, stream_id: str, beside: str, min_position: int = 0) -> Now[F] | None:
        """Return the fold of a stream with everything recorded, to be read before the next await.

        `beside`: another stream, whose version in the same view is told. None: others have continued the fold beyond
        the view meanwhile, or the log was put back behind it; ask again.

        Raises:
            Rejected: PROJECTION_BEHIND, when the log does not reach `min_position` in time.
            LogDamaged, StoreFailed, StoreClosed: the stream cannot be read.
        """
        kept = self._kept.get(stream_id)
        while True:
            known = _NOTHING if kept is None else Known(kept.version, kept.head)
            tail = await self._ledger.tail(stream_id, known, beside, min_position)
            if not tail.version:
                return Now(None, tail.view, tail.beside)
            kept = kept or self._kept.get(stream_id) or self._begin(stream_id)
            if tail.rows:
                await self._take_in(stream_id, kept, tail)
            if kept.broken:
                return None
            if tail.whole:
                break
            await asyncio.sleep(0)
        if kept.version != tail.version or kept.position > tail.head.position:
            return None
        kept.head = tail.head
        self._count(stream_id, kept)  # What was asked of it may have made it remember more.
        return Now(kept.fold, tail.view, tail.beside)

    async def at_version(self, stream_id: str, version: int, position: int) -> F | None:
        """Return the fold of a stream at a version, its last up to a log position; to be read before the next await.

        None: others have continued it beyond.

        Raises:
            LogDamaged, StoreFailed, StoreClosed: the stream cannot be read.
        """
        kept = self._kept.get(stream_id)
        if kept is None:
            kept = self._begin(stream_id)
        else:
            self._count(stream_id, kept)  # What was asked of it may have made it remember more.
        if kept.fold.version < version:
            await self._continue(stream_id, kept, version, position)
        return kept.fold if kept.fold.version == version and not kept.broken else None

    async def past(self, stream_id: str, view: View) -> F:
        """Return a fold of what was recorded up to a view's position, its reader's alone.

        Raises:
            Rejected: KNOWN_AT_INSIDE_BATCH.
        """
        fold = self._make()
        await self._ledger.feed(stream_id, view, fold.evolve)
        return fold

    @asynccontextmanager
    async def still(self, stream_id: str, fold: F) -> AsyncIterator[None]:
        """Let nobody continue a fold, so that a thread may read it; it may have been continued before that."""
        kept = self._kept.get(stream_id)
        if kept is None or kept.fold is not fold:
            yield
            return
        async with kept.lock:
            yield

    def _glance(self, stream_id: str) -> F | None:
        """Return the fold of a stream as it is, or None; to be read before the next await."""
        kept = self._kept.get(stream_id)
        return None if kept is None else kept.fold

    def _begin(self, stream_id: str) -> _Kept[F]:
        kept = _Kept(self._make())
        self._kept.keep(stream_id, kept, 0)  # It is counted once something is in it.
        return kept

    async def _continue(self, stream_id: str, kept: _Kept[F], version: int, position: int) -> None:
        """Fold what is lacking up to a version, unless somebody else did while this waited for its turn."""
        async with kept.lock:
            fold = kept.fold
            if kept.broken or fold.version >= version:
                return
            try:
                await self._ledger.feed(stream_id, View(END_OF_TIME, position), fold.evolve, fold.version)
            except Exception:
                self._drop(stream_id, kept)
                raise
            finally:
                kept.version, kept.position = max(kept.version, fold.version), max(kept.position, position)
                self._count(stream_id, kept)

    async def _take_in(self, stream_id: str, kept: _Kept[F], tail: Tail) -> None:
        """Fold those rows of a tail that others have not folded meanwhile."""
        async with kept.lock:
            rows = tail.rows[max(0, kept.version + 1 - tail.rows[0].version) :]
            if kept.broken or not rows:
                return
            try:
                for fact in facts(rows):
                    kept.fold.evolve(fact)
            except Exception:
                self._drop(stream_id, kept)
                raise
            kept.version, kept.position = rows[-1].version, rows[-1].position

    def _count(self, stream_id: str, kept: _Kept[F]) -> None:
        if self._kept.get(stream_id) is kept:
            self._kept.keep(stream_id, kept, kept.fold.pieces)

    def _drop(self, stream_id: str, kept: _Kept[F]) -> None:
        kept.broken = True
        if self._kept.get(stream_id) is kept:
            self._kept.drop(stream_id)
