"""The purchase history goes in through the command and comes out of the services, to the cent.

The figures are those that were computed independently from the file (the README beside the data sets). Each is reached
from answers of the services alone: from lists of relationships, now and as of past days, and from a replay of the log
that ten lines of this file fold.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

import pytest

from rapport.audit.v1.audit_service_pb2 import EventFilter
from rapport.events.v1 import exchange_pb2
from rapport.events.v1.exchange_pb2 import ExchangeRecorded
from rapport.relationship.v1 import relationship_service_pb2 as relationship_messages
from rapport.relationship.v1.relationship_pb2 import Relationship
from services.client import Client, RetryPolicy, view
from tests.e2e.cdnow import ImportedHistory, figures_of, mapping_of_the_sample, start_import
from tests.server import ServerProcess, eventually

pytestmark = [pytest.mark.shared_data, pytest.mark.slow, pytest.mark.timeout(900)]

MARCH, SEPTEMBER = datetime(1997, 3, 31, tzinfo=UTC), datetime(1997, 9, 30, tzinfo=UTC)
CENTS, CDS = "USD/2", "CD/0"
LARGEST = [("07592", 1_399_093), ("14048", 897_633), ("07983", 697_307), ("19339", 655_270), ("07931", 649_718)]


@pytest.fixture
async def client(imported: ImportedHistory) -> AsyncIterator[Client]:
    async with Client(imported.server.target, timeout_s=120) as connected:
        yield connected


@dataclass
class Figures:
    """What lists of relationships add up to."""

    purchases: int = 0
    interactions: int = 0
    customers: int = 0
    units: Counter[str] = field(default_factory=Counter)
    cents: dict[str, int] = field(default_factory=dict)


def units_of(relationship: Relationship) -> Counter[str]:
    """Return units by asset, once it is checked who gave them."""
    units: Counter[str] = Counter()
    for each in relationship.quantities:
        giver = exchange_pb2.PARTY_CUSTOMER if each.asset == CENTS else exchange_pb2.PARTY_ORGANIZATION
        assert (giver, 0) == (each.giver, each.reversed)
        units[each.asset] += each.posted
    return units


async def listed(client: Client, as_of: datetime | None = None, organization_id: str = "cdnow") -> Figures:
    """Return the figures of all relationships, now or as of a past moment."""
    figures = Figures()
    async for each in client.list_relationships(
        organization_id, as_of=None if as_of is None else view(occur_time=as_of), page_size=1000
    ):
        units = units_of(each)
        figures.customers += 1
        figures.purchases += each.exchanges.count
        figures.interactions += each.interactions.count
        figures.units.update(units)
        figures.cents[each.customer_id] = units[CENTS]
    return figures


@dataclass
class Replay:
    """The purchases as a replay of the log tells them."""

    cents: Counter[str] = field(default_factory=Counter)
    pieces: int = 0
    purchases: int = 0
    gifts: int = 0
    days: dict[str, set[date]] = field(default_factory=lambda: defaultdict(set))


async def replayed(client: Client, organization_id: str = "cdnow") -> Replay:
    """Return what independent code makes of the log: these lines know the protos and nothing else."""
    replay = Replay()
    only = EventFilter(organization_id=organization_id, topics=["exchange.recorded.v1"])
    async for event in client.read_events(filter=only):
        customer = event.stream_id.partition("/")[2]
        fact = ExchangeRecorded.FromString(event.event)
        for leg in fact.legs:
            if leg.giver == exchange_pb2.PARTY_CUSTOMER:
                replay.cents[customer] += leg.amount.units
            else:
                replay.pieces += leg.amount.units
        replay.purchases += 1
        replay.gifts += fact.one_sided == exchange_pb2.ONE_SIDED_GIFT
        replay.days[customer].add(event.metadata.occur_time.ToDatetime(UTC).date())
    return replay


def test_every_line_becomes_two_events(imported: ImportedHistory) -> None:
    figures = imported.figures

    assert (69_659, 139_318) == (figures["lines"], figures["recorded"])
    assert (0, 0, 0) == (figures["replayed"], figures["rejected"], figures["without_records"])


async def test_totals_now(client: Client) -> None:
    figures = await listed(client)

    assert (69_659, 69_659, 23_570) == (figures.purchases, figures.interactions, figures.customers)
    assert {CENTS: 250_031_563, CDS: 167_881} == figures.units
    assert [1_177, 8_900, 15_646, 10_050] == [figures.cents[f"0000{number}"] for number in (1, 2, 3, 4)]


@pytest.mark.parametrize("as_of, purchases, cents", [(MARCH, 31_798, 107_180_547), (SEPTEMBER, 49_086, 172_335_450)])
async def test_totals_as_of_a_past_day(client: Client, as_of: datetime, purchases: int, cents: int) -> None:
    figures = await listed(client, as_of)

    assert (purchases, purchases, cents) == (figures.purchases, figures.interactions, figures.units[CENTS])


async def test_the_largest_customers_come_first(client: Client) -> None:
    selected = relationship_messages.RelationshipFilter()
    selected.units.giver = exchange_pb2.PARTY_CUSTOMER
    selected.units.asset = CENTS
    found = []

    async for each in client.list_relationships(
        "cdnow", filter=selected, order_by=relationship_messages.RELATIONSHIP_ORDER_UNITS_DESCENDING, page_size=5
    ):
        found.append((each.customer_id, units_of(each)[CENTS]))
        if len(found) == len(LARGEST):
            break

    assert LARGEST == found


async def test_one_relationship_agrees_with_the_list_and_the_timeline(client: Client) -> None:
    answer = await client.get_relationship("cdnow", "00003")
    entries = [entry async for entry in client.timeline("cdnow", "00003", page_size=3)]

    assert {CENTS: 15_646} == {
        each.asset: each.posted for each in answer.relationship.quantities if each.asset == CENTS
    }
    assert 15_646 == sum(
        leg.amount.units
        for entry in entries
        for leg in entry.exchange_recorded.legs
        if leg.giver == exchange_pb2.PARTY_CUSTOMER
    )
    assert all(entry.metadata.historical_import for entry in entries)


async def test_a_replay_folded_by_other_code_gives_the_same(client: Client) -> None:
    replay, figures = await replayed(client), await listed(client)

    assert (69_659, 167_881, 80) == (replay.purchases, replay.pieces, replay.gifts)
    assert 250_031_563 == replay.cents.total()
    assert figures.cents == {customer: replay.cents[customer] for customer in replay.days}
    assert LARGEST == replay.cents.most_common(5)


async def test_who_came_back(client: Client) -> None:
    days = {customer: sorted(bought) for customer, bought in (await replayed(client)).days.items()}

    assert 11_516 == sum(len(bought) >= 2 for bought in days.values())
    for within, expected in ((7, 1_384), (30, 4_115), (90, 6_887)):
        assert expected == sum(
            any(1 <= (day - bought[0]).days <= within for day in bought[1:]) for bought in days.values()
        )
    gaps = [(later - day).days for bought in days.values() for day, later in pairwise(bought)]
    assert 67_591 == sum(map(len, days.values()))
    assert (72.214, 34) == (round(mean(gaps), 3), median(gaps))


async def test_the_sample_goes_in_with_a_mapping_of_its_own_and_again_adds_nothing(
    sample: ImportedHistory, sample_lines: Path, tmp_path: Path
) -> None:
    mapping = mapping_of_the_sample(tmp_path)
    importing = start_import(sample.server, sample_lines, mapping)
    again = await asyncio.to_thread(figures_of, importing)

    assert [(13_838, 0, 0), (0, 13_838, 0)] == [
        (each["recorded"], each["replayed"], each["rejected"]) for each in (sample.figures, again)
    ]
    async with Client(sample.server.target, timeout_s=120) as client:
        as_in_the_sample(await replayed(client))


async def test_killing_the_server_in_between_ends_in_the_same_state(tmp_path: Path, sample_lines: Path) -> None:
    mapping = mapping_of_the_sample(tmp_path)
    with ServerProcess(tmp_path / "data", settings={"RAPPORT_DETECTOR": "off"}) as server:
        importing = start_import(server, sample_lines, mapping, "--organization", "cdnow-sample")
        for position in (2_000, 8_000):
            await asyncio.to_thread(eventually, lambda: head_of(server) > position, 300)  # noqa: B023  # Waited for.
            server.kill()
            server.start()
        figures = await asyncio.to_thread(figures_of, importing)
        async with Client(server.target, timeout_s=120) as client:
            totals, replay = (
                await listed(client, organization_id="cdnow-sample"),
                await replayed(client, "cdnow-sample"),
            )

    assert (6_919, 13_838, 0) == (
        figures["lines"],
        figures["recorded"] + figures["replayed"],
        figures["rejected"],
    )
    assert (6_919, 6_919, 2_357) == (totals.purchases, totals.interactions, totals.customers)
    assert {CENTS: 24_409_194, CDS: 16_479} == totals.units
    assert totals.cents == {customer: replay.cents[customer] for customer in replay.days}
    as_in_the_sample(replay)


def as_in_the_sample(replay: Replay) -> None:
    """See that these are the purchases of the sample."""
    assert (6_919, 2_357, 16_479) == (replay.purchases, len(replay.days), replay.pieces)
    assert 24_409_194 == replay.cents.total()
    repeats = Counter(
        min(7, len([day for day in days if day <= SEPTEMBER.date()]) - 1) for days in replay.days.values()
    )
    assert [1_411, 439, 214, 100, 62, 38, 29, 64] == [repeats[count] for count in range(8)]


def head_of(server: ServerProcess) -> int:
    """Return the position of the last event."""

    async def ask() -> int:
        async with Client(server.target, retry=RetryPolicy(patience_s=30)) as client:
            return (await client.get_head()).position

    return asyncio.run(ask())


@pytest.mark.postgres
async def test_the_same_on_postgresql(imported_on_postgresql: ImportedHistory) -> None:
    async with Client(imported_on_postgresql.server.target, timeout_s=120) as client:
        now, september = await listed(client), await listed(client, SEPTEMBER)
        replay = await replayed(client)

    figures = imported_on_postgresql.figures
    assert (69_659, 139_318, 0) == (figures["lines"], figures["recorded"], figures["rejected"])
    assert {CENTS: 250_031_563, CDS: 167_881} == now.units
    assert (49_086, 172_335_450) == (september.purchases, september.units[CENTS])
    assert now.cents == {customer: replay.cents[customer] for customer in replay.days}
