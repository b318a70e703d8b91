"""Changes in their tables: found on both stores, over restarts, by one process of several, and verified."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from ledger.change import running as running_module
from ledger.change import table
from ledger.change.finding import Finder
from ledger.change.kept import KeptInMemory, KeptInTables
from ledger.change.reading import Changes
from ledger.change.running import Runner
from ledger.change.standing import Filter, Order, Standings
from ledger.change.table import ProgressMoved, StoredChange
from ledger.change.verifying import Verification
from ledger.domain.consent import GiveConsent
from ledger.domain.errors import Rejected, StoreClosed
from ledger.domain.times import MICROSECONDS, microseconds, timestamp
from ledger.log.following import Follower
from ledger.log.recorders import open_store
from ledger.log.store import Store
from ledger.projections.database import Database
from ledger.projections.postgres_database import PostgresDatabase
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.requests import Request
from rapport.change.v1 import change_pb2 as pb
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import ConsentGiven, Validity
from rapport.type.v1 import levels_pb2
from services.runtime.detecting import detector_of
from tests.changed_histories import LOG_ID, ChangedHistory, at, find, put
from tests.contact_histories import DAY, HOUR
from tests.measured_histories import acted
from tests.property.test_detector_properties import drawn
from tests.server import serving

ENGINES = ["sqlite", "postgresql"]


class Place:
    """A log of a drawn history, and where its changes are kept."""

    def __init__(self, folder: Path, url: str, history: ChangedHistory | None = None) -> None:
        self._folder, self._url = folder, url
        self.history = drawn(3, 50) if history is None else history
        self.store: Store = open_store(url or f"sqlite://{folder}/events.db")
        put(self.history, self.store)
        self.databases: list[Database] = []

    def database(self) -> Database:
        """Return one more connection to where changes are kept."""
        database = PostgresDatabase(self._url) if self._url else SqliteDatabase(self._folder / "projections.db")
        self.databases.append(database)
        return database

    def append(self, history: ChangedHistory) -> None:
        """Put what a history has beyond the log into it."""
        put(history, self.store)

    def close(self) -> None:
        """Let go of everything."""
        for database in self.databases:
            database.close()
        self.store.close()


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    place = Place(tmp_path, url)
    yield place
    place.close()


def continued(history: ChangedHistory) -> ChangedHistory:
    """Return a history of the same facts, to be continued."""
    other = ChangedHistory()
    other.facts = list(history.facts)
    return other


def history_end(history: ChangedHistory) -> int:
    """Return the record time of the last fact."""
    return history.facts[-1][1].record_time


def stored(database: Database) -> list[StoredChange]:
    with database.snapshot() as session:
        return table.changes_after(session, 0, 1_000_000, None, {})


@asynccontextmanager
async def running(place: Place, **options: Any) -> AsyncIterator[Runner]:
    """Run a detector while the block runs."""
    database, stop = place.database(), asyncio.Event()
    follower = Follower(place.store, poll_s=0.02)
    await follower.start()
    given = {"clock": lambda: 0, "mark": None, "mark_interval_s": 10.0, **options}
    runner = Runner(database, place.store, follower, Changes(database), log_id=LOG_ID, **given)
    task = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await task
        await follower.close()


async def test_the_table_has_what_the_log_says_with_rows_and_sums(place: Place) -> None:
    kept = KeptInMemory()
    expected = find(place.store, place.history.head, kept)

    async with running(place, events_max=7, timers_max=5) as runner:
        await runner.wait_for(place.history.head, 60)

    database = place.database()
    assert expected == stored(database)
    with database.snapshot() as session:
        assert kept.rows == table.watched_by(session, list(kept.rows))
        assert sorted(kept.sums.values()) == table.aggregates_of(session, "acme")
        assert table.dues(session).relationships == sum(row.rank for row in kept.rows.values())


async def test_a_runner_that_is_stopped_anywhere_goes_on_where_it_was(place: Place) -> None:
    expected = find(place.store, place.history.head, KeptInMemory())

    for hours in (-26, 26, 0):  # Its own clock says when marks are wanted, and nothing else.
        clock = history_end(place.history) + hours * HOUR
        async with running(place, events_max=5, timers_max=3, clock=lambda now=clock: now) as runner:
            await asyncio.sleep(0.05)
    async with running(place, events_max=50) as runner:
        await runner.wait_for(place.history.head, 60)

    assert expected == stored(place.database())


async def test_of_two_runners_one_finds_and_the_other_takes_over(place: Place) -> None:
    expected = find(place.store, place.history.head, KeptInMemory())

    async with running(place, events_max=10) as other:
        async with running(place, events_max=10) as first:
            await asyncio.gather(first.wait_for(place.history.head, 60), other.wait_for(place.history.head, 60))
            standings = [await first.standing(), await other.standing()]
            assert sorted(standing.running for standing in standings) == [False, True]
        place.history = continued(place.history)
        place.history.add(acted("MEETING"), place.history.facts[-1][1].record_time + DAY, customer="a")
        place.append(place.history)
        await other.wait_for(place.history.head, 60)

    assert expected == stored(place.database())[: len(expected)]


async def test_who_waits_for_a_position_is_not_told_of_half_of_what_a_new_policy_moves(place: Place) -> None:
    """Its event is passed, but not all relationships are under it: changes up to there are not all found."""
    async with running(place) as runner:
        await runner.wait_for(place.history.head, 20)
    database = place.database()
    follower = Follower(place.store, poll_s=0.02)
    given: dict[str, Any] = {"clock": lambda: 0, "mark": None, "mark_interval_s": 10.0}
    waiting = Runner(database, place.store, follower, Changes(database), log_id=LOG_ID, **given)
    try:
        waiting.progress = runner.progress._replace(sweep="under way")
        with pytest.raises(Rejected) as refused:
            await waiting.wait_for(place.history.head, 0.01)
        assert refused.value.reason == reasons.ERROR_REASON_PROJECTION_BEHIND
        waiting.progress = runner.progress
        await waiting.wait_for(place.history.head, 0.01)
    finally:
        await waiting.close()


async def appended_one_by_one(place: Place, runner: Runner, count: int) -> None:
    """Record some facts, each once the one before is found."""
    place.history = continued(place.history)
    for number in range(count):
        place.history.add(acted("MEETING"), history_end(place.history) + DAY, customer=f"c-{number}")
        place.append(place.history)
        async with asyncio.timeout(20):
            while runner.progress.position < place.history.head:  # noqa: ASYNC110  # Whoever waits for it hurries it.
                await asyncio.sleep(0.002)


async def test_beside_nobody_who_writes_it_rests_only_where_there_is_nothing_to_find(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[bool] = []
    within = running_module._within

    async def rest(timeout_s: float, event: asyncio.Event) -> None:
        rests.append(runner.progress.position < place.history.head)
        await within(timeout_s, event)

    monkeypatch.setattr(running_module, "PACE_MIN_S", 30.0)
    monkeypatch.setattr(running_module, "PACE_MAX_S", 30.0)
    monkeypatch.setattr(running_module, "_within", rest)
    async with running(place, events_max=3, timers_max=3, beside_writers=False) as runner:
        await appended_one_by_one(place, runner, 5)
        steps = len(rests)
        await asyncio.sleep(1.0)
        assert len(rests) <= steps + 3, "it is idle"
    # Where it has waited, the log had grown only after the last look.
    assert sum(rests) <= 5


async def test_who_is_told_how_far_the_log_is_does_not_ask(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(place, beside_writers=False) as runner:
        await runner.wait_for(place.history.head, 20)
        ended = place.store.head()
        monkeypatch.setattr(runner, "_store", SimpleNamespace(head=lambda: ended))  # Who asks learns nothing new.
        place.history = continued(place.history)
        place.history.add(acted("MEETING"), history_end(place.history) + DAY, customer="c-new")
        place.append(place.history)

        runner.hear(place.history.head)
        async with asyncio.timeout(20):
            while runner.progress.position < place.history.head:  # noqa: ASYNC110  # Whoever waits hurries it.
                await asyncio.sleep(0.002)

        monkeypatch.undo()


async def test_who_was_told_of_events_that_are_not_there_looks_again_and_rests(place: Place) -> None:
    """As where the log was put back: what was told is not waited for in a circle."""
    async with running(place, beside_writers=False) as runner:
        await runner.wait_for(place.history.head, 20)
        steps: list[object] = []
        runner._on_moved = steps.append
        runner.hear(place.history.head + 5)
        await asyncio.sleep(0.5)
        assert len(steps) < 10
        place.history = continued(place.history)
        place.history.add(acted("MEETING"), history_end(place.history) + DAY, customer="c-new")
        place.append(place.history)

        await runner.wait_for(place.history.head, 20)


async def test_beside_writers_it_rests_between_two_batches(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_module, "PACE_MIN_S", 0.3)
    monkeypatch.setattr(running_module, "PACE_MAX_S", 0.3)
    async with running(place) as runner:
        await runner.wait_for(place.history.head, 60)
        await appended_one_by_one(place, runner, 1)
        begun_s = time.monotonic()
        await appended_one_by_one(place, runner, 3)
    assert time.monotonic() - begun_s > 0.5


async def test_a_second_detector_that_does_not_know_of_the_lock_changes_nothing(place: Place) -> None:
    database = place.database()
    table.create(database)
    with database.writing() as session:
        begun = table.begin_anew(session, LOG_ID)
    finders = [Finder(place.store, KeptInTables(database), LOG_ID) for _ in range(2)]
    one, other = (finder.find(begun, 20) for finder in finders)
    assert one is not None
    assert one == other

    table.store(database, begun, one.progress, one.changes, one.watched, one.aggregates)
    with pytest.raises(ProgressMoved):
        table.store(database, begun, one.progress, one.changes, one.watched, one.aggregates)

    assert one.changes == stored(database)


async def test_readers_see_changes_in_order_and_wake(place: Place) -> None:
    changes = Changes(place.database())
    waiting = asyncio.create_task(changes.wait_beyond(0, 30))
    async with running(place) as runner:
        assert await runner.changes.wait_beyond(0, 30)
        await runner.wait_for(place.history.head, 60)
    assert await waiting, "in another process it looks by itself"

    everything = stored(place.database())
    assert changes.last().number == len(everything)
    assert changes.after(0, 5) == everything[:5]
    assert changes.after(2, 1_000, "acme", subject_ids=["b"]) == [
        change for change in everything[2:] if change.subject_id == "b"
    ]
    assert changes.after(0, 1_000, "nobody") == []
    page = changes.page(0, 3, "nobody")
    assert (page.changes, page.examined) == ([], len(everything))
    kinds = [everything[0].kind]
    assert changes.after(0, 1_000, kinds=kinds) == [change for change in everything if change.kind in kinds]
    assert not await changes.wait_beyond(len(everything), 0.3)
    await changes.close()
    with pytest.raises(StoreClosed):  # Else who waits in a loop would turn in it for ever.
        await changes.wait_beyond(len(everything), 0.3)


async def test_relationships_are_listed_by_how_they_stand(place: Place) -> None:
    kept = KeptInMemory()
    find(place.store, place.history.head, kept)
    async with running(place) as runner:
        await runner.wait_for(place.history.head, 60)
    standings = Standings(place.database())
    rows = sorted((row for row in kept.rows.values() if row.rank), key=lambda row: row.customer_id)

    page = standings.list(Filter(organization_id="acme"))

    assert [row.customer_id for row in rows] == [each.customer_id for each in page.standings]
    assert page.last.position == place.history.head
    lapsed = tuple({row.lifecycle for row in rows})[:1]
    found = standings.list(Filter(organization_id="acme", lifecycles=lapsed, exists=bool(rows[0].existing)))
    wanted = [row for row in rows if row.lifecycle in lapsed and row.existing == rows[0].existing]
    assert [row.customer_id for row in wanted] == [each.customer_id for each in found.standings]
    one = standings.list(Filter(organization_id="acme"), limit=1)
    assert one.more
    rest = standings.list(Filter(organization_id="acme"), after=one.standings[0].key)
    assert [*one.standings, *rest.standings] == page.standings
    crossing = standings.list(Filter(organization_id="acme"), Order.NEXT_CROSSING)
    assert [each.next_crossing for each in crossing.standings] == sorted(
        row.next_crossing for row in rows if row.next_crossing < table.NEVER
    )
    assert set(standings.of("acme", ["a", "nobody"])[0]) == {"a"}
    strong = Filter(organization_id="acme", bands=(levels_pb2.STRENGTH_BAND_STRONG,), persona_id="p", actual_slug="x")
    assert standings.list(strong).standings == []


async def test_all_is_made_anew_and_compared_and_a_difference_is_named(place: Place) -> None:
    async with running(place) as runner:
        await runner.wait_for(place.history.head, 60)
        verification, ended = runner.verify()
        await ended
        assert verification.compared == runner.progress.number > 0
        assert verification.position == verification.head == place.history.head
    database = place.database()
    with database.writing() as session:
        session.change("UPDATE changes SET change_id = 'x' WHERE number = 2")

    with pytest.raises(Rejected) as refused:
        Verification(database, place.store, LOG_ID).run()

    assert refused.value.reason == reasons.ERROR_REASON_CHANGES_DIFFER
    assert (refused.value.metadata["number"], refused.value.metadata["stored_id"]) == ("2", "x")


async def test_a_change_that_is_missing_at_the_end_is_found(place: Place) -> None:
    async with running(place) as runner:
        await runner.wait_for(place.history.head, 60)
    database = place.database()
    with database.writing() as session:
        session.change("DELETE FROM changes WHERE number = (SELECT max(number) FROM changes)")

    with pytest.raises(Rejected):
        Verification(database, place.store, LOG_ID).run()


async def test_changes_of_another_log_are_let_go(place: Place) -> None:
    database = place.database()
    table.create(database)
    with database.writing() as session:
        begun = table.begin_anew(session, "another-log")
    left = StoredChange(1, "acme", "a", 1, "left", b"")
    table.store(database, begun, begun._replace(position=9, number=1, events=1), [left], [], [])

    async with running(place) as runner:
        await runner.wait_for(place.history.head, 60)

    assert find(place.store, place.history.head, KeptInMemory()) == stored(place.database())


async def test_a_log_put_back_that_grew_to_another_past_is_looked_through_anew(place: Place, tmp_path: Path) -> None:
    async with running(place) as runner:
        await runner.wait_for(place.history.head, 60)
    place.store.close()
    place.history = drawn(4, 70)
    place.store = open_store(f"sqlite://{tmp_path}/put-back.db")
    put(place.history, place.store)
    assert place.history.head >= runner.progress.position > 0
    assert place.store.head().position == place.history.head

    async with running(place) as again:
        await again.wait_for(place.history.head, 60)

    assert (runner.progress.past, again.progress.past) == (0, 1)
    assert find(place.store, place.history.head, KeptInMemory()) == stored(place.database())


async def test_the_same_log_is_gone_on_with_also_in_tables_that_have_no_proof_of_it(place: Place) -> None:
    async with running(place) as runner:
        await runner.wait_for(place.history.head, 60)
    database = place.database()
    with database.writing() as session:
        session.change("UPDATE changes SET subject_id = 'marked' WHERE number = 1")
        for column in ("leaf", "past"):
            session.change(f"ALTER TABLE change_progress DROP COLUMN {column}")
    assert runner.progress.leaf

    async with running(place) as again:
        await again.wait_for(place.history.head, 60)
        assert again.progress == runner.progress._replace(leaf="")
        place.history.add(acted("MEETING"), history_end(place.history) + DAY, customer="a")
        place.append(place.history)
        await again.wait_for(place.history.head, 60)
    async with running(place) as last:
        await last.wait_for(place.history.head, 60)

    assert last.progress == again.progress
    assert last.progress.leaf
    assert stored(database)[0].subject_id == "marked", "nothing was found anew"


def long_ago() -> ChangedHistory:
    """A history in which something is due since 2020."""
    history = ChangedHistory()
    history.add(acted("PURCHASE"), "2020-01-01")
    return history


async def test_time_is_marked_where_something_is_due_and_nobody_writes(tmp_path: Path) -> None:
    history = long_ago()
    place, dues, marked = Place(tmp_path, "", history), list[int](), asyncio.Event()

    async def mark(due: int) -> None:
        dues.append(due)
        history.mark(due + 1)
        place.append(history)
        marked.set()

    running_s = iter(range(1_000_000))
    options = {"mark": mark, "mark_interval_s": 0.01, "clock": lambda: at("2021-01-01")}
    async with running(place, **options, running_s=lambda: float(next(running_s))) as runner:
        await asyncio.wait_for(marked.wait(), 30)
        await runner.wait_for(history.head, 30)
        await asyncio.sleep(0.3)

    # The next is due a day and more later: by the clock that nobody sets that is not so soon.
    assert dues == [at("2020-01-02")]
    assert (runner.progress.position, runner.progress.log_time) == (2, at("2020-01-02") + 1)
    place.close()


async def test_a_clock_that_runs_ahead_is_not_believed(tmp_path: Path, postgres_url: str) -> None:
    place, told, alarmed = Place(tmp_path, postgres_url, long_ago()), list[int](), asyncio.Event()

    async def mark(_: int) -> None:
        raise AssertionError("no mark is made by a clock that is not believed")

    def alarm(ahead: int) -> None:
        told.append(ahead)
        alarmed.set()

    ahead = 26 * 3_600 * MICROSECONDS
    now = table.clock(place.database())
    assert now is not None
    async with running(place, clock=lambda: now + ahead, mark=mark, on_alarm=alarm):
        await asyncio.wait_for(alarmed.wait(), 30)

    assert ahead - 60 * MICROSECONDS < told[0] <= ahead
    place.close()


async def test_a_server_finds_changes_and_marks_the_time_of_what_is_due(tmp_path: Path) -> None:
    async with serving(tmp_path, mark_interval_s=0.05) as server:
        changes, runner = detector_of(server.app).changes, detector_of(server.app).runner
        until = round(time.time() * MICROSECONDS) + 3_000_000
        consent = ConsentGiven(purposes=["community"], validity=Validity(until_time=timestamp(until)))
        command = GiveConsent("acme/c-1", consent)
        await server.app.ledger.execute(Request("/test", "acme", uuid4().bytes, consent), [command])

        assert await changes.wait_beyond(0, 10)
        while runner.progress.number < 3:
            assert await changes.wait_beyond(runner.progress.number, 20)

        standing = await runner.standing()
        assert (standing.running, standing.head, standing.progress.position) == (True, 3, 3)
        kinds = [pb.RelationshipChange.FromString(each.body).kind for each in changes.after(0, 10, "acme")]
        assert kinds == [pb.CHANGE_KIND_OPTED_IN, pb.CHANGE_KIND_CONSENT_EXPIRING, pb.CHANGE_KIND_CONSENT_EXPIRED]
        expired = pb.RelationshipChange.FromString(changes.after(2, 1)[0].body)
        assert (microseconds(expired.effective_time), list(expired.cause_positions)) == (until, [])
        figures = server.app.metrics.registry.get_sample_value
        assert figures("rapport_changes_position") == 3
        assert figures("rapport_changes_found_total") == 3
