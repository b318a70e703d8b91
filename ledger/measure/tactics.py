"""What followed the solicitations of each tactic (relationship.md 10). Descriptive: it says nothing of causes."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from ledger.domain.amounts import half_even
from ledger.domain.interaction import CORRECTED, RETRACTED
from ledger.domain.times import END_OF_TIME, MICROSECONDS
from ledger.measure.remembering import remembered
from ledger.measure.results import Ratio, TacticEffect, unknown
from ledger.measure.score import score_of
from ledger.measure.solicitations import each, next_maturity
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NOTHING_MATURED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ledger.domain.fact import Fact
    from ledger.measure.measured import Measured
    from ledger.measure.record import Record
    from ledger.measure.solicitations import SolicitationRow

LATER: Final = 30 * 86_400 * MICROSECONDS
"""After so long the strength is compared with what it was."""
_TURN: Final = 100
"""Facts folded before others have a turn."""
CHANGES_MAX: Final = 64
"""Most solicitations after which the strength is compared, the latest: each needs two views of the past."""


def tactics(m: Measured) -> tuple[TacticEffect, ...]:
    """Return the measure, by tactic, without changes of the strength: those need the facts."""
    if not any(sent.tactic for sent in m.record.talk.sent.values()):
        return ()
    return remembered(m, "tactics", _tactics, next_maturity)


def _tactics(m: Measured) -> tuple[TacticEffect, ...]:
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
    """Return the measure with the mean change of the strength over 30 days after a solicitation.

    `facts`: those that the record was made of, in position order.
    """
    rows = compared(m)
    strengths = dict(found for found in strengths_at(m, facts, instants_of(rows)) if found is not None)
    changes = mean_changes(rows, strengths)
    return tuple(
        effect._replace(mean_strength_change=changes.get(effect.tactic)) if changes else effect for effect in m.tactics
    )


def compared(m: Measured) -> tuple[SolicitationRow, ...]:
    """Return the solicitations after which the strength is compared: those as old as that, of them the latest."""
    return tuple(row for row in each(m) if row.tactic and row.delivered_time + LATER <= m.at)[-CHANGES_MAX:]


def instants_of(rows: Sequence[SolicitationRow]) -> list[int]:
    """Return the instants at which the strength is needed, ascending, in microseconds."""
    return sorted({time for row in rows for time in (row.delivered_time, row.delivered_time + LATER)})


def strengths_at(m: Measured, facts: Sequence[Fact], times: Sequence[int]) -> Iterator[tuple[int, int] | None]:
    """Yield times, given ascending, each with the strength as of then in ppm, by what is known now, under one policy.

    None is yielded now and then between, so that others may have their turns. Of `m` only the outlook is read, so its
    record may move on. Where all facts after some fact are later than a time, and rewrite nothing, the fold of the
    facts before is the view as of that time, and goes on to the next; where something came late, that view is folded by
    itself.
    """
    record_type, folded = type(m.record), 0
    earliest = list(accumulate((_reach(fact) for fact in reversed(facts)), min, initial=END_OF_TIME))[::-1]
    record = record_type()
    for time in times:
        start = folded
        while folded < len(facts) and facts[folded].occur_time <= time:
            folded += 1
        yield from _evolve(record, facts[start:folded])
        view = record
        if earliest[folded] <= time:
            view = record_type(time)
            yield from _evolve(view, facts)
        yield time, score_of(type(m)(view, m.outlook, time))


def mean_changes(rows: Sequence[SolicitationRow], strengths: Mapping[int, int]) -> dict[int, int]:
    """Return by tactic the mean change of the strength after some solicitations, in ppm, rounded half to even."""
    changes: dict[int, list[int]] = {}
    for row in rows:
        change = strengths[row.delivered_time + LATER] - strengths[row.delivered_time]
        changes.setdefault(row.tactic, []).append(change)
    return {tactic: half_even(sum(found), len(found)) for tactic, found in changes.items()}


def _evolve(record: Record, facts: Sequence[Fact]) -> Iterator[None]:
    for count, fact in enumerate(facts, 1):
        record.evolve(fact)
        if count % _TURN == 0:
            yield None


def _reach(fact: Fact) -> int:
    """Return the earliest time of which a fact says something; of what rewrites another it is not known."""
    return -END_OF_TIME if fact.topic in {CORRECTED, RETRACTED} else fact.occur_time
