"""Profile and contact points: where a customer lives, when they are of age, how they are reached (settled.md 67).

The last profile by (occur_time, position) counts, whole. A contact point is the customer's from its verification to its
revocation; its address is sealed, so no fold sees it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact
from ledger.domain.times import END_OF_TIME, from_datetime
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.identity_pb2 import IdentifierRevoked, IdentifierVerified, ProfileDeclared
from rapport.type.v1.event_context_pb2 import EventContext

PROFILE_DECLARED: Final = "profile.declared.v1"
IDENTIFIER_VERIFIED: Final = "identifier.verified.v1"
IDENTIFIER_REVOKED: Final = "identifier.revoked.v1"

IDENTIFIERS_PER_KIND_MAX: Final = 5
"""Contact points of one kind that a customer has at once, unless a person says otherwise (relationship.md 14)."""

TOPICS: Final = (PROFILE_DECLARED, IDENTIFIER_VERIFIED, IDENTIFIER_REVOKED)
"""What this subject folds."""

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_VOID: Final = frozenset({
    "", "0", "anonymous", "false", "guest", "n/a", "na", "nan", "nil", "no", "none", "null", "test", "undefined",
    "unknown",
})  # fmt: skip


class HasProfile(Protocol):
    """State of a relationship, as far as decisions about contact points read it."""

    @property
    def profile(self) -> "ProfileState":
        """Fold of the relationship's profile and contact points."""
        ...


@dataclass(frozen=True, slots=True)
class DeclareProfile:
    """Record where the customer lives and from when on they are of age."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    profile: ProfileDeclared
    """Whole; with dates that `start_of_day` reads."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002 # It replaces what was there.
        """Return the fact.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(PROFILE_DECLARED, self.profile, when, self.context),))


@dataclass(frozen=True, slots=True)
class VerifyIdentifier:
    """Record that a contact point was checked to be the customer's."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    identifier: IdentifierVerified
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasProfile, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: IDENTIFIERS_TOO_MANY, where nobody is named as actor. OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        if self.context is None or not self.context.actor:
            self._refuse_too_many(state.profile)
        return Decision((new_fact(IDENTIFIER_VERIFIED, self.identifier, when, self.context),))

    def _refuse_too_many(self, profile: "ProfileState") -> None:
        asked = self.identifier
        others = [
            known
            for known in profile.identifiers.values()
            if known.message.kind == asked.kind and known.message.contact_point_id != asked.contact_point_id
        ]
        if len(others) >= IDENTIFIERS_PER_KIND_MAX:
            raise Rejected(
                reasons.ERROR_REASON_IDENTIFIERS_TOO_MANY,
                "the customer has as many contact points of this kind as are recorded without a person; "
                "have a person decide, and name them as actor",
                kind=asked.kind,
                limit=IDENTIFIERS_PER_KIND_MAX,
            )


@dataclass(frozen=True, slots=True)
class RevokeIdentifier:
    """Record that a contact point is no longer the customer's."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    revocation: IdentifierRevoked
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: HasProfile, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: IDENTIFIER_UNKNOWN, also where it was revoked before. OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        contact_point_id = self.revocation.contact_point_id
        if state.profile.identifier(contact_point_id) is None:
            raise Rejected(
                reasons.ERROR_REASON_IDENTIFIER_UNKNOWN,
                "the contact point is not one of this customer's; check the id",
                contact_point_id=contact_point_id,
            )
        return Decision((new_fact(IDENTIFIER_REVOKED, self.revocation, when, self.context),))


class Identifier(NamedTuple):
    """A contact point of the customer."""

    message: IdentifierVerified
    """As it is stored, without its address; never changed."""
    position: int
    """Log position of its event."""
    verified_time: int
    """Microseconds."""


class ProfileState:
    """Fold of the profile and the contact points of one relationship."""

    __slots__ = ("_adult_from", "_points", "_profile_time", "_until", "message", "position")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._profile_time = 0
        self._points: dict[str, tuple[int, Identifier | None]] = {}
        """Occur time of the last word on each contact point, and the verification; None: revoked."""
        self.message: ProfileDeclared | None = None
        """The profile that holds, as it is stored; None: none was declared."""
        self.position = 0
        """Log position of its event; 0: none."""
        self._adult_from: dict[str, int] = {}
        """From when on the customer is of age, by jurisdiction: every decision asks."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: what was recorded is a fact."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        if isinstance(event, ProfileDeclared):
            if self.message is None or fact.occur_time >= self._profile_time:
                self.message, self.position, self._profile_time = event, fact.position, fact.occur_time
                self._adult_from = _adult_from(event)
            return
        assert isinstance(event, IdentifierVerified | IdentifierRevoked)
        known = self._points.get(event.contact_point_id)
        if known is None or fact.occur_time >= known[0]:
            verified = isinstance(event, IdentifierVerified)
            point = Identifier(event, fact.position, fact.occur_time) if verified else None  # type: ignore[arg-type]
            self._points[event.contact_point_id] = fact.occur_time, point

    @property
    def jurisdiction(self) -> str:
        """Whose law applies; empty: not said."""
        return "" if self.message is None else self.message.jurisdiction

    @property
    def country(self) -> str:
        """Where the customer lives; empty: not said."""
        return "" if self.message is None else self.message.country

    def adult_from(self, jurisdiction: str) -> int | None:
        """Return from when on the customer is of age under a law, in microseconds; None: not said.

        Where several dates stand for one jurisdiction the latest counts.
        """
        return self._adult_from.get(jurisdiction)

    @property
    def identifiers(self) -> dict[str, Identifier]:
        """The customer's contact points by their ids, in order."""
        return {name: point for name, (_, point) in sorted(self._points.items()) if point is not None}

    def identifier(self, contact_point_id: str) -> Identifier | None:
        """Return a contact point if it is the customer's."""
        return self._points.get(contact_point_id, (0, None))[1]


def _adult_from(profile: ProfileDeclared) -> dict[str, int]:
    latest: dict[str, int] = {}
    for each in profile.adult_from:
        start = start_of_day(each.date)
        if start is not None:
            latest[each.jurisdiction] = max(start, latest.get(each.jurisdiction, start))
    return latest


def start_of_day(date: str) -> int | None:
    """Return the instant at which a day, `YYYY-MM-DD`, begins in UTC, in microseconds; None: it is no such day."""
    if not _DATE.fullmatch(date):
        return None
    try:
        return from_datetime(datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC))
    except ValueError:
        return None


def is_void(identifier: str) -> bool:
    """Tell whether a contact point's id or address is what programs write where they know none (relationship.md 14).

    Examples: `null`, `-1`, `000000`, `Anonymous`.
    """
    plain = identifier.strip().casefold()
    digits = re.sub(r"[\s+().:/-]", "", plain)
    return plain in _VOID or plain == "-1" or not digits.strip("0")
