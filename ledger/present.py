"""States as they are now: those kept in memory, brought up to the end of the log where somebody else has moved it.

Whoever keeps a fold of its own needs no state of the ledger's: `tails.py`.
"""

from collections.abc import Callable, Iterable, Sequence

from ledger.domain.errors import Rejected
from ledger.loading import Loader
from ledger.log.following import Follower
from ledger.log.store import Head
from ledger.states import States
from ledger.views import Look, View, Views
from rapport.errors.v1 import error_reason_pb2 as reasons


class Present:
    """Shows streams as they are now. Lives on one event loop."""

    def __init__(
        self,
        follower: Follower,
        states: States,
        loader: Loader,
        views: Views,
        *,
        clock: Callable[[], int],
        min_position_wait_s: float,
    ) -> None:
        self._follower = follower
        self._reads = follower.reads
        self._states = states
        self._loader = loader
        self._views = views
        self._clock = clock
        self.wait_s = min_position_wait_s
        """Seconds that a read waits for the log to reach its `min_position`."""

    async def current(self, stream_id: str, min_position: int = 0) -> Look:
        """Return a stream's state; see `Ledger.current`."""
        head = await self._reach(min_position, stream_id)
        at_hand = self._all_at_hand((stream_id,), head)
        if at_hand is not None:
            return at_hand[stream_id]
        await self._bring_in((stream_id,), head)
        self._states.trim()
        view = self.view_at(head)
        look = self._cached(stream_id, view)
        return look if look is not None else await self._views.look(stream_id, view)

    async def current_many(self, stream_ids: Sequence[str], min_position: int = 0) -> dict[str, Look]:
        """Return the states of many streams, all reflecting one position; see `Ledger.current_many`."""
        head = await self._reach(min_position, *stream_ids)
        at_hand = self._all_at_hand(stream_ids, head)
        if at_hand is not None:
            return at_hand
        await self._bring_in(stream_ids, head)
        view = self.view_at(head)
        entries = {name: self._states.get(name) for name in stream_ids}
        folded: dict[str, Look] = {}
        while True:
            # An entry that somebody else has read since may reflect less than the head.
            looks = {
                name: folded.get(name) or (self._cached(name, view) if self._states.get(name) is entry else None)
                for name, entry in entries.items()
            }
            # What moved on while others were brought in is folded up to the head, so that all show the same position.
            moved_on = [name for name, look in looks.items() if look is None]
            if not moved_on:
                self._states.trim()
                return {name: look for name, look in looks.items() if look is not None}
            for name in moved_on:
                folded[name] = await self._views.look(name, view)

    async def head(self, min_position: int = 0) -> Head:
        """Return the end of the log.

        Raises:
            Rejected: PROJECTION_BEHIND, when it does not get to `min_position` in time.
        """
        head = await self._reads(self._reads.store.head)
        if head.position < min_position:
            await self.wait_for(head, min_position)
            head = await self._reads(self._reads.store.head)
        return head

    async def wait_for(self, head: Head, min_position: int) -> None:
        """Return once the log goes on behind `head`, up to a position; refuse as `head`."""
        if not await self._follower.wait_for(min_position, self.wait_s):
            raise Rejected(
                reasons.ERROR_REASON_PROJECTION_BEHIND,
                "the log did not reach min_position in time",
                position=head.position,
                wanted=min_position,
            )

    def view_at(self, head: Head) -> View:
        """Return the view of now: never before what was recorded, however far this clock is behind another's (I9)."""
        return View(max(self._clock(), head.record_time), head.position)

    async def _reach(self, min_position: int, *stream_ids: str) -> Head:
        for stream_id in stream_ids:
            await self._states.landed(stream_id)  # Before the head is asked: what the group wrote is in the cache then.
        return await self.head(min_position)

    def _all_at_hand(self, stream_ids: Iterable[str], head: Head) -> dict[str, Look] | None:
        """Return the states of streams that are all known to reflect `head`; None: of one it is not known."""
        states, view = self._states, self.view_at(head)
        looks: dict[str, Look] = {}
        for stream_id in stream_ids:
            entry = states.get(stream_id)
            if entry is None or entry.state is None or not states.reflects(entry, head) or states.in_flight(stream_id):
                return None
            looks[stream_id] = Look(entry.state, view, entry.version, entry.last_position)
        return looks

    def _cached(self, stream_id: str, view: View) -> Look | None:
        """Return a state that was just brought in; a group that is busy with it may have kept it from that."""
        entry = self._states.get(stream_id)
        if (
            entry is None
            or entry.state is None
            or stream_id in self._states.busy
            or entry.last_position > view.position
        ):
            return None
        return Look(entry.state, view, entry.version, entry.last_position)

    async def _bring_in(self, stream_ids: Sequence[str], head: Head) -> None:
        """Let the entries of streams be there and reflect at least `head`, as far as no group is busy with them."""
        for stream_id in stream_ids:
            await self._states.free(stream_id)
        await self._loader.load(stream_ids)
        states = self._states
        old = [
            name for name in stream_ids if (entry := states.get(name)) is not None and not states.reflects(entry, head)
        ]
        if old:
            await self._loader.refresh(old, head)
