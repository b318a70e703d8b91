"""Histories of several customers whose reports are told: joins, campaigns, judgements, and policies that change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.message import Message

from ledger.domain.fact import Fact
from ledger.domain.policy import PolicyState
from ledger.domain.times import timestamp
from ledger.measure.measured import Measured
from ledger.measure.outlook import outlook_of
from ledger.measure.record import Record
from ledger.report.rows import Folded, Rows, kept_since, rows_of
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, RelationshipPolicyPublished, SolicitationRules
from rapport.type.v1.amount_pb2 import Amount
from tests.changed_histories import ChangedHistory
from tests.contact_histories import DAY, POLICIES, stream
from tests.measured_histories import START, MeasuredDraw, acted, told

CUSTOMERS: Final = ("ann", "bob", "cyd", "dee")
SLUGS: Final = ("fournier:fling", "hbr:basic-exchange")
FUNCTIONS: Final = (i.OUR_FUNCTION_SALES, i.OUR_FUNCTION_SERVICE, i.OUR_FUNCTION_MARKETING)


class ProgrammeDraw(MeasuredDraw):
    """Draws a history of several customers of one organization."""

    history: ChangedHistory

    def __init__(self, seed: int, days: int = 150) -> None:
        super().__init__(seed, days)
        self.history = ChangedHistory()
        if self.random.random() < 0.9:
            self.history.value_euros()
        self.by_customer: dict[str, list[int]] = {name: [] for name in CUSTOMERS}

    def add(self, recorded: int) -> None:
        """Record one event, rarely one of the organization."""
        draw = self.random
        if draw.random() < 0.08:
            self.history._add(POLICIES, self.policy(recorded), recorded, recorded)
            return
        customer = draw.choice(CUSTOMERS)
        self.interactions = self.by_customer[customer]
        at = max(START, recorded - (0 if draw.random() < 0.8 else draw.randrange(30 * DAY)))
        chosen = [self.solicited, self.solicited, self.joined, self.judged] + self._kinds() * 2
        event = draw.choice(chosen)(at)
        position = self.history.add(event, at, customer=customer, recorded=recorded)
        if isinstance(event, i.InteractionRecorded):
            self.interactions.append(position)

    def solicited(self, _: int) -> Message:
        """Return a message of a campaign, which may have a cost."""
        draw = self.random
        cost: dict[str, Any] = {"cost": Amount(units=draw.randrange(1, 9), asset=draw.choice(["EUR/2", "USD/2"]))}
        return told(
            message_class=draw.choice([i.MESSAGE_CLASS_MARKETING, i.MESSAGE_CLASS_SURVEY]),
            campaign=draw.choice(["", "spring", "fall"]),
            programme=draw.choice(["", "club"]),
            tactic=draw.choice([0, i.TACTIC_DISCOUNT, i.TACTIC_SURVEY]),
            channel=i.CHANNEL_EMAIL,
            **(cost if draw.random() < 0.5 else {}),
        )

    def joined(self, _: int) -> Message:
        """Return a join."""
        return acted("JOIN", programme=self.random.choice(["club", "salon", ""]))

    def judged(self, at: int) -> Message:
        """Return a judgement, which may say until when it holds."""
        draw = self.random
        until: dict[str, Any] = {"until": timestamp(at + draw.randrange(1, 90) * DAY)} if draw.random() < 0.5 else {}
        return r.RelationshipTypeAssessed(
            slug=draw.choice(SLUGS), our_function=draw.choice(FUNCTIONS), assessor_id="eve", **until
        )

    def policy(self, at: int) -> Message:
        """Return a relationship policy, which may come into force later."""
        draw = self.random
        days = draw.choice([0, 0, 20])
        self.made_policies = getattr(self, "made_policies", 0) + 1
        return RelationshipPolicyPublished(
            policy=RelationshipPolicy(
                version=self.made_policies,
                window_days=draw.choice([30, 180]),
                solicitations=SolicitationRules(attribution_days=draw.choice([7, 14])),
                effective_from_time=timestamp(at + days * DAY),
            )
        )


def drawn_programmes(seed: int, events: int = 80) -> ChangedHistory:
    """Return a history."""
    draw = ProgrammeDraw(seed)
    draw.fill(events)
    return draw.history


def published_at(history: ChangedHistory, position: int) -> PolicyState:
    """Return what was published up to a position."""
    state = PolicyState()
    for name, fact in history.facts:
        if name == POLICIES and fact.position <= position:
            state.evolve(fact)
    return state


def everybody(history: ChangedHistory, position: int, at: int) -> Iterable[tuple[str, Measured]]:
    """Yield each customer known at a position, measured at an instant."""
    outlook = outlook_of(published_at(history, position), at)
    for customer in CUSTOMERS:
        record = Record()
        for fact in facts_of(history, customer, position):
            record.evolve(fact)
        if record.version:
            yield customer, Measured(record, outlook, at)


def facts_of(history: ChangedHistory, customer: str, position: int) -> list[Fact]:
    """Return the facts of a customer up to a position."""
    return [fact for name, fact in history.facts if name == stream(customer) and fact.position <= position]


def latest_time(history: ChangedHistory, position: int) -> int:
    """Return the record time of the last event of the organization up to a position."""
    return max((fact.record_time for _, fact in history.facts if fact.position <= position), default=0)


def by_fold(history: ChangedHistory, position: int) -> list[Rows]:
    """Return the rows of everybody up to a position, folded from zero."""
    outlook = outlook_of(published_at(history, position), latest_time(history, position))
    found = []
    for customer in CUSTOMERS:
        folded = Folded()
        folded.feed(facts_of(history, customer, position))
        if folded.recorded:
            found.append(rows_of(customer, folded.record, outlook, kept_since(folded.recorded, outlook)))
    return found
