"""Who wants to hear that the log has grown."""

import threading
from collections.abc import Callable, Sequence

from eventsourcing.persistence import ApplicationRecorder, Notification, Subscription

Wake = Callable[[int], None]

POLL_S = 1.0
"""Longest time, in seconds, that a follower trusts silence (A6, I18)."""


class Listeners:
    """Callbacks that are given the position of the head. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakes: tuple[Wake, ...] = ()

    def add(self, wake: Wake) -> None:
        """Call `wake` from now on."""
        with self._lock:
            self._wakes = (*self._wakes, wake)

    def remove(self, wake: Wake) -> None:
        """Call `wake` no more; nothing happens if it is not there."""
        with self._lock:
            self._wakes = tuple(each for each in self._wakes if each != wake)

    def tell(self, position: int) -> None:
        """Call every callback with the head's position."""
        for wake in self._wakes:
            wake(position)


class LogSubscription(Subscription[ApplicationRecorder]):
    """The library's subscription: an endless iterator over notifications, on any of our recorders.

    The library's own one for PostgreSQL holds two threads and a pooled connection, and waits for ever for a wake-up
    that it may have missed (A6, A7). This one has no thread, and asks again at least every `POLL_S`.
    """

    PAGE = 500

    def __init__(
        self,
        recorder: ApplicationRecorder,
        listeners: Listeners,
        gt: int | None = None,
        topics: Sequence[str] = (),
    ) -> None:
        super().__init__(recorder, gt, topics)
        self._listeners = listeners
        self._page: list[Notification] = []
        self._grown = threading.Event()
        self._wake: Wake = lambda _: self._grown.set()
        listeners.add(self._wake)

    def stop(self) -> None:
        """End the iteration, also one that waits in another thread."""
        super().stop()
        self._listeners.remove(self._wake)
        self._grown.set()

    def __next__(self) -> Notification:
        while not self._page and not self._has_been_stopped:
            self._grown.clear()
            self._page = self._next_page()
            if not self._page:
                self._grown.wait(POLL_S)
        if self._has_been_stopped:
            raise StopIteration
        notification = self._page.pop()
        self._last_notification_id = notification.id
        return notification

    def _next_page(self) -> list[Notification]:
        """Return the next notifications, the first of them last."""
        page = self._recorder.select_notifications(
            start=self._last_notification_id or 0, limit=self.PAGE, topics=self._topics, inclusive_of_start=False
        )
        return list(reversed(page))
