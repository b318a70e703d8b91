"""Named places in the write path where a test can let something go wrong.

The code calls `reach("append.before_commit")` where it is about to commit; nothing happens unless a handler was
installed. A service installs one from RAPPORT_TEST_FAULT: "append.before_commit:3:kill" kills the process the third
time it gets there. Several rules are parted by commas.
"""

import errno
import os
import signal
from collections.abc import Callable

FAULT_POINTS = frozenset(
    {
        "append.before_lock",
        "append.after_lock",
        "append.after_insert",
        "append.before_commit",
        "append.after_commit",
        "keys.before_commit",
        "keys.after_commit",
        "group.before_ack",
        "follow.before_deliver",
        "projection.before_commit",
        "projection.after_commit",
        "changes.before_commit",
        "changes.after_commit",
        "relay.before_publish",
        "relay.after_publish",
    }
)

Handler = Callable[[str], None]

_handler: Handler | None = None


class FaultRaised(Exception):
    """What the action `raise` raises: an error that no code expects."""


def reach(name: str) -> None:
    """Tell the handler, if any, that the code is at the place `name`. Costs some 30 ns without one."""
    if _handler is not None:
        _handler(name)


def install(handler: Handler | None) -> None:
    """Let `handler` be called at every fault point of this process, in the thread that gets there; None: nobody."""
    global _handler  # noqa: PLW0603  # The one place that code anywhere in the write path can reach.
    _handler = handler


def parse(spec: str) -> Handler:
    """Return the handler that `spec` describes: `name:nth:action`, several parted by commas.

    `nth` counts from 1. Actions: `kill` (SIGKILL to this process), `eio` and `enospc` (OSError, as a disk would give
    it), `raise` (FaultRaised).

    Raises:
        ValueError: a name or action is unknown, or `nth` is no number from 1.
    """
    rules = [_parse_rule(rule.strip()) for rule in spec.split(",")]

    def handle(name: str) -> None:
        for rule in rules:
            rule(name)

    return handle


def _parse_rule(text: str) -> Handler:
    match text.split(":"):
        case [point, nth, action] if point in FAULT_POINTS and nth.isdecimal() and int(nth) > 0 and action in _ACTIONS:
            return _rule(point, int(nth), _ACTIONS[action])
        case _:
            raise ValueError(f"not a fault: {text!r}; expected NAME:NTH:ACTION with a name of {sorted(FAULT_POINTS)}")


def _rule(point: str, nth: int, act: Callable[[], None]) -> Handler:
    left = nth

    def handle(name: str) -> None:
        nonlocal left
        if name == point:
            left -= 1
            if left == 0:
                act()

    return handle


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _eio() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def _enospc() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _raise() -> None:
    raise FaultRaised("a test asked for this")


_ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "eio": _eio, "enospc": _enospc, "raise": _raise}
