"""A relationship as it is now: one turn with the store, one fold, and never what no position of the log ever showed.

What is answered while others write is compared with what the log held up to the answer's own position: neither torn
(the relationship of one position beside the policy of another) nor old. Reads are made in threads where that lets
somebody pass them, as over PostgreSQL.
"""

import asyncio
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ledger.domain.errors import LogDamaged, Rejected
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import PolicyState
from ledger.ledger import Ledger
from ledger.log.reading import facts
from ledger.log.store import EventRow, Head, Store
from ledger.measure.record import Record
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.relationship_types_pb2 import TypeCatalogue, TypesPublished
from rapport.type.v1.as_of_pb2 import AsOf
from services.relationship.measuring import Asked, Measuring, Sight
from services.runtime.records import Records
from tests.integration import test_ledger_races
from tests.integration.test_ledger import ANNA, NOW, Opener, purchase, register_assets, request, reversal, visit
from tests.integration.test_ledger_races import BERT, COLD, Gate, damage, hold
from tests.told_histories import Bare

NOW_ASKED = Asked(AsOf())
POLICIES = policy_stream("acme")

another = test_ledger_races.another
ledger = test_ledger_races.ledger
threaded = test_ledger_races.threaded


class Reader(NamedTuple):
    """Shows relationships of one process."""

    records: Records
    measuring: Measuring

    async def see(self, stream_id: str = ANNA, min_position: int = 0) -> Sight:
        sight = await self.measuring.sight(stream_id, NOW_ASKED, min_position)
        assert sight is not None
        return sight


def reader(ledger: Ledger, **bounds: int) -> Reader:
    records = Records(ledger, **bounds)
    return Reader(records, Measuring(ledger, records))


def counting_calls(monkeypatch: pytest.MonkeyPatch, store: Store) -> Counter[str]:
    """Return how often each reading method of a store is called on the loop from now on."""
    calls: Counter[str] = Counter()

    def watch(name: str) -> None:
        method = getattr(store, name)

        def counting(*arguments: Any) -> Any:
            calls[name] += threading.current_thread() is threading.main_thread()  # Not by who watches the file.
            return method(*arguments)

        monkeypatch.setattr(store, name, counting)

    for name in ("head", "read_stream", "read_streams", "tails", "versions", "read_log", "get"):
        watch(name)
    return calls


def taken(calls: Counter[str]) -> dict[str, int]:
    found = {name: times for name, times in calls.items() if times}
    calls.clear()
    return found


def publish(version: int) -> Bare:
    """Publish something that every answer names."""
    event = TypesPublished(catalogue=TypeCatalogue(version=version))
    return Bare(POLICIES, "policy.types_published.v1", event, NOW)


async def held_while_reading_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> tuple[Reader, Gate, asyncio.Task[Sight]]:
    """Show one relationship, write to it, and hold who is shown it again while it reads what is new."""
    await ledger.execute(request(), [visit()])
    seen = reader(ledger)
    await seen.see()
    await ledger.execute(request(), [visit()])
    reading = hold(monkeypatch, ledger.store, "read_stream")
    looking = asyncio.create_task(seen.see())
    await reading.wait()
    return seen, reading, looking


def check(sight: Sight, store: Store, stream_id: str = ANNA) -> None:
    """Let pass what the log shows at the position that an answer names, and nothing else."""
    view, record = sight.look.view, sight.measured.record
    rows = [row for row in store.read_stream(stream_id) if row.position <= view.position]
    fresh = Record()
    for fact in facts(rows):
        fresh.evolve(fact)
    assert len(rows) == sight.look.version == record.version
    assert fresh.state.last_position == sight.look.last_position == record.state.last_position
    assert fresh.state.interactions.totals() == record.state.interactions.totals()
    assert fresh.state.exchanges.quantities() == record.state.exchanges.quantities()
    assert fresh.state.erased_position == record.state.erased_position
    assert fresh.pieces - len(fresh.memo) <= record.pieces
    known = PolicyState()
    for fact in facts(row for row in store.read_stream(POLICIES) if row.position <= view.position):
        known.evolve(fact)
    assert known.types.latest == sight.measured.outlook.types_version


# --- What it costs ----------------------------------------------------------------------------------------------------


async def test_the_first_ask_reads_the_stream_once_and_the_next_only_the_head(
    another: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await another()).execute(request(), [visit(), visit(), visit(BERT)])
    fresh = await another()
    seen = reader(fresh)
    await seen.see(BERT)  # What is published is in memory now.
    calls = counting_calls(monkeypatch, fresh.store)

    await seen.see()
    assert {"head": 1, "read_stream": 1} == taken(calls)
    await seen.see()
    assert {"head": 1} == taken(calls)
    assert fresh.glance(ANNA) is None  # Nobody folded the ledger's own state.


async def test_own_writes_cost_a_reader_only_what_they_added(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await ledger.execute(request(), [visit(), visit(BERT)])
    seen = reader(ledger)
    await seen.see()
    calls = counting_calls(monkeypatch, ledger.store)

    await ledger.execute(request(), [visit(BERT)])
    taken(calls)
    await seen.see()
    assert {"head": 1} == taken(calls)  # The versions in memory tell that nothing is missing.

    await ledger.execute(request(), [visit()])
    taken(calls)
    assert 2 == (await seen.see()).look.version
    assert {"head": 1, "read_stream": 1} == taken(calls)


async def test_what_another_process_wrote_is_asked_for_once(another: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, other = await another(), await another()
    await ledger.execute(request(), [visit()])
    seen = reader(ledger)
    await seen.see()
    calls = counting_calls(monkeypatch, ledger.store)

    await other.execute(request(), [visit(), visit(BERT)])
    taken(calls)  # A follower may have looked around meanwhile.
    assert 2 == (await seen.see()).look.version
    assert {"head": 1, "tails": 1} == taken(calls)  # Of the customer and of what is published, in one query.
    await seen.see()
    assert {"head": 1} == taken(calls)


async def test_states_of_now_are_compared_once_with_what_another_process_wrote(
    another: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, other = await another(), await another()
    await ledger.current(ANNA)
    await other.execute(request(), [visit()])
    calls = counting_calls(monkeypatch, ledger.store)

    assert 1 == (await ledger.current(ANNA)).version
    assert {"head": 1, "tails": 1} == taken(calls)
    assert 1 == (await ledger.current(ANNA)).version
    assert 1 == (await ledger.current_many([ANNA]))[ANNA].version
    assert {"head": 2} == taken(calls)


async def test_those_who_come_at_once_fold_nothing_twice(threaded: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await threaded.execute(request(), [visit() for _ in range(20)])
    seen, folded = reader(threaded), list[int]()
    evolve = Record.evolve

    def counting(record: Record, fact: Any) -> None:
        folded.append(fact.position)
        evolve(record, fact)

    monkeypatch.setattr(Record, "evolve", counting)
    sights = await asyncio.gather(*(seen.see() for _ in range(8)))

    assert 20 == len(folded) == len(set(folded))
    assert {20} == {sight.look.version for sight in sights}


async def test_who_asks_for_the_unknown_leaves_no_record_behind(ledger: Ledger) -> None:
    seen = reader(ledger)

    assert await seen.measuring.sight(COLD, NOW_ASKED) is None
    assert 0 == len(seen.records)
    await ledger.execute(request(), [visit(COLD)])
    assert 1 == (await seen.see(COLD)).look.version


# --- What is never answered -------------------------------------------------------------------------------------------


async def test_a_write_between_the_head_and_the_stream_is_not_in_the_answer_of_that_head(
    threaded: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await threaded.execute(request(), [visit()])
    seen = reader(threaded)
    asking = hold(monkeypatch, threaded.store, "head")  # It has found the head, and reads the stream after that.
    looking = asyncio.create_task(seen.see())
    await asking.wait()
    receipt = await threaded.execute(request(), [visit()])
    asking.open()

    sight = await looking
    check(sight, threaded.store)
    assert 1 == sight.look.version
    assert sight.look.view.position < receipt.position
    check(await seen.see(min_position=receipt.position), threaded.store)


async def test_what_another_process_writes_behind_the_head_is_not_in_the_answer_of_that_head(
    threaded: Ledger, another: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await another()
    await other.execute(request(), [visit()])
    seen = reader(threaded)
    await seen.see()
    first = await other.execute(request(), [visit(), publish(1)])
    asking = hold(monkeypatch, threaded.store, "head")
    looking = asyncio.create_task(seen.see())
    await asking.wait()
    second = await other.execute(request(), [visit(), publish(2)])
    asking.open()

    sight = await looking
    check(sight, other.store)
    assert (2, first.position) == (sight.look.version, sight.look.view.position)
    check(await seen.see(min_position=second.position), other.store)


async def test_a_version_that_a_group_passed_while_it_was_read_is_not_kept(
    threaded: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await threaded.execute(request(), [visit()])
    seen = reader(threaded)
    await seen.see(min_position=1)
    threaded._states.forget([ANNA])  # As what is used least is dropped.
    reading = hold(monkeypatch, threaded.store, "head")
    looking = asyncio.create_task(reader(threaded).see())
    await reading.wait()
    receipt = await threaded.execute(request(), [visit()])
    threaded._states.forget([ANNA])
    reading.open()
    check(await looking, threaded.store)

    assert 2 == (await seen.see(min_position=receipt.position)).look.version


async def test_a_policy_that_comes_while_the_relationship_is_read_is_not_mixed_into_the_answer(
    threaded: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, reading, looking = await held_while_reading_on(threaded, monkeypatch)
    receipt = await threaded.execute(request(), [publish(1)])
    reading.open()

    # What is published is ahead of the view that was read, so now is asked for again.
    sight = await looking
    check(sight, threaded.store)
    assert receipt.position == sight.look.view.position


async def test_a_record_that_others_continued_is_asked_for_again(
    threaded: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, reading, late = await held_while_reading_on(threaded, monkeypatch)
    monkeypatch.undo()
    receipt = await threaded.execute(request(), [visit()])
    assert 3 == (await seen.see()).look.version
    reading.open()

    sight = await late
    check(sight, threaded.store)
    assert receipt.position == sight.look.view.position


@pytest.mark.parametrize("committed", [False, True])
async def test_nobody_waits_for_a_group_under_way_and_nobody_sees_what_is_not_durable(
    threaded: Ledger, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    await register_assets(threaded)
    await threaded.execute(request(), [purchase("x-1")])
    seen = reader(threaded)
    if not committed:
        monkeypatch.setattr(threaded.store, "append", partial(after, threaded.store.append))
    committing = hold(monkeypatch, threaded.store if committed else after, "append" if committed else "held")
    writing = asyncio.create_task(threaded.execute(request(), [purchase("x-2"), reversal("x-2")]))
    await committing.wait()  # It has read what is published, too, and has folded x-2 to take it back.

    async with asyncio.timeout(5):
        sight = await seen.see()
        assert 2 == (await threaded.current(POLICIES)).state.version
    check(sight, threaded.store)
    assert (3 if committed else 1) == sight.look.version
    committing.open()
    receipt = await writing
    check(await seen.see(min_position=receipt.position), threaded.store)


def after(append: Any, *arguments: Any) -> Any:
    """Append once it is let go on."""
    after.held()  # type: ignore[attr-defined]
    return append(*arguments)


after.held = lambda: None  # type: ignore[attr-defined]


async def test_a_log_that_was_put_back_is_answered_from_as_it_is(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.execute(request(), [visit()])
    kept = await ledger.execute(request(), [visit(BERT)])
    end = ledger.store.head()
    await ledger.execute(request(), [visit(), publish(1)])
    seen = reader(ledger)
    assert 2 == (await seen.see()).look.version
    put_back(monkeypatch, ledger.store, end)

    sight = await seen.see()

    assert (1, kept.position) == (sight.look.version, sight.look.view.position)
    check(sight, ledger.store)


async def test_a_log_that_was_put_back_and_grew_again_is_not_taken_for_the_one_that_was_seen(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.execute(request(), [visit()])
    seen = reader(ledger)
    await seen.see()
    head = ledger.store.head()
    other = Head(head.position, head.record_time + 1)
    calls = counting_calls(monkeypatch, ledger.store)
    monkeypatch.setattr(ledger.store, "head", lambda: other)

    await seen.see()

    assert calls["tails"] or calls["read_stream"]


def put_back(monkeypatch: pytest.MonkeyPatch, store: Store, end: Head) -> None:
    """Let a store hold no more than up to an earlier end of its log."""
    read_stream, tails = store.read_stream, store.tails

    def upto(rows: list[EventRow]) -> list[EventRow]:
        return [row for row in rows if row.position <= end.position]

    monkeypatch.setattr(store, "head", lambda: end)
    monkeypatch.setattr(store, "read_stream", lambda *asked: upto(read_stream(*asked)))
    monkeypatch.setattr(store, "tails", lambda asked: {name: upto(rows) for name, rows in tails(asked).items()})


async def test_a_position_of_another_process_is_waited_for(another: Opener) -> None:
    ledger, other = await another(), await another()
    seen = reader(ledger)
    await ledger.execute(request(), [visit()])
    await seen.see()
    wanted = ledger.head.position + 2
    looking = asyncio.create_task(seen.see(min_position=wanted))
    await asyncio.sleep(0.01)
    assert not looking.done()
    await other.execute(request(), [visit(), visit(BERT)])

    sight = await looking
    assert (2, wanted) == (sight.look.version, sight.look.view.position)
    ledger._present.wait_s = 0.01
    with pytest.raises(Rejected) as refused:
        await seen.see(min_position=1_000)
    assert reasons.ERROR_REASON_PROJECTION_BEHIND == refused.value.reason


# --- Long and broken streams ------------------------------------------------------------------------------------------


async def test_long_streams_are_folded_in_turns_also_where_they_do_not_stay_in_memory(ledger: Ledger) -> None:
    for _ in range(3):
        await ledger.execute(request(), [visit() for _ in range(250)] + [visit(BERT) for _ in range(200)])
    seen = reader(ledger, pieces_max=1)

    sights = await asyncio.gather(seen.see(), seen.see(BERT), seen.see(), seen.see(BERT))

    assert [750, 600, 750, 600] == [sight.look.version for sight in sights]
    assert 1 == len(seen.records)


async def test_a_record_that_broke_is_used_by_nobody(threaded: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await threaded.execute(request(), [visit(), visit()])
    seen, evolve, failing = reader(threaded), Record.evolve, [True]
    await seen.see()
    await threaded.execute(request(), [visit() for _ in range(3)])

    def breaking(record: Record, fact: Any) -> None:
        evolve(record, fact)
        if record.version == 4 and failing:
            failing.clear()
            raise RuntimeError("half of it")

    monkeypatch.setattr(Record, "evolve", breaking)
    told = await asyncio.gather(*(seen.see() for _ in range(4)), return_exceptions=True)

    assert 1 == sum(isinstance(each, RuntimeError) for each in told)
    for each in told:
        if not isinstance(each, RuntimeError):
            assert isinstance(each, Sight)
            check(each, threaded.store)


async def test_a_damaged_event_is_told_every_time_it_is_in_the_way(another: Opener, tmp_path: Path) -> None:
    ledger = await another()
    receipts = [await ledger.execute(request(), [visit()]) for _ in range(3)]
    damage(tmp_path, receipts[1].position)
    seen = reader(await another())

    for _ in range(3):
        with pytest.raises(LogDamaged):
            await seen.see()
    assert 0 == seen.records.pieces
