"""Rebuilding a projection beside the live one: fold, compare, swap, while reads go on.

Both are compared row by row at the same position: the live one is held still for the moment in which the new one
catches up with it and both are looked at in one snapshot. The comparison then takes its time in that snapshot, and the
live one moves on. The swap is one transaction, at which the new one is at least as far as the live one was; nobody
reads a position that goes backwards.
"""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum, auto

from ledger.domain.errors import Rejected
from ledger.log.store import Store
from ledger.projections.advancing import advance, afresh, fill
from ledger.projections.database import BUILDING, CheckpointMoved, Database, Difference, Generation, differences
from ledger.projections.tables import Projection
from rapport.errors.v1 import error_reason_pb2 as reasons


class Phase(Enum):
    """What a rebuild is doing."""

    FOLDING = auto()
    COMPARING = auto()
    SWAPPED = auto()


@dataclass(slots=True)
class Progress:
    """How far a rebuild is. Written by the thread that rebuilds, read by others."""

    phase: Phase = Phase.FOLDING
    position: int = 0
    head: int = 0
    events_per_second: int = 0
    """Over the whole rebuild so far."""
    rows_different: int = 0


class Abandoned(Exception):
    """Whoever wanted the rebuild wants it no more. What was built is gone."""


@dataclass(slots=True, kw_only=True, eq=False)
class Rebuild:
    """One rebuild, to be run in a thread."""

    projection: Projection
    database: Database
    store: Store
    log_id: str
    clock: Callable[[], int]
    """Microseconds."""
    replace_different: bool = False
    progress: Progress = field(default_factory=Progress)
    _abandoned: threading.Event = field(default_factory=threading.Event)
    _started: float = field(default_factory=time.monotonic)
    _folding: Projection = field(init=False)
    """What folds: the live one is at another place of the log."""

    def __post_init__(self) -> None:
        self._folding = afresh(self.projection)

    def abandon(self) -> None:
        """Let it end soon, unless it has swapped already."""
        self._abandoned.set()

    def run(self) -> None:
        """Rebuild, compare, swap.

        Raises:
            Rejected: PROJECTION_REBUILDING: another one is under way. REBUILD_DIFFERS: nothing was swapped.
            Abandoned: nothing was swapped.
            LogDamaged, StoreFailed, StoreClosed: nothing was swapped.
        """
        lock = self.database.try_lock(lock_name(self.projection))
        if lock is None:
            raise Rejected(
                reasons.ERROR_REASON_PROJECTION_REBUILDING,
                "the projection is being rebuilt already; wait for that to end",
                name=self.projection.name,
            )
        try:
            tidy(self.database, self.projection)
            self._build_and_swap()
        except CheckpointMoved:
            raise Rejected(
                reasons.ERROR_REASON_PROJECTION_REBUILDING,
                "the projection was begun anew meanwhile; wait for that to end",
                name=self.projection.name,
            ) from None
        finally:
            lock.release()

    def _build_and_swap(self) -> None:
        live = self.database.live(self.projection)
        if live is None:
            raise Rejected(
                reasons.ERROR_REASON_PROJECTION_REBUILDING,
                "the projection is being built for the first time; wait for that to end",
                name=self.projection.name,
            )
        built = self.database.create(
            self.projection, self.log_id, built_time=self.clock(), ready_position=live.ready_position, live=False
        )
        try:
            built = self._fold(built)
            built = self._compare(live, self._caught_up(built))
            self._swap(live, self._caught_up(built))
        except BaseException:
            self.database.drop(built)
            raise
        self.progress.phase = Phase.SWAPPED
        self.database.drop(live)

    def _fold(self, built: Generation) -> Generation:
        """Fold everything that the live projection has, with the indexes last."""
        live = self.database.live(self.projection)
        if live is not None:
            built = fill(self._folding, self.database, self.store, built, live.position, self._tell)
        built = self._caught_up(built)
        self.database.index(self.projection, built)
        return built

    def _compare(self, live: Generation, built: Generation) -> Generation:
        self.progress.phase = Phase.COMPARING
        with ExitStack() as stack:
            with self.database.standstill(live) as still:
                built = self._folded_to(built, still.position)
                session = stack.enter_context(self.database.snapshot())
            found = Difference()
            for found in differences(session, self.projection, live, built):
                self.progress.rows_different = found.rows
                self._end_if_abandoned()
        if found.rows and not self.replace_different:
            raise Rejected(
                reasons.ERROR_REASON_REBUILD_DIFFERS,
                "the rebuilt projection differs from the live one, which was kept; report it",
                name=self.projection.name,
                rows=found.rows,
                first_key=found.first_key,
            )
        return built

    def _swap(self, live: Generation, built: Generation) -> None:
        with self.database.standstill(live) as still:
            still.swap(self._folded_to(built, still.position))

    def _caught_up(self, built: Generation) -> Generation:
        """Fold up to where the live projection is; it goes on meanwhile."""
        live = self.database.live(self.projection)
        while live is not None and live.position > built.position:
            built = self._folded_to(built, live.position)
            live = self.database.live(self.projection)
        return built

    def _folded_to(self, built: Generation, to: int) -> Generation:
        while built.position < to:
            built = advance(self._folding, self.database, self.store, built, to)
            self._tell(built.position)
        return built

    def _tell(self, position: int) -> None:
        """Tell how far it is. `position`: or how many events, which comes to the same, are folded in another order."""
        progress = self.progress
        progress.position, progress.head = position, max(position, self.store.head().position)
        progress.events_per_second = round(position / max(time.monotonic() - self._started, 0.001))
        self._end_if_abandoned()

    def _end_if_abandoned(self) -> None:
        if self._abandoned.is_set():
            raise Abandoned


def lock_name(projection: Projection) -> str:
    """Return the lock that whoever rebuilds a projection holds."""
    return f"{projection.name}.rebuild"


def tidy(database: Database, projection: Projection) -> None:
    """Drop what rebuilds left that did not end; for whoever holds the lock of rebuilds."""
    for generation in database.generations(projection.name):
        if generation.state == BUILDING:
            database.drop(generation)
