"""The score: what the strength comes to, line by line or at once (relationship.md 5).

What a component adds is its weight times its ratio, rounded half to even; the sum of all less the penalties is kept
within 0 and 1,000,000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.domain.amounts import half_even
from ledger.domain.decay import FULL
from ledger.measure import involvement, reciprocity
from ledger.measure.results import Ratio, unknown
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


_NOTHING: Final = unknown(UNKNOWN_REASON_NO_EVIDENCE)


def score_of(m: Measured) -> int:
    """Return the score alone."""
    return clamped(sum(map(portion, m.outlook.rules.weights, ratios(m))) - m.injuries.on(m.at // involvement.DAY))


def ratios(m: Measured) -> tuple[Ratio, Ratio, Ratio, Ratio, Ratio, Ratio]:
    """Return the ratio of each component, in order."""
    said = m.spoken
    return (
        involvement.involvement(m),
        reciprocity.share(m.reciprocity),
        m.preference.preference,
        balance_of(said.inbound.within, said.outbound.within),
        m.answers.ratio,
        m.permission.ratio,
    )


def portion(weight: int, ratio: Ratio) -> int:
    """Return what a component adds: its weight times its ratio, which is at most 1; nothing where it is not known."""
    n, d, why = ratio
    return 0 if why is not None or not n else half_even(weight * n, d)


def clamped(total: int) -> int:
    """Return a sum of lines as a score."""
    return min(max(total, 0), FULL)


def balance_of(inbound: int, outbound: int) -> Ratio:
    """Return in / max(in, out); unknown where nobody spoke."""
    most = max(inbound, outbound)
    return Ratio(inbound, most) if most else _NOTHING
