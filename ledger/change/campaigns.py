"""What a relationship adds to campaigns: matured solicitations, and of those the answered ones (relationship.md 10)."""

from typing import Final

from ledger.change.cohorts import Sums
from ledger.measure import solicitations
from ledger.measure.measured import Measured
from rapport.type.v1 import levels_pb2 as levels

_ANSWERED: Final = frozenset({levels.SOLICITATION_OUTCOME_BOUGHT, levels.SOLICITATION_OUTCOME_REPLIED})


def campaigns(measured: Measured) -> Sums:
    """Return what a relationship adds to campaigns: matured solicitations, and those bought by or replied to."""
    found: dict[str, list[int]] = {}
    waits: list[int] = []
    for row in solicitations.each(measured):
        if not row.campaign:
            continue
        if row.matured_at > measured.at:
            waits.append(row.matured_at)
            continue
        sums = found.setdefault(row.campaign, [0, 0])
        sums[0] += 1
        sums[1] += row.outcome in _ANSWERED
    return Sums(found, min(waits, default=None))
