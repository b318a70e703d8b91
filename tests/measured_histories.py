"""Histories to be measured, short to write or drawn at random: those of `contact_histories`, with all measures read.

A `MeasuredHistory` answers with the measures of its customer at an instant, under the policies that it published.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import Message

from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME
from ledger.measure.measured import Measured
from ledger.measure.outlook import outlook_of
from ledger.measure.record import Record
from rapport.events.v1 import attribute_pb2, identity_pb2
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2 as f
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.events.v1.valuation_pb2 import ValuationPolicyPublished
from tests.balance_facts import CUSTOMER, ORGANIZATION, leg, policy, rule
from tests.contact_histories import DAY, HOUR, POLICIES, History, did, given, instant, moment, sent, stream, withdrawn

START: Final = moment("2026-01-01T00:00Z")
EUROS: Final = policy(
    1,
    rule(CUSTOMER, CUSTOMER, "", "EUR/2", 10_000_000),
    rule(CUSTOMER, ORGANIZATION, "", "EUR/2", 10_000_000),
)
"""A euro is a euro to whoever gives it."""


class MeasuredHistory(History):
    """A history of customers of one organization."""

    def record(self, *, customer: str = "c", position: int | None = None, until: int = END_OF_TIME) -> Record:
        """Return the record of a customer as it was known at a position, of what occurred at or before `until`."""
        record = Record(until)
        for name, fact in self.facts:
            if name == stream(customer) and (position is None or fact.position <= position):
                record.evolve(fact)
        return record

    def published(self) -> PolicyState:
        """Return what the organization has published."""
        state = PolicyState()
        for name, fact in self.facts:
            if name == POLICIES:
                state.evolve(fact)
        return state

    def measured(
        self,
        at: int | str,
        *,
        customer: str = "c",
        position: int | None = None,
        until: int = END_OF_TIME,
        under: RelationshipPolicy | int | None = None,
    ) -> Measured:
        """Return the measures of a customer at an instant, which is at or after every fact that is admitted."""
        record = self.record(customer=customer, position=position, until=until)
        return Measured(record, outlook_of(self.published(), instant(at), under), instant(at))

    def value_euros(self) -> None:
        """Publish what euros are worth, from the beginning of time on."""
        self.publish(ValuationPolicyPublished(policy=EUROS))


def acted(kind: str, **values: Any) -> i.InteractionRecorded:
    """Return an act of the customer that is not addressed to us, by the name of its kind."""
    return did(kind, **{"direction": i.DIRECTION_OBSERVED, **values})


def told(kind: str = "MESSAGE", **values: Any) -> i.InteractionRecorded:
    """Return something said to the customer that needs no decision, by the name of its kind."""
    kinds = i.InteractionKind.Value(f"INTERACTION_KIND_{kind}")
    return sent(**{"kind": kinds, "message_class": i.MESSAGE_CLASS_SERVICE, **values})


def traded(exchange_id: str, *, paid: int = 0, got: int = 0) -> x.ExchangeRecorded:
    """Return an exchange: what the customer paid and what they got, in cents."""
    legs = [leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, paid, "EUR/2")] if paid else []
    legs += [leg(ORGANIZATION, x.CATEGORY_GOODS, got, "EUR/2")] if got else []
    return x.ExchangeRecorded(exchange_id=exchange_id, legs=legs)


def promised(promise_id: str, topic: str = "news", days: int = 7) -> identity_pb2.PromiseMade:
    """Return a promise."""
    return identity_pb2.PromiseMade(
        promise_id=promise_id, kind=identity_pb2.PROMISE_KIND_NOTIFY_ME, topic=topic, sla_seconds=days * 86_400
    )


def in_the_way(obstacle_id: str) -> r.ObstacleReported:
    """Return an obstacle."""
    return r.ObstacleReported(obstacle_id=obstacle_id, obstacle="stairs")


# Histories drawn at random.

_ACTS: Final = (
    "VIEW", "CLICK", "VISIT", "PURCHASE", "PURCHASE", "PURCHASE", "REVIEW", "PURCHASE_ELSEWHERE", "JOIN", "LEAVE",
)  # fmt: skip
_WORDS: Final = ("MESSAGE", "QUESTION", "COMPLAINT", "PRAISE", "CALL", "REPLY", "GREETING", "RETURN", "MARKED_SPAM")
_CHANNELS: Final = (i.CHANNEL_EMAIL, i.CHANNEL_SMS)


class MeasuredDraw:
    """Draws a history of one customer over some days: few kinds of everything, so that much meets."""

    def __init__(self, seed: int, days: int = 120) -> None:
        self.random = random.Random(seed)
        self.history = MeasuredHistory()
        self.days = days
        self.interactions: list[int] = []
        self.made = 0
        if self.random.random() < 0.9:
            self.history.value_euros()

    def fill(self, events: int) -> int:
        """Record some events, a few of which are heard of late; return an instant after all of them."""
        draw = self.random
        for second in sorted(draw.randrange(self.days * 86_400) for _ in range(events)):
            self.add(START + second * 1_000_000)
        return START + self.days * DAY + draw.randrange(86_400) * 1_000_000

    def add(self, recorded: int) -> None:
        """Record one event."""
        draw = self.random
        at = max(START, recorded - (0 if draw.random() < 0.8 else draw.randrange(30 * 24) * HOUR))
        event = draw.choice(self._kinds())(at)
        position = self.history.add(event, at, recorded=recorded)
        if isinstance(event, i.InteractionRecorded):
            self.interactions.append(position)

    def _kinds(self) -> list[Callable[[int], Message]]:
        acts: list[Callable[[int], Message]] = [self.act, self.act, self.act, self.word, self.word, self.message]
        return [*acts, self.message, self.exchange, self.exchange, self.consent, self.rewrite, self.other]

    def act(self, _: int) -> Message:
        """Return something that the customer did."""
        attention = self.random.choice([i.ATTENTION_FULL, i.ATTENTION_PARTIAL])
        kind = self.random.choice(_ACTS)
        values = {"incentivised": True} if kind == "PURCHASE" and self.random.random() < 0.3 else {}
        return acted(kind, attention=attention, programme="club", **values)

    def word(self, _: int) -> Message:
        """Return something that the customer said."""
        kind = self.random.choice(_WORDS)
        way = i.DIRECTION_MUTUAL if kind == "CALL" else i.DIRECTION_INBOUND
        return did(kind, direction=way, needs_reply=self.random.random() < 0.5, refers_to=self._one())

    def message(self, _: int) -> Message:
        """Return something said to the customer."""
        draw = self.random
        kind = draw.choice(["MESSAGE", "MESSAGE", "ANSWER", "COMPLAINT_RESOLVED", "BOUNCED", "OFFER"])
        classes = [i.MESSAGE_CLASS_MARKETING, i.MESSAGE_CLASS_SERVICE, i.MESSAGE_CLASS_SERVICE]
        return told(
            kind,
            message_class=draw.choice(classes),
            channel=draw.choice(_CHANNELS),
            in_reply_to=self._one() if draw.random() < 0.6 else 0,
            refers_to=self._one(),
            topic=draw.choice(["", "sale"]),
        )

    def exchange(self, at: int) -> Message:
        """Return an exchange, or the reversal of one."""
        if self.made and self.random.random() < 0.2:
            name = f"x{self.random.randrange(self.made)}"
            return x.ExchangeReversed(exchange_id=name, reversal_id=f"of {name}-{at}", at_original=True)
        self.made += 1
        paid, got = self.random.choice([0, 500, 4_750]), self.random.choice([0, 700, 5_000])
        return traded(f"x{self.made - 1}", paid=paid, got=got or (0 if paid else 100))

    def consent(self, at: int) -> Message:
        """Return an act of consent."""
        draw = self.random
        scope: dict[str, Any] = {"channels": [draw.choice(_CHANNELS)]}
        purpose = draw.choice(["marketing", "marketing.direct", "service.care"])
        return draw.choice([
            given(purpose, at + draw.randrange(1, 200) * DAY, **scope),
            given(purpose, **scope),
            withdrawn(purpose, **scope),
            c.ConsentRefused(purposes=[purpose], **scope),
            c.ConsentRequested(scope=c.ConsentScope(purposes=[purpose], **scope)),
        ])  # fmt: skip

    def rewrite(self, _: int) -> Message:
        """Return a correction or a retraction."""
        position = self._one()
        if self.random.random() < 0.5:
            return i.InteractionRetracted(original_position=position)
        replacement = self.random.choice([self.act, self.word, self.message])(0)
        return i.InteractionCorrected(original_position=position, replacement=replacement)  # type: ignore[arg-type]

    def other(self, _: int) -> Message:
        """Return what is rarer."""
        draw, name = self.random, f"{self.random.randrange(4)}"
        averse = f.ChannelPreference(averse=[draw.choice(_CHANNELS)])
        found: list[Callable[[], Message]] = [
            lambda: in_the_way(name),
            lambda: r.ObstacleRemoved(obstacle_id=name),
            lambda: promised(name),
            lambda: identity_pb2.PromiseTriggered(promise_id=name),
            lambda: identity_pb2.PromiseTriggered(promise_id=name),
            lambda: identity_pb2.PromiseKept(promise_id=name),
            lambda: f.PreferenceDeclared(channels=averse),
            lambda: f.PreferenceDeclared(frequency=f.FrequencyPreference(count=1, period=f.PERIOD_WEEK)),
            lambda: f.PreferenceCleared(kind=f.PREFERENCE_KIND_CHANNELS),
            lambda: attribute_pb2.DisclosureRecorded(recipient="ads", purposes=["marketing"], fields=["contact"]),
        ]
        return draw.choice(found)()

    def _one(self) -> int:
        """Return the position of an interaction; 0: there is none yet."""
        return self.random.choice(self.interactions) if self.interactions else 0
