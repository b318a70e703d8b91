"""The contact decision of consent.md 6 once more: over plain lists of events, by scanning minutes and reading it all.

Written from the design alone (consent.md 1 to 6, settled.md 59 to 69, relationship.md 2 and 10). It shares no line with
the ledger, so that the two can check each other: no folds, no arithmetic of time zones beyond asking `zoneinfo` what
the clock on the wall shows, minute by minute. Reciprocity is left to the oracles of balances: there are no exchanges
here. `contact_case` holds what may be looked at, `contact_gates` asks each gate, and this file draws the conclusion.

Events carry the stored messages; positions ascend; every occur time is at or before the instant asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import merge
from itertools import chain
from typing import NamedTuple

from rapport.events.v1 import contact_pb2 as d
from tests.oracles.consent_brute import FOR_EVER
from tests.oracles.contact_case import Case
from tests.oracles.contact_clock import DAY, MINUTE, QUARTER
from tests.oracles.contact_gates import DEFER, FAIL, GATES, Found, frequency, hours, reason

FURTHER = 62 * DAY
"""How far beyond the days that are searched ends are told apart."""
PERMIT, DENY, POSTPONE = d.DECISION_OUTCOME_PERMIT, d.DECISION_OUTCOME_DENY, d.DECISION_OUTCOME_DEFER


class Answer(NamedTuple):
    outcome: int
    reason: int
    results: tuple[int, ...]
    reasons: tuple[int, ...]
    defer_until: int | None = None


def evaluate(case: Case, at: int) -> list[Found]:
    return [gate(case, at) for gate in GATES]


def end_of_deferring(case: Case, gate: Callable[[Case, int], Found], at: int, limit: int) -> int | None:
    """Return the first instant at which a gate no longer defers, minute by minute."""
    steps: Iterable[int] = (instant for instant in case.instants if at < instant < limit)
    if gate is hours:
        steps = merge(steps, range(at - at % MINUTE + MINUTE, limit, MINUTE))
    elif gate is frequency:  # Days begin at quarters of hours UTC, wherever one is.
        steps = merge(steps, range(at - at % QUARTER + QUARTER, limit, QUARTER))
    return next((instant for instant in chain(steps, [limit]) if gate(case, instant).result != DEFER), None)


def decide(case: Case, at: int) -> Answer:
    found = evaluate(case, at)
    results, reasons = tuple(each.result for each in found), tuple(each.reason for each in found)
    if FAIL in results:
        return Answer(DENY, reasons[results.index(FAIL)], results, reasons)
    if DEFER not in results:
        return Answer(PERMIT, 0, results, reasons)
    limit, now, ahead = at + case.policy.search_days * DAY, found, at
    for _ in range(8):
        ends = {
            number: end_of_deferring(case, GATES[number], ahead, limit)
            for number, each in enumerate(now)
            if each.result == DEFER
        }
        late = [number for number, end in ends.items() if end is None]
        if late:
            # Of several that end too late, the latest ended the search.
            further = {number: end_of_deferring(case, GATES[number], ahead, limit + FURTHER) for number in late}
            return failed(found, max(late, key=lambda number: (further[number] or FOR_EVER, number)), "NO_WINDOW")
        ahead = max(filter(None, ends.values()))
        now = evaluate(case, ahead)
        failing = [number for number, each in enumerate(now) if each.result == FAIL]
        if failing:
            return failed(found, failing[0], "BASIS_ENDS_BEFORE_WINDOW")
        if all(each.result != DEFER for each in now):
            return Answer(POSTPONE, reasons[results.index(DEFER)], results, reasons, ahead)
    return failed(found, max(number for number, each in enumerate(now) if each.result == DEFER), "NO_WINDOW")


def failed(found: list[Found], ended_by: int, why: str) -> Answer:
    marked = [Found(FAIL, reason(why)) if number == ended_by else each for number, each in enumerate(found)]
    return Answer(DENY, reason(why), tuple(each.result for each in marked), tuple(each.reason for each in marked))
