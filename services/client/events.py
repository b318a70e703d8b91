"""Recorded events as messages: which message a topic holds, and its personal part merged in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rapport.events.v1 import (
    attribute_pb2,
    consent_pb2,
    contact_pb2,
    contact_policy_pb2,
    exchange_pb2,
    identity_pb2,
    interaction_pb2,
    ledger_pb2,
    persona_pb2,
    policy_pb2,
    preference_pb2,
    privacy_pb2,
    relationship_pb2,
    relationship_policy_pb2,
    relationship_types_pb2,
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
    "privacy.erasure_started.v1": privacy_pb2.ErasureStarted,
    "notice.served.v1": consent_pb2.NoticeServed,
    "consent.requested.v1": consent_pb2.ConsentRequested,
    "consent.deferred.v1": consent_pb2.ConsentDeferred,
    "consent.confirmed.v1": consent_pb2.ConsentConfirmed,
    "consent.renewed.v1": consent_pb2.ConsentRenewed,
    "consent.revoked.v1": consent_pb2.ConsentRevoked,
    "consent.invalidated.v1": consent_pb2.ConsentInvalidated,
    "objection.raised.v1": consent_pb2.ObjectionRaised,
    "objection.lifted.v1": consent_pb2.ObjectionLifted,
    "withdrawal.honoured.v1": consent_pb2.WithdrawalHonoured,
    "guardian.appointed.v1": consent_pb2.GuardianAppointed,
    "guardian.released.v1": consent_pb2.GuardianReleased,
    "recipient_grant.given.v1": consent_pb2.RecipientGrantGiven,
    "recipient_grant.revoked.v1": consent_pb2.RecipientGrantRevoked,
    "suppression.added.v1": consent_pb2.SuppressionAdded,
    "suppression.lifted.v1": consent_pb2.SuppressionLifted,
    "preference.declared.v1": preference_pb2.PreferenceDeclared,
    "preference.cleared.v1": preference_pb2.PreferenceCleared,
    "profile.declared.v1": identity_pb2.ProfileDeclared,
    "identifier.verified.v1": identity_pb2.IdentifierVerified,
    "identifier.revoked.v1": identity_pb2.IdentifierRevoked,
    "identity.linked.v1": identity_pb2.IdentityLinked,
    "identity.unlinked.v1": identity_pb2.IdentityUnlinked,
    "promise.made.v1": identity_pb2.PromiseMade,
    "promise.triggered.v1": identity_pb2.PromiseTriggered,
    "promise.kept.v1": identity_pb2.PromiseKept,
    "promise.cancelled.v1": identity_pb2.PromiseCancelled,
    "attribute.requested.v1": attribute_pb2.AttributeRequested,
    "attribute.disclosed.v1": attribute_pb2.AttributeDisclosed,
    "attribute.observed.v1": attribute_pb2.AttributeObserved,
    "attribute.inferred.v1": attribute_pb2.AttributeInferred,
    "attribute.obtained.v1": attribute_pb2.AttributeObtained,
    "attribute.withdrawn.v1": attribute_pb2.AttributeWithdrawn,
    "disclosure.recorded.v1": attribute_pb2.DisclosureRecorded,
    "contact.decided.v1": contact_pb2.ContactDecided,
    "contact.aborted.v1": contact_pb2.ContactAborted,
    "policy.purposes_published.v1": contact_policy_pb2.PurposesPublished,
    "policy.contact_published.v1": contact_policy_pb2.ContactPolicyPublished,
    "policy.attributes_published.v1": contact_policy_pb2.AttributesPublished,
    "common_ground.declared.v1": relationship_pb2.CommonGroundDeclared,
    "common_ground.ended.v1": relationship_pb2.CommonGroundEnded,
    "relationship_type.declared.v1": relationship_pb2.RelationshipTypeDeclared,
    "relationship_type.assessed.v1": relationship_pb2.RelationshipTypeAssessed,
    "assessment.recorded.v1": relationship_pb2.AssessmentRecorded,
    "vector.opened.v1": relationship_pb2.VectorOpened,
    "vector.renewed.v1": relationship_pb2.VectorRenewed,
    "vector.fulfilled.v1": relationship_pb2.VectorFulfilled,
    "obstacle.reported.v1": relationship_pb2.ObstacleReported,
    "obstacle.removed.v1": relationship_pb2.ObstacleRemoved,
    "value_definition.asked.v1": relationship_pb2.ValueDefinitionAsked,
    "value_definition.declared.v1": relationship_pb2.ValueDefinitionDeclared,
    "point_of_contact.opened.v1": relationship_pb2.PointOfContactOpened,
    "point_of_contact.closed.v1": relationship_pb2.PointOfContactClosed,
    "contact_shape.wanted.v1": relationship_pb2.ContactShapeWanted,
    "relationship.ended.v1": relationship_pb2.RelationshipEnded,
    "policy.relationship_published.v1": relationship_policy_pb2.RelationshipPolicyPublished,
    "policy.types_published.v1": relationship_types_pb2.TypesPublished,
    "policy.persona_defined.v1": persona_pb2.PersonaDefined,
    "policy.persona_approved.v1": persona_pb2.PersonaApproved,
    "policy.persona_retired.v1": persona_pb2.PersonaRetired,
    "ledger.time_marked.v1": ledger_pb2.TimeMarked,
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
