"""RelationshipService through gRPC: one relationship, many by name, and timelines, now and as of the past."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from ledger.domain.consent import GiveConsent, WithdrawConsent
from ledger.domain.interaction import CorrectInteraction, RecordInteraction, RetractInteraction
from ledger.domain.times import timestamp
from rapport.consent.v1.consent_cell_pb2 import CellStatus
from rapport.events.v1 import consent_pb2 as consent_events
from rapport.events.v1 import interaction_pb2 as i
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.relationship.v1.timeline_pb2 import TimelineEntry
from rapport.type.v1.as_of_pb2 import AsOf
from tests.refusals import metadata_of, reason_of, refusal
from tests.relationship_calls import (
    CUSTOMER,
    DAY,
    MARCH,
    ORGANIZATION,
    as_of,
    asked,
    ids,
    purchase,
    record,
    reversal,
    server,
    stub,
    visit,
)
from tests.server import Serving

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


async def test_a_relationship_is_shown_with_everything_recorded(server: Serving, stub: RelationshipServiceStub) -> None:
    given = consent_events.ConsentGiven(purposes=["news"])
    position = await record(
        server,
        visit(at=MARCH, attention_seconds=30, channel=i.CHANNEL_EMAIL),
        GiveConsent("acme/c-1", given, MARCH + 1),
        purchase("x-1", at=MARCH + 2),
        purchase("x-2", 750, at=MARCH + 3),
        reversal("x-2"),
    )

    shown = (await stub.GetRelationship(asked())).relationship

    assert ("acme", "c-1", 5, position, position) == (
        shown.organization_id,
        shown.customer_id,
        shown.version,
        shown.last_position,
        shown.position,
    )
    assert position == shown.as_of.position
    assert shown.as_of.occur_time.ToMicroseconds() > MARCH
    assert (MARCH, MARCH + 2) == (shown.first_occur_time.ToMicroseconds(), shown.last_occur_time.ToMicroseconds())
    assert (1, 1, 30) == (shown.interactions.count, shown.interactions.inbound, shown.interactions.attention_seconds)
    assert [(i.CHANNEL_EMAIL, 1)] == [(each.channel, each.count) for each in shown.interactions.by_channel]
    assert (1, 1) == (shown.exchanges.count, shown.exchanges.reversed)
    assert [(CUSTOMER, "EUR/2", 2000, 750), (ORGANIZATION, "CD/0", 2, 1)] == [
        (each.giver, each.asset, each.posted, each.reversed) for each in shown.quantities
    ]
    assert [("news", consent_events.CONSENT_STATUS_GIVEN)] == [
        (each.cell.purpose, each.status) for each in shown.consents
    ]


async def test_the_echoed_view_gives_the_same_answer_for_ever(server: Serving, stub: RelationshipServiceStub) -> None:
    await record(server, visit(), purchase("x-1"), GiveConsent("acme/c-1", consent_events.ConsentGiven(purposes=["a"])))
    now = (await stub.GetRelationship(asked())).relationship
    await record(server, visit(at=MARCH - DAY), WithdrawConsent("acme/c-1", consent_events.ConsentWithdrawn()))

    again = (await stub.GetRelationship(asked(as_of=now.as_of))).relationship

    assert now == again


async def test_a_past_moment_shows_what_had_happened_and_was_known(
    server: Serving, stub: RelationshipServiceStub
) -> None:
    first = await record(server, visit(at=MARCH), purchase("x-1", at=MARCH + DAY))
    await record(server, CorrectInteraction("acme/c-1", corrected(first - 1), MARCH + 2 * DAY))

    before = (await stub.GetRelationship(asked(as_of=as_of(MARCH, first)))).relationship
    after = (await stub.GetRelationship(asked(as_of=as_of(MARCH)))).relationship

    assert (1, 0) == (before.interactions.count, before.exchanges.count)
    assert (0, 0) == (after.interactions.count, after.exchanges.count)
    assert MARCH == after.as_of.occur_time.ToMicroseconds()
    assert not after.HasField("first_occur_time")


def corrected(position: int) -> i.InteractionCorrected:
    replacement = i.InteractionRecorded(kind=i.INTERACTION_KIND_CALL, direction=i.DIRECTION_INBOUND)
    return i.InteractionCorrected(original_position=position, replacement=replacement)


async def test_the_status_of_a_consent_is_that_of_the_view(server: Serving, stub: RelationshipServiceStub) -> None:
    validity = consent_events.Validity(until_time=timestamp(MARCH + DAY))
    given = consent_events.ConsentGiven(purposes=["news"], validity=validity)
    await record(server, GiveConsent("acme/c-1", given, MARCH))

    def statuses(consents: Sequence[CellStatus]) -> list[int]:
        return [each.status for each in consents]

    then = (await stub.GetRelationship(asked(as_of=as_of(MARCH + DAY - 1)))).relationship
    now = (await stub.GetRelationship(asked())).relationship

    assert [consent_events.CONSENT_STATUS_GIVEN] == statuses(then.consents)
    assert [consent_events.CONSENT_STATUS_EXPIRED] == statuses(now.consents)


async def test_who_is_not_known_in_the_view_is_told_so(server: Serving, stub: RelationshipServiceStub) -> None:
    position = await record(server, visit())

    never = await refusal(stub.GetRelationship(asked("c-9")))
    not_yet = await refusal(stub.GetRelationship(asked(as_of=as_of(position=position - 1))))
    timeline = await refusal(stub.ListTimeline(pb.ListTimelineRequest(organization_id="acme", customer_id="c-9")))

    assert ["RELATIONSHIP_UNKNOWN"] * 3 == [reason_of(each) for each in (never, not_yet, timeline)]
    assert {"organization_id": "acme", "customer_id": "c-9"} == metadata_of(never)


async def test_many_are_shown_at_one_position(server: Serving, stub: RelationshipServiceStub) -> None:
    await record(server, visit("b"), visit("a"))
    head = server.app.ledger.head.position

    answer = await stub.BatchGetRelationships(
        pb.BatchGetRelationshipsRequest(organization_id="acme", customer_ids=["b", "nobody", "a"])
    )
    past = await stub.BatchGetRelationships(
        pb.BatchGetRelationshipsRequest(
            organization_id="acme", customer_ids=["a", "b"], as_of=as_of(MARCH - 1, position=head)
        )
    )

    assert (["b", "a"], ["nobody"]) == (ids(answer.relationships), list(answer.unknown_customer_ids))
    assert {head} == {each.position for each in answer.relationships}
    assert [0, 0] == [each.interactions.count for each in past.relationships]


@pytest.mark.parametrize(
    "view, reason",
    [
        (AsOf(position=10**6), "KNOWN_AT_IN_FUTURE"),
        (AsOf(record_time=timestamp(4 * 10**15)), "KNOWN_AT_NOT_SETTLED"),
        (AsOf(position=4), "KNOWN_AT_INSIDE_BATCH"),
    ],
)
async def test_a_view_that_cannot_be_had_is_refused(
    server: Serving, stub: RelationshipServiceStub, view: AsOf, reason: str
) -> None:
    assert 6 == await record(server, visit(), visit(), visit())

    found = await refusal(stub.GetRelationship(asked(as_of=view)))
    timeline = await refusal(
        stub.ListTimeline(pb.ListTimelineRequest(organization_id="acme", customer_id="c-1", as_of=view))
    )

    assert reason == reason_of(found) == reason_of(timeline)


async def test_a_timeline_is_in_the_order_in_which_things_happened(
    server: Serving, stub: RelationshipServiceStub
) -> None:
    first = await record(server, visit(at=MARCH + DAY, attention_seconds=5))
    second = await record(server, purchase("x-1", at=MARCH))
    third = await record(server, CorrectInteraction("acme/c-1", corrected(first), MARCH + 2 * DAY))
    fourth = await record(server, reversal("x-1"))

    timeline = await stub.ListTimeline(pb.ListTimelineRequest(organization_id="acme", customer_id="c-1"))

    # A reversal at the original's time stands beside it.
    assert [second, fourth, first, third] == [entry.position for entry in timeline.entries]
    assert [fourth, 0, third, 0] == [entry.undone_by_position for entry in timeline.entries]
    assert ["exchange_recorded", "exchange_reversed", "interaction_recorded", "interaction_corrected"] == [
        entry.WhichOneof("event") for entry in timeline.entries
    ]
    assert 5 == timeline.entries[2].interaction_recorded.attention_seconds
    assert MARCH + DAY == timeline.entries[2].metadata.occur_time.ToMicroseconds()
    assert (fourth, fourth) == (timeline.position, timeline.as_of.position)


async def test_a_timeline_of_the_past_shows_what_was_known_then(server: Serving, stub: RelationshipServiceStub) -> None:
    first = await record(server, visit(at=MARCH), visit(at=MARCH + DAY))
    await record(server, RetractInteraction("acme/c-1", i.InteractionRetracted(original_position=first - 1)))

    timeline = await stub.ListTimeline(
        pb.ListTimelineRequest(organization_id="acme", customer_id="c-1", as_of=as_of(MARCH, first))
    )

    assert [(first - 1, 0)] == [(entry.position, entry.undone_by_position) for entry in timeline.entries]


async def test_pages_of_a_timeline_are_of_one_moment(server: Serving, stub: RelationshipServiceStub, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(12):
        await record(server, *(visit(at=MARCH + chance.randrange(5) * DAY) for _ in range(2)))
    whole = await stub.ListTimeline(pb.ListTimelineRequest(organization_id="acme", customer_id="c-1"))
    request = pb.ListTimelineRequest(organization_id="acme", customer_id="c-1", page_size=5)
    found: list[TimelineEntry] = []
    while True:
        page = await stub.ListTimeline(request)
        found += page.entries
        await record(server, visit(at=MARCH))
        assert whole.position == page.position
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert list(whole.entries) == found


async def test_what_was_sealed_is_said_and_not_shown(server: Serving, stub: RelationshipServiceStub) -> None:
    message = RecordInteractionRequest()
    message.interaction.kind, message.interaction.direction = i.INTERACTION_KIND_MESSAGE, i.DIRECTION_INBOUND
    message.interaction.summary = "asked about Paris"
    await record(server, RecordInteraction("acme/c-1", message.interaction, MARCH), message=message)

    timeline = await stub.ListTimeline(pb.ListTimelineRequest(organization_id="acme", customer_id="c-1"))

    assert {("interaction_recorded", True), ("key_created", False)} == {
        (entry.WhichOneof("event"), entry.has_personal_part) for entry in timeline.entries
    }
    assert "Paris" not in str(timeline)
