"""Watching while changes are begun anew: who keeps numbers of another past is told, whoever keeps none just goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ledger.change import table
from ledger.change.reading import Changes, Last
from ledger.change.table import Progress, StoredChange
from ledger.domain.errors import Rejected
from ledger.ledger import Ledger
from ledger.projections.database import Database
from ledger.projections.sqlite_database import SqliteDatabase
from rapport.change.v1 import change_service_pb2 as pb
from rapport.change.v1.change_pb2 import RelationshipChange
from rapport.errors.v1 import error_reason_pb2 as reasons
from services.relationship import change_watching
from services.relationship.change_tail import ChangeTail
from services.relationship.change_watching import Begin, Watches

LOG_ID = "22222222-2222-4222-8222-222222222222"


class Place:
    """A table of changes, as somebody finds them, and those who watch it."""

    def __init__(self, folder: Path) -> None:
        self.database: Database = SqliteDatabase(folder / "projections.db")
        self.changes = Changes(self.database)
        self.tail = ChangeTail(self.changes)
        self.stop = asyncio.Event()
        ledger = cast(Ledger, SimpleNamespace(clock=lambda: 0))
        self.watches = Watches(ledger, self.changes, self.tail, self.stop, 60.0)
        self.begin_anew()

    def begin_anew(self) -> None:
        with self.database.writing() as session:
            self.progress = table.begin_anew(session, LOG_ID)

    def find(self, count: int, past: str = "") -> None:
        """Announce some more changes, of which each names its past."""
        before, first = self.progress, self.progress.number + 1
        found = [change(number, past) for number in range(first, first + count)]
        self.progress = before._replace(
            position=before.position + count,
            number=before.number + count,
            events=before.events + 1,
            leaf=f"{past}leaf",
        )
        table.store(self.database, before, self.progress, found, [], [])
        self.changes.tell(self.progress)

    def lose(self, progress: Progress) -> None:
        """Let the last transactions be gone, as a database may that lost its power."""
        with self.database.writing() as session:
            session.change("DELETE FROM changes WHERE number > ?", (progress.number,))
            session.change("UPDATE change_progress SET number = ?, events = ?", (progress.number, progress.events))
        self.progress = progress

    def watch(self, after: int) -> Watch:
        return Watch(self.watches, pb.WatchRelationshipsRequest(organization_id="acme", after_number=after))

    def frames(self, after: int) -> AsyncIterator[bytes]:
        """Return the frames of a watch that goes on after a number, whether the table has it or not."""
        request = pb.WatchRelationshipsRequest(organization_id="acme", after_number=after)
        return self.watches.frames(request, Begin(after, self.progress.past))


class Watch:
    """What one watcher is told."""

    def __init__(self, watches: Watches, request: pb.WatchRelationshipsRequest) -> None:
        self._watches, self._request = watches, request
        self.heard: list[str] = []
        self.beats = 0
        self.refused: Rejected | None = None
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        try:
            async for frame in self._watches.frames(self._request, await self._watches.begin(self._request)):
                told = pb.WatchRelationshipsResponse.FromString(frame)
                self.beats += told.HasField("heartbeat")
                self.heard += [each.change_id for each in told.batch.changes]
        except Rejected as error:
            self.refused = error

    async def until(self, count: int) -> list[str]:
        """Wait until some changes were heard."""
        async with asyncio.timeout(10):
            while len(self.heard) < count:  # noqa: ASYNC110  # Whoever finds them tells the watch, not the test.
                await asyncio.sleep(0.005)
        return self.heard

    async def end(self) -> int | None:
        """Return the reason for which it was refused, once it is."""
        async with asyncio.timeout(10):
            await self._task
        return None if self.refused is None else self.refused.reason


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with placed(tmp_path) as place:
        yield place


@asynccontextmanager
async def placed(folder: Path, found: int = 0) -> AsyncIterator[Place]:
    place = Place(folder)
    if found:
        place.find(found)
    following = asyncio.create_task(place.tail.run(place.stop))
    yield place
    place.stop.set()
    with suppress(asyncio.CancelledError):
        await following
    await place.changes.close()
    place.database.close()


def change(number: int, past: str) -> StoredChange:
    body: Any = RelationshipChange(change_id=f"{past}{number}", number=number, organization_id="acme", subject_id="a")
    return StoredChange(number, "acme", "a", 1, body.change_id, body.SerializeToString())


def ids(first: int, last: int, past: str = "") -> list[str]:
    return [f"{past}{number}" for number in range(first, last + 1)]


async def test_who_watches_while_the_log_gets_another_past_is_told_to_start_over(place: Place) -> None:
    place.find(6)
    watch = place.watch(0)
    assert ids(1, 6) == await watch.until(6)

    place.begin_anew()
    place.find(2, "new-")

    assert reasons.ERROR_REASON_CHANGES_BEGUN_ANEW == await watch.end()
    assert watch.heard == ids(1, 6)
    again = place.watch(0)
    place.find(7, "new-")
    assert ids(1, 9, "new-") == await again.until(9)


async def test_who_has_passed_nothing_goes_on_into_another_past(place: Place) -> None:
    place.find(6)
    assert ids(1, 6) == await (reader := place.watch(0)).until(6)
    place.begin_anew()
    place.changes.tell(place.progress)
    assert reasons.ERROR_REASON_CHANGES_BEGUN_ANEW == await reader.end()
    waiting = place.watch(0)
    await asyncio.sleep(0.05)  # It may be live, or on its way: both have passed nothing.
    place.find(1, "new-")
    assert ids(1, 1, "new-") == await waiting.until(1)

    place.begin_anew()
    early = place.watch(0)
    place.find(3, "third-")
    assert ids(1, 3, "third-") == await early.until(3)


async def test_another_process_begins_anew_and_readers_here_see_it_in_the_table(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.find(6)
    assert ids(1, 6) == await (watch := place.watch(0)).until(6)
    monkeypatch.setattr(place.changes, "tell", lambda _: None)  # Nobody tells what is found elsewhere.
    place.begin_anew()
    place.find(20, "new-")  # More than there was: the number alone says nothing.
    assert reasons.ERROR_REASON_CHANGES_BEGUN_ANEW == await watch.end()
    assert watch.heard == ids(1, 6)


async def test_changes_that_were_lost_and_are_found_again_are_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table may lose its end; the watches go on, and do not turn in a circle until it is there again."""
    monkeypatch.setattr(change_watching, "_REST_S", 0.05)
    place.find(3)
    before = place.progress
    place.find(3)
    watch = place.watch(0)
    assert ids(1, 6) == await watch.until(6)
    place.lose(before)
    other = place.watch(1)
    assert ids(2, 3) == await other.until(2)
    await asyncio.sleep(0.3)
    assert 1 <= other.beats <= 8

    place.find(4)
    assert ids(1, 7) == await watch.until(7)
    assert ids(2, 7) == await other.until(6)
    assert watch.refused is other.refused is None


async def test_frames_say_what_the_log_was_when_their_numbers_were_given(tmp_path: Path) -> None:
    async with placed(tmp_path, found=2) as place:
        frames = place.frames(1)
        told, caught_up = [pb.WatchRelationshipsResponse.FromString(await anext(frames)) for _ in range(2)]
        place.find(1)
        later = pb.WatchRelationshipsResponse.FromString(await anext(frames))

    assert ["2"] == [each.change_id for each in told.batch.changes]
    assert ["3"] == [each.change_id for each in later.batch.changes]
    assert ["2-leaf", "2-leaf", "3-leaf"] == [told.checkpoint, caught_up.checkpoint, later.checkpoint]


async def test_of_a_number_that_is_not_found_here_nothing_is_said(place: Place) -> None:
    place.find(2)
    async with asyncio.timeout(10):
        while place.tail.number < 2:  # noqa: ASYNC110  # It tells watchers, and no others.
            await asyncio.sleep(0.005)
    beyond = pb.WatchRelationshipsResponse.FromString(await anext(place.frames(4)))

    assert (4, "") == (beyond.caught_up.number, beyond.checkpoint)


async def test_a_number_of_one_past_is_never_told_with_the_checkpoint_of_another(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.find(2)
    await anext(place.frames(2))  # The tail follows.

    def last_meanwhile() -> Last:
        place.tail._begin(Last(9, 9, 0, place.progress.past + 1, "9-other"))
        return Last(2, 2, 0, place.progress.past, "2-leaf")

    frames = place.frames(2)
    monkeypatch.setattr(place.changes, "last", last_meanwhile)
    frame = pb.WatchRelationshipsResponse.FromString(await anext(frames))

    assert (2, "") == (frame.caught_up.number, frame.checkpoint)
