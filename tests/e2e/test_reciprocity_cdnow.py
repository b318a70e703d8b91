"""What every customer of the purchase history got and gave, by the sample policy, against figures made apart.

Totals come straight from the text file: cents and CDs by customer and day, times two rates. Balances at random moments
of both time axes come from the brute model, which is told the lines of the file and the positions at which they stand.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION
from rapport.relationship.v1 import relationship_service_pb2 as messages
from rapport.relationship.v1.balance_pb2 import Balance
from services.client import Client, view, view_spec
from tests.e2e.cdnow import ImportedHistory
from tests.oracles import brute_model, from_messages
from tests.oracles.flat_facts import Fact, Leg, Policy, View

pytestmark = [pytest.mark.shared_data, pytest.mark.slow, pytest.mark.timeout(600)]

DAY = 86_400_000_000
CENT = 10**7
"""A cent is worth its face: this many nanos of a dollar."""
CD = round(Fraction(250_031_563 * CENT, 167_881))
"""A CD is worth what CDs cost on the average of the whole history, to the nano."""
KAPPA = 10 * 10**9
AT_ONCE = 64
SAMPLED = 60
"""Customers of whom all positions are known for random views."""
PAIRS = 1_000


class Line(NamedTuple):
    """One purchase, as it stands in the file."""

    number: int
    customer: str
    at: int
    """Microseconds; the day begins at midnight."""
    cds: int
    cents: int


class Worth(NamedTuple):
    """Nanos of a dollar."""

    got: int = 0
    gave: int = 0


def lines_of(master: Path) -> list[Line]:
    """Read the file: no code of ours."""
    lines = []
    for number, text in enumerate(master.read_text().splitlines()[1:], start=2):
        customer, day, cds, dollars = text.split()
        at = int(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp()) * 10**6
        whole, _, part = dollars.partition(".")
        lines.append(Line(number, customer, at, int(cds), int(whole) * 100 + int(part.ljust(2, "0"))))
    return lines


def worth_by_customer(lines: Iterable[Line], until: int) -> dict[str, Worth]:
    """Return what each customer got and gave up to a moment."""
    worth: dict[str, Worth] = defaultdict(Worth)
    for line in lines:
        if line.at <= until:
            known = worth[line.customer]
            worth[line.customer] = Worth(known.got + line.cds * CD, known.gave + line.cents * CENT)
    return dict(worth)


def time(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


@pytest.fixture(scope="module")
def lines(master: Path) -> list[Line]:
    return lines_of(master)


@asynccontextmanager
async def answers(target: str) -> AsyncIterator[Callable[..., Any]]:
    """Give a function that asks for many balances, some at a time, and returns them in order."""
    limit = asyncio.Semaphore(AT_ONCE)
    async with Client(target, timeout_s=120) as client:

        async def ask(customer: str, **values: Any) -> Balance:
            async with limit:
                return (await client.get_balance("cdnow", customer, view=view_spec(**values))).balance

        yield ask


def ppm(ratio: Fraction) -> int:
    """Round half to even: what Python's own `round` does with exact fractions."""
    return round(ratio * 10**6)


def index_of(worth: Worth) -> Fraction:
    return Fraction(worth.got - worth.gave, worth.got + worth.gave + 2 * KAPPA)


@pytest.mark.parametrize("as_of", [None, time(1997, 3, 31), time(1997, 9, 30)])
async def test_lists_tell_the_worth_of_every_customer(
    imported: ImportedHistory, lines: list[Line], as_of: datetime | None
) -> None:
    until = time(1999, 1, 1) if as_of is None else as_of
    expected = worth_by_customer(lines, int(until.timestamp()) * 10**6)
    # Ordered by customer, for a list of the past ordered otherwise folds the whole organization for every page.
    with_balances = messages.RelationshipFilter()
    with_balances.balance.net_nanos_min = -(2**62)

    async with Client(imported.server.target, timeout_s=120) as client:
        past = None if as_of is None else view(occur_time=as_of)
        listing = client.list_relationships("cdnow", filter=with_balances, as_of=past, page_size=1000)
        found = {each.customer_id: each.balance async for each in listing}

    assert expected == {customer: Worth(told.got_nanos, told.gave_nanos) for customer, told in found.items()}
    assert {customer: ppm(index_of(worth)) for customer, worth in expected.items()} == {
        customer: told.index_ppm for customer, told in found.items()
    }


async def test_those_who_gained_least_come_first(imported: ImportedHistory, lines: list[Line]) -> None:
    worth = worth_by_customer(lines, int(time(1999, 1, 1).timestamp()) * 10**6)
    expected = sorted(worth, key=lambda customer: (worth[customer].got - worth[customer].gave, customer))

    async with Client(imported.server.target, timeout_s=120) as client:
        order = messages.RELATIONSHIP_ORDER_NET_ASCENDING
        found = [each.customer_id async for each in client.list_relationships("cdnow", order_by=order, page_size=1000)]

    assert expected == found


@pytest.mark.parametrize(
    "as_of, first", [(None, 0), (time(1997, 3, 31), 3), (time(1997, 9, 30), 6)], ids=["now", "march", "september"]
)
async def test_balances_of_every_tenth_customer(
    imported: ImportedHistory, lines: list[Line], as_of: datetime | None, first: int
) -> None:
    until = time(1999, 1, 1) if as_of is None else as_of
    worth = worth_by_customer(lines, int(until.timestamp()) * 10**6)
    expected = {customer: worth[customer] for customer in sorted(worth)[first::10]}

    async with answers(imported.server.target) as ask:
        values = {} if as_of is None else {"as_of": view(occur_time=as_of)}
        found = dict(zip(expected, await asyncio.gather(*(ask(each, **values) for each in expected)), strict=True))

    assert expected == {customer: Worth(told.got_nanos, told.gave_nanos) for customer, told in found.items()}
    assert [index_of(worth) for worth in expected.values()] == [
        from_messages.ratio(found[customer].index) for customer in expected
    ]


@pytest.mark.parametrize("history", ["imported", pytest.param("imported_on_postgresql", marks=pytest.mark.postgres)])
async def test_random_views_agree_with_the_brute_model(
    history: str, request: pytest.FixtureRequest, lines: list[Line], seed: int
) -> None:
    target = request.getfixturevalue(history).server.target
    chance = random.Random(seed)
    async with Client(target, timeout_s=120) as client:
        policies = await sample_policies(client)
        facts = {customer: await facts_of(client, customer, lines) for customer in some_customers(lines, chance)}
    cases = [some_case(facts, policies, chance) for _ in range(PAIRS)]

    async with answers(target) as ask:
        found = await asyncio.gather(*(ask(customer, **asked(view)) for customer, view in cases))

    for (customer, plain), balance in zip(cases, found, strict=True):
        expected = brute_model.balance(facts[customer], policies, plain)
        assert from_messages.comparable(expected) == from_messages.balance(balance), f"seed {seed}: {customer} {plain}"
        assert plain.known == balance.view.position


async def sample_policies(client: Client) -> list[Policy]:
    """Return the policy as the server holds it, with the position at which it was published."""
    published = (await client.get_valuation_policy("cdnow", "purchase-history")).published
    return [from_messages.policy(published.position, published.policy)]


def some_customers(lines: list[Line], chance: random.Random) -> list[str]:
    """Return some who bought often and some of the others."""
    counts: dict[str, int] = defaultdict(int)
    for line in lines:
        counts[line.customer] += 1
    often = [customer for customer, count in counts.items() if 8 <= count <= 60]
    return chance.sample(often, SAMPLED * 3 // 4) + chance.sample(list(counts), SAMPLED // 4)


async def facts_of(client: Client, customer: str, lines: list[Line]) -> list[Fact]:
    """Return the customer's lines of the file as flat facts, each at the position where the server says it stands."""
    positions = {
        entry.exchange_recorded.exchange_id: entry.position
        async for entry in client.timeline("cdnow", customer)
        if entry.topic == "exchange.recorded.v1"
    }
    facts = []
    for line in (line for line in lines if line.customer == customer):
        paid = Leg("CUSTOMER", "MONEY_PAYMENT", line.cents, "USD/2")
        legs = (*([paid] if line.cents else []), Leg("ORGANIZATION", "GOODS", line.cds, "CD/0"))
        exchange_id, one_sided = f"cdnow-{line.number}", "" if line.cents else "GIFT"
        facts.append(Fact("RECORDED", positions.pop(exchange_id), line.at, exchange_id, legs, one_sided=one_sided))
    assert not positions, "more stands there than in the file"
    return facts


def some_case(facts: dict[str, list[Fact]], policies: list[Policy], chance: random.Random) -> tuple[str, View]:
    """Draw a customer, a moment of both axes, and now and then the other party, a window or a half-life."""
    customer = chance.choice(list(facts))
    mine = facts[customer]
    at = chance.choice([fact.occur for fact in mine]) + chance.choice([-1, 0, 0, 1, 400 * DAY, chance.randrange(DAY)])
    first = min(fact.position for fact in mine)
    known = max(first, chance.choice([fact.position for fact in mine]) + chance.choice([-3, -2, -1, 0, 0, 1, 50]))
    after = at - chance.choice([30, 90, 365]) * DAY if chance.random() < 0.3 else View(0, 0).after
    perspective = chance.choice(["CUSTOMER", "CUSTOMER", "ORGANIZATION"])
    half_life, version = chance.choice([0, 0, 0, 30, 90]), chance.choice([0, 0, 1])
    policy_id = "purchase-history" if version else ""
    assert all(policy.position < first for policy in policies)
    return customer, View(at, known, perspective, after, half_life=half_life, policy_id=policy_id, version=version)


def asked(plain: View) -> dict[str, Any]:
    """Return a view as the client is asked for it."""
    return {
        "as_of": view(occur_time=stamp(plain.at), position=plain.known),
        "perspective": PARTY_CUSTOMER if plain.perspective == "CUSTOMER" else PARTY_ORGANIZATION,
        "window_from": None if plain.after == View(0, 0).after else stamp(plain.after),
        "half_life_days": plain.half_life,
        "policy_id": plain.policy_id,
        "policy_version": plain.version,
    }


def stamp(at: int) -> Timestamp:
    return Timestamp(seconds=at // 10**6, nanos=at % 10**6 * 1_000)
