"""What somebody's own fold of a stream lacks now, so that nobody folds the same facts beside it for a version alone.

One turn with the store asks where the log ends and, unless it is known that nothing is missing there, for what was
recorded since. Known it is where the log ends as it did when the fold was last brought up, or as this process's own
writes left it while they tell the version of the stream. What is read is cut off at that end, so it is right whatever
is written meanwhile; nobody has to wait for groups under way, for what they write is not durable before the store has
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.loading import Loader
from ledger.log.scanning import Reads
from ledger.log.store import EventRow, Head, Store
from ledger.present import Present
from ledger.states import Entry, States
from ledger.views import View

TAIL_EVENTS: Final = 250
"""Events of a stream that are read, and folded, in one turn of the event loop."""


class Known(NamedTuple):
    """How far a fold of a stream goes."""

    version: int
    """Version of the last event it holds; 0: none."""
    head: Head | None
    """An end of the log up to which nothing was missing from it; None: it was never brought up."""


class Tail(NamedTuple):
    """What a fold lacks of a stream as it shows in a view of now."""

    view: View
    head: Head
    """The end of the log, which the view shows."""
    rows: Sequence[EventRow]
    """What was recorded after the version known, in order."""
    whole: bool
    """Whether the rows are all that the view shows."""
    version: int
    """Version of the last of the rows; of the fold as it was known where there are none."""
    beside: int
    """Version of the other stream in the view."""


class _Wanted(NamedTuple):
    """What is asked of the store in one turn."""

    stream_id: str
    known: Known
    ends: Sequence[Head | None]
    """Ends of the log where nothing of the stream is missing."""
    beside: str
    version: int
    """Of the other stream, as it is in memory."""
    beside_ends: Sequence[Head | None]


class _Found(NamedTuple):
    """What the store said."""

    head: Head
    rows: Sequence[EventRow] | None
    """None: they were not asked for, nothing is missing."""
    beside: Sequence[EventRow] | None
    """The same of the other stream."""


class Tails:
    """Tails of streams as they are now. Lives on one event loop."""

    def __init__(self, present: Present, reads: Reads, states: States, loader: Loader) -> None:
        self._present = present
        self._reads = reads
        self._states = states
        self._loader = loader

    async def tail(self, stream_id: str, known: Known, beside: str, min_position: int = 0) -> Tail:
        """Return what a fold lacks; see `Ledger.tail`."""
        tail = await self._turn(stream_id, known, beside)
        if tail.head.position < min_position:
            await self._present.wait_for(tail.head, min_position)
            tail = await self._turn(stream_id, known, beside)
        return tail

    async def _turn(self, stream_id: str, known: Known, beside: str) -> Tail:
        other = await self._held(beside)
        states = self._states
        era, groups = states.era, states.groups
        # What holds now for some ends of the log holds when the log is found to end there, whatever comes between.
        wanted = _Wanted(stream_id, known, self._ends(stream_id, known), beside, other.version, self._ends_of(other))
        head, asked, beside_rows = await self._reads(_ask, self._reads.store, wanted)
        rows = asked or ()
        tail = Tail(
            view=self._present.view_at(head),
            head=head,
            rows=rows,
            whole=len(rows) < TAIL_EVENTS,
            version=rows[-1].version if rows else known.version,
            beside=beside_rows[-1].version if beside_rows else wanted.version,
        )
        if asked is not None and tail.whole and groups == states.groups:
            self._note(stream_id, tail.version, era)
        if beside_rows is not None:
            await self._extend(beside, other, beside_rows, head)
        return tail

    async def _held(self, stream_id: str) -> Entry:
        """Return the entry of a stream, with its state, while no group writes it; until the next await."""
        states = self._states
        while True:
            await states.landed(stream_id)
            entry = states.get(stream_id)
            if entry is not None and entry.state is not None:
                return entry
            await states.free(stream_id)
            await self._loader.load((stream_id,))

    def _ends(self, stream_id: str, known: Known) -> Sequence[Head | None]:
        """Return at which ends of the log nothing is missing from a fold."""
        entry = self._states.get(stream_id)
        if entry is None or entry.version != known.version:
            return (known.head,)
        return known.head, *self._ends_of(entry)  # A version moves only with what is durable, also of a busy stream.

    def _ends_of(self, entry: Entry) -> Sequence[Head | None]:
        states = self._states
        return (entry.head, states.head) if entry.era == states.era else (entry.head,)

    async def _extend(self, stream_id: str, entry: Entry, rows: Sequence[EventRow], head: Head) -> None:
        """Bring the entry of the other stream up to the view, unless it was put anew."""
        states = self._states
        if rows:
            await states.free(stream_id)
        if states.get(stream_id) is entry:
            self._loader.extend(stream_id, entry, rows)
            entry.head = head

    def _note(self, stream_id: str, version: int, era: int) -> None:
        """Keep the version of a stream as it was read from the store, so that own writes tell what it becomes."""
        states = self._states
        entry = states.get(stream_id)
        if entry is not None and (entry.state is not None or (entry.version, entry.era) >= (version, era)):
            return
        if stream_id not in states.busy:
            states.put(stream_id, version, 0, None, era)
            states.trim()


def _ask(store: Store, wanted: _Wanted) -> _Found:
    """Ask the store where the log ends, and for what is missing there. Called in a thread, or on the loop."""
    head = store.head()
    stream_id, (version, seen) = wanted.stream_id, wanted.known
    lacks, beside_lacks = head not in wanted.ends, head not in wanted.beside_ends
    if lacks and beside_lacks and seen is not None and head.position - seen.position < TAIL_EVENTS:
        # Others write, and both tails are short for sure: one query.
        tails = store.tails({stream_id: version, wanted.beside: wanted.version})
        return _Found(head, _upto(tails[stream_id], head), _upto(tails[wanted.beside], head))
    rows = store.read_stream(stream_id, version, TAIL_EVENTS, head.position) if lacks else None
    beside = store.read_stream(wanted.beside, wanted.version, None, head.position) if beside_lacks else None
    return _Found(head, rows, beside)


def _upto(rows: Sequence[EventRow], head: Head) -> Sequence[EventRow]:
    return [row for row in rows if row.position <= head.position]
