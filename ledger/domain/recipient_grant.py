"""Grants to recipients, what uses them up, and disclosures (consent.md 5).

A grant is bounded five times: recipient, purposes, fields, until, uses. It counts for a purpose only if it is later
than every revocation of that recipient that covers the purpose, on both axes: no revocation is overruled by something
dated back. Purposes of a grant are exact, a revocation covers children too.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.consent_scope import lineage
from ledger.domain.decider import Setting, new_fact, occurrence, past_occurrence
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Decision, Fact
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME, MICROSECONDS, microseconds, text
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.attribute_pb2 import DisclosureRecorded
from rapport.events.v1.consent_pb2 import RecipientGrantGiven, RecipientGrantRevoked
from rapport.type.v1.event_context_pb2 import EventContext

RECIPIENT_GRANT_GIVEN: Final = "recipient_grant.given.v1"
RECIPIENT_GRANT_REVOKED: Final = "recipient_grant.revoked.v1"
DISCLOSURE_RECORDED: Final = "disclosure.recorded.v1"
TOPICS: Final = (RECIPIENT_GRANT_GIVEN, RECIPIENT_GRANT_REVOKED, DISCLOSURE_RECORDED)
"""What this subject folds."""
DAY: Final = 86_400 * MICROSECONDS
CONTACT: Final = "contact"
"""Field that stands for the contact point."""
USES_MAX: Final = 1_000_000
"""Uses of a grant that comes with a consent."""


class HasRecipientGrants(Protocol):
    """State of a relationship, as far as decisions about recipients read it."""

    @property
    def recipient_grants(self) -> "RecipientGrantState":
        """Fold of the relationship's grants to recipients."""
        ...


@dataclass(frozen=True, slots=True)
class GrantRecipient:
    """Record that somebody else may receive data, within bounds."""

    needs_state: ClassVar[bool] = False

    stream_id: str
    grant: RecipientGrantGiven
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None
    reads: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read what the organization has published."""
        object.__setattr__(self, "reads", (policy_stream(organization_of(self.stream_id)),))

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002  # Whatever was granted before.
        """Return the fact.

        Raises:
            Rejected: RECIPIENT_GRANT_TOO_LONG, against the contact policy in force now; OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        policy: PolicyState = setting.others[self.reads[0]]
        days = policy.contact.in_force(setting.now).policy.recipient_grant_days
        if microseconds(self.grant.until) > when.time + days * DAY:
            raise _too_long(days, when.time + days * DAY)
        return Decision((new_fact(RECIPIENT_GRANT_GIVEN, self.grant, when, self.context),))


def _too_long(days: int, latest: int) -> Rejected:
    reason = reasons.ERROR_REASON_RECIPIENT_GRANT_TOO_LONG
    description = f"must be at most {text(latest)}: the contact policy allows {days} days"
    violation = Violation("grant.until", description, reason)
    return Rejected(reason, f"grant.until {description}", [violation], days=days)


@dataclass(frozen=True, slots=True)
class RevokeRecipient:
    """Record that a recipient may no longer receive anything. Never refused; in the future counts as now."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    revocation: RecipientGrantRevoked
    """No purposes: for none at all."""
    occur_time: int | None = None
    """Microseconds. None, or in the future: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002  # A no needs nothing before it.
        """Return the fact."""
        when = past_occurrence(self.occur_time, setting)
        return Decision((new_fact(RECIPIENT_GRANT_REVOKED, self.revocation, when, self.context),))


@dataclass(frozen=True, slots=True)
class RecordDisclosure:
    """Record that data was passed on, allowed or not: it is a fact."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    disclosure: DisclosureRecorded
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002  # The fold says what covers it.
        """Return the fact. Which grant covers it is asked of the fold: `RecipientGrantState.used_by`.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(DISCLOSURE_RECORDED, self.disclosure, when, self.context),))


class RecipientGrant(NamedTuple):
    """What a recipient may receive. Times are microseconds."""

    position: int
    occur_time: int
    until: int
    """First instant at which it no longer holds."""
    purposes: frozenset[str]
    """Exact ones, without their children."""
    fields: frozenset[str]
    max_uses: int
    consent_position: int
    """Of the consent that names the recipient, where it was said. 0: it was not."""


class _Revocation(NamedTuple):
    position: int
    occur_time: int
    purposes: frozenset[str]

    def covers(self, purpose: str) -> bool:
        return not self.purposes or not self.purposes.isdisjoint(lineage(purpose))


class RecipientGrantState:
    """Fold of the grants to recipients of one relationship, and of disclosures."""

    __slots__ = ("_grants", "_revocations", "_until", "_used", "_used_by")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._grants: dict[str, list[RecipientGrant]] = {}
        self._revocations: dict[str, list[_Revocation]] = {}
        self._used: dict[int, int] = {}
        """Disclosures by the position of the grant that covers them."""
        self._used_by: dict[int, int] = {}
        """Position of the grant that covers a disclosure, by the disclosure's; never changes."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: what was recorded is a fact."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        if isinstance(event, RecipientGrantGiven):
            grant = RecipientGrant(
                fact.position,
                fact.occur_time,
                microseconds(event.until),
                frozenset(event.purposes),
                frozenset(event.fields),
                event.max_uses,
                event.consent_position,
            )
            self._grants.setdefault(event.recipient, []).append(grant)
        elif isinstance(event, RecipientGrantRevoked):
            revocation = _Revocation(fact.position, fact.occur_time, frozenset(event.purposes))
            self._revocations.setdefault(event.recipient, []).append(revocation)
        elif isinstance(event, DisclosureRecorded):
            self._use(fact, event)

    def covering(self, recipient: str, purpose: str, at: int) -> RecipientGrant | None:
        """Return the grant under which a recipient may act for a purpose at an instant, in microseconds.

        Of several the one that holds longest, then the one recorded last. None: there is none.
        """
        live = self._live(recipient, (purpose,), at)
        return max(live, key=lambda grant: (grant.until, grant.position), default=None)

    def latest_after(
        self, recipient: str, purpose: str, time: int, position: int, at: int | None = None
    ) -> RecipientGrant | None:
        """Return a grant that is later than an opt-out on both axes; None: there is none (settled.md 61).

        `time` and `position` are the opt-out's. `at`: the grant holds then; None: it may have ended. Times are
        microseconds.
        """
        live = self._live(recipient, (purpose,), at)
        later = [grant for grant in live if grant.occur_time > time and grant.position > position]
        return max(later, key=lambda grant: (grant.until, grant.position), default=None)

    def changes_after(self, at: int) -> int | None:
        """Return the earliest later instant at which a grant begins or ends by the clock; None: there is none.

        Microseconds.
        """
        grants = (grant for given in self._grants.values() for grant in given)
        instants = (instant for grant in grants for instant in (grant.occur_time, grant.until))
        return min((instant for instant in instants if at < instant < END_OF_TIME), default=None)

    def is_live(self, position: int, at: int) -> bool:
        """Tell whether the grant at a position holds at an instant, in microseconds, for any purpose of it."""
        return any(
            grant.position == position
            for recipient, grants in self._grants.items()
            for purpose in {purpose for grant in grants for purpose in grant.purposes}
            for grant in self._live(recipient, (purpose,), at)
        )

    def used_by(self, disclosure_position: int) -> int:
        """Return the position of the grant that a disclosure used up one use of; 0: no live grant covered it."""
        return self._used_by.get(disclosure_position, 0)

    def _live(self, recipient: str, purposes: Collection[str], at: int | None) -> Iterator[RecipientGrant]:
        """Yield the grants that hold at an instant, or at any, for all of some purposes, with uses left."""
        for grant in self._grants.get(recipient, ()):
            if (
                (at is None or grant.occur_time <= at < grant.until)
                and grant.purposes.issuperset(purposes)
                and self._used.get(grant.position, 0) < grant.max_uses
                and not self._is_revoked(recipient, grant, purposes)
            ):
                yield grant

    def _is_revoked(self, recipient: str, grant: RecipientGrant, purposes: Collection[str]) -> bool:
        return any(
            (revocation.occur_time >= grant.occur_time or revocation.position > grant.position)
            and any(map(revocation.covers, purposes))
            for revocation in self._revocations.get(recipient, ())
        )

    def _use(self, fact: Fact, event: DisclosureRecorded) -> None:
        """Use up the grant that ends first: what holds longer is kept for later."""
        covering = [
            grant
            for grant in self._live(event.recipient, frozenset(event.purposes), fact.occur_time)
            if grant.fields.issuperset(event.fields)
        ]
        if covering:
            position = min(covering, key=lambda grant: (grant.until, grant.position)).position
            self._used[position] = self._used.get(position, 0) + 1
            self._used_by[fact.position] = position
