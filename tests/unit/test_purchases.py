"""The index of purchases: what a legal basis rests on, found without looking at all of them again."""

from __future__ import annotations

from typing import Final

from ledger.domain.exchange_known import Known
from ledger.domain.exchange_state import ExchangeState
from ledger.domain.purchases import Paid, Purchases
from ledger.domain.times import timestamp
from rapport.events.v1 import exchange_pb2 as e
from rapport.type.v1.amount_pb2 import Amount
from tests.contact_histories import DAY, History, moment

T: Final = moment("2026-05-01T12:00Z")


def held(exchange_id: str, until: int) -> e.ExchangeRecorded:
    """Return a purchase that is pending until an instant."""
    money, goods = Amount(units=1000, asset="EUR/2"), Amount(units=1, asset="CD/0")
    legs = [
        e.Leg(giver=e.PARTY_CUSTOMER, category=e.CATEGORY_MONEY_PAYMENT, amount=money),
        e.Leg(giver=e.PARTY_ORGANIZATION, category=e.CATEGORY_GOODS, amount=goods),
    ]
    return e.ExchangeRecorded(exchange_id=exchange_id, legs=legs, pending_until=timestamp(until))


class Counting:
    """The exchanges of a state; counts how often a hold is looked at."""

    def __init__(self, state: ExchangeState) -> None:
        self._state = state
        self.looks = 0

    def effective_time(self, exchange_id: str) -> int | None:
        return self._state.effective_time(exchange_id)

    def resolution_of(self, exchange_id: str) -> Known | None:
        self.looks += 1
        return self._state.resolution_of(exchange_id)

    def in_force(self, exchange_id: str) -> bool:
        return self._state.in_force(exchange_id)


def test_a_hold_that_was_posted_or_voided_is_not_looked_at_again() -> None:
    history, holds, recorded = History(), 50, 0
    for number in range(holds):
        name, at = f"x{number}", T - (holds - number) * DAY
        recorded = history.add(held(name, at + DAY), at)
        ends = e.ExchangePosted(exchange_id=name, units=[600, 1]) if number % 2 else e.ExchangeVoided(exchange_id=name)
        history.add(ends, at + 1)
    waiting = history.add(held("open", T + DAY), T)
    state: ExchangeState = history.states()["acme/c"].exchanges
    exchanges, purchases = Counting(state), Purchases()
    kept = state._exchanges  # What the index is of.

    assert Paid(T - DAY + 1, recorded) == purchases.latest(kept, exchanges, T)
    assert holds + 1 == exchanges.looks
    assert Paid(T - DAY + 1, recorded) == purchases.latest(kept, exchanges, T)
    assert holds + 2 == exchanges.looks

    assert Paid(T - 3 * DAY + 1, recorded - 4) == purchases.latest(kept, exchanges, T - DAY)
    posted = history.copy()
    posted.add(e.ExchangePosted(exchange_id="open", units=[600, 1]), T)
    later: ExchangeState = posted.states()["acme/c"].exchanges
    assert Paid(T, waiting) == purchases.latest(kept, Counting(later), T)
