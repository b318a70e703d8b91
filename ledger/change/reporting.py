"""How all relationships of an organization stand, for reports: what the detector keeps, and whom to measure again."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ledger.projections.balances import BALANCES, NO_NET
from ledger.projections.database import Query, Session
from ledger.report.levels import Levels, Stands
from rapport.events.v1.exchange_pb2 import PARTY_ORGANIZATION

_QUESTION: Final = """
    SELECT customer_id, existing, lifecycle, band, shape, next_crossing FROM watched
    WHERE organization_id = ? AND rank = 1 ORDER BY customer_id"""
_NETS: Final = "SELECT customer_id, net FROM {} WHERE organization_id = ? AND perspective = ? ORDER BY customer_id"


class KeptLevels(NamedTuple):
    """What is kept."""

    levels: Levels
    """Of those whom the clock has not passed."""
    passed: list[str]
    """Customers whose levels may have changed by the clock since they were last looked at."""
    position: int
    """Everything up to here is in it."""
    log_time: int
    """Record time of the event there. Microseconds."""
    whole: bool
    """False: a policy is coming into force, so everybody may stand elsewhere."""


def kept_levels(session: Session, query: Query, organization_id: str, at: int) -> KeptLevels:
    """Return how the relationships of an organization stand at an instant, in microseconds, as far as that is kept.

    `session`: to the detector's tables. `query`: to the projection `relationships`, which has the balances.
    """
    ((position, log_time, sweep),) = session.rows(
        "SELECT coalesce(max(position), 0), coalesce(max(log_time), 0), coalesce(max(sweep), '') FROM change_progress"
    )
    at = max(at, log_time)
    publications = session.rows("SELECT due FROM watched WHERE organization_id = ? AND rank = 0", (organization_id,))
    levels, passed, nets = Levels(), list[str](), _Nets(query, organization_id)
    for page in session.pages(_QUESTION, (organization_id,)):
        for customer_id, exists, lifecycle, band, shape, crossing in page:
            if crossing <= at:
                passed.append(customer_id)
            else:
                levels.add(Stands(bool(exists), lifecycle, band, shape, nets.of(customer_id)))
    return KeptLevels(
        levels,
        passed,
        min(position, query.generation.position),
        log_time,
        not sweep and all(due > at for (due,) in publications),
    )


class _Nets:
    """What the organization has net of each customer, asked for in the order of ids: two tables are read as one."""

    def __init__(self, query: Query, organization_id: str) -> None:
        pages = query.pages(_NETS.format(query.tables[BALANCES.name]), (organization_id, PARTY_ORGANIZATION))
        self._rows: Iterator[tuple[str, int]] = ((row[0], row[1]) for page in pages for row in page)
        self._next = next(self._rows, None)

    def of(self, customer_id: str) -> int:
        """Return the net of a customer, in nanos of the unit of account; 0 where there is none."""
        while self._next is not None and self._next[0] < customer_id:
            self._next = next(self._rows, None)
        if self._next is None or self._next[0] != customer_id or self._next[1] == NO_NET:
            return 0
        return self._next[1]
