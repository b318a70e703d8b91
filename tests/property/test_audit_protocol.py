"""The frame protocol of replay and subscription, whatever order writes, reads and pauses come in (audit.md 2 and 10).

A subscription is driven frame by frame against a log that grows in between; the frames are held to the rules by a state
machine that knows nothing of how they were made.
"""

import asyncio
import tempfile
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger.log.following import Follower
from ledger.log.scanning import Reads, Selection
from ledger.log.sqlite_store import SqliteStore
from rapport.audit.v1 import audit_service_pb2 as messages
from services.audit.replay import replay
from services.audit.subscription import Subscriptions
from services.audit.translate import ReplayPlan, SubscriptionPlan
from services.audit.views import OpenView
from tests.stored_log import Writer

LAG_POSITIONS = 10_000
SELECTIONS = {
    "all": Selection(),
    "ours": Selection(organization_id="acme"),
    "one": Selection(organization_id="acme", streams=frozenset({"acme/c-1"})),
    "nobody": Selection(topics=frozenset()),
    "other topic": Selection(topics=frozenset({"consent.given.v1"})),
}
STREAMS = ("acme/c-1", "acme/c-2", "other/c-1")

writes = st.tuples(st.just("write"), st.sampled_from(STREAMS), st.sampled_from([1, 1, 3, 200, 700, 1_500]))
reads = st.tuples(st.just("read"), st.just(""), st.integers(1, 12))
pauses = st.tuples(st.just("pause"), st.just(""), st.just(0))
"""The follower delivers what was written while nobody reads, so that queues fill."""
plans = st.lists(st.one_of(writes, reads, pauses), max_size=14)


class Rules:
    """What a reader may rely on, checked frame by frame."""

    def __init__(self, after: int) -> None:
        self.position = after
        """Resume after this."""
        self.seen: list[int] = []
        self.caught_up = False
        self.closed = False

    def take(self, wire: bytes, head: int) -> None:
        frame = messages.SubscribeResponse.FromString(wire)
        assert not self.closed, "nothing follows Closing"
        match frame.WhichOneof("frame"):
            case "batch":
                assert 1 <= len(frame.batch.events) <= 256
                for event in frame.batch.events:
                    assert event.position > self.position, "positions strictly increase, past all that was told"
                    self.position = event.position
                    self.seen.append(event.position)
            case "progress":
                assert frame.progress.position > self.position
                self.position = frame.progress.position
            case "caught_up":
                assert not self.caught_up
                self.caught_up = True
                self.move(frame.caught_up.position)
            case "fell_behind":
                assert self.caught_up, "only who was live can fall behind"
                self.caught_up = False
                assert frame.fell_behind.head >= frame.fell_behind.position
                self.move(frame.fell_behind.position)
            case "heartbeat":
                assert frame.heartbeat.head >= frame.heartbeat.position
                self.move(frame.heartbeat.position)
            case "closing":
                self.closed = True
                self.move(frame.closing.resume_after)
            case other:
                raise AssertionError(f"a frame of kind {other}")
        assert self.position <= head

    def move(self, position: int) -> None:
        assert position >= self.position
        self.position = position


async def follow(folder: str, plan: list[tuple[str, str, int]], chosen: Selection, start: int) -> None:
    store = SqliteStore(str(Path(folder) / "log.db"))
    writer = Writer(store)
    writer.append(STREAMS)
    follower = Follower(store, poll_s=0.05)
    await follower.start()
    stopping = asyncio.Event()
    subscriptions = Subscriptions(follower, lambda: 0, stopping, age_max_s=60)
    rules = Rules(start)
    try:
        frames = subscriptions.frames(SubscriptionPlan(after=start, selection=chosen, heartbeat_s=0.01), OpenView())
        async with aclosing(frames):
            for action, stream_id, number in plan:
                if action == "write":
                    writer.append([stream_id] * number)
                elif action == "pause":
                    await follower.wait_for(store.head().position, 5)
                else:
                    for _ in range(number):
                        rules.take(await anext(frames), store.head().position)
            head = store.head().position
            while rules.position < head:
                rules.take(await anext(frames), head)
            rules.take(await anext(frames), head)  # What the last events meant, or a heartbeat.
            stopping.set()
            async for wire in frames:
                rules.take(wire, head)
    finally:
        await follower.close()
        expected = [row.position for row in store.read_log(start, 100_000) if chosen.matches(row)]
        store.close()
    assert rules.closed
    assert expected == rules.seen


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(plans, st.sampled_from(sorted(SELECTIONS)), st.integers(0, 3))
@example([("read", "", 2), ("write", "acme/c-1", 1_500), ("pause", "", 0), ("read", "", 3)], "all", 0)
def test_a_subscription_keeps_the_protocol_and_misses_nothing(
    plan: list[tuple[str, str, int]], name: str, start: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(follow(folder, plan, SELECTIONS[name], start))


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(STREAMS), st.sampled_from([1, 40, 3_000, 9_000])), max_size=6),
    st.sampled_from(sorted(SELECTIONS)),
    st.integers(0, 4_000),
    st.integers(0, 30_000),
    st.sampled_from([0, 1, 256, 257, 5_000]),
)
@example([("acme/c-1", 9_000), ("acme/c-1", 9_000), ("acme/c-1", 9_000)], "other topic", 0, 30_000, 0)
@example([("acme/c-1", 40), ("acme/c-2", 40)], "one", 3, 70, 1)
def test_a_replay_ends_with_end_and_moves_on_in_between(
    log: list[tuple[str, int]], name: str, after: int, to: int, events_max: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(read(folder, log, SELECTIONS[name], after, to, events_max))


async def read(
    folder: str, log: list[tuple[str, int]], chosen: Selection, after: int, to: int, events_max: int
) -> None:
    store = SqliteStore(str(Path(folder) / "log.db"))
    writer = Writer(store)
    for stream_id, number in log:
        writer.append([stream_id] * number)
    head = store.head().position
    after, to = min(after, head), min(to, head)
    plan = ReplayPlan(after=after, to=max(after, to), selection=chosen, events_max=events_max)
    wanted = [row.position for row in store.read_log(after, 100_000, plan.to) if chosen.matches(row)]

    frames = [
        messages.ReadEventsResponse.FromString(wire)
        async for wire in replay(plan, Reads(store), OpenView(), asyncio.Event())
    ]
    store.close()

    end = frames[-1].end
    seen = [event.position for frame in frames for event in frame.batch.events]
    assert ["end"] == [kind for frame in frames if (kind := frame.WhichOneof("frame")) not in {"batch", "progress"}]
    assert wanted[: events_max or None] == seen
    assert len(seen) == end.delivered
    assert end.complete == (end.position == plan.to)
    rest = [position for position in wanted if position > end.position]
    assert wanted == seen + rest, "resuming after the end misses nothing and doubles nothing"
    told = [after]
    for frame in frames:
        place = frame.batch.events[-1].position if frame.batch.events else frame.progress.position or frame.end.position
        told.append(place)
    assert sorted(told) == told
    if chosen != SELECTIONS["nobody"]:  # There nothing has to be examined, and the end is told at once.
        assert all(later - earlier <= LAG_POSITIONS for earlier, later in pairwise(told))
