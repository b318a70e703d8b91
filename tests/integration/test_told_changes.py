"""Changes that are told with how far they are found: who follows closely reads no table, and reads the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ledger.change import reading, table
from ledger.change.reading import Changes, Next, Page, last_of
from ledger.change.table import Progress, StoredChange
from ledger.projections.database import Database
from ledger.projections.sqlite_database import SqliteDatabase
from services.runtime.detector_child import TOLD_BYTES_MAX, Report, few
from tests.integration.test_changes import Place, place, running

__all__ = ["place"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = SqliteDatabase(tmp_path / "changes.db")
    yield database
    database.close()


def change(number: int) -> StoredChange:
    return StoredChange(number, "acme", "c-1", 3, f"id-{number}", b"\x00\xff" * number)


class Told:
    """A table that grows, and its changes as some reader is told of them."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self.changes = changes
        with database.writing() as session:
            self.progress = table.begin_anew(session, "log")

    def grow(self, count: int) -> list[StoredChange]:
        """Store some changes; return them."""
        before = self.progress
        found = [change(before.number + 1 + each) for each in range(count)]
        number = before.number + count
        self.progress = before._replace(position=number, leaf="leaf", number=number, events=before.events + 1)
        table.store(self._database, before, self.progress, found, [], [])
        return found

    def begin_anew(self) -> None:
        """Forget all changes: the log is another one."""
        with self._database.writing() as session:
            self.progress = table.begin_anew(session, "log")

    async def tell(self, progress: Progress, found: Sequence[StoredChange] = ()) -> None:
        """Tell, and let it be heard."""
        self.changes.tell(progress, found)
        await asyncio.sleep(0)

    def stored(self, number: int) -> list[StoredChange]:
        """Return all changes after a number, by the table."""
        with self._database.snapshot() as session:
            return table.changes_after(session, number, 1_000_000, None, {})


@pytest.fixture
async def told(database: Database) -> Told:
    changes = Changes(database)
    await changes.wait_beyond(0, 0.0)  # It hears what is told from now on.
    return Told(database, changes)


def reads_nothing(changes: Changes, monkeypatch: pytest.MonkeyPatch) -> None:
    def page(*_: object) -> Page:
        raise AssertionError("the table was read")

    monkeypatch.setattr(changes, "page", page)


async def test_what_was_told_is_not_read_again(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = told.grow(3), told.progress
    await told.tell(second, first)
    more = told.grow(2)
    await told.tell(told.progress, more)
    reads_nothing(told.changes, monkeypatch)

    assert Next([*first, *more], 0, "5-leaf") == await told.changes.next(0, 10)
    assert Next([first[2], more[0]], 0, "5-leaf") == await told.changes.next(2, 2)
    assert Next([], 0, "5-leaf") == await told.changes.next(5, 10)


async def test_what_was_not_told_is_read(told: Told) -> None:
    silent, after = told.grow(3), told.progress
    await told.tell(after)
    assert Next(silent, 0, "3-leaf") == await told.changes.next(0, 10)

    last = told.grow(1)
    await told.tell(told.progress, last)
    assert Next([*silent, *last], 0, "4-leaf") == await told.changes.next(0, 10), "what comes before is not in memory"


async def test_numbers_of_another_past_are_not_taken_for_those_of_this_one(told: Told) -> None:
    await told.tell(told.progress, told.grow(4))
    await told.tell(told.progress, [change(number) for number in range(1, 5)])
    told.begin_anew()
    await told.tell(told.progress)

    assert Next([], 1, "") == await told.changes.next(2, 10)


async def test_memory_holds_the_last_ones_only(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_RECENT_MAX", 5)
    for _ in range(20):
        found = told.grow(2)
        await told.tell(told.progress, found)

    assert len(told.changes._recent) <= 7
    assert told.stored(0)[:10] == (await told.changes.next(0, 10)).changes


async def test_whatever_is_told_and_seen_the_answer_is_what_the_table_has(told: Told, seed: int) -> None:
    draw, late = random.Random(seed), list[tuple[Progress, list[StoredChange]]]()
    for _ in range(400):
        match draw.randrange(6):
            case 0 | 1:
                found = told.grow(draw.randrange(1, 4))
                late.append((told.progress, found if draw.random() < 0.8 else []))
            case 2 | 3 if late:
                await told.tell(*late.pop(0))
            case 4 if late:
                await told.tell(*draw.choice(late))
            case 5 if draw.random() < 0.2:
                told.begin_anew()
                late.append((told.progress, []))
            case _:
                told.changes._see(last_of(told.progress))
        number, limit = draw.randrange(max(told.progress.number, 1)), draw.randrange(1, 6)

        found, past, checkpoint = await told.changes.next(number, limit)

        if past == told.progress.past:
            assert found == told.stored(number)[: len(found)], "in order, and without a hole"
            assert found or told.changes._seen <= (past, number), "what is known to be there is found"
            assert not found or int(checkpoint.removesuffix("-leaf")) >= found[-1].number, "it holds for all of them"


async def test_a_runner_tells_what_it_finds(place: Place) -> None:
    """Each batch, in order: so those who are told have the whole table in the end."""
    heard: list[StoredChange] = []
    async with running(place, events_max=7, timers_max=5, on_moved=heard.extend) as runner:
        await runner.wait_for(place.history.head, 60)
        with place.database().snapshot() as session:
            expected = table.changes_after(session, 0, 1_000_000, None, {})
        async with asyncio.timeout(5):
            while len(heard) < len(expected):  # noqa: ASYNC110  # The last batch is told a moment after it is stored.
                await asyncio.sleep(0.01)

    assert expected == heard


def test_a_report_brings_its_changes_over_a_line_of_json() -> None:
    report = Report(Progress("log", 3, 4, 5, 6), 7, running=True, found=[change(4), change(5)])

    assert report == Report.read(report.values())


def test_too_many_bytes_are_not_told() -> None:
    large = StoredChange(1, "acme", "c-1", 3, "id", bytes(TOLD_BYTES_MAX // 2 + 1))

    assert [large] == few([large])
    assert () == few([large, large._replace(number=2)])
