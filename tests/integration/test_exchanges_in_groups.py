"""Batches that meet in one group: whatever is refused, what is kept in memory is what the log says.

A state is folded ahead while a group is decided, and a refusal may come after that. Lots and holds have more to undo
than anything else, so batches of them are drawn by chance, sent at once, and often wrong in their last operation.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

import grpc

from ledger.balance.book import Book
from ledger.balance.lots import lots_in_view
from ledger.balance.quantities import quantities_of
from ledger.balance.view import BalanceView
from ledger.domain.exchange_state import ExchangeState
from ledger.domain.fact import Fact
from ledger.domain.times import timestamp
from ledger.log.reading import facts
from ledger.policy.valuation import Opinion
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.exchange.v1.operation_pb2 import Operation, Posting, Reversal, Voiding
from tests.exchange_pairs import CUSTOMER, goods, grants, pays, redeems
from tests.exchange_requests import MARCH, apply, recording, server, stub
from tests.refusals import reason_of, status_of
from tests.server import Serving

__all__ = ["server", "stub"]

CUSTOMERS = ("42", "43")
ROUNDS = 40
ROUNDS_MAX = 400
"""Until each of the answers was met that the test is about: one of them is rare."""
AT_ONCE = 12
MET = ("applied", "LOT_INSUFFICIENT", "EXCHANGE_UNKNOWN", "LOT_CONSUMED")
IDS = (("g", 6), ("h", 6), ("x", 20))
"""How many grants, holds and redemptions there are at a time."""
TIMES = [MARCH + 2 * n for n in range(-1, 22)]


class Draw:
    """Draws operations on few exchanges, so that they meet."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self._round = 0

    def batch(self, number: int) -> list[Operation]:
        self._round = number // 8  # New ids now and then: most old ones are taken.
        return [self._operation() for _ in range(self.chance.choice((1, 1, 2, 3)))]

    def _operation(self) -> Operation:
        chance, customer = self.chance, self.chance.choice(CUSTOMERS)
        at = timestamp(MARCH + chance.randrange(20))
        grant, hold, use = (f"{kind}{self._round}-{chance.randrange(most)}" for kind, most in IDS)
        match chance.choice(("grant", "hold", "redeem", "redeem", "redeem", "post", "void", "reverse")):
            case "grant":
                ends = chance.choice((None, MARCH + 25, MARCH + 30))
                lots = [grants(chance.randint(1, 9), expires_at=ends) for _ in range(2)]
                return recording(grant, customer, legs=[pays(), *lots], occur_time=at)
            case "hold":
                legs, until = [pays(), grants(chance.randint(1, 9))], timestamp(MARCH + 30)
                return recording(hold, customer, legs=legs, occur_time=at, pending_until=until)
            case "redeem":
                return recording(use, customer, legs=[redeems(chance.randint(1, 7)), goods()], occur_time=at)
            case "post":
                posting = Posting(exchange_id=hold, occur_time=at, units=chance.choice(([], [5, 1])))
                return Operation(customer_id=customer, post=posting)
            case "void":
                return Operation(customer_id=customer, void=Voiding(exchange_id=hold, occur_time=at))
            case _:
                return Operation(customer_id=customer, reverse=self._reversal(chance.choice((grant, hold, use))))

    def _reversal(self, exchange_id: str) -> Reversal:
        later: dict[str, Any] = {"at": timestamp(MARCH + self.chance.randrange(40))}
        when = self.chance.choice(({"at_original": True}, later))
        take = self.chance.random() < 0.5
        return Reversal(exchange_id=exchange_id, reversal_id=f"r-{exchange_id}", take_remaining_points=take, **when)


async def test_what_is_kept_after_groups_full_of_refusals_is_what_the_log_says(
    server: Serving, stub: ExchangeServiceStub, seed: int
) -> None:
    draw, told = Draw(seed), Counter[str]()

    async def send(operations: list[Operation]) -> None:
        try:
            await stub.ApplyExchanges(apply(*operations))
            told["applied"] += 1
        except grpc.aio.AioRpcError as error:
            told[reason_of(status_of(error))] += 1

    for number in range(ROUNDS_MAX):
        if number >= ROUNDS and all(told[answer] for answer in MET):
            break
        await asyncio.gather(*(send(draw.batch(number)) for _ in range(AT_ONCE)))

    for customer in CUSTOMERS:
        stream_id = f"shop/{customer}"
        kept = (await server.app.ledger.current(stream_id)).state.exchanges
        stored = list(facts(server.app.ledger.store.read_stream(stream_id, 0, 100_000)))
        folded = ExchangeState()
        for fact in stored:
            folded.evolve(fact)
        assert told_of(folded, stored) == told_of(kept, stored), f"seed {seed}"
        check_read_side(stored, folded)
    assert all(told[answer] for answer in MET), told


def told_of(state: ExchangeState, stored: list[Fact]) -> object:
    """Return everything that decisions could ask of a state."""
    ids = sorted({fact.event.exchange_id for fact in stored})  # type: ignore[attr-defined]
    lots = [lot for exchange_id in ids for lot in state.lots.granted_by(exchange_id)]
    return (
        state.quantities(MARCH + 40),
        (state.count, state.reversed, state.one_sided, state.span(), state.pending(MARCH + 29)),
        [(state.find(each), state.resolution_of(each), state.reversal_of(each)) for each in ids],
        [(lot.order, lot.granted, lot.taken_back, lot.steps, lot.is_spent) for lot in lots],
    )


def check_read_side(stored: list[Fact], now: ExchangeState) -> None:
    """See that what decisions know and what balances tell agree, at every time."""
    book = Book()
    for fact in stored:
        book.evolve(fact)
    for at in TIMES:
        then = ExchangeState(at)
        for fact in stored:
            then.evolve(fact)
        assert [tuple(each) for each in then.quantities(at)] == [tuple(each) for each in quantities_of(book, at)]
        for lot in lots_in_view(book, Opinion((), None), BalanceView(at, CUSTOMER)):
            exchange_id, _, leg_no = lot.lot_id.rpartition("/")
            (known,) = [each for each in now.lots.granted_by(exchange_id) if each.leg_no == int(leg_no)]
            assert 0 <= known.available(at) <= lot.outstanding <= lot.granted
