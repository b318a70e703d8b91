"""Frames of a stream from the server, with a limit on how long nothing may come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

from grpc import aio

from services.client.calls import silent
from services.client.errors import from_call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Frame = TypeVar("Frame")


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
