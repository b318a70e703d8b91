"""Facts of several relationships as those of one person (relationship.md 14).

Exchanges, promises, vectors and the like are named by whoever records them, and such a name is good for one
relationship: two of them may have an `order-1` each. In the view of a person both count, so every name is told with
whose it is, as `customer_id/name`; no customer id has a slash, so no two of them meet. All relationships of the person
are treated alike: whichever of their ids is asked for, the person is the same.

Contact points, programmes, campaigns and recipients are no such names: they mean the same in all of an organization.
Links compare customers by contact points.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from google.protobuf.message import Message

from ledger.domain.fact import Fact
from rapport.events.v1 import consent_pb2 as consent
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import identity_pb2 as identity
from rapport.events.v1 import interaction_pb2 as interaction
from rapport.events.v1 import relationship_pb2 as relationship

_ORDER_AND_PEOPLE: Final = ("order_id", "customer_person_id", "point_of_contact_id")
_NAMES: Final[Mapping[type[Message], tuple[str, ...]]] = {
    interaction.InteractionRecorded: _ORDER_AND_PEOPLE,
    interaction.InteractionCorrected: tuple(f"replacement.{name}" for name in _ORDER_AND_PEOPLE),
    x.ExchangeRecorded: ("exchange_id", "replaces", "cause_ref", "lot_uses.exchange_id"),
    **dict.fromkeys((x.ExchangePosted, x.ExchangeVoided, x.ExchangeReversed), ("exchange_id",)),
    **dict.fromkeys(
        (identity.PromiseMade, identity.PromiseTriggered, identity.PromiseKept, identity.PromiseCancelled),
        ("promise_id",),
    ),
    **dict.fromkeys(
        (relationship.VectorOpened, relationship.VectorRenewed, relationship.VectorFulfilled), ("vector_id",)
    ),
    **dict.fromkeys((relationship.ObstacleReported, relationship.ObstacleRemoved), ("obstacle_id",)),
    **dict.fromkeys((relationship.CommonGroundDeclared, relationship.CommonGroundEnded), ("item_id",)),
    **dict.fromkeys((relationship.PointOfContactOpened, relationship.PointOfContactClosed), ("point_of_contact_id",)),
    **dict.fromkeys((consent.GuardianAppointed, consent.GuardianReleased), ("guardian_id",)),
    consent.ConsentGiven: ("indicated_by_id",),
}
"""Fields that hold a name that is good for one relationship; a path through one message, or many."""


def apart(customer_id: str) -> Callable[[Fact], Fact]:
    """Return what tells the facts of a customer apart from those of others who are the same person."""

    def told_apart(fact: Fact) -> Fact:
        names = _NAMES.get(type(fact.event), ())
        if not any(getattr(each, field) for name in names for each, field in _places(fact.event, name)):
            return fact
        copy = type(fact.event)()
        copy.CopyFrom(fact.event)
        for name in names:
            for message, field in _places(copy, name):
                if known := getattr(message, field):
                    setattr(message, field, f"{customer_id}/{known}")
        return fact._replace(event=copy)

    return told_apart


def _places(event: Message, path: str) -> Iterable[tuple[Any, str]]:
    """Return the messages that hold a name, with its field."""
    outer, _, field = path.rpartition(".")
    if not outer:
        return [(event, field)]
    inner: Any = getattr(event, outer)
    return [(each, field) for each in ([inner] if isinstance(inner, Message) else inner)]
