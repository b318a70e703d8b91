"""Where projections are kept: apart from the events, each in numbered generations of its tables.

A generation is the tables of one fold, with a checkpoint: every event up to `position` is in them. Rows and checkpoint
change in one transaction, and the checkpoint by compare-and-set, so no batch is ever applied twice or by halves,
however many processes try (I10). A rebuild fills a generation beside the live one, and a swap makes it live.

Everything here can be thrown away: the log has it all. So no commit waits for the disk.
"""
# ruff: noqa: S608  # Names come from the tables that a projection declares and from numbers; values are parameters.

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from ledger.domain.amounts import INT64_MAX
from ledger.log.checkpoint import NOTHING
from ledger.projections.tables import OWNER, Changes, Column, Merge, Owner, Projection, Row, Rows, Table
from ledger.testing.fault_points import reach

T = TypeVar("T")

BUILDING: Final = "building"
LIVE: Final = "live"
DROPPED: Final = "dropped"
"""Kept so that no number is ever used again."""

REGISTER: Final = """
    CREATE TABLE IF NOT EXISTS projections (
        name text NOT NULL, number bigint NOT NULL, fold_version bigint NOT NULL, log_id text NOT NULL,
        position bigint NOT NULL, ready_position bigint NOT NULL, built_time bigint NOT NULL, state text NOT NULL,
        tables text NOT NULL, checkpoint text NOT NULL DEFAULT '', PRIMARY KEY (name, number)
    )"""
ADD_CHECKPOINT: Final = "ALTER TABLE projections ADD COLUMN checkpoint text NOT NULL DEFAULT ''"
"""For a register of an earlier release, which has no such column."""
_GENERATION: Final = (
    "name, number, fold_version, log_id, position, ready_position, built_time, state, tables, checkpoint"
)
_THIS: Final = "name = ? AND number = ?"
_OWNERS: Final = 500
"""Owners that one statement asks for, at most."""


class Generation(NamedTuple):
    """The tables of one fold, and how far it is."""

    name: str
    number: int
    """Counts the generations of a projection from 1."""
    fold_version: int
    log_id: str
    position: int
    """Checkpoint: every event up to here is in it."""
    ready_position: int
    """Head of the log when it was begun: before it has reached that, it is no answer to anything."""
    built_time: int
    """When it was begun. Microseconds."""
    state: str
    table_names: str
    """Of the tables, without number, parted by spaces: so that code which knows no such table can drop it."""
    checkpoint: str = NOTHING
    """What the log was at `position`, or at an earlier one (`log/checkpoint.py`)."""

    def table(self, name: str) -> str:
        """Return what a table is called in this generation."""
        return f"{name}_g{self.number}"

    @property
    def tables(self) -> Mapping[str, str]:
        """What each table is called in this generation."""
        return {name: self.table(name) for name in self.table_names.split()}


class CheckpointMoved(Exception):
    """Somebody else has moved the checkpoint, or dropped the generation; nothing was changed."""


class Session(Protocol):
    """A transaction that is under way. Parameters are `?`."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        ...

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Carry out a statement; return how many rows it changed."""
        ...

    def change_each(self, sql: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Carry out a statement for each of some parameters."""
        ...

    def pages(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield the rows of a query, however many, a page at a time."""
        ...


class Lock(Protocol):
    """A named lock that is held, across processes; let go when the process ends."""

    def held(self) -> bool:
        """Tell whether it is still held: one that hangs on a connection may be lost."""
        ...

    def release(self) -> None:
        """Let go. Calling it twice is the same as calling it once."""
        ...


class Standstill(NamedTuple):
    """A generation whose checkpoint nobody moves for the moment."""

    position: int
    swap: Callable[[Generation], None]
    """Make another generation live in its place. It is seen once the standstill ends."""


class Query:
    """Questions to one generation, all answered from one moment."""

    def __init__(self, session: Session, generation: Generation) -> None:
        self.generation = generation
        self.tables = generation.tables
        """What each table is called, to be put into SQL."""
        self.rows = session.rows
        self.pages = session.pages


class Database(ABC):
    """Generations of projections. Every method may be called from any thread, and may wait for a lock or a disk.

    All of them raise StoreFailed where the database does not answer, and StoreClosed once it is closed.
    """

    def generations(self, name: str) -> list[Generation]:
        """Return the generations of a projection that are not dropped, the youngest first."""
        with self.snapshot() as session:
            return _generations(session, name)

    def live(self, projection: Projection) -> Generation | None:
        """Return the live generation of a projection's fold version."""
        with self.snapshot() as session:
            return _live(session, projection)

    def create(
        self, projection: Projection, log_id: str, *, built_time: int, ready_position: int, live: bool
    ) -> Generation:
        """Return a new, empty generation."""
        with self.writing() as session:
            ((last,),) = session.rows(
                "SELECT coalesce(max(number), 0) FROM projections WHERE name = ?", (projection.name,)
            )
            generation = Generation(
                projection.name, last + 1, projection.fold_version, log_id, 0, ready_position, built_time,
                LIVE if live else BUILDING, " ".join(table.name for table in projection.tables),
            )  # fmt: skip
            session.change(f"INSERT INTO projections ({_GENERATION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", generation)
            for table in projection.tables:
                session.change(self._create_table(generation.table(table.name), table))
                if live:
                    self._create_indexes(session, generation, table)
        return generation

    def apply(
        self, projection: Projection, generation: Generation, to: int, changes: Changes, checkpoint: str = NOTHING
    ) -> Generation:
        """Make the changes of the events up to `to`, and move the checkpoint there; return what is now.

        `checkpoint`: what the log was there.

        Raises:
            CheckpointMoved: it is not at `generation.position` any more. Nothing was changed.
        """
        with self.writing() as session:
            # First, so that whoever comes second waits here, and then changes nothing.
            moved = session.change(
                f"UPDATE projections SET position = ?, checkpoint = ?"
                f" WHERE {_THIS} AND position = ? AND state <> 'dropped'",
                (to, checkpoint, generation.name, generation.number, generation.position),
            )
            if moved != 1:
                raise CheckpointMoved
            if changes.cleared:
                owner = " AND ".join(f"{column.name} = ?" for column in OWNER)
                for table in projection.tables:
                    session.change_each(f"DELETE FROM {generation.table(table.name)} WHERE {owner}", changes.cleared)
            self._merge_all(session, projection, generation, changes.rows)
            for rows in changes.more:
                self._merge_all(session, projection, generation, rows)
            reach("projection.before_commit")
        reach("projection.after_commit")
        return generation._replace(position=to, checkpoint=checkpoint)

    def index(self, projection: Projection, generation: Generation) -> None:
        """Make the indexes of a generation that was filled without them."""
        with self.writing() as session:
            for table in projection.tables:
                self._create_indexes(session, generation, table)

    def read(self, projection: Projection, ask: Callable[[Query], T]) -> T | None:
        """Return what `ask` finds out from the live generation, in one moment; None where there is none."""
        with self.snapshot() as session:
            generation = _live(session, projection)
            return None if generation is None else ask(Query(session, generation))

    def drop(self, generation: Generation) -> None:
        """Let a generation and all its rows go. One that is gone already is no fault."""
        with self.writing() as session:
            session.change(
                f"UPDATE projections SET state = 'dropped' WHERE {_THIS}", (generation.name, generation.number)
            )
            for name in generation.tables.values():
                session.change(f"DROP TABLE IF EXISTS {name}")

    def count(self, generation: Generation) -> int:
        """Return how many rows a generation has; 0 for one that is gone."""
        with self.snapshot() as session:
            if all(each.number != generation.number for each in _generations(session, generation.name)):
                return 0
            return sum(session.rows(f"SELECT count(*) FROM {name}")[0][0] for name in generation.tables.values())

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Session]:
        """Begin a transaction that reads, and sees one moment only: that of its beginning."""

    @abstractmethod
    def glance(self) -> AbstractContextManager[Session]:
        """Answer questions each from a moment of its own: for a single one that is enough, and cheaper."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Session]:
        """Begin a transaction that writes; it commits when the block ends well."""

    @abstractmethod
    def standstill(self, generation: Generation) -> AbstractContextManager[Standstill]:
        """Let nobody move a generation's checkpoint, in this process or another, while the block runs."""

    @abstractmethod
    def try_lock(self, name: str) -> Lock | None:
        """Return a lock across processes, or None where somebody else has it, this process included."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the database."""

    def _merge_all(self, session: Session, projection: Projection, generation: Generation, rows: Rows) -> None:
        for table in projection.tables:
            if of_table := rows.get(table.name):
                self._merge(session, generation.table(table.name), table, of_table)

    @abstractmethod
    def _create_table(self, name: str, table: Table) -> str:
        """Return the statement that creates a table."""

    @abstractmethod
    def _merge(self, session: Session, name: str, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Merge rows into a table, as its columns say."""

    @staticmethod
    def _create_indexes(session: Session, generation: Generation, table: Table) -> None:
        name = generation.table(table.name)
        for number, columns in enumerate(table.indexes, start=1):
            session.change(f"CREATE INDEX IF NOT EXISTS {name}_{number} ON {name} ({columns})")


class KeptRows:
    """The rows of a generation at its checkpoint, as `Kept` says.

    Each question sees a moment of its own, and that is enough: whoever changes rows moves the checkpoint with them.
    """

    def __init__(self, database: Database, generation: Generation) -> None:
        self.position: Final = generation.position
        self._database = database
        self._generation = generation

    def rows(self, table: Table, owners: Sequence[Owner]) -> list[Row]:
        """Return the rows of some owners, in no order.

        Raises:
            CheckpointMoved: somebody else has moved on.
        """
        by_organization: dict[str, list[str]] = {}
        for organization_id, customer_id in owners:
            by_organization.setdefault(organization_id, []).append(customer_id)
        found: list[Row] = []
        with self._database.snapshot() as session:
            self._check(session)
            select = f"SELECT {table.names} FROM {self._generation.table(table.name)}"
            for organization_id, customers in by_organization.items():
                for some in (customers[at : at + _OWNERS] for at in range(0, len(customers), _OWNERS)):
                    among = ", ".join("?" * len(some))
                    where = f"organization_id = ? AND customer_id IN ({among})"
                    found += session.rows(f"{select} WHERE {where}", (organization_id, *some))
        return found

    def _check(self, session: Session) -> None:
        name, number = self._generation.name, self._generation.number
        found = session.rows(f"SELECT position FROM projections WHERE {_THIS} AND state <> 'dropped'", (name, number))
        if found != [(self.position,)]:
            raise CheckpointMoved


class Difference(NamedTuple):
    """Rows that two generations do not share."""

    rows: int = 0
    first_key: str = ""
    """Of the first of them: table and key, parted by spaces. Empty: there is none."""


def differences(session: Session, projection: Projection, one: Generation, other: Generation) -> Iterator[Difference]:
    """Yield, ever again, what was found to differ so far; the last is the whole."""
    found = Difference()
    for table in projection.tables:
        order = ", ".join(table.key)
        rows_of = [
            session.pages(f"SELECT {table.names} FROM {generation.table(table.name)} ORDER BY {order}")
            for generation in (one, other)
        ]
        for key in _different(rows_of[0], rows_of[1], len(table.key)):
            if key:
                first = found.first_key or " ".join(map(str, (table.name, *key)))
                found = Difference(found.rows + 1, first)
            else:
                yield found
    yield found


def _different(
    one: Iterator[Sequence[tuple[Any, ...]]], other: Iterator[Sequence[tuple[Any, ...]]], key_columns: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the keys of rows that are not the same on both sides, in order; () once a page, as a sign of life."""
    mine, theirs = _Side(one, key_columns), _Side(other, key_columns)
    while mine.page or theirs.page:
        if mine.page == theirs.page:  # Nearly always, and without a look at each row.
            yield ()
            mine.turn()
            theirs.turn()
            continue
        key, their_key = mine.key(), theirs.key()
        if key == their_key:
            if mine.row() != theirs.row():
                yield key
            mine.step()
            theirs.step()
        elif not their_key or (key and key < their_key):
            yield key
            mine.step()
        else:
            yield their_key
            theirs.step()


class _Side:
    """One side of a comparison: `page` is what is left of the rows read."""

    def __init__(self, pages: Iterator[Sequence[tuple[Any, ...]]], key_columns: int) -> None:
        self._pages = pages
        self._key_columns = key_columns
        self.page: list[tuple[Any, ...]] = []
        self.turn()

    def turn(self) -> None:
        """Go to the next page."""
        self.page = list(next(self._pages, ()))
        self.page.reverse()

    def row(self) -> tuple[Any, ...]:
        return self.page[-1]

    def key(self) -> tuple[Any, ...]:
        """Return the key of the row; () at the end."""
        return self.page[-1][: self._key_columns] if self.page else ()

    def step(self) -> None:
        """Go to the next row."""
        self.page.pop()
        if not self.page:
            self.turn()


def merged(column: Column, name: str, least: str, greatest: str) -> str:
    """Return how an upsert sets a column that is no key. `least`, `greatest`: what the database calls them."""
    there, new = f"{name}.{column.name}", f"excluded.{column.name}"
    match column.merge:
        case Merge.LEAST:
            value = f"{least}({there}, {new})"
        case Merge.GREATEST:
            value = f"{greatest}({there}, {new})"
        case Merge.LATEST:
            value = new
        case _:
            value = f"CASE WHEN {there} > {INT64_MAX} - {new} THEN {INT64_MAX} ELSE {there} + {new} END"
    return f"{column.name} = {value}"


@cache
def upsert(name: str, table: Table, source: str, least: str, greatest: str) -> str:
    """Return the statement that merges rows of `source` into a table. There are few: some for each generation."""
    sets = ", ".join(merged(column, name, least, greatest) for column in table.columns if column.merge is not Merge.KEY)
    return f"INSERT INTO {name} ({table.names}) {source} ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {sets}"


def swap(session: Session, live: Generation, built: Generation) -> None:
    """Make a generation live in the place of another."""
    for generation, state in ((live, DROPPED), (built, LIVE)):
        session.change(f"UPDATE projections SET state = ? WHERE {_THIS}", (state, generation.name, generation.number))


def position_of(session: Session, generation: Generation, suffix: str = "") -> int:
    """Return the checkpoint of a generation.

    Raises:
        CheckpointMoved: it is live no more.
    """
    found = session.rows(
        f"SELECT position FROM projections WHERE {_THIS} AND state = 'live'{suffix}",
        (generation.name, generation.number),
    )
    if not found:
        raise CheckpointMoved
    position: int = found[0][0]
    return position


def _generations(session: Session, name: str) -> list[Generation]:
    found = session.rows(
        f"SELECT {_GENERATION} FROM projections WHERE name = ? AND state <> 'dropped' ORDER BY number DESC", (name,)
    )
    return [Generation._make(row) for row in found]


def _live(session: Session, projection: Projection) -> Generation | None:
    for generation in _generations(session, projection.name):
        if generation.state == LIVE and generation.fold_version == projection.fold_version:
            return generation
    return None
