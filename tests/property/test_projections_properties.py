"""Rows are the fold of every stream, whatever the batches, deaths and rebuilds on the way (I10, I15)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.domain.relationship import RelationshipState
from ledger.log.reading import facts
from ledger.log.recorders import open_store, sqlite_url
from ledger.projections.advancing import advance
from ledger.projections.balances import PERSPECTIVES, Worth
from ledger.projections.database import CheckpointMoved
from ledger.projections.listing import Account, Balances, Key, Listing, Order
from ledger.projections.rebuilding import Rebuild
from ledger.projections.relationships import Relationships
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.testing import fault_points
from tests.projection_log import SPAN, START, Log, rows_by_fold, rows_of

PROJECTION = Relationships()

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grow"), st.integers(1, 40)),
        st.tuples(st.just("advance"), st.integers(1, 60)),
        st.tuples(st.just("die before the commit"), st.integers(1, 60)),
        st.tuples(st.just("die after the commit"), st.integers(1, 60)),
        st.tuples(st.just("act on what was"), st.integers(1, 60)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("rebuild"), st.just(0)),
    ),
    min_size=3,
    max_size=20,
)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
    fault_points.install(None)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), steps=STEPS)
@pytest.mark.timeout(180)
def test_rows_equal_the_fold_at_every_checkpoint(seed: int, steps: list[tuple[str, int]]) -> None:
    with folder() as path:
        store = open_store(sqlite_url(path / "events.db"))
        log = Log(store, seed, customers=3)
        log.grow(20)
        database = SqliteDatabase(path / "projections.db")
        known = old = database.create(PROJECTION, "log", built_time=START, ready_position=0, live=True)
        for step, number in steps:
            match step:
                case "grow":
                    log.grow(number)
                case "advance":
                    old, known = known, advance(PROJECTION, database, store, known, log.head, number)
                case "die before the commit" | "die after the commit":
                    when = step.split()[1]
                    fault_points.install(fault_points.parse(f"projection.{when}_commit:1:raise"))
                    try:
                        known = advance(PROJECTION, database, store, known, log.head, number)
                    except fault_points.FaultRaised:
                        database.close()
                        database = SqliteDatabase(path / "projections.db")
                    fault_points.install(None)
                case "act on what was" if old.position < known.position:
                    with pytest.raises(CheckpointMoved):
                        advance(PROJECTION, database, store, old, log.head, number)
                case "restart":
                    database.close()
                    database = SqliteDatabase(path / "projections.db")
                case "rebuild":
                    rebuild = Rebuild(
                        projection=PROJECTION, database=database, store=store, log_id="log", clock=lambda: START
                    )
                    rebuild.run()
                    assert 0 == rebuild.progress.rows_different
                case _:
                    pass
            found = database.live(PROJECTION)
            assert found is not None
            assert known.position <= found.position
            if found != known:
                old = known = found
            position, rows = rows_of(database)
            assert (known.position, rows_by_fold(store, position)) == (position, rows)
        database.close()
        store.close()


BALANCES = st.builds(
    Balances,
    perspective=st.sampled_from(PERSPECTIVES),
    index_min=st.none() | st.integers(-(10**6), 10**6),
    index_max=st.none() | st.integers(-(10**6), 10**6),
    confidence_min=st.none() | st.integers(0, 10**6),
    net_min=st.none() | st.sampled_from([-(10**12), -(10**10), 0, 1]),
    net_max=st.none() | st.sampled_from([10**12, 10**10, 0, -1]),
)
LISTINGS = st.builds(
    Listing,
    organization_id=st.just("org-0"),
    # The detector's levels know the order by next crossing, this index does not.
    order=st.sampled_from([order for order in Order if order is not Order.NEXT_CROSSING_ASCENDING]),
    balances=st.builds(Balances, perspective=st.sampled_from(PERSPECTIVES)) | BALANCES,
    customer_id_prefix=st.sampled_from(["", "c-", "c-1", "c-11", "d"]),
    first_occur_time_from=st.none() | st.integers(START - 10**9, START),
    last_occur_time_from=st.none() | st.integers(START - 10**9, START),
    last_occur_time_before=st.none() | st.integers(START - 10**9, START),
    interactions_min=st.integers(0, 4),
    exchanges_min=st.integers(0, 4),
    account=st.sampled_from([Account(1, "EUR/2"), Account(1, "USD/2"), Account(2, "CD/0"), Account(2, "EUR/2")]),
    units_min=st.integers(0, 3),
    units_max=st.integers(0, 6) | st.just(0) | st.just(10**12),
)


Listable = tuple[SqliteDatabase, dict[str, RelationshipState], dict[tuple[str, int], Worth]]


@pytest.fixture(scope="module")
def listed_log() -> Iterator[Listable]:
    with folder() as path:
        store = open_store(sqlite_url(path / "events.db"))
        log = Log(store, 5, customers=14)
        log.grow(220)
        log.append([log.published_policy("org-0", START - SPAN)])
        database = SqliteDatabase(path / "projections.db")
        generation = database.create(PROJECTION, "log", built_time=START, ready_position=0, live=True)
        advance(PROJECTION, database, store, generation, log.head)
        states = {}
        for stream in log.streams:
            state = states[stream] = RelationshipState()
            for fact in facts(store.read_stream(stream)):
                state.evolve(fact)
        rows = rows_by_fold(store, log.head)["relationship_balances"]
        worths = {
            (str(customer), int(perspective)): Worth._make(map(int, worth))
            for organization, customer, perspective, *worth in rows
            if organization == "org-0"
        }
        assert len(worths) == 28
        yield database, states, worths
        database.close()
        store.close()


@settings(max_examples=300)
@given(listing=LISTINGS, limit=st.integers(1, 6))
def test_the_index_lists_what_the_states_say_page_by_page(listed_log: Listable, listing: Listing, limit: int) -> None:
    database, states, worths = listed_log
    balances = listing.balances
    assert balances is not None
    expected = []
    for stream, state in states.items():
        organization, customer = stream.split("/")
        worth = worths.get((customer, balances.perspective))
        place = listing.place(customer, state, worth) if organization == "org-0" and state.version else None
        if place is not None:
            expected.append((place, worth))
    expected.sort(key=lambda each: listing.rank(each[0]))

    found: list[tuple[Key, Worth | None]] = []
    while True:
        after = found[-1][0] if found else None
        page = database.read(PROJECTION, lambda query, after=after: listing.ask(query, after, limit))  # type: ignore[misc]
        assert page is not None
        found += [(each.key, each.worth) for each in page]
        if len(page) < limit:
            break

    assert expected == found
