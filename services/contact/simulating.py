"""SimulateDecision and BatchSimulateDecisions: the same decision, from any point of view, and nothing recorded.

A decision of now about a customer in memory waits for nothing but the head of the log. Facts that did not happen are
folded into a state that was folded for them alone: what is in memory belongs to everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ledger.contact.decision import decide
from ledger.contact.drawing import draw, read_set
from ledger.domain.fact import Fact
from ledger.domain.identifiers import policy_stream, relationship_stream
from ledger.domain.times import microseconds
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.events.v1.contact_pb2 import ContactDecided
from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from rapport.events.v1.metadata_pb2 import EventMetadata
from services.contact import translate
from services.contact.answers import tell_simulated
from services.contact.sights import Asked, Sight, Sights
from services.runtime.app import App
from services.runtime.translating import as_of_told
from services.runtime.validation import check, check_size

_TOPICS: Final = {
    "consent_given": "consent.given.v1",
    "consent_refused": "consent.refused.v1",
    "consent_withdrawn": "consent.withdrawn.v1",
    "objection_raised": "objection.raised.v1",
    "preference_declared": "preference.declared.v1",
    "suppression_added": "suppression.added.v1",
    "profile_declared": "profile.declared.v1",
    "guardian_appointed": "guardian.appointed.v1",
    "recipient_grant_given": "recipient_grant.given.v1",
    "interaction_recorded": "interaction.recorded.v1",
    "identifier_verified": "identifier.verified.v1",
}
"""Topic of each fact that may be added."""


class Simulating:
    """Simulates decisions. Lives on one event loop."""

    def __init__(self, app: App, sights: Sights) -> None:
        self._app = app
        self._ledger = app.ledger
        self._sights = sights

    async def simulate(self, request: pb.SimulateDecisionRequest) -> pb.SimulateDecisionResponse:
        """Simulate one decision. What is refused, and why, is said in `contact_service.proto`; so for the other."""
        check(request)
        asked = Asked(relationship_stream(request.organization_id, request.customer_id), request.question)
        wants_now = not request.HasField("as_of") or not request.as_of.ListFields()
        if wants_now and not request.added:
            sight = await self._sights.now((asked,), request.min_position)
        else:
            view = await self._ledger.resolve(request.as_of, request.min_position)
            # What is supposed must not be taken for an event of the log, also where the view lies before its end.
            head = (await self._ledger.resolve(None)).position if request.added else view.position
            sight = await self._sights.past((asked,), view)
            _suppose(sight.states[asked.stream_id], request.added, view.occur_time, head)
        policy = _policy(request, sight)
        response = pb.SimulateDecisionResponse()
        view = sight.view
        tell_simulated(response.decision, decided(asked, sight, policy), view.occur_time, view)
        return response

    async def batch(self, request: pb.BatchSimulateDecisionsRequest) -> pb.BatchSimulateDecisionsResponse:
        """Simulate many decisions, all at one point of view."""
        check_size(len(request.items), self._app.settings.batch_items_max)
        check(request)
        organization_id = request.organization_id
        asked = [Asked(relationship_stream(organization_id, item.customer_id), item.question) for item in request.items]
        if not request.HasField("as_of") or not request.as_of.ListFields():
            sight = await self._sights.now(asked, request.min_position)
        else:
            sight = await self._sights.past(asked, await self._ledger.resolve(request.as_of, request.min_position))
        response, view = pb.BatchSimulateDecisionsResponse(), sight.view
        told = as_of_told(view.occur_time, view.position)
        for each in asked:
            tell_simulated(response.decisions.add(), decided(each, sight), view.occur_time, view, told)
        return response


def decided(asked: Asked, sight: Sight, policy: ContactPolicy | None = None) -> ContactDecided:
    """Return the answer to a question, of the instant of a sight. `policy`: by which, instead of the one in force."""
    stream_id, question = asked
    states, at = sight.states, sight.view.occur_time
    picture = draw(stream_id, states, at, book=sight.books.get(stream_id), policy=policy)
    return decide(picture, question, at, read_set(stream_id, states))


def _policy(request: pb.SimulateDecisionRequest, sight: Sight) -> ContactPolicy | None:
    """Return by which policy to decide; None: by the one in force.

    Raises:
        Invalid: the policy given breaks rules; every violation is named.
        Rejected: POLICY_UNKNOWN.
    """
    if not request.contact_policy_version and not request.HasField("contact_policy"):
        return None
    published = sight.states[policy_stream(request.organization_id)]
    faults = tuple(translate.policy_faults(request, published, sight.view.occur_time))
    if faults:
        check(request, *faults)
    return translate.other_policy(request, published)


def _suppose(state: Any, added: Iterable[pb.HypotheticalFact], at: int, head: int) -> None:
    """Fold facts that did not happen into a state that nobody else has, at positions beyond the log's.

    They have no versions of their own, so that the answer tells the stream's as it was read. `at`: the instant asked
    about, in microseconds. `head`: position of the log's last event.
    """
    version = state.version
    for number, hypothetical in enumerate(added, start=1):
        name = hypothetical.WhichOneof("fact")
        assert name is not None, "the request keeps its rules"
        occur_time = microseconds(hypothetical.occur_time) if hypothetical.HasField("occur_time") else at
        event = getattr(hypothetical, name)
        fact = Fact(head + number, version, at, occur_time, _TOPICS[name], event, EventMetadata())
        state.evolve(fact)
