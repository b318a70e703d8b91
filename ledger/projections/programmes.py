"""The projection `programmes`: the rows that reports on a whole organization are made of (`ledger/report/rows.py`).

A relationship that a batch touched is folded anew, and its rows take the place of those that were there. Rows rest on
some parts of what the organization has published; each organization has a row that says on which (`ledger/report/
basis.py`), as of the record time of its last event. When that differs, all its relationships are folded anew. So what
is kept is a function of the log, whatever the batches; and where a policy comes into force while nothing is recorded, a
reader sees that the rows rest on another one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from ledger.domain.identifiers import (
    customer_of,
    is_relationship,
    organization_of,
    organization_range,
    policy_stream,
)
from ledger.domain.policy import PolicyState
from ledger.log.reading import facts
from ledger.log.store import EventRow, Store
from ledger.measure.outlook import Outlook, outlook_of
from ledger.projections.database import Query
from ledger.projections.histories import STREAMS, histories, stream_pages
from ledger.projections.tables import OWNER, Changes, Column, Kept, Merge, Owner, Row, Rows, Table
from ledger.report import rows as shapes
from ledger.report.basis import basis_of
from ledger.report.rows import KINDS, Folded, rows_of

_LATEST: Final = Merge.LATEST


def _table(name: str, *columns: Column) -> Table:
    return Table(name, (*OWNER, *columns))


def _keys(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, Merge.KEY) for name in names)


def _words(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, Merge.KEY, text=True) for name in names)


def _values(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, _LATEST) for name in names)


TABLES: Final[dict[type[Any], Table]] = {
    shapes.Person: _table(
        "programme_persons", *_values("bought", "sessions", "back_after", "purchases", "bought_back_after")
    ),
    # Words are parts of keys, for only those are text; a position alone is one already.
    shapes.Join: _table("programme_joins", *_words("programme"), *_keys("month"), *_values("time")),
    shapes.ActDay: _table("programme_days", *_keys("day"), *_values("first_time", "last_time")),
    shapes.Solicitation: _table(
        "programme_solicitations",
        *_keys("position"),
        *_words("campaign", "programme", "asset"),
        *_values(
            "delivered_time", "outcome", "tactic", "seconds", "units", "legal_basis", "followed", "rated", "relevant"
        ),
    ),
    shapes.Request: _table("programme_requests", *_keys("position"), *_values("time", "answered_time")),
    shapes.Conduct: _table(
        "programme_contacts", *_keys("position"), *_values("time", "needing", "decided", "honoured")
    ),
    shapes.Judgement: _table(
        "programme_judgements", *_keys("our_function"), *_words("slug"), *_values("position", "until_time")
    ),
}
"""By kind of row: the owner, then the fields of the row in their order."""
BASES: Final = _table("programme_bases", *_values("basis", "policy_version", "latest_time"))
"""One row for each organization; its `customer_id` is `@policy`.

`policy_version`: of its policy stream. `latest_time`: record time of its last event, in microseconds.
"""
POLICY: Final = customer_of(policy_stream(""))

_PUBLISHED_MAX: Final = 64
"""Organizations, about, whose publications are kept from batch to batch."""
_WEIGHT: Final = 4
"""For how many relationships of a projection that adds up one counts here, whose history is read whole."""


class Base(NamedTuple):
    """On what the rows of an organization rest."""

    basis: int = 0
    """0: it has no event."""
    policy_version: int = 0
    latest_time: int = 0
    """Microseconds."""


class Published:
    """What organizations have published, kept from batch to batch. Shared by threads."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Store, dict[tuple[str, int], PolicyState]] = WeakKeyDictionary()

    def at(self, store: Store, organization_id: str, version: int) -> PolicyState:
        """Return it up to a version of the organization's policy stream; not to be changed."""
        known = self._known.setdefault(store, {})
        found = known.get((organization_id, version))
        if found is None:
            found = PolicyState()
            for fact in facts(store.read_stream(policy_stream(organization_id), 0, version) if version else []):
                found.evolve(fact)
            if len(known) >= _PUBLISHED_MAX:
                known.clear()
            known[organization_id, version] = found
        return found


class Programmes:
    """The projection."""

    name: Final = "programmes"
    fold_version: Final = 1
    tables: Final = (*TABLES.values(), BASES)

    def __init__(self) -> None:
        self.published = Published()

    def begin(self, store: Store, kept: Kept) -> "ProgrammesFolding":  # noqa: ARG002  # Read when all is collected.
        """Return what folds one batch."""
        return ProgrammesFolding(kept, self.published)


class ProgrammesFolding:
    """Collects which relationships a batch touched."""

    def __init__(self, kept: Kept, published: Published) -> None:
        self._kept = kept
        self._published = published
        self._touched: dict[str, None] = {}
        self._latest: dict[str, int] = {}
        """By organization: record time of the last event. Microseconds."""
        self._versions: dict[str, int] = {}
        """By organization: version of its policy stream, where the batch has something of it."""

    def fold(self, rows: Iterable[EventRow]) -> None:
        """Take in some events, in order of position."""
        for row in rows:
            stream_id = row.stream_id
            organization_id = organization_of(stream_id)
            if is_relationship(stream_id):
                self._touched[stream_id] = None
            elif stream_id == policy_stream(organization_id):
                self._versions[organization_id] = row.version
            else:
                continue
            self._latest[organization_id] = row.record_time

    @property
    def size(self) -> int:
        """For how many relationships changes are collected, in terms of those that only add up."""
        return len(self._touched) * _WEIGHT

    def changes(self, store: Store, to: int) -> Changes:
        """Return what they change."""
        touched: dict[str, list[str]] = {}
        for stream_id in sorted(self._touched):
            touched.setdefault(organization_of(stream_id), []).append(stream_id)
        changes, bases = Changes(), list[Row]()
        parts = list[Iterator[tuple[Owner, Rows]]]()
        whole = list[tuple[str, Outlook]]()
        for organization_id, latest in self._latest.items():
            before = self._base(organization_id)
            version = self._versions.get(organization_id, before.policy_version)
            outlook = outlook_of(self._published.at(store, organization_id, version), latest)
            base = Base(basis_of(outlook), version, latest)
            bases.append((organization_id, POLICY, *base))
            if before.basis in {0, base.basis}:
                streams = touched.get(organization_id, [])
                changes.cleared += map(_owner, streams)
                parts.append(_made(store, streams, outlook, to))
            else:
                changes.cleared += _everybody(store, organization_id)
                whole.append((organization_id, outlook))
        # What was touched is folded before the transaction begins; whole organizations are too large for that.
        changes.rows = _together(parts)
        changes.rows[BASES.name] = bases
        changes.more = (rows for each in whole for rows in _all(store, *each, to))
        return changes

    def _base(self, organization_id: str) -> Base:
        for row in self._kept.rows(BASES, [(organization_id, POLICY)]):
            return Base._make(map(int, row[2:]))
        return Base()


def base_of(query: Query, organization_id: str) -> Base:
    """Return on what the rows of an organization rest."""
    found = query.rows(
        f"SELECT basis, policy_version, latest_time FROM {query.tables[BASES.name]} "  # noqa: S608  # A name of ours.
        "WHERE organization_id = ? AND customer_id = ?",
        (organization_id, POLICY),
    )
    return Base._make(found[0]) if found else Base()


def kept_rows(query: Query, organization_id: str, kinds: Sequence[type[Any]], after: str = "") -> Iterator[shapes.Rows]:
    """Yield the rows of some kinds of an organization's relationships after a customer, in the order of their ids."""
    sources = [_Source(query, organization_id, kind, after) for kind in kinds]
    while left := [each.customer_id for each in sources if each.customer_id is not None]:
        rows = shapes.Rows(min(left))
        for source in sources:
            rows.by_kind[source.kind] = source.take(rows.customer_id)
        yield rows


class _Source:
    """The rows of one table, customer by customer."""

    def __init__(self, query: Query, organization_id: str, kind: type[Any], after: str) -> None:
        table = TABLES[kind]
        names = ", ".join(column.name for column in table.columns[1:])
        order = ", ".join(table.key[1:])
        pages = query.pages(
            f"SELECT {names} FROM {query.tables[table.name]} "  # noqa: S608  # Names of ours.
            f"WHERE organization_id = ? AND customer_id > ? ORDER BY {order}",
            (organization_id, after),
        )
        self.kind = kind
        self._rows = (row for page in pages for row in page)
        self._row = next(self._rows, None)

    @property
    def customer_id(self) -> str | None:
        """Whose rows come next; None: there are no more."""
        return None if self._row is None else str(self._row[0])

    def take(self, customer_id: str) -> list[Any]:
        """Return the rows of a customer, if they come next."""
        found = []
        while self._row is not None and self._row[0] == customer_id:
            found.append(self.kind(*self._row[1:]))
            self._row = next(self._rows, None)
        return found


def _all(store: Store, organization_id: str, outlook: Outlook, to: int) -> Iterator[Rows]:
    """Yield the rows of all relationships of an organization, a portion at a time."""
    for names in stream_pages(store, *organization_range(organization_id)):
        yield _together([_made(store, names, outlook, to)])


def _everybody(store: Store, organization_id: str) -> Iterator[Owner]:
    for names in stream_pages(store, *organization_range(organization_id)):
        yield from (_owner(name) for name in names if is_relationship(name))


def _made(store: Store, stream_ids: Sequence[str], outlook: Outlook, to: int) -> Iterator[tuple[Owner, Rows]]:
    """Yield the rows of some relationships by table, each with its owner."""
    for at in range(0, len(stream_ids), STREAMS):
        for stream_id, pages in histories(store, stream_ids[at : at + STREAMS], to):
            folded, owner = Folded(), _owner(stream_id)
            for page in pages:
                folded.feed(facts(page))
            made = rows_of(owner[1], folded.record, outlook, folded.recorded - outlook.rules.window, KINDS)
            yield owner, {TABLES[kind].name: [(*owner, *row) for row in made.of(kind)] for kind in KINDS}


def _together(parts: Iterable[Iterator[tuple[Owner, Rows]]]) -> Rows:
    found: Rows = {table.name: [] for table in TABLES.values()}
    for part in parts:
        for _, rows in part:
            for name, of_table in rows.items():
                found[name] += of_table
    return found


def _owner(stream_id: str) -> Owner:
    return organization_of(stream_id), customer_of(stream_id)
