"""Rules of a store that are about several writers, about being told, and about what goes wrong."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.domain.errors import OutcomeUnknown, StoreClosed
from ledger.log.recorders import open_store
from ledger.log.store import Appended, EventRow, Head, Repeated, Store
from ledger.testing import fault_points
from ledger.testing.store_samples import (
    ALICE,
    NOON,
    Acknowledged,
    append,
    check_race,
    event,
    fresh,
    gather,
    put,
    race,
    race_in_process,
    race_until_killed,
    start_at_once,
    whole_log,
)


class RaceRules:
    """Part of `StoreContract`."""

    # How many groups each of several writers writes where writers race. More finds more and takes longer.
    ROUNDS = 25

    @pytest.fixture(autouse=True)
    def _no_faults(self) -> Iterator[None]:
        yield
        fault_points.install(None)

    # Several writers.

    @pytest.mark.timeout(120)
    def test_twelve_threads_write_without_holes_forks_or_losses(self, store: Store) -> None:
        with ThreadPoolExecutor(12) as threads:
            acknowledged = list(threads.map(lambda seed: race(store, seed, self.ROUNDS), range(12)))

        check_race(store, acknowledged)

    @pytest.mark.timeout(180)
    def test_two_processes_write_and_a_reader_never_meets_a_hole_or_a_late_event(self, url: str, store: Store) -> None:
        results, together = fresh.SimpleQueue(), fresh.Barrier(2)
        writers = [
            fresh.Process(target=race_in_process, args=(url, seed, 8 * self.ROUNDS, results, together))
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
        acknowledged += gather(writers, results)

        assert seen == whole_log(store)
        check_race(store, acknowledged)

    @pytest.mark.timeout(120)
    def test_processes_that_start_at_once_on_an_empty_database_all_succeed(self, url: str) -> None:
        results, together = fresh.SimpleQueue(), fresh.Barrier(4)
        starters = [fresh.Process(target=start_at_once, args=(url, seed, results, together)) for seed in range(4)]
        for starter in starters:
            starter.start()
        acknowledged = gather(starters, results)

        store = open_store(url)
        try:
            check_race(store, acknowledged)
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
            results = fresh.SimpleQueue()
            writer = fresh.Process(target=race_until_killed, args=(url, f"append.{place}:20:kill", results))
            writer.start()
            acknowledged: Acknowledged = []
            while writer.is_alive() or not results.empty():
                while not results.empty():
                    acknowledged.append(results.get())
                writer.join(0.01)

            assert -9 == writer.exitcode
            check_race(store, [acknowledged])
            # And whoever comes next can write.
            assert [Appended] == [type(outcome) for outcome in put(store, append(event(ALICE, 1)))]
        finally:
            store.close()

    def test_description_names_engine_and_version(self, store: Store) -> None:
        description = store.description()

        assert {"engine", "version"} <= set(description)
        assert all(isinstance(value, str) for value in description.values())
        assert all(isinstance(warning, str) for warning in store.warnings())
