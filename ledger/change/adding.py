"""Cohorts and campaigns: sums over the relationships of an organization, and what is announced of them.

Each relationship keeps what it adds, so a sum moves by the difference when a relationship is looked at, and no other
one has to be. What is announced follows at once: `vector_short_lived` of cohorts and `waste_crossed` of campaigns, with
the gap of the policy and no dwell (relationship.md 9, 10 and 15).
"""

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.change.look import Cause, Draft
from ledger.change.table import Aggregate
from ledger.measure.results import Ratio
from ledger.measure.rules import Rules
from rapport.change.v1 import change_pb2 as pb

COHORT: Final = int(pb.SUBJECT_KIND_COHORT)
CAMPAIGN: Final = int(pb.SUBJECT_KIND_CAMPAIGN)

_FULL: Final = 1_000_000


class Announced(NamedTuple):
    """What was announced of a sum."""

    number: int = 0
    """Changes so far."""
    raised: bool = False
    last_id: str = ""
    last_time: int = 0
    """Effective time of the last change. Microseconds."""

    @classmethod
    def load(cls, text: str) -> "Announced":
        """Return what a text says; nothing announced for an empty one."""
        return cls(*json.loads(text)) if text else cls()

    def dump(self) -> str:
        """Return the text; empty: nothing was announced."""
        return "" if self == Announced() else json.dumps(self, separators=(",", ":"))


def differences(before: Mapping[str, list[int]], after: Mapping[str, list[int]]) -> list[tuple[str, int, int]]:
    """Return what subjects gain or lose, members and hits, in the order of their ids; not those that do neither."""
    if before == after:
        return []
    found = []
    for subject_id in sorted(before.keys() | after.keys()):
        members, hits = before.get(subject_id, (0, 0))
        more_members, more_hits = after.get(subject_id, (0, 0))
        if (members, hits) != (more_members, more_hits):
            found.append((subject_id, more_members - members, more_hits - hits))
    return found


def crossing(sum_of: Aggregate, raised: bool, rules: Rules, cause: Cause) -> Draft | None:
    """Return the change that follows from where a sum stands, or None."""
    if not sum_of.members:
        return _cleared(sum_of, rules, cause, 0) if raised else None
    returned = Ratio(sum_of.hits, sum_of.members).ppm
    value = returned if sum_of.kind == COHORT else _FULL - returned
    if raised:
        clears = value >= rules.return_clear_from if sum_of.kind == COHORT else value <= rules.waste_clear
        return _cleared(sum_of, rules, cause, value) if clears else None
    if sum_of.kind == COHORT:
        raises = sum_of.members >= rules.return_members_min and value < rules.return_alarm_below
    else:
        raises = sum_of.members >= rules.waste_matured_min and value > rules.waste_above
    return _raised(sum_of, rules, cause, value) if raises else None


def _raised(sum_of: Aggregate, rules: Rules, cause: Cause, value: int) -> Draft:
    if sum_of.kind == COHORT:
        gap = rules.return_clear_from - rules.return_alarm_below
        return Draft(
            pb.CHANGE_KIND_VECTOR_SHORT_LIVED, "return_rate", "LASTING", "SHORT_LIVED", cause, value=value,
            threshold=rules.return_alarm_below, hysteresis=gap,
        )  # fmt: skip
    gap = rules.waste_above - rules.waste_clear
    return Draft(
        pb.CHANGE_KIND_WASTE_CROSSED, "waste", "CLEAR", "WASTEFUL", cause, value=value, threshold=rules.waste_above,
        hysteresis=gap,
    )  # fmt: skip


def _cleared(sum_of: Aggregate, rules: Rules, cause: Cause, value: int) -> Draft:
    if sum_of.kind == COHORT:
        gap = rules.return_clear_from - rules.return_alarm_below
        return Draft(
            pb.CHANGE_KIND_VECTOR_SHORT_LIVED_CLEARED, "return_rate", "SHORT_LIVED", "LASTING", cause, value=value,
            threshold=rules.return_clear_from, hysteresis=gap,
        )  # fmt: skip
    gap = rules.waste_above - rules.waste_clear
    return Draft(
        pb.CHANGE_KIND_WASTE_CLEARED, "waste", "WASTEFUL", "CLEAR", cause, value=value, threshold=rules.waste_clear,
        hysteresis=gap,
    )  # fmt: skip
