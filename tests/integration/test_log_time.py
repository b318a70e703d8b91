"""Marks of the log's time through the ledger: durable, once for an instant, and no fact of anybody (settled.md 41)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

from ledger.domain.log_time import MarkTime
from ledger.requests import Receipt, Request
from rapport.events.v1.ledger_pb2 import TimeMarked
from tests.server import Serving, serving


async def mark(server: Serving, due: int) -> Receipt:
    request = Request("@ledger/MarkTime", "@ledger", uuid4().bytes, TimeMarked())
    return await server.app.ledger.execute(request, [MarkTime(due)])


async def test_of_many_who_would_mark_one_instant_one_does_and_the_log_stays_whole(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        ledger = server.app.ledger
        due = ledger.head.record_time

        receipts = await asyncio.gather(*(mark(server, due) for _ in range(8)))

        assert 1 == sum(len(step.places) for receipt in receipts for step in receipt.steps)
        assert 2 == ledger.head.position
        assert due < ledger.head.record_time
        row = ledger.store.get(2)
        assert row is not None
        assert ("@ledger/@log", 2, "ledger.time_marked.v1") == (row.stream_id, row.version, row.topic)
        assert [] == list((await mark(server, due)).steps[0].places)
        await mark(server, ledger.head.record_time)
        assert 3 == ledger.head.position

    async with serving(tmp_path) as again:
        assert 3 == again.app.ledger.head.position
        look = await again.app.ledger.current("@ledger/@log")
        assert (3, again.app.ledger.head.record_time) == (look.version, look.state.marked_time)
