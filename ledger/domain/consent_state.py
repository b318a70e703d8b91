"""The fold of a relationship's acts of consent: every act that a view admits, as statuses are derived from them."""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Final, Protocol

from ledger.domain.consent_scope import Scope, denial_scope, grant_scope, question_scope
from ledger.domain.consent_status import (
    INVALIDATED,
    REFUSED,
    REQUEST_DEFERRED,
    REQUESTED,
    REVOKED,
    WITHDRAWN,
    Acts,
    Asked,
    Denial,
    Grant,
)
from ledger.domain.fact import Fact
from ledger.domain.times import END_OF_TIME, MICROSECONDS, microseconds
from rapport.events.v1 import consent_pb2
from rapport.events.v1.consent_pb2 import (
    ConsentConfirmed,
    ConsentDeferred,
    ConsentGiven,
    ConsentInvalidated,
    ConsentRefused,
    ConsentRequested,
    ConsentRevoked,
    ConsentWithdrawn,
    Validity,
    WithdrawalHonoured,
)

CONSENT_REQUESTED: Final = "consent.requested.v1"
CONSENT_DEFERRED: Final = "consent.deferred.v1"
CONSENT_GIVEN: Final = "consent.given.v1"
CONSENT_CONFIRMED: Final = "consent.confirmed.v1"
CONSENT_RENEWED: Final = "consent.renewed.v1"
CONSENT_REFUSED: Final = "consent.refused.v1"
CONSENT_WITHDRAWN: Final = "consent.withdrawn.v1"
CONSENT_REVOKED: Final = "consent.revoked.v1"
CONSENT_INVALIDATED: Final = "consent.invalidated.v1"
WITHDRAWAL_HONOURED: Final = "withdrawal.honoured.v1"


_NO_VALIDITY: Final = Validity()


class HasConsents(Protocol):
    """State of a relationship, as far as decisions about consents read it."""

    @property
    def consents(self) -> "ConsentState":
        """Fold of the relationship's consents."""
        ...


class ConsentState:
    """Fold of the consents of one relationship: every act that the view admits. Statuses are derived when asked for."""

    __slots__ = ("_until", "acts", "awaiting", "first_time", "honoured", "last_time", "tokens")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self.acts = Acts()
        self.first_time: int | None = None
        """Occur time of the first act. Microseconds."""
        self.last_time: int | None = None
        """Occur time of the last act. Microseconds."""
        self.tokens: dict[bytes, list[int]] = {}
        """Positions of the consents that a token confirms, ascending, by its SHA-256."""
        self.awaiting: dict[int, ConsentGiven] = {}
        """Consents that wait for their confirmation and name recipients, by position."""
        self.honoured: dict[int, list[str]] = {}
        """Systems that said that they act on a withdrawal or an objection, in order, by its position."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact; other subjects' pass by. Total: a grant that may not count is kept, and does not count."""
        fold = _FOLDS.get(fact.topic)
        if fold is None or fact.occur_time > self._until:
            return
        fold(self, fact, fact.event)
        if fact.topic == WITHDRAWAL_HONOURED:  # A system's act, not the customer's.
            return
        if self.first_time is None or fact.occur_time < self.first_time:
            self.first_time = fact.occur_time
        if self.last_time is None or fact.occur_time > self.last_time:
            self.last_time = fact.occur_time

    def grant_in_force(self, position: int, at: int) -> bool:
        """Tell whether the event at `position` gave a consent that was in force at a time, in microseconds, in full.

        That is: it was confirmed by then for all that it covers, where it has to be, and none of its cells is denied by
        an act that had occurred by then and that it does not come after.
        """
        found = self.find(position)
        if found is None:
            return False
        scope, grant = found
        if not (grant.occur_time <= at and grant.start <= at < grant.until):
            return False
        if any(map(grant.lacks_confirmation, scope.purposes)):
            return False
        return not any(
            denial.occur_time <= at and (denial.occur_time >= grant.occur_time or denial.position > grant.position)
            for denied, denials in self.acts.denials.items()
            if denied.denied_purposes(scope)
            for denial in denials
        )

    def find(self, position: int) -> tuple[Scope, Grant] | None:
        """Return the consent that was given or renewed at a position, with what it is about."""
        for scope, grants in self.acts.grants.items():
            index = _index(grants, position)
            if index is not None:
                return scope, grants[index]
        return None

    def find_denial(self, position: int) -> tuple[Scope, Denial] | None:
        """Return the refusal, withdrawal, revocation or invalidation at a position, with what it is about."""
        for scope, denials in self.acts.denials.items():
            index = _index(denials, position)
            if index is not None:
                return scope, denials[index]
        return None


class _Placed(Protocol):
    @property
    def position(self) -> int: ...


def _index(acts: "list[Any]", position: int) -> int | None:
    index = bisect_left(acts, position, key=_position)
    return index if index < len(acts) and acts[index].position == position else None


def _position(act: _Placed) -> int:
    return act.position


def _ask(state: ConsentState, fact: Fact, event: ConsentRequested) -> None:
    _put_question(state, fact, event, REQUESTED)


def _defer(state: ConsentState, fact: Fact, event: ConsentDeferred) -> None:
    _put_question(state, fact, event, REQUEST_DEFERRED)


def _put_question(state: ConsentState, fact: Fact, event: ConsentRequested | ConsentDeferred, status: int) -> None:
    scope = question_scope(event.scope, event.notice)
    state.acts.asked.setdefault(scope, []).append(Asked(fact.position, fact.occur_time, status))


def _give(state: ConsentState, fact: Fact, event: ConsentGiven) -> None:
    _put_grant(state, fact, event, renewed=False)
    if event.confirmation_sha256:
        state.tokens.setdefault(event.confirmation_sha256, []).append(fact.position)
        if event.confirmation_required and event.recipients:
            state.awaiting[fact.position] = event


def _renew(state: ConsentState, fact: Fact, event: Any) -> None:
    _put_grant(state, fact, event.consent, renewed=True)


def _put_grant(state: ConsentState, fact: Fact, event: ConsentGiven, *, renewed: bool) -> None:
    scope = grant_scope(event)
    valid_from = microseconds(event.valid_from_time) if event.HasField("valid_from_time") else fact.occur_time
    validity = event.validity if event.HasField("validity") else _NO_VALIDITY
    grant = Grant(
        fact.position,
        fact.occur_time,
        valid_from,
        term_of(event, valid_from),
        event.legal_basis or consent_pb2.LEGAL_BASIS_CONSENT,
        renewed,
        event.confirmation_required and not renewed,  # Settled.md 64.
        jurisdiction=event.jurisdiction,
        indicated_by=event.indicated_by,
        indicated_by_id=event.indicated_by_id,
        uses=validity.uses,
        end_event=validity.event,
        consent_type=event.consent_type,
        contact_point_ids=scope.contact_point_ids,
    )
    state.acts.grants.setdefault(scope, []).append(grant)


def _confirm(state: ConsentState, fact: Fact, event: ConsentConfirmed) -> None:
    """Mark the consent as confirmed. The first confirmation counts: a token is of single use."""
    found = state.find(event.given_position)
    if found is None or found[1].confirmed_position:
        return
    scope, grant = found
    left = scope.narrowed(event.purposes) if event.purposes else scope
    grants = state.acts.grants[scope]
    index = _index(grants, grant.position)
    assert index is not None
    grants[index] = grant._replace(
        confirmed_at=fact.occur_time, confirmed=left.purposes | left.listed, confirmed_position=fact.position
    )
    state.awaiting.pop(event.given_position, None)


def _refuse(state: ConsentState, fact: Fact, event: ConsentRefused) -> None:
    _put_denial(state, fact, denial_scope(event), REFUSED)


def _withdraw(state: ConsentState, fact: Fact, event: ConsentWithdrawn) -> None:
    by_keyword = event.method == consent_pb2.INDICATION_METHOD_KEYWORD
    _put_denial(state, fact, denial_scope(event), WITHDRAWN, by_keyword=by_keyword)


def _revoke(state: ConsentState, fact: Fact, event: ConsentRevoked) -> None:
    _put_denial(state, fact, denial_scope(event.scope), REVOKED)


def _invalidate(state: ConsentState, fact: Fact, event: ConsentInvalidated) -> None:
    _put_denial(state, fact, denial_scope(event.scope), INVALIDATED)


def _put_denial(state: ConsentState, fact: Fact, scope: Scope, status: int, *, by_keyword: bool = False) -> None:
    state.acts.deny(scope, Denial(fact.position, fact.occur_time, status, by_keyword))


def _honour(state: ConsentState, fact: Fact, event: WithdrawalHonoured) -> None:  # noqa: ARG001  # As the others.
    systems = state.honoured.setdefault(event.withdrawal_position, [])
    if event.system not in systems:
        systems.append(event.system)


_FOLDS: Final[dict[str, Callable[[ConsentState, Fact, Any], None]]] = {
    CONSENT_REQUESTED: _ask,
    CONSENT_DEFERRED: _defer,
    CONSENT_GIVEN: _give,
    CONSENT_CONFIRMED: _confirm,
    CONSENT_RENEWED: _renew,
    CONSENT_REFUSED: _refuse,
    CONSENT_WITHDRAWN: _withdraw,
    CONSENT_REVOKED: _revoke,
    CONSENT_INVALIDATED: _invalidate,
    WITHDRAWAL_HONOURED: _honour,
}
TOPICS: Final = tuple(_FOLDS)
"""What this subject folds."""


def term_of(event: ConsentGiven, valid_from: int) -> int:
    """Return the instant at which a grant ends by its own term, in microseconds.

    END_OF_TIME where no time ends it: it is endless, says nothing, or ends with an event or a number of uses, which no
    clock tells.
    """
    if not event.HasField("validity"):
        return END_OF_TIME
    match event.validity.WhichOneof("end"):
        case "until_time":
            return min(microseconds(event.validity.until_time), END_OF_TIME)
        case "duration":
            duration = event.validity.duration
            return min(valid_from + duration.seconds * MICROSECONDS + duration.nanos // 1000, END_OF_TIME)
        case _:
            return END_OF_TIME
