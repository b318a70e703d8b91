"""A catalogue that no longer has a type which relationships were given: nothing breaks, and each answer says why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rapport.change.v1 import change_pb2
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_policy_pb2 as p
from rapport.events.v1.relationship_pb2 import RelationshipTypeAssessed, RelationshipTypeDeclared
from rapport.relationship.v1 import explaining_pb2
from rapport.relationship.v1 import measures_pb2 as m
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.type.v1.as_of_pb2 import AsOf
from services.client import Client, Refused
from tests.relationship_policies import APPROVERS, own_type, persona, types
from tests.server import serving

REGULAR, OTHER = "house:regular", "house:other"
ANNA = ("shop", "anna")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with serving(tmp_path) as running, Client(running.target) as made:
        yield made


async def told(client: Client, **values: Any) -> m.TypesMeasure:
    groups = [explaining_pb2.MEASURE_GROUP_TYPES]
    return (await client.get_relationship(*ANNA, measures=groups, **values)).relationship.measures.types


async def begun(client: Client) -> None:
    """Have a customer who wants to be closer, is judged a regular by one function, and whom the policy infers one."""
    await client.publish_types("shop", types(own_type(REGULAR), own_type(OTHER)))
    policy = p.RelationshipPolicy(
        types=p.TypeRules(fallback_slug=REGULAR), announcements=p.AnnouncementRules(mismatch_dwell_seconds=0)
    )
    await client.publish_relationship_policy("shop", policy)
    await client.define_persona("shop", persona(expected_types=[REGULAR]))
    for function in APPROVERS:
        await client.approve_persona("shop", "regulars", 1, function, "eva")
    for _ in range(3):
        said = i.InteractionRecorded(
            kind=i.INTERACTION_KIND_MESSAGE, direction=i.DIRECTION_INBOUND, initiator=i.INITIATOR_CUSTOMER
        )
        await client.record_interaction(*ANNA, said)
    await client.declare_relationship_type(*ANNA, RelationshipTypeDeclared(slug=REGULAR))
    for slug, function in ((REGULAR, i.OUR_FUNCTION_SALES), (OTHER, i.OUR_FUNCTION_SERVICE)):
        judged = RelationshipTypeAssessed(slug=slug, assessor_id="eva", our_function=function)
        await client.assess_relationship_type(*ANNA, judged)


async def test_a_type_that_the_catalogue_drops_stays_a_wish_and_a_judgement_and_is_compared_with_nothing(
    client: Client,
) -> None:
    await begun(client)
    before = await told(client)
    assert (REGULAR, 1) == (before.desired_slug, len(before.mismatches))

    at = (await client.publish_types("shop", types(own_type(OTHER)))).position

    now = await told(client, min_position=at)
    assert (REGULAR, OTHER, REGULAR) == (now.desired_slug, now.actual_slug, now.inferred_slug)
    assert ([REGULAR, OTHER], []) == ([each.slug for each in now.assessed], list(now.mismatches))
    assert m.UNKNOWN_REASON_NOT_COMPARABLE == now.mismatch_unknown
    with pytest.raises(Refused) as refused:
        await client.declare_relationship_type(*ANNA, RelationshipTypeDeclared(slug=REGULAR))
    assert {"slug": REGULAR} == refused.value.metadata
    known = await told(client, as_of=AsOf(position=at - 1))
    assert before.mismatches == known.mismatches, "a view of the past has the catalogue that was known then"


async def test_lists_reports_changes_and_explanations_go_on_without_it(client: Client) -> None:
    await begun(client)
    at = (await client.publish_types("shop", types(own_type(OTHER)))).position

    wishing = pb.RelationshipFilter(standing=explaining_pb2.StandingFilter(desired_slug=REGULAR))
    listed = [each.customer_id async for each in client.list_relationships("shop", filter=wishing, min_position=at)]
    assert ["anna"] == listed
    differing = pb.RelationshipFilter(standing=explaining_pb2.StandingFilter(mismatched=True))
    assert [] == [each async for each in client.list_relationships("shop", filter=differing, min_position=at)]
    inconsistent = [each async for each in client.consistency_report("shop", min_position=at)]
    assert [[REGULAR, OTHER]] == [[each.slug for each in one.judgements] for one in inconsistent]
    await client.get_standing_report("shop", min_position=at)
    parts = [part async for part in client.explain_relationship(*ANNA, min_position=at)]
    assert any(REGULAR in str(part) for part in parts)
    assert (await client.explain_persona(*ANNA, "regulars", min_position=at)).member
    changes = (await client.list_changes("shop", min_position=at)).changes
    assert change_pb2.CHANGE_KIND_POLICY_REEVALUATED == changes[-1].kind, "the organization did it, not the customer"
    assert [each async for each in client.verify_changes()][-1].complete
    published = [each.type.slug for each in (await client.list_types("shop")).types]
    assert (False, True) == (REGULAR in published, OTHER in published)
