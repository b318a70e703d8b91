"""What a balance costs, in calls: clocks tell little on a shared machine, calls are the same everywhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from ledger.balance.book import Book
from ledger.balance.numbers import balance
from ledger.balance.view import DAY, BalanceView
from ledger.policy.valuation import Opinion
from rapport.events.v1 import exchange_pb2 as x
from tests.balance_facts import CUSTOMER, ORGANIZATION, Facts, grant, leg, opinion, policy, rule, use

NOW = 20_000 * DAY
EITHER = (CUSTOMER, ORGANIZATION)


def busy(exchanges: int) -> Facts:
    """Return facts over 400 days: money against goods, every tenth reversed a day later, every tenth a settled hold."""
    facts = Facts()
    for n in range(exchanges):
        at = NOW - 400 * DAY + n * 390 * DAY // exchanges
        legs = (leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, n + 1, "EUR/2"), leg(ORGANIZATION, x.CATEGORY_GOODS, 1, "CD/0"))
        facts.record(f"x{n}", *legs, at=at, pending_until=at + DAY if n % 10 == 5 else None)
        if n % 10 == 5:
            facts.post(f"x{n}", [n + 1, 1], at=at + 1)
        if n % 10 == 3:
            facts.reverse(f"x{n}", at=at + DAY)
    return facts


def rated(*rates: int) -> Opinion:
    """Return versions with these rates, each in force from 50 days after the one before."""
    either = [(giver, asset) for giver in EITHER for asset in ("EUR/2", "CD/0")]
    versions = []
    for n, rate in enumerate(rates, start=1):
        rules = [rule(CUSTOMER, giver, "", asset, rate) for giver, asset in either]
        versions.append(policy(n, *rules, effective_from=NOW - (500 - 50 * n) * DAY))
    return opinion(*versions, at=NOW)


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions a piece of work calls, Python's and C's."""
    calls = 0

    def count(_frame: FrameType, event: str, _value: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "view",
    [
        BalanceView(NOW, CUSTOMER),
        BalanceView(NOW, CUSTOMER, NOW - 300 * DAY, NOW - 20 * DAY),
        BalanceView(NOW - 100 * DAY - 5 * 3_600 * 10**6, CUSTOMER),
    ],
)
def test_a_balance_costs_the_same_however_many_legs_there_are(view: BalanceView) -> None:
    known, costs = rated(1, 2), []
    for exchanges in (40, 400, 4_000):
        book = busy(exchanges).book()
        balance(book, known, view)
        costs.append(calls_of(lambda book=book: balance(book, known, view)))  # type: ignore[misc]

    # As of an earlier time, what was reversed within the day after it is looked at one by one.
    allowed = 4 * 4_000 // 390 if view.at < NOW else 3
    assert max(costs) - min(costs) <= allowed
    assert max(costs) < 400 + allowed


def test_folding_costs_the_same_however_many_legs_there_are() -> None:
    facts = busy(2_000).facts
    book = Book()
    costs = [calls_of(lambda fact=fact: book.evolve(fact)) for fact in facts if fact.topic == "exchange.recorded.v1"]  # type: ignore[misc]

    assert max(costs[1_000:]) <= max(costs[:1_000])
    assert sorted(costs)[1_000] < 60


def test_a_use_of_points_costs_the_same_however_often_the_lot_was_used() -> None:
    facts = Facts()
    facts.record("g", grant(10_000, "PT/0"), at=NOW - 400 * DAY)
    redeemed = leg(CUSTOMER, x.CATEGORY_POINTS_REDEEM, 1, "PT/0")
    for n in range(1_000):
        facts.record(f"r{n}", redeemed, at=NOW - 300 * DAY + n, lot_uses=[use("g/1", 1)])
    book, known = Book(), rated(1)
    costs = [calls_of(lambda fact=fact: book.evolve(fact)) for fact in facts.facts]  # type: ignore[misc]

    assert max(costs[2:]) < 60
    assert calls_of(lambda: balance(book, known, BalanceView(NOW, CUSTOMER))) < 400


def test_versions_that_say_the_same_cost_nothing() -> None:
    book, view = busy(40).book(), BalanceView(NOW, CUSTOMER)
    one, more = rated(1, 1), rated(*[1] * 8)
    for known in (one, more):
        balance(book, known, view)

    assert calls_of(lambda: balance(book, one, view)) == calls_of(lambda: balance(book, more, view))
