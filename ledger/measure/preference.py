"""Preferential repurchase, incentives excluded (relationship.md 6, settled.md 47)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.measure.evidence import WhenRead
from ledger.measure.results import PreferenceMeasure, Ratio, unknown
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE

if TYPE_CHECKING:
    from ledger.measure.measured import Measured

EVIDENCE_MAX: Final = 64
_NOTHING: Final = unknown(UNKNOWN_REASON_NO_EVIDENCE)


def preference(m: Measured) -> PreferenceMeasure:
    """Return u / (n + prior): repeats without incentive against all that could have been.

    The first purchase that was not returned is no repeat. What the customer bought elsewhere was an occasion missed.
    """
    rules, buying = m.outlook.rules, m.record.acts.buying
    if not buying.anywhere():
        return _NEVER
    by_legs, purchases = rules.incentive_by_legs, buying.counting.positions
    repeats, incentivised = max(len(purchases) - 1, 0), buying.incentivised(by_legs=by_legs)
    if purchases and buying.had_incentive(purchases[0], by_legs=by_legs):
        incentivised -= 1
    unincentivised, elsewhere = repeats - incentivised, len(buying.elsewhere)
    occasions = repeats + elsewhere
    return PreferenceMeasure(
        preference=Ratio(unincentivised, occasions + rules.preference_prior) if occasions else _NOTHING,
        repeats=repeats,
        unincentivised=unincentivised,
        elsewhere=elsewhere,
        incentivised_share=Ratio(incentivised, repeats) if repeats else _NOTHING,
        evidence=WhenRead(_evidence, m),
    )


_NEVER: Final = PreferenceMeasure(
    preference=_NOTHING, repeats=0, unincentivised=0, elsewhere=0, incentivised_share=_NOTHING, evidence=()
)
"""Of a customer who never bought anything."""


def _evidence(m: Measured) -> tuple[int, ...]:
    """Return the positions of the latest repeats and of the latest purchases elsewhere, ascending; at most 64 each."""
    buying = m.record.acts.buying
    bought = buying.counting.positions
    repeats = bought[max(1, len(bought) - EVIDENCE_MAX) :]
    return tuple(sorted((*repeats, *buying.elsewhere.positions[-EVIDENCE_MAX:])))
