"""Group commit: everything that waits is decided in one pass and made durable by one fsync (performance.md 4).

The committer only queues, gathers and runs; what a group means is its `commit` function. Nothing sleeps to make a
group bigger: while each turn of the event loop still brings items, the group waits for the next turn, a bounded number
of times.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Protocol, TypeVar

from ledger.domain.errors import OutcomeUnknown, StoreClosed

GROUP_WEIGHT_MAX: Final = 256
"""Events, about, after which a group is full: larger ones make small calls wait. A larger item is a group by itself."""

SETTLE_TURNS_MAX: Final = 8
"""Turns of the event loop that a group may wait for more."""


class Item(Protocol):
    """Something to commit, with somebody waiting for it."""

    weight: int
    """About how many events it will be; at least 1."""

    @property
    def abandoned(self) -> bool:
        """Nobody waits any more, and nothing of it was handed to the store: it is left out."""
        ...

    def fail(self, error: BaseException) -> None:
        """Tell whoever waits; does nothing when the item was answered before."""
        ...


T = TypeVar("T", bound=Item)


class GroupCommitter(Generic[T]):
    """A queue and the one task that empties it, group by group. Lives on one event loop."""

    def __init__(self, commit: Callable[[list[T]], Awaitable[None]]) -> None:
        self._commit = commit
        self._queue: deque[T] = deque()
        self._wanted = asyncio.Event()
        self._closing = False
        self._failure: BaseException | None = None

    @property
    def waiting(self) -> int:
        """Items in the queue, the group under way not counted."""
        return len(self._queue)

    @property
    def failure(self) -> BaseException | None:
        """What ended the committer, if anything did; from then on every item fails."""
        return self._failure

    def put(self, item: T) -> None:
        """Queue an item.

        Raises:
            StoreClosed: the committer takes nothing any more.
        """
        if self._closing or self._failure is not None:
            raise StoreClosed("the ledger takes no writes any more")
        self._queue.append(item)
        self._wanted.set()

    def next_items(self) -> list[T]:
        """Return the items that would be the next group, were it taken now; they stay in the queue."""
        items: list[T] = []
        weight = 0
        for item in self._queue:
            weight += item.weight
            if items and weight > GROUP_WEIGHT_MAX:
                break
            items.append(item)
        return items

    def put_back(self, items: list[T]) -> None:
        """Queue items again, before all others and in their order; also while closing."""
        self._queue.extendleft(reversed(items))
        self._wanted.set()

    def close(self) -> None:
        """Take nothing more; `run` ends when the queue is empty. Calling it twice is the same as once."""
        self._closing = True
        self._wanted.set()

    async def run(self) -> None:
        """Commit until closed and empty. An error that a commit does not handle fails all who wait, then ends it."""
        group: list[T] = []
        try:
            while await self._work():
                await self._settle()
                group = self._take()
                if group:
                    await self._commit(group)
                group = []
        except BaseException as error:
            self._failure = error
            for item in group:  # Some of it may be on disk already.
                item.fail(OutcomeUnknown("the ledger stopped while it was at work on this"))
            for item in self._queue:
                item.fail(StoreClosed("the ledger stopped"))
            self._queue.clear()
            raise

    async def _work(self) -> bool:
        """Wait until there is something to do; False when there never will be."""
        while not self._queue:
            if self._closing:
                return False
            self._wanted.clear()
            await self._wanted.wait()
        return True

    async def _settle(self) -> None:
        """Give way while each turn still brings items; callers who were just answered come back in a turn or two."""
        for _ in range(SETTLE_TURNS_MAX):
            before = len(self._queue)
            await asyncio.sleep(0)
            if len(self._queue) == before:
                return

    def _take(self) -> list[T]:
        group: list[T] = []
        weight = 0
        queue = self._queue
        while queue and (not group or weight + queue[0].weight <= GROUP_WEIGHT_MAX):
            item = queue.popleft()
            if not item.abandoned:
                group.append(item)
                weight += item.weight
        return group
