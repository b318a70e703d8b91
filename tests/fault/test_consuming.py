"""The consumer that the client library brings: each message has its effect once and in order, whatever happens (I19).

The number of messages: RAPPORT_TEST_RELAY_MESSAGES.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.js.api import ConsumerConfig

from services.client.consuming import Consumer
from services.client.effects import Overtaken, SqliteEffects
from tests.nats_server import nats_server
from tests.relay_rig import (
    ListRelayed,
    ListSource,
    connected,
    effects_in,
    effects_of,
    follows,
    make_effect,
    relaying,
    until,
)

MESSAGES = int(os.environ.get("RAPPORT_TEST_RELAY_MESSAGES", "200"))
ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.nats

Apply = Callable[[sqlite3.Connection, str], Awaitable[None] | None]


@asynccontextmanager
async def consuming(
    url: str, path: Path, relayed: ListRelayed, apply: Apply = make_effect, ack_wait_s: float = 1.0
) -> AsyncIterator[Consumer[sqlite3.Connection, str]]:
    """Run a consumer until the block is left."""
    effects = SqliteEffects(path, "mine")
    async with connected(url) as client:
        consumer = Consumer(
            client, relayed, effects, apply, durable="mine", ack_wait_s=ack_wait_s, check_interval_s=0.3
        )
        task = asyncio.create_task(consumer.run())
        try:
            yield consumer
        finally:
            task.cancel()
            await asyncio.wait([task])
            effects.close()
            assert task.cancelled(), task.exception()


async def test_every_message_has_its_effect_once_and_in_order(tmp_path: Path) -> None:
    source = ListSource(MESSAGES)
    relayed = ListRelayed(source)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url), consuming(server.url, tmp_path / "e", relayed) as consumer:
            await until(lambda: consumer.last == MESSAGES)
            source.count += 5
            await until(lambda: consumer.last == source.count)

            assert effects_of(source) == effects_in(tmp_path / "e")


async def test_messages_sent_ten_times_and_out_of_order_have_one_effect(tmp_path: Path, seed: int) -> None:
    source = ListSource(40)
    again = [number for number in range(1, 41) for _ in range(10)]
    random.Random(seed).shuffle(again)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(follows(relay, 40))
            for number in again:  # Without an id, so that no window of the server's knows them again.
                message = source.message(number)
                await client.publish(message.subject, message.body, headers=dict(message.headers))
        async with consuming(server.url, tmp_path / "e", ListRelayed(source)) as consumer:
            await until(lambda: consumer.last == 40)
            await asyncio.sleep(0.3)

            assert effects_of(source) == effects_in(tmp_path / "e")


async def test_messages_handed_back_have_one_effect_in_order(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    source = ListSource(MESSAGES)
    with nats_server(tmp_path) as server:
        async with (
            relaying(source, server.url) as relay,
            connected(server.url) as client,
            consuming(server.url, tmp_path / "e", ListRelayed(source)) as consumer,
        ):
            await until(follows(relay, MESSAGES))
            await until(lambda: consumer.last > 0)
            thief = await client.jetstream().pull_subscribe_bind("mine", source.stream)
            while consumer.last < MESSAGES:
                try:
                    for message in await thief.fetch(1, timeout=0.05):
                        await (message.nak() if chance.random() < 0.7 else asyncio.sleep(0))
                except TimeoutError:
                    pass

            assert effects_of(source) == effects_in(tmp_path / "e")


@pytest.mark.parametrize("lost", [(1, 7, 8, 20), (29, 30)], ids=["in the middle", "at the end"])
async def test_what_nats_lost_is_read_from_the_service(tmp_path: Path, lost: tuple[int, ...]) -> None:
    source = ListSource(30)
    relayed = ListRelayed(source)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(follows(relay, 30))
        async with connected(server.url) as client:
            for number in lost:  # At the end no later message could tell of it.
                await client.jetstream().delete_msg(source.stream, number)
        async with consuming(server.url, tmp_path / "e", relayed) as consumer:
            await until(lambda: consumer.last == 30)

            assert effects_of(source) == effects_in(tmp_path / "e")
            assert relayed.asked > 0


async def test_a_service_that_is_behind_is_waited_for_rather_than_passed_over(tmp_path: Path) -> None:
    source = ListSource(10)
    relayed = ListRelayed(source, known=6)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(follows(relay, 10))
        async with connected(server.url) as client:
            await client.jetstream().delete_msg(source.stream, 8)
        async with consuming(server.url, tmp_path / "e", relayed) as consumer:
            await until(lambda: consumer.last == 7 and relayed.asked > 0)
            await asyncio.sleep(0.2)
            assert 7 == consumer.last
            relayed.known = None
            await until(lambda: consumer.last == 10)

            assert effects_of(source) == effects_in(tmp_path / "e")


async def test_a_server_killed_and_emptied_under_load_changes_no_effect(tmp_path: Path) -> None:
    source = ListSource()
    with nats_server(tmp_path) as server:
        async with (
            relaying(source, server.url) as relay,
            consuming(server.url, tmp_path / "e", ListRelayed(source)) as consumer,
        ):
            for step in (1, 2, 3):
                source.count = step * MESSAGES // 3
                await until(lambda: consumer.last > source.count - MESSAGES // 4)
                server.kill()
                if step == 2:
                    server.wipe()
                server.start()
            await until(lambda: consumer.last == source.count, timeout_s=30)
            await until(follows(relay, source.count))

            assert effects_of(source) == effects_in(tmp_path / "e")


@pytest.mark.timeout(120)
async def test_a_consumer_killed_before_and_after_its_effect_makes_it_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    source = ListSource(60)
    ends = [
        (str(number), place) for number, place in zip(chance.sample(range(1, 60), 2), ("before", "after"), strict=True)
    ]
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay:
            await until(follows(relay, 60))
        arguments = (server.url, str(tmp_path / "e"), "60")
        codes = [
            await asyncio.to_thread(exit_code, *arguments, *end) for end in (*sorted(ends, key=first), ("0", "nowhere"))
        ]

        assert [9, 9, 0] == codes
        assert effects_of(source) == effects_in(tmp_path / "e")


def first(end: tuple[str, str]) -> int:
    return int(end[0])


def exit_code(*arguments: str) -> int:
    """Run a consumer in a process of its own; return how it ended."""
    program = [sys.executable, "-m", "tests.fault.consuming_process", *arguments]
    paths = f"{ROOT}{os.pathsep}{ROOT / 'protos'}"
    return subprocess.run(program, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, check=False).returncode


async def test_an_effect_that_fails_ends_the_consumer_and_comes_again_with_the_next(tmp_path: Path) -> None:
    source = ListSource(10)
    failing = True

    async def apply(connection: sqlite3.Connection, content: str) -> None:
        make_effect(connection, content)
        await asyncio.sleep(0)
        if failing and content == source.message(4).body.decode():
            raise ValueError("a bug")

    with nats_server(tmp_path) as server:
        async with relaying(source, server.url):
            effects = SqliteEffects(tmp_path / "e", "mine")
            async with connected(server.url) as client:
                with pytest.raises(ValueError, match="a bug"):
                    await Consumer(client, ListRelayed(source), effects, apply, durable="mine", ack_wait_s=1.0).run()
            effects.close()
            assert effects_of(source)[:3] == effects_in(tmp_path / "e")
            failing = False
            async with consuming(server.url, tmp_path / "e", ListRelayed(source), apply) as consumer:
                await until(lambda: consumer.last == 10)

    assert effects_of(source) == effects_in(tmp_path / "e")


async def test_two_consumers_of_one_name_make_each_effect_once(tmp_path: Path) -> None:
    source = ListSource(MESSAGES)
    with nats_server(tmp_path) as server:
        async with (
            relaying(source, server.url),
            consuming(server.url, tmp_path / "e", ListRelayed(source)) as one,
            consuming(server.url, tmp_path / "e", ListRelayed(source)) as other,
        ):
            await until(lambda: max(one.last, other.last) == MESSAGES, timeout_s=30)

    assert effects_of(source) == effects_in(tmp_path / "e")


async def test_only_one_message_is_under_way(tmp_path: Path) -> None:
    source = ListSource(3)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url), consuming(server.url, tmp_path / "e", ListRelayed(source)) as consumer:
            await until(lambda: consumer.last == 3)
            async with connected(server.url) as client:
                config: ConsumerConfig = (await client.jetstream().consumer_info(source.stream, "mine")).config

    assert (1, 1.0) == (config.max_ack_pending, config.ack_wait)


async def test_a_number_is_taken_once(tmp_path: Path) -> None:
    effects = SqliteEffects(tmp_path / "e", "mine")
    async with effects.once(0, 5) as connection:
        make_effect(connection, "five")

    with pytest.raises(Overtaken):
        async with effects.once(0, 5) as connection:
            make_effect(connection, "five again")

    assert 5 == await effects.last()
    assert ["five"] == effects_in(tmp_path / "e")
    effects.close()
