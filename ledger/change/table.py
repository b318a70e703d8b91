"""Where changes are kept: what was announced, how each relationship stands, and how far the log was looked through.

The tables change in one transaction with the progress, which moves by compare-and-set. So each change is there once,
with its number, whoever restarts and whenever (I20). Changes are only ever added. All of it is derived: a loss of power
may take the last transactions away, and they are made again, byte for byte.
"""
# ruff: noqa: S608  # Names of columns come from this module; values are parameters.

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ledger.domain.times import END_OF_TIME
from ledger.projections.database import Database, Session
from ledger.projections.postgres_database import PostgresDatabase
from ledger.testing.fault_points import reach

LOCK: Final = "changes"
"""Held by the process that finds changes."""
NEVER: Final = END_OF_TIME
"""`due` of what no clock changes."""


class StoredChange(NamedTuple):
    """One announced change, as it is stored."""

    number: int
    """Its place among all changes, from 1, dense."""
    organization_id: str
    subject_id: str
    kind: int
    """A `ChangeKind`."""
    change_id: str
    body: bytes
    """A `RelationshipChange`."""


class Progress(NamedTuple):
    """How far changes are found."""

    log_id: str = ""
    position: int = 0
    """Every change up to this event is announced, but for a reevaluation that is under way."""
    log_time: int = 0
    """The log's own time: record time of that event. Microseconds."""
    number: int = 0
    """Of the last change."""
    events: int = 0
    """How many times a transaction moved it: what compare-and-set compares."""
    sweep: str = ""
    """A reevaluation under a new policy that is under way, as JSON; empty: none is."""
    leaf: str = ""
    """Leaf hash of the event at `position`, as hex: the log may be put back and grow to another past. Empty: there is
    none, or it is not known, in tables of an earlier release."""
    past: int = 0
    """How often announced changes were forgotten, because the log was another one: numbers of one past say nothing of
    another."""


class Watched(NamedTuple):
    """How a relationship, or what an organization publishes, stands with the detector."""

    organization_id: str
    customer_id: str
    """Of an organization's publications `@policy`."""
    due: int = NEVER
    """When the clock may change something. Microseconds."""
    version: int = 0
    """Of the stream, as last evaluated."""
    levels: str = ""
    """What is announced and what waits, as canonical JSON."""
    existing: int = 0
    lifecycle: int = 0
    band: int = 0
    broadcast: int = 0
    imbalanced: int = 0
    mismatched: int = 0
    shape: int = 0
    desired_slug: str = ""
    actual_slug: str = ""
    next_crossing: int = NEVER
    """When the clock may change a level that lists show. Microseconds."""
    personae: str = ""
    """Ids in order, each between spaces; empty: none."""
    rank: int = 1
    """What is due at one instant runs in the order of ranks: 0 of publications, then 1 of relationships."""

    @property
    def key(self) -> tuple[int, int, str, str]:
        """The order in which what is due is run."""
        return self.due, self.rank, self.organization_id, self.customer_id


class Aggregate(NamedTuple):
    """A cohort or a campaign: what its relationships add up to."""

    organization_id: str
    kind: int
    """A `SubjectKind`."""
    subject_id: str
    members: int = 0
    """Matured members, or matured solicitations."""
    hits: int = 0
    """Of those, who came back, or what was answered."""
    levels: str = ""
    """What is announced, as canonical JSON."""


_CHANGES: Final = "number, organization_id, subject_id, kind, change_id, body"
_WATCHED: Final = ", ".join(Watched._fields)
_AGGREGATES: Final = ", ".join(Aggregate._fields)
_PROGRESS: Final = ", ".join(Progress._fields)
_SOME: Final = 500
"""Rows that one statement asks for, at most."""


def _upsert(table: str, names: Sequence[str], keys: int) -> str:
    sets = ", ".join(f"{name} = excluded.{name}" for name in names[keys:])
    marks = ", ".join("?" * len(names))
    key = ", ".join(names[:keys])
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {sets}"


_UPSERT_WATCHED: Final = _upsert("watched", Watched._fields, 2)
_UPSERT_AGGREGATES: Final = _upsert("change_aggregates", Aggregate._fields, 3)


def create(database: Database) -> None:
    """Create the tables where they are missing. Any number of processes may try at once."""
    postgres = isinstance(database, PostgresDatabase)
    word, whole, raw = ('text COLLATE "C"', "bigint", "bytea") if postgres else ("TEXT", "INTEGER", "BLOB")
    levels = ", ".join(
        f"{name} {word if name in _WORDS else whole} NOT NULL" for name in Watched._fields if name not in _OWNER
    )
    owner = f"organization_id {word} NOT NULL, customer_id {word} NOT NULL"
    with database.writing() as session:
        if postgres:
            # Two processes may be the first at once, and IF NOT EXISTS does not make them wait for each other.
            session.rows("SELECT pg_advisory_xact_lock(?)", (_SCHEMA_LOCK,))
        for statement in (
            f"""CREATE TABLE IF NOT EXISTS changes (
                number {whole} PRIMARY KEY, organization_id {word} NOT NULL, subject_id {word} NOT NULL,
                kind {whole} NOT NULL, change_id {word} NOT NULL UNIQUE, body {raw} NOT NULL)""",
            "CREATE INDEX IF NOT EXISTS changes_1 ON changes (organization_id, number)",
            "CREATE INDEX IF NOT EXISTS changes_2 ON changes (organization_id, subject_id, number)",
            f"""CREATE TABLE IF NOT EXISTS watched (
                {owner}, {levels}, PRIMARY KEY (organization_id, customer_id))""",
            f"""CREATE INDEX IF NOT EXISTS watched_1
                ON watched (due, rank, organization_id, customer_id) WHERE due < {NEVER}""",
            "CREATE INDEX IF NOT EXISTS watched_2 ON watched (organization_id, next_crossing, customer_id)",
            f"""CREATE TABLE IF NOT EXISTS change_aggregates (
                organization_id {word} NOT NULL, kind {whole} NOT NULL, subject_id {word} NOT NULL,
                members {whole} NOT NULL, hits {whole} NOT NULL, levels {word} NOT NULL,
                PRIMARY KEY (organization_id, kind, subject_id))""",
            f"""CREATE TABLE IF NOT EXISTS change_progress (
                id {whole} PRIMARY KEY, log_id {word} NOT NULL, position {whole} NOT NULL, log_time {whole} NOT NULL,
                number {whole} NOT NULL, events {whole} NOT NULL, sweep {word} NOT NULL)""",
        ):
            session.change(statement)
        _add_columns(session, postgres, leaf=f"{word} NOT NULL DEFAULT ''", past=f"{whole} NOT NULL DEFAULT 0")


def _add_columns(session: Session, postgres: bool, **columns: str) -> None:
    """Add what tables of an earlier release lack of the progress: nothing that was found needs to be found again."""
    names = (
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name = 'change_progress'"
        if postgres
        else "SELECT name FROM pragma_table_info('change_progress')"
    )
    there = {name for (name,) in session.rows(names)}
    for name, column in columns.items():
        if name not in there:
            session.change(f"ALTER TABLE change_progress ADD COLUMN {name} {column}")


_OWNER: Final = frozenset({"organization_id", "customer_id"})
_WORDS: Final = frozenset({"levels", "desired_slug", "actual_slug", "personae"})
_SCHEMA_LOCK: Final = 0x7261_7070_6F72_7463
"""Any number that no other program is likely to lock."""


class ProgressMoved(Exception):
    """Somebody else has announced changes; nothing was changed."""


def progress(session: Session) -> Progress:
    """Return how far changes are found; (…, 0, …) before the first."""
    found = session.rows(f"SELECT {_PROGRESS} FROM change_progress WHERE id = 1")
    return Progress._make(found[0]) if found else Progress()


def begin_anew(session: Session, log_id: str) -> Progress:
    """Forget everything, and begin before the first event of a log."""
    before = progress(session)
    for table in ("changes", "watched", "change_aggregates", "change_progress"):
        session.change(f"DELETE FROM {table}")
    began = Progress(log_id, past=before.past + (before.number > 0))
    session.change(f"INSERT INTO change_progress (id, {_PROGRESS}) VALUES (1{', ?' * len(began)})", began)
    return began


def store(
    database: Database,
    before: Progress,
    after: Progress,
    changes: Sequence[StoredChange],
    watched: Iterable[Watched],
    aggregates: Iterable[Aggregate],
) -> None:
    """Add changes, replace how relationships stand, and move the progress: all of it, or nothing.

    Raises:
        ProgressMoved: it is not at `before` any more. Nothing was changed.
    """
    with database.writing() as session:
        moved = session.change(
            "UPDATE change_progress SET position = ?, log_time = ?, number = ?, events = ?, sweep = ?, leaf = ?"
            " WHERE id = 1 AND log_id = ? AND past = ? AND events = ?",
            (*after[1:7], before.log_id, before.past, before.events),
        )
        if moved != 1:
            raise ProgressMoved
        session.change_each(f"INSERT INTO changes ({_CHANGES}) VALUES (?, ?, ?, ?, ?, ?)", changes)
        session.change_each(_UPSERT_WATCHED, sorted(watched))
        session.change_each(_UPSERT_AGGREGATES, sorted(aggregates))
        reach("changes.before_commit")
    reach("changes.after_commit")


def watched_by(session: Session, owners: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Watched]:
    """Return how some relationships stand, by (organization_id, customer_id); those never seen are left out."""
    by_organization: dict[str, list[str]] = {}
    for organization_id, customer_id in owners:
        by_organization.setdefault(organization_id, []).append(customer_id)
    found: list[tuple[Any, ...]] = []
    for organization_id, customers in by_organization.items():
        for some in (customers[at : at + _SOME] for at in range(0, len(customers), _SOME)):
            where = f"organization_id = ? AND customer_id IN ({', '.join('?' * len(some))})"
            found += session.rows(f"SELECT {_WATCHED} FROM watched WHERE {where}", (organization_id, *some))
    return {(row[0], row[1]): Watched._make(row) for row in found}


def watched_due(session: Session, before: int, limit: int) -> list[Watched]:
    """Return the first that are due before an instant, in microseconds, in the order in which they are run."""
    rows = session.rows(
        f"SELECT {_WATCHED} FROM watched WHERE due < ? AND due < {NEVER}"
        " ORDER BY due, rank, organization_id, customer_id LIMIT ?",
        (before, limit),
    )
    return [Watched._make(row) for row in rows]


def watched_of(session: Session, organization_id: str, after: str, limit: int) -> list[Watched]:
    """Return relationships of an organization with customer_id > `after`, in order."""
    rows = session.rows(
        f"SELECT {_WATCHED} FROM watched WHERE organization_id = ? AND customer_id > ? AND rank = 1"
        " ORDER BY customer_id LIMIT ?",
        (organization_id, after, limit),
    )
    return [Watched._make(row) for row in rows]


def aggregates_of(session: Session, organization_id: str) -> list[Aggregate]:
    """Return all cohorts and campaigns of an organization, in order."""
    rows = session.rows(
        f"SELECT {_AGGREGATES} FROM change_aggregates WHERE organization_id = ? ORDER BY kind, subject_id",
        (organization_id,),
    )
    return [Aggregate._make(row) for row in rows]


def aggregate(session: Session, organization_id: str, kind: int, subject_id: str) -> Aggregate:
    """Return a cohort or a campaign, an empty one where there is none yet."""
    rows = session.rows(
        f"SELECT {_AGGREGATES} FROM change_aggregates WHERE organization_id = ? AND kind = ? AND subject_id = ?",
        (organization_id, kind, subject_id),
    )
    return Aggregate._make(rows[0]) if rows else Aggregate(organization_id, kind, subject_id)


class Dues(NamedTuple):
    """What the clock will look at."""

    relationships: int
    """That are watched over."""
    due: int
    """Of those, how many the clock will look at again."""
    next_due: int | None
    """When the first is due. Microseconds."""


def dues(session: Session) -> Dues:
    """Return how many are watched over, and how many are due."""
    ((relationships,),) = session.rows("SELECT count(*) FROM watched WHERE rank = 1")
    return Dues(relationships, due_count(session), next_due(session))


def due_count(session: Session) -> int:
    """Return how many relationships the clock will look at again."""
    ((count,),) = session.rows(f"SELECT count(*) FROM watched WHERE due < {NEVER} AND rank = 1")
    found: int = count
    return found


def next_due(session: Session) -> int | None:
    """Return when the first of all is due, in microseconds; None: nothing is."""
    ((first,),) = session.rows(f"SELECT min(due) FROM watched WHERE due < {NEVER}")
    found: int | None = first
    return found


def clock(database: Database) -> int | None:
    """Return the time of the clock of the database's own machine, in microseconds; None where it has none."""
    if not isinstance(database, PostgresDatabase):
        return None
    with database.snapshot() as session:
        ((now,),) = session.rows("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        found: int = now
        return found


def changes_after(
    session: Session, number: int, limit: int, organization_id: str | None, where: Mapping[str, Sequence[int | str]]
) -> list[StoredChange]:
    """Return at most `limit` changes with a greater number, in order. `where`: allowed values by column."""
    clauses, values = ["number > ?"], [number]
    parameters: list[Any] = values
    if organization_id is not None:
        clauses.append("organization_id = ?")
        parameters.append(organization_id)
    for column in ("subject_id", "kind"):
        if allowed := where.get(column):
            clauses.append(f"{column} IN ({', '.join('?' * len(allowed))})")
            parameters += allowed
    rows = session.rows(
        f"SELECT {_CHANGES} FROM changes WHERE {' AND '.join(clauses)} ORDER BY number LIMIT ?", (*parameters, limit)
    )
    return [StoredChange._make(row) for row in rows]
