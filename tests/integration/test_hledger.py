"""hledger, told the same facts and dated prices, finds the same got and gave (reciprocity.md 10.3)."""

from __future__ import annotations

import random

import pytest

from ledger.balance.numbers import balance
from ledger.balance.view import BalanceView
from rapport.events.v1 import exchange_pb2 as x
from tests.balance_facts import book_of, valuations
from tests.balance_histories import History, some_policy
from tests.oracles import brute_model, from_messages, hledger_journal
from tests.oracles.flat_facts import Fact, Leg, Policy, Rule, View
from tests.oracles.hledger_journal import PARTIES
from tests.oracles.worked_examples import DATED_RATES, FULL_EXAMPLE, LATEST, TWO_AXES, day

pytestmark = [
    pytest.mark.hledger,
    pytest.mark.skipif(hledger_journal.HLEDGER is None, reason="hledger is not installed (CI installs it by apt)"),
]
DAY = 86_400_000_000
EUR = 10**9
CATEGORIES = {
    "MONEY_PAYMENT": ("CUSTOMER", "ORGANIZATION"),
    "GOODS": ("CUSTOMER", "ORGANIZATION"),
    "SERVICE_SUPPORT": ("ORGANIZATION",),
    "SERVICE_RECOVERY": ("ORGANIZATION",),
    "ATTENTION": ("CUSTOMER",),
    "WAITING": ("CUSTOMER",),
    "POINTS_GRANT": ("ORGANIZATION",),
}
ASSETS = ("EUR/2", "MIN/0", "CD/0")
SCOPES = (*CATEGORIES, "SERVICE_", "")


def told_by_hledger(facts: list[Fact], policies: list[Policy], view: View) -> tuple[int, int]:
    found = hledger_journal.totals(hledger_journal.journal(facts, policies, view), view)
    return found[view.perspective, "GET"], found[view.perspective, "GIVE"]


def test_the_full_example() -> None:
    assert (60_800_000_000, 57_500_000_000) == told_by_hledger(*FULL_EXAMPLE, View(day(2, 1), LATEST))


@pytest.mark.parametrize("at, gave", [(day(3, 31), 9), (day(3, 1), 3), (day(3, 9), 3), (day(3, 10), 9)])
def test_dated_rates(at: int, gave: int) -> None:
    assert (0, gave * EUR) == told_by_hledger(*DATED_RATES, View(at, LATEST))


@pytest.mark.parametrize(
    "at, known, got, gave", [(day(3, 12), 17, 59, 43), (day(3, 12), 20, 59, 44), (day(3, 30), 21, 9, 4)]
)
def test_two_time_axes(at: int, known: int, got: int, gave: int) -> None:
    assert (got * EUR, gave * EUR) == told_by_hledger(*TWO_AXES, View(at, known))


class Draw:
    """Random facts and policies of whole days; positions are given as they are drawn."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.position = 0

    def next_position(self) -> int:
        self.position += 1
        return self.position

    def rules(self) -> tuple[Rule, ...]:
        keys = [(who, side, scope, asset) for who in PARTIES for side in ("GET", "GIVE")
                for scope in SCOPES for asset in ASSETS]  # fmt: skip
        chosen = [key for key in keys if self.chance.random() < 0.6]
        rates = [self.chance.choice([0, 1, 10**7, self.chance.randrange(10**10)]) for _ in chosen]
        return tuple(
            Rule(f"r{i}", *key, rate, rate, rate, "IMPUTED")
            for i, (key, rate) in enumerate(zip(chosen, rates, strict=True))
        )

    def policies(self) -> list[Policy]:
        days = [self.chance.randrange(-5, 25) for _ in range(self.chance.randrange(1, 7))]
        return [
            Policy(self.next_position(), "sample", i, day(1, 1) + n * DAY, self.rules()) for i, n in enumerate(days, 1)
        ]

    def moment(self) -> int:
        at = day(1, 1) + self.chance.randrange(30 * DAY)
        return at - at % DAY if self.chance.random() < 0.4 else at

    def leg(self) -> Leg:
        category = self.chance.choice(list(CATEGORIES))
        giver = self.chance.choice(CATEGORIES[category])
        return Leg(
            giver, category, self.chance.choice([1, 7, self.chance.randrange(1, 10**9)]), self.chance.choice(ASSETS)
        )

    def exchange(self, exchange_id: str) -> list[Fact]:
        legs, at = tuple(self.leg() for _ in range(self.chance.randrange(1, 5))), self.moment()
        until = at + self.chance.randrange(1, 10 * DAY) if self.chance.random() < 0.5 else None
        facts = [Fact("RECORDED", self.next_position(), at, exchange_id, legs, until)]
        effective, posted = at, until is None
        if until is not None and self.chance.random() < 0.8:
            units: tuple[int, ...] = tuple(
                self.chance.choice([0, leg.units, leg.units, self.chance.randrange(leg.units + 1)]) for leg in legs
            )
            posted = any(units) and self.chance.random() < 0.9
            effective = self.chance.randrange(at, until)
            kind, units = ("POSTED", units) if posted else ("VOIDED", ())
            facts.append(Fact(kind, self.next_position(), effective, exchange_id, units=units))
        if posted and self.chance.random() < 0.2:
            at = self.chance.choice([effective, effective + self.chance.randrange(10 * DAY)])
            facts.append(Fact("REVERSED", self.next_position(), at, exchange_id))
        return facts

    def ledger(self) -> tuple[list[Fact], list[Policy]]:
        policies = self.policies()
        return [fact for i in range(self.chance.randrange(1, 15)) for fact in self.exchange(f"x{i}")], policies


def sides(found: dict[tuple[str, str], int]) -> dict[str, tuple[int, int]]:
    return {perspective: (found[perspective, "GET"], found[perspective, "GIVE"]) for perspective in PARTIES}


def test_the_brute_model_on_random_ledgers(seed: int) -> None:
    draw = Draw(seed)
    for _ in range(60):
        draw.position = 0
        facts, policies = draw.ledger()
        ends_a_day = day(1, 1) + draw.chance.randrange(-3, 35) * DAY - 1
        view = View(ends_a_day, draw.chance.randrange(1, draw.position + 1))
        expected = sides(hledger_journal.totals(hledger_journal.journal(facts, policies, view), view))
        for perspective in PARTIES:
            found = brute_model.balance(facts, policies, view._replace(perspective=perspective))
            assert expected[perspective] == (found["got"], found["gave"]), f"seed {seed}: {view}"


def test_the_engine_on_random_ledgers(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        history, versions = History(chance, chance.choice([5, 20, 60])), chance.choice([1, 2, 4])
        published = [some_policy(chance, number) for number in range(1, versions + 1)]
        known = chance.choice([*history.positions, *history.positions[-2:] * 2])
        time = chance.choice([fact.occur_time for fact in history.facts] or [history.now])
        view = View(time - time % DAY + chance.choice([1, 1, 30]) * DAY - 1, known)
        told = [from_messages.fact(each.position, each.occur_time, each.topic, each.event) for each in history.facts]
        policies = [from_messages.policy(0, message) for message in published]
        text = hledger_journal.journal([fact for fact in told if fact is not None], policies, view)
        expected = sides(hledger_journal.totals(text, view))

        book = book_of(fact for fact in history.facts if fact.position <= known)
        opinion = valuations(*published).opinion("", 0, view.at)
        for perspective in PARTIES:
            found = balance(book, opinion, BalanceView(view.at, x.Party.Value(f"PARTY_{perspective}")))
            assert expected[perspective] == (found.got, found.gave), f"seed {seed}: {perspective} {view}"
