"""From states to what is told of a customer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from ledger.domain.attribute import AttributeState, Slot, usable
from ledger.domain.attribute_catalogue import Catalogue
from ledger.domain.identity import IdentityState, LiveLink
from ledger.domain.preference import Declared
from ledger.domain.profile import Identifier
from ledger.domain.promise import Promise
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import timestamp
from ledger.views import View
from rapport.customer.v1 import customer_service_pb2 as pb
from services.customer.translate import STATES
from services.runtime.times import set_time
from services.runtime.translating import as_of_told


class Asked(NamedTuple):
    """A slot that an answer tells of."""

    key: str
    provenance: int
    slot: Slot | None
    """What stands in it; None: nothing ever did."""


def asked_slots(request: pb.GetAttributesRequest, attributes: AttributeState) -> list[Asked]:
    """Return the slots that a GetAttributes asks for, by key and provenance.

    Without provenances those that an event names; of a key that was only asked for, that is the DECLARED one, empty.
    """
    keys = sorted(set(request.keys)) or attributes.keys()
    return [
        Asked(key, provenance, attributes.slot(key, provenance))
        for key in keys
        for provenance in (sorted(set(request.provenances)) or attributes.slots(key))
    ]


def attributes(
    asked: Iterable[Asked],
    inventory: Iterable[tuple[int, int]],
    catalogue: Catalogue,
    with_text: Collection[int],
    view: View,
) -> pb.GetAttributesResponse:
    """Return slots as they stand at a view.

    inventory: (provenance, how many keys). with_text: positions of events with a sealed part.
    """
    return pb.GetAttributesResponse(
        slots=[_slot(each, catalogue, with_text, view.occur_time) for each in asked],
        inventory=[
            pb.ProvenanceCount(provenance=provenance, keys=keys)  # type: ignore[arg-type]  # A number of the enum.
            for provenance, keys in inventory
        ],
        position=view.position,
        as_of=as_of_told(view.occur_time, view.position),
    )


def customer(
    customer_id: str,
    state: RelationshipState,
    linked: Mapping[str, RelationshipState],
    time_zones: Iterable[str],
    view: View,
) -> pb.GetCustomerResponse:
    """Return a customer at a view. `linked`: states of the other customer ids of the person, by them."""
    profile = state.profile
    return pb.GetCustomerResponse(
        profile=profile.message,
        profile_position=profile.position,
        identifiers=[_identifier(each) for each in profile.identifiers.values()],
        links=[_link(link) for link in _links(state.identity, *(each.identity for each in linked.values()))],
        person_customer_ids=sorted({customer_id, *linked}),
        preferences=[_preference(each) for each in state.preferences.all()],
        time_zones=time_zones,
        position=view.position,
        as_of=as_of_told(view.occur_time, view.position),
    )


def promises(state: RelationshipState, view: View) -> pb.GetPromisesResponse:
    """Return the promises as they stand at a view."""
    rate = state.promises.kept_rate(view.occur_time)
    return pb.GetPromisesResponse(
        promises=[_promise(each, view.occur_time) for each in state.promises.all()],
        kept_count=rate.kept,
        broken_count=rate.broken,
        kept_rate_ppm=rate.ppm,
        position=view.position,
        as_of=as_of_told(view.occur_time, view.position),
    )


def _slot(asked: Asked, catalogue: Catalogue, with_text: Collection[int], at: int) -> pb.AttributeSlot:
    slot = asked.slot
    told = pb.AttributeSlot(key=asked.key, standing=pb.ATTRIBUTE_STANDING_NOT_KNOWN)
    told.provenance = asked.provenance  # type: ignore[assignment]  # A number of the enum.
    if slot is not None:
        told.position = slot.position
        set_time(told.since_time, slot.since)
        told.standing = pb.ATTRIBUTE_STANDING_WITHDRAWN
        if slot.value is not None:
            told.standing = pb.ATTRIBUTE_STANDING_KNOWN
            told.code = slot.value.code
            told.has_text = slot.position in with_text
    reason, purposes = usable(slot, catalogue, at)
    told.purposes.extend(purposes)
    told.usable = not reason
    told.reason = reason
    return told


def _identifier(identifier: Identifier) -> pb.Identifier:
    return pb.Identifier(
        identifier=identifier.message,
        position=identifier.position,
        verified_time=timestamp(identifier.verified_time),
    )


def _links(*states: IdentityState) -> list[LiveLink]:
    """Return every link of a person once, with the lower of its positions, by position."""
    found: dict[str, LiveLink] = {}
    for state in states:
        for link_id, link in state.links.items():
            if link_id not in found or link.position < found[link_id].position:
                found[link_id] = link
    return sorted(found.values(), key=lambda link: link.position)


def _link(link: LiveLink) -> pb.Link:
    return pb.Link(link=link.message, position=link.position, linked_time=timestamp(link.linked_time))


def _preference(declared: Declared) -> pb.Preference:
    return pb.Preference(
        declared=declared.message,
        kind=declared.kind,  # type: ignore[arg-type]  # A number of the enum.
        position=declared.position,
        declared_time=timestamp(declared.occur_time),
    )


def _promise(promise: Promise, at: int) -> pb.Promise:
    told = pb.Promise(
        promise=promise.message,
        state=STATES[promise.standing(at)],
        position=promise.position,
        made_time=timestamp(promise.made_time),
        ended_position=promise.ended_position,
        cancel_reason=promise.cancel_reason,  # type: ignore[arg-type]  # A number of the enum.
    )
    times = (
        (told.triggered_time, promise.triggered_time),
        (told.due_time, promise.due_time),
        (told.ended_time, promise.ended_time),
    )
    for field, time in times:
        if time is not None:
            field.CopyFrom(timestamp(time))
    return told
