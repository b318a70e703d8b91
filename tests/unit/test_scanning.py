"""Reading storage in pages: the log in windows, a few streams merged, both the same as looking at every event."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.domain.errors import LogDamaged
from ledger.log import scanning
from ledger.log.reading import PAGE_EVENTS
from ledger.log.scanning import EVERYTHING, PAGE_BYTES, WINDOW_POSITIONS, Reads, Scan, Selection, scan
from ledger.log.sqlite_store import SqliteStore
from ledger.log.store import EventRow
from tests.stored_log import Writer, state


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(tmp_path / "log.db"))
    yield store
    store.close()


async def read(scanned: Scan) -> list[int]:
    """Return the positions a scan gives; hold each page to its bounds."""
    found: list[int] = []
    while scanned.examined < scanned.to:
        before = scanned.examined
        page = await scanned.next()
        assert before < page.examined == scanned.examined <= scanned.to
        assert len(page.rows) <= PAGE_EVENTS
        assert all(before < row.position <= page.examined for row in page.rows)
        found += [row.position for row in page.rows]
    return found


def hot_and_cold(store: SqliteStore, seed: int, events: int) -> list[EventRow]:
    """Write a log of one hot customer, some warm ones and many cold ones; return its rows."""
    rng = random.Random(seed)
    writer, left = Writer(store), events
    while left > 0:
        size = min(left, rng.randrange(1, 200))
        customers = [f"acme/c-{int(rng.paretovariate(0.4)) % 300}" for _ in range(size)]
        writer.append(customers, stored=state(external_id=f"order-{rng.randrange(3)}"))
        left -= size
    return store.read_log(0, events)


@pytest.mark.parametrize("customers", [{1}, {1, 2, 3}, {7, 40, 250}, set(range(300)), {999}])
async def test_merged_streams_are_what_a_look_at_every_event_finds(
    store: SqliteStore, seed: int, customers: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With little memory, so that hot streams are read in pages; from every kind of place, matching ones included."""
    monkeypatch.setattr(scanning, "WINDOW_POSITIONS", 0)
    monkeypatch.setattr(scanning, "MERGE_EVENTS", 100)
    rows = hot_and_cold(store, seed, 3_000)
    selection = Selection(organization_id="acme", streams=frozenset(f"acme/c-{number}" for number in customers))
    matching = [row.position for row in rows if row.stream_id in selection.streams]

    for after in {0, 1, 1_500, 2_999, *matching[:2], *matching[len(matching) // 2 :][:2], *matching[-2:]}:
        for to in {after + 1, 2_000, 3_000}:
            if after < to <= 3_000:
                scanned = scan(Reads(store), selection, after, to)
                assert isinstance(scanned, scanning._StreamsScan)
                assert [position for position in matching if after < position <= to] == await read(scanned)


async def test_streams_are_merged_only_where_the_log_is_long(store: SqliteStore) -> None:
    selection = Selection(organization_id="acme", streams=frozenset({"acme/c-1"}))

    near = scan(Reads(store), selection, 0, WINDOW_POSITIONS)
    far = scan(Reads(store), selection, 0, WINDOW_POSITIONS + 1)

    assert isinstance(near, scanning._LogScan)
    assert isinstance(far, scanning._StreamsScan)


async def test_a_window_of_the_log_is_all_that_a_page_examines(store: SqliteStore) -> None:
    Writer(store).append(["acme/c-1"] * (2 * WINDOW_POSITIONS))
    scanned = scan(Reads(store), Selection(organization_id="other"), 0, 2 * WINDOW_POSITIONS)

    assert ([], WINDOW_POSITIONS) == tuple(await scanned.next())


async def test_no_topic_at_all_examines_nothing(store: SqliteStore) -> None:
    Writer(store).append(["acme/c-1"] * 10)

    assert ([], 10) == tuple(await scan(Reads(store), Selection(topics=frozenset()), 0, 10).next())


async def test_pages_of_large_events_hold_fewer_of_them(store: SqliteStore) -> None:
    writer = Writer(store)
    for _ in range(6):
        writer.append(["acme/c-1"] * 100, stored=state(text="x" * 60_000))
    scanned = scan(Reads(store), EVERYTHING, 0, 600)
    await scanned.next()

    page = await scanned.next()

    assert sum(len(row.state) for row in page.rows) <= PAGE_BYTES


async def test_a_hole_is_damage_when_everything_is_read(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    Writer(store).append(["acme/c-1"] * 10)
    whole = store.read_log
    monkeypatch.setattr(store, "read_log", lambda *args: [row for row in whole(*args) if row.position != 10])

    with pytest.raises(LogDamaged) as damage:
        await read(scan(Reads(store), EVERYTHING, 0, 10))

    assert {"position": "10"} == damage.value.metadata


async def test_a_text_that_only_looks_like_the_external_id_does_not_match(store: SqliteStore) -> None:
    writer = Writer(store)
    for stored in (state("order-7"), state("order-77"), state("x", text="order-7"), state("order-7")):
        writer.append(["acme/c-1"], stored=stored)

    assert [1, 4] == await read(scan(Reads(store), Selection(external_id="order-7"), 0, 4))


async def test_an_executor_reads_the_same(store: SqliteStore) -> None:
    Writer(store).append(["acme/c-1"] * 3_000)

    with ThreadPoolExecutor(1) as executor:
        assert list(range(1, 3_001)) == await read(scan(Reads(store, executor), EVERYTHING, 0, 3_000))
