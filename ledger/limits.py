"""What a ledger allows itself and its callers, and the one limit that stops all writing."""

from dataclasses import dataclass

from ledger.domain.decider import DEFAULT_FUTURE_TOLERANCE
from ledger.domain.errors import LedgerError
from ledger.domain.times import MICROSECONDS
from rapport.errors.v1 import error_reason_pb2 as reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a ledger allows itself and its callers."""

    future_tolerance: int = DEFAULT_FUTURE_TOLERANCE
    """Microseconds that an occur_time may lie ahead of the clock and be set back to it."""
    clock_clamp_max: int = 60 * MICROSECONDS
    """Microseconds that the clock may be behind the last record time before writes are refused."""
    cached_events_max: int = 500_000
    """Events folded into the states kept in memory, some 150 bytes each; each state counts as twenty more."""
    min_position_wait_s: float = 5.0
    """Seconds that a read waits for the log to reach its `min_position`."""


class ClockBehindLog(LedgerError):
    """The clock is behind the log by more than it may be: record times would stand still."""

    reason = reasons.ERROR_REASON_CLOCK_BEHIND_LOG

    def __init__(self, behind: int) -> None:
        super().__init__("the server's clock is behind the log; nothing is recorded until it is corrected")
        self._behind = behind

    @property
    def metadata(self) -> dict[str, str]:
        """By how many seconds."""
        return {"behind_s": str(self._behind // MICROSECONDS)}
