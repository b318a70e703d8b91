"""Changes of the balance: `reciprocity_imbalance_entered` and `_cleared` (relationship.md 15, reciprocity.md 6).

By the customer's exact index without half-life, which has a prior and does not jump on cents. A customer without an
index is not imbalanced (settled.md 48).
"""

from collections.abc import Iterator
from typing import Final

from ledger.change.dwell import held
from ledger.change.look import Draft, Look
from ledger.measure.measured import Measured
from ledger.measure.reciprocity import exact_index
from ledger.measure.rules import Rules
from rapport.change.v1 import change_pb2 as pb

MEASURE: Final = "reciprocity"
_ENTERED: Final = "IMBALANCED"
_CLEARED: Final = "BALANCED"


def balancing(look: Look) -> Iterator[Draft]:
    """Announce that the customer gives more than they get, or no longer does."""
    levels, rules = look.levels, look.measured.outlook.rules
    index = look.index
    if levels.imbalanced:
        threshold = rules.imbalance_clear
        what = _CLEARED if index is None or index >= threshold else ""
    else:
        threshold = rules.imbalance_below
        what = _ENTERED if index is not None and index < threshold else ""
    cause = held(look, MEASURE, what, rules.imbalance_dwell)
    if cause is None:
        return
    levels.imbalanced = what == _ENTERED
    kind = (
        pb.CHANGE_KIND_RECIPROCITY_IMBALANCE_ENTERED if levels.imbalanced
        else pb.CHANGE_KIND_RECIPROCITY_IMBALANCE_CLEARED
    )  # fmt: skip
    yield Draft(
        kind, MEASURE, _CLEARED if levels.imbalanced else _ENTERED, what, cause, value=index, threshold=threshold,
        hysteresis=rules.imbalance_clear - rules.imbalance_below, pair=MEASURE,
    )  # fmt: skip


def imbalanced(measured: Measured) -> bool:
    """Tell whether the customer's index is below the bound, whatever was announced."""
    return below(exact_index(measured), measured.outlook.rules)


def below(index: int | None, rules: Rules) -> bool:
    """Tell whether an index is below the bound."""
    return index is not None and index < rules.imbalance_below
