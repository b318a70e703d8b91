"""What must hold where things happen at once: each was seen to break, and is played here step by step.

Reads are made in threads, as over PostgreSQL, where that is what lets a group pass a read.
"""

import asyncio
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from uuid import uuid4

import pytest

from ledger.domain.decider import Setting
from ledger.domain.errors import LogDamaged, OutcomeUnknown, Rejected, StoreFailed
from ledger.domain.fact import Decision, NewFact
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import RegisterAsset
from ledger.domain.relationship import RelationshipState
from ledger.ledger import Ledger
from ledger.limits import Limits
from ledger.log.reading import facts
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.sqlite_store import SqliteStore
from ledger.log.store import Append, NewEvent
from ledger.opening import open_ledger
from ledger.requests import Receipt
from rapport.events.v1.interaction_pb2 import InteractionRetracted
from rapport.events.v1.policy_pb2 import ASSET_KIND_MONEY, AssetRegistered
from tests.integration import test_ledger
from tests.integration.test_ledger import ANNA, NOW, Opener, purchase, register_assets, request, reversal, visit

BERT = "acme/bert"
COLD = "acme/cold"

another = test_ledger.another
keys_in = test_ledger._keys_in  # The same keys.
ledger = test_ledger.ledger


@pytest.fixture
async def threaded(another: Opener, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger that reads in threads."""
    monkeypatch.setattr(SqliteStore, "reads_are_local", False)
    return await another()


class Gate(NamedTuple):
    """Holds a call of the store, which has done its work already where it reads."""

    reached: threading.Event
    opened: threading.Event

    async def wait(self) -> None:
        """Return once a call is held."""
        async with asyncio.timeout(10):
            while not self.reached.is_set():  # noqa: ASYNC110  # A thread sets it.
                await asyncio.sleep(0.001)

    def open(self) -> None:
        """Let the call go on, and all later ones."""
        self.opened.set()


def hold(monkeypatch: pytest.MonkeyPatch, store: object, name: str) -> Gate:
    """Hold the calls of one method of a store, after they did what they do."""
    gate, method = Gate(threading.Event(), threading.Event()), getattr(store, name)

    def held(*arguments: object) -> Any:
        found = method(*arguments)
        gate.reached.set()
        assert gate.opened.wait(10)
        return found

    monkeypatch.setattr(store, name, held)
    return gate


def fail(*_: object) -> None:
    """Stand in for a method of a store."""
    raise StoreFailed("the disk is not there")


def register(limit: int) -> list[RegisterAsset]:
    asset = AssetRegistered(asset="USD/2", kind=ASSET_KIND_MONEY, max_units_per_leg=limit)
    return [RegisterAsset(stream_id=policy_stream("acme"), asset=asset)]


async def test_what_is_stored_is_not_told_failed_because_a_repetition_beside_it_cannot_be_read(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    repeated = request()
    await ledger.execute(repeated, [visit(BERT)])
    monkeypatch.setattr(ledger.store, "read_log", fail)

    _, stored = await asyncio.gather(
        ledger.execute(repeated, [visit(BERT)]), ledger.execute(request(), [visit()]), return_exceptions=True
    )

    assert isinstance(stored, Receipt)


async def test_a_refusal_is_not_given_for_what_another_process_kept_from_coming_true(
    another: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, other = await another(), await another()
    await register_assets(ledger)
    await ledger.execute(request(), [purchase("x-1")])
    await ledger.execute(request(), [visit(BERT)])
    row, append = ledger.store.read_stream(BERT)[0], ledger.store.append

    def other_first(*arguments: object) -> object:
        # The stream gets the version that the group predicted, by another event.
        monkeypatch.undo()
        foreign = Append((NewEvent(ANNA, 2, row.topic, row.state),))
        other.store.append([foreign], other.store.head().position, NOW, NOW)
        return append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger.store, "append", other_first)
    won, lost = await asyncio.gather(
        ledger.execute(request(), [reversal("x-1", "r-1")]),
        ledger.execute(request(), [reversal("x-1", "r-2")]),
        return_exceptions=True,
    )

    assert isinstance(won, Receipt)
    assert isinstance(lost, Rejected)
    assert str(won.position) == lost.metadata["position"]


@dataclass(frozen=True, slots=True)
class NameTheLast:
    """Retract what stands last in the stream, by the position that the state gives it."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True
    names_positions: ClassVar[bool] = True

    stream_id: str

    def decide(self, state: RelationshipState, setting: Setting) -> Decision:
        event = InteractionRetracted(original_position=state.last_position)
        return Decision((NewFact(topic="interaction.retracted.v1", event=event, occur_time=setting.now),))


async def test_what_names_a_position_is_decided_again_where_another_process_took_that_position(
    another: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, other = await another(), await another()
    await ledger.execute(request(), [visit(BERT)])
    row, append = ledger.store.read_stream(BERT)[0], ledger.store.append

    def other_first(*arguments: object) -> object:
        monkeypatch.undo()
        foreign = Append((NewEvent(BERT, 2, row.topic, row.state),))  # No stream of the group: only places move.
        other.store.append([foreign], other.store.head().position, NOW, NOW)
        return append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger.store, "append", other_first)
    seen, naming = await asyncio.gather(
        ledger.execute(request(), [visit()]), ledger.execute(request(), [NameTheLast(ANNA)])
    )

    (named,) = facts(ledger.store.read_stream(ANNA, 1))
    assert isinstance(named.event, InteractionRetracted)
    assert seen.position == named.event.original_position
    assert naming.position == named.position


async def test_nothing_is_left_undone_because_of_a_state_that_another_process_overtook(another: Opener) -> None:
    ledger, other = await another(), await another()
    await ledger.execute(request(), register(10))
    await other.execute(request(), register(20))
    await ledger.execute(request(), [visit()])  # Now the ledger knows the head, and not what lies before it.

    with pytest.raises(Rejected):  # Not: it stands already.
        await ledger.execute(request(), register(10))


async def test_states_of_many_are_not_those_of_a_group_that_began_meanwhile(
    threaded: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = threaded.store
    await register_assets(threaded)
    await threaded.execute(request(), [purchase("a-1")])
    await threaded.execute(request(), [purchase("b-1", stream_id=BERT)])
    loading = hold(monkeypatch, store, "read_streams")
    reading = asyncio.create_task(threaded.current_many([ANNA, BERT, COLD]))
    await loading.wait()
    committing = hold(monkeypatch, store, "append")
    writing = asyncio.create_task(threaded.execute(request(), [purchase("b-2", stream_id=BERT)]))
    await committing.wait()
    folding = hold(monkeypatch, store, "read_stream")  # Bert is busy, and folded from the store.
    loading.open()
    await folding.wait()
    committing.open()
    await writing
    monkeypatch.setattr(store, "append", fail)

    with pytest.raises(StoreFailed):
        await threaded.execute(request(), [purchase("a-2"), reversal("a-2")])
    folding.open()
    looks = await reading

    assert (1, 1) == (looks[ANNA].version, looks[ANNA].state.version)
    assert {looks[ANNA].view.position} == {look.view.position for look in looks.values()}


async def test_a_read_that_a_group_passed_leaves_nothing_old_behind(
    threaded: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading = hold(monkeypatch, threaded.store, "read_streams")
    reading = asyncio.create_task(threaded.current(ANNA))
    await loading.wait()
    receipt = await threaded.execute(request(), [visit()])
    refreshing = hold(monkeypatch, threaded.store, "tails")
    loading.open()
    await refreshing.wait()
    reading.cancel()
    refreshing.open()
    await asyncio.gather(reading, return_exceptions=True)

    assert 1 == (await threaded.current(ANNA, receipt.position)).version


async def test_a_stream_that_was_written_unseen_is_folded_by_one_read_for_all(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = await ledger.execute(request(), [visit()])  # Takes the stream's version, and not its state.
    await ledger.current(ANNA)
    monkeypatch.setattr(ledger.store, "read_streams", fail)
    monkeypatch.setattr(ledger.store, "read_stream", fail)

    assert receipt.position == (await ledger.current(ANNA)).last_position


async def test_reads_keep_no_more_in_memory_than_allowed(tmp_path: Path) -> None:
    store = open_store(sqlite_url(tmp_path / "ledger.db"))
    ledger = await open_ledger(store, keys_in(tmp_path), new_log_id=str(uuid4()), limits=Limits(cached_events_max=10))

    for number in range(50):
        await ledger.current(f"acme/{number}")

    kept = ledger._states.events  # Nothing else tells how much is kept.
    await ledger.close()
    assert kept <= 10


async def test_a_damaged_event_is_told_every_time(another: Opener, tmp_path: Path) -> None:
    ledger = await another()
    receipts = [await ledger.execute(request(), [visit()]) for _ in range(3)]
    damage(tmp_path, receipts[1].position)
    other = await another()

    for _ in range(3):
        with pytest.raises(LogDamaged):
            await other.current(ANNA)


async def test_a_damaged_event_that_another_process_wrote_is_told_every_time(another: Opener, tmp_path: Path) -> None:
    ledger, other = await another(), await another()
    await ledger.execute(request(), [visit()])
    await other.current(ANNA)
    receipts = [await ledger.execute(request(), [visit()]) for _ in range(2)]
    damage(tmp_path, receipts[1].position)

    for _ in range(3):
        with pytest.raises(LogDamaged):
            await other.current(ANNA)


async def test_a_damaged_stream_fails_those_who_ask_for_it_and_nobody_else(another: Opener, tmp_path: Path) -> None:
    ledger = await another()
    await register_assets(ledger)
    receipt = await ledger.execute(request(), [visit()])
    damage(tmp_path, receipt.position)
    other = await another()

    told = await asyncio.gather(
        other.execute(request(), [purchase("x-1")]),
        *(other.execute(request(), [visit(BERT)]) for _ in range(3)),
        return_exceptions=True,
    )

    assert [LogDamaged, Receipt, Receipt, Receipt] == [type(each) for each in told]


async def test_a_defect_behind_the_commit_does_not_deny_what_is_stored(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.ledger.follow", defect)

    with pytest.raises(OutcomeUnknown):
        await ledger.execute(request(), [visit()])

    assert isinstance(ledger.failure, ZeroDivisionError)
    assert 1 == ledger.store.versions([ANNA])[ANNA]


def defect(*_: object) -> None:
    """Stand in for code that fails as nobody thought of."""
    raise ZeroDivisionError


def damage(folder: Path, position: int) -> None:
    """Change what a disk holds of an event."""
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE stored_events SET state = x'0001' WHERE position = ?", (position,))
        connection.commit()
