"""How often a customer came, and after how many days they came back for the first time (settled.md 19 and 39)."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from ledger.measure.acts import DAY

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


class Visits(NamedTuple):
    """How often, and when again."""

    times: int
    """Sessions, or purchases that were not returned."""
    back_after: int | None
    """UTC calendar days from that of the first act to the next on which there was one; None: they have not come back.

    Who has one of at most n came back within n days.
    """


def visits(m: Measured, *, purchases_only: bool = False) -> Visits:
    """Return how often the customer came by the instant: sessions of what they began, or purchases alone."""
    if purchases_only:
        acts = m.record.acts.buying.counting
        count = len(acts)
    else:
        sessions = m.sessions
        acts, count = sessions.acts, len(sessions.starts)
    if not acts:
        return Visits(0, None)
    times = acts.times
    first = times[0] // DAY
    place = bisect_left(times, (first + 1) * DAY)
    return Visits(count, times[place] // DAY - first if place < len(times) else None)
