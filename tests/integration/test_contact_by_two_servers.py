"""Two servers over one log decide about the same customers at once: one permit each, and every decision replays."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from rapport.contact.v1.decision_pb2 import Decision
from rapport.events.v1.contact_pb2 import GATE_FREQUENCY
from services.client import Client
from services.runtime.settings import Secret
from tests.contact_calls import ORGANIZATION, PERMIT, Shop, item, mail, one_a_month, told
from tests.server import serving

CUSTOMERS = [f"c-{n}" for n in range(6)]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def shops(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Shop]]:
    store: dict[str, Any] = (
        {} if request.param == "sqlite" else {"store_url": Secret(request.getfixturevalue("postgres_url"))}
    )
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(2):
            server = await stack.enter_async_context(serving(tmp_path, **store))
            made.append(Shop(await stack.enter_async_context(Client(server.target))))
        yield made


async def test_a_cap_holds_across_servers_and_each_decision_replays_to_the_same_bytes(shops: list[Shop]) -> None:
    one, other = shops
    await one.publish(one_a_month())
    for name in CUSTOMERS:
        await one.give(name)

    async def batch(shop: Shop) -> list[Decision]:
        items = [item(name) for name in (*CUSTOMERS, *CUSTOMERS)]
        return list((await shop.client.batch_decide(ORGANIZATION, items, timeout_s=30)).decisions)

    async def each(shop: Shop) -> list[Decision]:
        return list(await asyncio.gather(*(shop.decide(name) for name in CUSTOMERS)))

    found = await asyncio.gather(*(work(shop) for shop in shops for work in (each, batch, each)))
    decisions = [decision for some in found for decision in some]

    permits = Counter(d.read_set[0].stream_id for d in decisions if told(d) == PERMIT)
    assert dict.fromkeys((f"{ORGANIZATION}/{name}" for name in CUSTOMERS), 1) == permits
    assert len(decisions) == len({d.decision_id for d in decisions})
    for decision in decisions:
        customer_id = decision.read_set[0].stream_id.partition("/")[2]
        explained = await other.client.explain_decision(ORGANIZATION, customer_id, decision.decision_id)
        assert [] == list(explained.differs_in)
        assert decision == explained.recorded


async def test_positions_that_a_decision_names_are_right_while_another_server_writes_about_others(
    shops: list[Shop],
) -> None:
    """The second of a batch is denied because of the first, and names it; where both come to stand is not known yet."""
    one, other = shops
    await one.publish(one_a_month())
    for name in CUSTOMERS:
        await one.give(name)

    async def noise() -> None:
        await asyncio.gather(*(other.client.record_interaction(ORGANIZATION, f"x-{n}", mail()) for n in range(8)))

    for name in CUSTOMERS:
        meanwhile = asyncio.gather(*(noise() for _ in range(3)))
        response = await one.client.batch_decide(ORGANIZATION, [item(name), item(name)])
        await meanwhile
        first, second = response.decisions
        (full,) = [each for each in second.trace if each.gate == GATE_FREQUENCY]
        assert [first.decision_id] == list(full.evidence_positions)


async def test_a_withdrawal_at_one_server_denies_at_the_other(shops: list[Shop]) -> None:
    one, other = shops
    await one.give()
    assert PERMIT == told(await other.decide())
    for _ in range(5):
        await one.withdraw()
        assert ("DENY", "CONSENT_WITHDRAWN") == told(await other.decide()) == told(await other.simulate())
        await other.give()
        assert PERMIT == told(await one.decide()) == told(await one.simulate())
