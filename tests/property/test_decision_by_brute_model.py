"""The contact decision against the whole of consent.md 6 done slowly, over random histories beside changes of clocks.

How many: RAPPORT_TEST_DECISIONS. Ten thousand were run when the decision was built.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.contact.decision import decide
from rapport.events.v1 import contact_pb2 as d
from tests.oracles import contact_brute as brute
from tests.oracles.consent_brute import FOR_EVER
from tests.oracles.contact_brute import Answer
from tests.oracles.contact_case import Case
from tests.oracles.contact_clock import DAY, MINUTE, QUARTER, SECOND, is_in, micros, on_the_wall
from tests.oracles.contact_gates import PASS
from tests.random_customers import RandomCustomer, picture_of

CUSTOMERS = int(os.environ.get("RAPPORT_TEST_DECISIONS", "150"))
ENOUGH = 1_500
"""Customers among whom some are deferred, and some have a permit that ends early; of 150 there may be none."""
SCANNED = 9 * DAY
"""How far ahead minutes are scanned; whole weeks of windows lie in it."""
YEARS = 1_000 * DAY
"""What changes later is not asked."""


def told(decided: d.ContactDecided) -> Answer:
    reasons = {finding.gate: int(finding.reason) for finding in decided.findings}
    return Answer(
        decided.outcome,
        decided.decisive_reason,
        tuple(decided.gate_results),
        tuple(reasons.get(gate, 0) for gate in range(1, 13)),  # type: ignore[call-overload]
        micros(decided.defer_until) if decided.HasField("defer_until") else None,
    )


def named(answer: Answer) -> str:
    """Say an answer in words, for messages of failed tests."""
    trace = [
        f"{d.Gate.Name(gate).removeprefix('GATE_')} {d.GateResult.Name(result).removeprefix('GATE_RESULT_')} "  # type: ignore[arg-type]
        f"{d.DecisionReason.Name(why).removeprefix('DECISION_REASON_')}"  # type: ignore[arg-type]
        for gate, (result, why) in enumerate(zip(answer.results, answer.reasons, strict=True), 1)
        if result != PASS
    ]
    why = d.DecisionReason.Name(answer.reason).removeprefix("DECISION_REASON_")  # type: ignore[arg-type]
    return f"{d.DecisionOutcome.Name(answer.outcome)} {why} until {answer.defer_until}: {trace}"  # type: ignore[arg-type]


def next_change(decided: d.ContactDecided) -> int:
    return micros(decided.next_change_time) if decided.HasField("next_change_time") else FOR_EVER


def customers(seed: int, at_least: int = 0) -> Iterator[tuple[int, RandomCustomer]]:
    for number in range(max(CUSTOMERS, at_least)):
        yield number, RandomCustomer(random.Random(f"{seed}/{number}"))


def walls(case: Case) -> Iterator[tuple[Any, ...]]:
    """Yield what the clocks on the wall decide, as functions of nothing but local time."""
    quiet = case.preferences.get(("quiet_hours", 0, ""))
    windows = [*(quiet.windows if quiet else ()), *(each.window for each in case.policy.legal_windows)]
    yield from (("in", window, name) for window in windows for name in case.zones)


def turns(case: Case, start: int, end: int) -> set[int]:
    """Return the minutes in (start, end) at which a window opens or closes, and the quarters at which a day begins."""
    found, windows = set(), list(walls(case))
    before: list[bool] | None = None
    for minute in range(start - start % MINUTE, end, MINUTE) if windows else ():
        now = [is_in(window, minute, name) for _, window, name in windows]
        if before is not None and now != before:
            found.add(minute)
        before = now
    days = dict.fromkeys(case.zones, 0)
    for quarter in range(start - start % QUARTER, end, QUARTER):
        for name in case.zones:
            day = on_the_wall(quarter, name).day
            if day != days[name]:
                found.add(quarter)
            days[name] = day
    return {instant for instant in found if start < instant < end}


def moments(case: Case, start: int, end: int) -> list[int]:
    """Return every instant in (start, end) at which anything could change, and the microsecond before it."""
    found = turns(case, start, end) | {each for each in case.instants if start < each < end}
    return sorted(near for each in found for near in (each - 1, each) if start < near < end)


def same(one: Answer, other: Answer) -> bool:
    return one._replace(defer_until=None) == other._replace(defer_until=None)


@pytest.mark.timeout(7_200)
def test_the_decision_is_that_of_the_slow_reading(seed: int) -> None:
    seen: Counter[str] = Counter()
    wrong = []
    for number, customer in customers(seed, ENOUGH):
        if number >= CUSTOMERS and len(seen) == 3:
            break
        case, at = customer.case(), customer.at
        found, expected = told(decide(picture_of(case), case.question, at)), brute.decide(case, at)
        seen[d.DecisionOutcome.Name(found.outcome)] += 1  # type: ignore[arg-type]
        if found != expected:
            wrong.append(f"{seed}/{number}\n  expected {named(expected)}\n  found    {named(found)}")

    assert not wrong, f"{len(wrong)} of {CUSTOMERS} differ\n" + "\n".join(wrong[:5])
    assert len(seen) == 3, seen


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_nothing_changes_before_next_change_time_and_what_is_answered_at_it_is_right(seed: int) -> None:
    wrong, tight = [], Counter[bool]()
    for number, customer in customers(seed):
        case, at = customer.case(), customer.at
        picture = picture_of(case)
        decided = decide(picture, case.question, at)
        found, change = told(decided), next_change(decided)
        first, ahead = brute.evaluate(case, at), moments(case, at, min(change, at + SCANNED))
        some = set(customer.chance.sample(ahead, min(2, len(ahead)))) | set(ahead[-1:])
        wrong += [
            f"{seed}/{number}: {named(found)} changes at {instant}, its next change said to be at {change}"
            for instant in ahead
            if brute.evaluate(case, instant) != first
            or not same(found, told(decide(picture, case.question, instant)))
            # Looking for a window by minutes takes its time, so it is done for some.
            or (instant in some and not same(found, brute.decide(case, instant)))
        ][:1]
        if change < at + YEARS:
            then, expected = told(decide(picture, case.question, change)), brute.decide(case, change)
            tight[not same(found, then)] += 1
            if then != expected:
                wrong.append(f"{seed}/{number}: at its next change {change}\n  {named(expected)}\n  {named(then)}")

    assert not wrong, f"{len(wrong)} of {CUSTOMERS} differ\n" + "\n".join(wrong[:5])
    # It is a lower bound, and worth something as one: often enough the answer does change.
    assert tight[True] > tight[False] / 4, tight


@pytest.mark.timeout(7_200)
def test_a_permit_ends_with_its_seconds_or_at_the_first_instant_that_is_no_permit(seed: int) -> None:
    wrong, ended_early = [], 0
    for number, customer in customers(seed, ENOUGH):
        case, at = customer.case(), customer.at
        picture = picture_of(case)
        decided = decide(picture, case.question, at)
        if decided.outcome == brute.POSTPONE:
            until = micros(decided.defer_until)
            if brute.decide(case, until).outcome != brute.PERMIT:
                wrong.append(f"{seed}/{number}: no permit at {until}, until when it was deferred")
        if decided.outcome != brute.PERMIT:
            continue
        limit, ends = at + case.policy.permit_seconds * SECOND, micros(decided.permit_expires_time)
        others = (t for t in moments(case, at, limit) if brute.decide(case, t).outcome != brute.PERMIT)
        expected = min(limit, next(others, limit))
        ended_early += expected < limit
        if ends != expected:
            wrong.append(f"{seed}/{number}: the permit of {at} ends at {ends}, expected {expected}")

    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong[:5])
    assert ended_early
