"""A relationship as it is now, while some write through several ledgers over one log and some look: drawn at random.

Every answer must be what the log held up to the answer's own position.
"""

import asyncio
import random
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ledger.ledger import Ledger
from ledger.log.recorders import open_store
from ledger.opening import open_ledger
from rapport.events.v1.privacy_pb2 import ErasureStarted
from tests.integration import test_ledger_races
from tests.integration.test_ledger import ANNA, NOW, Opener, purchase, register_assets, request, visit
from tests.integration.test_ledger_races import BERT, COLD
from tests.integration.test_relationships_now import check, publish, reader
from tests.told_histories import Bare

another = test_ledger_races.another
keys_in = test_ledger_races.keys_in
threaded = test_ledger_races.threaded


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("pieces_max", [1, 100_000])
async def test_every_answer_is_what_the_log_held_at_its_position(
    threaded: Ledger, another: Opener, seed: int, pieces_max: int
) -> None:
    await Mingling(random.Random(seed), [threaded, await another()], pieces_max).go()


@pytest.mark.postgres
async def test_every_answer_is_what_the_log_held_at_its_position_over_postgresql(
    tmp_path: Path, postgres_url: str
) -> None:
    ledgers = []
    async with AsyncExitStack() as stack:
        for _ in range(2):
            opened = await open_ledger(
                open_store(postgres_url), keys_in(tmp_path), new_log_id=str(uuid4()), clock=lambda: NOW
            )
            stack.push_async_callback(opened.close)
            ledgers.append(opened)
        await Mingling(random.Random(1), ledgers, pieces_max=100_000).go()


class Mingling:
    """Some who write through several ledgers over one log, and some who look."""

    def __init__(self, chance: random.Random, ledgers: list[Ledger], pieces_max: int) -> None:
        self.chance = chance
        self.ledgers = ledgers
        self.readers = [reader(each, pieces_max=pieces_max) for each in ledgers]
        self.numbers = count(1)
        self.acknowledged = 0

    async def go(self) -> None:
        await register_assets(self.ledgers[0])
        for each in (ANNA, BERT):
            await self.ledgers[0].execute(request(), [visit(each)])
        await asyncio.gather(self.write(), self.write(), self.look(), self.look(), self.look())

    async def write(self) -> None:
        for number in range(30):
            steps = [self.step(erasing=number > 25) for _ in range(self.chance.randrange(1, 4))]
            receipt = await self.chance.choice(self.ledgers).execute(request(), steps)
            self.acknowledged = max(self.acknowledged, receipt.position)
            await self.pause()

    def step(self, *, erasing: bool) -> Any:
        name = self.chance.choice([ANNA, BERT])
        return self.chance.choice(
            [
                visit(name),
                purchase(f"x-{next(self.numbers)}", stream_id=name),
                publish(next(self.numbers)),
                Bare(name, "privacy.erasure_started.v1", ErasureStarted(), NOW) if erasing else visit(COLD),
            ]
        )

    async def look(self) -> None:
        for _ in range(40):
            stream_id, wanted = self.chance.choice([ANNA, BERT]), self.acknowledged
            sight = await self.chance.choice(self.readers).see(stream_id, self.chance.choice([0, wanted]))
            assert sight.look.view.position >= wanted
            check(sight, self.ledgers[0].store, stream_id)
            await self.pause()

    async def pause(self) -> None:
        await asyncio.sleep(self.chance.choice([0, 0, 0.001]))
