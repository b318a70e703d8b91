"""What a relationship adds to cohorts: who joined a programme in one month, and came back (relationship.md 9).

A customer is a member of a cohort once, by the first join of the programme in that month (UTC); later ones in the same
month begin nothing. A member counts from `join + until_days` on, and came back with an act that they began in
[join + from_days, join + until_days).
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from ledger.domain.times import MICROSECONDS
from ledger.measure.measured import Measured

_DAY: Final = 86_400 * MICROSECONDS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Sums(NamedTuple):
    """What one relationship adds, by subject: of so many so many; and when the clock alone changes that."""

    by_subject: dict[str, list[int]]
    changes_at: int | None
    """Microseconds. None: it will not."""


def cohorts(measured: Measured) -> Sums:
    """Return what a relationship adds to cohorts: matured members, and those who came back."""
    rules, acts = measured.outlook.rules, measured.record.acts
    programmes = acts.memberships.programmes
    if not programmes:
        return Sums({}, None)
    begun = measured.sessions.acts
    found: dict[str, list[int]] = {}
    waits: list[int] = []
    for programme, told in programmes.items():
        for subject_id, join in _firsts(programme, told.joins.times):
            if join + rules.return_until_days * _DAY > measured.at:
                waits.append(join + rules.return_until_days * _DAY)
                continue
            first = begun.place(join + rules.return_from_days * _DAY, 0)
            came = first < len(begun) and begun.times[first] < join + rules.return_until_days * _DAY
            found[subject_id] = [1, int(came)]
    return Sums(found, min(waits, default=None))


def cohort_id(programme: str, join: int) -> str:
    """Return the cohort of who joined a programme at an instant, in microseconds. Example: `club/2026-05`."""
    when = _EPOCH + timedelta(microseconds=join)
    return f"{programme}/{when.year:04d}-{when.month:02d}"


def _firsts(programme: str, joins: Iterable[int]) -> Iterable[tuple[str, int]]:
    """Return the first join of each month, by cohort. Joins are in order."""
    firsts: dict[str, int] = {}
    for join in joins:
        firsts.setdefault(cohort_id(programme, join), join)
    return firsts.items()
