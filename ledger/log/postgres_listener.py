"""Hearing that other processes have appended: NOTIFY, and a look of our own in case it is not heard."""

import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg

from ledger.domain.errors import LedgerError
from ledger.log.postgres_datastore import Session
from ledger.log.postgres_schema import CHANNEL
from ledger.log.waking import POLL_S, Wake

_PATIENCE_S = 0.25
"""Longest time, in seconds, until the thread notices that it should stop."""


class PostgresListener:
    """A thread with one session that listens, and connects anew when it is lost."""

    def __init__(self, connect: Callable[[], Session], head: Callable[[], int], tell: Wake) -> None:
        """Start at once. connect: a new session; head: the position of the log's head; tell: whom to wake."""
        self._connect = connect
        self._head = head
        self._tell = tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postgres-listen", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it unless it is the one that calls."""
        self._stopping.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with suppress(LedgerError, psycopg.Error):
                session = self._connect()
                try:
                    self._listen(session)
                finally:
                    session.close()
            self._look()  # Whatever was said while nobody listened.
            self._stopping.wait(_PATIENCE_S)

    def _listen(self, session: Session) -> None:
        session.execute(f"LISTEN {CHANNEL}")
        self._look()
        silent_s = 0.0
        while not self._stopping.is_set():
            heard = 0
            for notify in session.notifies(timeout=_PATIENCE_S, stop_after=1):
                heard = int(notify.payload)
                self._tell(heard)
            silent_s = 0.0 if heard else silent_s + _PATIENCE_S
            if silent_s >= POLL_S:
                silent_s = 0.0
                self._look()

    def _look(self) -> None:
        with suppress(LedgerError):
            self._tell(self._head())
