"""Consume the log from NATS: each event has its effect once, however often it comes and whenever the consumer ends.

The server starts a NATS server of its own beside itself. A consumer keeps a list of whom to write a farewell letter:
the entry and the number of the event in one transaction. It is ended in the middle and started again; what NATS has
lost meanwhile it reads from the service.
"""

import asyncio
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import nats

from examples.shared.serving import serving_with_nats
from rapport.audit.v1.recorded_event_pb2 import RecordedEvent
from services.client import Client
from services.client.consuming import Consumer
from services.client.effects import SqliteEffects
from services.client.relayed import RelayedEvents

CAFE = "corner-cafe"


def note(connection: sqlite3.Connection, event: RecordedEvent) -> None:
    """Make the effect of one event, in the transaction that also keeps its number."""
    if event.topic == "consent.withdrawn.v1":
        connection.execute("CREATE TABLE IF NOT EXISTS letters (customer TEXT, position INTEGER)")
        customer = event.stream_id.partition("/")[2]
        connection.execute("INSERT INTO letters VALUES (?, ?)", (customer, event.position))


async def consume(client: Client, url: str, path: Path, until: int) -> None:
    """Consume up to a position; a real consumer would go on for ever."""
    effects = SqliteEffects(path, "farewells")
    connection = await nats.connect(url)
    consumer = Consumer(
        connection, RelayedEvents(client, CAFE), effects, note, durable="farewells", check_interval_s=0.5
    )
    running = asyncio.create_task(consumer.run())
    while consumer.last < until:  # noqa: ASYNC110  # It runs by itself; we only watch.
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    letters = effects.connection.execute("SELECT customer, position FROM letters ORDER BY position").fetchall()
    print(f"up to {consumer.last}: {', '.join(f'{customer} at {position}' for customer, position in letters)}")
    await connection.close()
    effects.close()


async def main() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "letters.db"
        async with serving_with_nats() as (target, url), Client(target) as client:
            await client.withdraw_consent(CAFE, "ada")
            await client.withdraw_consent(CAFE, "bob")
            await consume(client, url, path, until=3)

            await client.withdraw_consent(CAFE, "cem")
            await client.withdraw_consent(CAFE, "dora")
            await lose(url, 4)
            await consume(client, url, path, until=5)


async def lose(url: str, number: int) -> None:
    """Let NATS lose a message, as a disk might; the log has it still."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    while (await js.stream_info("RAPPORT_LOG")).state.last_seq < number + 1:  # noqa: ASYNC110  # NATS tells nobody.
        await asyncio.sleep(0.01)
    await js.delete_msg("RAPPORT_LOG", number)
    await connection.close()


asyncio.run(main())
