"""Lists of relationships through gRPC: by the index and by the fold, now and of the past, page by page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.times import timestamp
from ledger.projections.advancing import advance
from rapport.projection.v1 import projection_service_pb2 as projection_pb
from rapport.projection.v1.projection_service_pb2_grpc import ProjectionServiceStub
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from services.relationship import servicer
from services.runtime.settings import Secret
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.relationship_calls import (
    ASSETS,
    CUSTOMER,
    DAY,
    MARCH,
    MODULES,
    ORGANIZATION,
    all_pages,
    as_of,
    history,
    ids,
    listing,
    record,
    server,
    stub,
    visit,
    without_time,
)
from tests.server import Serving, serving

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


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


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What projections wait for before each batch; it has happened, until a test takes it back."""
    goes_on = threading.Event()

    def wait_and_advance(*arguments: Any) -> Any:
        goes_on.wait(30)
        return advance(*arguments)

    goes_on.set()
    monkeypatch.setattr("ledger.projections.projector.advance", wait_and_advance)
    yield goes_on
    goes_on.set()


async def test_a_list_shows_what_its_position_says_though_more_is_recorded(
    held: threading.Event, server: Serving, stub: RelationshipServiceStub
) -> None:
    await record(server, visit(), visit("c-2"))
    position = await record(server, visit())
    await stub.ListRelationships(listing(min_position=position))
    held.clear()
    await record(server, visit(), visit("c-3"))

    page = await stub.ListRelationships(listing())

    assert position == page.position < server.app.ledger.head.position
    assert ["c-1", "c-2"] == ids(page.relationships)
    shown = page.relationships[0]
    assert (position, 2, 2) == (shown.position, shown.version, shown.interactions.count)
    held.set()


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


@pytest.mark.postgres
async def test_it_is_the_same_on_postgresql(tmp_path: Path, postgres_url: str, seed: int) -> None:
    async with serving(tmp_path, MODULES, store_url=Secret(postgres_url)) as running:
        stub = RelationshipServiceStub(running.channel)
        await record(running, *ASSETS)
        await test_the_index_and_the_fold_list_the_same_whatever_is_asked(running, stub, seed)
        rebuild = projection_pb.RebuildProjectionRequest(name="relationships")
        frames = [frame async for frame in ProjectionServiceStub(running.channel).RebuildProjection(rebuild)]
        assert projection_pb.REBUILD_PHASE_SWAPPED == frames[-1].phase
