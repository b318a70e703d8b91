"""Turns for streams: however many are busy, only a few make a frame in one turn of the event loop.

A replay reads its pages on the event loop, because a hop to a thread and back costs more than the reading. Sixty of
them would otherwise do sixty pages of work in every turn, and a call takes several turns to be even accepted: it would
wait for seconds. How many go on in one turn follows from how long the last turn took; so many small frames, as of live
subscriptions, pass together. A stream that is alone waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Final

TURN_S: Final = 0.005
"""Seconds that a turn of the event loop should take at most."""

STREAMS_PER_TURN_MAX: Final = 64


class Turns:
    """Lets streams go on, a few in each turn of the event loop, in the order in which they asked."""

    def __init__(self) -> None:
        self._room = 1
        self._left = 1
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._armed = False
        self._began = 0.0

    async def take(self) -> None:
        """Return at once while this turn has room, else in a later one."""
        if not self._armed:
            self._armed = True
            self._began = perf_counter()
            asyncio.get_running_loop().call_soon(self._turn)
        if self._left and not self._waiting:
            self._left -= 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _turn(self) -> None:
        """Begin a turn: let the next ones go on, twice as many as in the last one if that was short, else one."""
        now = perf_counter()
        self._room = min(self._room * 2, STREAMS_PER_TURN_MAX) if now - self._began < TURN_S else 1
        self._began = now
        self._left = self._room
        while self._left and self._waiting:
            future = self._waiting.popleft()
            if not future.done():  # It was cancelled: its caller went away.
                future.set_result(None)
                self._left -= 1
        self._armed = bool(self._waiting)
        if self._armed:
            asyncio.get_running_loop().call_soon(self._turn)
