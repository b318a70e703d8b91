"""Steps carried out on folds alone, without storage: what is decided is folded at the next position, or refused."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from ledger.domain.decider import Setting, Step
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact
from ledger.domain.relationship import RelationshipState
from ledger.domain.streams import initial_state
from ledger.domain.times import END_OF_TIME
from ledger.log.personal import split
from rapport.errors.v1.error_reason_pb2 import ErrorReason
from rapport.events.v1.metadata_pb2 import EventMetadata


class Steps:
    """A log in memory: facts by stream, and the states that they fold into."""

    def __init__(self, now: int) -> None:
        self.now = now
        """The clock, in microseconds; move it at will."""
        self.facts: dict[str, list[Fact]] = {}
        self.position = 0
        self._states: dict[str, Any] = {}

    def do(self, *steps: Step) -> list[Decision]:
        """Carry out the steps of one request, all or nothing."""
        facts, position = {name: list(each) for name, each in self.facts.items()}, self.position
        try:
            return [self._one(step) for step in steps]
        except Rejected:
            self.facts, self._states, self.position = facts, {}, position
            raise

    def refused(self, *steps: Step) -> tuple[str, dict[str, str]]:
        """Return reason and values of the refusal of a request; fail where it is not refused."""
        try:
            self.do(*steps)
        except Rejected as refusal:
            return ErrorReason.Name(refusal.reason).removeprefix("ERROR_REASON_"), refusal.metadata
        raise AssertionError("it was not refused")

    def put(self, stream_id: str, topic: str, event: Message, occur_time: int | None = None) -> int:
        """Put a fact on record that nobody decides here; return its position. `occur_time`: microseconds; None: now."""
        self.position += 1
        stream = self.facts.setdefault(stream_id, [])
        when = self.now if occur_time is None else occur_time
        opened, _ = split(event)
        fact = Fact(self.position, len(stream) + 1, self.now, when, topic, opened, EventMetadata())
        state = self.state(stream_id)
        stream.append(fact)
        state.evolve(fact)
        return self.position

    def state(self, stream_id: str) -> Any:
        """Return the state of a stream with everything recorded."""
        if stream_id not in self._states:
            self._states[stream_id] = self._folded(stream_id, initial_state(stream_id))
        return self._states[stream_id]

    def as_of(self, stream_id: str, occur_time: int = END_OF_TIME, position: int | None = None) -> RelationshipState:
        """Return the state of a stream as of an occur time in microseconds, with what is known up to a position."""
        state = self._folded(stream_id, initial_state(stream_id, occur_time), position)
        assert isinstance(state, RelationshipState)
        return state

    def _folded(self, stream_id: str, state: Any, position: int | None = None) -> Any:
        for fact in self.facts.get(stream_id, ()):
            if position is None or fact.position <= position:
                state.evolve(fact)
        return state

    def _one(self, step: Step) -> Decision:
        others = {name: self.state(name) for name in step.reads}
        decision = step.decide(self.state(step.stream_id), Setting(self.now, others))
        for new in decision.facts:
            self.put(step.stream_id, new.topic, new.event, new.occur_time)
        return decision
