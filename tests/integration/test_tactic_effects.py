"""Tactics through gRPC: the change of the strength is that of two views of the past, told where it is asked by name."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from ledger.domain.decider import Step
from ledger.domain.identity import Joined, LinkCustomers
from ledger.domain.interaction import RecordInteraction
from ledger.domain.times import timestamp
from ledger.requests import Request
from rapport.events.v1 import identity_pb2
from rapport.events.v1 import interaction_pb2 as i
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from rapport.relationship.v1 import explaining_pb2 as groups
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.measures_pb2 import Measures
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.levels_pb2 import VIEW_SCOPE_PERSON
from services.relationship import servicer
from tests.server import Serving, serving

MARCH = 1_740_787_200_000_000
DAY = 86_400_000_000


def interaction(customer: str, kind: str, at: int, **fields: Any) -> RecordInteraction:
    number = i.InteractionKind.Value(f"INTERACTION_KIND_{kind}")
    given = {"direction": i.DIRECTION_INBOUND, "initiator": i.INITIATOR_CUSTOMER, **fields}
    return RecordInteraction(f"acme/{customer}", i.InteractionRecorded(kind=number, **given), at)


async def test_the_change_of_the_strength_is_that_of_two_views_of_the_past(tmp_path: Path) -> None:
    async with serving(tmp_path, (servicer,)) as server:
        stub = RelationshipServiceStub(server.channel)
        card = {"direction": i.DIRECTION_OUTBOUND, "tactic": i.TACTIC_BIRTHDAY_CARD}
        await record(
            server,
            interaction("c-1", "GREETING", MARCH, **card),
            interaction("c-1", "PURCHASE", MARCH + DAY),
            interaction("c-2", "QUESTION", MARCH + 2 * DAY),
            interaction("c-1", "GREETING", MARCH + 10 * DAY, **card),
        )

        for scope in (0, VIEW_SCOPE_PERSON):
            if scope:
                await link(server)
            named = await measures(stub, [groups.MEASURE_GROUP_TACTICS], scope=scope)
            unnamed = await measures(stub, scope=scope)
            scores = [
                (await measures(stub, as_of=AsOf(occur_time=timestamp(MARCH + days * DAY)), scope=scope)).strength
                for days in (0, 30, 10, 40)
            ]

            before, after, again, later = (each.score_ppm for each in scores)
            assert after > before
            assert (after - before + later - again) // 2 == named.tactics[0].mean_strength_change_ppm
            assert (2, 1_000_000) == (named.tactics[0].matured_count, named.tactics[0].effect.ppm + 500_000)
            assert not unnamed.tactics[0].HasField("mean_strength_change_ppm")


async def measures(stub: RelationshipServiceStub, wanted: Any = (), **view: Any) -> Measures:
    request = pb.GetRelationshipRequest(organization_id="acme", customer_id="c-1", measures=wanted, **view)
    return (await stub.GetRelationship(request)).relationship.measures


async def record(server: Serving, *steps: Step) -> None:
    request = Request("/test/Record", "acme", uuid.uuid4().bytes, RecordInteractionRequest())
    await server.app.ledger.execute(request, steps)


async def link(server: Serving) -> None:
    linked = identity_pb2.IdentityLinked(
        link_id="l", customer_a_id="c-1", customer_b_id="c-2", evidence="same-person", rule="by-hand"
    )
    first = LinkCustomers("acme/c-1", "acme/c-2", linked, MARCH)
    await record(server, first, Joined("acme/c-2", first))
