"""ExplainDecision: a recorded decision, its permit, its replay, and what later knowledge makes of it.

Later knowledge is everything that was recorded by the view's position, but for the decision itself; it is asked for the
same instant, unless the caller names another. What is folded for that is the explanation's alone, so a long history is
folded in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from threading import Event
from typing import Any, Final, NamedTuple, TypeVar

from ledger.contact.changing import needed
from ledger.contact.decision import MODEL_VERSION
from ledger.contact.permits import Permit, permit_status
from ledger.contact.person import person
from ledger.contact.replaying import Facts, answer, chosen, differing_fields, ever_linked, replayed, same_answer
from ledger.domain.contact import Decided, decided_of
from ledger.domain.errors import Rejected
from ledger.domain.identifiers import organization_of, policy_stream, relationship_stream
from ledger.domain.streams import initial_state
from ledger.domain.times import END_OF_TIME, microseconds
from ledger.views import View
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.contact_pb2 import ContactDecided
from services.contact.answers import tell_recorded, tell_simulated
from services.runtime.app import App
from services.runtime.times import set_time
from services.runtime.validation import check

_EVENTS_AT_ONCE: Final = 500
"""Events that are folded a few times over on the event loop; more are, in a thread."""

T = TypeVar("T")


class Recorded(NamedTuple):
    """A decision with all that it may rest on, as far as it was recorded by a view's position."""

    stream_id: str
    decided: Decided
    actor: str
    facts: Facts


class Later(NamedTuple):
    """What later knowledge makes of a decision."""

    message: ContactDecided
    changed_by: list[int]
    """Positions of the events that make the difference."""


class _Left(Exception):
    """Whoever asked has gone: no thread should fold a long history for nobody."""


class Explaining:
    """Explains decisions. Lives on one event loop."""

    def __init__(self, app: App) -> None:
        self._ledger = app.ledger

    async def explain(self, request: pb.ExplainDecisionRequest) -> pb.ExplainDecisionResponse:
        """Explain one decision. What is refused, and why, is said in `contact_service.proto`."""
        check(request)
        view = await self._ledger.resolve(request.as_of, request.min_position)
        recorded = await self._recorded(request, view)
        decided = recorded.decided
        if decided.message.model_version != MODEL_VERSION:
            raise Rejected(
                reasons.ERROR_REASON_DECISION_MODEL_UNSUPPORTED,
                "the decision was made by rules that this release does not have; what is recorded stands",
                model_version=decided.message.model_version,
            )
        given = request.as_of.HasField("occur_time")
        instant = microseconds(request.as_of.occur_time) if given else decided.occur_time
        again, later = await _in_turn(recorded, lambda left: (_again(recorded), _later(recorded, instant, left)))
        permit = _permit(recorded, view)
        response = pb.ExplainDecisionResponse(
            permit_status=int(permit.status),  # type: ignore[arg-type]  # The numbers are the same.
            permit_position=permit.position,
            identical=not again,
            differs_in=again,
            changed_by_positions=later.changed_by,
            actor=recorded.actor,
        )
        tell_recorded(response.recorded, decided.message, decided.position, decided.occur_time)
        set_time(response.record_time, decided.record_time)
        tell_simulated(response.later, later.message, instant, View(instant, view.position))
        return response

    async def _recorded(self, request: pb.ExplainDecisionRequest, view: View) -> Recorded:
        """Return a decision and the facts of every stream that it, or a later answer, may rest on.

        Raises:
            Rejected: DECISION_UNKNOWN, KNOWN_AT_INSIDE_BATCH.
        """
        stream_id = relationship_stream(request.organization_id, request.customer_id)
        known = View(END_OF_TIME, view.position, view.given)
        own = await self._ledger.facts(stream_id, known)
        found = [fact for fact in own if fact.position == request.decision_id]
        if not found or not isinstance(found[0].event, ContactDecided):
            raise Rejected(
                reasons.ERROR_REASON_DECISION_UNKNOWN,
                "the position does not name a decision of this relationship; name the decision_id that Decide answered",
                decision_id=request.decision_id,
            )
        facts, wanted = {stream_id: own}, ever_linked(stream_id, own) | {policy_stream(request.organization_id)}
        while missing := sorted(wanted - facts.keys()):
            for name in missing:
                facts[name] = await self._ledger.facts(name, known._replace(given=False))
                wanted |= ever_linked(name, facts[name])
        return Recorded(stream_id, decided_of(found[0].event, found[0]), found[0].metadata.actor, facts)


def _again(recorded: Recorded) -> list[str]:
    """Return the fields in which a replay differs from what was recorded."""
    again = replayed(recorded.stream_id, recorded.decided, recorded.facts)
    return differing_fields(recorded.decided.message, again)


def _later(recorded: Recorded, instant: int, left: Event) -> Later:
    """Return the answer to the same question for an instant, in microseconds, with all that was recorded.

    It is compared with what the events before the decision say of that instant: for the decision's own, the recorded
    answer.

    Raises:
        _Left: whoever asked has `left`.
    """
    stream_id, decided, facts = recorded.stream_id, recorded.decided, recorded.facts
    question, decision_id = decided.message.question, decided.position

    def told(later: Iterable[int]) -> ContactDecided:
        if left.is_set():
            raise _Left
        return answer(stream_id, question, chosen(facts, decision_id, frozenset(later)), instant, instant)

    later = sorted(fact.position for of_stream in facts.values() for fact in of_stream if fact.position > decision_id)
    before = told(())
    return Later(told(later), needed(later, lambda some: not same_answer(told(some), before)))


def _permit(recorded: Recorded, view: View) -> Permit:
    """Return what became of the permit, in a view."""
    states: dict[str, Any] = {name: initial_state(name, view.occur_time) for name in recorded.facts}
    for name, of_stream in recorded.facts.items():
        for fact in of_stream:
            states[name].evolve(fact)
    stream_id = recorded.stream_id
    published = states.pop(policy_stream(organization_of(stream_id)))
    linked = [states[name] for name in person(stream_id, states).linked]
    purposes = published.purposes.current.by_slug
    decision_id, at = recorded.decided.position, view.occur_time
    return permit_status(states[stream_id], decision_id, at, purposes=purposes, linked=linked)


async def _in_turn(recorded: Recorded, work: Callable[[Event], T]) -> T:
    """Return what some work comes to; in a thread where it folds much, which hears of it when nobody waits any more."""
    left = Event()
    if sum(len(of_stream) for of_stream in recorded.facts.values()) <= _EVENTS_AT_ONCE:
        return work(left)
    try:
        return await asyncio.to_thread(work, left)
    finally:
        left.set()
