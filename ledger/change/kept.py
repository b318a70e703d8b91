"""What the detector kept of the log before a batch: in the tables, or in memory where all is made anew."""

import heapq
from collections.abc import Iterable, Sequence
from typing import Protocol

from ledger.change import table
from ledger.change.table import NEVER, Aggregate, Watched
from ledger.projections.database import Database

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
    """Rows of the tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def watched(self, owners: Sequence[Owner]) -> dict[Owner, Watched]:
        """Return how some relationships stand."""
        with self._database.snapshot() as session:
            return table.watched_by(session, owners)

    def due(self, before: int, limit: int) -> list[Watched]:
        """Return the first that are due."""
        with self._database.snapshot() as session:
            return table.watched_due(session, before, limit)

    def relationships(self, organization_id: str, after: str, limit: int) -> list[Watched]:
        """Return relationships of an organization."""
        with self._database.snapshot() as session:
            return table.watched_of(session, organization_id, after, limit)

    def aggregate(self, organization_id: str, kind: int, subject_id: str) -> Aggregate:
        """Return a cohort or a campaign."""
        with self._database.snapshot() as session:
            return table.aggregate(session, organization_id, kind, subject_id)

    def aggregates(self, organization_id: str) -> list[Aggregate]:
        """Return all cohorts and campaigns of an organization."""
        with self._database.snapshot() as session:
            return table.aggregates_of(session, organization_id)


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
