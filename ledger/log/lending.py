"""Idle connections, each lent to one thread at a time."""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ledger.domain.errors import StoreClosed

C = TypeVar("C")


class Shelf(Generic[C]):
    """Connections for reading: as many as threads read at once, of which a few are kept.

    Taking one costs well under a microsecond: this stands in the path of every read.
    """

    def __init__(self, connect: Callable[[], C], discard: Callable[[C], None], idle_max: int) -> None:
        self._connect = connect
        self._discard = discard
        self._idle: deque[C] = deque()
        self._idle_max = idle_max
        self._closed = False

    def take(self) -> C:
        """Return a connection that nobody else holds; it must be given back or discarded.

        Raises:
            StoreClosed: the shelf was closed.
        """
        if self._closed:
            raise StoreClosed("the store is closed")
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def give(self, connection: C) -> None:
        """Take a connection back."""
        if len(self._idle) < self._idle_max:
            self._idle.append(connection)
            if self._closed:  # Closed by another thread meanwhile, which may have looked before this one was here.
                self.empty()
        else:
            self._discard(connection)

    def close(self) -> None:
        """Discard the idle connections now, and the lent ones when they come back."""
        self._closed = True
        self.empty()

    def empty(self) -> None:
        """Discard the idle connections."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            self._discard(connection)
