"""Measures are what scanning every fact comes to, and do not depend on what was asked before.

Histories are drawn of few instants, a microsecond apart now and then, and of few things, so that windows end where
facts are, facts come late, and words about one thing meet.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.domain.fact import Fact
from ledger.domain.policy import PolicyState
from ledger.log.topics import MESSAGE_BY_TOPIC
from ledger.measure.explaining import evidence
from ledger.measure.measured import Measured
from ledger.measure.outlook import outlook_of
from ledger.measure.record import Record
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import identity_pb2 as identity
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.relationship_policy_pb2 import (
    AxisRules,
    CadenceRules,
    ConversationRules,
    RelationshipPolicy,
    SolicitationRules,
)
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import given, withdrawn
from tests.measured_histories import START, promised
from tests.oracles.relationship_brute import DESIGN, Reading, Terms
from tests.oracles.strength_brute import DAY

HISTORIES = 48
STEP = DAY // 4
SHORT = RelationshipPolicy(
    window_days=10,
    cadence=CadenceRules(days_min=1, days_max=9, days_default=3, gaps_max=3, gaps_min=2),
    axes=AxisRules(valence_days=12),
    solicitations=SolicitationRules(attribution_days=3),
    conversation=ConversationRules(broadcast_streak=3, broadcast_out_min=3),
)
SHORT_TERMS = Terms(
    window=10 * DAY, gaps_max=3, gaps_min=2, cadence_min=DAY, cadence_max=9 * DAY, cadence_default=3 * DAY,
    tone_window=12 * DAY, attribution=3 * DAY, streak=3, out_min=3,
)  # fmt: skip
TOPIC_OF = {message: topic for topic, message in MESSAGE_BY_TOPIC.items()}
KINDS = [
    i.InteractionKind.Value(f"INTERACTION_KIND_{name}")
    for name in (
        "MESSAGE", "MESSAGE", "MESSAGE", "QUESTION", "ANSWER", "REPLY", "COMPLAINT", "COMPLAINT_RESOLVED", "PURCHASE",
        "PURCHASE", "RETURN", "BOUNCED", "DELIVERED", "DELIVERED", "OFFER", "OFFER_ACCEPTED", "MARKED_SPAM", "JOIN",
        "LEAVE", "CALL", "MEETING", "VIEW", "CLICK", "VISIT", "PRAISE", "GREETING", "RELEVANCE_RATED",
        "CONTRIBUTION_ACCEPTED", "CONTRIBUTION_REJECTED", "PURCHASE_ELSEWHERE",
    )
]  # fmt: skip


class Draw:
    """Draws facts of one relationship, in the order in which they are recorded."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.facts: list[Fact] = []
        self.now = START

    def fact(self) -> Fact:
        draw = self.random
        self.now += draw.choice([0, 0, 0, 1, 2, 4, 8, 20]) * STEP
        event = self._event()
        time = self.now
        if draw.random() < 0.35:
            time = min(START + draw.randrange((self.now - START) // STEP + 1) * STEP + draw.choice([0, 0, 1, -1]), time)
        if isinstance(event, x.ExchangePosted | x.ExchangeVoided | x.ExchangeReversed):
            # What ends an exchange is never earlier than it.
            known = [f.occur_time for f in self.facts if getattr(f.event, "exchange_id", "") == event.exchange_id]
            time = max([time, *known])
        place = len(self.facts) + 1
        self.facts.append(Fact(2 * place, place, self.now, time, TOPIC_OF[type(event)], event, EventMetadata()))
        return self.facts[-1]

    def edge(self, terms: Terms) -> int:
        """Return an instant, now or later, at which something of a fact ends, or a microsecond beside it."""
        lengths = [terms.window, terms.attribution, terms.within, terms.tone_window, 2 * terms.cadence_default]
        ends = [fact.occur_time + length for fact in self.facts for length in lengths]
        until = Reading(self.facts, self.now, terms).until()
        if until is not None and self.random.random() < 0.3:
            ends = [until]
        return max(self.now, self.random.choice(ends) + self.random.choice([-1, 0, 0, 1]))

    def _event(self) -> Message:
        draw = self.random
        if draw.random() < 0.55:
            return self._interaction()
        others: list[Callable[[], Message]] = [
            lambda: i.InteractionRetracted(original_position=self._one()),
            lambda: i.InteractionCorrected(original_position=self._one(), replacement=self._interaction()),
            lambda: i.InteractionCorrected(original_position=self._one(), replacement=self._interaction()),
            self._exchange,
            lambda: x.ExchangePosted(exchange_id=self._exchange_id(), units=draw.choice([[1, 1], [1, 0], [0, 1]])),
            lambda: x.ExchangeReversed(exchange_id=self._exchange_id(), reversal_id=f"r{len(self.facts)}"),
            self._consent,
            self._consent,
            self._tie,
            self._tie,
            self._promise,
            self._promise,
            lambda: r.RelationshipEnded(by=x.PARTY_CUSTOMER) if draw.random() < 0.2 else self._promise(),
        ]
        return draw.choice(others)()

    def _name(self) -> str:
        return f"{self.random.randrange(3)}"

    def _exchange_id(self) -> str:
        return f"x{self.random.randrange(len(self.facts) + 1)}"

    def _of(self, kind: type[Message]) -> int:
        return self.random.choice([0, *(fact.position for fact in self.facts if isinstance(fact.event, kind))])

    def _one(self) -> int:
        """Return the position of an interaction, or of a correction of one; 0: of none."""
        kinds = i.InteractionRecorded, i.InteractionCorrected
        known = [fact.position for fact in self.facts if isinstance(fact.event, kinds)]
        return self.random.choice((known[-6:] if self.random.random() < 0.6 else known) or [0])

    def _interaction(self) -> i.InteractionRecorded:
        draw = self.random
        values: dict[str, Any] = {
            "in_reply_to": self._one,
            "refers_to": self._one,
            "needs_reply": lambda: True,
            "campaign": lambda: draw.choice("ab"),
            "programme": lambda: "club",
            "relevant": lambda: draw.random() < 0.5,
            "our_function": lambda: draw.randrange(1, 5),
            "customer_person_id": lambda: draw.choice("pqr"),
            "attention_seconds": lambda: draw.randrange(100),
            "sentiment": lambda: i.Sentiment(value=draw.choice([1, 2, 3]), provenance=draw.choice([1, 3, 5])),  # type: ignore[arg-type]
        }
        event = i.InteractionRecorded(
            kind=draw.choice(KINDS),
            direction=draw.choice([1, 1, 2, 2, 2, 3, 4]),  # type: ignore[arg-type]  # Numbers of the enums.
            initiator=draw.choice([1, 1, 2]),  # type: ignore[arg-type]
            channel=draw.choice([0, 1, 1, 2, 3, i.CHANNEL_VIDEO, i.CHANNEL_IN_PERSON]),  # type: ignore[arg-type]
            message_class=draw.choice([1, 1, 2, 3, 4, 5]),  # type: ignore[arg-type]
            **{name: value() for name, value in values.items() if draw.random() < 0.35},
        )
        if draw.random() < 0.2:
            event.cost.asset, event.cost.units = draw.choice(["EUR/2", "USD/2"]), draw.randrange(500)
        return event

    def _exchange(self) -> Message:
        event = x.ExchangeRecorded(exchange_id=f"x{len(self.facts)}")
        for giver in (x.PARTY_CUSTOMER, self.random.choice([x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION])):
            leg = event.legs.add(giver=giver, category=x.CATEGORY_GOODS)
            leg.amount.units, leg.amount.asset = 1, "EUR/2"
        if self.random.random() < 0.4:
            event.pending_until.FromMicroseconds(self.now + 400 * DAY)
        return event

    def _consent(self) -> Message:
        draw = self.random
        scope: Any = {"channels": [draw.choice([1, 2])]}
        found: list[Callable[[], Message]] = [
            lambda: given("marketing", **scope),
            lambda: withdrawn("marketing", **scope),
            withdrawn,
            lambda: c.ObjectionRaised(scope=c.ConsentScope(purposes=draw.choice([[], ["marketing"]]))),
            lambda: c.ObjectionLifted(raised_position=self._of(c.ObjectionRaised)),
        ]
        return draw.choice(found)()

    def _tie(self) -> Message:
        name, draw = self._name(), self.random
        found: list[Callable[[], Message]] = [
            lambda: identity.IdentifierVerified(contact_point_id=name, kind="email"),
            lambda: identity.IdentifierVerified(contact_point_id=name, kind="email"),
            lambda: identity.IdentifierRevoked(contact_point_id=name),
            lambda: r.CommonGroundDeclared(item_id=name, ground="gardens", provenance=draw.choice([1, 3])),  # type: ignore[arg-type]
            lambda: r.CommonGroundEnded(item_id=name),
            lambda: r.PointOfContactOpened(point_of_contact_id=name, side=draw.choice([1, 2])),  # type: ignore[arg-type]
            lambda: r.PointOfContactClosed(point_of_contact_id=name),
        ]
        return draw.choice(found)()

    def _promise(self) -> Message:
        name, draw = self._name(), self.random
        found: list[Callable[[], Message]] = [
            lambda: promised(name, days=draw.choice([0, 1, 3])),
            lambda: identity.PromiseTriggered(promise_id=name),
            lambda: identity.PromiseTriggered(promise_id=name),
            lambda: identity.PromiseKept(promise_id=name),
            lambda: identity.PromiseCancelled(promise_id=name, reason=identity.PROMISE_CANCEL_REASON_IMPOSSIBLE),
        ]
        return draw.choice(found)()


def told(m: Measured) -> dict[str, object]:
    """Return what the ledger says."""
    talk, sent, points, axes = m.conversation, m.solicitations, m.contacts, m.axes
    return {
        "legs": tuple(leg.holds for leg in m.existence.legs),
        "communicate until": m.existence.legs[2].until,
        "lifecycle": levels.Lifecycle.Name(m.lifecycle.lifecycle).removeprefix("LIFECYCLE_"),
        "sessions": m.lifecycle.sessions,
        "cadence": (m.lifecycle.cadence, m.lifecycle.gaps),
        "valence": None if axes.valence_value.unknown else (axes.valence_value.n, axes.valence_value.d),
        "closeness": None if axes.closeness_value.unknown else (axes.closeness_value.n, axes.closeness_value.d),
        "said": (talk.inbound, talk.outbound),
        "answered": (talk.answered_count, talk.needing),
        "streak": (talk.streak, talk.broadcast),
        "verdicts": (talk.accepted, talk.rejected),
        "outcomes": [sent.bought, sent.replied, sent.opted_out, sent.no_response],
        "wasted": (sent.wasted_seconds, {asset: units for asset, units in sent.wasted_costs if units}, sent.uncosted),
        "relevant": (sent.relevant, sent.delivered),
        "pressure": sent.pressure_per_30_days.n,
        "edges": {(edge.customer_person_id, edge.our_function): edge.interactions for edge in points.edges},
        "shape": levels.ContactShape.Name(points.shape).removeprefix("CONTACT_SHAPE_"),
        "promises": (m.promises.kept, m.promises.broken, m.promises.due),
    }


def read(reading: Reading) -> dict[str, object]:
    """Return what scanning comes to."""
    (good, bad), (together, addressed) = reading.valence(), reading.closeness()
    return {
        "legs": reading.legs(),
        "communicate until": reading.until(),
        "lifecycle": reading.lifecycle(),
        "sessions": len(reading.sessions()),
        "cadence": reading.cadence(),
        "valence": (good - bad, good + bad + 2) if good + bad >= 3 else None,
        "closeness": (together, 2 * addressed) if addressed >= 3 else None,
        "said": (len(reading.inbound), len(reading.recent(reading.reached))),
        "answered": reading.requests(),
        "streak": (reading.streak(), reading.broadcast()),
        "verdicts": reading.verdicts(),
        "outcomes": reading.responses(),
        "wasted": reading.wasted(),
        "relevant": reading.relevant(),
        "pressure": len(reading.recent(reading.solicitations)) * 30 * DAY,
        "edges": dict(reading.edges()),
        "shape": reading.shape(),
        "promises": reading.promises(),
    }


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_measures_are_those_of_a_brute_reading_whatever_was_asked_before(seed: int) -> None:
    draw, record = Draw(seed), Record()
    outlooks = [outlook_of(PolicyState(), START, under) for under in (None, SHORT)]
    for place in range(draw.random.choice([1, 3, 10, 25, 45])):
        record.evolve(draw.fact())
        if place % 4 == 0:
            # Nothing that is asked may change what is answered later: not of another policy, not of another time.
            told(Measured(record, draw.random.choice(outlooks), draw.now + draw.random.choice([0, DAY, 30 * DAY])))
    anew = Record()
    for fact in draw.facts:
        anew.evolve(fact)

    for outlook, terms in zip(outlooks, (DESIGN, SHORT_TERMS), strict=True):
        for at in (draw.now, draw.edge(terms)):
            measured = Measured(record, outlook, at)
            assert read(Reading(draw.facts, at, terms)) == told(measured)
            assert list(evidence(Measured(anew, outlook, at))) == list(evidence(measured))
