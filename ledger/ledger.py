"""The shell around every decision: load, fold, decide, append. And the reads that fold on demand.

One ledger per process. All that waits is decided in one pass and made durable by one transaction; nobody is answered
before that. Several processes may keep ledgers over one database: the version of a stream is the lock (I8).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final

from ledger.deciding import Declined, Pass, Touched
from ledger.domain.decider import Step
from ledger.domain.errors import (
    ConcurrencyConflict,
    LedgerError,
    LogDamaged,
    OutcomeUnknown,
    Refused,
    RequestIdReused,
    StoreClosed,
)
from ledger.domain.fact import Fact
from ledger.limits import ClockBehindLog, Limits
from ledger.loading import Loader, plan
from ledger.log.following import Follower
from ledger.log.group_commit import GROUP_WEIGHT_MAX, GroupCommitter
from ledger.log.keys import KeyStore
from ledger.log.store import Appended, Conflict, EventRow, Head, Outcome, Repeated, RequestRow, Store
from ledger.present import Present
from ledger.requests import Plan, Receipt, Request
from ledger.settling import first_receipt, follow, receipt_of, rests_on_old
from ledger.states import States
from ledger.tails import Known, Tail, Tails
from ledger.testing.fault_points import reach
from ledger.views import Look, View, Views
from ledger.waiting import Waiting
from ledger.writer import Writer
from rapport.events.v1.ledger_pb2 import LedgerCreated
from rapport.type.v1.as_of_pb2 import AsOf

ATTEMPTS_MAX: Final = 16
"""Times that a request is decided before a conflict is reported to its caller."""

NO_POSITION: Final = -1
"""Known head of a ledger that does not know how far its states reflect the log: no log ends there."""

_YIELD_EVERY = 64  # Requests decided before the event loop gets a turn: some milliseconds.
_READERS = 4
_GAP_MAX = 64  # Events read for nothing between two that are wanted: cheaper than another query.


def system_clock() -> int:
    """Return the computer's clock in microseconds, UTC."""
    return time.time_ns() // 1000


class Ledger:
    """Records facts and rebuilds states from them. Lives on one event loop."""

    observe_group: Callable[[int, int, float], None] | None = None
    """Told after each group commit: requests, events, seconds from decision to durability."""

    def __init__(
        self,
        store: Store,
        keys: KeyStore,
        created: LedgerCreated,
        *,
        clock: Callable[[], int] = system_clock,
        limits: Limits | None = None,
    ) -> None:
        self.store = store
        self.keys = keys
        self.log_id = created.log_id
        self.origin = created.origin
        self.clock = clock
        self.follower = Follower(store)
        self._limits = limits or Limits()
        self._writer = Writer()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="ledger-reader")
        self._states = States(self._limits.cached_events_max, store.head())
        self._reads = self.follower.reads
        self._loader = Loader(self._reads, self._states, keys, self._readers)
        self._views = Views(self._reads, clock)
        self._present = Present(
            self.follower,
            self._states,
            self._loader,
            self._views,
            clock=lambda: self.clock(),  # noqa: PLW0108  # As it is then: it may be exchanged.
            min_position_wait_s=self._limits.min_position_wait_s,
        )
        self._tails = Tails(self._present, self._reads, self._states, self._loader)
        self._committer: GroupCommitter[Waiting] = GroupCommitter(self._commit)
        self._committing: asyncio.Task[None] | None = None
        self._forgetting: asyncio.Task[None] | None = None

    @property
    def head(self) -> Head:
        """The end of the log, as far as this process knows."""
        return self._states.head

    @property
    def failure(self) -> BaseException | None:
        """What stopped the ledger from writing or from following the log, if anything did; the process should end."""
        following = self.follower.failure
        return self._committer.failure or (None if isinstance(following, StoreClosed) else following)

    async def start(self) -> None:
        """Begin to take requests and to follow the log.

        Raises:
            StoreFailed: the store does not answer.
        """
        await self.follower.start()
        self._committing = asyncio.create_task(self._committer.run(), name="committer")
        self._forgetting = asyncio.create_task(self._forget_keys(), name="key-leases")

    async def execute(self, request: Request, steps: Sequence[Step] | Plan, weight: int = 0) -> Receipt:
        """Record what the steps of a request cause, all or nothing; return once it is on disk.

        `steps` may be a function that validates and returns them; it runs in the pass over the whole group.
        `weight`: about how many events it will be, where `steps` is a function. Cancelling may come too late.

        Raises:
            Refused: nothing was written; the same request_id may be sent again once the cause is mended.
            OutcomeUnknown: it may or may not be recorded. Send the same request_id again.
            StoreFailed, StoreClosed, ClockBehindLog: nothing was written.
        """
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        if callable(steps):
            waiting = Waiting(request, steps, weight or 1, future)
        else:
            given = steps
            waiting = Waiting(request, lambda: given, len(given), future)
        self._committer.put(waiting)
        return await future

    def glance(self, stream_id: str, version: int | None = None) -> Any | None:
        """Return a stream's state as it is in memory, or None; a hint, for it may lack what others wrote.

        For who prepares a request that will find out, or knows which `version` shows: nothing is read, and nothing
        waited for. To be read before the next await; keep and change nothing of it.
        """
        entry = self._states.get(stream_id)
        if entry is None or self._states.in_flight(stream_id) or version not in (None, entry.version):
            return None
        return entry.state

    async def current(self, stream_id: str, min_position: int = 0) -> Look:
        """Return a stream's state with everything recorded. Its view is the clock and the position it reflects.

        Raises:
            Rejected: PROJECTION_BEHIND, when the log does not reach `min_position` in time.
        """
        return await self._present.current(stream_id, min_position)

    async def current_many(self, stream_ids: Sequence[str], min_position: int = 0) -> dict[str, Look]:
        """Return many streams' states, all reflecting one position; to be read before the next await.

        Raises:
            Rejected: PROJECTION_BEHIND, when the log does not reach `min_position` in time.
        """
        return await self._present.current_many(stream_ids, min_position)

    async def tail(self, stream_id: str, known: Known, beside: str, min_position: int = 0) -> Tail:
        """Return what a fold of a stream, kept by somebody else, lacks now; in the same view the version of `beside`.

        The state of `beside` is in memory then, to be had by `glance`, unless it moves on. At most `TAIL_EVENTS` rows
        are returned; `Tail.whole` tells whether these are all.

        Raises:
            Rejected: PROJECTION_BEHIND, when the log does not reach `min_position` in time.
        """
        return await self._tails.tail(stream_id, known, beside, min_position)

    async def resolve(self, as_of: AsOf | None, min_position: int = 0) -> View:
        """Return the view that an AsOf means now.

        Raises:
            Rejected: KNOWN_AT_IN_FUTURE, KNOWN_AT_NOT_SETTLED; PROJECTION_BEHIND as in `current_many`.
        """
        return await self._views.resolve(as_of, await self._present.head(min_position))

    async def look(self, stream_id: str, as_of: AsOf | None, min_position: int = 0) -> Look:
        """Return a stream's state as an AsOf asks for it: the cached one for now, else a fold of the stream.

        Raises:
            Rejected: as `resolve`; KNOWN_AT_INSIDE_BATCH.
        """
        if as_of is None or not as_of.ListFields():
            return await self.current(stream_id, min_position)
        return await self.state_at(stream_id, await self.resolve(as_of, min_position))

    async def state_at(self, stream_id: str, view: View) -> Look:
        """Return a stream folded as of a view.

        Raises:
            Rejected: KNOWN_AT_INSIDE_BATCH.
        """
        return await self._views.look(stream_id, view)

    async def facts(self, stream_id: str, view: View) -> list[Fact]:
        """Return a stream's facts recorded up to the view's position; refuse as `state_at`."""
        return await self._views.facts(stream_id, view)

    async def feed(self, stream_id: str, view: View, evolve: Callable[[Fact], None], after_version: int = 0) -> None:
        """Give a stream's facts after a version to a fold, in turns; refuse as `facts`, when the fold has them all."""
        await self._views.feed(stream_id, view, evolve, after_version)

    async def close(self) -> None:
        """Finish what is queued, then let go of the stores. Later writes raise StoreClosed."""
        self._committer.close()
        if self._committing is not None:
            await asyncio.wait([self._committing])
        if self._forgetting is not None:
            self._forgetting.cancel()
        await self.follower.close()
        self._writer.close()
        self._readers.shutdown()
        self.store.close()
        self.keys.close()

    async def _forget_keys(self) -> None:
        """Let no unwrapped key outlive its lease by more than a second, also in an idle process (audit.md 5)."""
        while True:
            await asyncio.sleep(1)
            self.keys.drop_expired()

    async def _commit(self, group: list[Waiting]) -> None:
        """Decide a group, make it durable, answer everybody."""
        group, again = _planned(group)
        try:
            again += await self._decide_and_append(group)
        except LogDamaged as error:
            # Of one stream, and nothing was appended: the others must not fail with whoever asked for it.
            if len(group) == 1:
                group[0].fail(error)
            else:
                again = _apart(group) + again
        except LedgerError as error:
            for waiting in group:
                waiting.fail(error)
        finally:
            self._states.end()
        if again:
            self._committer.put_back(again)

    async def _decide_and_append(self, group: list[Waiting]) -> list[Waiting]:
        """Return the requests that must be decided again."""
        touched: dict[str, Touched] = {}
        self._states.begin(touched)
        await self._loader.load_for(group)
        keys = await self._loader.keys_for(group)
        now, started = self.clock(), time.perf_counter()
        if now < self._states.head.record_time - self._limits.clock_clamp_max:
            raise ClockBehindLog(self._states.head.record_time - now)
        deciding = Pass(self._states, self._states.head, now, self._limits.future_tolerance, keys, touched)
        for number, waiting in enumerate(group, start=1):
            deciding.decide(waiting)
            if not number % _YIELD_EVERY:
                await asyncio.sleep(0)
        outcomes = await self._append(deciding) if deciding.decided else []
        follow(self._states, deciding, outcomes)
        reach("group.before_ack")
        again = await self._answer(deciding, outcomes)
        if self.observe_group is not None:
            self.observe_group(len(group), deciding.events, time.perf_counter() - started)
        return again

    async def _append(self, deciding: Pass) -> list[Outcome]:
        appends = [decided.append for decided in deciding.decided]
        # Where a decision rests on a stream that may have grown and does not write it, only the store can tell.
        known_head = self._states.head.position if deciding.verified else NO_POSITION
        append = partial(self.store.append, appends, known_head, deciding.now, deciding.now)
        appended = self._writer.submit(append)
        self._plan_ahead()
        try:
            outcomes, head = await appended
        except LedgerError as error:
            # What was folded ahead may or may not come true; the log itself has to be asked.
            self._states.forget(list(deciding.touched))
            if isinstance(error, OutcomeUnknown):
                self._states.era += 1
            raise
        # The sum alone would not tell: another process may have written as many events as were left out of the group.
        in_place = head.position == self._states.head.position + deciding.events
        if not in_place or not all(isinstance(outcome, Appended) for outcome in outcomes):
            self._states.era += 1
        self._states.head = head
        return outcomes

    def _plan_ahead(self) -> None:
        """Ask the requests of the next group for their steps, while the disk works and nothing can be decided."""
        for waiting in self._committer.next_items():
            with suppress(Exception):  # Asked again when its turn comes, and answered then.
                plan(waiting)

    async def _answer(self, deciding: Pass, outcomes: Sequence[Outcome]) -> list[Waiting]:
        """Answer what is settled; return what must be decided again, in its order."""
        again = list(deciding.deferred)
        repeated: list[tuple[Waiting, RequestRow]] = []
        head = self._states.head.position
        for decided, outcome in zip(deciding.decided, outcomes, strict=True):
            match outcome:
                case Appended():
                    decided.waiting.answer(receipt_of(decided, outcome, head))
                case Repeated(request=row):
                    repeated.append((decided.waiting, row))
                case Conflict(streams=streams):
                    again += _retried(decided.waiting, streams)
        await self._replay(repeated)
        if deciding.declined:
            again += await self._answer_declined(deciding, outcomes)
        return again

    async def _answer_declined(self, deciding: Pass, outcomes: Sequence[Outcome]) -> list[Waiting]:
        """Answer refusals: with the first answer where the request was carried out before, else with the refusal.

        A refusal that rests on a state which was overtaken is no answer: it is decided again.
        """
        declined = deciding.declined
        rows = await self._reads(self.store.find_requests, [each.waiting.key for each in declined])
        streams = list({touched.stream_id for each in declined for touched in each.touched})
        versions = await self._reads(self.store.versions, streams) if streams else {}
        again: list[Waiting] = []
        repeated: list[tuple[Waiting, RequestRow]] = []
        for each in declined:
            row = rows.get(each.waiting.key)
            if row is not None and each.waiting.fingerprint:  # None can be made once the subject is erased (I4).
                repeated.append((each.waiting, row))
            elif rests_on_old(each, deciding, outcomes, versions):
                again += self._decide_afresh(each)
            else:
                each.waiting.fail(each.refusal)
        await self._replay(repeated)
        return again

    def _decide_afresh(self, declined: Declined) -> list[Waiting]:
        streams = tuple(touched.stream_id for touched in declined.touched)
        self._states.forget(streams)
        return _retried(declined.waiting, streams)

    async def _replay(self, repeated: Sequence[tuple[Waiting, RequestRow]]) -> None:
        """Answer requests that were carried out before, with their first answers."""
        same: list[tuple[Waiting, RequestRow]] = []
        for waiting, row in repeated:
            try:
                waiting.check_same(row)
            except RequestIdReused as error:
                waiting.fail(error)
            else:
                same.append((waiting, row))
        events = await self._events_between([row for _, row in same if row.first_position])
        for waiting, row in same:
            places = range(row.first_position, row.last_position + 1) if row.first_position else ()
            waiting.answer(first_receipt(row, [events[position] for position in places], self._states.head.position))

    async def _events_between(self, rows: Sequence[RequestRow]) -> dict[int, EventRow]:
        """Return the events of requests by position, read in as few pieces as they lie in."""
        events: dict[int, EventRow] = {}
        for first, last in _spans(sorted((row.first_position, row.last_position) for row in rows)):
            for event in await self._reads(self.store.read_log, first - 1, last - first + 1):
                events[event.position] = event
        return events


def _spans(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return (first, last) of the stretches that cover places given in order, small gaps included."""
    spans: list[tuple[int, int]] = []
    for first, last in places:
        if spans and first - spans[-1][1] <= _GAP_MAX:
            spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
        else:
            spans.append((first, last))
    return spans


def _planned(group: list[Waiting]) -> tuple[list[Waiting], list[Waiting]]:
    """Ask every request for its steps; return those to decide now, and those that wait for their twin's outcome.

    A request that is malformed is answered at once.
    """
    now: dict[object, Waiting] = {}
    twins: list[Waiting] = []
    for waiting in group:
        if waiting.key in now:
            twins.append(waiting)
            continue
        try:
            plan(waiting)
        except Refused as refusal:
            waiting.fail(refusal)
        except Exception as error:  # noqa: BLE001  # A defect that one request meets must not fail its whole group.
            waiting.fail(error)
        else:
            now[waiting.key] = waiting
    return list(now.values()), twins


def _apart(group: list[Waiting]) -> list[Waiting]:
    """Return the requests of a group so that each will be a group by itself."""
    for waiting in group:
        waiting.weight = GROUP_WEIGHT_MAX
    return group


def _retried(waiting: Waiting, streams: Sequence[str]) -> list[Waiting]:
    """Return the request for another attempt, unless it had as many as it gets: then it is told of the conflict."""
    waiting.attempts += 1
    if waiting.attempts < ATTEMPTS_MAX:
        return [waiting]
    waiting.fail(ConcurrencyConflict(streams, waiting.attempts))
    return []


__all__ = ["ATTEMPTS_MAX", "ClockBehindLog", "Ledger", "Limits", "system_clock"]
