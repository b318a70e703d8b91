"""Parts of projections by themselves: differences, merging, tokens, databases that are closed or not ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.amounts import INT64_MAX
from ledger.domain.errors import Rejected, StoreClosed, StoreFailed
from ledger.log.envelope import join_state, split_state
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import EventRow, Store
from ledger.projections.database import Database, Difference, Generation, differences
from ledger.projections.listing import after_prefix
from ledger.projections.projector import rest_s
from ledger.projections.relationships import Relationships
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.projections.tables import OWNER, Changes, Column, Folding, Kept, Merge, Owner, Row, Table
from ledger.testing import fault_points
from rapport.events.v1.exchange_pb2 import CATEGORY_DISCOUNT, CATEGORY_GOODS, PARTY_CUSTOMER, ExchangeRecorded, Leg
from rapport.relationship.v1.relationship_service_pb2 import ListRelationshipsRequest, ListTimelineRequest
from rapport.type.v1.amount_pb2 import Amount
from services.relationship import page_tokens
from tests.projection_log import START, Log, rows_by_fold, rows_of
from tests.stored_log import state


class Counting:
    """A projection with one table, whose rows tests make themselves."""

    name = "counting"
    fold_version = 1
    tables = (
        Table(
            "counts",
            (*OWNER, Column("n", Merge.ADD), Column("first", Merge.LEAST), Column("last", Merge.GREATEST)),
        ),
    )

    def begin(self, store: Store, kept: Kept) -> Folding:  # noqa: ARG002
        raise AssertionError("no events here")


class Nothing:
    """What an empty generation has."""

    position = 0

    def rows(self, table: Table, owners: Sequence[Owner]) -> list[Row]:  # noqa: ARG002
        return []


PROJECTION = Counting()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = SqliteDatabase(tmp_path / "projections.db")
    yield database
    database.close()


@pytest.fixture
def fill(database: Database) -> Callable[..., Generation]:
    def filled(*rows: tuple[Any, ...]) -> Generation:
        generation = database.create(PROJECTION, "log", built_time=START, ready_position=0, live=True)
        return database.apply(PROJECTION, generation, 1, Changes(rows={"counts": list(rows)}))

    return filled


def difference(database: Database, one: Generation, other: Generation) -> Difference:
    with database.snapshot() as session:
        *_, found = differences(session, PROJECTION, one, other)
    return found


def row(customer: str, n: int = 1) -> tuple[str, str, int, int, int]:
    return ("acme", customer, n, 1, 1)


def test_equal_generations_do_not_differ(database: Database, fill: Callable[..., Generation]) -> None:
    rows = [row(f"c-{number:04}") for number in range(2_500)]

    assert Difference() == difference(database, fill(*rows), fill(*rows))
    assert Difference() == difference(database, fill(), fill())


@pytest.mark.parametrize("at", [0, 999, 1_000, 1_001, 2_499])
def test_every_row_that_differs_is_counted_and_the_first_named(
    database: Database, fill: Callable[..., Generation], at: int
) -> None:
    rows = [row(f"c-{number:04}") for number in range(2_500)]
    whole = fill(*rows)

    missing = difference(database, whole, fill(*rows[:at], *rows[at + 1 :]))
    added = difference(database, fill(*rows[:at], *rows[at + 1 :]), whole)
    changed = difference(database, whole, fill(*rows[:at], row(f"c-{at:04}", 2), *rows[at + 1 :]))

    assert [Difference(1, f"counts acme c-{at:04}")] * 3 == [missing, added, changed]


def test_differences_are_found_on_both_sides(database: Database, fill: Callable[..., Generation]) -> None:
    one, other = fill(row("a"), row("b"), row("d")), fill(row("b", 2), row("c"), row("d"), row("e"))

    assert Difference(4, "counts acme a") == difference(database, one, other)


def test_batches_merge_as_their_columns_say(database: Database, fill: Callable[..., Generation]) -> None:
    generation = fill(("acme", "a", 5, 10, 10), ("acme", "b", 1, 1, 1))

    for to, values in ((2, (3, 20, 20)), (3, (1, 5, 5)), (4, (INT64_MAX, 7, 7))):
        generation = database.apply(PROJECTION, generation, to, Changes(rows={"counts": [("acme", "a", *values)]}))

    with database.snapshot() as session:
        found = session.rows(f"SELECT * FROM {generation.table('counts')} ORDER BY customer_id")
    assert [("acme", "a", INT64_MAX, 5, 20), ("acme", "b", 1, 1, 1)] == found


def test_a_relationship_that_is_given_anew_loses_what_it_had(
    database: Database, fill: Callable[..., Generation]
) -> None:
    generation = fill(row("a", 5), row("b", 5))

    database.apply(PROJECTION, generation, 2, Changes([("acme", "a"), ("acme", "b")], {"counts": [row("a", 1)]}))

    with database.snapshot() as session:
        assert [row("a", 1)] == session.rows(f"SELECT * FROM {generation.table('counts')}")


def test_a_number_of_a_generation_is_never_used_again(database: Database, fill: Callable[..., Generation]) -> None:
    first = fill()
    database.drop(first)

    assert first.number < fill().number


def test_a_reader_sees_one_moment(database: Database, fill: Callable[..., Generation]) -> None:
    generation = fill(row("a"))

    with database.snapshot() as session:
        database.apply(PROJECTION, generation, 2, Changes(rows={"counts": [row("b")]}))
        assert [(1,)] == session.rows(f"SELECT count(*) FROM {generation.table('counts')}")
        assert [(1,)] == session.rows("SELECT position FROM projections")


def test_a_lock_is_held_once_and_let_go(database: Database) -> None:
    lock = database.try_lock("x")
    assert lock is not None

    assert database.try_lock("x") is None
    assert lock.held()
    lock.release()
    lock.release()
    again = database.try_lock("x")
    assert again is not None
    again.release()


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "projections.db")
    database.close()
    database.close()

    with pytest.raises(StoreClosed):
        database.live(PROJECTION)
    with pytest.raises(StoreClosed):
        database.create(PROJECTION, "log", built_time=START, ready_position=0, live=True)


def test_a_file_that_is_none_of_ours_is_told_and_may_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "projections.db"
    path.write_bytes(b"this is not a database, and long enough to be looked at" * 100)

    with pytest.raises(StoreFailed, match="may be deleted"):
        SqliteDatabase(path)


def test_units_of_several_categories_are_held_at_64_bits() -> None:
    amount = Amount(units=INT64_MAX, asset="EUR/2")
    categories = (CATEGORY_GOODS, CATEGORY_DISCOUNT)
    legs = [Leg(giver=PARTY_CUSTOMER, category=category, amount=amount) for category in categories]
    stored = join_state(split_state(state()).metadata, ExchangeRecorded(exchange_id="x", legs=legs).SerializeToString())
    folding = Relationships().begin(None, Nothing())  # type: ignore[arg-type]  # Nothing is undone, so nothing is read.
    folding.fold([EventRow(1, "acme/a", 1, "exchange.recorded.v1", START, b"", stored)])

    changes = folding.changes(None, 1)  # type: ignore[arg-type]  # The same.

    assert [("acme", "a", 1, "EUR/2", INT64_MAX)] == changes.rows["relationship_units"]


def test_only_topics_of_relationships_make_rows(tmp_path: Path, seed: int) -> None:
    store = open_store(sqlite_url(tmp_path / "events.db"))
    log = Log(store, seed)
    log.append([log.event("acme/@policy", "policy.asset_registered.v1", ListTimelineRequest())])
    log.append([log.event("@ledger/@log", "ledger.created.v1", ListTimelineRequest())])
    folding = Relationships().begin(store, Nothing())

    folding.fold(store.read_log(0, 10))

    changes = folding.changes(store, 2)
    assert not changes.cleared
    assert [] == [row for rows in (changes.rows, *changes.more) for of_table in rows.values() for row in of_table]
    store.close()


def test_a_fault_between_rows_and_checkpoint_leaves_neither(tmp_path: Path, seed: int) -> None:
    store = open_store(sqlite_url(tmp_path / "events.db"))
    log = Log(store, seed)
    log.grow(30)
    database = SqliteDatabase(tmp_path / "projections.db")
    generation = database.create(Relationships(), "log", built_time=START, ready_position=0, live=True)
    folding = Relationships().begin(store, Nothing())
    folding.fold(store.read_log(0, 30))
    fault_points.install(fault_points.parse("projection.before_commit:1:enospc"))

    with pytest.raises(OSError, match="space"):
        database.apply(Relationships(), generation, 30, folding.changes(store, 30))
    fault_points.install(None)

    assert (0, rows_by_fold(store, 0)) == rows_of(database)
    database.close()
    store.close()


@pytest.mark.parametrize("prefix", ["a", "c-1", "~", "Zz~"])
def test_after_a_prefix_comes_what_does_not_begin_with_it(prefix: str) -> None:
    assert prefix < prefix + "~" * 200 < after_prefix(prefix)


def test_a_token_gives_back_what_it_was_given() -> None:
    request = ListRelationshipsRequest(organization_id="acme", page_size=5)

    request.page_token = page_tokens.write(request, 7, -3, "c-1:~.x", INT64_MAX)
    request.page_size = 900

    assert [7, -3, "c-1:~.x", INT64_MAX] == page_tokens.read(request, int, int, str, int)


@pytest.mark.parametrize("damage", ["", "A", "é", "====", "AAAAAAAAAAAAAAAAAAAAAA", "Z" * 2_048])
def test_a_token_of_nobody_is_refused(damage: str) -> None:
    request = ListTimelineRequest(organization_id="acme", customer_id="a", page_token=damage)

    with pytest.raises(Rejected):
        page_tokens.read(request, int)


def test_a_token_is_of_one_request() -> None:
    request = ListTimelineRequest(organization_id="acme", customer_id="a")
    token = page_tokens.write(request, 1)
    other = ListTimelineRequest(organization_id="acme", customer_id="b", page_token=token)

    with pytest.raises(Rejected):
        page_tokens.read(other, int)
    other.customer_id = "a"
    with pytest.raises(Rejected):
        page_tokens.read(other, str)
    assert [1] == page_tokens.read(other, int)


@pytest.mark.parametrize(
    "took_s, times, rest",
    [(0.02, 0, 0.0), (0.02, 4, 0.08), (0.25, 4, 1.0), (9.0, 4, 1.0)],
    ids=["not at all", "in proportion", "at most", "no longer"],
)
def test_one_that_yields_rests_as_its_batches_take(took_s: float, times: int, rest: float) -> None:
    assert rest == rest_s(took_s, times)
