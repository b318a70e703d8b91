"""Rows about balances: what they hold, when everybody is valued anew, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.domain.amounts import INT64_MAX
from ledger.domain.times import timestamp
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import NewEvent, Store
from ledger.projections import balances
from ledger.projections.advancing import advance
from ledger.projections.balances import BALANCES, NO_INDEX, NO_NET, Worth, worth
from ledger.projections.database import CheckpointMoved, Database, Generation, KeptRows
from ledger.projections.listing import Balances, Listing, Order
from ledger.projections.relationships import RELATIONSHIPS, Relationships
from ledger.projections.sqlite_database import SqliteDatabase
from rapport.events.v1.exchange_pb2 import (
    CATEGORY_GOODS,
    PARTY_CUSTOMER,
    PARTY_ORGANIZATION,
    ExchangeRecorded,
    ExchangeReversed,
    Leg,
)
from rapport.events.v1.valuation_pb2 import SIDE_GET, ValuationPolicy, ValuationPolicyPublished, ValuationRule
from rapport.type.v1.amount_pb2 import Amount
from tests.projection_log import SPAN, START, TICK, Log, rows_by_fold, rows_of

EURO = 10**9
PROJECTION = Relationships()


def test_the_worked_example_gives_its_index_and_confidence() -> None:
    """reciprocity.md 11.1."""
    assert Worth(60_800_000_000, 57_500_000_000, 3_300_000_000, 23_861, 855_387) == worth(
        60_800_000_000, 57_500_000_000, 10 * EURO
    )
    assert 27_895 == worth(60_800_000_000, 57_500_000_000, 0).index_ppm


def test_without_anything_of_value_there_is_no_index() -> None:
    assert Worth(0, 0, 0, NO_INDEX, 0) == worth(0, 0, EURO)
    assert Worth(0, 0, 0, NO_INDEX, 0) == worth(0, 0, 0)


def test_what_does_not_fit_64_bits_is_not_told() -> None:
    assert worth(INT64_MAX, INT64_MAX, INT64_MAX).is_told
    assert -INT64_MAX == worth(0, INT64_MAX, 0).net
    for got, gave in ((INT64_MAX + 1, 0), (0, INT64_MAX + 1)):
        found = worth(got, gave, 0)
        assert (NO_NET, NO_INDEX, False) == (found.net, found.index_ppm, found.is_told)


class Place:
    """A log with its projection, both of which go on in steps."""

    def __init__(self, path: Path) -> None:
        self.store: Store = open_store(sqlite_url(path / "events.db"))
        self.log = Log(self.store, organizations=1, customers=3)
        self.database: Database = SqliteDatabase(path / "projections.db")
        self.generation: Generation = self.database.create(
            PROJECTION, "log", built_time=START, ready_position=0, live=True
        )

    def append(self, *events: NewEvent) -> None:
        """Append in one commit and fold it as one batch; the rows are then what a fold from nothing says."""
        self.log.append(list(events))
        self.generation = advance(PROJECTION, self.database, self.store, self.generation, self.log.head)
        assert rows_by_fold(self.store, self.log.head) == rows_of(self.database)[1]

    def policy(self, effective_from: int, rate: int = EURO, kappa: int = EURO, policy_id: str = "standard") -> NewEvent:
        number = self.log.published["org-0"] = self.log.published.get("org-0", 0) + 1
        goods = ValuationRule(
            perspective=PARTY_CUSTOMER,
            side=SIDE_GET,
            category=CATEGORY_GOODS,
            asset="CD/0",
            rate_nanos=rate,
            high_nanos=rate,
        )
        policy = ValuationPolicy(
            policy_id=policy_id,
            version=number,
            unit_of_account="EUR",
            effective_from_time=timestamp(effective_from),
            kappa_nanos=kappa,
            rules=[goods],
        )
        return self.log.event("org-0/@policy", "policy.valuation_published.v1", ValuationPolicyPublished(policy=policy))

    def goods(self, customer: str, exchange_id: str, pieces: int) -> NewEvent:
        leg = Leg(giver=PARTY_ORGANIZATION, category=CATEGORY_GOODS, amount=Amount(units=pieces, asset="CD/0"))
        message = ExchangeRecorded(exchange_id=exchange_id, legs=[leg])
        return self.log.event(f"org-0/{customer}", "exchange.recorded.v1", message, START)

    def index(self, customer: str) -> int:
        """Return the customer's index as it is stored."""
        rows = rows_of(self.database)[1][BALANCES.name]
        return next(int(row[6]) for row in rows if row[1:3] == (customer, PARTY_CUSTOMER))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.database.close()
    place.store.close()


@pytest.fixture
def valued_whole(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Organizations of which everybody was valued anew."""
    seen: list[str] = []
    folded: Callable[..., object] = balances.BalancesFolding._all  # What costs most is watched.

    def watched(self: object, organization_id: str, *more: object) -> object:
        seen.append(organization_id)
        return folded(self, organization_id, *more)

    monkeypatch.setattr(balances.BalancesFolding, "_all", watched)
    return seen


def test_everybody_is_valued_anew_only_when_the_past_is_worth_something_else(
    place: Place, valued_whole: list[str]
) -> None:
    place.append(place.goods("a", "x-1", 3), place.log.visit("org-0/b"))
    assert [] == valued_whole, "nobody published anything"

    place.append(place.policy(START - SPAN))
    assert ["org-0"] == valued_whole, "the first version"

    place.append(place.goods("a", "x-2", 1), place.log.visit("org-0/b"), place.log.visit("org-0/c"))
    place.append(place.policy(START - SPAN, rate=5, policy_id="other"))
    assert ["org-0"] == valued_whole, "neither facts nor another policy are a reason"

    place.append(place.policy(START, rate=2 * EURO))
    assert ["org-0"] * 2 == valued_whole, "a version about the past"


def test_a_version_that_begins_later_counts_from_then_on(place: Place, valued_whole: list[str]) -> None:
    place.append(place.policy(START - SPAN), place.goods("a", "x-1", 2))
    soon = START + 8 * TICK
    place.append(place.policy(soon, rate=0, kappa=3 * EURO))
    assert 500_000 == place.index("a")

    for _ in range(4):
        place.append(place.log.visit("org-0/b"))
        assert 500_000 == place.index("a")
    while place.log.head < 9:
        place.append(place.log.visit("org-0/b"))
    place.append(place.log.visit("org-0/b"))

    assert 250_000 == place.index("a"), "its kappa is in force, and its rates are not for what happened before"
    assert 2 == len(valued_whole)


def test_a_version_not_yet_in_force_gives_nobody_rows(place: Place) -> None:
    place.append(place.policy(START + 100 * TICK), place.goods("a", "x-1", 2))

    rows = rows_of(place.database)[1]
    assert [] == rows[BALANCES.name]
    assert 1 == len(rows[RELATIONSHIPS.name])


def test_a_balance_too_large_is_in_no_list_and_comes_back(place: Place) -> None:
    half = INT64_MAX // 2
    place.append(place.policy(START - SPAN, rate=half, kappa=0))
    place.append(place.goods("b", "x-0", 1), place.goods("a", "x-1", 1), place.goods("a", "x-2", 1))
    listing = Listing(
        organization_id="org-0", order=Order.NET_DESCENDING, balances=Balances(perspective=PARTY_CUSTOMER)
    )

    def listed() -> list[str]:
        found = place.database.read(PROJECTION, lambda query: listing.ask(query, None, 10))
        assert found is not None
        return [each.key.customer_id for each in found]

    assert ["a", "b"] == listed()
    place.log.append([place.goods("a", "x-3", 1)])
    place.generation = advance(PROJECTION, place.database, place.store, place.generation, place.log.head)
    assert ["b"] == listed()
    place.log.append([place.log.visit("org-0/a")])
    place.generation = advance(PROJECTION, place.database, place.store, place.generation, place.log.head)
    assert ["b"] == listed(), "it does not begin anew from 0"

    message = ExchangeReversed(exchange_id="x-3", reversal_id="r", at_original=True)
    place.append(place.log.event("org-0/a", "exchange.reversed.v1", message, START))

    assert ["a", "b"] == listed()


def test_a_correction_of_something_else_keeps_the_balance(place: Place) -> None:
    place.append(place.policy(START - SPAN), place.goods("a", "x-1", 2))
    place.log.originals["org-0/a"] = [place.log.head + 1]
    place.append(place.log.visit("org-0/a"))

    place.append(place.log._retracted("org-0/a", 0))  # One of its kinds of facts.

    assert 500_000 == place.index("a")


def test_kept_rows_are_those_of_the_checkpoint_or_none(place: Place) -> None:
    place.append(place.policy(START - SPAN), place.goods("a", "x-1", 2), place.log.visit("org-0/b"))
    owners = [("org-0", f"c-{number}") for number in range(1_200)] + [("org-0", "a"), ("none", "a")]
    kept = KeptRows(place.database, place.generation)

    assert {("org-0", "a", 1), ("org-0", "a", 2)} == {row[:3] for row in kept.rows(BALANCES, owners)}
    assert [] == kept.rows(BALANCES, [])

    place.append(place.log.visit("org-0/b"))
    with pytest.raises(CheckpointMoved):
        kept.rows(BALANCES, owners)
    kept = KeptRows(place.database, place.generation)
    place.database.drop(place.generation)
    with pytest.raises(CheckpointMoved):
        kept.rows(BALANCES, owners)
