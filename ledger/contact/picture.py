"""What a decision sees: the states of the streams that it rests on, and the rules in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ledger.balance.book import Book
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, Purpose


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that a decision about one customer may look at. Nothing in it is changed."""

    stream_id: str
    """The relationship asked about."""
    state: RelationshipState
    """Its state."""
    policy: ContactPolicy
    """The contact policy by which is decided, its defaults filled in."""
    purposes: Mapping[str, Purpose]
    """The purpose registry by slug."""
    linked: Sequence[RelationshipState] = field(default=())
    """States of the other customer ids of the same person."""
    published: PolicyState | None = None
    """What the organization has published; valuations come from it. None: nothing."""
    book: Book | None = None
    """The relationship's exchanges, for the gate of reciprocity. None: there are none, or nobody asks."""
    policy_changes_at: int | None = None
    """When another version of the contact policy comes into force, in microseconds. None: none is known."""
