"""Frames of a stream from the server: with a limit on how long nothing may come, and opened again where it breaks."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from grpc import aio

from services.client.calls import ended_early, silent
from services.client.errors import RapportError, from_call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from google.protobuf.duration_pb2 import Duration

    from services.client.calls import Calls

Frame = TypeVar("Frame")

EXPLANATION_IDLE_S: Final = 60.0
"""Seconds without any message after which an explanation is taken for broken; the first comes once all is checked."""


async def read_frames(call: aio.UnaryStreamCall[Any, Frame], idle_timeout_s: float) -> AsyncGenerator[Frame, None]:
    """Yield the frames of a call until it ends well; the call is cancelled when the generator is left.

    Only the wait for a frame is limited, not the caller's work on it: a slow reader is the server's to judge.

    Raises:
        RapportError: The call failed, or nothing came for `idle_timeout_s`.
    """
    try:
        while True:
            try:
                async with asyncio.timeout(idle_timeout_s):
                    frame = await call.read()
            except TimeoutError as late:
                raise silent("stream", idle_timeout_s) from late
            except aio.AioRpcError as failure:
                raise from_call(failure) from failure
            if frame is aio.EOF:
                return
            yield cast("Frame", frame)
    finally:
        call.cancel()


async def explained(
    calls: Calls, parts: Callable[[], AsyncGenerator[Frame, None]], is_whole: Callable[[], bool]
) -> AsyncGenerator[Frame, None]:
    """Yield the parts of an explanation until it is whole; `parts` opens the stream again and yields those still new.

    Raises:
        RapportError: The stream broke time and again, or what came does not add up.
    """
    attempts = calls.attempts()
    while not is_whole():
        try:
            async with aclosing(parts()) as frames:
                async for part in frames:
                    attempts.succeeded()
                    yield part
            if not is_whole():
                raise ended_early("explanation")
        except RapportError as error:
            await calls.wait_or_raise(error, attempts)


class Endless(ABC, Generic[Frame]):
    """A stream without end: begun again whenever it breaks or the server closes it; a server away is waited for."""

    caught_up: bool
    """True while what is new comes; False while what was before is read, and after a break."""

    def __init__(self, calls: Calls, what: str, idle_timeout_s: float) -> None:
        """`what`: how errors name it."""
        self._calls = calls
        self._what = what
        self._idle_timeout_s = idle_timeout_s

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """Yield every frame, signs of life included, for programs that act on silence as well.

        Raises:
            RapportError: As when iterating over what they bring.
        """
        attempts = self._calls.attempts()
        while True:
            away: Duration | None = None
            try:
                async with aclosing(read_frames(self._open(), self._idle_timeout_s)) as frames:
                    async for frame in frames:
                        attempts.succeeded()
                        away = self._before(frame)
                        yield frame
                        self._note(frame)
                if away is None:
                    raise ended_early(self._what)
                pause_s = away.seconds + away.nanos / 1e9
            except RapportError as error:
                if not error.retryable:
                    raise
                # For ever: nobody can call back a stream that was given up, so the count only spaces attempts.
                pause_s = attempts.endless_delay_s(error)
                self._calls.tell(error, pause_s)
            self.caught_up = False
            await asyncio.sleep(pause_s)

    @abstractmethod
    def _open(self) -> aio.UnaryStreamCall[Any, Frame]:
        """Open the stream after what came before."""

    @abstractmethod
    def _before(self, frame: Frame) -> Duration | None:
        """See a frame before it is handed out; return for how long to stay away, where it closes the stream."""

    @abstractmethod
    def _note(self, frame: Frame) -> None:
        """Move on past a frame that was handed out."""
