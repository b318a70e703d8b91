"""`withdrawal_overdue`: a system has not said in time that it acts on a withdrawal (consent.md 4, relationship.md 15).

Withdrawals and objections wait from their event on. Where the policy names systems, each of them has to speak, and is
announced by itself; else one of any name is enough.
"""

from collections.abc import Iterator
from typing import Final

from ledger.change.look import Draft, Look
from ledger.contact.honour import honour_due
from ledger.contact.picture import Picture
from ledger.contact.terms import jurisdiction_of
from ledger.domain.consent_scope import denial_scope
from ledger.domain.consent_state import CONSENT_WITHDRAWN
from ledger.domain.objection import OBJECTION_RAISED
from rapport.change.v1 import change_pb2 as pb
from rapport.events.v1.consent_pb2 import ConsentWithdrawn, ObjectionRaised

_WAITING: Final = "WAITING"
_OVERDUE: Final = "OVERDUE"


def honouring(look: Look) -> Iterator[Draft]:
    """Announce what is overdue at this instant; it is looked for no more then."""
    waiting = look.levels.waiting
    if look.topic in (CONSENT_WITHDRAWN, OBJECTION_RAISED):
        _wait(look)
    if not waiting:
        return
    for position in sorted(waiting, key=int):
        left = _silent(look, int(position))
        if not left:
            del waiting[position]
        elif waiting[position] <= look.at:
            del waiting[position]
            for system in left:
                measure = f"withdrawal:{position}" + (f"/{system}" if system else "")
                yield Draft(pb.CHANGE_KIND_WITHDRAWAL_OVERDUE, measure, _WAITING, _OVERDUE, look.cause)


def _wait(look: Look) -> None:
    """Let a withdrawal or an objection wait for those who have to act on it."""
    fact, outlook, state = look.fact, look.measured.outlook, look.measured.record.state
    assert fact is not None
    event = fact.event
    assert isinstance(event, ConsentWithdrawn | ObjectionRaised)
    scope = denial_scope(event if isinstance(event, ConsentWithdrawn) else event.scope)
    law = jurisdiction_of(Picture(look.stream_id, state, outlook.contact_policy, outlook.purposes))
    due = honour_due(outlook.contact_policy, law, scope.channels, fact.occur_time)
    if due is not None:
        look.levels.waiting[str(fact.position)] = due


def _silent(look: Look, position: int) -> tuple[str, ...]:
    """Return the systems that have not spoken; an empty name: none has, and any would do."""
    spoke = look.measured.record.state.consents.honoured.get(position, ())
    systems = look.measured.outlook.rules.honouring_systems
    if not systems:
        return () if spoke else ("",)
    return tuple(sorted(systems.difference(spoke)))
