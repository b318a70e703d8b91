"""Events, groups and races with which stores are tested: short names for what a test is made of."""

import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier

from ledger.log.recorders import open_store
from ledger.log.store import Append, Appended, EventRow, NewEvent, Outcome, RequestKey, Store
from ledger.testing import fault_points

ALICE, BOB, CAROL = "shop/alice", "shop/bob", "shop/carol"
NOON = 1_700_000_000_000_000
"""A time in microseconds."""

fresh = multiprocessing.get_context("forkserver")
"""Processes that share nothing: a fork of this one would take connections and locks along.

They are forks of one that has imported this module and done nothing else; importing takes longer than most tests.
"""
fresh.set_forkserver_preload([__name__])


def event(stream_id: str, version: int, state: bytes = b"state", topic: str = "topic.v1") -> NewEvent:
    """Return an event that expects to be the `version`-th of its stream."""
    return NewEvent(stream_id, version, topic, state)


def key(number: int, organization_id: str = "shop") -> RequestKey:
    """Return the key of a request."""
    return RequestKey(organization_id, number.to_bytes(16, "big"))


def append(*events: NewEvent, request: int | None = None, read: Sequence[tuple[str, int]] = ()) -> Append:
    """Return an append; its fingerprint is made from the number of its request."""
    if request is None:
        return Append(events, read_set=tuple(read))
    return Append(events, key(request), request.to_bytes(32, "big"), None, tuple(read))


def put(store: Store, *group: Append, now: int = NOON, known_head: int | None = None) -> list[Outcome]:
    """Append a group as one who has just looked at the head would; return the outcomes."""
    outcomes, _ = store.append(group, store.head().position if known_head is None else known_head, now, 0)
    return outcomes


def whole_log(store: Store, page: int = 1000) -> list[EventRow]:
    """Return all events, read page by page."""
    rows: list[EventRow] = []
    while found := store.read_log(len(rows), page):
        rows += found
    return rows


def check_log(rows: Sequence[EventRow]) -> None:
    """Assert that positions and versions are dense and that record times never decrease (I6, I8, I9)."""
    assert list(range(1, len(rows) + 1)) == [row.position for row in rows]
    assert sorted(row.record_time for row in rows) == [row.record_time for row in rows]
    versions: dict[str, int] = {}
    for row in rows:
        assert versions.get(row.stream_id, 0) + 1 == row.version, row
        versions[row.stream_id] = row.version


Acknowledged = list[tuple[int, Appended]]
"""What a racing writer was told: the number of each request, and where its events are."""


def race(
    store: Store, seed: int, rounds: int, tell: Callable[[tuple[int, Appended]], None] | None = None
) -> Acknowledged:
    """Write groups that conflict with those of others, from a cache of versions that is soon out of date."""
    chance = random.Random(seed)  # noqa: S311  # A seed that can be repeated is what is wanted.
    number = seed * 1_000_000
    streams = [f"shop/hot-{n}" for n in range(3)] + [f"shop/own-{seed}-{n}" for n in range(5)]
    known_head, versions = 0, dict.fromkeys(streams, 0)
    acknowledged: Acknowledged = []
    for _ in range(rounds):
        size = chance.randint(1, 8)
        group = [_racing_append(chance, versions, streams, seed, number + n) for n in range(size)]
        outcomes, head = store.append(group, known_head, time.time_ns() // 1000 - chance.randrange(5_000_000), 0)
        for each, outcome in enumerate(outcomes, number):
            if isinstance(outcome, Appended):
                acknowledged.append((each, outcome))
                if tell is not None:
                    tell((each, outcome))
        number += size
        known_head += sum(len(append.events) for append in group)
        if head.position != known_head or not all(isinstance(outcome, Appended) for outcome in outcomes):
            # Somebody else wrote, so the cache is not current at this head.
            known_head, versions = store.head().position, store.versions(streams)
    return acknowledged


def _racing_append(
    chance: random.Random, versions: dict[str, int], streams: Sequence[str], seed: int, number: int
) -> Append:
    hot, own = chance.choice(streams[:3]), chance.choice(streams[3:])
    events = []
    for stream_id in (hot, own) if chance.random() < 0.5 else (own,):
        versions[stream_id] += 1
        events.append(event(stream_id, versions[stream_id], str(seed).encode()))
    return append(*events, request=number)


def gather(
    processes: Sequence[multiprocessing.process.BaseProcess],
    results: "multiprocessing.SimpleQueue[Acknowledged]",
) -> list[Acknowledged]:
    """Wait until all processes have ended well; return what they put."""
    found: list[Acknowledged] = []
    while any(process.is_alive() for process in processes) or not results.empty():
        while not results.empty():  # A full pipe would hold a process back.
            found.append(results.get())
        time.sleep(0.005)
    assert [0] * len(processes) == [process.exitcode for process in processes]
    return found


def race_in_process(
    url: str, seed: int, rounds: int, results: "multiprocessing.SimpleQueue[Acknowledged]", together: Barrier
) -> None:
    """Race in a process of its own, beginning when the others are ready; put what was acknowledged."""
    store = open_store(url)
    together.wait()
    try:
        results.put(race(store, seed, rounds))
    finally:
        store.close()


def start_at_once(url: str, seed: int, results: "multiprocessing.SimpleQueue[Acknowledged]", together: Barrier) -> None:
    """Open the store at the same instant as others do, then race a little."""
    together.wait()
    store = open_store(url)
    try:
        results.put(race(store, seed, 2))
    finally:
        store.close()


def race_until_killed(url: str, fault: str, results: "multiprocessing.SimpleQueue[tuple[int, Appended]]") -> None:
    """Race with a fault installed, telling every acknowledgement as it comes."""
    store = open_store(url)
    fault_points.install(fault_points.parse(fault))
    race(store, 7, 1000, results.put)


def check_race(store: Store, acknowledged: Sequence[Acknowledged]) -> None:
    """Assert that everything acknowledged is there, once, and that nothing else is torn."""
    rows = whole_log(store)
    check_log(rows)
    told = {number: appended for each in acknowledged for number, appended in each}
    assert len(told) == sum(map(len, acknowledged))
    found = store.find_requests([key(number) for number in told])
    for number, appended in told.items():
        row = found[key(number)]
        assert (appended.first_position, appended.last_position) == (row.first_position, row.last_position)
        writer = str(number // 1_000_000).encode()
        assert {writer} == {each.state for each in rows[row.first_position - 1 : row.last_position]}
