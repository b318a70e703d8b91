"""Finding all changes anew from the first event, in memory, and comparing them with those announced.

Nothing is rewritten, whatever is found (settled.md 17). What is announced meanwhile is not compared.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ledger.change import table
from ledger.change.finding import Finder
from ledger.change.kept import KeptInMemory
from ledger.change.table import Progress, StoredChange
from ledger.domain.errors import Rejected
from ledger.log.store import Store
from ledger.projections.database import Database
from rapport.errors.v1 import error_reason_pb2 as reasons

_PAGE: Final = 1_000


class Abandoned(Exception):
    """Whoever wanted to know wants it no more."""


@dataclass(slots=True, eq=False)
class Verification:
    """One verification, to be run in a thread. Its numbers may be read by others meanwhile."""

    database: Database
    store: Store
    log_id: str
    position: int = 0
    """Log position up to which changes are made anew."""
    head: int = 0
    """Where it goes up to."""
    compared: int = 0
    """Changes, all of them equal."""
    _abandoned: threading.Event = field(default_factory=threading.Event)

    def abandon(self) -> None:
        """Let it end soon."""
        self._abandoned.set()

    def run(self) -> None:
        """Make anew and compare.

        Raises:
            Rejected: CHANGES_DIFFER, at the first change that does.
            Abandoned: it was to end.
            LogDamaged, StoreFailed, StoreClosed: nothing can be said.
        """
        with self.database.snapshot() as session:
            there = table.progress(session)
        self.head = there.position
        announced = self._announced(there.number)
        for batch, position in anew(self.store, self.log_id, there.position):
            self._compare(batch, announced, there)
            self.position = position
            if self._abandoned.is_set():
                raise Abandoned
        if self.compared < there.number:
            self._compare_rest(announced, there)

    def _compare(self, made: list[StoredChange], announced: Iterator[StoredChange], there: Progress) -> None:
        for change in made:
            stored = next(announced, None)
            if stored is None and there.sweep:
                return  # The rest of what a new policy moves was not announced yet.
            if stored != change:
                raise _differ(change.number, stored, change)
            self.compared += 1

    def _compare_rest(self, announced: Iterator[StoredChange], there: Progress) -> None:
        """Compare what was due before the next event, of which some may be announced before the event is reached."""
        head = self.store.head().position
        for batch, _ in anew(self.store, self.log_id, min(there.position + 1, head)):
            for change in batch:
                if change.number > self.compared:
                    stored = next(announced, None)
                    if stored is None:
                        return
                    if stored != change:
                        raise _differ(change.number, stored, change)
                    self.compared += 1
            if self._abandoned.is_set():
                raise Abandoned
        if (stored := next(announced, None)) is not None:
            raise _differ(stored.number, stored, None)

    def _announced(self, to: int) -> Iterator[StoredChange]:
        number = 0
        while number < to:
            with self.database.snapshot() as session:
                page = table.changes_after(session, number, min(_PAGE, to - number), None, {})
            if not page:
                return
            yield from page
            number = page[-1].number


def anew(
    store: Store, log_id: str, to: int, events_max: int = 1_024, timers_max: int = 1_024
) -> Iterator[tuple[list[StoredChange], int]]:
    """Yield the changes of a log up to a position, a batch at a time, each with the position it reached."""
    kept, progress = KeptInMemory(), Progress(log_id)
    finder = Finder(store, kept, log_id)
    while found := finder.find(progress, to, events_max, timers_max):
        kept.store(found.watched, found.aggregates)
        progress = found.progress
        yield found.changes, progress.position


def _differ(number: int, stored: StoredChange | None, made: StoredChange | None) -> Rejected:
    return Rejected(
        reasons.ERROR_REASON_CHANGES_DIFFER,
        "changes made anew are not those that were announced; nothing was rewritten: stop subscribers and report it",
        number=number,
        stored_id="" if stored is None else stored.change_id,
        made_id="" if made is None else made.change_id,
    )
