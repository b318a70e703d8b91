"""The write path and the reads on demand, over a real store; two ledgers on one file stand for two processes."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ledger.domain.consent import GiveConsent, WithdrawConsent
from ledger.domain.errors import OutcomeUnknown, Rejected, RequestIdReused, StoreFailed
from ledger.domain.exchange import RecordExchange, ReverseExchange
from ledger.domain.identifiers import policy_stream
from ledger.domain.interaction import CorrectInteraction, RecordInteraction, RetractInteraction
from ledger.domain.policy import RegisterAsset
from ledger.domain.streams import initial_state
from ledger.domain.times import timestamp
from ledger.ledger import Ledger
from ledger.log.envelope import split_state
from ledger.log.keks import Keks
from ledger.log.keys import KeyStore
from ledger.log.reading import facts
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.sqlite_keys import SqliteKeyTable
from ledger.opening import open_ledger
from ledger.requests import Receipt, Request
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import exchange_pb2 as exchanges
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentWithdrawn
from rapport.events.v1.exchange_pb2 import ExchangeRecorded, ExchangeReversed, Leg
from rapport.events.v1.interaction_pb2 import (
    DIRECTION_INBOUND,
    INTERACTION_KIND_MESSAGE,
    INTERACTION_KIND_VISIT,
    InteractionCorrected,
    InteractionRecorded,
    InteractionRetracted,
)
from rapport.events.v1.policy_pb2 import ASSET_KIND_ITEM, ASSET_KIND_MONEY, AssetRegistered
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from rapport.type.v1.amount_pb2 import Amount
from rapport.type.v1.as_of_pb2 import AsOf

ANNA = "acme/anna"
NOW = 1_700_000_000_000_000
"""Microseconds: the clock of every ledger here."""

Opener = Callable[[], Awaitable[Ledger]]


@pytest.fixture
async def another(tmp_path: Path) -> AsyncIterator[Opener]:
    """Open ledgers over the same files, each with connections of its own, as a process of its own would."""
    async with AsyncExitStack() as stack:

        async def opened() -> Ledger:
            store = open_store(sqlite_url(tmp_path / "ledger.db"))
            ledger = await open_ledger(store, _keys_in(tmp_path), new_log_id=str(uuid4()), clock=lambda: NOW)
            stack.push_async_callback(ledger.close)
            return ledger

        yield opened


@pytest.fixture
async def ledger(another: Opener) -> Ledger:
    return await another()


def _keys_in(folder: Path) -> Callable[[str], KeyStore]:
    return lambda log_id: KeyStore(SqliteKeyTable(folder / "keys.db", log_id), Keks([bytes(range(32))]))


def request(message: object = None, method: str = "/test/Record", request_id: UUID | None = None) -> Request:
    """Return a request of its own, unless an id is given."""
    given = message if isinstance(message, RecordInteractionRequest) else RecordInteractionRequest()
    return Request(method, "acme", (request_id or uuid4()).bytes, given)


def visit(stream_id: str = ANNA, occur_time: int | None = None, **fields: object) -> RecordInteraction:
    interaction = InteractionRecorded(kind=INTERACTION_KIND_VISIT, direction=DIRECTION_INBOUND, **fields)  # type: ignore[arg-type]
    return RecordInteraction(stream_id, interaction, occur_time)


def message(text: str) -> tuple[Request, RecordInteraction]:
    """Return a request with personal content, and its step."""
    asked = RecordInteractionRequest()
    asked.interaction.kind = INTERACTION_KIND_MESSAGE
    asked.interaction.direction = DIRECTION_INBOUND
    asked.interaction.summary = text
    return request(asked), RecordInteraction(ANNA, asked.interaction)


def purchase(exchange_id: str, cents: int = 1250, stream_id: str = ANNA) -> RecordExchange:
    money = Leg(
        giver=exchanges.PARTY_CUSTOMER,
        category=exchanges.CATEGORY_MONEY_PAYMENT,
        amount=Amount(units=cents, asset="USD/2"),
    )
    goods = Leg(
        giver=exchanges.PARTY_ORGANIZATION, category=exchanges.CATEGORY_GOODS, amount=Amount(units=1, asset="CD/0")
    )
    event = ExchangeRecorded(exchange_id=exchange_id, legs=[money, goods])
    return RecordExchange(stream_id=stream_id, event=event, occur_time=NOW - 1000)


def reversal(exchange_id: str, reversal_id: str = "r-1") -> ReverseExchange:
    event = ExchangeReversed(exchange_id=exchange_id, reversal_id=reversal_id, at_original=True)
    return ReverseExchange(stream_id=ANNA, event=event)


async def register_assets(ledger: Ledger) -> Receipt:
    stream_id = policy_stream("acme")
    money = AssetRegistered(asset="USD/2", kind=ASSET_KIND_MONEY, max_units_per_leg=10**9)
    pieces = AssetRegistered(asset="CD/0", kind=ASSET_KIND_ITEM, max_units_per_leg=10**6)
    steps = [RegisterAsset(stream_id=stream_id, asset=asset) for asset in (money, pieces)]
    return await ledger.execute(request(), steps)


async def test_a_new_log_begins_with_its_own_creation(ledger: Ledger) -> None:
    row = ledger.store.get(1)

    assert row is not None
    assert ("@ledger/@log", 1, "ledger.created.v1") == (row.stream_id, row.version, row.topic)
    assert f"rapport.local/{ledger.log_id}" == ledger.origin


async def test_a_recorded_interaction_has_a_position_and_is_seen_by_the_next_read(ledger: Ledger) -> None:
    receipt = await ledger.execute(request(), [visit()])

    (place,) = receipt.steps[0].places
    assert (2, 1) == place
    look = await ledger.current(ANNA, min_position=receipt.position)
    assert 1 == look.state.interactions.totals().count
    assert receipt.position == look.view.position


async def test_the_same_request_again_gets_the_first_answer_and_records_nothing(ledger: Ledger) -> None:
    asked = request()
    first = await ledger.execute(asked, [visit()])

    again = await ledger.execute(asked, [visit()])

    assert again.replayed
    assert (first.steps, first.record_time) == (again.steps, again.record_time)
    assert first.position == ledger.store.head().position


async def test_the_same_request_id_with_other_content_is_refused_with_the_first_position(ledger: Ledger) -> None:
    asked = request()
    first = await ledger.execute(asked, [visit()])
    other = Request(asked.method, "acme", asked.request_id, RecordInteractionRequest(customer_id="bert"))

    with pytest.raises(RequestIdReused) as refusal:
        await ledger.execute(other, [visit("acme/bert")])

    assert str(first.position) == refusal.value.metadata["first_position"]
    with pytest.raises(RequestIdReused):
        await ledger.execute(Request("/test/Other", "acme", asked.request_id, asked.message), [visit()])


async def test_sixty_four_callers_with_one_request_id_record_one_event(ledger: Ledger) -> None:
    asked = request()

    receipts = await asyncio.gather(*[ledger.execute(asked, [visit()]) for _ in range(64)])

    assert 63 == sum(receipt.replayed for receipt in receipts)
    assert 1 == len({receipt.steps for receipt in receipts})
    assert 1 == ledger.store.versions([ANNA])[ANNA]


async def test_a_batch_is_recorded_whole_at_consecutive_positions(ledger: Ledger) -> None:
    receipt = await ledger.execute(request(), [visit("acme/a"), visit("acme/b"), visit("acme/a")])

    assert [(2, 1), (3, 1), (4, 2)] == [step.places[0] for step in receipt.steps]


async def test_a_batch_with_one_refused_step_records_nothing_and_spoils_nothing(ledger: Ledger) -> None:
    await register_assets(ledger)
    await ledger.execute(request(), [purchase("x-1")])
    head = ledger.store.head()

    outcomes = await asyncio.gather(
        ledger.execute(request(), [purchase("x-2"), reversal("x-1"), reversal("x-9", "r-9")]),
        ledger.execute(request(), [purchase("x-3")]),
        return_exceptions=True,
    )

    refused, recorded = outcomes
    assert isinstance(refused, Rejected)
    assert (reasons.ERROR_REASON_EXCHANGE_UNKNOWN, "2") == (refused.reason, refused.metadata["operation_index"])
    assert isinstance(recorded, Receipt)
    assert head.position + 1 == ledger.store.head().position
    await assert_cached_equals_folded(ledger, [ANNA])
    state = (await ledger.current(ANNA)).state.exchanges
    assert (2, 0) == (state.count, state.reversed)


async def test_steps_of_a_batch_see_what_earlier_ones_left(ledger: Ledger) -> None:
    await register_assets(ledger)

    receipt = await ledger.execute(request(), [purchase("x-1"), reversal("x-1"), purchase("x-2")])

    assert [1, 2, 3] == [step.places[0].version for step in receipt.steps]
    await assert_cached_equals_folded(ledger, [ANNA])


async def test_of_many_reversals_at_once_one_wins_and_the_others_are_told_the_winner(ledger: Ledger) -> None:
    await register_assets(ledger)
    await ledger.execute(request(), [purchase("x-1")])

    outcomes = await asyncio.gather(
        *[ledger.execute(request(), [reversal("x-1", f"r-{number}")]) for number in range(50)], return_exceptions=True
    )

    won = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    assert (1, 49) == (len(won), len(lost))
    assert {reasons.ERROR_REASON_EXCHANGE_ALREADY_REVERSED} == {refusal.reason for refusal in lost}
    assert {str(won[0].position)} == {refusal.metadata["position"] for refusal in lost}


async def test_what_another_process_recorded_is_seen_and_decided_upon(another: Opener) -> None:
    here, there = await another(), await another()
    with pytest.raises(Rejected) as refusal:
        await here.execute(request(), [purchase("x-1")])
    assert reasons.ERROR_REASON_ASSET_UNKNOWN == refusal.value.reason

    await register_assets(there)

    await here.execute(request(), [purchase("x-1")])
    await there.execute(request(), [purchase("x-2")])
    await here.execute(request(), [purchase("x-3")])
    assert 3 == (await there.current(ANNA)).state.exchanges.count
    await assert_cached_equals_folded(here, [ANNA])
    await assert_cached_equals_folded(there, [ANNA])


async def test_one_request_sent_to_two_processes_is_carried_out_once(another: Opener) -> None:
    here, there = await another(), await another()
    asked = [request() for _ in range(50)]

    receipts = await asyncio.gather(
        *[ledger.execute(each, [visit()]) for each in asked for ledger in (here, there)],
    )

    assert 50 == sum(receipt.replayed for receipt in receipts)
    assert 50 == here.store.versions([ANNA])[ANNA]


@pytest.mark.parametrize("seed", range(4))
async def test_two_processes_that_write_the_same_customers_lose_and_double_nothing(another: Opener, seed: int) -> None:
    chance = random.Random(seed)
    ledgers = [await another(), await another()]
    await register_assets(ledgers[0])
    streams = [f"acme/c-{number}" for number in range(5)]

    async def write(number: int) -> Receipt:
        ledger, stream_id = chance.choice(ledgers), chance.choice(streams)
        await asyncio.sleep(chance.random() / 100)
        return await ledger.execute(request(), [purchase(f"x-{number}", stream_id=stream_id), visit(stream_id)])

    receipts = await asyncio.gather(*[write(number) for number in range(200)])

    positions = sorted(place.position for receipt in receipts for step in receipt.steps for place in step.places)
    head = ledgers[0].store.head().position
    assert list(range(head - 399, head + 1)) == positions, f"seed {seed}"
    for ledger in ledgers:
        await assert_cached_equals_folded(ledger, streams)


async def test_personal_content_is_sealed_under_a_key_that_the_stream_tells_of(ledger: Ledger) -> None:
    asked, step = message("My mother is ill.")

    receipt = await ledger.execute(asked, [step])

    rows = ledger.store.read_stream(ANNA)
    assert ["privacy.key_created.v1", "interaction.recorded.v1"] == [row.topic for row in rows]
    assert rows[1].position == receipt.position
    assert b"mother" not in b"".join(row.state for row in rows)
    assert split_state(rows[1].state).sealed
    again = await ledger.execute(asked, [step])
    assert (True, receipt.steps) == (again.replayed, again.steps)
    asked_more, more = message("She is better.")
    assert 3 == (await ledger.execute(asked_more, [more])).steps[0].places[0].version
    assert 3 == ledger.store.versions([ANNA])[ANNA]


async def test_personal_content_of_an_erased_subject_is_refused(ledger: Ledger) -> None:
    ledger.keys.destroy([ANNA], NOW)
    asked, step = message("Hello?")

    with pytest.raises(Rejected) as refusal:
        await ledger.execute(asked, [step])

    assert reasons.ERROR_REASON_SUBJECT_ERASED == refusal.value.reason
    assert 0 == ledger.store.versions([ANNA])[ANNA]
    await ledger.execute(request(), [visit()])


async def test_a_view_of_the_past_is_not_reached_by_what_was_recorded_later(ledger: Ledger) -> None:
    first = await ledger.execute(request(), [visit(occur_time=NOW - 50)])
    late = await ledger.execute(request(), [visit(occur_time=NOW - 90)])
    correction = InteractionCorrected(original_position=first.position)
    correction.replacement.CopyFrom(visit().interaction)
    await ledger.execute(request(), [CorrectInteraction(ANNA, correction, NOW - 10)])

    async def count(position: int, occur_time: int) -> int:
        as_of = AsOf(position=position, occur_time=timestamp(occur_time))
        return (await ledger.look(ANNA, as_of)).state.interactions.totals().count  # type: ignore[no-any-return]

    assert 1 == await count(first.position, NOW)
    assert 2 == await count(late.position, NOW)
    assert 1 == await count(late.position, NOW - 60)
    assert 2 == await count(ledger.head.position, NOW)
    assert 1 == await count(ledger.head.position, NOW - 20), "the original is left out, its replacement not yet there"


async def test_a_position_inside_a_batch_is_refused_with_the_last_one(ledger: Ledger) -> None:
    receipt = await ledger.execute(request(), [visit(), visit(), visit()])
    first = receipt.steps[0].places[0].position

    with pytest.raises(Rejected) as refusal:
        await ledger.look(ANNA, AsOf(position=first))

    assert reasons.ERROR_REASON_KNOWN_AT_INSIDE_BATCH == refusal.value.reason
    assert str(receipt.position) == refusal.value.metadata["last_position"]


async def test_views_beyond_the_log_and_unsettled_ones_are_refused(ledger: Ledger) -> None:
    await ledger.execute(request(), [visit()])

    for as_of, reason in [
        (AsOf(position=99), reasons.ERROR_REASON_KNOWN_AT_IN_FUTURE),
        (AsOf(record_time=timestamp(NOW)), reasons.ERROR_REASON_KNOWN_AT_NOT_SETTLED),
    ]:
        with pytest.raises(Rejected) as refusal:
            await ledger.look(ANNA, as_of)
        assert reason == refusal.value.reason


async def test_a_withdrawal_after_a_consent_ends_it_and_a_backdated_yes_does_not_step_over_it(ledger: Ledger) -> None:
    given = ConsentGiven(purposes=["newsletter"])
    await ledger.execute(request(), [GiveConsent(ANNA, given, NOW - 90)])
    await ledger.execute(request(), [WithdrawConsent(ANNA, ConsentWithdrawn(), NOW - 50)])

    with pytest.raises(Rejected) as refusal:
        await ledger.execute(request(), [GiveConsent(ANNA, given, NOW - 60)])

    assert reasons.ERROR_REASON_CONSENT_WITHDRAWN_SINCE == refusal.value.reason


async def test_retracting_twice_names_the_first_retraction(ledger: Ledger) -> None:
    receipt = await ledger.execute(request(), [visit()])
    retraction = RetractInteraction(ANNA, InteractionRetracted(original_position=receipt.position))
    await ledger.execute(request(), [retraction])

    with pytest.raises(Rejected) as refusal:
        await ledger.execute(request(), [retraction])

    assert reasons.ERROR_REASON_INTERACTION_RETRACTED == refusal.value.reason


async def test_a_lost_commit_is_reported_as_unknown_and_the_retry_finds_out(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, append = request(), ledger.store.append

    def lose_the_answer(*arguments: object) -> None:
        append(*arguments)  # type: ignore[arg-type]
        raise OutcomeUnknown("the connection broke")

    monkeypatch.setattr(ledger.store, "append", lose_the_answer)
    with pytest.raises(OutcomeUnknown):
        await ledger.execute(asked, [visit()])
    monkeypatch.undo()

    assert (await ledger.execute(asked, [visit()])).replayed
    assert 1 == ledger.store.versions([ANNA])[ANNA]


async def test_a_store_that_fails_leaves_nothing_behind_in_memory(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register_assets(ledger)
    await ledger.execute(request(), [purchase("x-1")])

    def fail(*_: object) -> None:
        raise StoreFailed("no space left")

    monkeypatch.setattr(ledger.store, "append", fail)
    with pytest.raises(StoreFailed):
        await ledger.execute(request(), [purchase("x-2"), reversal("x-2")])
    monkeypatch.undo()

    await assert_cached_equals_folded(ledger, [ANNA])
    await ledger.execute(request(), [purchase("x-2")])


async def test_a_refusal_is_answered_as_a_repetition_when_the_request_was_carried_out(ledger: Ledger) -> None:
    await register_assets(ledger)
    await ledger.execute(request(), [purchase("x-1")])
    asked = request()
    first = await ledger.execute(asked, [reversal("x-1", "r-1"), purchase("x-2")])

    again = await ledger.execute(asked, [reversal("x-1", "r-1"), purchase("x-2")])

    assert (True, first.steps) == (again.replayed, again.steps)


async def test_many_requests_sent_again_at_once_get_their_first_answers(ledger: Ledger) -> None:
    asked = [request() for _ in range(40)]
    batch = request()
    firsts = [await ledger.execute(each, [visit(f"acme/c-{number}")]) for number, each in enumerate(asked)]
    whole = await ledger.execute(batch, [visit("acme/a"), visit("acme/b")])
    for _ in range(100):
        await ledger.execute(request(), [visit()])

    again = await asyncio.gather(
        ledger.execute(batch, [visit("acme/a"), visit("acme/b")]),
        *[ledger.execute(each, [visit(f"acme/c-{number}")]) for number, each in enumerate(asked)],
        ledger.execute(Request("/test/Other", "acme", asked[3].request_id, asked[3].message), [visit()]),
        return_exceptions=True,
    )

    assert [whole.steps, *[first.steps for first in firsts]] == [each.steps for each in again[:-1]]  # type: ignore[union-attr]
    assert all(each.replayed for each in again[:-1])  # type: ignore[union-attr]
    assert isinstance(again[-1], RequestIdReused)


async def test_a_refusal_names_where_things_really_stand_not_where_they_were_predicted(ledger: Ledger) -> None:
    await register_assets(ledger)
    await ledger.execute(request(), [purchase("x-1")])
    repeated = request()
    await ledger.execute(repeated, [visit("acme/bert")])

    # One group: what repeats is left out, so that everything behind it stands one position earlier than predicted.
    _, won, lost = await asyncio.gather(
        ledger.execute(repeated, [visit("acme/bert")]),
        ledger.execute(request(), [reversal("x-1", "r-1")]),
        ledger.execute(request(), [reversal("x-1", "r-2")]),
        return_exceptions=True,
    )

    assert isinstance(won, Receipt)
    assert isinstance(lost, Rejected)
    assert str(won.position) == lost.metadata["position"]


async def test_closing_answers_what_was_queued(another: Opener) -> None:
    ledger = await another()
    waiting = [asyncio.create_task(ledger.execute(request(), [visit()])) for _ in range(20)]
    await asyncio.sleep(0)

    await ledger.close()

    assert 20 == len({task.result().position for task in waiting})


async def assert_cached_equals_folded(ledger: Ledger, streams: list[str]) -> None:
    """The cached state of each stream is what a fold of the whole stream gives."""
    for stream_id in streams:
        cached = (await ledger.current(stream_id)).state
        folded = initial_state(stream_id)
        for fact in facts(ledger.store.read_stream(stream_id)):
            folded.evolve(fact)
        assert summary(folded) == summary(cached)


def summary(state: object) -> tuple[object, ...]:
    """Everything that answers are made of, as values."""
    version = state.version  # type: ignore[attr-defined]
    interactions = state.interactions.totals()  # type: ignore[attr-defined]
    exchanged = state.exchanges  # type: ignore[attr-defined]
    return version, interactions, exchanged.count, exchanged.reversed, exchanged.quantities()
