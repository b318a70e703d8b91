"""Calling: one channel for each address, a deadline on every attempt, repetitions with the same request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import grpc
from grpc import aio

from services.client.errors import ServerFault, Unavailable, from_call
from services.client.request_ids import new_request_id
from services.client.retry import Attempts, RetryPolicy, Throttle
from services.client.targets import parse_targets, target_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from services.client.errors import RapportError

Request = TypeVar("Request")
Response = TypeVar("Response")
Stub = TypeVar("Stub")


class _Page(Protocol):
    next_page_token: str
    """Empty: it is the last."""


Page = TypeVar("Page", bound=_Page)

_CHANNEL_OPTIONS: Final = (
    # Ours know the reasons and keep the request_id; gRPC's own know neither.
    ("grpc.enable_retries", 0),
    # A server that was restarted is found again within a second, not within two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A connection whose other end is gone without a word is noticed while a call waits on it.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Two clients of one process do not share a connection, and so neither its limits nor its fate.
    ("grpc.use_local_subchannel_pool", 1),
)


class Calls:
    """The connections of a client, and how its calls are made."""

    def __init__(
        self,
        target: str,
        timeout_s: float,
        retry: RetryPolicy,
        credentials: grpc.ChannelCredentials | None,
        on_retry: Callable[[RapportError, float], None] | None,
    ) -> None:
        self.timeout_s = timeout_s
        self._targets = parse_targets(target)
        self._retry = retry
        self._credentials = credentials
        self._on_retry = on_retry
        self._throttle = Throttle()
        self._channels: dict[str, aio.Channel] = {}
        self._stubs: dict[Callable[[aio.Channel], Any], Any] = {}

    async def close(self) -> None:
        """Close the connections; calls still running are cancelled. May be called twice."""
        channels, self._channels, self._stubs = self._channels, {}, {}
        for channel in channels.values():
            await channel.close()

    def stub(self, make: Callable[[aio.Channel], Stub]) -> Stub:
        """Return the stub of a service on the channel of its address; both are made once, inside the running loop."""
        if make not in self._stubs:
            service = make.__module__.split(".")[1]  # rapport.<service>.v1....
            self._stubs[make] = make(self._channel(target_of(self._targets, service)))
        stub: Stub = self._stubs[make]
        return stub

    def _channel(self, address: str) -> aio.Channel:
        if address not in self._channels:
            if self._credentials is None:
                channel = aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
            else:
                channel = aio.secure_channel(address, self._credentials, options=_CHANNEL_OPTIONS)
            self._channels[address] = channel
        return self._channels[address]

    def attempts(self) -> Attempts:
        """Return the count of attempts for a new call."""
        return Attempts(self._retry, self._throttle)

    async def call(
        self,
        method: aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout_s: float | None = None,
    ) -> Response:
        """Return the answer to a request, sent again as the policy says.

        Raises:
            RapportError: The last attempt's error.
        """
        attempts = self.attempts()
        while True:
            try:
                response = await method(request, timeout=timeout_s or self.timeout_s)
            except aio.AioRpcError as failure:
                error = from_call(failure)
                await self.wait_or_raise(error, attempts)
            else:
                attempts.succeeded()
                return response

    async def pages(
        self, method: aio.UnaryUnaryMultiCallable[Any, Page], request: Any, timeout_s: float | None = None
    ) -> AsyncGenerator[Page, None]:
        """Yield the pages that answer a request, fetching the next once it is wanted; raises as `call`."""
        while True:
            page = await self.call(method, request, timeout_s)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def wait_or_raise(self, error: RapportError, attempts: Attempts) -> None:
        """Wait until the next attempt may be made, or raise the error where there is none."""
        delay_s = attempts.delay_s(error)
        if delay_s is None:
            raise error
        self.tell(error, delay_s)
        await asyncio.sleep(delay_s)

    def tell(self, error: RapportError, delay_s: float) -> None:
        """Tell whoever wants to know that a call failed and is made again after a while."""
        if self._on_retry is not None:
            self._on_retry(error, delay_s)


class Subject:
    """Base of what a client can do about one subject."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls


def request_id_or_new(request_id: str | None) -> str:
    """Return the caller's request id, or a new one where it gave none."""
    return new_request_id() if request_id is None else request_id


def ended_early(what: str) -> RapportError:
    """Return the error of a stream that ended as if all were well, although it was not finished."""
    return Unavailable(f"the {what} ended before it was finished", code=grpc.StatusCode.UNAVAILABLE)


def silent(what: str, seconds: float) -> RapportError:
    """Return the error of a stream on which nothing came for too long."""
    return Unavailable(f"nothing came on the {what} for {seconds:g} seconds", code=grpc.StatusCode.UNAVAILABLE)


def protocol_broken(what: str) -> RapportError:
    """Return the error of an answer that the protos do not allow."""
    return ServerFault(what, code=grpc.StatusCode.INTERNAL)
