"""Topics: the permanent names of events, and the message each one stands for (I34).

A static table. What is stored is never imported, evaluated or resolved by name; an unknown topic is not parsed at all.
A name that was ever released stays; a new shape of an event gets a new name and an upcaster here.
"""

from typing import Final

from google.protobuf.message import Message

from rapport.events.v1 import (
    consent_pb2,
    exchange_pb2,
    interaction_pb2,
    ledger_pb2,
    policy_pb2,
    privacy_pb2,
    valuation_pb2,
)

MESSAGE_BY_TOPIC: Final[dict[str, type[Message]]] = {
    "ledger.created.v1": ledger_pb2.LedgerCreated,
    "privacy.key_created.v1": privacy_pb2.KeyCreated,
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
}
"""Every topic ever released."""
