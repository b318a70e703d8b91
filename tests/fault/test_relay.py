"""The relay, and whatever may happen to NATS meanwhile: at the end the stream is the source, in order, each once (I18).

The number of messages: RAPPORT_TEST_RELAY_MESSAGES.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from nats.js.api import StorageType, StreamConfig

from ledger.domain.errors import LogDamaged
from services.relay.acknowledging import Sender
from services.relay.publishing import Refused, publish
from services.relay.relay import State
from services.relay.source import Message
from services.relay.standing import Standing
from tests.nats_server import nats_cluster, nats_server
from tests.relay_rig import KEPT, ListSource, connected, expected, follows, relaying, stored, until

MESSAGES = int(os.environ.get("RAPPORT_TEST_RELAY_MESSAGES", "400"))

pytestmark = pytest.mark.nats


async def grow(source: ListSource, to: int, step: int = 7) -> None:
    """Let a source grow little by little, as a log does."""
    while source.count < to:
        source.count = min(source.count + step, to)
        await asyncio.sleep(0.002)


async def test_what_is_there_and_what_comes_is_stored_in_order(tmp_path: Path) -> None:
    source = ListSource(MESSAGES)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(follows(relay, MESSAGES))
            await grow(source, MESSAGES + 50, step=1)
            await until(follows(relay, MESSAGES + 50))

            assert expected(source) == await stored(client)
            assert (0, 0) == (relay.status.refusals, relay.status.holes)


async def test_a_single_message_with_nothing_after_it_arrives_within_two_seconds(tmp_path: Path) -> None:
    source = ListSource(1)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay:
            await until(follows(relay, 1))
            source.count = 2
            await until(follows(relay, 2), timeout_s=2.0)


async def test_a_server_killed_under_load_loses_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    source = ListSource()
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url, window=20) as relay, connected(server.url) as client:
            load = asyncio.create_task(grow(source, MESSAGES, step=2))
            for _ in range(3):
                await asyncio.sleep(chance.uniform(0.02, 0.15))
                server.kill()
                server.start()
            await load
            await until(follows(relay, MESSAGES))

            assert expected(source) == await stored(client)


async def test_a_server_wound_back_is_brought_up_again(tmp_path: Path) -> None:
    source = ListSource(MESSAGES // 2)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(follows(relay, source.count))
            server.stop()
            server.copy()
            server.start()
            source.count = MESSAGES
            await until(follows(relay, MESSAGES))
            server.stop()
            server.restore()
            source.count += 1
            server.start()
            began = time.monotonic()
            await until(lambda: relay.status.stored == source.count and relay.status.state is State.FOLLOWING)

            assert expected(source) == await stored(client)
            print(f"wound back by {MESSAGES - MESSAGES // 2} messages: up again in {time.monotonic() - began:.2f} s")  # noqa: T201  # For whoever runs it with -s.


async def test_an_emptied_server_is_filled_again(tmp_path: Path) -> None:
    source = ListSource(MESSAGES)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(follows(relay, MESSAGES))
            server.stop()
            server.wipe()
            source.count += 1
            began = time.monotonic()
            server.start()
            await until(follows(relay, MESSAGES + 1))

            assert expected(source) == await stored(client)
            print(f"refilled {source.count} messages in {time.monotonic() - began:.2f} s")  # noqa: T201  # For whoever runs it with -s.


async def test_a_purged_stream_is_filled_again_though_the_server_takes_it_for_repetition(tmp_path: Path) -> None:
    source = ListSource(50)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(follows(relay, 50))
            await client.jetstream().purge_stream("RAPPORT_LOG")  # Within the window: ids are answered `duplicate`.
            before = relay.status.refusals
            await until(lambda: relay.status.refusals > before)
            await until(follows(relay, 50))

            assert expected(source) == await stored(client)


async def test_a_deleted_stream_is_made_and_filled_again(tmp_path: Path) -> None:
    source = ListSource(50)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(follows(relay, 50))
            await client.jetstream().delete_stream("RAPPORT_LOG")
            await asyncio.sleep(0.02)
            source.count += 1
            await until(follows(relay, 51))

            assert expected(source) == await stored(client)


async def test_a_deleted_end_is_published_again_and_a_deleted_middle_is_told(tmp_path: Path) -> None:
    source = ListSource(20)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(follows(relay, 20))
            await client.jetstream().delete_msg("RAPPORT_LOG", 20)
            await until(lambda: relay.status.refusals > 0)  # Its id is remembered for a second.
            await until(follows(relay, 20))
            assert expected(source) == await stored(client)

            await client.jetstream().delete_msg("RAPPORT_LOG", 7)
            await until(lambda: relay.status.holes == 1)
            assert [each for each in expected(source) if each[0] != 7] == await stored(client)


async def test_two_relays_store_everything_once_and_in_order(tmp_path: Path) -> None:
    one, other = ListSource(), ListSource()
    with nats_server(tmp_path) as server:
        async with (
            relaying(one, server.url, window=10) as first,
            relaying(other, server.url, window=17) as second,
            connected(server.url) as client,
        ):
            await asyncio.gather(grow(one, MESSAGES), grow(other, MESSAGES, step=5))
            await until(lambda: follows(first, MESSAGES)() and follows(second, MESSAGES)(), timeout_s=30)

            assert expected(one) == await stored(client)
            print(f"two relays: {first.status.refusals} and {second.status.refusals} windows refused")  # noqa: T201  # For whoever runs it with -s.


async def test_repetitions_and_leaps_are_refused_also_when_the_server_has_forgotten_the_ids(tmp_path: Path) -> None:
    source = ListSource(40)
    messages = await source.after(0, 40)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(follows(relay, 40))
        async with connected(server.url) as client:
            js, sender = client.jetstream(), Sender(client)
            await asyncio.sleep(1.2)
            for at, late in (
                (Standing(0, "", 0), messages[:20]),  # From before the other relay was there.
                (Standing(10, "log/10", 10), messages[10:30]),
                (Standing(50, "log/50", 50), [source.message(51)]),
                (Standing(50, "", 50), [source.message(51)]),
            ):
                with pytest.raises(Refused):
                    await publish(js, sender, source, at, late)

            assert expected(source) == await stored(client)


async def test_a_relay_ended_anywhere_is_followed_by_another(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    source = ListSource(MESSAGES)
    with nats_server(tmp_path) as server:
        async with connected(server.url) as client:
            for _ in range(6):
                async with relaying(source, server.url, window=30):
                    await asyncio.sleep(chance.uniform(0.0, 0.06))
            async with relaying(source, server.url) as relay:
                await until(follows(relay, MESSAGES))

            assert expected(source) == await stored(client)


async def test_nothing_is_published_to_the_stream_of_another_log(tmp_path: Path) -> None:
    source = ListSource(10)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay:
            await until(follows(relay, 10))
        async with relaying(ListSource(30, log_id="other"), server.url) as relay, connected(server.url) as client:
            await until(lambda: relay.status.state is State.HALTED)

            assert "another NATS server" in relay.status.why
            assert not relay.status.healthy
            assert expected(source) == await stored(client)


async def test_nothing_is_published_after_another_past_of_the_same_log(tmp_path: Path) -> None:
    source = ListSource(10)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay:
            await until(follows(relay, 10))
        async with relaying(ListSource(30, past="restored"), server.url) as relay, connected(server.url) as client:
            await until(lambda: relay.status.state is State.HALTED)
            assert "another past" in relay.status.why
            assert expected(source) == await stored(client)

            await client.jetstream().delete_stream("RAPPORT_LOG")
            await until(follows(relay, 30))


async def test_a_damaged_event_halts_the_relay_before_it(tmp_path: Path) -> None:
    source = DamagedSource(30)
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url, window=10) as relay, connected(server.url) as client:
            await until(lambda: relay.status.state is State.HALTED)
            assert "damaged" in relay.status.why
            assert expected(source)[:20] == await stored(client)


class DamagedSource(ListSource):
    """A source whose 25th message cannot be read."""

    async def after(self, number: int, limit: int) -> Sequence[Message]:
        if number < 25 <= number + limit:
            raise LogDamaged(25, "damaged")
        return await super().after(number, limit)


async def test_a_source_that_is_behind_the_stream_waits_until_it_is_not(tmp_path: Path) -> None:
    with nats_server(tmp_path) as server:
        async with relaying(ListSource(10), server.url) as relay:
            await until(follows(relay, 10))
        source = ListSource(4)
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(lambda: relay.status.state is State.AHEAD)
            source.count = 12
            await until(follows(relay, 12))

            assert expected(source) == await stored(client)


async def test_an_empty_stream_is_filled_with_what_it_keeps(tmp_path: Path) -> None:
    source = ListSource(30)
    source.expired = 12
    with nats_server(tmp_path) as server:
        async with relaying(source, server.url) as relay, connected(server.url) as client:
            await until(follows(relay, 30))

            assert expected(source, first=13) == await stored(client)


async def test_a_stream_set_up_by_somebody_else_is_made_right_or_left_alone(tmp_path: Path) -> None:
    source = ListSource(3)
    theirs = StreamConfig(name=source.stream, subjects=["other"], duplicate_window=120.0, storage=StorageType.FILE)
    with nats_server(tmp_path) as server:
        async with connected(server.url) as client:
            js = client.jetstream()
            await js.add_stream(theirs)
            async with relaying(source, server.url, kept=replace(KEPT, protected=True)) as relay:
                await until(follows(relay, 3))
            mended = (await js.stream_info(source.stream)).config
            assert (["rapport.log.v1.>"], 1.0, 3_600.0) == (mended.subjects, mended.duplicate_window, mended.max_age)
            assert mended.deny_delete
            assert mended.deny_purge

            await js.delete_stream(source.stream)
            await js.add_stream(theirs.evolve(storage=StorageType.MEMORY))
            async with relaying(source, server.url) as relay:
                await until(lambda: relay.status.state is State.HALTED)
                assert "storage" in relay.status.why


@pytest.mark.timeout(120)
async def test_a_cluster_loses_a_node_and_gets_it_back_under_load(tmp_path: Path) -> None:
    source = ListSource()
    with nats_cluster(tmp_path) as servers:
        urls = [server.url for server in servers]
        async with (
            relaying(source, *urls, kept=replace(KEPT, replicas=3), window=20) as relay,
            connected(*urls) as client,
        ):
            source.count = 1
            await until(follows(relay, 1), timeout_s=40)
            load = asyncio.create_task(grow(source, MESSAGES, step=2))
            await asyncio.sleep(0.1)
            info = await client.jetstream().stream_info(source.stream)
            assert info.cluster is not None
            leader = next(server for number, server in enumerate(servers) if f"n{number}" == info.cluster.leader)
            leader.kill()
            began = time.monotonic()
            await load
            await until(follows(relay, MESSAGES), timeout_s=40)
            print(f"without its leader the cluster held all {MESSAGES} after {time.monotonic() - began:.2f} s")  # noqa: T201  # For whoever runs it with -s.
            leader.start()
            await grow(source, MESSAGES + 50)
            await until(follows(relay, MESSAGES + 50), timeout_s=40)

            assert expected(source) == await stored(client)
