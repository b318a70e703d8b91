"""When a failed call is sent again, and how long to wait before.

Every repetition carries the same request_id, so that the server records once however often it is asked.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.client.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.client.errors import RapportError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a client tries."""

    attempts: int = 4
    """Most attempts of one call, the first included. At least 1."""
    first_delay_s: float = 0.1
    """Seconds before the second attempt; doubled before each further one, with up to half of it taken off by chance."""
    longest_delay_s: float = 5.0
    """Longest wait in seconds. A server that asks for more is not waited for: the error is raised, with its wish."""
    patience_s: float = 0.0
    """Seconds, from the first failure on, during which a server that is away is tried again whatever `attempts` says.
    For programs that outlive a restart of the server. 0: `attempts` alone counts."""


class Throttle:
    """Stops repetitions when most calls fail, so that clients do not keep a struggling server down (gRFC A6).

    A failure costs one token, a success earns a tenth; repetitions need more than half of the tokens.
    """

    def __init__(self, tokens: float = 20.0) -> None:
        self._most = tokens
        self._tokens = tokens

    def failed(self) -> None:
        """Count a failure that could be repeated."""
        self._tokens = max(0.0, self._tokens - 1)

    def succeeded(self) -> None:
        """Count a success."""
        self._tokens = min(self._most, self._tokens + 0.1)

    @property
    def allows(self) -> bool:
        """True while repetitions are allowed."""
        return self._tokens > self._most / 2


class Attempts:
    """The attempts of one call, or of one stream since it last got on."""

    def __init__(self, policy: RetryPolicy, throttle: Throttle, now: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._throttle = throttle
        self._now = now
        self._failed = 0
        self._first_failure: float | None = None

    def succeeded(self) -> None:
        """Begin to count anew."""
        self._throttle.succeeded()
        self._failed = 0
        self._first_failure = None

    def delay_s(self, error: RapportError) -> float | None:
        """Return the seconds to wait before the next attempt. None: do not try again, raise the error."""
        if not error.retryable:
            return None
        self._throttle.failed()
        self._failed += 1
        if self._first_failure is None:
            self._first_failure = self._now()
        if not self._patient_with(error) and (self._failed >= self._policy.attempts or not self._throttle.allows):
            return None
        if error.retry_after_s is not None and error.retry_after_s > self._policy.longest_delay_s:
            return None
        return max(self._backoff_s(), error.retry_after_s or 0.0)

    def endless_delay_s(self, error: RapportError) -> float:
        """Return the seconds to wait before the next attempt of something that is never given up."""
        self._failed += 1
        return max(self._backoff_s(), error.retry_after_s or 0.0)

    def _patient_with(self, error: RapportError) -> bool:
        waited_s = self._now() - (self._first_failure or 0.0)
        return isinstance(error, Unavailable) and waited_s < self._policy.patience_s

    def _backoff_s(self) -> float:
        doublings = min(self._failed - 1, _MOST_DOUBLINGS)
        longest = min(self._policy.longest_delay_s, self._policy.first_delay_s * (1 << doublings))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  # Spreads clients out; nobody gains by guessing it.


_MOST_DOUBLINGS: Final = 20  # Beyond it every policy has reached its longest delay; floats stay small.
