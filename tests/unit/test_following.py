"""Following the log: one tail reader, queues that are bounded, cursors that miss nothing and get nothing twice."""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.errors import LogDamaged, StoreClosed, StoreFailed
from ledger.log.following import (
    BATCH_EVENTS,
    QUEUE_BATCHES,
    CaughtUp,
    Cursor,
    FellBehind,
    Follower,
)
from ledger.log.scanning import WINDOW_POSITIONS, Page, Selection
from ledger.log.sqlite_store import SqliteStore
from ledger.log.store import EventRow, Head
from tests.stored_log import Writer, state

FULL = BATCH_EVENTS * QUEUE_BATCHES


class FaultyStore(SqliteStore):
    """A store that can be told to lose an event, to go backwards, or to fail."""

    lost: int = 0
    shorter_by: int = 0
    failures: int = 0

    def read_log(self, *args: Any, **kwargs: Any) -> list[EventRow]:
        if self.failures:
            self.failures -= 1
            raise StoreFailed("a test asked for this")
        return [row for row in super().read_log(*args, **kwargs) if row.position != self.lost]

    def head(self) -> Head:
        head = super().head()
        return head._replace(position=head.position - self.shorter_by)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FaultyStore]:
    store = FaultyStore(str(tmp_path / "log.db"))
    yield store
    store.close()


@pytest.fixture
def writer(store: FaultyStore) -> Writer:
    return Writer(store)


@pytest.fixture
async def follower(store: FaultyStore) -> AsyncIterator[Follower]:
    follower = Follower(store, poll_s=0.05)
    await follower.start()
    yield follower
    await follower.close()


async def read_until(cursor: Cursor, position: int) -> list[int]:
    """Return the positions that a cursor returns until it is at `position`."""
    found: list[int] = []
    while cursor.position < position:
        step = await cursor.next(5)
        assert step is not None
        if isinstance(step, Page):
            found += [row.position for row in step.rows]
    return found


async def catch_up(cursor: Cursor) -> list[int]:
    found: list[int] = []
    while not isinstance(step := await cursor.next(5), CaughtUp):
        assert isinstance(step, Page)
        found += [row.position for row in step.rows]
    return found


# What a cursor returns.


async def test_a_cursor_reads_what_is_stored_then_says_that_it_caught_up(follower: Follower, writer: Writer) -> None:
    writer.append([f"acme/c-{n}" for n in range(700)])
    cursor = Cursor(follower, 3)

    assert list(range(4, 701)) == await catch_up(cursor)
    assert cursor.caught_up
    assert 700 == cursor.position


async def test_a_live_event_arrives_without_waiting_for_the_poll(store: FaultyStore, writer: Writer) -> None:
    follower = Follower(store, poll_s=30)
    await follower.start()
    cursor = Cursor(follower, 0)
    await catch_up(cursor)

    began = time.perf_counter()
    writer.append(["acme/c-1"])
    page = await cursor.next(10)

    assert isinstance(page, Page)
    assert [1] == [row.position for row in page.rows]
    assert time.perf_counter() - began < 2
    await follower.close()


async def test_an_event_without_a_wake_up_is_found_by_the_poll(
    follower: Follower, store: FaultyStore, writer: Writer
) -> None:
    store.listeners.remove(follower.wake)
    cursor = Cursor(follower, 0)
    await catch_up(cursor)

    writer.append(["acme/c-1"])

    assert [1] == await read_until(cursor, 1)


async def test_nothing_in_time_is_none(follower: Follower) -> None:
    cursor = Cursor(follower, 0)
    await catch_up(cursor)

    assert await cursor.next(0.01) is None


async def test_a_wake_ends_the_wait(follower: Follower) -> None:
    cursor = Cursor(follower, 0)
    await catch_up(cursor)

    waiting = asyncio.ensure_future(cursor.next(30))
    await asyncio.sleep(0.01)
    cursor.wake()

    assert await asyncio.wait_for(waiting, 1) is None


@pytest.mark.parametrize("starts", [0, 1])
async def test_the_hand_over_from_storage_to_live_misses_and_doubles_nothing(
    follower: Follower, writer: Writer, seed: int, starts: int
) -> None:
    """Readers come and go at random while a thread writes; each must see every position after its start once."""
    rng = random.Random(seed + starts)
    events = 6_000

    def write() -> None:
        left = events
        while left > 0:
            size = min(left, rng.choice([1, 1, 2, 30, 300]))
            writer.append(["acme/c-1"] * size)
            left -= size

    async def follow(delay_s: float, after: int) -> None:
        await asyncio.sleep(delay_s)
        cursor = Cursor(follower, min(after, writer.store.head().position))
        begin = cursor.position
        expected = begin + 1
        while cursor.position < events:
            step = await cursor.next(5)
            assert step is not None
            if isinstance(step, Page):
                for row in step.rows:
                    assert expected == row.position
                    expected += 1
            if rng.random() < 0.1:
                await asyncio.sleep(rng.random() * 0.02)  # A slow one, so that some fall behind.
        assert events + 1 == expected
        cursor.close()

    thread = threading.Thread(target=write)
    thread.start()
    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(follow(number * 0.02, rng.randrange(events)))
    thread.join()


# Filters.


async def test_what_is_not_selected_moves_the_cursor_and_wakes_nobody_at_once(
    follower: Follower, writer: Writer
) -> None:
    cursor = Cursor(follower, 0, Selection(organization_id="other"))
    await catch_up(cursor)

    writer.append(["acme/c-1"] * 10)
    assert await follower.wait_for(10, 5)

    assert await cursor.next(0.01) is None
    assert 10 == cursor.position


async def test_a_cursor_that_nothing_matches_is_woken_within_the_window(store: FaultyStore, writer: Writer) -> None:
    follower = Follower(store)
    await follower.start()
    cursor = Cursor(follower, 0, Selection(topics=frozenset({"consent.given.v1"})))
    await catch_up(cursor)
    waiting = asyncio.ensure_future(cursor.next(60))
    await asyncio.sleep(0)

    writer.append(["acme/c-1"] * (WINDOW_POSITIONS + 1))

    assert await asyncio.wait_for(waiting, 5) is None
    assert cursor.position >= WINDOW_POSITIONS
    await follower.close()


@pytest.mark.parametrize(
    "selection",
    [
        Selection(organization_id="acme"),
        Selection(organization_id="acme", streams=frozenset({"acme/c-2", "acme/c-9"})),
        Selection(topics=frozenset({"consent.given.v1"})),
        Selection(external_id="order-7"),
        Selection(organization_id="acme", topics=frozenset({"interaction.recorded.v1"})),
    ],
)
async def test_live_and_stored_reads_select_the_same(follower: Follower, writer: Writer, selection: Selection) -> None:
    live = Cursor(follower, 0, selection)
    await catch_up(live)

    for number in range(60):
        stream = f"{('acme', 'other', 'acm', 'acme0')[number % 4]}/c-{number % 3}"
        topic = "consent.given.v1" if number % 5 == 0 else "interaction.recorded.v1"
        writer.append([stream], topic=topic, stored=state("order-7" if number % 7 == 0 else "order-77"))
    found: list[int] = []
    while live.position < 60:
        if isinstance(step := await live.next(0.05), Page):
            found += [row.position for row in step.rows]

    assert found == await catch_up(Cursor(follower, 0, selection))
    assert 0 < len(found) < 60


# Slow readers.


async def test_a_full_queue_is_dropped_its_reader_is_told_and_nothing_is_lost(
    follower: Follower, writer: Writer
) -> None:
    slow, quick = Cursor(follower, 0), Cursor(follower, 0)
    await catch_up(slow)
    await catch_up(quick)
    seen: list[int] = []

    for _ in range(5):
        head = writer.append(["acme/c-1"] * BATCH_EVENTS)
        seen += await read_until(quick, head.position)

    total = BATCH_EVENTS * 5
    assert list(range(1, total + 1)) == seen
    assert FellBehind(0, total) == await slow.next(1)
    assert not slow.caught_up
    assert list(range(1, total + 1)) == await catch_up(slow)


async def test_small_batches_share_the_places_of_the_queue(follower: Follower, writer: Writer) -> None:
    cursor = Cursor(follower, 0)
    await catch_up(cursor)

    for _ in range(100):
        head = writer.append(["acme/c-1"])
        assert await follower.wait_for(head.position, 5)

    assert list(range(1, 101)) == await read_until(cursor, 100)


async def test_a_queue_never_holds_more_than_it_may(follower: Follower, writer: Writer) -> None:
    live = follower.open()

    writer.append(["acme/c-1"] * FULL)
    assert await follower.wait_for(FULL, 5)
    before = live.fell_behind

    writer.append(["acme/c-1"])
    assert await follower.wait_for(FULL + 1, 5)
    assert (False, True) == (before, live.fell_behind)
    assert live.take() is None


async def test_a_reader_that_begins_where_nobody_listened_is_live_at_once(store: FaultyStore, writer: Writer) -> None:
    """The follower has not looked for a while; what it finds then is no news to somebody who reads storage."""
    follower = Follower(store, poll_s=30)
    await follower.start()
    writer.append(["acme/c-1"] * 3 * FULL)
    cursor = Cursor(follower, 0)

    assert list(range(1, 3 * FULL + 1)) == await catch_up(cursor)
    assert await follower.wait_for(3 * FULL, 5)
    assert await cursor.next(0.01) is None
    assert cursor.caught_up
    await follower.close()


# Waiting.


async def test_waiting_for_a_position_ends_when_it_is_there(follower: Follower, writer: Writer) -> None:
    waits = [asyncio.ensure_future(follower.wait_for(position, 5)) for position in (3, 1, 2)]
    await asyncio.sleep(0)

    writer.append(["acme/c-1"] * 3)

    assert [True, True, True] == await asyncio.gather(*waits)
    assert await follower.wait_for(2, 0)


async def test_a_position_that_never_comes_is_given_up_and_forgotten(follower: Follower) -> None:
    assert not await follower.wait_for(2**62, 0.01)
    assert [] == follower._waiting


# When things go wrong.


async def test_a_hole_is_damage_for_everybody_who_reads_or_waits(store: FaultyStore, writer: Writer) -> None:
    alarms: list[BaseException] = []
    follower = Follower(store, poll_s=0.05, on_failure=alarms.append)
    await follower.start()
    cursor = Cursor(follower, 0)
    await catch_up(cursor)
    waiting = asyncio.ensure_future(follower.wait_for(100, 5))
    store.lost = 2

    writer.append(["acme/c-1"] * 3)
    with pytest.raises(LogDamaged) as damage:
        await read_until(cursor, 3)

    assert {"position": "2"} == damage.value.metadata
    with pytest.raises(LogDamaged):
        await waiting
    with pytest.raises(LogDamaged):
        await follower.wait_for(100, 5)
    assert [LogDamaged] == [type(alarm) for alarm in alarms]
    await follower.close()


async def test_a_hole_in_storage_is_damage_for_a_cursor_that_catches_up(store: FaultyStore, writer: Writer) -> None:
    writer.append(["acme/c-1"] * 10)
    follower = Follower(store)
    await follower.start()
    store.lost = 7

    with pytest.raises(LogDamaged) as damage:
        await catch_up(Cursor(follower, 0))

    assert {"position": "7"} == damage.value.metadata
    await follower.close()


async def test_a_log_that_went_backwards_is_damage(store: FaultyStore, writer: Writer) -> None:
    writer.append(["acme/c-1"] * 10)
    follower = Follower(store, poll_s=0.02)
    await follower.start()

    store.shorter_by = 4

    with pytest.raises(LogDamaged, match="backwards"):
        await follower.wait_for(11, 5)
    await follower.close()


async def test_a_store_that_does_not_answer_is_asked_again(
    follower: Follower, store: FaultyStore, writer: Writer
) -> None:
    cursor = Cursor(follower, 0)
    await catch_up(cursor)
    store.failures = 2

    writer.append(["acme/c-1"])

    assert [1] == await read_until(cursor, 1)


@pytest.mark.parametrize("events", [10, 3_000])
async def test_a_cursor_goes_on_where_storage_failed(
    follower: Follower, store: FaultyStore, writer: Writer, events: int
) -> None:
    writer.append(["acme/c-1"] * events)
    cursor = Cursor(follower, 0)
    store.failures = 1
    with pytest.raises(StoreFailed):
        await cursor.next(5)

    assert list(range(1, events + 1)) == await catch_up(cursor)


async def test_closing_ends_every_wait(store: FaultyStore) -> None:
    follower = Follower(store)
    await follower.start()
    cursor = Cursor(follower, 0)
    await catch_up(cursor)
    waits = [asyncio.ensure_future(cursor.next(30)), asyncio.ensure_future(follower.wait_for(1, 30))]
    await asyncio.sleep(0.01)

    await follower.close()
    await follower.close()

    results = await asyncio.gather(*waits, return_exceptions=True)
    assert [StoreClosed, StoreClosed] == [type(result) for result in results]
    follower.wake(5)
