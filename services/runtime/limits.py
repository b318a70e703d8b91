"""How much a process takes on at once: unary calls, streams in all and by caller. Counted before any work (I32).

Lives on the event loop, so nothing is locked.
"""

from __future__ import annotations

from collections import Counter

from ledger.domain.errors import LedgerError
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.errors.v1.error_reason_pb2 import ErrorReason


class LimitReached(LedgerError):
    """The process, or this caller, has as much open as allowed; nothing was done."""

    def __init__(self, reason: ErrorReason.ValueType, message: str, limit: int) -> None:
        super().__init__(message)
        self.reason = reason
        self._metadata = {"limit": str(limit)}

    @property
    def metadata(self) -> dict[str, str]:
        """The limit."""
        return self._metadata


class Stopping(LedgerError):
    """The service is stopping; nothing was done."""

    reason = reasons.ERROR_REASON_SHUTTING_DOWN


class Limits:
    """What is in flight now, and what may be."""

    __slots__ = ("_by_caller", "calls", "calls_max", "stopping", "streams", "streams_max", "streams_per_caller_max")

    def __init__(self, *, calls_max: int, streams_max: int, streams_per_caller_max: int) -> None:
        self.calls_max = calls_max
        self.streams_max = streams_max
        self.streams_per_caller_max = streams_per_caller_max
        self.calls = 0
        """Unary calls in flight."""
        self.streams = 0
        """Streams open."""
        self.stopping = False
        """No new call is taken any more."""
        self._by_caller: Counter[str] = Counter()

    def enter_call(self) -> None:
        """Count one more unary call.

        Raises:
            Stopping, LimitReached: it must not begin, and is not counted.
        """
        if self.stopping:
            raise Stopping("the service is stopping; nothing was recorded")
        if self.calls >= self.calls_max:
            raise LimitReached(
                reasons.ERROR_REASON_TOO_MANY_CALLS, "as many calls are in flight as the service takes", self.calls_max
            )
        self.calls += 1

    def leave_call(self) -> None:
        """Count one unary call less."""
        self.calls -= 1

    def enter_stream(self, caller: str) -> None:
        """Count one more stream of `caller`.

        Raises:
            Stopping, LimitReached: it must not begin, and is not counted.
        """
        if self.stopping:
            raise Stopping("the service is stopping; open the stream elsewhere")
        if self.streams >= self.streams_max:
            raise LimitReached(
                reasons.ERROR_REASON_TOO_MANY_STREAMS, "as many streams are open as the service takes", self.streams_max
            )
        if self._by_caller[caller] >= self.streams_per_caller_max:
            raise LimitReached(
                reasons.ERROR_REASON_TOO_MANY_STREAMS,
                "this caller has as many streams open as one may have",
                self.streams_per_caller_max,
            )
        self.streams += 1
        self._by_caller[caller] += 1

    def leave_stream(self, caller: str) -> None:
        """Count one stream of `caller` less."""
        self.streams -= 1
        self._by_caller[caller] -= 1
        if not self._by_caller[caller]:
            del self._by_caller[caller]  # Else every address that ever called would stay.
