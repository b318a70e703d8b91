"""The projection `programmes`: the rows that reports on a whole organization are made of (`ledger/report/rows.py`).

Of a relationship that a batch touched those rows are written that are not as they were, where it is in memory
(`remembering.py`); else all of its rows, in the place of those that were there. Rows rest on some parts of what the
organization has published; each organization has a row that says on which (`ledger/report/basis.py`), as of the record
time of its last event. When that differs, all its relationships are folded anew. So what is kept is a function of the
log, whatever the batches; and where a policy comes into force while nothing is recorded, a reader sees that the rows
rest on another one.

Where there is nothing yet, everything is folded relationship by relationship, and not event by event: each once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from ledger.log.reading import facts, pages
from ledger.log.store import EventRow, Store
from ledger.measure.outlook import Outlook, outlook_of
from ledger.projections.advancing import Portion
from ledger.projections.database import Query
from ledger.projections.histories import histories, stream_pages
from ledger.projections.remembering import PIECES_MAX, Memory
from ledger.projections.tables import OWNER, Changes, Column, Kept, Merge, Owner, Row, Rows, Table
from ledger.report import rows as made
from ledger.report import shapes
from ledger.report.basis import basis_of
from ledger.report.rows import Folded, kept_since, rows_of

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
_BASES_MAX: Final = 10_000
"""Organizations, about, of which it is kept from batch to batch on what their rows rest."""
_PORTION_ROWS: Final = 8_192
"""Rows that are made and written together, about, where there is nothing yet."""
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


class Touched:
    """What some events touched."""

    def __init__(self) -> None:
        self.streams: dict[str, None] = {}
        """Relationships."""
        self.latest: dict[str, int] = {}
        """By organization: record time of the last event. Microseconds."""
        self.versions: dict[str, int] = {}
        """By organization: version of its policy stream, where there is something of it."""

    def take(self, row: EventRow) -> bool:
        """Take in an event; tell whether it is one of a relationship."""
        stream_id = row.stream_id
        organization_id = organization_of(stream_id)
        touches = is_relationship(stream_id)
        if touches:
            self.streams[stream_id] = None
        elif stream_id == policy_stream(organization_id):
            self.versions[organization_id] = row.version
        else:
            return False
        self.latest[organization_id] = row.record_time
        return touches


def _go_on() -> None:
    """Wait for nobody."""


class Programmes:
    """The projection."""

    name: Final = "programmes"
    fold_version: Final = 2
    tables: Final = (*TABLES.values(), BASES)

    def __init__(self, pieces_max: int = PIECES_MAX, turn: Callable[[], object] | None = None) -> None:
        """`pieces_max`: for how many events and rows memory is used, about. `turn`: called before each relationship."""
        self.published = Published()
        self.turn = turn or _go_on
        self._pieces_max = pieces_max
        self._memory = self._empty()
        self._basis: tuple[Outlook | None, int] = None, 0

    def afresh(self) -> "Programmes":
        """Return the projection with nothing in memory: for another generation."""
        return Programmes(self._pieces_max, self.turn)

    def begin(self, store: Store, kept: Kept) -> "ProgrammesFolding":  # noqa: ARG002  # Read when all is collected.
        """Return what folds one batch."""
        memory, self._memory = self._memory, self._empty()
        return ProgrammesFolding(kept, self, memory if memory.position == kept.position else self._empty())

    def end(self, memory: Memory[Base]) -> None:
        """Keep what a batch leaves in memory."""
        if len(memory.bases) > _BASES_MAX:
            memory.bases.clear()
        self._memory = memory

    def _empty(self) -> Memory[Base]:
        return Memory(self._pieces_max)

    def basis(self, outlook: Outlook) -> int:
        """Return what rows rest on under an outlook: most batches are made under that of the one before."""
        known, basis = self._basis
        if known is not outlook:
            basis = basis_of(outlook)
            self._basis = outlook, basis
        return basis

    def portions(self, store: Store, to: int) -> Iterator[Portion]:
        """Yield everything up to a position, for a generation that has nothing; the last portion has what they rest on.

        Memory holds the rows of some relationships at a time.
        """
        touched = Touched()
        for page in pages(store, 0, to):
            for row in page:
                touched.take(row)
            touched.streams.clear()
        bases: list[Row] = []
        for organization_id, latest in sorted(touched.latest.items()):
            version = touched.versions.get(organization_id, 0)
            outlook = outlook_of(self.published.at(store, organization_id, version), latest)
            yield from _all(store, organization_id, outlook, to)
            bases.append((organization_id, POLICY, basis_of(outlook), version, latest))
        yield Portion({BASES.name: bases}, 0)


class ProgrammesFolding:
    """Collects which relationships a batch touched."""

    def __init__(self, kept: Kept, projection: Programmes, memory: Memory[Base]) -> None:
        self._kept = kept
        self._projection = projection
        self._memory = memory
        self._touched = Touched()

    def fold(self, rows: Iterable[EventRow]) -> None:
        """Take in some events, in order of position."""
        by_stream: dict[str, list[EventRow]] = {}
        for row in rows:
            if self._touched.take(row):
                by_stream.setdefault(row.stream_id, []).append(row)
        for stream_id, of_stream in by_stream.items():
            self._projection.turn()
            self._memory.feed(stream_id, of_stream)

    @property
    def size(self) -> int:
        """For how many relationships changes are collected, in terms of those that only add up."""
        return len(self._touched.streams) * _WEIGHT

    def changes(self, store: Store, to: int) -> Changes:
        """Return what they change."""
        touched: dict[str, list[str]] = {}
        for stream_id in sorted(self._touched.streams):
            touched.setdefault(organization_of(stream_id), []).append(stream_id)
        changes, bases, memory = Changes(rows=_none()), list[Row](), self._memory
        whole = list[tuple[str, Outlook]]()
        for organization_id, latest in self._touched.latest.items():
            before = self._base(organization_id)
            version = self._touched.versions.get(organization_id, before.policy_version)
            outlook = outlook_of(self._projection.published.at(store, organization_id, version), latest)
            base = memory.bases[organization_id] = Base(self._projection.basis(outlook), version, latest)
            bases.append((organization_id, POLICY, *base))
            if before.basis in {0, base.basis}:
                self._put(changes, store, touched.get(organization_id, []), outlook, base.basis, to)
            else:
                memory.forget(touched.get(organization_id, []))  # What becomes of their rows is not told to them.
                changes.cleared += _everybody(store, organization_id)
                whole.append((organization_id, outlook))
        # What was touched is folded before the transaction begins; whole organizations are too large for that.
        changes.rows[BASES.name] = bases
        changes.more = (portion.rows for each in whole for portion in _all(store, *each, to))
        memory.position = to
        self._projection.end(memory)
        return changes

    def _put(
        self, changes: Changes, store: Store, stream_ids: list[str], outlook: Outlook, basis: int, to: int
    ) -> None:
        """Put in what changes of some relationships of an organization."""
        for stream_id, known in self._memory.each(store, stream_ids, to):
            self._projection.turn()
            owner, change = _owner(stream_id), known.change(outlook, basis)
            if change.whole:
                changes.cleared.append(owner)
            _add(changes.rows, owner, change.rows)

    def _base(self, organization_id: str) -> Base:
        found = self._memory.bases.get(organization_id)
        if found is None:
            for row in self._kept.rows(BASES, [(organization_id, POLICY)]):
                return Base._make(map(int, row[2:]))
        return found or Base()


def base_of(query: Query, organization_id: str) -> Base:
    """Return on what the rows of an organization rest."""
    found = query.rows(
        f"SELECT basis, policy_version, latest_time FROM {query.tables[BASES.name]} "  # noqa: S608  # A name of ours.
        "WHERE organization_id = ? AND customer_id = ?",
        (organization_id, POLICY),
    )
    return Base._make(found[0]) if found else Base()


def kept_rows(query: Query, organization_id: str, kinds: Sequence[type[Any]], after: str = "") -> Iterator[made.Rows]:
    """Yield the rows of some kinds of an organization's relationships after a customer, in the order of their ids."""
    sources = [_Source(query, organization_id, kind, after) for kind in kinds]
    while left := [each.customer_id for each in sources if each.customer_id is not None]:
        rows = made.Rows(min(left))
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


def _all(store: Store, organization_id: str, outlook: Outlook, to: int) -> Iterator[Portion]:
    """Yield the rows of all relationships of an organization, a portion at a time."""
    rows, count, events = _none(), 0, 0
    for names in stream_pages(store, *organization_range(organization_id)):
        for stream_id, history in histories(store, names, to):
            folded, owner = Folded(), _owner(stream_id)
            for page in history:
                folded.feed(facts(page))
                events += len(page)
            made_of = rows_of(owner[1], folded.record, outlook, kept_since(folded.recorded, outlook))
            count += _add(rows, owner, made_of.by_kind)
            if count >= _PORTION_ROWS:
                yield Portion(rows, events)
                rows, count, events = _none(), 0, 0
    yield Portion(rows, events)


def _everybody(store: Store, organization_id: str) -> Iterator[Owner]:
    for names in stream_pages(store, *organization_range(organization_id)):
        yield from (_owner(name) for name in names if is_relationship(name))


def _none() -> Rows:
    return {table.name: [] for table in TABLES.values()}


def _add(rows: Rows, owner: Owner, by_kind: Mapping[type[Any], list[Any]]) -> int:
    """Add rows of a relationship, and return how many they are."""
    count = 0
    for kind, of_kind in by_kind.items():
        if of_kind:
            rows[TABLES[kind].name] += [owner + row for row in of_kind]
            count += len(of_kind)
    return count


def _owner(stream_id: str) -> Owner:
    return organization_of(stream_id), customer_of(stream_id)
