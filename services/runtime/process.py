"""What a process does to itself before it serves."""

import gc
import os
import resource
import sys
from typing import Final

GC_SERVING: Final = (10_000, 20, 500)
"""Allocations between collections of the three generations, where calls are answered: 5 ms the youngest takes.

Calls of gRPC are cycles, so the oldest is looked at now and then.
"""
GC_FINDING: Final = (2_000, 5, 10_000)
"""The same where changes are found: nearly all that is allocated is kept, and nothing of it is a cycle.

A collection goes through what was allocated since, for 10 ms at most; the oldest is all that is kept in memory, and
would stop everything for half a second.
"""

TURN_S: Final = 0.0005
"""Seconds that a thread keeps the interpreter while another one wants it."""


def spare_the_collector(thresholds: tuple[int, int, int] = GC_SERVING) -> None:
    """Let the garbage collector look at what is new, rarely, and never again at what was there before serving.

    States kept in memory are hundreds of thousands of long-lived objects without cycles; looking at them over and over
    cost a fifth of a rebuild and a tenth of a replay.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)


def take_short_turns() -> None:
    """Let threads that compute take shorter turns.

    One that asks a database lets go of the interpreter at each statement, and would wait for a whole turn of another
    each time: ten statements of a batch were 50 ms beside a thread that only computes.
    """
    sys.setswitchinterval(TURN_S)


def harden() -> list[str]:
    """Let no core dump hold keys, and no file be readable by others; return what an operator should know."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    return ["the process runs as root; give it a user of its own"] if os.geteuid() == 0 else []
