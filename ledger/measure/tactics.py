"""What followed the solicitations of each tactic (relationship.md 10). Descriptive: it says nothing of causes."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from ledger.domain.amounts import half_even
from ledger.domain.interaction import CORRECTED, RETRACTED
from ledger.domain.times import END_OF_TIME, MICROSECONDS
from ledger.measure.results import Ratio, TacticEffect, unknown
from ledger.measure.solicitations import each
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NOTHING_MATURED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.domain.fact import Fact
    from ledger.measure.measured import Measured

LATER: Final = 30 * 86_400 * MICROSECONDS
"""After so long the strength is compared with what it was."""
CHANGES_MAX: Final = 64
"""Most solicitations after which the strength is compared, the latest: each needs two views of the past."""


def tactics(m: Measured) -> tuple[TacticEffect, ...]:
    """Return the measure, by tactic, without changes of the strength: those need the facts."""
    counts: dict[int, list[int]] = {}
    for row in each(m):
        if row.tactic:
            found = counts.setdefault(row.tactic, [0, 0])
            if row.matured_at <= m.at:
                found[0] += 1
                found[1] += row.followed
    return tuple(
        TacticEffect(
            tactic=tactic,
            matured=matured,
            followed=followed,
            effect=Ratio(followed, matured) if matured else unknown(UNKNOWN_REASON_NOTHING_MATURED),
            mean_strength_change=None,
        )
        for tactic, (matured, followed) in sorted(counts.items())
    )


def with_strength_changes(m: Measured, facts: Sequence[Fact]) -> tuple[TacticEffect, ...]:
    """Return the measure with the mean change of the strength over 30 days after a solicitation, under one policy.

    `facts`: those that the record was made of, in position order. Solicitations that are not as old as that are left
    out, and so are all but the latest CHANGES_MAX. Strengths of the past are those of what is known now.
    """
    rows = [row for row in each(m) if row.tactic and row.delivered_time + LATER <= m.at][-CHANGES_MAX:]
    times = {time for row in rows for time in (row.delivered_time, row.delivered_time + LATER)}
    strengths = dict(_strengths(m, facts, sorted(times)))
    changes: dict[int, list[int]] = {}
    for row in rows:
        change = strengths[row.delivered_time + LATER] - strengths[row.delivered_time]
        changes.setdefault(row.tactic, []).append(change)
    return tuple(
        effect._replace(mean_strength_change=_mean(changes[effect.tactic])) if effect.tactic in changes else effect
        for effect in m.tactics
    )


def _strengths(m: Measured, facts: Sequence[Fact], times: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield times, ascending, each with the strength as of then.

    Where all facts after some fact are later than a time, and rewrite nothing, the fold of the facts before is the view
    as of that time, and goes on to the next. Where something came late, the view is folded by itself.
    """
    record_type, folded = type(m.record), 0
    earliest = list(accumulate((_reach(fact) for fact in reversed(facts)), min, initial=END_OF_TIME))[::-1]
    record = record_type()
    for time in times:
        while folded < len(facts) and facts[folded].occur_time <= time:
            record.evolve(facts[folded])
            folded += 1
        view = record
        if earliest[folded] <= time:
            view = record_type(time)
            for fact in facts:
                view.evolve(fact)
        yield time, type(m)(view, m.outlook, time).strength.score


def _reach(fact: Fact) -> int:
    """Return the earliest time of which a fact says something; of what rewrites another it is not known."""
    return -END_OF_TIME if fact.topic in {CORRECTED, RETRACTED} else fact.occur_time


def _mean(values: Sequence[int]) -> int:
    return half_even(sum(values), len(values))
