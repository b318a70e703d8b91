"""The status of a consent cell: what follows from the acts of a customer, and nothing else (consent.md 1).

Derivation for a cell at an instant t, first match:

1. D: the refusals and withdrawals that cover the cell. G: a grant that covers it, from <= t < until. G counts only if
   it is later than every D on both axes: strictly later occur_time, and greater position.
2. A counting G: GIVEN.
3. Else there is a D: the status of the D of greatest position, REFUSED or WITHDRAWN.
4. Else a grant with until <= t: EXPIRED. Else UNKNOWN.

So at equal times the no wins; a backdated yes never steps over a no; a no that arrives late ends every yes recorded
before it, even one that says it happened later; and an expired yes does not lift the no before it.

A no covers its purposes with all their children, and every channel, contact point and brand it does not narrow. A yes
covers a child only where the notice that was shown lists it (settled.md 64). A cell that leaves channel, contact point
or brand open means all of them: every narrowed no meets it, and no narrowed yes covers it (settled.md 61).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Final, NamedTuple

from ledger.domain.times import END_OF_TIME
from rapport.events.v1 import consent_pb2

ANY_CHANNEL: Final = 0
CELLS_PER_ACT_MAX: Final = 4096
"""Most combinations of purposes, channels, contact points and brands that one act is listed with."""

UNKNOWN: Final = consent_pb2.CONSENT_STATUS_UNKNOWN
REFUSED: Final = consent_pb2.CONSENT_STATUS_REFUSED
GIVEN: Final = consent_pb2.CONSENT_STATUS_GIVEN
WITHDRAWN: Final = consent_pb2.CONSENT_STATUS_WITHDRAWN
EXPIRED: Final = consent_pb2.CONSENT_STATUS_EXPIRED
LIVE: Final = frozenset({consent_pb2.CONSENT_STATUS_GIVEN, consent_pb2.CONSENT_STATUS_RENEWED})
"""The statuses that permit processing (`dpv:ConsentStatusValidForProcessing`)."""


class Cell(NamedTuple):
    """What a status is about. An empty part means any; cells order as their parts do."""

    purpose: str = ""
    """A code; its parent is what stands before the last dot. Empty: whatever no act narrowed by purpose."""
    channel: int = ANY_CHANNEL
    contact_point_id: str = ""
    brand: str = ""


class CellVerdict(NamedTuple):
    """The status of a cell at an instant, and what made it so. Times are microseconds."""

    status: int
    """A `ConsentStatus`."""
    since: int | None = None
    """Occur time of the act that decides. None: no act does."""
    until: int | None = None
    """Instant from which the grant that decides holds no longer by its own term. None: none, or no grant decides."""
    legal_basis: int = 0
    """Of a live consent."""
    evidence: tuple[int, ...] = ()
    """Positions of the acts that decide, ascending. A no that is neither the latest recorded nor the latest to have
    happened decides nothing beside those that are."""


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
        return (
            (cell.purpose in self.purposes or cell.purpose in self.listed)
            and (not self.channels or cell.channel in self.channels)
            and (not self.contact_point_ids or cell.contact_point_id in self.contact_point_ids)
            and (not self.brands or cell.brand in self.brands)
        )

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


class Grant(NamedTuple):
    """A consent that was given. Times are microseconds."""

    position: int
    occur_time: int
    valid_from: int
    until: int
    """END_OF_TIME: no end by time."""
    legal_basis: int


class Denial(NamedTuple):
    """A refusal or a withdrawal."""

    position: int
    occur_time: int
    """Microseconds."""
    status: int
    """What it makes of a cell that it covers."""


@dataclass(frozen=True, slots=True)
class Acts:
    """Every act of a customer, by what it is about: who answers the same question often is still read fast."""

    grants: dict[Scope, list[Grant]] = field(default_factory=dict)
    """Positions ascend."""
    denials: dict[Scope, list[Denial]] = field(default_factory=dict)
    """Positions ascend."""


def lineage(purpose: str) -> Iterator[str]:
    """Yield a purpose and its ancestors. Example: `a.b.c`, `a.b`, `a`."""
    while True:
        yield purpose
        dot = purpose.rfind(".")
        if dot < 0:
            return
        purpose = purpose[:dot]


def permits(status: int) -> bool:
    """Tell whether a status permits processing: only GIVEN and RENEWED do."""
    return status in LIVE


def named_cells(acts: Acts) -> list[Cell]:
    """Return every cell that an act named, in order."""
    return sorted({cell for scopes in (acts.grants, acts.denials) for scope in scopes for cell in scope.named_cells()})


def cell_verdict(acts: Acts, cell: Cell, at: int) -> CellVerdict:
    """Return the status of a cell at an instant, in microseconds, at or after that of every act."""
    bar = _Bar.over(denial for scope, denials in acts.denials.items() if scope.denies(cell) for denial in denials)
    grants = [grant for scope, given in acts.grants.items() if scope.grants(cell) for grant in given]
    in_force = [grant for grant in grants if grant.valid_from <= at < grant.until and bar.is_cleared_by(grant)]
    if in_force:
        # Of several, the one that holds longest: the cell stays live until then.
        grant = max(in_force, key=_end)
        return CellVerdict(GIVEN, grant.occur_time, _end_told(grant), grant.legal_basis, (grant.position,))
    if bar.last is not None:
        return CellVerdict(bar.last.status, bar.last.occur_time, evidence=bar.positions)
    ended = [grant for grant in grants if grant.until <= at]
    if ended:
        grant = max(ended, key=_end)
        return CellVerdict(EXPIRED, grant.occur_time, _end_told(grant), evidence=(grant.position,))
    return CellVerdict(UNKNOWN)


class _Bar(NamedTuple):
    """What a grant must be later than, to count."""

    last: Denial | None
    """The denial of greatest position."""
    latest: Denial | None
    """The denial of latest occur time; of several the one of greatest position."""

    @classmethod
    def over(cls, denials: Iterable[Denial]) -> "_Bar":
        last = latest = None
        for denial in denials:
            if last is None or denial.position > last.position:
                last = denial
            if latest is None or (denial.occur_time, denial.position) > (latest.occur_time, latest.position):
                latest = denial
        return cls(last, latest)

    def is_cleared_by(self, grant: Grant) -> bool:
        if self.last is None or self.latest is None:
            return True
        return grant.position > self.last.position and grant.occur_time > self.latest.occur_time

    @property
    def positions(self) -> tuple[int, ...]:
        return tuple(sorted({denial.position for denial in self if denial is not None}))


def _end(grant: Grant) -> tuple[int, int]:
    return grant.until, grant.position


def _end_told(grant: Grant) -> int | None:
    return None if grant.until == END_OF_TIME else grant.until
