"""Calls of AuditService for tests: a server in the test's loop with a writer beside it, and what frames hold."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from ledger.log.store import EventRow
from rapport.audit.v1 import audit_service_pb2 as messages
from rapport.audit.v1 import recorded_event_pb2 as recorded
from rapport.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from rapport.events.v1.metadata_pb2 import EventMetadata
from services.audit import servicer
from tests.refusals import metadata_of, reason_of, status_of
from tests.refusals import refusal as status_of_refusal
from tests.server import Serving, serving
from tests.stored_log import Writer

Frame = messages.ReadEventsResponse | messages.SubscribeResponse
Subscribing = grpc.aio.UnaryStreamCall[Any, messages.SubscribeResponse]


class Audited(NamedTuple):
    """An audit service with a log that the test writes."""

    serving: Serving
    writer: Writer
    audit: AuditServiceStub

    def rows(self) -> list[EventRow]:
        """Return the whole log."""
        return self.serving.app.ledger.store.read_log(0, 1_000_000)


class Refusal(NamedTuple):
    """How a call was refused."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]


@asynccontextmanager
async def auditing(folder: Path, **settings: Any) -> AsyncIterator[Audited]:
    """Serve AuditService alone, on a log in `folder`."""
    async with serving(folder, [servicer], **{"shutdown_grace_s": 2.0, **settings}) as running:
        yield Audited(running, Writer(running.app.ledger.store), AuditServiceStub(running.channel))


async def refusal(work: Awaitable[Any]) -> Refusal:
    """Return how a call is refused; fail when it is not."""
    status = await status_of_refusal(work)
    return Refusal(_CODES[status.code], reason_of(status), metadata_of(status))


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    """Return how a stream was refused that ended in `error`."""
    status = status_of(error)
    return Refusal(_CODES[status.code], reason_of(status), metadata_of(status))


async def replay(
    server: Audited, request: messages.ReadEventsRequest | None = None
) -> list[messages.ReadEventsResponse]:
    """Return all frames of a replay."""
    return [frame async for frame in server.audit.ReadEvents(request or messages.ReadEventsRequest())]


async def subscribed(
    call: Subscribing, enough: Callable[[messages.SubscribeResponse], bool], timeout_s: float = 10
) -> list[messages.SubscribeResponse]:
    """Return the frames of a subscription up to the first that is enough, or to its end."""
    found: list[messages.SubscribeResponse] = []
    async with asyncio.timeout(timeout_s):
        async for frame in call:
            found.append(frame)
            if enough(frame):
                break
    return found


async def caught_up(call: Subscribing) -> list[messages.SubscribeResponse]:
    """Return the frames of a subscription until it has caught up."""
    return await subscribed(call, lambda frame: frame.HasField("caught_up"))


async def next_batch(call: Subscribing) -> list[messages.SubscribeResponse]:
    """Return the frames of a subscription up to the next with events."""
    return await subscribed(call, lambda frame: frame.HasField("batch"))


def events(frames: Iterable[Frame]) -> list[recorded.RecordedEvent]:
    """Return the events in frames."""
    return [event for frame in frames for event in frame.batch.events]


def positions(frames: Iterable[Frame]) -> list[int]:
    """Return the positions of the events in frames."""
    return [event.position for event in events(frames)]


def kinds(frames: Iterable[Frame]) -> list[str | None]:
    """Return what each frame is."""
    return [frame.WhichOneof("frame") for frame in frames]


def customers(count: int, organization_id: str = "acme") -> list[str]:
    """Return streams of as many customers."""
    return [f"{organization_id}/c-{number}" for number in range(count)]


def stored_metadata(row: EventRow) -> EventMetadata:
    """Return the metadata of a row, read without the code under test."""
    return EventMetadata.FromString(row.state[4 : 4 + int.from_bytes(row.state[:4], "big")])


_CODES = {code.value[0]: code for code in grpc.StatusCode}
