"""Brings the states that a group needs into memory: one query for all streams that are not there (performance.md 4)."""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from typing import Any, Final

from ledger.domain.streams import initial_state
from ledger.log.keys import Keys, KeyStore
from ledger.log.personal import has_personal
from ledger.log.reading import facts
from ledger.log.scanning import Reads
from ledger.log.store import EventRow, Head
from ledger.states import UNVERIFIED, Entry, States
from ledger.waiting import Waiting

_TURN_EVENTS: Final = 2_000
"""Events folded in one turn of the event loop: some ten milliseconds."""


class Loader:
    """Reads streams into `States`, and keys for personal content."""

    def __init__(self, reads: Reads, states: States, keys: KeyStore, executor: Executor) -> None:
        self._reads = reads
        self._states = states
        self._keys = keys
        self._executor = executor

    async def load_for(self, group: Iterable[Waiting]) -> None:
        """Bring in what the steps of a group need: states, versions, and fresh looks at what is only read."""
        with_state: set[str] = set()
        with_version: set[str] = set()
        read_only: set[str] = set()
        for waiting in group:
            for step in waiting.steps:
                (with_state if step.needs_state or waiting.personal else with_version).add(step.stream_id)
                read_only.update(step.reads)
        await self.load(with_state | read_only)
        await self._verify(read_only)
        await self._load_versions(with_version - with_state)

    async def load(self, stream_ids: Iterable[str]) -> None:
        """Bring in the states of streams that are not there yet; streams that are busy are left to their group."""
        missing = [stream_id for stream_id in stream_ids if not self._has_state(stream_id)]
        if missing:
            era, groups = self._states.era, self._states.groups
            for stream_id, rows in (await self._reads(self._reads.store.read_streams, missing)).items():
                state = await _folded(stream_id, rows)
                if groups != self._states.groups:
                    era = UNVERIFIED  # A group was settled meanwhile: what it wrote may be missing.
                if stream_id not in self._states.busy and not self._has_state(stream_id):
                    version, last_position = (rows[-1].version, rows[-1].position) if rows else (0, 0)
                    self._states.put(stream_id, version, last_position, state, era)

    async def refresh(self, stream_ids: Iterable[str], head: Head | None = None) -> None:
        """Bring in what was written to streams since they were last looked at; their entries are verified then.

        `head`: an end of the log that was read before, if one was.
        """
        known = {
            stream_id: entry
            for stream_id in stream_ids
            if (entry := self._states.get(stream_id)) is not None and entry.state is not None
        }
        era = self._states.era
        versions = {stream_id: entry.version for stream_id, entry in known.items()}
        for stream_id, rows in (await self._reads(self._reads.store.tails, versions)).items():
            entry = self._states.get(stream_id)
            if entry is None or stream_id in self._states.busy:
                continue
            if entry is not known[stream_id]:
                self._states.forget((stream_id,))  # Read anew by somebody else, and perhaps before these rows.
                continue
            self.extend(stream_id, entry, rows)
            entry.era = max(entry.era, era)
            if head is not None:
                entry.head = head

    def extend(self, stream_id: str, entry: Entry, rows: Sequence[EventRow]) -> None:
        """Fold those rows of a stream that follow the entry's version; it may have grown while they were read."""
        rows = rows[entry.version - rows[0].version + 1 :] if rows and entry.version >= rows[0].version else rows
        if rows:
            assert rows[0].version == entry.version + 1, "a stream has a hole"
            try:
                for fact in facts(rows):
                    entry.state.evolve(fact)
            except BaseException:
                self._states.forget((stream_id,))  # It holds a part of the rows, and nobody can take them out again.
                raise
            self._states.grow(entry, rows[-1].version, rows[-1].position)

    async def keys_for(self, group: Iterable[Waiting]) -> Keys:
        """Return the data keys of the subjects whose personal content the group records; made where they are new."""
        streams = {step.stream_id for waiting in group if waiting.personal for step in waiting.steps}
        if not streams:
            return Keys({})
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._keys.ensure, streams)

    async def _verify(self, stream_ids: Iterable[str]) -> None:
        stale = []
        for stream_id in stream_ids:
            entry = self._states.get(stream_id)
            if entry is not None and entry.era != self._states.era:
                stale.append(stream_id)
        if stale:
            await self.refresh(stale)

    async def _load_versions(self, stream_ids: Iterable[str]) -> None:
        missing = [stream_id for stream_id in stream_ids if self._states.get(stream_id) is None]
        if missing:
            era = self._states.era
            for stream_id, version in (await self._reads(self._reads.store.versions, missing)).items():
                self._states.put(stream_id, version, 0, None, era)

    def _has_state(self, stream_id: str) -> bool:
        entry = self._states.get(stream_id)
        return entry is not None and entry.state is not None


async def _folded(stream_id: str, rows: Sequence[EventRow]) -> Any:
    """Return the state of a stream; a long one lets others have a turn of the event loop now and then."""
    state = initial_state(stream_id)
    for number, fact in enumerate(facts(rows), start=1):
        state.evolve(fact)
        if not number % _TURN_EVENTS:
            await asyncio.sleep(0)
    return state


def plan(waiting: Waiting) -> None:
    """Ask a request for its steps, once.

    Raises:
        Refused: the request is malformed.
    """
    if not waiting.steps:
        waiting.steps = waiting.plan()
        waiting.personal = has_personal(waiting.request.message)
