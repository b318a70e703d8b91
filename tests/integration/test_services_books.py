"""Books that the service keeps: read on and not again, bounded, and never of another state."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from ledger.balance import numbers
from ledger.balance.book import Book
from ledger.domain.times import timestamp
from rapport.relationship.v1 import balance_pb2 as b
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from services.relationship.balances import Balances
from services.runtime.books import Books
from tests.balance_calls import (
    DAY,
    EUR,
    GIFT,
    RULES,
    ask,
    asked,
    by_token,
    day,
    exchange,
    get,
    pays,
    publish,
    quick,
    record,
    server,
    spec,
    two_axes,
)
from tests.balance_facts import ORGANIZATION, policy
from tests.server import Serving

__all__ = ["ask", "quick", "server"]
"""Fixtures of all tests of the service; a test has them by their names."""


def counted(server: Serving, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return what will be fed to books from now on: stream, and after which version."""
    fed: list[tuple[str, int]] = []
    feed = server.app.ledger.feed

    async def watched(stream_id: str, view: Any, evolve: Any, after_version: int = 0) -> None:
        fed.append((stream_id, after_version))
        await asyncio.sleep(0.05)  # As on PostgreSQL, others come in between.
        await feed(stream_id, view, evolve, after_version)

    monkeypatch.setattr(server.app.ledger, "feed", watched)
    return fed


async def test_a_book_is_read_on_from_where_it_was_and_only_once(
    quick: Serving, ask: RelationshipServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = await two_axes(quick)
    fed = counted(quick, monkeypatch)

    answers = await asyncio.gather(*(get(ask, spec(day(12), at["21"])) for _ in range(8)))
    await record(quick, exchange("x9", pays(100), at=day(11), one_sided=GIFT))
    later = await asyncio.gather(*(get(ask, spec(day(12))) for _ in range(8)))

    assert [("acme/anna", 0), ("acme/anna", 6)] == fed
    assert {121_951} == {each.index_ppm for each in answers}
    assert {14 * EUR} == {each.net_nanos for each in later}
    await get(ask, spec(day(12), at["19"]))
    assert ("acme/anna", 0) == fed[-1]  # The past is folded by itself.


async def test_the_books_kept_are_bounded(quick: Serving) -> None:
    await record(quick, *(exchange(f"x{n}", pays(1), at=day(2), one_sided=GIFT) for n in range(10)))
    others = [exchange("x", pays(1), at=day(2), customer=f"c-{n}", one_sided=GIFT) for n in range(20)]
    head = await record(quick, *others)
    books = Books(quick.app.ledger, pieces_max=42)

    sizes = []
    for customer, version in (("anna", 10), *((f"c-{n}", 1) for n in range(20))):
        book = await books.at_version(f"acme/{customer}", version, head)
        assert book is not None
        assert version == book.version
        sizes.append((len(books), books.pieces))

    assert (1, 25) == sizes[0]
    assert max(pieces for _, pieces in sizes) <= 42
    assert (6, 42) == sizes[-1]


async def test_a_book_counts_for_its_legs_too(quick: Serving) -> None:
    wide = [exchange("x", *[pays(1)] * 64, at=day(2), customer=f"c-{n}", one_sided=GIFT) for n in range(4)]
    head = await record(quick, *wide)
    books = Books(quick.app.ledger, pieces_max=200)

    for n in range(4):
        assert await books.at_version(f"acme/c-{n}", 1, head) is not None

    assert (2, 140) == (len(books), books.pieces)


async def test_balances_kept_hold_no_book_that_was_dropped(quick: Serving) -> None:
    await record(quick, *(exchange("x", pays(1), at=day(2), customer=f"c-{n}", one_sided=GIFT) for n in range(9)))
    answers = Balances(quick.app.ledger, Books(quick.app.ledger, pieces_max=1))

    for n in range(9):
        await answers.get(asked(customer=f"c-{n}"))

    assert 1 == len(answers._books)
    gc.collect()
    assert 1 == sum(isinstance(each, Book) for each in gc.get_objects())


async def test_a_book_that_others_continued_is_not_the_one_asked_for(quick: Serving) -> None:
    first = await record(quick, exchange("x1", pays(1), at=day(2), one_sided=GIFT))
    second = await record(quick, exchange("x2", pays(1), at=day(2), one_sided=GIFT))
    books = Books(quick.app.ledger)

    assert await books.at_version("acme/anna", 1, first) is not None
    assert await books.at_version("acme/anna", 2, second) is not None
    assert await books.at_version("acme/anna", 1, first) is None


async def test_a_book_that_cannot_be_read_is_not_kept(quick: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    position = await record(quick, exchange("x1", pays(1), at=day(2), one_sided=GIFT))
    books = Books(quick.app.ledger)
    failing = [True]
    feed = quick.app.ledger.feed

    async def half(*given: Any) -> None:
        await feed(*given)
        if failing.pop():
            raise RuntimeError("the rest could not be read")

    monkeypatch.setattr(quick.app.ledger, "feed", half)
    with pytest.raises(RuntimeError):
        await books.at_version("acme/anna", 1, position)

    assert (0, 0) == (len(books), books.pieces)
    failing.append(False)
    assert await books.at_version("acme/anna", 1, position) is not None


async def test_a_balance_of_now_is_made_once_and_anew_when_time_a_fact_or_a_policy_changes_it(
    quick: Serving, ask: RelationshipServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(quick, policy(1, *RULES, effective_from=day(1)))
    now = quick.app.ledger.head.record_time
    held = exchange("x1", pays(500), at=day(2), one_sided=GIFT, pending_until=timestamp(now + 5 * DAY))
    await record(quick, held)
    made: list[int] = []
    right = numbers.balance

    def counted(*given: Any) -> Any:
        made.append(1)
        return right(*given)

    monkeypatch.setattr("services.relationship.balances.balance", counted)

    async def pending(later: int, view: b.ViewRef | None = None) -> tuple[int, int]:
        quick.app.ledger.clock = lambda: now + later
        told = await get(ask, view)
        assert now + later == told.view.resolved.as_of.occur_time.ToMicroseconds()
        assert told == await get(ask, by_token(told))  # Made without what is kept.
        made.pop()
        return told.pending_gave_nanos, len(made)

    assert [(5 * EUR, 1), (5 * EUR, 1), (0, 2), (0, 2)] == [
        await pending(later) for later in (DAY, 5 * DAY - 1, 5 * DAY, 6 * DAY)
    ]
    await record(quick, exchange("other", pays(5), at=day(2), customer="bert", one_sided=GIFT))
    assert (0, 2) == await pending(7 * DAY)
    assert (0, 3) == await pending(7 * DAY, spec(perspective=ORGANIZATION))
    await publish(quick, policy(2, *RULES, effective_from=day(1)))
    assert (0, 4) == await pending(7 * DAY)
    await record(quick, exchange("x2", pays(5), at=day(2), one_sided=GIFT))
    assert (0, 5) == await pending(7 * DAY)
