"""Histories put into a server as they are, each event at its record time: for what a server says of them.

    with clock_of_tests(monkeypatch) as clock: ...
    async with serving(tmp_path, MODULES) as server:
        await tell(server, clock, history)

Events keep their positions: a history begins with a mark, in the place of the event with which a log begins.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.domain.fact import Decision, Fact, NewFact
from ledger.log.reading import facts
from ledger.log.store import Store
from ledger.opening import open_ledger
from ledger.requests import Request
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from services.runtime import app, detecting
from tests.changed_histories import ChangedHistory
from tests.server import Serving


@dataclass(frozen=True, slots=True)
class Bare:
    """Records an event without a decision."""

    stream_id: str
    topic: str
    event: Message
    occur_time: int
    reads: tuple[str, ...] = ()
    needs_state: bool = False

    def decide(self, state: Any, setting: Any) -> Decision:  # noqa: ARG002
        return Decision((NewFact(self.topic, self.event, self.occur_time),))


class Clock:
    """The clock of a server. Microseconds."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def clock_of_tests(monkeypatch: pytest.MonkeyPatch, *, marks: bool = False) -> Clock:
    """Return the clock of the servers that are opened from now on; without `marks` they ask for none."""
    clock = Clock()

    async def opened(*arguments: Any, **more: Any) -> Any:
        return await open_ledger(*arguments, **more, clock=clock)

    monkeypatch.setattr(app, "open_ledger", opened)
    if not marks:
        monkeypatch.setattr(detecting, "marking", lambda _: None)
    return clock


def begun(at: int) -> ChangedHistory:
    """Return a history whose positions are those that its events get."""
    history = ChangedHistory()
    history.mark(at)
    return history


async def tell(server: Serving, clock: Clock, history: ChangedHistory, after: int = 1, to: int | None = None) -> int:
    """Record what a history has after a position, up to another; return the last."""
    for stream_id, fact in history.facts[after:to]:
        clock.now = fact.record_time
        request = Request("/test/Tell", "acme", uuid.uuid4().bytes, RecordInteractionRequest())
        step = Bare(stream_id, fact.topic, fact.event, fact.occur_time)
        receipt = await server.app.ledger.execute(request, [step])
        assert fact.position == receipt.position
    return server.app.ledger.head.position


def log_of(store: Store) -> list[tuple[str, Fact]]:
    """Return every fact of a log with its stream, in order."""
    rows = store.read_log(0, 1_000_000)
    return [(row.stream_id, fact) for row in rows for fact in facts([row])]
