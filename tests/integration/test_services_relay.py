"""The relay beside the services: the log in NATS, health, figures, and a process without NATS (I18, I29)."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ledger.log.envelope import split_state
from rapport.audit.v1.recorded_event_pb2 import RecordedEvent
from rapport.change.v1.change_pb2 import RelationshipChange
from rapport.events.v1.consent_pb2 import ConsentGiven
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL
from rapport.relay.v1.log_message_pb2 import LogMessage
from services.client import Client
from services.client.consuming import Consumer
from services.client.effects import SqliteEffects
from services.client.relayed import RelayedChanges, RelayedEvents
from services.relay.__main__ import Alone
from services.relay.connecting import abandon, connect
from services.relay.server import NatsServer, NotStarted
from services.relay.servicer import SERVICE
from services.runtime.settings import Secret, Settings
from tests.nats_server import Nats, nats_server
from tests.relay_rig import connected, stored, until
from tests.server import Serving, serving

pytestmark = pytest.mark.nats

SERVES = health_pb2.HealthCheckResponse.SERVING
SERVES_NOT = health_pb2.HealthCheckResponse.NOT_SERVING


async def health(server: Serving, service: str) -> int:
    stub = health_pb2_grpc.HealthStub(server.channel)
    return int((await stub.Check(health_pb2.HealthCheckRequest(service=service))).status)


async def relayed(server: Serving) -> None:
    """Wait until everything that is recorded is relayed."""
    end = asyncio.get_running_loop().time() + 15
    while await health(server, SERVICE) != SERVES or 'lag_messages{stream="RAPPORT_LOG"} 0' not in metrics(server):
        assert asyncio.get_running_loop().time() < end, server.logged()
        await asyncio.sleep(0.02)


def metrics(server: Serving) -> str:
    lines = []
    for family in server.app.metrics.registry.collect():
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            lines.append(f"{sample.name}{{{labels}}} {sample.value:g}")
    return "\n".join(lines)


async def withdraw(target: str, count: int, organization_id: str = "acme") -> None:
    async with Client(target) as client:
        for number in range(count):
            await client.withdraw_consent(organization_id, f"c-{number % 3}")


async def test_the_stream_is_the_log_event_by_event(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as nats:
        async with serving(tmp_path / "data", nats_url=Secret(nats.url)) as server:
            await withdraw(server.target, 10)
            await relayed(server)
            rows = server.app.ledger.store.read_log(0, 1_000)
            async with connected(nats.url) as client:
                found = [(number, LogMessage.FromString(body)) for number, body in await stored(client)]

            assert [row.position for row in rows] == [number for number, _ in found]
            assert [(row.stream_id, row.version, row.topic) for row in rows] == [
                (message.stream_id, message.version, message.topic) for _, message in found
            ]
            assert [split_state(row.state) for row in rows] == [
                (message.metadata, message.event, message.sealed) for _, message in found
            ]
            text = metrics(server)
            assert 'rapport_relay_up{stream="RAPPORT_LOG"} 1' in text
            assert f'rapport_relay_stored_number{{stream="RAPPORT_LOG"}} {len(rows)}' in text
            assert 'rapport_relay_holes_messages{stream="RAPPORT_LOG"} 0' in text


@pytest.mark.postgres
async def test_a_relay_of_its_own_follows_what_another_process_records_in_postgresql(
    tmp_path: Path, postgres_url: str
) -> None:
    store = Secret(postgres_url)
    with nats_server(tmp_path / "nats") as nats:
        async with (
            serving(tmp_path / "data", store_url=store) as services,
            serving(tmp_path / "data", [Alone()], store_url=store, nats_url=Secret(nats.url)) as relay,
        ):
            await withdraw(services.target, 5)
            count = services.app.ledger.head.position
            began = asyncio.get_running_loop().time()
            await until(lambda: f'stored_number{{stream="RAPPORT_LOG"}} {count}' in metrics(relay))
            assert asyncio.get_running_loop().time() - began < 2.0
            async with connected(nats.url) as client:
                assert list(range(1, count + 1)) == [number for number, _ in await stored(client)]


async def test_a_consumer_of_one_organization_has_its_events_and_no_other(tmp_path: Path) -> None:
    seen: list[tuple[int, str]] = []

    def apply(_: sqlite3.Connection, event: RecordedEvent) -> None:
        seen.append((event.position, event.stream_id))

    effects = SqliteEffects(tmp_path / "effects.db", "acme")
    with nats_server(tmp_path / "nats") as nats:
        async with (
            serving(tmp_path / "data", nats_url=Secret(nats.url)) as server,
            connected(nats.url) as connection,
            Client(server.target) as client,
        ):
            for _ in range(4):
                await withdraw(server.target, 3)
                await withdraw(server.target, 2, "other")
            await relayed(server)
            async with connected(nats.url) as other:
                await other.jetstream().delete_msg("RAPPORT_LOG", 5)
            consumer = Consumer(
                connection, RelayedEvents(client, "acme"), effects, apply, durable="acme", check_interval_s=0.5
            )
            task = asyncio.create_task(consumer.run())
            rows = server.app.ledger.store.read_log(0, 1_000)
            wanted = [(row.position, row.stream_id) for row in rows if row.stream_id.startswith("acme/")]
            await until(lambda: len(seen) == len(wanted))
            task.cancel()
            await asyncio.wait([task])

    assert wanted == seen
    effects.close()


async def test_the_stream_of_changes_is_the_table_and_each_has_its_effect_once(tmp_path: Path) -> None:
    seen: list[RelationshipChange] = []
    newsletter = ConsentGiven(purposes=["newsletter"], channels=[CHANNEL_EMAIL])
    effects = SqliteEffects(tmp_path / "effects.db", "acme")
    with nats_server(tmp_path / "nats") as nats:
        async with (
            serving(tmp_path / "data", nats_url=Secret(nats.url)) as server,
            connected(nats.url) as connection,
            Client(server.target) as client,
        ):
            for customer in ("c-1", "c-2", "c-3"):
                await client.give_consent("acme", customer, newsletter)
                await client.withdraw_consent("acme", customer)
                await client.give_consent("other", customer, newsletter)
            last = server.app.ledger.head.position
            changes = server.app.detectors[0].changes
            await until(lambda: changes.last().position >= last)
            rows = changes.after(0, 1_000)
            await until(lambda: f'stored_number{{stream="RAPPORT_CHANGES"}} {len(rows)}' in metrics(server))
            async with connected(nats.url) as other:
                found = await stored(other, "RAPPORT_CHANGES")
                await other.jetstream().delete_msg("RAPPORT_CHANGES", len(rows))  # It may be the last of them all.
            consumer = Consumer(
                connection,
                RelayedChanges(client, "acme"),
                effects,
                lambda _, change: seen.append(change),
                durable="acme",
                check_interval_s=0.5,
            )
            task = asyncio.create_task(consumer.run())
            wanted = [RelationshipChange.FromString(row.body) for row in rows if row.organization_id == "acme"]
            await until(lambda: len(seen) == len(wanted))
            task.cancel()
            await asyncio.wait([task])

    assert len(wanted) >= 6  # Each opted in, and out.
    assert [(row.number, row.body) for row in rows] == found
    assert wanted == seen
    effects.close()


async def test_without_nats_the_services_serve_and_health_says_that_nothing_is_relayed_until_it_is(
    tmp_path: Path,
) -> None:
    nats = Nats(tmp_path / "nats")
    async with serving(tmp_path / "data", nats_url=Secret(nats.url)) as server:
        await withdraw(server.target, 1)
        without = [await health(server, name) for name in ("", SERVICE)], metrics(server)
        try:
            nats.start()
            await relayed(server)
        finally:
            nats.kill()

    assert [SERVES, SERVES_NOT] == without[0]
    assert 'rapport_relay_up{stream="RAPPORT_LOG"} 0' in without[1]


async def test_the_packaged_server_is_started_ended_and_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path, nats_url=Secret("")) as server:
        await withdraw(server.target, 2)
        await relayed(server)
        url = (tmp_path / "nats" / "url").read_text()
        async with connected(url) as client:
            assert server.app.ledger.head.position == len(await stored(client))

    assert not (tmp_path / "nats" / "url").exists()
    async with serving(tmp_path, nats_url=Secret("")) as server:
        await relayed(server)


async def test_two_processes_on_one_folder_share_one_server(tmp_path: Path) -> None:
    one, other = (NatsServer(tmp_path, "127.0.0.1:0", 1 << 30) for _ in range(2))
    assert await one.start() == await other.start()
    await other.stop()
    shared = [server.running for server in (one, other)]
    await one.stop()
    alone = other.running

    assert [True, True] == shared
    assert not alone

    assert one.url == await other.start()  # It takes the place, at the same address.
    await other.stop()


async def test_an_address_is_there_as_a_whole_and_never_that_of_one_who_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tmp_path / "url"
    url.write_text("nats://127.0.0.1:1")  # Of one who was killed.
    seen: list[str] = []
    write, address = Path.write_text, NatsServer._address

    def writing(path: Path, text: str, encoding: str | None = None) -> int:
        seen.append(path.name)
        return write(path, text, encoding)

    def asked(server: NatsServer) -> str:
        assert not url.exists(), "who comes meanwhile waits"
        return address(server)

    monkeypatch.setattr(Path, "write_text", writing)
    monkeypatch.setattr(NatsServer, "_address", asked)
    server = NatsServer(tmp_path, "127.0.0.1:0", 1 << 30)
    await server.start()
    told = url.read_text()
    await server.stop()

    assert server.url == told
    assert "url" not in seen, "it is put in place once it is whole"
    assert not url.exists()


async def test_a_missing_program_is_told_and_keeps_nobody_from_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.relay.server.PROGRAM", "nats-server-that-is-missing")
    with pytest.raises(NotStarted, match="not installed"):
        await NatsServer(tmp_path / "nats", "127.0.0.1:0", 1 << 30).start()

    async with serving(tmp_path / "data", nats_url=Secret("")) as server:
        await withdraw(server.target, 1)
        assert [SERVES, SERVES_NOT] == [await health(server, name) for name in ("", SERVICE)]
        assert "nats.not_started" in server.logged()


async def test_off_is_off(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        names = await health_pb2_grpc.HealthStub(server.channel).List(health_pb2.HealthListRequest())

    assert SERVICE not in names.statuses
    assert not (tmp_path / "nats").exists()


async def test_an_attempt_to_connect_that_nobody_waits_for_leaves_no_socket_open() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        await reader.read()
        writer.close()
        ended.set()

    async with await asyncio.start_server(silent, "127.0.0.1") as server:
        host, port = server.sockets[0].getsockname()
        attempt = asyncio.create_task(connect(Settings(), [f"nats://{host}:{port}"]))
        await begun.wait()
        await abandon(attempt)
        await asyncio.wait_for(ended.wait(), 5)
