"""What every store must do.

Subclass `StoreContract` in a test module and say where a fresh database is, and how a statement is executed by hand:

    class TestSqliteStore(StoreContract):
        @pytest.fixture
        def url(self, tmp_path: Path) -> str:
            return sqlite_url(tmp_path / "ledger.db")

Each test stands for a rule of `Store`; several processes, threads and clocks take part where a rule is about them.
"""

import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier

import pytest

from ledger.domain.errors import OutcomeUnknown, StoreClosed
from ledger.log.recorders import open_store
from ledger.log.store import (
    Append,
    Appended,
    Conflict,
    EventRow,
    Head,
    NewEvent,
    Outcome,
    Repeated,
    RequestKey,
    RequestRow,
    Store,
)
from ledger.testing import fault_points

ALICE, BOB, CAROL = "shop/alice", "shop/bob", "shop/carol"
NOON = 1_700_000_000_000_000
"""A time in microseconds."""

spawn = multiprocessing.get_context("spawn")
"""Processes that share nothing: a fork would take connections and locks along."""


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


class StoreContract:
    """Tests that every store passes. `url` is the address of a fresh, empty database, a new one for each test."""

    # How many groups each of several writers writes where writers race. More finds more and takes longer.
    ROUNDS = 25

    @pytest.fixture
    def url(self) -> str:
        """Return the address of a fresh database."""
        raise NotImplementedError("say where a fresh database is")

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        """Return a store on the database, closed after the test."""
        store = open_store(url)
        yield store
        store.close()

    @pytest.fixture
    def twin(self, url: str, store: Store) -> Iterator[Store]:
        """Return a second store on the same database, as another process would have."""
        twin = open_store(url)
        yield twin
        twin.close()

    @pytest.fixture(autouse=True)
    def _no_faults(self) -> Iterator[None]:
        yield
        fault_points.install(None)

    # An empty log.

    def test_an_empty_log_has_head_zero_and_nothing_in_it(self, store: Store) -> None:
        assert Head(0, 0) == store.head()
        assert [] == store.read_log(0, 10)
        assert [] == store.read_stream(ALICE)
        assert {ALICE: []} == store.read_streams([ALICE])
        assert {ALICE: 0} == store.versions([ALICE])
        assert {ALICE: []} == store.tails({ALICE: 0})
        assert {} == store.find_requests([key(1)])
        assert store.get(1) is None
        assert store.position_at(NOON) == 0
        assert [] == store.list_streams("", "~", 10)

    def test_questions_about_nothing_have_empty_answers(self, store: Store) -> None:
        assert {} == store.read_streams([])
        assert {} == store.versions([])
        assert {} == store.tails({})
        assert {} == store.find_requests([])
        assert ([], Head(0, 0)) == store.append([], 0, NOON, 0)

    # Appending.

    def test_what_was_appended_is_read_back_byte_for_byte(self, store: Store) -> None:
        states = [b"", b"\x00", bytes(range(256)), b"x" * 100_000]

        put(store, append(*(event(ALICE, n, state) for n, state in enumerate(states, 1)), request=1))

        assert states == [row.state for row in store.read_stream(ALICE)]
        assert [(ALICE, n, "topic.v1") for n in (1, 2, 3, 4)] == [
            (row.stream_id, row.version, row.topic) for row in store.read_log(0, 10)
        ]

    def test_positions_are_dense_over_all_streams(self, store: Store) -> None:
        first = put(store, append(event(ALICE, 1), event(BOB, 1)), append(event(ALICE, 2)))
        second = put(store, append(event(CAROL, 1)))

        assert [Appended(1, 2, NOON), Appended(3, 3, NOON)] == first
        assert [Appended(4, 4, NOON)] == second
        check_log(store.read_log(0, 10))

    def test_an_append_answers_the_head_after_it(self, store: Store) -> None:
        _, head = store.append([append(event(ALICE, 1), event(ALICE, 2))], 0, NOON, 0)

        assert Head(2, NOON) == head == store.head()

    def test_every_event_has_a_salt_of_its_own(self, store: Store) -> None:
        put(store, append(*(event(ALICE, n) for n in range(1, 51))))

        salts = {row.salt for row in store.read_stream(ALICE)}
        assert len(salts) == 50
        assert {16} == {len(salt) for salt in salts}

    def test_record_time_never_decreases_when_the_clock_steps_back(self, store: Store, twin: Store) -> None:
        put(store, append(event(ALICE, 1)), now=NOON)
        (appended,) = put(store, append(event(ALICE, 2)), now=NOON - 3_600_000_000)
        put(twin, append(event(ALICE, 3)), now=NOON - 86_400_000_000)
        put(twin, append(event(ALICE, 4)), now=NOON + 1)

        assert Appended(2, 2, NOON) == appended
        assert [NOON, NOON, NOON, NOON + 1] == [row.record_time for row in store.read_log(0, 10)]

    def test_record_time_is_not_before_the_latest_decision_of_the_group(self, store: Store) -> None:
        outcomes, head = store.append([append(event(ALICE, 1))], 0, NOON, NOON + 5)

        assert [Appended(1, 1, NOON + 5)] == outcomes
        assert Head(1, NOON + 5) == head

    # Conflicts.

    def test_a_stale_version_conflicts_and_nothing_of_its_append_is_stored(self, store: Store) -> None:
        put(store, append(event(ALICE, 1)))

        (outcome,) = put(store, append(event(BOB, 1), event(ALICE, 1), request=1), known_head=0)

        assert Conflict((ALICE,)) == outcome
        assert {ALICE: 1, BOB: 0} == store.versions([ALICE, BOB])
        assert {} == store.find_requests([key(1)])

    def test_a_version_from_the_future_conflicts_when_the_log_has_moved(self, store: Store) -> None:
        put(store, append(event(ALICE, 1)))

        (outcome,) = put(store, append(event(ALICE, 3)), known_head=0)

        assert Conflict((ALICE,)) == outcome

    def test_a_twin_version_at_the_known_head_conflicts(self, store: Store) -> None:
        outcomes = put(store, append(event(ALICE, 1, b"one")), append(event(ALICE, 1, b"two")))

        assert [Appended(1, 1, NOON), Conflict((ALICE,))] == outcomes
        assert [b"one"] == [row.state for row in store.read_stream(ALICE)]

    def test_a_moved_log_alone_is_no_conflict(self, store: Store) -> None:
        put(store, append(event(ALICE, 1)))

        outcomes = put(store, append(event(ALICE, 2)), append(event(BOB, 1)), known_head=0)

        assert [Appended(2, 2, NOON), Appended(3, 3, NOON)] == outcomes

    def test_a_stream_of_the_read_set_that_has_grown_conflicts(self, store: Store) -> None:
        put(store, append(event(BOB, 1)))
        put(store, append(event(BOB, 2)))

        stale, fresh = put(
            store,
            append(event(ALICE, 1), read=[(BOB, 1), (CAROL, 0)]),
            append(event(ALICE, 1), read=[(BOB, 2), (CAROL, 0)]),
            known_head=1,
        )

        assert Conflict((BOB,)) == stale
        # Decided after the first of the group wrote the same stream, so it cannot stand without it.
        assert Conflict((ALICE,)) == fresh
        assert [Appended(3, 3, NOON)] == put(store, append(event(ALICE, 1), read=[(BOB, 2)]), known_head=0)

    def test_an_append_may_read_what_an_earlier_one_of_its_group_writes(self, store: Store) -> None:
        put(store, append(event(CAROL, 1)))

        outcomes = put(
            store, append(event(ALICE, 1)), append(event(BOB, 1), read=[(ALICE, 1), (CAROL, 1)]), known_head=0
        )

        assert [Appended(2, 2, NOON), Appended(3, 3, NOON)] == outcomes

    def test_a_group_may_hold_everything_at_once(self, store: Store) -> None:
        put(store, append(event(ALICE, 1), request=1))
        put(store, append(event(BOB, 1)))

        outcomes = put(
            store,
            append(event(CAROL, 1), request=2),  # stands
            append(event(BOB, 1), event("shop/dave", 1), request=3),  # conflicts: bob has grown
            append(event("shop/dave", 2), event("shop/erin", 1), request=4),  # builds on dave, left out above
            append(event("shop/fred", 1), read=[("shop/erin", 1)]),  # read erin, left out above
            append(event("shop/gina", 1), request=1),  # was carried out before
            append(event("shop/gina", 2), request=5),  # builds on gina, left out above
            append(event(CAROL, 2), request=6),  # stands
            append(event(CAROL, 3), request=2),  # twin of the first of this group
            known_head=1,
        )

        assert Appended(3, 3, NOON) == outcomes[0]
        assert Conflict((BOB,)) == outcomes[1]
        assert Conflict(("shop/dave",)) == outcomes[2]
        assert Conflict(("shop/erin",)) == outcomes[3]
        assert Repeated(RequestRow(*key(1), (1).to_bytes(32, "big"), 1, 1, NOON, None)) == outcomes[4]
        assert Conflict(("shop/gina",)) == outcomes[5]
        assert Appended(4, 4, NOON) == outcomes[6]
        assert Repeated(RequestRow(*key(2), (2).to_bytes(32, "big"), 3, 3, NOON, None)) == outcomes[7]
        check_log(store.read_log(0, 100))
        assert Head(4, NOON) == store.head()

    def test_what_builds_on_a_repeated_append_conflicts_even_where_its_version_fits(
        self, store: Store, twin: Store
    ) -> None:
        # The twin stored the request first, with another state. The second append was decided on this store's own.
        put(twin, append(event(ALICE, 1, b"the twin's"), request=1))

        outcomes = put(
            store, append(event(ALICE, 1, b"ours"), request=1), append(event(ALICE, 2), request=2), known_head=0
        )

        assert isinstance(outcomes[0], Repeated)
        assert Conflict((ALICE,)) == outcomes[1]

    # Requests.

    def test_a_request_row_tells_positions_fingerprint_time_and_answer(self, store: Store) -> None:
        put(store, append(event(ALICE, 1)))
        put(store, Append((event(ALICE, 2), event(BOB, 1)), key(7), b"f" * 32, b"answer"))

        assert {key(7): RequestRow("shop", key(7).request_id, b"f" * 32, 2, 3, NOON, b"answer")} == store.find_requests(
            [key(7), key(8), key(7, "another-shop")]
        )

    def test_a_request_that_changed_nothing_leaves_a_row_and_does_not_move_the_head(self, store: Store) -> None:
        put(store, append(event(ALICE, 1)))

        outcomes, head = store.append([Append((), key(7), b"f" * 32, b"answer")], 1, NOON + 9, 0)

        assert [Appended(0, 0, NOON + 9)] == outcomes
        assert Head(1, NOON) == head == store.head()
        assert (
            RequestRow("shop", key(7).request_id, b"f" * 32, 0, 0, NOON + 9, b"answer")
            == (store.find_requests([key(7)])[key(7)])
        )

    def test_a_repeated_request_is_answered_with_its_row_also_at_the_known_head(self, store: Store) -> None:
        put(store, append(event(ALICE, 1), request=1))
        put(store, Append((), key(2), b"f"))  # Leaves the head where it is.

        again, nothing = put(store, append(event(ALICE, 2), request=1), Append((), key(2), b"other"))

        assert isinstance(again, Repeated)
        assert (1, 1) == (again.request.first_position, again.request.last_position)
        assert isinstance(nothing, Repeated)
        assert b"f" == nothing.request.fingerprint
        assert Head(1, NOON) == store.head()

    def test_twins_of_a_request_in_two_stores_make_one_event_set(self, store: Store, twin: Store) -> None:
        first = put(store, append(event(ALICE, 1), request=1), known_head=0)
        second = put(twin, append(event(ALICE, 1), request=1), known_head=0)

        assert [Appended(1, 1, NOON)] == first
        assert [Repeated(RequestRow(*key(1), (1).to_bytes(32, "big"), 1, 1, NOON, None))] == second

    def test_the_same_request_id_of_two_organizations_is_two_requests(self, store: Store) -> None:
        outcomes = put(
            store,
            Append((event(ALICE, 1),), key(1)),
            Append((event("other/alice", 1),), key(1, "other")),
        )

        assert [Appended(1, 1, NOON), Appended(2, 2, NOON)] == outcomes

    def test_many_threads_with_one_request_store_it_once(self, store: Store) -> None:
        def write(number: int) -> Outcome:
            return put(store, append(event(f"shop/{number}", 1), request=1))[0]

        with ThreadPoolExecutor(16) as threads:
            outcomes = list(threads.map(write, range(64)))

        assert 1 == sum(isinstance(outcome, Appended) for outcome in outcomes)
        assert 63 == sum(isinstance(outcome, Repeated) for outcome in outcomes)
        assert 1 == store.head().position

    # Reading.

    def test_a_log_is_read_in_pages_and_filtered(self, store: Store) -> None:
        streams = [ALICE, "shop0/zoe", "shop/bob", "a/b", "shop/~", "shöp/ä"]
        put(store, *(append(event(stream, 1, topic=f"topic.{n % 2}")) for n, stream in enumerate(streams)))

        def positions(**filters: object) -> list[int]:
            return [row.position for row in store.read_log(0, 100, **filters)]  # type: ignore[arg-type]

        assert [1, 2, 3] == [row.position for row in store.read_log(0, 3)]
        assert [4, 5, 6] == [row.position for row in store.read_log(3, 100)]
        assert [3, 4] == [row.position for row in store.read_log(2, 100, to=4)]
        assert [1, 3, 5] == positions(stream_from="shop/", stream_before="shop0")
        assert [1, 3, 5] == positions(topics=["topic.0"])
        assert [1, 2, 3, 4, 5, 6] == positions(topics=["topic.0", "topic.1", "unknown"])
        assert [2] == positions(stream_from="shop0", stream_before="shop1", topics=["topic.1"])
        assert [6] == positions(stream_from="shö", stream_before="shöq")
        assert [] == store.read_log(6, 10)

    def test_a_stream_is_read_after_a_version_and_up_to_a_position(self, store: Store) -> None:
        put(store, *(append(event(ALICE, n), event(BOB, n)) for n in range(1, 6)))

        assert [3, 4] == [row.version for row in store.read_stream(ALICE, 2, limit=2)]
        assert [1, 2] == [row.version for row in store.read_stream(ALICE, to_position=4)]
        assert [4, 5] == [row.version for row in store.read_stream(BOB, 3)]

    def test_many_streams_are_read_at_once(self, store: Store) -> None:
        names = [f"shop/{number}" for number in range(1300)]
        odd = ["shop/'quoted\"", "shop/ümlaut", "shop/[1]", "shop/{}"]
        put(store, *(append(event(name, 1), event(name, 2)) for name in [*names, *odd]))

        assert dict.fromkeys([*names, *odd], 2) | {"shop/none": 0} == store.versions([*names, *odd, "shop/none"])
        read = store.read_streams([*names, *odd, "shop/none"])
        assert [] == read.pop("shop/none")
        assert all([1, 2] == [row.version for row in rows] for rows in read.values())
        assert {*names, *odd} == set(read)
        tails = store.tails(dict.fromkeys([*names, *odd], 1) | {"shop/none": 0, ALICE: 5})
        assert {True: 1304, False: 2} == {
            has: sum(bool(rows) == has for rows in tails.values()) for has in (True, False)
        }
        assert {2} == {row.version for rows in tails.values() for row in rows}

    def test_many_requests_are_found_at_once(self, store: Store) -> None:
        put(store, *(Append((), key(number)) for number in range(1300)))

        assert {key(number) for number in range(1300)} == set(
            store.find_requests([key(number) for number in range(2600)])
        )

    def test_an_event_is_got_by_its_position(self, store: Store) -> None:
        put(store, append(event(ALICE, 1, b"one"), event(ALICE, 2, b"two")))

        found = store.get(2)

        assert found is not None
        assert b"two" == found.state
        assert store.get(3) is None
        assert store.get(0) is None

    def test_a_record_time_resolves_to_the_last_position_up_to_it(self, store: Store) -> None:
        for number, time_ in enumerate([10, 20, 20, 20, 50], 1):
            put(store, append(event(ALICE, number)), now=time_)

        assert {9: 0, 10: 1, 19: 1, 20: 4, 49: 4, 50: 5, 99: 5} == {
            asked: store.position_at(asked) for asked in (9, 10, 19, 20, 49, 50, 99)
        }

    def test_streams_are_listed_once_each_in_order_of_their_bytes(self, store: Store) -> None:
        names = ["shop/B", "shop/a", "shop/é", "shop/b", "shop/a-", "shop/a1", "other/x"]
        put(store, *(append(event(name, 1), event(name, 2)) for name in names))

        assert ["shop/B", "shop/a", "shop/a-", "shop/a1", "shop/b", "shop/é"] == store.list_streams("shop/", "shop0", 9)
        assert ["shop/a", "shop/a-"] == store.list_streams("shop/B", "shop0", 2)

    def test_any_thread_may_read_while_others_write(self, store: Store) -> None:
        stop = threading.Event()

        def read() -> int:
            seen = 0
            while not stop.is_set():
                seen = max(seen, len(whole_log(store, page=7)))
                assert seen >= store.versions([ALICE])[ALICE] - 50
            return seen

        with ThreadPoolExecutor(4) as threads:
            readers = [threads.submit(read) for _ in range(3)]
            for number in range(1, 51):
                put(store, append(event(ALICE, number)))
            stop.set()
            assert all(reader.result() <= 50 for reader in readers)

    # Never changed.

    @pytest.mark.parametrize("table", ["stored_events", "requests"])
    @pytest.mark.parametrize("change", ["UPDATE {} SET record_time = 1", "DELETE FROM {}"])
    def test_what_is_written_cannot_be_changed_or_deleted(
        self, url: str, store: Store, table: str, change: str
    ) -> None:
        put(store, append(event(ALICE, 1), request=1))

        with pytest.raises(Exception, match="never changed"):
            self.execute(url, change.format(table))

        assert 1 == len(store.read_log(0, 10))
        assert 1 == len(store.find_requests([key(1)]))

    def execute(self, url: str, statement: str) -> None:
        """Execute a statement by hand, past the store; a subclass says how."""
        raise NotImplementedError("say how to execute a statement by hand")

    # Several writers.

    @pytest.mark.timeout(120)
    def test_twelve_threads_write_without_holes_forks_or_losses(self, store: Store) -> None:
        with ThreadPoolExecutor(12) as threads:
            acknowledged = list(threads.map(lambda seed: race(store, seed, self.ROUNDS), range(12)))

        _check_race(store, acknowledged)

    @pytest.mark.timeout(180)
    def test_two_processes_write_and_a_reader_never_meets_a_hole_or_a_late_event(self, url: str, store: Store) -> None:
        results, together = spawn.SimpleQueue(), spawn.Barrier(2)
        writers = [
            spawn.Process(target=_race_in_process, args=(url, seed, 8 * self.ROUNDS, results, together))
            for seed in (1, 2)
        ]
        for writer in writers:
            writer.start()
        seen: list[EventRow] = []
        acknowledged: list[Acknowledged] = []
        while any(writer.is_alive() for writer in writers):
            if not results.empty():  # A full pipe would hold a writer back.
                acknowledged.append(results.get())
            page = store.read_log(len(seen), 1000)
            # Had a position been skipped before, or come after a later one, it would show here.
            assert list(range(len(seen) + 1, len(seen) + len(page) + 1)) == [row.position for row in page]
            seen += page
            time.sleep(0.002)
        seen += store.read_log(len(seen), 100_000)
        acknowledged += _gather(writers, results)

        assert seen == whole_log(store)
        _check_race(store, acknowledged)

    @pytest.mark.timeout(120)
    def test_processes_that_start_at_once_on_an_empty_database_all_succeed(self, url: str) -> None:
        results, together = spawn.SimpleQueue(), spawn.Barrier(4)
        starters = [spawn.Process(target=_start_at_once, args=(url, seed, results, together)) for seed in range(4)]
        for starter in starters:
            starter.start()
        acknowledged = _gather(starters, results)

        store = open_store(url)
        try:
            _check_race(store, acknowledged)
        finally:
            store.close()

    # Listening.

    def test_listeners_hear_of_appends_of_this_and_of_other_stores(self, store: Store, twin: Store) -> None:
        heard: dict[str, int] = {}
        changed = threading.Condition()

        def hear(name: str) -> Callable[[int], None]:
            def wake(position: int) -> None:
                with changed:
                    heard[name] = max(position, heard.get(name, 0))
                    changed.notify_all()

            return wake

        store.listen(hear("store"))
        twin.listen(hear("twin"))
        put(store, append(event(ALICE, 1)))
        put(twin, append(event(ALICE, 2)))

        with changed:
            assert changed.wait_for(lambda: heard == {"store": 2, "twin": 2}, timeout=2.0), heard

    def test_listeners_have_been_told_when_an_append_returns(self, store: Store) -> None:
        heard: list[int] = []
        store.listen(heard.append)

        _, head = store.append([append(event(ALICE, 1), event(ALICE, 2))], 0, NOON, 0)

        assert head.position in heard

    # Faults.

    def test_a_closed_store_says_so(self, store: Store) -> None:
        store.close()
        store.close()

        with pytest.raises(StoreClosed):
            store.append([append(event(ALICE, 1))], 0, NOON, 0)
        with pytest.raises(StoreClosed):
            store.head()

    def test_an_error_before_the_commit_leaves_nothing(self, store: Store) -> None:
        for place in ("append.before_lock", "append.after_lock"):
            fault_points.install(fault_points.parse(f"{place}:1:raise"))
            with pytest.raises(fault_points.FaultRaised):
                put(store, append(event(ALICE, 1), request=1))
            fault_points.install(None)

            assert Head(0, 0) == store.head()
        assert [Appended(1, 1, NOON)] == put(store, append(event(ALICE, 1), request=1))

    def test_an_error_of_the_commit_leaves_the_outcome_unknown(self, url: str, store: Store) -> None:
        fault_points.install(fault_points.parse("append.before_commit:1:eio"))

        with pytest.raises(OutcomeUnknown):
            put(store, append(event(ALICE, 1), request=1))

        fault_points.install(None)
        after = open_store(url)
        try:
            outcomes = put(after, append(event(ALICE, 1), request=1), known_head=0)
            assert 1 == after.head().position
            assert {Appended, Repeated} >= {type(outcome) for outcome in outcomes}
        finally:
            after.close()

    def test_an_error_after_the_commit_leaves_the_outcome_unknown_and_the_events_there(
        self, url: str, store: Store
    ) -> None:
        fault_points.install(fault_points.parse("append.after_commit:1:raise"))

        with pytest.raises(OutcomeUnknown):
            put(store, append(event(ALICE, 1), request=1))

        fault_points.install(None)
        after = open_store(url)
        try:
            (outcome,) = put(after, append(event(ALICE, 1), request=1), known_head=0)
            assert isinstance(outcome, Repeated)
            assert (1, 1) == (outcome.request.first_position, outcome.request.last_position)
        finally:
            after.close()

    @pytest.mark.timeout(180)
    @pytest.mark.parametrize(
        "place",
        ["before_lock", "after_lock", "after_insert", "before_commit", "after_commit"],
    )
    def test_a_writer_that_is_killed_loses_nothing_acknowledged_and_tears_nothing(self, url: str, place: str) -> None:
        store = open_store(url)
        try:
            results = spawn.SimpleQueue()
            writer = spawn.Process(target=_race_until_killed, args=(url, f"append.{place}:20:kill", results))
            writer.start()
            acknowledged: Acknowledged = []
            while writer.is_alive() or not results.empty():
                while not results.empty():
                    acknowledged.append(results.get())
                writer.join(0.01)

            assert -9 == writer.exitcode
            _check_race(store, [acknowledged])
            # And whoever comes next can write.
            assert [Appended] == [type(outcome) for outcome in put(store, append(event(ALICE, 1)))]
        finally:
            store.close()

    def test_description_names_engine_and_version(self, store: Store) -> None:
        description = store.description()

        assert {"engine", "version"} <= set(description)
        assert all(isinstance(value, str) for value in description.values())
        assert all(isinstance(warning, str) for warning in store.warnings())


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


def _gather(
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


def _race_in_process(
    url: str, seed: int, rounds: int, results: "multiprocessing.SimpleQueue[Acknowledged]", together: Barrier
) -> None:
    store = open_store(url)
    together.wait()
    try:
        results.put(race(store, seed, rounds))
    finally:
        store.close()


def _start_at_once(
    url: str, seed: int, results: "multiprocessing.SimpleQueue[Acknowledged]", together: Barrier
) -> None:
    together.wait()
    store = open_store(url)
    try:
        results.put(race(store, seed, 2))
    finally:
        store.close()


def _race_until_killed(url: str, fault: str, results: "multiprocessing.SimpleQueue[tuple[int, Appended]]") -> None:
    store = open_store(url)
    fault_points.install(fault_points.parse(fault))
    race(store, 7, 1000, results.put)


def _check_race(store: Store, acknowledged: Sequence[Acknowledged]) -> None:
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
