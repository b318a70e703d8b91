"""Promises over random histories, against a reading of the page sentence by sentence (relationship.md 12)."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ledger.domain.errors import Rejected
from ledger.domain.promise import CancelPromise, KeepPromise, MakePromise, TriggerPromise
from ledger.domain.times import MICROSECONDS
from rapport.events.v1 import identity_pb2
from rapport.events.v1.identity_pb2 import PromiseCancelled, PromiseKept, PromiseMade, PromiseTriggered
from tests.stepping import Steps

START = 1_800_000_000 * MICROSECONDS
SECOND = MICROSECONDS
STREAM = "acme/c-1"
ASKED = identity_pb2.PROMISE_CANCEL_REASON_CUSTOMER_ASKED
SLA_S = 3

Act = tuple[str, int]
"""What happened to one promise, and when."""


def step(kind: str, promise_id: str, at: int) -> Any:
    match kind:
        case "made":
            other = identity_pb2.PROMISE_KIND_OTHER
            return MakePromise(STREAM, PromiseMade(promise_id=promise_id, kind=other, sla_seconds=SLA_S), at)
        case "triggered":
            return TriggerPromise(STREAM, PromiseTriggered(promise_id=promise_id), at)
        case "kept":
            return KeepPromise(STREAM, PromiseKept(promise_id=promise_id), at)
        case _:
            return CancelPromise(STREAM, PromiseCancelled(promise_id=promise_id, reason=ASKED), at)


def read(acts: list[Act], at: int) -> str:
    """Return where a promise stands at an instant by what had happened by then; empty: it was not made."""
    happened = {kind: time for kind, time in acts if time <= at}
    if "made" not in happened:
        return ""
    due = happened["triggered"] + SLA_S * SECOND if "triggered" in happened else None
    if "kept" in happened:
        assert due is not None
        return "KEPT" if happened["kept"] < due else "KEPT_LATE"
    if "cancelled" in happened:
        return "CANCELLED"
    if due is None:
        return "OPEN"
    return "BROKEN" if at >= due else "TRIGGERED"


@pytest.mark.parametrize("seed", range(200))
def test_a_promise_stands_where_a_plain_reading_says_at_every_instant(seed: int) -> None:
    chance = random.Random(seed)
    steps, taken = Steps(START + 12 * SECOND), dict[str, list[Act]]()
    for _ in range(30):
        promise_id, at = chance.choice("abc"), START + chance.randrange(0, 12 * SECOND, SECOND)
        kind = chance.choice(["made", "triggered", "triggered", "kept", "cancelled"])
        try:
            steps.do(step(kind, promise_id, at))
        except Rejected:
            continue
        taken.setdefault(promise_id, []).append((kind, at))

    for at in (START + half * SECOND // 2 for half in range(-1, 25)):
        state = steps.as_of(STREAM, at).promises
        expected = {name: told for name, acts in taken.items() if (told := read(acts, at))}
        assert expected == {each.message.promise_id: each.standing(at).name for each in state.all()}
        counts = [list(expected.values()).count(name) for name in ("KEPT", "BROKEN", "KEPT_LATE")]
        assert (counts[0], counts[1] + counts[2]) == state.kept_rate(at)


@pytest.mark.parametrize("seed", range(100))
def test_a_breach_is_never_undone(seed: int) -> None:
    chance = random.Random(seed)
    steps = Steps(START + 12 * SECOND)
    steps.do(step("made", "a", START), step("triggered", "a", START))
    breached = START + SLA_S * SECOND
    for _ in range(6):
        kind = chance.choice(["triggered", "kept", "cancelled"])
        try:
            steps.do(step(kind, "a", chance.randrange(breached, START + 12 * SECOND, SECOND)))
        except Rejected:
            continue

    for at in range(breached, START + 13 * SECOND, SECOND):
        assert (0, 1) == steps.as_of(STREAM, at).promises.kept_rate(at)
