"""RelationshipService and ProjectionService through gRPC: now, as of, lists both ways, timelines, rebuilds."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest

from ledger.domain.consent import GiveConsent, WithdrawConsent
from ledger.domain.decider import Step
from ledger.domain.exchange import RecordExchange, ReverseExchange
from ledger.domain.identifiers import policy_stream
from ledger.domain.interaction import CorrectInteraction, RecordInteraction, RetractInteraction
from ledger.domain.policy import RegisterAsset
from ledger.domain.times import timestamp
from ledger.log.reading import pages
from ledger.log.store import EventRow, Store
from ledger.requests import Request
from ledger.testing import fault_points
from rapport.consent.v1.consent_cell_pb2 import CellStatus
from rapport.events.v1 import consent_pb2 as consent_events
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import policy_pb2 as p
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from rapport.projection.v1 import projection_service_pb2 as projection_pb
from rapport.projection.v1.projection_service_pb2_grpc import ProjectionServiceStub
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.relationship_pb2 import Relationship
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.relationship.v1.timeline_pb2 import TimelineEntry
from rapport.type.v1.amount_pb2 import Amount
from rapport.type.v1.as_of_pb2 import AsOf
from services.relationship import servicer
from services.runtime.run import ServiceModule
from services.runtime.settings import Secret
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import Serving, serving

MODULES: tuple[ServiceModule, ...] = (servicer,)
MARCH = 1_740_787_200_000_000
DAY = 86_400_000_000
ASSETS = [
    RegisterAsset(stream_id=policy_stream("acme"), asset=asset)
    for asset in (
        p.AssetRegistered(asset="EUR/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=10_000),
        p.AssetRegistered(asset="CD/0", kind=p.ASSET_KIND_ITEM, max_units_per_leg=100),
    )
]
CUSTOMER, ORGANIZATION = x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path, MODULES) as running:
        await record(running, *ASSETS)
        yield running


@pytest.fixture
def stub(server: Serving) -> RelationshipServiceStub:
    return RelationshipServiceStub(server.channel)


@pytest.fixture
def projections(server: Serving) -> ProjectionServiceStub:
    return ProjectionServiceStub(server.channel)


async def record(server: Serving, *steps: Step, message: RecordInteractionRequest | None = None) -> int:
    """Record all in one request; return the position of the last."""
    request = Request("/test/Record", "acme", uuid.uuid4().bytes, message or RecordInteractionRequest())
    return (await server.app.ledger.execute(request, steps)).position


def visit(customer: str = "c-1", at: int = MARCH, **fields: Any) -> RecordInteraction:
    event = i.InteractionRecorded(kind=i.INTERACTION_KIND_VISIT, direction=i.DIRECTION_INBOUND, **fields)
    return RecordInteraction(f"acme/{customer}", event, at)


def purchase(exchange_id: str, cents: int = 1250, customer: str = "c-1", at: int = MARCH) -> RecordExchange:
    pays = x.Leg(giver=CUSTOMER, category=x.CATEGORY_MONEY_PAYMENT, amount=Amount(units=cents, asset="EUR/2"))
    gets = x.Leg(giver=ORGANIZATION, category=x.CATEGORY_GOODS, amount=Amount(units=1, asset="CD/0"))
    event = x.ExchangeRecorded(exchange_id=exchange_id, legs=[pays, gets])
    return RecordExchange(stream_id=f"acme/{customer}", event=event, occur_time=at)


def reversal(exchange_id: str, customer: str = "c-1") -> ReverseExchange:
    event = x.ExchangeReversed(exchange_id=exchange_id, reversal_id=f"r-{exchange_id}", at_original=True)
    return ReverseExchange(stream_id=f"acme/{customer}", event=event)


def asked(customer: str = "c-1", **more: Any) -> pb.GetRelationshipRequest:
    return pb.GetRelationshipRequest(organization_id="acme", customer_id=customer, **more)


def listing(**more: Any) -> pb.ListRelationshipsRequest:
    return pb.ListRelationshipsRequest(organization_id="acme", **more)


def as_of(occur_time: int | None = None, position: int | None = None) -> AsOf:
    view = AsOf(occur_time=None if occur_time is None else timestamp(occur_time))
    if position is not None:
        view.position = position
    return view


def ids(relationships: Sequence[Relationship]) -> list[str]:
    return [each.customer_id for each in relationships]


# --- One, and many by name --------------------------------------------------------------------------------------------


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


# --- Lists ------------------------------------------------------------------------------------------------------------


async def history(server: Serving, seed: int) -> int:
    """Record some of everything for a few dozen customers; return the head."""
    chance = random.Random(seed)
    bought: list[tuple[str, str]] = []
    for number in range(120):
        customer = f"c-{chance.randrange(25):02}"
        at = MARCH + chance.randrange(30) * DAY
        kind = chance.randrange(6)
        if kind < 2:
            await record(server, visit(customer, at))
        elif kind < 4:
            await record(server, purchase(f"x-{seed}-{number}", chance.randrange(1, 5) * 100, customer, at))
            bought.append((f"x-{seed}-{number}", customer))
        elif kind == 4 and bought:
            exchange_id, owner = bought.pop(chance.randrange(len(bought)))
            await record(server, reversal(exchange_id, owner))
        else:
            position = await record(server, visit(customer, at))
            retraction = i.InteractionRetracted(original_position=position)
            await record(server, RetractInteraction(f"acme/{customer}", retraction))
    return server.app.ledger.head.position


QUESTIONS: list[dict[str, Any]] = [
    {},
    {"filter": {"customer_id_prefix": "c-1"}},
    {"filter": {"customer_id_prefix": "c-07"}},
    {"filter": {"first_occur_time_from": timestamp(MARCH + 5 * DAY)}},
    {"filter": {"last_occur_time_from": timestamp(MARCH + 9 * DAY), "interactions_min": 1}},
    {"filter": {"last_occur_time_before": timestamp(MARCH + 25 * DAY), "exchanges_min": 1}},
    {"filter": {"units": {"giver": CUSTOMER, "asset": "EUR/2"}, "units_min": 200, "units_max": 600}},
    {"filter": {"units": {"giver": ORGANIZATION, "asset": "CD/0"}, "units_max": 1}},
]
ORDERS = [
    pb.RELATIONSHIP_ORDER_UNSPECIFIED,
    pb.RELATIONSHIP_ORDER_LAST_OCCUR_TIME_DESCENDING,
    pb.RELATIONSHIP_ORDER_INTERACTIONS_DESCENDING,
    pb.RELATIONSHIP_ORDER_UNITS_DESCENDING,
]


async def all_pages(stub: RelationshipServiceStub, request: pb.ListRelationshipsRequest) -> list[Relationship]:
    found: list[Relationship] = []
    while True:
        page = await stub.ListRelationships(request)
        assert all(page.position == each.position for each in page.relationships)
        found += page.relationships
        if not page.next_page_token:
            return found
        assert request.page_size == len(page.relationships)
        request.page_token = page.next_page_token


def without_time(found: list[Relationship]) -> list[Relationship]:
    for each in found:
        each.as_of.ClearField("occur_time")
    return found


async def test_the_index_and_the_fold_list_the_same_whatever_is_asked(
    server: Serving, stub: RelationshipServiceStub, seed: int
) -> None:
    head = await history(server, seed)
    compared = 0
    for question in QUESTIONS:
        for order in ORDERS:
            request = listing(**question, order_by=order, min_position=head, page_size=7)
            if order == pb.RELATIONSHIP_ORDER_UNITS_DESCENDING and not request.filter.HasField("units"):
                request.filter.units.giver, request.filter.units.asset = CUSTOMER, "EUR/2"
            now = await all_pages(stub, request)

            request.ClearField("page_token")
            request.as_of.position = head
            request.as_of.occur_time.CopyFrom(timestamp(server.app.ledger.clock()))
            past = await all_pages(stub, request)

            assert without_time(past) == without_time(now), (question, order)
            compared += len(now)
    assert compared > 100


async def test_a_list_of_the_past_is_the_list_that_was(
    server: Serving, stub: RelationshipServiceStub, seed: int
) -> None:
    head = await history(server, seed)
    request = listing(order_by=pb.RELATIONSHIP_ORDER_INTERACTIONS_DESCENDING, min_position=head)
    then = await all_pages(stub, request)
    await history(server, seed + 1)

    request.as_of.position = head
    again = await all_pages(stub, request)

    assert without_time(then) == without_time(again)


async def test_a_list_shows_what_its_position_says_though_more_is_recorded(
    server: Serving, stub: RelationshipServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = await record(server, visit(), visit("c-2"))
    await stub.ListRelationships(listing(min_position=position))
    monkeypatch.setattr("ledger.projections.projector.PACE_S", 30.0)
    await asyncio.sleep(0.1)
    await record(server, visit())  # May be folded still; from then on it rests.
    await asyncio.sleep(0.2)
    await record(server, visit(), visit("c-3"))

    page = await stub.ListRelationships(listing())

    assert page.position < server.app.ledger.head.position
    assert ["c-1", "c-2"] == ids(page.relationships)
    shown = page.relationships[0]
    assert page.position - position + 1 == shown.version
    assert (page.position, shown.version) == (shown.position, shown.interactions.count)


async def test_a_list_waits_for_the_position_asked(server: Serving, stub: RelationshipServiceStub) -> None:
    for number in range(20):
        position = await record(server, visit(f"c-{number:02}"))

        page = await stub.ListRelationships(listing(min_position=position))

        assert page.position >= position
        assert number + 1 == len(page.relationships)


async def test_a_position_that_does_not_come_is_refused(
    server: Serving, stub: RelationshipServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicer, "WAIT_S", 0.1)

    found = await refusal(stub.ListRelationships(listing(min_position=10**6)))

    assert "PROJECTION_BEHIND" == reason_of(found)
    assert "1000000" == metadata_of(found)["wanted"]


async def test_a_list_says_that_it_waited_in_vain_before_the_deadline(
    server: Serving, stub: RelationshipServiceStub
) -> None:
    found = await refusal(stub.ListRelationships(listing(min_position=10**6), timeout=0.5))

    assert "PROJECTION_BEHIND" == reason_of(found)


async def test_a_page_token_belongs_to_its_request(server: Serving, stub: RelationshipServiceStub) -> None:
    position = await record(server, visit("a"), visit("b"), visit("c"))
    request = listing(min_position=position, page_size=1)
    token = (await stub.ListRelationships(request)).next_page_token

    other = await refusal(stub.ListRelationships(listing(min_position=position, order_by=2, page_token=token)))
    broken = await refusal(stub.ListRelationships(listing(min_position=position, page_token=token[:-3] + "abc")))
    nonsense = await refusal(stub.ListRelationships(listing(min_position=position, page_token="é.?")))
    timeline = await refusal(
        stub.ListTimeline(pb.ListTimelineRequest(organization_id="acme", customer_id="a", page_token=token))
    )
    larger = await stub.ListRelationships(listing(min_position=position, page_size=5, page_token=token))

    assert ["PAGE_TOKEN_INVALID"] * 4 == [reason_of(each) for each in (other, broken, nonsense, timeline)]
    assert ["b", "c"] == ids(larger.relationships)


async def test_units_must_be_named_where_they_are_asked_for(stub: RelationshipServiceStub) -> None:
    found = await refusal(
        stub.ListRelationships(
            listing(filter={"units_min": 1}, order_by=pb.RELATIONSHIP_ORDER_UNITS_DESCENDING, page_size=1001)
        )
    )

    assert "REQUEST_INVALID" == reason_of(found)
    assert ["page_size", "filter.units", "filter.units"] == fields_of(found)


async def test_an_organization_without_relationships_has_an_empty_list(stub: RelationshipServiceStub) -> None:
    now = await stub.ListRelationships(listing())
    past = await stub.ListRelationships(listing(as_of=as_of(MARCH)))

    assert ([], []) == (list(now.relationships), list(past.relationships))
    assert "" == now.next_page_token == past.next_page_token


# --- Timelines --------------------------------------------------------------------------------------------------------


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


# --- Projections ------------------------------------------------------------------------------------------------------


async def test_a_projection_says_where_it_stands(
    server: Serving, stub: RelationshipServiceStub, projections: ProjectionServiceStub
) -> None:
    position = await record(server, visit(), purchase("x-1", customer="c-2"))
    await stub.ListRelationships(listing(min_position=position))

    answer = await projections.ListProjections(projection_pb.ListProjectionsRequest())

    programmes, told = answer.projections
    assert ("programmes", 2) == (programmes.name, programmes.fold_version)
    assert ("relationships", 3, position, 4, False) == (
        told.name,
        told.fold_version,
        told.position,
        told.rows,
        told.rebuilding,
    )
    assert position == answer.head
    assert told.HasField("built_time")


async def test_a_rebuild_tells_its_progress_and_ends_swapped(
    server: Serving, stub: RelationshipServiceStub, projections: ProjectionServiceStub, seed: int
) -> None:
    head = await history(server, seed)
    before = await all_pages(stub, listing(min_position=head))

    request = projection_pb.RebuildProjectionRequest(name="relationships")
    frames = [frame async for frame in projections.RebuildProjection(request)]

    assert (projection_pb.REBUILD_PHASE_SWAPPED, head, 0) == (
        frames[-1].phase,
        frames[-1].position,
        frames[-1].rows_different,
    )
    assert without_time(before) == without_time(await all_pages(stub, listing(min_position=head)))


@pytest.fixture
def slow_commits() -> Iterator[None]:
    fault_points.install(lambda point: time.sleep(0.4) if point == "projection.before_commit" else None)
    yield
    fault_points.install(None)


async def test_frames_keep_coming_and_who_goes_away_ends_the_rebuild(
    server: Serving, projections: ProjectionServiceStub, monkeypatch: pytest.MonkeyPatch, slow_commits: None
) -> None:
    position = await record(server, *(visit(f"c-{number}") for number in range(40)))
    await RelationshipServiceStub(server.channel).ListRelationships(listing(min_position=position))
    monkeypatch.setattr("ledger.projections.advancing.BATCH_RELATIONSHIPS", 1)  # Ends a batch at each page.
    monkeypatch.setattr("ledger.projections.advancing.pages", one_by_one)

    call = projections.RebuildProjection(projection_pb.RebuildProjectionRequest(name="relationships"))
    times = []
    for _ in range(3):
        await call.read()
        times.append(time.monotonic())
    during = await projections.ListProjections(projection_pb.ListProjectionsRequest())
    second = projections.RebuildProjection(projection_pb.RebuildProjectionRequest(name="relationships"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await second.read()
    call.cancel()

    assert max(later - earlier for earlier, later in pairwise(times)) < 1.0
    assert during.projections[-1].rebuilding
    assert "PROJECTION_REBUILDING" in str(caught.value.details())
    async with asyncio.timeout(10):
        while await is_rebuilding(projections):  # noqa: ASYNC110  # What is waited for is not ours to signal.
            await asyncio.sleep(0.05)


async def is_rebuilding(projections: ProjectionServiceStub) -> bool:
    answer = await projections.ListProjections(projection_pb.ListProjectionsRequest())
    return answer.projections[-1].rebuilding


def one_by_one(store: Store, after: int, to: int) -> Iterator[list[EventRow]]:
    return pages(store, after, to, 1)


async def test_a_projection_that_is_not_there_cannot_be_rebuilt(projections: ProjectionServiceStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in projections.RebuildProjection(projection_pb.RebuildProjectionRequest(name="moods")):
            pass

    assert grpc.StatusCode.NOT_FOUND == caught.value.code()
    assert "PROJECTION_UNKNOWN" in str(caught.value.details())


async def test_the_lag_is_among_the_metrics(server: Serving, stub: RelationshipServiceStub) -> None:
    position = await record(server, visit())
    await stub.ListRelationships(listing(min_position=position))

    registry = server.app.metrics.registry
    at = registry.get_sample_value("rapport_projection_position", {"projection": "relationships"})
    lag = registry.get_sample_value("rapport_projection_lag_events", {"projection": "relationships"})

    assert (position, 0) == (at, lag)


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULES) as running:
        stub = RelationshipServiceStub(running.channel)
        position = await record(running, visit("a"), visit("b"))
        await stub.ListRelationships(listing(min_position=position))
    async with serving(tmp_path, MODULES) as running:
        stub = RelationshipServiceStub(running.channel)
        await record(running, visit("c"))

        page = await stub.ListRelationships(listing(min_position=position + 1))

    assert ["a", "b", "c"] == ids(page.relationships)


async def test_a_deleted_file_of_projections_is_made_again(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULES) as running:
        await record(running, visit("a"), visit("b"))
    for name in ("projections.db", "projections.db.write.lock"):
        (tmp_path / name).unlink()
    async with serving(tmp_path, MODULES) as running:
        page = await RelationshipServiceStub(running.channel).ListRelationships(listing())

    assert ["a", "b"] == ids(page.relationships)


@pytest.mark.postgres
async def test_it_is_the_same_on_postgresql(tmp_path: Path, postgres_url: str, seed: int) -> None:
    async with serving(tmp_path, MODULES, store_url=Secret(postgres_url)) as running:
        stub = RelationshipServiceStub(running.channel)
        await record(running, *ASSETS)
        await test_the_index_and_the_fold_list_the_same_whatever_is_asked(running, stub, seed)
        rebuild = projection_pb.RebuildProjectionRequest(name="relationships")
        frames = [frame async for frame in ProjectionServiceStub(running.channel).RebuildProjection(rebuild)]
        assert projection_pb.REBUILD_PHASE_SWAPPED == frames[-1].phase
