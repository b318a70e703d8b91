"""ProjectionService through gRPC, and what becomes of projections when a process ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import grpc
import pytest

from ledger.log.reading import pages
from ledger.log.store import EventRow, Store
from ledger.testing import fault_points
from rapport.projection.v1 import projection_service_pb2 as projection_pb
from rapport.projection.v1.projection_service_pb2_grpc import ProjectionServiceStub
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from tests.relationship_calls import (
    MODULES,
    all_pages,
    history,
    ids,
    listing,
    purchase,
    record,
    server,
    stub,
    visit,
    without_time,
)
from tests.server import Serving, serving

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


@pytest.fixture
def projections(server: Serving) -> ProjectionServiceStub:
    return ProjectionServiceStub(server.channel)


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

    assert max(later - earlier for earlier, later in pairwise(times)) < 5.0, "all of it takes sixteen seconds"
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
