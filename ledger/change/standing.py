"""How relationships stand, to list them by: the levels that the detector last found, kept in columns.

They are levels of the last event that the answer reflects, crossings of the clock before its record time among them:
those of the measures themselves, not of what was announced, so nothing waits for a dwell here. Rows belong to
relationships only, and every relationship that has an event has one.
"""
# ruff: noqa: S608  # Names come from this module; values are parameters.

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from ledger.change import table
from ledger.change.balancing import imbalanced
from ledger.change.reading import Last, last_of
from ledger.change.reporting import KeptLevels, kept_levels
from ledger.change.table import NEVER
from ledger.measure import personae
from ledger.measure.measured import Measured
from ledger.measure.score import score_of
from ledger.measure.strength import band_of
from ledger.projections.database import Database, Query, Session


class Order(Enum):
    """In which order; ties by customer_id, in byte order."""

    CUSTOMER_ID = auto()
    NEXT_CROSSING = auto()
    """The earliest first; those that the clock will not change are left out."""


class Standing(NamedTuple):
    """Levels of one relationship."""

    customer_id: str
    exists: bool
    lifecycle: int
    """A `Lifecycle`."""
    band: int
    """A `StrengthBand`, without hysteresis."""
    broadcast: bool
    imbalanced: bool
    mismatched: bool
    shape: int
    """A `ContactShape`."""
    desired_slug: str
    """Empty: not declared."""
    actual_slug: str
    next_crossing: int | None
    """When the clock alone may change one of these. Microseconds. None: it will not."""
    personae: tuple[str, ...]
    """Ids in order."""
    version: int = 0
    """Of its stream, as last looked at."""

    @property
    def key(self) -> tuple[int, str]:
        """Its place in either order: next_crossing (0: none) and customer_id, to go on after."""
        return self.next_crossing or 0, self.customer_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which relationships; parts are ANDed, and what is None or empty restricts nothing."""

    organization_id: str
    customer_id_prefix: str = ""
    lifecycles: tuple[int, ...] = ()
    bands: tuple[int, ...] = ()
    shapes: tuple[int, ...] = ()
    exists: bool | None = None
    broadcast: bool | None = None
    imbalanced: bool | None = None
    mismatched: bool | None = None
    desired_slug: str = ""
    actual_slug: str = ""
    persona_id: str = ""
    next_crossing_before: int | None = None
    """Microseconds."""

    def admits(self, standing: "Standing") -> bool:
        """Tell whether a relationship of the organization is one of these: as the listing finds out by its columns."""
        return all((
            standing.customer_id.startswith(self.customer_id_prefix),
            not self.lifecycles or standing.lifecycle in self.lifecycles,
            not self.bands or standing.band in self.bands,
            not self.shapes or standing.shape in self.shapes,
            self.exists in {None, standing.exists},
            self.broadcast in {None, standing.broadcast},
            self.imbalanced in {None, standing.imbalanced},
            self.mismatched in {None, standing.mismatched},
            self.desired_slug in {"", standing.desired_slug},
            self.actual_slug in {"", standing.actual_slug},
            not self.persona_id or self.persona_id in standing.personae,
            self.next_crossing_before is None
            or (standing.next_crossing is not None and standing.next_crossing < self.next_crossing_before),
        ))  # fmt: skip


class StandingPage(NamedTuple):
    """Some relationships, and what the answer reflects."""

    standings: list[Standing]
    more: bool
    """Whether others follow the last of them."""
    last: Last


_COLUMNS: Final = (
    "customer_id, existing, lifecycle, band, broadcast, imbalanced, mismatched, shape, desired_slug, actual_slug,"
    " next_crossing, personae, version"
)
_SOME: Final = 500


class Standings:
    """The listing. Every method may be called from any thread, and waits for a disk or a server.

    They raise StoreFailed where the database does not answer, and StoreClosed once it is closed.
    """

    def __init__(self, database: Database) -> None:
        """`database`: as `services.runtime.projecting.open_changes` opens it; closed by its owner.

        Raises:
            StoreFailed: the tables cannot be created.
        """
        self._database = database
        table.create(database)

    def list(
        self,
        which: Filter,
        order: Order = Order.CUSTOMER_ID,
        limit: int = 100,
        after: tuple[int, str] | None = None,
    ) -> StandingPage:
        """Return one page; `after`: the `key` of the last of the page before."""
        clauses, values = _where(which)
        if order is Order.NEXT_CROSSING:
            clauses.append(f"next_crossing < {NEVER}")
        if after is not None:
            value, customer_id = after
            if order is Order.CUSTOMER_ID:
                clauses.append("customer_id > ?")
                values.append(customer_id)
            else:
                clauses.append("(next_crossing, customer_id) > (?, ?)")
                values += (value, customer_id)
        by = "customer_id" if order is Order.CUSTOMER_ID else "next_crossing, customer_id"
        question = f"SELECT {_COLUMNS} FROM watched WHERE {' AND '.join(clauses)} ORDER BY {by} LIMIT ?"
        with self._database.snapshot() as session:
            rows = session.rows(question, (*values, limit + 1))
            last = _last(session)
        return StandingPage([_standing(row) for row in rows[:limit]], len(rows) > limit, last)

    def levels(self, query: Query, organization_id: str, at: int) -> KeptLevels:
        """Return how all relationships of an organization stand, as `kept_levels`, which takes the same query."""
        with self._database.snapshot() as session:
            return kept_levels(session, query, organization_id, at)

    def of(self, organization_id: str, customer_ids: Sequence[str]) -> tuple[dict[str, Standing], Last]:
        """Return how some relationships stand, by customer_id; those not seen yet are left out."""
        found: dict[str, Standing] = {}
        with self._database.snapshot() as session:
            last = _last(session)
            for some in (customer_ids[at : at + _SOME] for at in range(0, len(customer_ids), _SOME)):
                where = f"organization_id = ? AND customer_id IN ({', '.join('?' * len(some))})"
                for row in session.rows(f"SELECT {_COLUMNS} FROM watched WHERE {where}", (organization_id, *some)):
                    found[row[0]] = _standing(row)
        return found, last

    def last(self) -> Last:
        """Return what an answer given now would reflect."""
        with self._database.snapshot() as session:
            return _last(session)


def _where(which: Filter) -> tuple[list[str], list[Any]]:
    """Return the conditions of a filter, and their parameters."""
    clauses, values = ["organization_id = ?", "rank = 1"], [which.organization_id]
    parameters: list[Any] = values
    if which.customer_id_prefix:
        clauses.append("customer_id >= ? AND customer_id < ?")
        parameters += (which.customer_id_prefix, which.customer_id_prefix + "\U0010ffff")
    for column in ("lifecycle", "band", "shape"):
        if allowed := getattr(which, f"{column}s"):
            clauses.append(f"{column} IN ({', '.join('?' * len(allowed))})")
            parameters += allowed
    for name in ("exists", "broadcast", "imbalanced", "mismatched"):
        if (wanted := getattr(which, name)) is not None:
            clauses.append(f"{'existing' if name == 'exists' else name} = ?")
            parameters.append(int(wanted))
    for column in ("desired_slug", "actual_slug"):
        if slug := getattr(which, column):
            clauses.append(f"{column} = ?")
            parameters.append(slug)
    if which.persona_id:
        clauses.append("personae LIKE ? ESCAPE '!'")
        parameters.append(f"% {_plain(which.persona_id)} %")
    if which.next_crossing_before is not None:
        clauses.append("next_crossing < ?")
        parameters.append(min(which.next_crossing_before, NEVER))
    return clauses, parameters


def _plain(persona_id: str) -> str:
    return "".join(f"!{each}" if each in "!%_" else each for each in persona_id)


def _standing(row: tuple[Any, ...]) -> Standing:
    (customer_id, exists, lifecycle, band, broadcast, imbalanced, mismatched, shape, desired, actual, crossing, names,
     version) = row  # fmt: skip
    return Standing(
        customer_id, bool(exists), lifecycle, band, bool(broadcast), bool(imbalanced), bool(mismatched), shape,
        desired, actual, None if crossing == NEVER else crossing, tuple(names.split()), version,
    )  # fmt: skip


def standing_of(customer_id: str, m: Measured) -> Standing:
    """Return how a relationship stands at the instant at which it is measured.

    Levels are those that the detector keeps. It may look earlier than `next_crossing` here, or later: it knows which
    score it announced, and both only promise that looking before is in vain.
    """
    return Standing(
        customer_id, m.existence.exists, m.lifecycle.lifecycle, band_of(score_of(m), m.outlook.rules),
        m.conversation.broadcast, imbalanced(m), bool(m.types.mismatches), m.contacts.shape, m.types.desired_slug,
        m.types.actual_slug, _crossing(m), tuple(sorted({each.persona_id for each in m.personae})), m.record.version,
    )  # fmt: skip


def _crossing(m: Measured) -> int | None:
    timed = (m.existence, m.lifecycle, m.strength, m.axes, m.types, m.conversation, m.contacts)
    instants = [each.changes_at for each in timed]
    instants.append(personae.changes_at(m))
    return min((each for each in instants if each is not None), default=None)


def _last(session: Session) -> Last:
    return last_of(table.progress(session))
