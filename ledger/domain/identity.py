"""Identity: links between customer ids of one person, and their undoing (consent.md 7, relationship.md 14).

A link stands in both streams, recorded by one append. No event moves or is rewritten: what follows from a link is
worked out by those who read, so that without it everything is as if it had never been.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact
from ledger.domain.identifiers import customer_of
from ledger.domain.profile import ProfileState, is_void
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.identity_pb2 import IdentityLinked, IdentityUnlinked
from rapport.type.v1.event_context_pb2 import EventContext

IDENTITY_LINKED: Final = "identity.linked.v1"
IDENTITY_UNLINKED: Final = "identity.unlinked.v1"

TOPICS: Final = (IDENTITY_LINKED, IDENTITY_UNLINKED)
"""What this subject folds."""


class HasIdentity(Protocol):
    """State of a relationship, as far as decisions about links read it."""

    @property
    def known(self) -> bool:
        """Whether anything is known of the customer."""
        ...

    @property
    def identity(self) -> "IdentityState":
        """Fold of the relationship's links."""
        ...

    @property
    def profile(self) -> ProfileState:
        """Fold of the relationship's contact points."""
        ...


@dataclass(frozen=True, slots=True)
class LinkCustomers:
    """Record in the first of two streams that both customers are one person; `Joined` records it in the second."""

    needs_state: ClassVar[bool] = True

    stream_id: str
    other_stream_id: str
    link: IdentityLinked
    """Names the customers of both streams."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The other stream, unless it is the same."""
        return (self.other_stream_id,) if self.other_stream_id != self.stream_id else ()

    def decide(self, state: HasIdentity, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: LINK_NOT_ALLOWED, with cause SELF, LINKED, or SHARED_IDENTIFIER where nobody is named as actor.
                RELATIONSHIP_UNKNOWN, LINK_ID_TAKEN, OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        if not self.reads:
            raise _not_allowed("SELF", "a customer is not linked to itself; check both ids")
        other: HasIdentity = setting.others[self.other_stream_id]
        for stream_id, known in ((self.stream_id, state.known), (self.other_stream_id, other.known)):
            if not known:
                raise _unknown(stream_id)
        self._refuse_taken_id(state, other)
        if any(link.joins(self.link) for link in state.identity.links.values()):
            raise _not_allowed("LINKED", "the two are linked already; that link stands")
        if self.context is None or not self.context.actor:
            _refuse_void_ground(state.profile, other.profile)
        return Decision((new_fact(IDENTITY_LINKED, self.link, when, self.context),))

    def _refuse_taken_id(self, *states: HasIdentity) -> None:
        link_id = self.link.link_id
        for state in states:
            position = state.identity.ids.get(link_id)
            if position is not None:
                raise Rejected(
                    reasons.ERROR_REASON_LINK_ID_TAKEN,
                    "the link_id was used before; choose a new one",
                    link_id=link_id,
                    position=position,
                )


@dataclass(frozen=True, slots=True)
class UnlinkCustomers:
    """Record in the first of two streams that a link was wrong; `Joined` records it in the second."""

    needs_state: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ()

    stream_id: str
    other_customer_id: str
    unlink: IdentityUnlinked
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasIdentity, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: LINK_UNKNOWN, where no link of this id holds between the two. OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        link = state.identity.links.get(self.unlink.link_id)
        if link is None or link.customer_ids != {customer_of(self.stream_id), self.other_customer_id}:
            raise Rejected(
                reasons.ERROR_REASON_LINK_UNKNOWN,
                "no link of this id holds between the two; check the ids",
                link_id=self.unlink.link_id,
            )
        return Decision((new_fact(IDENTITY_UNLINKED, self.unlink, when, self.context),))


@dataclass(frozen=True, slots=True)
class Joined:
    """Record in the second stream what was decided for the first, in the same append."""

    needs_state: ClassVar[bool] = False
    reads: ClassVar[tuple[str, ...]] = ()

    stream_id: str
    first: LinkCustomers | UnlinkCustomers

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002 # All was asked for the first.
        """Return the fact. The first step of the request was not refused, so neither is this."""
        when = occurrence(self.first.occur_time, setting)
        if isinstance(self.first, LinkCustomers):
            return Decision((new_fact(IDENTITY_LINKED, self.first.link, when, self.first.context),))
        return Decision((new_fact(IDENTITY_UNLINKED, self.first.unlink, when, self.first.context),))


class LiveLink(NamedTuple):
    """A link that holds."""

    message: IdentityLinked
    """As it is stored; never changed."""
    position: int
    """Log position of its event in this stream."""
    linked_time: int
    """Microseconds."""

    @property
    def customer_ids(self) -> frozenset[str]:
        """Both customers, the stream's own among them: a fold does not know whose it is."""
        return frozenset((self.message.customer_a_id, self.message.customer_b_id))

    def joins(self, link: IdentityLinked) -> bool:
        """Tell whether it joins the same two customers as another one."""
        return self.customer_ids == {link.customer_a_id, link.customer_b_id}


class IdentityState:
    """Fold of the links of one relationship."""

    __slots__ = ("_until", "ids", "links")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self.links: dict[str, LiveLink] = {}
        """Links that hold, by their ids."""
        self.ids: dict[str, int] = {}
        """Log position by link id, of every link there ever was: an id that was unlinked is not used again."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: what was recorded is a fact."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        if isinstance(event, IdentityLinked):
            if event.link_id not in self.ids:
                self.ids[event.link_id] = fact.position
                self.links[event.link_id] = LiveLink(event, fact.position, fact.occur_time)
        else:
            assert isinstance(event, IdentityUnlinked)
            self.links.pop(event.link_id, None)

    @property
    def others(self) -> frozenset[str]:
        """Ids of the customers linked directly now, and where there are any the customer's own too.

        Whose a fold is, it does not know: those who follow links have been at the customer already.
        """
        return frozenset().union(*(link.customer_ids for link in self.links.values()))


def _refuse_void_ground(one: ProfileState, other: ProfileState) -> None:
    """Refuse a link that no person decided where all that the two have in common says nothing (relationship.md 14)."""
    common = one.identifiers.keys() & other.identifiers.keys()
    if common and all(_says_nothing(name, one, other) for name in common):
        raise _not_allowed(
            "SHARED_IDENTIFIER",
            "all contact points that the two have in common are used by several people or are void; "
            "have a person decide, and name them as actor",
        )


def _says_nothing(contact_point_id: str, *profiles: ProfileState) -> bool:
    known = [profile.identifiers[contact_point_id].message for profile in profiles]
    return is_void(contact_point_id) or any(identifier.shared for identifier in known)


def _not_allowed(cause: str, message: str) -> Rejected:
    return Rejected(reasons.ERROR_REASON_LINK_NOT_ALLOWED, message, cause=cause)


def _unknown(stream_id: str) -> Rejected:
    organization_id, _, customer_id = stream_id.partition("/")
    return Rejected(
        reasons.ERROR_REASON_RELATIONSHIP_UNKNOWN,
        "nothing was recorded between the two; check both ids",
        organization_id=organization_id,
        customer_id=customer_id,
    )
