"""What the detector kept of the log before a batch: in the tables, or in memory where all is made anew."""

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from ledger.change import table
from ledger.change.table import NEVER, Aggregate, Progress, StoredChange, Watched
from ledger.projections.database import Database

_ROWS_MAX: Final = 4_096
"""Rows that are remembered: a few megabytes."""

Owner = tuple[str, str]
"""organization_id, customer_id."""


class Kept(Protocol):
    """Rows as they were stored last."""

    def watched(self, owners: Sequence[Owner]) -> dict[Owner, Watched]:
        """Return how some relationships stand; those never looked at are left out."""
        ...

    def due(self, before: int, limit: int) -> list[Watched]:
        """Return the first that are due before an instant, in microseconds, in the order in which they are run."""
        ...

    def relationships(self, organization_id: str, after: str, limit: int) -> list[Watched]:
        """Return relationships of an organization with customer_id > `after`, in order."""
        ...

    def aggregate(self, organization_id: str, kind: int, subject_id: str) -> Aggregate:
        """Return a cohort or a campaign; an empty one where there is none yet."""
        ...

    def aggregates(self, organization_id: str) -> list[Aggregate]:
        """Return all cohorts and campaigns of an organization, in the order of kind and id."""
        ...


class KeptInTables:
    """Rows of the tables, for the one process that changes them: it is remembered what need not be asked again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows: OrderedDict[Owner, Watched] = OrderedDict()
        """As last stored or read, the least used dropped."""
        self._none_due_before = 0
        """Nothing is due before this instant. Microseconds."""

    def forget(self) -> None:
        """Forget what is in memory: somebody else may have changed the tables."""
        self._rows.clear()
        self._none_due_before = 0

    def store(
        self,
        before: Progress,
        after: Progress,
        changes: Sequence[StoredChange],
        watched: Sequence[Watched],
        aggregates: Sequence[Aggregate],
    ) -> None:
        """Add changes, replace rows and move the progress: all of it, or nothing.

        Raises:
            ProgressMoved: it is not at `before` any more. Nothing was changed.
        """
        table.store(self._database, before, after, changes, watched, aggregates)
        for row in watched:
            self._none_due_before = min(self._none_due_before, row.due)
            self._remember((row.organization_id, row.customer_id), row)

    def next_due(self, now: int) -> int | None:
        """Return when the first of all is due, or an earlier instant after `now`; None: nothing is. Microseconds."""
        if self._none_due_before <= now:
            with self._database.glance() as session:
                first = table.next_due(session)
            self._none_due_before = NEVER if first is None else first
        return None if self._none_due_before == NEVER else self._none_due_before

    def watched(self, owners: Sequence[Owner]) -> dict[Owner, Watched]:
        """Return how some relationships stand."""
        rows = self._rows
        found = {owner: rows[owner] for owner in owners if owner in rows}
        missing = [owner for owner in owners if owner not in found]
        if missing:
            with self._database.glance() as session:
                read = table.watched_by(session, missing)
            for owner, row in read.items():
                self._remember(owner, row)
            found.update(read)
        return found

    def due(self, before: int, limit: int) -> list[Watched]:
        """Return the first that are due."""
        if before <= self._none_due_before:
            return []
        with self._database.glance() as session:
            found = table.watched_due(session, before, limit)
            first = found[0].due if found else table.next_due(session)
        self._none_due_before = NEVER if first is None else first
        return found

    def relationships(self, organization_id: str, after: str, limit: int) -> list[Watched]:
        """Return relationships of an organization."""
        with self._database.glance() as session:
            return table.watched_of(session, organization_id, after, limit)

    def aggregate(self, organization_id: str, kind: int, subject_id: str) -> Aggregate:
        """Return a cohort or a campaign."""
        with self._database.glance() as session:
            return table.aggregate(session, organization_id, kind, subject_id)

    def aggregates(self, organization_id: str) -> list[Aggregate]:
        """Return all cohorts and campaigns of an organization."""
        with self._database.glance() as session:
            return table.aggregates_of(session, organization_id)

    def _remember(self, owner: Owner, row: Watched) -> None:
        self._rows[owner] = row
        self._rows.move_to_end(owner)
        if len(self._rows) > _ROWS_MAX:
            self._rows.popitem(last=False)


class KeptInMemory:
    """Rows in memory, of one log from its beginning."""

    def __init__(self) -> None:
        self.rows: dict[Owner, Watched] = {}
        self.sums: dict[tuple[str, int, str], Aggregate] = {}
        self._dues: list[tuple[int, int, str, str]] = []

    def store(self, watched: Iterable[Watched], aggregates: Iterable[Aggregate]) -> None:
        """Replace rows."""
        for row in watched:
            self.rows[row.organization_id, row.customer_id] = row
            if row.due < NEVER:
                heapq.heappush(self._dues, row.key)
        for each in aggregates:
            self.sums[each.organization_id, each.kind, each.subject_id] = each

    def watched(self, owners: Sequence[Owner]) -> dict[Owner, Watched]:
        """Return how some relationships stand."""
        return {owner: self.rows[owner] for owner in owners if owner in self.rows}

    def due(self, before: int, limit: int) -> list[Watched]:
        """Return the first that are due."""
        found: dict[tuple[int, int, str, str], Watched] = {}
        while self._dues and self._dues[0][0] < before and len(found) < limit:
            key = heapq.heappop(self._dues)
            row = self.rows[key[2], key[3]]
            if row.key == key:  # Else it was stored again since.
                found[key] = row
        for key in found:
            heapq.heappush(self._dues, key)
        return list(found.values())

    def relationships(self, organization_id: str, after: str, limit: int) -> list[Watched]:
        """Return relationships of an organization."""
        names = sorted(
            name
            for (organization, name), row in self.rows.items()
            if organization == organization_id and name > after and row.rank
        )
        return [self.rows[organization_id, name] for name in names[:limit]]

    def aggregate(self, organization_id: str, kind: int, subject_id: str) -> Aggregate:
        """Return a cohort or a campaign."""
        key = organization_id, kind, subject_id
        return self.sums.get(key) or Aggregate(organization_id, kind, subject_id)

    def aggregates(self, organization_id: str) -> list[Aggregate]:
        """Return all cohorts and campaigns of an organization."""
        return sorted(each for each in self.sums.values() if each.organization_id == organization_id)
