"""When the customer usually acts, the heaviest hours first (relationship.md 10). Inferred, and no more than that."""

from __future__ import annotations

from collections import Counter
from itertools import repeat
from operator import floordiv
from typing import TYPE_CHECKING, Final

from ledger.domain.times import MICROSECONDS
from ledger.measure.acts import DAY
from ledger.measure.remembering import remembered
from ledger.measure.results import OpenHour, Ratio

if TYPE_CHECKING:
    from ledger.measure.measured import Measured

HOURS_MAX: Final = 24
"""Most hours that are answered."""

_HOUR: Final = 3600 * MICROSECONDS
_WEEK: Final = 168
_MONDAY: Final = 96
"""Hours from the epoch, a Thursday, to the first Monday."""


def open_hours(m: Measured) -> tuple[OpenHour, ...]:
    """Return the hours of the week in UTC by what the customer did in them, each act by its decay.

    At most 24 hours, each with its share of the weight of all; of equal ones the earlier comes first.
    """
    return remembered(m, "open hours", _open_hours, lambda m: (m.at // DAY + 1) * DAY)


def _open_hours(m: Measured) -> tuple[OpenHour, ...]:
    rules, acts = m.outlook.rules, m.record.acts
    today = m.at // DAY
    oldest = (today - len(rules.decay) + 1) * DAY
    weights: Counter[int] = Counter()
    for hour, count in Counter(map(floordiv, acts.since(oldest), repeat(_HOUR))).items():
        weights[(hour - _MONDAY) % _WEEK] += count * rules.decay_of(today - hour // 24)
    total = weights.total()
    heaviest = sorted(weights.items(), key=lambda each: (-each[1], each[0]))[:HOURS_MAX]
    return tuple(OpenHour(hour, Ratio(weight, total)) for hour, weight in heaviest if weight)
