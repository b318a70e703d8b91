"""What a projection keeps: tables, and the changes that some events make to them.

Every row belongs to one relationship, so every table begins with the same two key columns. How what a batch of events
says is merged into a row that is there is said by each column; a row that is not there is inserted as it comes. So most
batches need no look at the rows they change, and are the same whether they came as one batch or as many. What does not
add up by column (a ratio of sums) is made from the rows that are there, and replaces them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

from ledger.log.store import EventRow, Store

Value = int | str
Row = tuple[Value, ...]
Owner = tuple[str, str]
"""organization_id, customer_id."""


class Merge(Enum):
    """How the value of a batch is merged into the value that is there."""

    KEY = auto()
    """Part of the key."""
    ADD = auto()
    """Added; never negative, and held at the largest 64-bit integer."""
    LEAST = auto()
    GREATEST = auto()
    LATEST = auto()
    """Replaced."""


class Column(NamedTuple):
    """One column. Keys are text or integers, all else is integers of 64 bits; nothing is ever NULL."""

    name: str
    merge: Merge
    text: bool = False


OWNER: Final = (Column("organization_id", Merge.KEY, text=True), Column("customer_id", Merge.KEY, text=True))
"""The first two columns of every table. Text is compared as UTF-8 bytes."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a projection."""

    name: str
    """Unique among all projections."""
    columns: tuple[Column, ...]
    """`OWNER` first, then the rest of the key, then values."""
    indexes: tuple[str, ...] = ()
    """Columns of each index, as SQL. Made when a rebuild has folded everything: that is faster."""

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key's columns."""
        return tuple(column.name for column in self.columns if column.merge is Merge.KEY)

    @property
    def names(self) -> str:
        """Names of all columns, as SQL."""
        return ", ".join(column.name for column in self.columns)


Rows = dict[str, list[Row]]
"""By table: at most one for each key."""


@dataclass(slots=True)
class Changes:
    """What some events change. First `cleared`, then `rows`, then `more`."""

    cleared: list[Owner] = field(default_factory=list)
    """Relationships that lose all their rows, in every table, because they are given anew."""
    rows: Rows = field(default_factory=dict)
    more: Iterable[Rows] = ()
    """Rows that are too many to be held at once, a portion at a time; made while they are applied."""


class Kept(Protocol):
    """What a generation has at its checkpoint, for a batch that builds on it.

    Both raise CheckpointMoved where it is there no more: somebody else has applied the batch.
    """

    @property
    def position(self) -> int:
        """The checkpoint: the last event before the batch."""
        ...

    def rows(self, table: Table, owners: Sequence[Owner]) -> list[Row]:
        """Return the rows of some owners, in no order."""
        ...


class Folding(Protocol):
    """Collects what the events of one batch change."""

    def fold(self, rows: Iterable[EventRow]) -> None:
        """Take in some events, in order of position.

        Raises:
            LogDamaged: an event cannot be read.
        """
        ...

    @property
    def size(self) -> int:
        """For how many relationships changes are collected."""
        ...

    def changes(self, store: Store, to: int) -> Changes:
        """Return what they change. `to`: position of the last of them; `store` may be read up to there, not beyond."""
        ...


class Projection(Protocol):
    """A cache of folds."""

    @property
    def name(self) -> str:
        """Its name, for ever."""
        ...

    @property
    def fold_version(self) -> int:
        """Raised whenever the same log gives other rows, or the tables change: what was kept is then rebuilt."""
        ...

    @property
    def tables(self) -> Sequence[Table]:
        """What it keeps."""
        ...

    def begin(self, store: Store, kept: Kept) -> Folding:
        """Return what folds the batch after `kept.position`; `store` may be read up to there meanwhile."""
        ...
