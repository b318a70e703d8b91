"""Which relationships of an organization are listed, in which order: asked of the projection, or told of a state.

The same question has two ways to its answer, by index now and by folding as of another moment, and both must say the
same; a test holds them together. Pages go on after a key, never after a number of rows.
"""
# Names come from the tables that a projection declares; values are parameters.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from ledger.domain.amounts import INT64_MAX
from ledger.domain.relationship import RelationshipState
from ledger.projections.database import Query
from ledger.projections.relationships import (
    NEVER_FIRST,
    NEVER_LAST,
    RELATIONSHIPS,
    UNITS,
    summary,
    units_given,
)

_SELECT: Final = "SELECT r.customer_id, r.version, r.last_position"


class Order(Enum):
    """In which order; ties by customer_id, in byte order."""

    CUSTOMER_ID = auto()
    LAST_OCCUR_TIME_DESCENDING = auto()
    INTERACTIONS_DESCENDING = auto()
    UNITS_DESCENDING = auto()


class Account(NamedTuple):
    """Whose giving of what: one gross total, over all categories."""

    giver: int
    asset: str


class Key(NamedTuple):
    """The place of a relationship in a list."""

    value: int
    """What the list is ordered by, largest first; 0 when by customer_id."""
    customer_id: str


class Listed(NamedTuple):
    """A relationship of a list."""

    key: Key
    version: int
    last_position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A question. Times are microseconds; what is None or 0 restricts nothing."""

    organization_id: str
    order: Order = Order.CUSTOMER_ID
    customer_id_prefix: str = ""
    first_occur_time_from: int | None = None
    last_occur_time_from: int | None = None
    last_occur_time_before: int | None = None
    interactions_min: int = 0
    exchanges_min: int = 0
    account: Account | None = None
    """Required for `units_min`, `units_max` and the order by units."""
    units_min: int = 0
    units_max: int = 0

    def ask(self, query: Query, after: Key | None, limit: int) -> list[Listed]:
        """Return at most `limit` relationships after a key, in order."""
        if self.order is not Order.UNITS_DESCENDING:
            return self._by_relationship(query, after, limit)
        listed = [] if after is not None and not after.value else self._by_units(query, after, limit)
        if len(listed) < limit and not self.units_min:
            # Then those that have none of it.
            rest = Key(0, after.customer_id) if after is not None and not after.value else None
            listed += self._without_units(query, rest, limit - len(listed))
        return listed

    def place(self, customer_id: str, state: RelationshipState) -> Key | None:
        """Return the place of a relationship with this state, or None where it is not listed."""
        first, last, interactions, exchanges = summary(state)
        units = 0 if self.account is None else units_given(state).get(self.account, 0)
        if not (
            customer_id.startswith(self.customer_id_prefix)
            and (self.first_occur_time_from is None or self.first_occur_time_from <= first < NEVER_FIRST)
            and (self.last_occur_time_from is None or self.last_occur_time_from <= last)
            and (self.last_occur_time_before is None or NEVER_LAST < last < self.last_occur_time_before)
            and self.interactions_min <= interactions
            and self.exchanges_min <= exchanges
            and self.units_min <= units <= (self.units_max or INT64_MAX)
        ):
            return None
        values = {
            Order.CUSTOMER_ID: 0,
            Order.LAST_OCCUR_TIME_DESCENDING: last,
            Order.INTERACTIONS_DESCENDING: interactions,
            Order.UNITS_DESCENDING: units,
        }
        return Key(values[self.order], customer_id)

    def _by_relationship(self, query: Query, after: Key | None, limit: int) -> list[Listed]:
        column = {
            Order.LAST_OCCUR_TIME_DESCENDING: "r.last_occur_time",
            Order.INTERACTIONS_DESCENDING: "r.interactions",
        }.get(self.order)
        sql = _Sql(query.tables)
        sql.add(f"{_SELECT}, {column or 0} FROM {sql.relationships} AS r")
        bounded = bool(self.units_min or self.units_max)
        if bounded:
            self._join_units(sql)
        self._restrict(sql)
        if bounded:
            sql.add("AND coalesce(u.units, 0) BETWEEN ? AND ?", self.units_min, self.units_max or INT64_MAX)
        if after is not None and column is None:
            sql.add("AND r.customer_id > ?", after.customer_id)
        elif after is not None:
            sql.add(f"AND {column} <= ? AND ({column} < ? OR r.customer_id > ?)", after.value, *after)
        order = "r.customer_id" if column is None else f"{column} DESC, r.customer_id"
        return sql.listed(query, f"ORDER BY {order} LIMIT ?", limit)

    def _by_units(self, query: Query, after: Key | None, limit: int) -> list[Listed]:
        assert self.account is not None, "an order by units says of what"
        sql = _Sql(query.tables)
        sql.add(f"{_SELECT}, u.units FROM {sql.units} AS u JOIN {sql.relationships} AS r")
        sql.add("ON r.organization_id = u.organization_id AND r.customer_id = u.customer_id")
        self._restrict(sql)
        sql.add("AND u.organization_id = ? AND u.giver = ? AND u.asset = ?", self.organization_id, *self.account)
        sql.add("AND u.units >= ? AND u.units <= ?", max(self.units_min, 1), self.units_max or INT64_MAX)
        if after is not None:
            sql.add("AND u.units <= ? AND (u.units < ? OR u.customer_id > ?)", after.value, *after)
        return sql.listed(query, "ORDER BY u.units DESC, u.customer_id LIMIT ?", limit)

    def _without_units(self, query: Query, after: Key | None, limit: int) -> list[Listed]:
        sql = _Sql(query.tables)
        sql.add(f"{_SELECT}, 0 FROM {sql.relationships} AS r")
        self._join_units(sql)
        self._restrict(sql)
        sql.add("AND coalesce(u.units, 0) = 0")
        if after is not None:
            sql.add("AND r.customer_id > ?", after.customer_id)
        return sql.listed(query, "ORDER BY r.customer_id LIMIT ?", limit)

    def _join_units(self, sql: "_Sql") -> None:
        assert self.account is not None, "a bound of units says of what"
        sql.add(f"LEFT JOIN {sql.units} AS u ON u.organization_id = r.organization_id")
        sql.add("AND u.customer_id = r.customer_id AND u.giver = ? AND u.asset = ?", *self.account)

    def _restrict(self, sql: "_Sql") -> None:
        sql.add("WHERE r.organization_id = ?", self.organization_id)
        if self.customer_id_prefix:
            prefix = self.customer_id_prefix
            sql.add("AND r.customer_id >= ? AND r.customer_id < ?", prefix, after_prefix(prefix))
        if self.first_occur_time_from is not None:
            sql.add("AND r.first_occur_time >= ? AND r.first_occur_time < ?", self.first_occur_time_from, NEVER_FIRST)
        if self.last_occur_time_from is not None:
            sql.add("AND r.last_occur_time >= ?", self.last_occur_time_from)
        if self.last_occur_time_before is not None:
            sql.add("AND r.last_occur_time < ? AND r.last_occur_time > ?", self.last_occur_time_before, NEVER_LAST)
        if self.interactions_min:
            sql.add("AND r.interactions >= ?", self.interactions_min)
        if self.exchanges_min:
            sql.add("AND r.exchanges >= ?", self.exchanges_min)


def after_prefix(prefix: str) -> str:
    """Return what follows every text that begins with `prefix`, which is ASCII and not empty."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class _Sql:
    """A statement that is being written, with its parameters in order."""

    def __init__(self, tables: Mapping[str, str]) -> None:
        self.relationships = tables[RELATIONSHIPS.name]
        self.units = tables[UNITS.name]
        self._parts: list[str] = []
        self._parameters: list[Any] = []

    def add(self, part: str, *parameters: int | str) -> None:
        """Write on."""
        self._parts.append(part)
        self._parameters += parameters

    def listed(self, query: Query, end: str, limit: int) -> list[Listed]:
        """Write the end; return what the statement finds."""
        self.add(end, limit)
        rows: Sequence[tuple[Any, ...]] = query.rows(" ".join(self._parts), self._parameters)
        return [
            Listed(Key(value, customer_id), version, last_position)
            for customer_id, version, last_position, value in rows
        ]
