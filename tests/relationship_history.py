"""A relationship's history in memory: decides a step on what was recorded so far, and keeps the facts."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message

from ledger.domain.decider import Setting, Step
from ledger.domain.fact import Decision, Fact
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME, MICROSECONDS
from rapport.events.v1.metadata_pb2 import EventMetadata

STREAM = "shop/42"
DAY = 86_400 * MICROSECONDS
NOON = 1_772_366_400 * MICROSECONDS
"""2026-03-01T12:00:00Z."""


class History:
    """Facts of one relationship; positions leave gaps, as other relationships' events would."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now
        self.facts: list[Fact] = []
        self.policies = PolicyState()
        """What the organization has published."""

    def decide(self, step: Step) -> Decision:
        return step.decide(self.state() if step.needs_state else None, self.setting_of(step))

    def setting_of(self, step: Step) -> Setting:
        return Setting(self.now, dict.fromkeys(step.reads, self.policies))

    def record(self, step: Step) -> Fact:
        """Decide a step, keep its fact and return it."""
        (new,) = self.decide(step).facts
        return self.add(new.topic, new.event, new.occur_time)

    def add(self, topic: str, event: Message, occur_time: int) -> Fact:
        """Keep a fact without a decision."""
        version = len(self.facts) + 1
        fact = Fact(3 * version, version, max(self.now, occur_time), occur_time, topic, event, EventMetadata())
        self.facts.append(fact)
        return fact

    def state(self, until: int = END_OF_TIME, position: int | None = None) -> RelationshipState:
        """Return the fold as of an occur time, of what was known at a position."""
        return fold((fact for fact in self.facts if position is None or fact.position <= position), until)


def fold(facts: Iterable[Fact], until: int = END_OF_TIME) -> RelationshipState:
    state = RelationshipState(until)
    for fact in facts:
        state.evolve(fact)
    return state
