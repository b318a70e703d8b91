"""Request ids: UUIDs of version 7 (RFC 9562), in ascending order within a process.

Ordered ids are kept together in the index of the store; random ones cost SQLite a third of its insert rate.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Final
from uuid import UUID

_RANDOM_BITS: Final = 74
"""Bits of a UUIDv7 beside the 48 of the time, 4 of the version and 2 of the variant."""
_STEP_BITS: Final = 32


class RequestIds:
    """Makes UUIDv7s, each greater than the one before, whatever the clock does; safe to share among threads.

    Within a millisecond, and while the clock stands behind the last id, the random part is raised by a random step
    (RFC 9562, 6.2, method 2); when it would overflow, the time part moves on by one millisecond.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millisecond = 0
        self._random = 0

    def new(self) -> UUID:
        """Return the next id."""
        with self._lock:
            now = time.time_ns() // 1_000_000
            if now > self._millisecond:
                self._millisecond, self._random = now, _random(_RANDOM_BITS)
            else:
                self._random += 1 + _random(_STEP_BITS)
                if self._random >> _RANDOM_BITS:
                    self._millisecond, self._random = self._millisecond + 1, _random(_RANDOM_BITS)
            return UUID(int=_layout(self._millisecond, self._random))


def _random(bits: int) -> int:
    return int.from_bytes(os.urandom((bits + 7) // 8)) >> -bits % 8


def _layout(millisecond: int, rest: int) -> int:
    """Return 48 bits of time, version 7, 12 bits of `rest`, variant 2, 62 bits of `rest`."""
    return millisecond << 80 | 7 << 76 | (rest >> 62) << 64 | 2 << 62 | rest & (1 << 62) - 1


_ids: Final = RequestIds()


def new_request_id() -> str:
    """Return a new request id as text of 36 characters, greater than every one this process made before."""
    return str(_ids.new())
