"""One writer at a time over a file, among threads and processes.

SQLite has a lock of its own; this one stands before it for two reasons. SQLite before 3.51.3 can damage a file when
one connection resets the write-ahead log while another writes or checkpoints (A11), so both happen under this lock
only. And SQLite's lock is unfair: a busy process can starve another one.

Fairness comes from two files. Whoever wants the lock first takes the *turn*, waits for the lock while holding the
turn, and then gives the turn away. A process that has just let go of the lock cannot take it again past one that
holds the turn.
"""

import fcntl
import os
import threading
import time
from types import TracebackType
from typing import Self

from ledger.domain.errors import StoreClosed, StoreFailed

_SHORTEST_WAIT_S = 0.0002
_LONGEST_WAIT_S = 0.002


class WriterLock:
    """Context manager; not re-entrant. Let go by the operating system when the process ends, however it ends."""

    def __init__(self, path: str, timeout_s: float) -> None:
        """Open (or create) `path`.lock and `path`.turn, two empty files beside the database.

        timeout_s: how long to wait before StoreFailed; a process that was stopped while holding the lock blocks all.
        """
        self._timeout_s = timeout_s
        self._thread = threading.Lock()
        self._closed = False
        self._lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._turn = os.open(path + ".turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> Self:
        deadline = time.monotonic() + self._timeout_s
        if not self._thread.acquire(timeout=self._timeout_s):
            raise StoreFailed(f"another thread held the writer lock for {self._timeout_s} s")
        try:
            if self._closed:
                raise StoreClosed("the store is closed")
            self._acquire(self._turn, deadline)
            try:
                self._acquire(self._lock, deadline)
            finally:
                fcntl.flock(self._turn, fcntl.LOCK_UN)
        except BaseException:
            self._thread.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        self._thread.release()

    def close(self) -> None:
        """Close the two files, which stay where they are: another process may hold them. Later uses: StoreClosed."""
        with self._thread:
            if not self._closed:
                self._closed = True
                os.close(self._turn)
                os.close(self._lock)

    def _acquire(self, file: int, deadline: float) -> None:
        wait_s = _SHORTEST_WAIT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreFailed(f"another process held the writer lock for {self._timeout_s} s") from None
                # flock() has no timeout, and a blocking call could not be ended by close().
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            else:
                return
