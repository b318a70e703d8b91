"""A relay for tests: over a source that is a list, or anything else, in the test's own event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from services.client.relayed import Numbered
from services.relay.relay import Relay, State, Status
from services.relay.source import Kept, Message, Place, Source

KEPT = Kept(age_s=3_600.0, size_bytes=256 * 1024 * 1024, replicas=1, protected=False)
CHECK_S = 0.3


class ListSource:
    """Numbered messages, as many as the test says there are."""

    stream = "RAPPORT_LOG"
    subjects = "rapport.log.v1.>"
    pace_s = 0.0

    def __init__(self, count: int = 0, log_id: str = "log", past: str = "") -> None:
        self.log_id = log_id
        self.count = count
        self.expired = 0
        """Number of the last message that is too old to be kept."""
        self._past = past

    @property
    def known(self) -> int:
        return self.count

    async def last(self) -> int:
        return self.count

    async def after(self, number: int, limit: int) -> Sequence[Message]:
        return [self.message(each) for each in range(number + 1, min(self.count, number + limit) + 1)]

    async def before(self, time: int) -> int:  # noqa: ARG002  # The test says what is too old.
        return self.expired

    async def wait_beyond(self, number: int, timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        while self.count <= number and time.monotonic() < until:  # noqa: ASYNC110  # A list tells nobody that it grew.
            await asyncio.sleep(0.005)

    def place(self, headers: Mapping[str, str]) -> Place:
        log_id, _, number = headers["Nats-Msg-Id"].rpartition("/")
        return Place(log_id, int(number), headers["Nats-Msg-Id"], headers["Rapport-Leaf-Hash"])

    def message(self, number: int) -> Message:
        mark = sha256(f"{self.log_id}/{number}/{self._past}".encode()).hexdigest()
        headers = {"Rapport-Leaf-Hash": mark, "Rapport-Position": str(number)}
        subject = f"rapport.log.v1.acme.{number % 7}.interaction.recorded.v1"
        return Message(number, f"{self.log_id}/{number}", subject, headers, mark.encode())


@asynccontextmanager
async def connected(*urls: str) -> AsyncIterator[Client]:
    """Yield a connection that comes back by itself."""

    async def quiet(_: Exception) -> None:
        pass

    client = await nats.connect(list(urls), max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=quiet)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def relaying(source: Source, *urls: str, kept: Kept = KEPT, window: int = 100) -> AsyncIterator[Relay]:
    """Run a relay until the block is left."""
    async with connected(*urls) as client:
        relay = Relay(
            source,
            client,
            kept,
            Status(),
            clock=lambda: time.time_ns() // 1000,
            window=window,
            check_interval_s=CHECK_S,
            tell=lambda *_: None,
        )
        task = asyncio.create_task(relay.run())
        try:
            yield relay
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled(), task.exception()


async def until(condition: Callable[[], Any], timeout_s: float = 15.0) -> None:
    """Wait until `condition()` is true, or fail."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.005)


def follows(relay: Relay, number: int) -> Callable[[], bool]:
    """Return whether a relay came to a number, and waits for more."""
    return lambda: relay.status.state is State.FOLLOWING and relay.status.stored == number


async def stored(client: Client, stream: str = "RAPPORT_LOG") -> list[tuple[int, bytes]]:
    """Return (position, body) of every message of a stream, in its order."""
    js = JetStreamContext(client)
    state = (await js.stream_info(stream)).state
    found = []
    for sequence in range(max(state.first_seq, 1), state.last_seq + 1):
        try:
            message = await js.get_msg(stream, sequence)
        except NotFoundError:
            continue
        headers = message.headers or {}
        found.append((int(headers.get("Rapport-Number") or headers["Rapport-Position"]), message.data or b""))
    return found


def expected(source: ListSource, first: int = 1) -> list[tuple[int, bytes]]:
    """Return what the stream of a source must hold."""
    return [(number, source.message(number).body) for number in range(first, source.count + 1)]


class ListRelayed:
    """The messages of a `ListSource`, for consumers; the service knows as many as the test says."""

    stream = ListSource.stream
    subjects = ListSource.subjects

    def __init__(self, source: ListSource, known: int | None = None) -> None:
        self.known = known
        self.asked = 0
        self._source = source

    def read(self, headers: Mapping[str, str], body: bytes) -> Numbered[str]:
        number = int(headers["Rapport-Position"])
        return Numbered(number, number - 1, body.decode())

    async def after(self, number: int, limit: int) -> Sequence[Numbered[str]]:
        self.asked += 1
        messages = await self._source.after(number, limit)
        end = self._source.count if self.known is None else self.known
        return [Numbered(each.number, 0, each.body.decode()) for each in messages if each.number <= end]


def make_effect(connection: sqlite3.Connection, content: str) -> None:
    """Write down that a message had its effect."""
    connection.execute("CREATE TABLE IF NOT EXISTS effects (place INTEGER PRIMARY KEY, content TEXT)")
    connection.execute("INSERT INTO effects (content) VALUES (?)", (content,))


def effects_in(path: Path) -> list[str]:
    """Return the effects in the order in which they happened."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            return [content for (content,) in connection.execute("SELECT content FROM effects ORDER BY place")]
        except sqlite3.OperationalError:
            return []


def effects_of(source: ListSource) -> list[str]:
    """Return the effects that there must be: one for each message, in order."""
    return [source.message(number).body.decode() for number in range(1, source.count + 1)]
