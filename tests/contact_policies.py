"""Contact policies, registries and catalogues that tests publish, and the states they fold into."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from ledger.domain.attribute_catalogue import ATTRIBUTES_PUBLISHED
from ledger.domain.contact_policy import CONTACT_PUBLISHED
from ledger.domain.fact import Fact
from ledger.domain.policy import PolicyState
from ledger.domain.purposes import PURPOSES_PUBLISHED
from ledger.domain.times import timestamp
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_policy_pb2 import (
    AttributeCatalogue,
    AttributeDefinition,
    AttributesPublished,
    ContactPolicy,
    ContactPolicyPublished,
    Purpose,
    PurposeRegistry,
    PurposesPublished,
)
from rapport.events.v1.metadata_pb2 import EventMetadata

STREAM = "shop/@policy"


def contact_policy(version: int = 1, effective_from: int | None = None, **values: Any) -> ContactPolicy:
    """Return a policy; `effective_from` in microseconds, None: from its publication on."""
    begins = None if effective_from is None else timestamp(effective_from)
    return ContactPolicy(**{"version": version, "effective_from_time": begins, **values})


def purpose(slug: str = "marketing", **values: Any) -> Purpose:
    """Return a purpose of direct marketing, unless said otherwise."""
    given: dict[str, Any] = {
        "slug": slug,
        "title": "Promote something",
        "purpose_class": p.PURPOSE_CLASS_MARKETING,
        "objectable": p.OBJECTABLE_ABSOLUTE,
        "legal_bases": [c.LEGAL_BASIS_CONSENT],
        "message_classes": [i.MESSAGE_CLASS_MARKETING],
    }
    return Purpose(**{**given, **values})


def registry(*purposes: Purpose, version: int = 1) -> PurposeRegistry:
    """Return a registry; of one purpose, unless said otherwise."""
    return PurposeRegistry(version=version, purposes=purposes or (purpose(),))


def definition(key: str = "favourite.tea", **values: Any) -> AttributeDefinition:
    """Return a definition of an attribute."""
    return AttributeDefinition(**{"key": key, "title": "What they like to drink", **values})


def catalogue(*attributes: AttributeDefinition, version: int = 1) -> AttributeCatalogue:
    """Return a catalogue; of one attribute, unless said otherwise."""
    return AttributeCatalogue(version=version, attributes=attributes or (definition(),))


def fold(
    *published: ContactPolicy | PurposeRegistry | AttributeCatalogue, state: PolicyState | None = None
) -> PolicyState:
    """Fold publications: versions 1, 2, ... of the stream, positions 10, 20, ..., times 100, 200, ..."""
    state = PolicyState() if state is None else state
    for message in published:
        n = state.version + 1
        state.evolve(Fact(10 * n, n, 100 * n, 100 * n, *_event_of(message), EventMetadata()))
    return state


def _event_of(message: ContactPolicy | PurposeRegistry | AttributeCatalogue) -> tuple[str, Message]:
    if isinstance(message, ContactPolicy):
        return CONTACT_PUBLISHED, ContactPolicyPublished(policy=message)
    if isinstance(message, PurposeRegistry):
        return PURPOSES_PUBLISHED, PurposesPublished(registry=message)
    return ATTRIBUTES_PUBLISHED, AttributesPublished(catalogue=message)
