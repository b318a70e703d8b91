"""The relay of one stream: look where it stands, publish what follows, compare now and then, for ever.

It keeps no place. Whatever goes wrong (a refusal, a lost connection, a stream that was wound back, emptied or deleted)
it looks again, and the last stored message says where to go on. So two relays are as good as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from time import monotonic
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from ledger.domain.errors import LedgerError, LogDamaged
from ledger.domain.times import MICROSECONDS
from ledger.log.envelope import MalformedState
from ledger.testing.fault_points import reach
from services.relay.acknowledging import Sender
from services.relay.publishing import Forgotten, Refused, publish
from services.relay.source import Kept, Source, UnknownMessage
from services.relay.standing import Ahead, Halted, Standing, View, standing
from services.relay.streams import DUPLICATE_WINDOW_S, SERVER_MIN, ensure, look

POLL_S: Final = 1.0
"""Seconds that the relay trusts silence, of the source or of the connection, at most."""

BACK_OFF_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Seconds to wait after the first, the second … turn in a row that did not come to its end."""

API_S: Final = 2.0
"""Seconds within which the server says how a stream stands; a question that was lost on the way is asked again."""

LATE_AFTER_S: Final = 10.0
"""Seconds without a message stored, while some wait, after which the relay is not healthy."""


class State(Enum):
    """What a relay is doing."""

    LOOKING = "looking"
    """Looking where the stream stands."""
    FOLLOWING = "following"
    """Publishing what is new."""
    AWAY = "away"
    """NATS, or the source, does not answer; tried again for ever."""
    AHEAD = "ahead"
    """The stream holds what the source has not got; waiting until it has."""
    HALTED = "halted"
    """Somebody must look first: the stream is of another log, of another past, or cannot be made as it must be."""


class Status:
    """How far a relay is. Read from other threads."""

    def __init__(self) -> None:
        self.state = State.LOOKING
        self.why = ""
        """Why it does not follow, a sentence; empty: it does."""
        self.stored = 0
        """Number of the last message known to be stored."""
        self.last = 0
        """Number of the last message of the source, as known."""
        self.holes = 0
        self.refusals = 0
        self.moved_at = monotonic()

    @property
    def lag(self) -> int:
        """How many messages the stream lacks at its end."""
        return max(self.last - self.stored, 0)

    @property
    def healthy(self) -> bool:
        """Whether it follows and comes on."""
        return self.state is State.FOLLOWING and (not self.lag or monotonic() - self.moved_at < LATE_AFTER_S)

    def turned_to(self, state: State, why: str) -> bool:
        """Note what the relay does, and why; return whether that is something else than before."""
        before, self.state, self.why = self.state, state, why
        return state is not before

    def came_to(self, number: int) -> None:
        """Note that messages up to a number are stored."""
        if number != self.stored or number >= self.last:
            self.moved_at = monotonic()
        self.stored, self.last = number, max(self.last, number)


class Relay:
    """Publishes one source to its stream. `run` it once."""

    def __init__(
        self,
        source: Source,
        client: Client,
        kept: Kept,
        status: Status,
        *,
        clock: Callable[[], int],
        window: int,
        check_interval_s: float,
        tell: Callable[[Source, State, str], None],
    ) -> None:
        """`clock`: microseconds since the epoch. `tell`: called whenever the state changes, with why."""
        self.status = status
        self._source = source
        self._client = client
        self._kept = kept
        self._clock = clock
        self._window = window
        self._check_interval_s = check_interval_s
        self._tell = tell
        self._js = JetStreamContext(client, timeout=API_S)
        self._sender = Sender(client)
        self._at: Standing | None = None
        self._check_at = 0.0
        self._connection = -1

    async def run(self) -> None:
        """Relay until cancelled. An event that is damaged halts the relay, and not the services beside it."""
        task = asyncio.current_task()
        assert task is not None
        failed = 0
        while not task.cancelling():  # The client library may have swallowed it.
            try:
                await self._turn()
            except (Refused, LedgerError, UnknownMessage, Ahead, Halted, nats.errors.Error, OSError) as error:
                self._at = None
                await asyncio.sleep(self._pause_s(error, failed))
                failed = min(failed + 1, len(BACK_OFF_S) - 1)
            else:
                failed = 0
        raise asyncio.CancelledError

    async def _turn(self) -> None:
        """Publish one window, or wait for something to publish."""
        if not self._client.is_connected:
            raise nats.errors.ConnectionClosedError
        if self._at is None or self._connection != self._client.stats["reconnects"]:
            self._at = await self._look()
        elif monotonic() >= self._check_at:
            self._at = await self._compare(self._at)
        messages = await self._source.after(self._at.number, self._window)
        if messages:
            self.status.last = max(self.status.last, messages[-1].number)
            reach("relay.before_publish")
            self._at = await publish(self._js, self._sender, self._source, self._at, messages)
            reach("relay.after_publish")
        self._follows(self._at.number)
        if len(messages) < self._window:
            await asyncio.sleep(self._source.pace_s if messages else 0.0)
            await self._source.wait_beyond(self._at.number, min(POLL_S, self._check_interval_s))

    async def _look(self) -> Standing:
        """Return where the stream stands; it is made, or made right, before."""
        self._check_server()
        self._connection = self._client.stats["reconnects"]
        await ensure(self._js, self._source, self._kept)
        return await self._stand(await look(self._js, self._source))

    async def _compare(self, at: Standing) -> Standing:
        """Compare what the stream holds with what was published; return where it stands."""
        view = await look(self._js, self._source)
        self.status.holes = view.holes
        if view.last is not None and view.last.message_id == at.message_id:
            self._check_at = monotonic() + self._check_interval_s
            return at
        return await self._stand(view)

    async def _stand(self, view: View) -> Standing:
        self.status.holes = view.holes
        self.status.last = last = await self._source.last()
        ours = None
        kept_from = 0
        if view.last is None:
            kept_from = await self._source.before(self._clock() - round(self._kept.age_s * MICROSECONDS))
        elif view.last.number <= last and view.last.log_id == self._source.log_id:
            (ours,) = await self._source.after(view.last.number - 1, 1)
        self._check_at = monotonic() + self._check_interval_s
        return standing(view, self._source.log_id, last, ours, kept_from)

    def _check_server(self) -> None:
        version = self._client.connected_server_version
        if (version.major, version.minor, version.patch) < SERVER_MIN:
            raise Halted(f"the NATS server is older than {'.'.join(map(str, SERVER_MIN))}, and may lose streams")

    def _follows(self, number: int) -> None:
        self.status.came_to(number)
        self._now(State.FOLLOWING, "")

    def _pause_s(self, error: Exception, failed: int) -> float:
        """Note what went wrong; return the seconds after which to look again."""
        pause_s = BACK_OFF_S[failed]
        match error:
            case Refused():
                self.status.refusals += 1
                self.status.came_to(error.stored.number)
                self._now(State.LOOKING, str(error))
                return DUPLICATE_WINDOW_S * 1.1 if isinstance(error, Forgotten) else pause_s
            case Ahead():
                self._now(State.AHEAD, str(error))
                return POLL_S
            case Halted() | UnknownMessage() | LogDamaged() | MalformedState():
                self._now(State.HALTED, str(error))
                return self._check_interval_s
            case _:
                self._now(State.AWAY, str(error) or type(error).__qualname__)
                return pause_s

    def _now(self, state: State, why: str) -> None:
        if self.status.turned_to(state, why):
            self._tell(self._source, state, why)
