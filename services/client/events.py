"""Recorded events as messages: which message a topic holds, and its personal part merged in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rapport.events.v1 import (
    consent_pb2,
    exchange_pb2,
    interaction_pb2,
    ledger_pb2,
    policy_pb2,
    privacy_pb2,
    valuation_pb2,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from rapport.audit.v1.recorded_event_pb2 import RecordedEvent

TOPICS: Final[Mapping[str, type[Message]]] = {
    "interaction.recorded.v1": interaction_pb2.InteractionRecorded,
    "interaction.corrected.v1": interaction_pb2.InteractionCorrected,
    "interaction.retracted.v1": interaction_pb2.InteractionRetracted,
    "consent.given.v1": consent_pb2.ConsentGiven,
    "consent.refused.v1": consent_pb2.ConsentRefused,
    "consent.withdrawn.v1": consent_pb2.ConsentWithdrawn,
    "exchange.recorded.v1": exchange_pb2.ExchangeRecorded,
    "exchange.reversed.v1": exchange_pb2.ExchangeReversed,
    "exchange.posted.v1": exchange_pb2.ExchangePosted,
    "exchange.voided.v1": exchange_pb2.ExchangeVoided,
    "exchange.observation_declared.v1": exchange_pb2.ObservationDeclared,
    "policy.valuation_published.v1": valuation_pb2.ValuationPolicyPublished,
    "policy.asset_registered.v1": policy_pb2.AssetRegistered,
    "privacy.key_created.v1": privacy_pb2.KeyCreated,
    "ledger.created.v1": ledger_pb2.LedgerCreated,
}
"""Every topic this version knows. A newer server may send others."""


def decode(event: RecordedEvent) -> Message | None:
    """Return the fact that an event holds, with its personal fields where they were sent. None: a topic unknown here.

    Raises:
        google.protobuf.message.DecodeError: The bytes are not the topic's message.
    """
    message_type = TOPICS.get(event.topic)
    if message_type is None:
        return None
    message = message_type.FromString(event.event)
    if event.personal:
        message.MergeFromString(event.personal)
    return message
