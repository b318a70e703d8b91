"""ChangeService over gRPC: each change once and in order, whoever else watches, and whatever is restarted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from ledger.change import table
from ledger.change.reading import Changes
from ledger.projections.sqlite_database import SqliteDatabase
from rapport.change.v1 import change_pb2
from rapport.change.v1 import change_service_pb2 as pb
from rapport.change.v1.change_pb2 import RelationshipChange
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import ConsentGiven
from services.client import Client, RapportError
from services.relationship import change_tail, change_watching
from tests.server import Serving, serving

Frames = AsyncIterator[pb.WatchRelationshipsResponse]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path / "data") as running:
        yield running


@pytest.fixture
async def client(server: Serving) -> AsyncIterator[Client]:
    async with Client(server.target) as connected:
        yield connected


async def opt_in_and_out(client: Client, *customers: str, organization: str = "acme") -> int:
    """Record two acts of each customer, each of which is one change; return the position of the last."""
    position = 0
    for customer in customers:
        await client.give_consent(organization, customer, ConsentGiven(purposes=["marketing.direct"]))
        position = (await client.withdraw_consent(organization, customer)).position
    return position


def watched(server: Serving, **request: Any) -> grpc.aio.UnaryStreamCall[Any, pb.WatchRelationshipsResponse]:
    call = server.channel.unary_stream(
        "/rapport.change.v1.ChangeService/WatchRelationships",
        request_serializer=pb.WatchRelationshipsRequest.SerializeToString,
        response_deserializer=pb.WatchRelationshipsResponse.FromString,
    )
    return call(pb.WatchRelationshipsRequest(**{"organization_id": "acme", **request}))


async def first(watch: AsyncIterator[Any], count: int) -> list[RelationshipChange]:
    """Return the first changes of a watch, or of its frames."""
    found: list[RelationshipChange] = []
    async with asyncio.timeout(20):
        async for each in watch:
            found += [each] if isinstance(each, RelationshipChange) else each.batch.changes
            if len(found) >= count:
                break
    return found


async def test_a_watch_has_what_was_found_then_says_so_then_goes_on(server: Serving, client: Client) -> None:
    await client.list_changes("acme", min_position=await opt_in_and_out(client, "anna"))
    watch = watched(server, after_number=0)
    seen: list[str | None] = []
    changes: list[RelationshipChange] = []
    async with asyncio.timeout(20):
        async for frame in watch:
            seen.append(frame.WhichOneof("frame"))
            changes += frame.batch.changes
            if seen[-1] == "caught_up":
                await opt_in_and_out(client, "bert")
            if len(changes) == 4:
                break
    assert seen[:2] == ["batch", "caught_up"]
    assert [each.number for each in changes] == [1, 2, 3, 4]
    assert [each.subject_number for each in changes] == [1, 2, 1, 2]
    assert [each.kind for each in changes] == 2 * [change_pb2.CHANGE_KIND_OPTED_IN, change_pb2.CHANGE_KIND_OPTED_OUT]
    listed = (await client.list_changes("acme")).changes
    assert list(listed) == changes


async def test_a_watch_from_now_hears_nothing_of_before(server: Serving, client: Client) -> None:
    await client.list_changes("acme", min_position=await opt_in_and_out(client, "anna"))
    watch = aiter(watched(server, from_now=True))
    begun = await anext(watch)
    assert begun.caught_up.number == 2
    await opt_in_and_out(client, "bert")
    assert [each.number for each in await first(aiter(watch), 2)] == [3, 4]


async def test_a_watch_that_begins_after_what_was_not_handed_out_yet_hears_none_of_it(
    server: Serving, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is ahead of the tail for a moment: what it has by then is before the watch all the same."""
    handed_out, wait_beyond = asyncio.Event(), Changes.wait_beyond

    async def wait(changes: Changes, number: int, timeout_s: float, past: int | None = None) -> bool:
        await handed_out.wait()
        return await wait_beyond(changes, number, timeout_s, past)

    await client.list_changes("acme", min_position=await opt_in_and_out(client, "anna"))
    begun = aiter(watched(server, from_now=True))  # The tail has come to here.
    assert (await anext(begun)).caught_up.number == 2
    monkeypatch.setattr(Changes, "wait_beyond", wait)
    await client.list_changes("acme", min_position=await opt_in_and_out(client, "bert"))  # This wakes its last wait.
    assert (await first(begun, 1))[0].number == 3
    await client.list_changes("acme", min_position=await opt_in_and_out(client, "cora"))
    watches = [aiter(watched(server, from_now=True)), aiter(watched(server, after_number=5))]
    assert [(await anext(watch)).caught_up.number for watch in watches] == [6, 5]
    handed_out.set()
    assert [each.number for each in await first(watches[1], 1)] == [6]
    await opt_in_and_out(client, "dora")
    assert [each.number for each in await first(watches[0], 2)] == [7, 8]


async def test_a_filter_passes_on_what_is_wanted_of_one_organization(server: Serving, client: Client) -> None:
    watches = [
        client.watch_relationships("acme", after_number=0, subject_ids=["bert"]),
        client.watch_relationships("acme", after_number=0, kinds=[change_pb2.CHANGE_KIND_OPTED_OUT]),
        client.watch_relationships("other", after_number=0),
    ]
    waiting = [asyncio.create_task(first(aiter(watch), 2)) for watch in watches]
    await opt_in_and_out(client, "anna", "bert")
    await opt_in_and_out(client, "anna", organization="other")
    by_subject, by_kind, of_other = [[(each.subject_id, each.number) for each in await task] for task in waiting]
    assert by_subject == [("bert", 3), ("bert", 4)]
    assert by_kind == [("anna", 2), ("bert", 4)]
    assert of_other == [("anna", 5), ("anna", 6)]
    stored = await client.list_changes("acme", kinds=[change_pb2.CHANGE_KIND_OPTED_OUT], subject_ids=["bert"])
    assert [each.number for each in stored.changes] == [4]


async def test_a_list_comes_in_pages(client: Client) -> None:
    position = await opt_in_and_out(client, "anna", "bert", "cora")
    numbers, token = [], ""
    while True:
        page = await client.list_changes("acme", min_position=position, page_size=4, page_token=token)
        numbers.append([each.number for each in page.changes])
        token = page.next_page_token
        if not token:
            break
    assert numbers == [[1, 2, 3, 4], [5, 6]]
    with pytest.raises(RapportError) as refused:
        await client.list_changes("other", page_token="AAAA")
    assert refused.value.reason == reasons.ERROR_REASON_PAGE_TOKEN_INVALID


async def test_a_number_beyond_the_last_is_refused(client: Client) -> None:
    with pytest.raises(RapportError) as refused:
        await anext(aiter(client.watch_relationships("acme", after_number=5)))
    assert refused.value.reason == reasons.ERROR_REASON_CHANGE_IN_FUTURE


async def test_who_falls_behind_loses_nothing(server: Serving, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_tail, "QUEUE_MAX", 1)
    watch = aiter(watched(server, after_number=0))
    assert (await anext(watch)).HasField("caught_up")
    customers = [f"c-{number}" for number in range(20)]
    position = await opt_in_and_out(client, *customers)
    await client.list_changes("acme", min_position=position)
    found = await first(watch, 40)
    assert [each.number for each in found] == list(range(1, 41))


async def test_a_silent_watch_has_heartbeats_that_move_on(
    server: Serving, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_watching, "HEARTBEAT_S", 0.2)
    watch = aiter(watched(server, after_number=0, filter=pb.ChangeFilter(subject_ids=["nobody"])))
    assert (await anext(watch)).HasField("caught_up")
    await client.list_changes("acme", min_position=await opt_in_and_out(client, "anna"))
    async with asyncio.timeout(20):
        while (await anext(watch)).heartbeat.number < 2:
            pass


async def test_a_stopping_server_says_where_to_resume_and_a_watch_outlives_it(tmp_path: Path) -> None:
    async with open_twice(tmp_path) as (server, client):
        await client.list_changes("acme", min_position=await opt_in_and_out(client, "anna"))
        watch = aiter(watched(server, after_number=0))
        assert len((await anext(watch)).batch.changes) == 2
        assert (await anext(watch)).HasField("caught_up")
        server.stop.set()
        closing = (await anext(watch)).closing
        assert (closing.resume_after, closing.draining) == (2, True)
    async with open_twice(tmp_path) as (server, client):
        await opt_in_and_out(client, "bert")
        assert [each.number for each in await first(aiter(client.watch_relationships("acme", after_number=2)), 2)] == [
            3,
            4,
        ]


@asynccontextmanager
async def open_twice(tmp_path: Path) -> AsyncIterator[tuple[Serving, Client]]:
    async with serving(tmp_path / "data") as running, Client(running.target) as connected:
        yield running, connected


async def test_many_watchers_with_slow_ones_among_them(tmp_path: Path) -> None:
    """The slow ones read nothing; each of the others has its customer's changes, and only those."""
    customers = [f"c-{number}" for number in range(25)]
    roomy = serving(tmp_path / "data", streams_max=1_100, streams_per_caller_max=1_100)
    async with roomy as server, Client(server.target) as client:
        slow = [watched(server, after_number=0) for _ in range(10)]
        watches = [
            aiter(watched(server, after_number=0, filter=pb.ChangeFilter(subject_ids=[customers[number % 25]])))
            for number in range(250)
        ]
        for begun in await asyncio.gather(*(anext(watch) for watch in watches)):
            assert begun.HasField("caught_up")
        waiting = [asyncio.create_task(first(watch, 2)) for watch in watches]
        await opt_in_and_out(client, *customers)
        for number, task in enumerate(waiting):
            assert {each.subject_id for each in await task} == {customers[number % 25]}
        for call in slow:
            call.cancel()


async def test_the_detector_says_where_it_stands_and_makes_all_anew(client: Client) -> None:
    position = await opt_in_and_out(client, "anna", "bert")
    await client.list_changes("acme", min_position=position)
    detector = await client.get_detector()
    assert detector.running
    assert (detector.position, detector.head_position, detector.last_number) == (position, position, 4)
    assert detector.relationship_count == 2
    progress = [each async for each in client.verify_changes()]
    assert progress[-1].complete
    assert progress[-1].change_count == 4


async def test_who_watches_while_changes_are_begun_anew_is_told_and_finds_the_same_ids(
    server: Serving, client: Client, tmp_path: Path
) -> None:
    await client.list_changes("acme", min_position=await opt_in_and_out(client, "anna"))
    watch = aiter(client.watch_relationships("acme", after_number=0))
    before = await first(watch, 2)
    database = SqliteDatabase(tmp_path / "data" / "changes.db")
    with database.writing() as session:
        table.begin_anew(session, server.app.ledger.log_id)
    database.close()
    await opt_in_and_out(client, "bert")

    with pytest.raises(RapportError) as refused:
        await first(watch, 1)

    assert refused.value.reason == reasons.ERROR_REASON_CHANGES_BEGUN_ANEW
    assert not refused.value.retryable
    again = await first(aiter(client.watch_relationships("acme", after_number=0)), 4)
    assert before == again[:2]
