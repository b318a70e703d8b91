"""Loading in bulk: frames of items over one stream, each item recorded for itself, answers in order.

A stream that breaks is opened again, and what was not answered is sent again with the same request ids; an item that
met a passing obstacle is sent again alone. So every item is recorded once, or its error is told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, Self, TypeVar

from grpc import aio

from services.client.calls import ended_early, protocol_broken, silent
from services.client.errors import RapportError, from_call, from_status

if TYPE_CHECKING:
    from google.rpc.status_pb2 import Status

    from services.client.calls import Calls
    from services.client.retry import Attempts

_LEAVING_S: Final = 2.0
"""Seconds that the server is given to end a stream that is finished."""
MOST_ITEMS: Final = 1000
"""Most items of one frame, as the protos say."""


class IngestResult(Protocol):
    """What the answers of all three services have in common."""

    replayed: bool

    @property
    def error(self) -> Status:
        """Why the item was not recorded."""

    def HasField(self, field_name: Any, /) -> bool:  # noqa: N802  # protobuf's name.
        """Tell whether a message field is set."""


Item = TypeVar("Item")
Result = TypeVar("Result", bound=IngestResult)


class Outcome(NamedTuple, Generic[Result]):
    """What became of one item."""

    result: Result
    """The service's answer, its `error` included."""
    error: RapportError | None
    """Why the item is not recorded. None: it is."""


@dataclass(slots=True, eq=False)
class _Frame(Generic[Item, Result]):
    """Items on their way, and where their outcomes belong."""

    items: Sequence[Item]
    places: Sequence[int]
    outcomes: list[Outcome[Result] | None]
    done: asyncio.Future[None]
    attempts: Attempts
    sent_time: float = field(default=0.0)


class IngestStream(Generic[Item, Result]):
    """One stream of frames. `send` may be called many times at once: frames leave and are answered in that order.

    At most `window` frames are unanswered at a time, so a slow server slows its callers down instead of filling memory.
    Use it with `async with`; leaving it drops what was not answered.
    """

    def __init__(
        self,
        calls: Calls,
        method: aio.StreamStreamMultiCallable[Any, Any],
        frame: Callable[[Sequence[Item]], object],
        window: int,
        timeout_s: float | None,
    ) -> None:
        self._calls = calls
        self._method = method
        self._frame = frame
        self._window = window
        self._timeout_s = timeout_s or calls.timeout_s
        self._waiting: deque[_Frame[Item, Result]] = deque()
        self._sent: deque[_Frame[Item, Result]] = deque()
        self._changed = asyncio.Event()
        self._leaving = False
        self._runner: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._runner = asyncio.create_task(self._run())
        self._runner.add_done_callback(self._stopped)
        return self

    async def __aexit__(self, error_type: object, *_: object) -> None:
        assert self._runner is not None
        self._leaving = True
        self._changed.set()
        if error_type is None and not self._sent and not self._waiting:
            # Everything is answered: let the server see a stream that was finished, not one that was broken off.
            await asyncio.wait({self._runner}, timeout=_LEAVING_S)
        await cancelled(self._runner)

    async def send(self, items: Sequence[Item]) -> list[Outcome[Result]]:
        """Send 1 to 1,000 items as one frame; return their outcomes, in order.

        An item's own error is in its outcome.

        Raises:
            RapportError: The stream could not be kept open; every item may or may not be recorded. Sending them again
                with the same request ids settles it.
        """
        if self._runner is None or self._runner.done():
            raise RuntimeError("a stream is used inside its `async with` block")
        if not 1 <= len(items) <= MOST_ITEMS:
            raise ValueError(f"a frame holds 1 to {MOST_ITEMS} items, not {len(items)}")
        outcomes: list[Outcome[Result] | None] = [None] * len(items)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enqueue(_Frame(items, range(len(items)), outcomes, done, self._calls.attempts()))
        await done
        return [outcome for outcome in outcomes if outcome is not None]

    async def load(
        self, items: Iterable[Item] | AsyncIterable[Item], *, frame_size: int = 250
    ) -> AsyncIterator[tuple[Item, Outcome[Result]]]:
        """Yield every item with its outcome, in order; items are taken as the server answers.

        Raises:
            RapportError: As `send`. Items not yielded so far may or may not be recorded.
        """
        frames: deque[tuple[list[Item], asyncio.Task[list[Outcome[Result]]]]] = deque()
        try:
            async for frame in _frames(items, frame_size):
                frames.append((frame, asyncio.create_task(self.send(frame))))
                while len(frames) > self._window:
                    for pair in await _answered(frames):
                        yield pair
            while frames:
                for pair in await _answered(frames):
                    yield pair
        finally:
            for _, task in frames:
                await cancelled(task)

    def _enqueue(self, frame: _Frame[Item, Result]) -> None:
        self._waiting.append(frame)
        self._changed.set()

    async def _run(self) -> None:
        """Keep a stream open while there is something to send; frames carry the errors."""
        attempts = self._calls.attempts()
        while True:
            await self._until(lambda: bool(self._waiting) or self._leaving)
            if self._leaving:
                return
            try:
                await self._exchange(attempts)
                return
            except RapportError as error:
                # What was not answered goes first, in its old order, under its old request ids.
                self._waiting.extendleft(reversed(self._sent))
                self._sent.clear()
                try:
                    await self._calls.wait_or_raise(error, attempts)
                except RapportError as last:
                    self._fail(last)
                    attempts = self._calls.attempts()

    async def _exchange(self, attempts: Attempts) -> None:
        """Open a stream and work on it until it breaks, or is finished because the block was left.

        Raises:
            RapportError: Why it broke.
        """
        call = self._method()
        writer = asyncio.create_task(self._write(call))
        try:
            while True:
                response = await self._read(call)
                if response is None:
                    return
                attempts.succeeded()
                self._settle(self._sent.popleft(), response)
                self._changed.set()
        finally:
            await cancelled(writer)
            call.cancel()

    async def _write(self, call: aio.StreamStreamCall[Any, Any]) -> None:
        """Send waiting frames while the window allows; ends when the call does, whose error the reader tells."""
        while True:
            await self._until(lambda: self._leaving or (bool(self._waiting) and len(self._sent) < self._window))
            if self._leaving:
                await call.done_writing()
                return
            frame = self._waiting.popleft()
            frame.sent_time = asyncio.get_running_loop().time()
            self._sent.append(frame)
            try:
                await call.write(self._frame(frame.items))
            except (aio.AioRpcError, asyncio.InvalidStateError):
                return

    async def _read(self, call: aio.StreamStreamCall[Any, Any]) -> Any:
        """Return the next answer; None when the stream ended because we finished it.

        Raises:
            RapportError: The stream broke, ended too early, or the oldest frame was not answered in time.
        """
        # Not wait_for: cancelling a read ends the call, also one that is merely idle.
        reading = asyncio.ensure_future(call.read())
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=self._timeout_s)
                oldest = self._sent[0].sent_time if self._sent else None
                if not reading.done() and oldest is not None and _now() - oldest >= self._timeout_s:
                    raise silent("stream", self._timeout_s)
            response: Any = reading.result()
        except aio.AioRpcError as failure:
            raise from_call(failure) from failure
        finally:
            await cancelled(reading)
        if response is aio.EOF:
            if self._leaving and not self._sent:
                return None
            raise ended_early("stream")
        if not self._sent or len(response.results) != len(self._sent[0].items):
            raise protocol_broken("the server answered with another number of results than items were sent")
        return response

    def _settle(self, frame: _Frame[Item, Result], response: Any) -> None:
        """Keep the outcomes; send again, in a while, the items that met a passing obstacle."""
        errors = [from_status(result.error) if result.HasField("error") else None for result in response.results]
        passing = next((error for error in errors if error is not None and error.retryable), None)
        delay_s = None if passing is None else frame.attempts.delay_s(passing)
        again: list[int] = []
        for index, (result, error) in enumerate(zip(response.results, errors, strict=True)):
            if delay_s is not None and error is not None and error.retryable:
                again.append(index)
            else:
                frame.outcomes[frame.places[index]] = Outcome(result, error)
        if delay_s is not None:
            left = _Frame(
                [frame.items[index] for index in again],
                [frame.places[index] for index in again],
                frame.outcomes,
                frame.done,
                frame.attempts,
            )
            asyncio.get_running_loop().call_later(delay_s, self._enqueue, left)
        elif not frame.done.done():
            frame.done.set_result(None)

    def _fail(self, error: BaseException) -> None:
        """Give every frame up."""
        frames = [*self._sent, *self._waiting]
        self._sent.clear()
        self._waiting.clear()
        for frame in frames:
            if not frame.done.done():
                frame.done.set_exception(error)

    def _stopped(self, runner: asyncio.Task[None]) -> None:
        """Let nobody wait for a runner that has ended: neither after `async with`, nor after a defect of ours."""
        error = None if runner.cancelled() else runner.exception()
        self._fail(error or protocol_broken("the stream was left before this was answered"))

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def cancelled(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait until it has ended, however it ends. Our own cancellation still gets through."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # Asked for, so that nobody is told that it was never looked at.


async def _answered(
    frames: deque[tuple[list[Item], asyncio.Task[list[Outcome[Result]]]]],
) -> Iterable[tuple[Item, Outcome[Result]]]:
    """Return the pairs of the oldest frame."""
    items, task = frames[0]
    outcomes = await task
    frames.popleft()
    return zip(items, outcomes, strict=True)


async def _frames(items: Iterable[Item] | AsyncIterable[Item], size: int) -> AsyncIterator[list[Item]]:
    frame: list[Item] = []
    async for item in _each(items):
        frame.append(item)
        if len(frame) == size:
            yield frame
            frame = []
    if frame:
        yield frame


async def _each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
