"""Work that takes long, and how far it is: told every while, given up once nobody listens or the service stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

from ledger.domain.errors import StoreClosed

FRAME_S: Final = 0.5
"""Seconds between frames."""


async def looks(
    ended: asyncio.Future[None], abandon: Callable[[], None], stop: asyncio.Event, name: str
) -> AsyncGenerator[bool, None]:
    """Yield False every while as long as work goes on, and True once it has ended; its errors are raised.

    `abandon`: lets the work end soon; called in any case. `name`: how it is named where it is given up.

    Raises:
        StoreClosed: the service is stopping.
    """
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not ended.done():
            await asyncio.wait((ended, stopping), timeout=FRAME_S, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                if stopping.done():
                    raise StoreClosed(f"the service is stopping; the {name} was given up")
                yield False
        await ended
        yield True
    finally:
        stopping.cancel()
        abandon()
        await asyncio.wait((ended,))  # Soon: it looks between two batches.
        ended.cancelled() or ended.exception()  # Raised above, or wanted by nobody.
