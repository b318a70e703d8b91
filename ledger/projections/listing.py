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
from ledger.projections.balances import BALANCES, NO_INDEX, NO_NET, POLICY, VALUED, Worth
from ledger.projections.database import Query
from ledger.projections.relationships import (
    NEVER_FIRST,
    NEVER_LAST,
    RELATIONSHIPS,
    UNITS,
    summary,
    units_given,
)


class Order(Enum):
    """In which order; ties by customer_id, in byte order."""

    CUSTOMER_ID = auto()
    LAST_OCCUR_TIME_DESCENDING = auto()
    INTERACTIONS_DESCENDING = auto()
    UNITS_DESCENDING = auto()
    INDEX_ASCENDING = auto()
    INDEX_DESCENDING = auto()
    CONFIDENCE_DESCENDING = auto()
    NET_ASCENDING = auto()
    NET_DESCENDING = auto()
    NEXT_CROSSING_ASCENDING = auto()
    """By how relationships stand, which no table here knows: `place` tells 0, and whoever folds puts the instant in."""


_COLUMNS: Final = {
    Order.CUSTOMER_ID: "0",
    Order.LAST_OCCUR_TIME_DESCENDING: "r.last_occur_time",
    Order.INTERACTIONS_DESCENDING: "r.interactions",
    Order.UNITS_DESCENDING: "u.units",
    Order.INDEX_ASCENDING: "b.index_ppm",
    Order.INDEX_DESCENDING: "b.index_ppm",
    Order.CONFIDENCE_DESCENDING: "b.confidence_ppm",
    Order.NET_ASCENDING: "b.net",
    Order.NET_DESCENDING: "b.net",
}
_ASCENDING: Final = frozenset({Order.INDEX_ASCENDING, Order.NET_ASCENDING, Order.NEXT_CROSSING_ASCENDING})
_BY_INDEX: Final = frozenset({Order.INDEX_ASCENDING, Order.INDEX_DESCENDING, Order.CONFIDENCE_DESCENDING})
BY_BALANCE: Final = _BY_INDEX | {Order.NET_ASCENDING, Order.NET_DESCENDING}


class Account(NamedTuple):
    """Whose giving of what: one gross total, over all categories."""

    giver: int
    asset: str


class Key(NamedTuple):
    """The place of a relationship in a list."""

    value: int
    """What the list is ordered by; 0 when by customer_id."""
    customer_id: str


class Listed(NamedTuple):
    """A relationship of a list."""

    key: Key
    version: int
    last_position: int
    worth: Worth | None = None
    """Its balance, where it was asked for and a policy is in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """Whose balance a list is about, and its bounds, inclusive; None restricts nothing. Nanos and ppm."""

    perspective: int
    index_min: int | None = None
    index_max: int | None = None
    confidence_min: int | None = None
    net_min: int | None = None
    net_max: int | None = None

    @property
    def bounds(self) -> list[tuple[str, int | None, int | None]]:
        """Return (column, least, greatest) of what is bound."""
        bounds = [
            ("index_ppm", self.index_min, self.index_max),
            ("confidence_ppm", self.confidence_min, None),
            ("net", self.net_min, self.net_max),
        ]
        return [bound for bound in bounds if bound[1:] != (None, None)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A question. Times are microseconds; what is None or 0 restricts nothing."""

    organization_id: str
    order: Order = Order.CUSTOMER_ID
    customer_id_prefix: str = ""
    customer_ids: tuple[str, ...] = ()
    """Only these; few enough for one statement. Empty: any."""
    first_occur_time_from: int | None = None
    last_occur_time_from: int | None = None
    last_occur_time_before: int | None = None
    interactions_min: int = 0
    exchanges_min: int = 0
    account: Account | None = None
    """Required for `units_min`, `units_max` and the order by units."""
    units_min: int = 0
    units_max: int = 0
    balances: Balances | None = None
    """Required for the orders by balance; where it is set, balances are answered."""

    def ask(self, query: Query, after: Key | None, limit: int) -> list[Listed]:
        """Return at most `limit` relationships after a key, in order."""
        if self.order is not Order.UNITS_DESCENDING:
            return self._found(query, after, limit)
        listed = [] if after is not None and not after.value else self._found(query, after, limit)
        if len(listed) < limit and not self.units_min:
            # Then those that have none of it.
            rest = Key(0, after.customer_id) if after is not None and not after.value else None
            listed += self._without_units(query, rest, limit - len(listed))
        return listed

    def valued_at(self, query: Query) -> int:
        """Return the time, in microseconds, that the organization's balances are as of; 0 where there are none."""
        sql = f"SELECT valued_at FROM {query.tables[VALUED.name]} WHERE organization_id = ? AND customer_id = ?"  # noqa: S608  # The name of a table.
        found = query.rows(sql, (self.organization_id, POLICY))
        return int(found[0][0]) if found else 0

    def rank(self, key: Key) -> tuple[int, str]:
        """Return what ascends along the list."""
        return key.value if self.order in _ASCENDING else -key.value, key.customer_id

    def place(self, customer_id: str, state: RelationshipState, worth: Worth | None = None) -> Key | None:
        """Return the place of a relationship with this state and balance, or None where it is not listed."""
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
            and self._admits(worth)
        ):
            return None
        if worth is not None and self.order in BY_BALANCE:
            return Key(getattr(worth, _COLUMNS[self.order].removeprefix("b.")), customer_id)
        values = {
            Order.CUSTOMER_ID: 0,
            Order.LAST_OCCUR_TIME_DESCENDING: last,
            Order.INTERACTIONS_DESCENDING: interactions,
            Order.UNITS_DESCENDING: units,
        }
        return Key(values.get(self.order, 0), customer_id)

    def _admits(self, worth: Worth | None) -> bool:
        if self.balances is None or not self._needs_balance:
            return True
        if worth is None or not worth.is_told or (self._needs_index and worth.index_ppm == NO_INDEX):
            return False
        return all(
            (least is None or least <= getattr(worth, column))
            and (greatest is None or getattr(worth, column) <= greatest)
            for column, least, greatest in self.balances.bounds
        )

    @property
    def _needs_balance(self) -> bool:
        """Relationships without a policy in force are left out."""
        return self.order in BY_BALANCE or (self.balances is not None and bool(self.balances.bounds))

    @property
    def _needs_index(self) -> bool:
        """Those without an index are left out."""
        bounds = [] if self.balances is None else self.balances.bounds
        return self.order in _BY_INDEX or any(column != "net" for column, _, _ in bounds)

    def _found(self, query: Query, after: Key | None, limit: int) -> list[Listed]:
        ways = dict.fromkeys(BY_BALANCE, self._by_balance) | {Order.UNITS_DESCENDING: self._by_units}
        find = ways.get(self.order, self._by_relationship)
        if after is None or self.order is Order.CUSTOMER_ID:
            return find(query, _From(after, ">"), limit)
        # Those that tie with the last one come first. Two questions, for in one an index would pass over all that tie.
        listed = find(query, _From(after, "="), limit)
        if len(listed) < limit:
            beyond = ">" if self.order in _ASCENDING else "<"
            listed += find(query, _From(after, beyond), limit - len(listed))
        return listed

    def _by_relationship(self, query: Query, begin: "_From", limit: int) -> list[Listed]:
        sql = _Sql(query.tables)
        self._select(sql, f"{sql.relationships} AS r")
        bounded = bool(self.units_min or self.units_max)
        if bounded:
            self._join_units(sql)
        self._join_balances(sql)
        self._restrict(sql)
        if bounded:
            sql.add("AND coalesce(u.units, 0) BETWEEN ? AND ?", self.units_min, self.units_max or INT64_MAX)
        return self._page(sql, query, begin, limit)

    def _by_balance(self, query: Query, begin: "_From", limit: int) -> list[Listed]:
        assert self.balances is not None, "an order by balance says whose"
        sql = _Sql(query.tables)
        # CROSS, so that the rows come in the order of the index and none is sorted.
        self._select(sql, f"{sql.balances} AS b CROSS JOIN {sql.relationships} AS r")
        bounded = bool(self.units_min or self.units_max)
        if bounded:
            self._join_units(sql)
        self._restrict(sql)
        sql.add("AND r.customer_id = b.customer_id")
        sql.add("AND b.organization_id = ? AND b.perspective = ?", self.organization_id, self.balances.perspective)
        if bounded:
            sql.add("AND coalesce(u.units, 0) BETWEEN ? AND ?", self.units_min, self.units_max or INT64_MAX)
        return self._page(sql, query, begin, limit)

    def _by_units(self, query: Query, begin: "_From", limit: int) -> list[Listed]:
        assert self.account is not None, "an order by units says of what"
        sql = _Sql(query.tables)
        self._select(sql, f"{sql.units} AS u JOIN {sql.relationships} AS r")
        sql.add("ON r.organization_id = u.organization_id AND r.customer_id = u.customer_id")
        self._join_balances(sql)
        self._restrict(sql)
        sql.add("AND u.organization_id = ? AND u.giver = ? AND u.asset = ?", self.organization_id, *self.account)
        sql.add("AND u.units >= ? AND u.units <= ?", max(self.units_min, 1), self.units_max or INT64_MAX)
        return self._page(sql, query, begin, limit)

    def _without_units(self, query: Query, after: Key | None, limit: int) -> list[Listed]:
        sql = _Sql(query.tables)
        self._select(sql, f"{sql.relationships} AS r", "0")
        self._join_units(sql)
        self._join_balances(sql)
        self._restrict(sql)
        self._bound(sql, _From(None, ">"))
        sql.add("AND coalesce(u.units, 0) = 0")
        if after is not None:
            sql.add("AND r.customer_id > ?", after.customer_id)
        return sql.listed(query, "ORDER BY r.customer_id LIMIT ?", limit)

    def _select(self, sql: "_Sql", source: str, value: str = "") -> None:
        sql.add(f"SELECT r.customer_id, r.version, r.last_position, {value or _COLUMNS[self.order]}")
        if self.balances is not None:
            sql.add(", b.got, b.gave, b.net, b.index_ppm, b.confidence_ppm")
        sql.add(f"FROM {source}")

    def _page(self, sql: "_Sql", query: Query, begin: "_From", limit: int) -> list[Listed]:
        """Write where the rows begin, and in which order they come; return what is found."""
        self._bound(sql, begin)
        column, after = _COLUMNS[self.order], begin.after
        tied = f"{column.partition('.')[0]}.customer_id"  # Of the table that the index is of.
        order = f"{column}{'' if self.order in _ASCENDING else ' DESC'}, {tied}"
        if self.order is Order.CUSTOMER_ID:
            order = tied = "r.customer_id"
        elif after is not None and self.order not in BY_BALANCE:
            sql.add(f"AND {column} {begin.comparison} ?", after.value)
        if after is not None and (begin.comparison == "=" or self.order is Order.CUSTOMER_ID):
            sql.add(f"AND {tied} > ?", after.customer_id)
        return sql.listed(query, f"ORDER BY {order} LIMIT ?", limit)

    def _join_units(self, sql: "_Sql") -> None:
        assert self.account is not None, "a bound of units says of what"
        sql.add(f"LEFT JOIN {sql.units} AS u ON u.organization_id = r.organization_id")
        sql.add("AND u.customer_id = r.customer_id AND u.giver = ? AND u.asset = ?", *self.account)

    def _join_balances(self, sql: "_Sql") -> None:
        if self.balances is not None:
            sql.add(f"LEFT JOIN {sql.balances} AS b ON b.organization_id = r.organization_id")
            sql.add("AND b.customer_id = r.customer_id AND b.perspective = ?", self.balances.perspective)

    def _restrict(self, sql: "_Sql") -> None:
        sql.add("WHERE r.organization_id = ?", self.organization_id)
        if self.customer_id_prefix:
            prefix = self.customer_id_prefix
            sql.add("AND r.customer_id >= ? AND r.customer_id < ?", prefix, after_prefix(prefix))
        if self.customer_ids:
            sql.add(f"AND r.customer_id IN ({', '.join('?' * len(self.customer_ids))})", *self.customer_ids)
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

    def _bound(self, sql: "_Sql", begin: "_From") -> None:
        """Write the bounds of balances; of each column at most one from each side, and only the useful ones indexed."""
        if self.balances is None or not self._needs_balance:
            return
        bounds = {column: (least, greatest) for column, least, greatest in self.balances.bounds}
        for column, absent in (("net", NO_NET), ("index_ppm", NO_INDEX)):
            if column == "net" or self._needs_index:
                least, greatest = bounds.get(column, (None, None))
                bounds[column] = absent + 1 if least is None else least, greatest
        ordered = _COLUMNS[self.order].removeprefix("b.")
        if self.order in BY_BALANCE:
            bounds[ordered] = begin.within(*bounds.get(ordered, (None, None)))
        for column, (least, greatest) in bounds.items():
            # A plus keeps an index out of it: one that only leaves out rows without a balance finds nothing quickly.
            indexed = column == ordered if self.order in BY_BALANCE else least not in {NO_NET + 1, NO_INDEX + 1}
            name = f"b.{column}" if indexed else f"+b.{column}"
            if least is not None and least == greatest:
                sql.add(f"AND {name} = ?", least)
                continue
            if least is not None:
                sql.add(f"AND {name} >= ?", least)
            if greatest is not None:
                sql.add(f"AND {name} <= ?", greatest)


def after_prefix(prefix: str) -> str:
    """Return what follows every text that begins with `prefix`, which is ASCII and not empty."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class _From(NamedTuple):
    """Where the rows of a question begin."""

    after: Key | None
    """None: with the first."""
    comparison: str
    """`=`: those that tie with it; else those beyond."""

    def within(self, least: int | None, greatest: int | None) -> tuple[int | None, int | None]:
        """Return bounds, inclusive, as tight as the place where the rows begin makes them."""
        if self.after is None:
            return least, greatest
        value = self.after.value  # Within the bounds, as it was listed.
        if self.comparison == "=":
            return value, value
        return (value + 1, greatest) if self.comparison == ">" else (least, value - 1)


class _Sql:
    """A statement that is being written, with its parameters in order."""

    def __init__(self, tables: Mapping[str, str]) -> None:
        self.relationships = tables[RELATIONSHIPS.name]
        self.units = tables[UNITS.name]
        self.balances = tables[BALANCES.name]
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
            Listed(Key(value, customer_id), version, last_position, _worth(*worth))
            for customer_id, version, last_position, value, *worth in rows
        ]


def _worth(*columns: int | None) -> Worth | None:
    """Return a balance from its columns: there may be none of them, or none in them."""
    found = Worth._make(columns) if columns and columns[0] is not None else None
    return found if found is not None and found.is_told else None
