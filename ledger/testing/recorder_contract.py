"""What every store must do.

Subclass `StoreContract` in a test module and say where a fresh database is, and how a statement is executed by hand:

    class TestSqliteStore(StoreContract):
        @pytest.fixture
        def url(self, tmp_path: Path) -> str:
            return sqlite_url(tmp_path / "ledger.db")

Each test stands for a rule of `Store`; several processes, threads and clocks take part where a rule is about them.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.log.recorders import open_store
from ledger.log.store import Append, Appended, Conflict, Head, Outcome, Repeated, RequestRow, Store
from ledger.testing.race_contract import RaceRules
from ledger.testing.store_samples import (
    ALICE,
    BOB,
    CAROL,
    NOON,
    append,
    check_log,
    event,
    key,
    put,
    whole_log,
)


class StoreContract(RaceRules):
    """Tests that every store passes. `url` is the address of a fresh, empty database, a new one for each test."""

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
