"""Calls about contacts, through the client: one organization, whose customers say what they allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rapport.contact.v1.contact_service_pb2 import DecideItem
from rapport.contact.v1.decision_pb2 import Decision
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentWithdrawn
from rapport.events.v1.contact_pb2 import ContactQuestion, DecisionOutcome, DecisionReason
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, FrequencyCap
from rapport.events.v1.interaction_pb2 import (
    CHANNEL_EMAIL,
    DIRECTION_OUTBOUND,
    INTERACTION_KIND_MESSAGE,
    MESSAGE_CLASS_MARKETING,
    InteractionRecorded,
)
from rapport.events.v1.preference_pb2 import PERIOD_MONTH, PreferenceDeclared, TopicPreference
from services.client import Client

ORGANIZATION = "shop"
PURPOSE = "marketing.direct"


def question(**values: Any) -> ContactQuestion:
    """Return a question about an e-mail for marketing, unless said otherwise."""
    given = {"purpose": PURPOSE, "channel": CHANNEL_EMAIL, "message_class": MESSAGE_CLASS_MARKETING}
    return ContactQuestion(**{**given, **values})


def item(customer_id: str = "c-1", **values: Any) -> DecideItem:
    """Return one question of a batch."""
    return DecideItem(customer_id=customer_id, question=question(**values))


def mail(**values: Any) -> InteractionRecorded:
    """Return an e-mail for marketing, unless said otherwise."""
    given = {
        "kind": INTERACTION_KIND_MESSAGE,
        "direction": DIRECTION_OUTBOUND,
        "channel": CHANNEL_EMAIL,
        "message_class": MESSAGE_CLASS_MARKETING,
    }
    return InteractionRecorded(**{**given, **values})


def told(decision: Decision) -> tuple[str, str]:
    """Return outcome and reason of a decision, without their prefixes."""
    return (
        DecisionOutcome.Name(decision.outcome).removeprefix("DECISION_OUTCOME_"),
        DecisionReason.Name(decision.decisive_reason).removeprefix("DECISION_REASON_"),
    )


def one_a_month(version: int = 1, **values: Any) -> ContactPolicy:
    """Return a policy with a cap of one contact a month: midnight comes between two calls too often."""
    return ContactPolicy(version=version, caps=[FrequencyCap(count=1, period=PERIOD_MONTH)], **values)


PERMIT = ("PERMIT", "UNSPECIFIED")


@dataclass(frozen=True)
class Shop:
    """An organization, through a client."""

    client: Client

    async def give(self, customer_id: str = "c-1", **values: Any) -> int:
        """Let a customer consent to marketing; return the position."""
        consent = ConsentGiven(purposes=[PURPOSE])
        return (await self.client.give_consent(ORGANIZATION, customer_id, consent, **values)).position

    async def withdraw(self, customer_id: str = "c-1", **values: Any) -> int:
        """Let a customer take everything back; return the position."""
        withdrawal = ConsentWithdrawn()
        return (await self.client.withdraw_consent(ORGANIZATION, customer_id, withdrawal, **values)).position

    async def want(self, customer_id: str, *topics: str) -> int:
        """Let a customer ask to hear of topics; return the position."""
        preference = PreferenceDeclared(topics=TopicPreference(wanted=topics))
        return (await self.client.declare_preference(ORGANIZATION, customer_id, preference)).position

    async def publish(self, policy: ContactPolicy) -> int:
        """Publish a contact policy; return the position."""
        return (await self.client.publish_contact_policy(ORGANIZATION, policy)).position

    async def decide(self, customer_id: str = "c-1", **values: Any) -> Decision:
        """Decide whether a customer may be contacted, and record it."""
        return (await self.client.decide(ORGANIZATION, customer_id, question(**values))).decision

    async def simulate(self, customer_id: str = "c-1", asked: ContactQuestion | None = None, **how: Any) -> Decision:
        """Decide whether a customer may be contacted, and record nothing."""
        return (await self.client.simulate_decision(ORGANIZATION, customer_id, asked or question(), **how)).decision

    async def head(self) -> int:
        """Return where the log ends."""
        return (await self.client.get_head()).position
