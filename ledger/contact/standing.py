"""How a contact stood with the decision that it names, when it was made (settled.md 40, relationship.md 10)."""

from collections.abc import Mapping, Sequence
from typing import Final

from ledger.contact.permits import PermitStatus, voiding
from ledger.domain.contact import Decided
from ledger.domain.conversation import Contact
from ledger.domain.purposes import BUILT_IN_REGISTRY
from ledger.domain.relationship import RelationshipState
from rapport.events.v1 import interaction_pb2
from rapport.events.v1.contact_policy_pb2 import Purpose

NEEDING: Final = frozenset(
    {
        interaction_pb2.MESSAGE_CLASS_MARKETING,
        interaction_pb2.MESSAGE_CLASS_SURVEY,
        interaction_pb2.MESSAGE_CLASS_COMMUNITY,
    }
)
"""Classes of contacts that need a decision."""


def needs_decision(contact: Contact) -> bool:
    """Tell whether a contact needs a decision: by its class, unless it answers an inbound or was imported."""
    return contact.message_class in NEEDING and not contact.answers and not contact.historical_import


def standing(
    contact: Contact,
    state: RelationshipState,
    *,
    purposes: Mapping[str, Purpose] = BUILT_IN_REGISTRY.by_slug,
    linked: Sequence[RelationshipState] = (),
) -> PermitStatus | None:
    """Return how a contact stood with its decision: OPEN is as it should be; None: it names none.

    First match: the position is of no decision; it gave no permit; for another contact; one before used it; it was
    given back; its time was over; an act before the contact had voided it. Later acts do not matter.
    """
    if not contact.decision_id:
        return None
    used = state.conversation.contact_of(contact.decision_id) != contact.position
    return stood(contact, state, used=used, purposes=purposes, linked=linked)


def stood(
    contact: Contact,
    state: RelationshipState,
    *,
    used: bool,
    purposes: Mapping[str, Purpose] = BUILT_IN_REGISTRY.by_slug,
    linked: Sequence[RelationshipState] = (),
) -> PermitStatus:
    """Return how a contact stood with the decision that it names. `used`: another contact used the permit before."""
    decided = state.contacts.find(contact.decision_id)
    if decided is None:
        return PermitStatus.UNKNOWN
    if not decided.permits:
        return PermitStatus.NOT_A_PERMIT
    if not is_of(contact, decided):
        return PermitStatus.NOT_THIS_CONTACT
    if used:
        return PermitStatus.USED
    aborted = state.contacts.aborted(contact.decision_id)
    if aborted is not None and aborted.position < contact.position:
        return PermitStatus.ABORTED
    if contact.occur_time >= decided.expires:
        return PermitStatus.EXPIRED
    voided = any(
        act.position < contact.position and act.occur_time <= contact.occur_time
        for act in voiding(decided, state, purposes, linked)
    )
    return PermitStatus.VOID if voided else PermitStatus.OPEN


def is_of(contact: Contact, decided: Decided) -> bool:
    """Tell whether a contact is what was asked about: channel, class and sender, point and brand where both say."""
    asked = decided.message.question
    return (
        contact.channel == asked.channel
        and contact.message_class == asked.message_class
        and contact.sender_id == asked.sender
        and (not asked.contact_point_id or contact.contact_point_id in {"", asked.contact_point_id})
        and (not asked.brand or contact.brand in {"", asked.brand})
    )
