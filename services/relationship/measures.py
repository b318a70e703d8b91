"""What RelationshipService answers of measures: one relationship, many, why, and what differs."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ledger.domain.identifiers import policy_stream, relationship_stream
from ledger.ledger import Ledger
from ledger.measure import tactics
from ledger.measure.measured import Measured
from ledger.measure.remembering import remembered
from ledger.measure.steady import steady_until
from ledger.views import Look
from rapport.relationship.v1 import relationship_pb2 as shapes
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.explaining_pb2 import MEASURE_GROUP_TACTICS
from rapport.relationship.v1.measures_pb2 import Measures as Told
from services.relationship import translate
from services.relationship.measure_translate import Gap, gap_of, tell_gap, tell_measures, tell_scope
from services.relationship.measuring import Asked, Measuring, Sight
from services.relationship.translate import tell, wants_now
from services.runtime.records import Records


class Measures:
    """Shows relationships with their measures. Lives on one event loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.measuring = Measuring(ledger, Records(ledger))

    async def get(self, request: pb.GetRelationshipRequest, told: shapes.Relationship) -> None:
        """Fill in one relationship; refuse as `relationship_service.proto` says."""
        asked = Asked(request.as_of, request.under, request.scope)
        organization_id, customer_id, groups = request.organization_id, request.customer_id, request.measures
        sight = await self.measuring.sight(
            relationship_stream(organization_id, customer_id), asked, request.min_position
        )
        if sight is None:
            raise translate.unknown(organization_id, customer_id)
        if asked.now and not groups:
            tell_now(told, organization_id, customer_id, sight)
        else:
            _tell_look(told, request, customer_id, sight.look)
            tell_measures(told.measures, sight.measured, groups)
        tell_scope(told.measures, sight, asked.scope)
        if groups and MEASURE_GROUP_TACTICS in groups:  # By name only: it takes views of the past.
            await self._tell_strength_changes(told.measures, organization_id, sight)

    async def _tell_strength_changes(self, told: Told, organization_id: str, sight: Sight) -> None:
        """Add to tactics how the strength changed after them."""
        rows, strengths = tactics.compared(sight.measured), dict[int, int]()
        if not rows:
            return
        # From here on others have their turns, so the record may move on; only the facts of the view are read.
        streams = [relationship_stream(organization_id, each) for each in sight.customer_ids]
        facts = await self.measuring.facts(streams, sight.look.view)
        for found in tactics.strengths_at(sight.measured, facts, tactics.instants_of(rows)):
            if found is not None:
                strengths[found[0]] = found[1]
            await asyncio.sleep(0)
        changes = tactics.mean_changes(rows, strengths)
        for effect in told.tactics:
            if effect.tactic in changes:
                effect.mean_strength_change_ppm = changes[effect.tactic]

    async def batch(self, request: pb.BatchGetRelationshipsRequest) -> pb.BatchGetRelationshipsResponse:
        """Return many relationships, all at one position."""
        response = pb.BatchGetRelationshipsResponse()
        looks = await self._looks(request)
        policy_version = looks.pop("").version if "" in looks else 0
        for customer_id, look in looks.items():
            if not look.version:
                response.unknown_customer_ids.append(customer_id)
                continue
            told = response.relationships.add()
            if request.measures:
                await self._measured(request, told, customer_id, look, policy_version)
            else:
                _tell_look(told, request, customer_id, look)
        return response

    async def _measured(
        self,
        request: pb.BatchGetRelationshipsRequest,
        told: shapes.Relationship,
        customer_id: str,
        look: Look,
        policy_version: int,
    ) -> None:
        """Fill in one relationship of several, with measures; the look's state may have moved on."""
        stream_id, asked = (
            relationship_stream(request.organization_id, customer_id),
            Asked(request.as_of, request.under),
        )
        if wants_now(request.as_of):
            sight = await self.measuring.of_look(stream_id, look, policy_version, asked)
        else:
            sight = await self.measuring.past(stream_id, look.view, asked)
        assert sight is not None, "something is recorded of it"
        _tell_look(told, request, customer_id, sight.look)
        tell_measures(told.measures, sight.measured, request.measures)
        tell_scope(told.measures, sight, asked.scope)

    async def _looks(self, request: pb.BatchGetRelationshipsRequest) -> dict[str, Look]:
        """Return the state of each customer asked for, all at one position.

        Of now what is published too, by an empty id.
        """
        names = {each: relationship_stream(request.organization_id, each) for each in request.customer_ids}
        if wants_now(request.as_of):
            names[""] = policy_stream(request.organization_id)
            looks = await self._ledger.current_many(tuple(names.values()), request.min_position)
            return {customer_id: looks[stream_id] for customer_id, stream_id in names.items()}
        view = await self._ledger.resolve(request.as_of, request.min_position)
        return {customer_id: await self._ledger.state_at(stream_id, view) for customer_id, stream_id in names.items()}


class _Seen(NamedTuple):
    """What is told of a relationship of now until something is recorded, or the clock moves a measure."""

    relationship: shapes.Relationship
    last_occur_time: int | None
    """As of its state."""
    gap: Gap


def tell_now(told: shapes.Relationship, organization_id: str, customer_id: str, sight: Sight) -> None:
    """Fill in a relationship of now with all its measures: as told before, but for what the clock moves always."""
    measured, look = sight.measured, sight.look

    def anew(m: Measured) -> _Seen:
        made = shapes.Relationship()
        last_occur_time = translate.tell_recorded(made, organization_id, customer_id, look)
        tell_measures(made.measures, m, ())
        return _Seen(made, last_occur_time, gap_of(m))

    known = remembered(measured, "told", anew, steady_until)
    told.CopyFrom(known.relationship)
    tell_gap(told.measures, known.gap, measured.at)
    now, position, _ = look.view
    at = now if known.last_occur_time is None else max(now, known.last_occur_time)
    translate.tell_standing(told, look.state, position, at)


def _tell_look(
    told: shapes.Relationship,
    request: pb.GetRelationshipRequest | pb.BatchGetRelationshipsRequest,
    customer_id: str,
    look: Look,
) -> None:
    occur_time = None if wants_now(request.as_of) else look.view.occur_time
    tell(told, request.organization_id, customer_id, look, look.view.position, occur_time)
