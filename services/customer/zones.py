"""Time zones that a customer may be in, by what is known of them alone: a contact policy's defaults tell nothing."""

from __future__ import annotations

from ledger.contact.picture import Picture
from ledger.contact.zones import zones_of
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from rapport.events.v1.contact_pb2 import ContactQuestion


def time_zones(state: RelationshipState, policy: PolicyState, at: int) -> list[str]:
    """Return the names of zones, in order: the one declared, else those of contact points, of countries by the policy.

    at: instant in microseconds for which the contact policy in force counts.
    """
    picture = Picture("", state, policy.contact.in_force(at).policy, policy.purposes.current.by_slug)
    asked = (ContactQuestion(contact_point_id=name) for name in (*state.profile.identifiers, ""))
    found = (zones_of(picture, question) for question in asked)
    return sorted({name for zones in found if zones.evidence for name in zones.names})
