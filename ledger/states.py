"""States of streams kept in memory: what the next decision, or the next read, would otherwise fold from zero.

An entry says: the stream was at `version` when it was last looked at, and `state` is the fold of it up to there (None
where only the version was asked for). What another process wrote since may be missing. That is found out:

* A decision that writes the stream is stopped by the unique key (stream, version) and made again (I8).
* A stream that a decision only reads must be *verified*: looked at since foreign events were last seen in the log.
* A read fetches the tail behind `version` first, unless the log still ends where nothing of the stream was missing:
  where this process's own writes left it, while the entry is verified, or where the entry was last compared with it.

A state is evolved in place once its events are durable; only where a later step of the same group needs it, before.
The streams that the group under way touches are `busy` from its first decision until everything is settled: nobody
else changes their entries meanwhile, and nobody reads those that are `in_flight`, which the group writes: their states
may hold what is not durable yet (settled.md 21). What a group only reads, as most do what is published, others may read
too.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from ledger.log.store import Head

UNVERIFIED: Final = -1
"""The era of an entry that has to be compared with the store before anybody relies on it."""


class Entry:
    """One stream. `state` is shared: whoever reads it does so at once and keeps nothing of it."""

    __slots__ = ("era", "head", "last_position", "state", "version")

    def __init__(self, version: int, last_position: int, state: Any, era: int) -> None:
        self.version = version
        self.last_position = last_position
        """Position of the last event; 0 where only the version is known."""
        self.state = state
        self.era = era
        """`States.era` when it was last compared with the store."""
        self.head: Head | None = None
        """An end of the log up to which nothing of the stream is missing here; None: it was not asked for."""


class Touching(Protocol):
    """What a group does to a stream."""

    version: int
    """Version that the stream will have after the group."""
    spoilt: bool
    """The state holds events that will never be stored."""

    @property
    def entry(self) -> Entry:
        """The stream as it was before the group."""
        ...


class States:
    """Entries by stream id, the least used dropped when they hold more events than allowed."""

    def __init__(self, events_max: int, head: Head) -> None:
        """`head`: the end of the log now. The least used are dropped beyond `events_max`."""
        self.head = head
        """The end of the log as this process's last group found it. Entries of this era lack nothing up to there."""
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._events_max = events_max
        self._events = 0
        self.era = 0
        """Counts how often foreign events were seen in the log. An entry of this era is verified."""
        self.groups = 0
        """Counts the groups that were settled; what was read from the store during one may lack what it wrote."""
        self.busy: Mapping[str, Touching] = {}
        """Streams that the group under way touches."""
        self._open = False
        self._settled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def events(self) -> int:
        """Events folded into the entries; an entry counts at least one."""
        return self._events

    def get(self, stream_id: str) -> Entry | None:
        """Return the entry of a stream, or None; it counts as used."""
        entry = self._entries.get(stream_id)
        if entry is not None:
            self._entries.move_to_end(stream_id)
        return entry

    def reflects(self, entry: Entry, head: Head) -> bool:
        """Tell whether an entry is known to hold its stream as it is where the log ends at `head`.

        An entry that a group is busy with may hold more. The whole head is compared, so that a log that was put back,
        and grew again to the same position, is not taken for the one that was seen.
        """
        if entry.last_position > head.position:
            return False
        return head == entry.head or (entry.era == self.era and head == self.head)

    def put(self, stream_id: str, version: int, last_position: int, state: Any, era: int) -> Entry:
        """Keep a stream as it was read from the store in `era`, in place of what was kept."""
        self.forget((stream_id,))
        entry = self._entries[stream_id] = Entry(version, last_position, state, era)
        self._events += _weight(entry)
        return entry

    def grow(self, entry: Entry, version: int, last_position: int) -> None:
        """Note that an entry's stream, and its state if there is one, now go up to `version`."""
        self._events -= _weight(entry)
        entry.version = version
        entry.last_position = last_position
        self._events += _weight(entry)

    def forget(self, stream_ids: Iterable[str]) -> None:
        """Drop entries; the next use reads them anew."""
        for stream_id in stream_ids:
            entry = self._entries.pop(stream_id, None)
            if entry is not None:
                self._events -= _weight(entry)

    def begin(self, touched: Mapping[str, Touching]) -> None:
        """Open a group: nothing is dropped meanwhile, others keep away from the streams that `touched` will hold."""
        self.busy = touched
        self._open = True

    def end(self) -> None:
        """Let readers in again: the group is settled."""
        self.groups += 1
        self.busy = {}
        self._open = False
        self._settled.set()
        self._settled.clear()  # Whoever waits was woken by `set` and goes on in its own turn.
        self.trim()

    async def free(self, stream_id: str) -> None:
        """Wait until a stream is not busy."""
        while stream_id in self.busy:
            await self._settled.wait()

    def in_flight(self, stream_id: str) -> bool:
        """Tell whether the group under way writes a stream, so that its state may hold what is not durable."""
        touching = self.busy.get(stream_id)
        return touching is not None and (touching.version != touching.entry.version or touching.spoilt)

    async def landed(self, stream_id: str) -> None:
        """Wait until no group under way writes a stream."""
        while self.in_flight(stream_id):
            await self._settled.wait()

    def trim(self) -> None:
        """Drop the least used entries until the rest is within bounds; while a group is open, later."""
        while not self._open and self._events > self._events_max and self._entries:
            _, entry = self._entries.popitem(last=False)
            self._events -= _weight(entry)


_ENTRY_EVENTS = 20
"""Events that take as much memory as a state takes before its first event."""


def _weight(entry: Entry) -> int:
    return _ENTRY_EVENTS + entry.version if entry.state is not None else 1
