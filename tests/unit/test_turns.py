"""Busy streams take turns, so that whatever else the event loop has to do is never far behind."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.runtime.turns import TURN_S, Turns


async def made_between_turns(turns: Turns, streams: int, cost_s: float) -> list[int]:
    """Let streams make frames of `cost_s` each for a while; return how many were made in each turn of the loop."""
    made = 0
    counts: list[int] = []

    async def stream() -> None:
        nonlocal made
        while True:
            await turns.take()
            made += 1
            time.sleep(cost_s)  # noqa: ASYNC251  # Work that holds the event loop.
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(stream()) for _ in range(streams)]
    for _ in range(30):
        before = made
        await asyncio.sleep(0)
        counts.append(made - before)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return counts


async def test_of_many_streams_with_much_work_few_go_on_in_a_turn() -> None:
    counts = await made_between_turns(Turns(), streams=40, cost_s=TURN_S)

    assert max(counts[3:]) <= 2
    assert sum(counts) > 10


async def test_without_turns_all_of_them_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""

    async def at_once(_: Turns) -> None:
        return None

    monkeypatch.setattr(Turns, "take", at_once)

    counts = await made_between_turns(Turns(), streams=40, cost_s=0.0001)

    assert 40 == max(counts)


async def test_streams_with_little_work_go_on_together() -> None:
    counts = await made_between_turns(Turns(), streams=40, cost_s=0.0)

    assert max(counts) >= 20


async def test_a_stream_that_is_alone_waits_for_nobody() -> None:
    turns = Turns()

    for _ in range(100):
        taking = turns.take()
        with pytest.raises(StopIteration):  # It did not even give way.
            taking.send(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_turns_are_taken_in_order_and_those_who_left_are_passed_over() -> None:
    turns = Turns()
    order: list[int] = []

    async def one(number: int) -> None:
        await turns.take()
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(6)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert [0, 1, 2, 4, 5] == order
