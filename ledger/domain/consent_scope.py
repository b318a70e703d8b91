"""What an act of consent is about: purposes, channels, contact points, brands; and how far it reaches (consent.md 1).

A no covers its purposes with all their children, and every channel, contact point and brand it does not narrow. A yes
covers a child only where the notice that was shown lists it (settled.md 64). A cell that leaves channel, contact point
or brand open means all of them: every narrowed no meets it, and no narrowed yes covers it (settled.md 61).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from math import prod
from typing import Final, NamedTuple, TypeVar

from rapport.events.v1.consent_pb2 import (
    ConsentGiven,
    ConsentRefused,
    ConsentScope,
    ConsentWithdrawn,
    NoticeReference,
)

ANY_CHANNEL: Final = 0
CELLS_PER_ACT_MAX: Final = 4096
"""Most combinations of purposes, channels, contact points and brands that one act is listed with."""


class Cell(NamedTuple):
    """What a status is about. An empty part means any; cells order as their parts do."""

    purpose: str = ""
    """A code; its parent is what stands before the last dot. Empty: whatever no act narrowed by purpose."""
    channel: int = ANY_CHANNEL
    contact_point_id: str = ""
    brand: str = ""


class Scope(NamedTuple):
    """What an act is about: every combination of its parts. An empty part is not narrowed."""

    purposes: frozenset[str]
    channels: frozenset[int]
    contact_point_ids: frozenset[str]
    brands: frozenset[str]
    listed: frozenset[str] = frozenset()
    """Of a grant: children of its purposes that the notice lists, so that they are granted too."""

    @property
    def combinations(self) -> int:
        """How many cells the act names."""
        return prod(max(1, len(part)) for part in self[:4])

    def named_cells(self) -> Iterator[Cell]:
        """Return the cells that the act names.

        An act that would name more than CELLS_PER_ACT_MAX is listed with its brands, then its contact points, then its
        channels left open: a no meets such a cell all the same, and a yes of that size is refused.
        """
        told = self
        for part in ("brands", "contact_point_ids", "channels"):
            if told.combinations > CELLS_PER_ACT_MAX:
                told = told._replace(**{part: frozenset()})
        parts = (
            told.purposes or ("",),
            told.channels or (ANY_CHANNEL,),
            told.contact_point_ids or ("",),
            told.brands or ("",),
        )
        return (Cell(*combination) for combination in product(*parts))

    def grants(self, cell: Cell) -> bool:
        """Tell whether a grant of this scope covers a cell."""
        return (cell.purpose in self.purposes or cell.purpose in self.listed) and self.reaches(cell)

    def asks(self, cell: Cell) -> bool:
        """Tell whether a question of this scope, or its putting off, covers a cell: as far as the yes would reach."""
        return (not self.purposes or cell.purpose in self.purposes or cell.purpose in self.listed) and self.reaches(
            cell
        )

    def reaches(self, cell: Cell) -> bool:
        """Tell whether a grant of this scope holds for the channel, the contact point and the brand of a cell."""
        return (
            (not self.channels or cell.channel in self.channels)
            and (not self.contact_point_ids or cell.contact_point_id in self.contact_point_ids)
            and (not self.brands or cell.brand in self.brands)
        )

    def holds(self, other: "Scope") -> bool:
        """Tell whether a grant of this scope covers everything that a grant of another names."""
        return (self.purposes | self.listed) >= other.purposes and all(
            not mine or (theirs and mine >= theirs) for mine, theirs in zip(self[1:4], other[1:4], strict=True)
        )

    def is_of_parent(self, cell: Cell) -> bool:
        """Tell whether a grant of this scope that does not cover a cell names an ancestor of its purpose."""
        return not self.purposes.isdisjoint(lineage(cell.purpose)) and self.reaches(cell)

    def denies(self, cell: Cell) -> bool:
        """Tell whether a denial of this scope covers a cell."""
        return (
            self.denies_purpose(cell.purpose)
            and (not self.channels or cell.channel == ANY_CHANNEL or cell.channel in self.channels)
            and (
                not self.contact_point_ids
                or not cell.contact_point_id
                or cell.contact_point_id in self.contact_point_ids
            )
            and (not self.brands or not cell.brand or cell.brand in self.brands)
        )

    def denies_purpose(self, purpose: str) -> bool:
        """Tell whether a denial of this scope covers a purpose, itself or as a child."""
        return not self.purposes or not self.purposes.isdisjoint(lineage(purpose))

    def denied_purposes(self, grant: "Scope") -> frozenset[str]:
        """Return the purposes of a grant that a denial of this scope denies in at least one cell."""
        for mine, theirs in zip(self[1:4], grant[1:4], strict=True):
            if mine and theirs and mine.isdisjoint(theirs):
                return frozenset()
        return frozenset(filter(self.denies_purpose, grant.purposes | grant.listed))

    def narrowed(self, purposes: Iterable[str]) -> "Scope":
        """Return what is left of a grant for some of its purposes, with what the notice lists below them."""
        kept = self.purposes.intersection(purposes)
        return self._replace(purposes=kept, listed=listed_children(kept, self.listed))


def lineage(purpose: str) -> Iterator[str]:
    """Yield a purpose and its ancestors. Example: `a.b.c`, `a.b`, `a`."""
    while True:
        yield purpose
        dot = purpose.rfind(".")
        if dot < 0:
            return
        purpose = purpose[:dot]


def listed_children(purposes: frozenset[str], notice: Iterable[str]) -> frozenset[str]:
    """Return the children of a grant's purposes that a notice lists."""
    return frozenset(
        purpose for purpose in notice if purpose not in purposes and not purposes.isdisjoint(lineage(purpose))
    )


def grant_scope(event: ConsentGiven) -> Scope:
    """Return what a yes is about."""
    purposes = frozenset(event.purposes)
    return Scope(
        purposes,
        _part(event.channels),
        _part(event.contact_point_ids),
        _part(event.brands),
        listed_children(purposes, event.notice.purposes) if event.HasField("notice") else frozenset(),
    )


def denial_scope(event: ConsentRefused | ConsentWithdrawn | ConsentScope) -> Scope:
    """Return what a no is about. A withdrawal is taken as it comes: an empty value among others means any."""
    return Scope(
        _part(event.purposes, ""),
        _part(event.channels, ANY_CHANNEL),
        _part(event.contact_point_ids, ""),
        _part(event.brands, ""),
    )


def question_scope(scope: ConsentScope, notice: NoticeReference) -> Scope:
    """Return what a question is about, with the children that its notice lists."""
    purposes = frozenset(scope.purposes)
    return Scope(
        purposes,
        _part(scope.channels),
        _part(scope.contact_point_ids),
        _part(scope.brands),
        listed_children(purposes, notice.purposes),
    )


_Value = TypeVar("_Value", str, int)


def _part(values: Sequence[_Value], any_value: _Value | None = None) -> frozenset[_Value]:
    if not values:  # Most parts of most acts; an iteration over nothing costs half a microsecond.
        return frozenset()
    part = frozenset(values)
    return frozenset() if any_value in part else part
