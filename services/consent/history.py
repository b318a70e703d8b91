"""The history of a customer's consents: every act, and what became of it in a view."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from ledger.contact.honour import honour_due
from ledger.domain import consent, guardian, notice, objection
from ledger.domain.consent_effect import ended_by, is_in_force, lifted_by
from ledger.domain.consent_scope import ANY_CHANNEL, Scope
from ledger.domain.consent_state import CONSENT_WITHDRAWN
from ledger.domain.consent_status import Denial, Grant
from ledger.domain.fact import Fact
from ledger.domain.objection import OBJECTION_RAISED
from ledger.domain.recipient_grant import RECIPIENT_GRANT_GIVEN, RECIPIENT_GRANT_REVOKED
from ledger.domain.times import END_OF_TIME, MICROSECONDS
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.events.v1.consent_pb2 import (
    ConsentConfirmed,
    ConsentGiven,
    ConsentRenewed,
    ConsentScope,
    GuardianAppointed,
    ObjectionLifted,
    RecipientGrantGiven,
    WithdrawalHonoured,
)
from services.consent.seeing import Sight
from services.runtime.times import set_time

TOPICS: Final = frozenset(
    {
        *consent.TOPICS,
        *notice.TOPICS,
        *objection.TOPICS,
        *guardian.TOPICS,
        RECIPIENT_GRANT_GIVEN,
        RECIPIENT_GRANT_REVOKED,
    }
)
"""What a history tells."""
_HONOURED: Final = frozenset({CONSENT_WITHDRAWN, OBJECTION_RAISED})
"""What systems have to act on in time."""


def history(sight: Sight, facts: Iterable[Fact]) -> Iterable[acts.ConsentHistoryEntry]:
    """Yield an entry for each act of a relationship that its view admits, in the order of positions."""
    teller = _Teller(sight)
    for fact in facts:
        if fact.topic in TOPICS and fact.occur_time <= sight.view.occur_time:
            yield teller.entry(fact)


class _Teller:
    """Tells acts of one relationship."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._state = sight.state
        self._at = sight.view.occur_time
        self._terms = sight.terms
        self._jurisdiction = sight.jurisdiction

    def entry(self, fact: Fact) -> acts.ConsentHistoryEntry:
        """Return what an act was, and what became of it."""
        told = acts.ConsentHistoryEntry(
            position=fact.position, version=fact.version, topic=fact.topic, actor=fact.metadata.actor
        )
        set_time(told.occur_time, fact.occur_time)
        set_time(told.record_time, fact.record_time)
        event: Any = fact.event.consent if isinstance(fact.event, ConsentRenewed) else fact.event
        scope = _scope_of(event)
        if scope is not None:
            told.scope.CopyFrom(scope)
        if "notice" in event.DESCRIPTOR.fields_by_name and event.HasField("notice"):
            told.notice.CopyFrom(event.notice)
        told.refers_to_position = _refers_to(fact)
        self._tell_fate(told, fact)
        told.honoured_by.extend(self._state.consents.honoured.get(fact.position, ()))
        if fact.topic in _HONOURED:
            channels: list[int] = list(told.scope.channels)
            self._tell_due(told, fact, [] if ANY_CHANNEL in channels else channels)
        return told

    def _tell_fate(self, told: acts.ConsentHistoryEntry, fact: Fact) -> None:
        consents = self._state.consents
        if isinstance(fact.event, ConsentGiven | ConsentRenewed):
            found = consents.find(fact.position)
            assert found is not None, "the view admits it"
            self._tell_grant(told, *found)
            return
        denied = consents.find_denial(fact.position)
        if denied is not None:
            self._tell_denial(told, *denied)
        elif fact.topic == OBJECTION_RAISED:
            raised = self._state.objections.find(fact.position)
            told.ended_by_position = 0 if raised is None else raised.lifted_position
            told.counts = not told.ended_by_position
        elif isinstance(fact.event, GuardianAppointed):
            self._tell_guardian(told, fact)
        elif isinstance(fact.event, RecipientGrantGiven):
            told.until.CopyFrom(fact.event.until)
            told.counts = self._state.recipient_grants.is_live(fact.position, self._at)

    def _tell_grant(self, told: acts.ConsentHistoryEntry, scope: Scope, grant: Grant) -> None:
        told.legal_basis = grant.legal_basis  # type: ignore[assignment]  # A number of the enum.
        told.ended_by_position = ended_by(self._state.consents.acts, scope, grant)
        told.counts = not told.ended_by_position and is_in_force(grant, self._at, self._terms)
        _set_end(told, self._terms.end_of(grant, self._at))

    def _tell_denial(self, told: acts.ConsentHistoryEntry, scope: Scope, denial: Denial) -> None:
        told.ended_by_position = lifted_by(self._state.consents.acts, scope, denial, self._at, self._terms)
        told.counts = not told.ended_by_position

    def _tell_guardian(self, told: acts.ConsentHistoryEntry, fact: Fact) -> None:
        event: GuardianAppointed = fact.event  # type: ignore[assignment]  # The caller looked.
        for appointment in self._state.guardians.of(event.guardian_id):
            if appointment.position == fact.position:
                told.counts = appointment.is_live(self._at)
                _set_end(told, appointment.until)

    def _tell_due(self, told: acts.ConsentHistoryEntry, fact: Fact, channels: list[int]) -> None:
        due = honour_due(self._sight.policy, self._jurisdiction, channels, fact.occur_time)
        if due is not None:
            set_time(told.honour_due_time, due)
            told.honour_overdue = self._at >= due and not told.honoured_by


def _set_end(told: acts.ConsentHistoryEntry, end: int) -> None:
    if end < END_OF_TIME:
        set_time(told.until, min(end, END_OF_TIME - MICROSECONDS))


def _scope_of(event: Any) -> ConsentScope | None:
    """Return what an act is about, for those that have that."""
    fields = event.DESCRIPTOR.fields_by_name
    if "scope" in fields:
        found: ConsentScope = event.scope
        return found
    if isinstance(event, ConsentConfirmed) or "purposes" not in fields:
        return None
    scope = ConsentScope(purposes=event.purposes)
    if "channels" in fields:
        scope.channels.extend(event.channels)
        scope.contact_point_ids.extend(event.contact_point_ids)
        scope.brands.extend(event.brands)
    return scope


_REFERENCES: Final[dict[type, Callable[[Any], int]]] = {
    ConsentConfirmed: lambda event: event.given_position,
    ConsentRenewed: lambda event: event.renews_position,
    ObjectionLifted: lambda event: event.raised_position,
    WithdrawalHonoured: lambda event: event.withdrawal_position,
    RecipientGrantGiven: lambda event: event.consent_position,
}


def _refers_to(fact: Fact) -> int:
    refers_to = _REFERENCES.get(type(fact.event))
    return 0 if refers_to is None else refers_to(fact.event)
