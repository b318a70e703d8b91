"""Lifecycles of the purchase history straight from its rows: relationship.md 4 in fifty lines, nothing of the ledger.

    python tests/oracles/lifecycle_script.py CDNOW_master.txt 1997-09-30 1998-06-30

A purchase happens at midnight UTC, so a session is a day with a purchase, and a state holds for whole days. Cadences
are counted in half days: the median of an even number of gaps may be a day and a half.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from itertools import pairwise
from pathlib import Path


def purchase_days(master: Path) -> dict[str, list[date]]:
    """Return the days on which each customer bought, ascending, by customer."""
    days: dict[str, set[date]] = defaultdict(set)
    for line in master.read_text(encoding="ascii").splitlines()[1:]:
        customer, day, _, _ = line.split()
        days[customer].add(date(int(day[:4]), int(day[4:6]), int(day[6:])))
    return {customer: sorted(found) for customer, found in days.items()}


def cadence(days: list[date]) -> int:
    """Return twice the cadence in days: the median of the last ten gaps, within 7 and 120; 30 with fewer than three."""
    gaps = sorted((later - earlier).days for earlier, later in list(pairwise(days))[-10:])
    if len(gaps) < 3:
        return 2 * 30
    middle = len(gaps) // 2
    twice = 2 * gaps[middle] if len(gaps) % 2 else gaps[middle - 1] + gaps[middle]
    return min(max(twice, 2 * 7), 2 * 120)


def lifecycle(days: list[date], at: date) -> str:
    """Return the state at a day of who bought on some days, of which later ones have not happened yet."""
    known = [day for day in days if day <= at]
    if not known:
        return "STRANGER"
    silence, twice = (at - known[-1]).days, cadence(known)
    if silence < twice:  # Twice the cadence, in days.
        return "ACTIVE"
    return "AT_RISK" if silence < 2 * twice else "LAPSED"


def counts(customers: Iterable[list[date]], at: date) -> dict[str, int]:
    """Return how many customers are in each state at a day."""
    return dict(sorted(Counter(lifecycle(days, at) for days in customers).items()))


if __name__ == "__main__":
    everybody = purchase_days(Path(sys.argv[1]))
    for day in map(date.fromisoformat, sys.argv[2:]):
        print(day, counts(everybody.values(), day))  # noqa: T201  # A script prints.
