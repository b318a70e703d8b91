"""When the log's time is to be moved on by a mark, because something is due and nobody writes (ADR 0023).

A mark may come late; what it must not do is to come early or too often. So it waits until as much time has passed by a
clock that nobody sets as lies between the log's time and what is due, but for the first one after a start. A clock that
runs ahead of the database's own is not believed.
"""

from typing import Final

from ledger.domain.times import MICROSECONDS

AHEAD_MAX: Final = 5 * MICROSECONDS
"""How far the clock of a process may be ahead of that of the database. Microseconds."""


class Marks:
    """Says when a mark is wanted. Instants are microseconds, seconds are those of a clock that only runs on."""

    def __init__(self, interval_s: float) -> None:
        """`interval_s`: at most one mark in so many seconds."""
        self._interval_s = interval_s
        self._tried_s: float | None = None
        self._log_time = 0
        self._seen_s = 0.0

    def see(self, log_time: int, running_s: float) -> None:
        """Take note of the log's time."""
        if log_time != self._log_time:
            self._log_time, self._seen_s = log_time, running_s

    def wanted(self, due: int | None, now: int, running_s: float) -> bool:
        """Tell whether to mark the time now, for something that is due by the process's own clock, `now`."""
        if due is None or now <= due or due < self._log_time:
            return False
        if self._tried_s is None:
            return True
        if running_s - self._tried_s < self._interval_s:
            return False
        return (running_s - self._seen_s) * MICROSECONDS >= due - self._log_time

    def tried(self, running_s: float) -> None:
        """Take note that a mark was made, or was not believed."""
        self._tried_s = running_s


def believed(now: int, of_database: int | None) -> bool:
    """Tell whether a process's clock may mark the time. None: the database has no clock of its own."""
    return of_database is None or now - of_database <= AHEAD_MAX
