"""Which events of the log somebody wants, and reading them from storage in pages, up to a fixed end.

A scan keeps its memory and each turn of the event loop small, whatever the size of the log: a page holds at most
`PAGE_EVENTS` events and some megabytes, and examines at most `WINDOW_POSITIONS` positions, so that a filter that
matches nothing still moves on (I21). Events of a few relationships are read from their streams and merged by position,
because a scan of everybody's events for those of one customer would cost the whole log.
"""

import asyncio
import heapq
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, ParamSpec, Protocol, TypeVar

from ledger.domain.identifiers import organization_range
from ledger.log.reading import PAGE_EVENTS, check_dense, metadata
from ledger.log.store import EventRow, Store

WINDOW_POSITIONS: Final = 5_000
"""Positions that one page examines at most; half of what a filtered cursor may be behind (audit.md 2, rule 4)."""

PAGE_BYTES: Final = 2 * 1024 * 1024
"""Stored bytes that a page is meant to hold at most; estimated from the page before it."""

MERGE_EVENTS: Final = 32_768
"""Events that a merge of streams holds in memory at most, over all its streams."""

_FIRST_PAGE_EVENTS = 256
_PAGE_EVENTS_MIN = 16

P = ParamSpec("P")
T = TypeVar("T")


class Reads:
    """Calls of a store from an event loop: at once where they are short (SQLite), else in an executor's threads."""

    def __init__(self, store: Store, executor: Executor | None = None) -> None:
        self.store = store
        self._executor = executor

    async def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns; its errors are raised."""
        if self._executor is None:
            return function(*args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(function, *args, **kwargs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which events; parts are ANDed, and a part that is empty restricts nothing."""

    organization_id: str = ""
    streams: frozenset[str] = frozenset()
    topics: frozenset[str] | None = None
    """None: every topic. An empty set: no event at all."""
    external_id: str = ""
    """The caller's own name for a fact, in the metadata; exactly."""

    @property
    def everything(self) -> bool:
        """Whether nothing is restricted."""
        return self == EVERYTHING

    def matches(self, row: EventRow) -> bool:
        """Tell whether a row is wanted.

        Raises:
            LogDamaged: its metadata had to be read, and cannot be.
        """
        if self.topics is not None and row.topic not in self.topics:
            return False
        if self.streams:
            if row.stream_id not in self.streams:
                return False
        elif self.organization_id and not row.stream_id.startswith(f"{self.organization_id}/"):
            return False
        if not self.external_id:
            return True
        # Most rows do not hold the text anywhere, and need not be parsed.
        return self.external_id.encode() in row.state and metadata(row).external_id == self.external_id


EVERYTHING: Final = Selection()


class Page(NamedTuple):
    """Events in order of position, and how far the log was examined for them."""

    rows: list[EventRow]
    examined: int
    """Every wanted event up to here is in this page or an earlier one."""


class Scan(Protocol):
    """A read of storage up to a fixed end."""

    examined: int
    to: int

    async def next(self) -> Page:
        """Return the next page; `examined` has moved on, at the latest to `to`. Not to be called once it is there.

        Raises:
            LogDamaged: a position is missing, or a row that had to be read cannot be.
        """
        ...


def scan(reads: Reads, selection: Selection, after: int, to: int) -> Scan:
    """Return a scan of the selected events with `after` < position <= `to`; `to` is at most the head."""
    if selection.streams and to - after > WINDOW_POSITIONS:
        return _StreamsScan(reads, selection, after, to)
    return _LogScan(reads, selection, after, to)


class _LogScan:
    """Reads the log itself, in windows of positions."""

    def __init__(self, reads: Reads, selection: Selection, after: int, to: int) -> None:
        self.examined = after
        self.to = to
        self._reads = reads
        self._selection = selection
        self._limit = _FIRST_PAGE_EVENTS
        self._from, self._before = _streams_of(selection.organization_id)
        self._topics = sorted(selection.topics or ())
        self._rest = bool(selection.streams or selection.external_id)

    async def next(self) -> Page:
        after = self.examined
        if self._selection.topics is not None and not self._topics:
            self.examined = self.to
            return Page([], self.to)
        to = min(self.to, after + WINDOW_POSITIONS)
        read_log = self._reads.store.read_log
        rows = await self._reads(read_log, after, self._limit, to, self._from, self._before, self._topics)
        if self._selection.everything:
            check_dense(rows, after, at_least=min(to, after + self._limit))
        self.examined = rows[-1].position if len(rows) == self._limit else to
        if rows:
            self._limit = _events_for(rows)
        if self._rest:
            rows = [row for row in rows if self._selection.matches(row)]
        if not rows:
            await asyncio.sleep(0)  # Nothing to send means nothing to wait for: let others have a turn.
        return Page(rows, self.examined)


class _StreamsScan:
    """Merges a few streams by position, reading each of them only as far as it has to."""

    def __init__(self, reads: Reads, selection: Selection, after: int, to: int) -> None:
        self.examined = after
        self.to = to
        self._after = after
        self._reads = reads
        self._selection = selection
        self._heads: list[tuple[int, str]] | None = None
        """The next position of each stream that has one, as a heap."""
        self._read: dict[str, list[EventRow]] = {}
        """What was read of each stream and not yet given, last first."""
        self._long: set[str] = set()
        """Streams that are read in pages; the others were read whole."""
        self._page = max(_PAGE_EVENTS_MIN, min(PAGE_EVENTS, MERGE_EVENTS // len(selection.streams)))

    async def next(self) -> Page:
        if self._heads is None:
            self._heads = await self._open()
        rows: list[EventRow] = []
        while self._heads and len(rows) < PAGE_EVENTS:
            _, stream_id = heapq.heappop(self._heads)
            read = self._read[stream_id]
            rows.append(read.pop())
            if not read and stream_id in self._long:
                read = await self._read_on(stream_id, rows[-1].version)
            if read:
                heapq.heappush(self._heads, (read[-1].position, stream_id))
        self.examined = rows[-1].position if self._heads else self.to
        await asyncio.sleep(0)
        return Page([row for row in rows if self._selection.matches(row)], self.examined)

    async def _open(self) -> list[tuple[int, str]]:
        """Read the beginning of every stream: short ones whole and many at once, long ones each by itself."""
        versions = await self._reads(self._reads.store.versions, sorted(self._selection.streams))
        together: list[str] = []
        events = 0
        for stream_id, version in versions.items():
            if version > self._page:
                self._long.add(stream_id)
                await self._read_on(stream_id, await self._version_at(stream_id, version))
                continue
            together.append(stream_id)
            events += version
            if events >= PAGE_EVENTS:
                await self._read_whole(together)
                together, events = [], 0
        if together:
            await self._read_whole(together)
        heads = [(read[-1].position, stream_id) for stream_id, read in self._read.items() if read]
        heapq.heapify(heads)
        return heads

    async def _read_whole(self, stream_ids: list[str]) -> None:
        for stream_id, rows in (await self._reads(self._reads.store.read_streams, stream_ids)).items():
            self._read[stream_id] = [row for row in reversed(rows) if self._after < row.position <= self.to]
        await asyncio.sleep(0)

    async def _read_on(self, stream_id: str, version: int) -> list[EventRow]:
        read = await self._reads(self._reads.store.read_stream, stream_id, version, self._page, self.to)
        read.reverse()
        self._read[stream_id] = read
        return read

    async def _version_at(self, stream_id: str, version: int) -> int:
        """Return the last version of a stream at or before the position the scan begins after; 0: none."""
        if not self._after:
            return 0
        low, high = 0, version
        while low < high:
            middle = (low + high + 1) // 2
            (row,) = await self._reads(self._reads.store.read_stream, stream_id, middle - 1, 1)
            if row.position <= self._after:
                low = middle
            else:
                high = middle - 1
        return low


def _streams_of(organization_id: str) -> tuple[str | None, str | None]:
    """Return the range of an organization's streams; open on both sides for every organization."""
    return organization_range(organization_id) if organization_id else (None, None)


def _events_for(rows: list[EventRow]) -> int:
    """Return how many events like these make a page; judged by every sixteenth of them."""
    sample = rows[::16]
    mean = sum(len(row.state) for row in sample) // len(sample) + 1
    return max(_PAGE_EVENTS_MIN, min(PAGE_EVENTS, PAGE_BYTES // mean))
