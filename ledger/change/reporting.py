"""How all relationships of an organization stand, for reports: what the detector keeps, and whom to measure again."""

from typing import Final, NamedTuple

from ledger.projections.balances import BALANCES, NO_NET
from ledger.projections.database import Query
from ledger.report.levels import Levels, Stands
from rapport.events.v1.exchange_pb2 import PARTY_ORGANIZATION

_QUESTION: Final = """
    SELECT w.customer_id, w.existing, w.lifecycle, w.band, w.shape, w.next_crossing, coalesce(b.net, 0)
    FROM watched w LEFT JOIN {balances} b
    ON b.organization_id = w.organization_id AND b.customer_id = w.customer_id AND b.perspective = ?
    WHERE w.organization_id = ? AND w.rank = 1 ORDER BY w.customer_id"""


class KeptLevels(NamedTuple):
    """What is kept, from one moment."""

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


def kept_levels(query: Query, organization_id: str, at: int) -> KeptLevels:
    """Return how the relationships of an organization stand at an instant, in microseconds, as far as that is kept.

    `query`: to the projection `relationships`, which has the balances; the detector's tables are beside it.
    """
    ((position, log_time, sweep),) = query.rows(
        "SELECT coalesce(max(position), 0), coalesce(max(log_time), 0), coalesce(max(sweep), '') FROM change_progress"
    )
    at = max(at, log_time)
    publications = query.rows("SELECT due FROM watched WHERE organization_id = ? AND rank = 0", (organization_id,))
    levels, passed = Levels(), list[str]()
    question = _QUESTION.format(balances=query.tables[BALANCES.name])
    for page in query.pages(question, (PARTY_ORGANIZATION, organization_id)):
        for customer_id, exists, lifecycle, band, shape, crossing, net in page:
            if crossing <= at:
                passed.append(customer_id)
            else:
                levels.add(Stands(bool(exists), lifecycle, band, shape, 0 if net == NO_NET else net))
    return KeptLevels(
        levels,
        passed,
        min(position, query.generation.position),
        log_time,
        not sweep and all(due > at for (due,) in publications),
    )
