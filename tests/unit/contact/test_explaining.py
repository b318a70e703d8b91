"""Explanations of long histories: what they fold costs no more than it must, and ends when nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from threading import Event
from typing import Any

import pytest

from ledger.contact.replaying import chosen
from ledger.domain.contact import decided_of
from ledger.domain.fact import Fact
from rapport.events.v1 import contact_pb2 as d
from services.contact import explaining
from tests.contact_histories import DAY, POLICIES, SECOND, History, given, instant, moment, sent, stream, withdrawn

T = moment("2026-05-01T12:00Z")


def recorded(later: int) -> explaining.Recorded:
    """Return a PERMIT after which more messages are sent, and a withdrawal."""
    history = History()
    history.add(given(), T - DAY)
    history.decide_and_record(T)
    found = history.facts[-1][1]
    for number in range(later):
        history.add(sent(), T + number * SECOND)
    history.add(withdrawn(), T - SECOND)
    facts: dict[str, list[Fact]] = {stream("c"): [fact for _, fact in history.facts], POLICIES: []}
    return explaining.Recorded(stream("c"), decided_of(found.event, found), "", facts)  # type: ignore[arg-type]


def test_later_events_are_chosen_from_a_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fact is looked up among them: in a list that would cost the square of the history."""
    sets = []

    def noted(facts: Any, decision_id: int, later: Set[int]) -> Any:
        sets.append(isinstance(later, Set))
        return chosen(facts, decision_id, later)

    monkeypatch.setattr(explaining, "chosen", noted)
    case = recorded(20)

    found = explaining._later(case, T, Event())

    assert [case.facts[stream("c")][-1].position] == found.changed_by
    assert sets
    assert all(sets)


async def test_a_call_that_is_cancelled_lets_its_thread_go(monkeypatch: pytest.MonkeyPatch) -> None:
    began, release = asyncio.Event(), Event()
    asked: list[int] = []
    loop = asyncio.get_running_loop()

    def answer(*_: object) -> d.ContactDecided:
        asked.append(len(asked))
        loop.call_soon_threadsafe(began.set)
        release.wait(10)
        return d.ContactDecided(outcome=d.DecisionOutcome.values()[1 + len(asked) % 2])

    monkeypatch.setattr(explaining, "answer", answer)
    monkeypatch.setattr(explaining, "_EVENTS_AT_ONCE", 0)
    case, done = recorded(50), Event()

    def work(left: Event) -> object:
        try:
            return explaining._later(case, instant(T), left)
        finally:
            done.set()

    call = asyncio.create_task(explaining._in_turn(case, work))
    await began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    release.set()

    assert await asyncio.to_thread(done.wait, 10)
    assert [0] == asked
