"""The status of a consent cell: what follows from the acts of a customer, and nothing else (consent.md 1).

Derivation for a cell at an instant t, first match:

1. D: the refusals, withdrawals, revocations and invalidations that cover the cell. G: a grant that covers it,
   from <= t < until. G counts only if it is later than every D on both axes: strictly later occur_time, and greater
   position; and, where it needs confirmation, from its confirmation on (settled.md 60).
2. A counting G: GIVEN, or RENEWED where it renews an earlier one.
3. Else there is a D: the status of the D of greatest position.
4. Else a G that only lacks its confirmation: REQUESTED.
5. Else a grant with until <= t: EXPIRED. Else it was put off: REQUEST_DEFERRED. Else it was asked: REQUESTED. Else
   UNKNOWN.

So at equal times the no wins; a backdated yes never steps over a no; a no that arrives late ends every yes recorded
before it, even one that says it happened later; and neither an expired yes nor an unconfirmed one lifts the no before
it. A confirmation does not make a yes later than it was: the axes are those of the yes.

How far acts reach is in `consent_scope.py`. What ends a yes besides its own term comes in as `Terms`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple, Protocol

from ledger.domain.consent_scope import ANY_CHANNEL, CELLS_PER_ACT_MAX, Cell, Scope, lineage
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.events.v1 import consent_pb2

__all__ = [
    "ANY_CHANNEL",
    "CELLS_PER_ACT_MAX",
    "PLAIN",
    "Acts",
    "Asked",
    "Cell",
    "CellVerdict",
    "Denial",
    "Grant",
    "Scope",
    "Terms",
    "cell_verdict",
    "lineage",
    "named_cells",
    "permits",
    "person_verdict",
]

UNKNOWN: Final = consent_pb2.CONSENT_STATUS_UNKNOWN
REQUESTED: Final = consent_pb2.CONSENT_STATUS_REQUESTED
REQUEST_DEFERRED: Final = consent_pb2.CONSENT_STATUS_REQUEST_DEFERRED
REFUSED: Final = consent_pb2.CONSENT_STATUS_REFUSED
GIVEN: Final = consent_pb2.CONSENT_STATUS_GIVEN
RENEWED: Final = consent_pb2.CONSENT_STATUS_RENEWED
WITHDRAWN: Final = consent_pb2.CONSENT_STATUS_WITHDRAWN
REVOKED: Final = consent_pb2.CONSENT_STATUS_REVOKED
EXPIRED: Final = consent_pb2.CONSENT_STATUS_EXPIRED
INVALIDATED: Final = consent_pb2.CONSENT_STATUS_INVALIDATED
LIVE: Final = frozenset({GIVEN, RENEWED})
"""The statuses that permit processing (`dpv:ConsentStatusValidForProcessing`)."""


class Grant(NamedTuple):
    """A consent that was given or renewed. Times are microseconds."""

    position: int
    occur_time: int
    valid_from: int
    until: int
    """END_OF_TIME: no end by time."""
    legal_basis: int
    renewed: bool = False
    """It renews an earlier one."""
    confirmation_required: bool = False
    """It counts only once confirmed, and then from the confirmation on (double opt-in)."""
    confirmed_at: int | None = None
    """Occur time of its confirmation. None: there is none."""
    confirmed: frozenset[str] = frozenset()
    """Purposes confirmed, with what the notice lists below them."""
    jurisdiction: str = ""
    """Whose law applies. Empty: not said."""
    indicated_by: int = 0
    """An `IndicatedBy`: who spoke."""
    indicated_by_id: str = ""
    uses: int = 0
    """After how many uses it ends. 0: no such end."""
    end_event: str = ""
    """Topic code of the interaction that ends it. Empty: no such end."""
    consent_type: int = 0
    """A `ConsentType`."""
    contact_point_ids: frozenset[str] = frozenset()
    """Contact points that it was given for. Empty: every one of the customer asked."""

    confirmed_position: int = 0
    """Of its confirmation. 0: there is none."""

    @property
    def start(self) -> int:
        """First instant at which it can count, once it is confirmed where that is needed."""
        if not self.confirmation_required or self.confirmed_at is None:
            return self.valid_from
        return max(self.valid_from, self.confirmed_at)

    @property
    def evidence(self) -> tuple[int, ...]:
        """Positions of the acts that make it count, ascending."""
        if not self.confirmation_required or not self.confirmed_position:
            return (self.position,)
        return (self.position, self.confirmed_position)

    def lacks_confirmation(self, purpose: str) -> bool:
        """Tell whether it would have to be confirmed for a purpose, and was not."""
        return self.confirmation_required and purpose not in self.confirmed


class Denial(NamedTuple):
    """A refusal, a withdrawal, a revocation or an invalidation."""

    position: int
    occur_time: int
    """Microseconds."""
    status: int
    """What it makes of a cell that it covers."""
    by_keyword: bool = False
    """It was a plain word of the customer, such as STOP."""


class Asked(NamedTuple):
    """A question that was put, or put off."""

    position: int
    occur_time: int
    """Microseconds."""
    status: int
    """REQUESTED or REQUEST_DEFERRED."""


@dataclass(frozen=True, slots=True)
class Acts:
    """Every act of a customer, by what it is about: who answers the same question often is still read fast."""

    grants: dict[Scope, list[Grant]] = field(default_factory=dict)
    """Positions ascend."""
    denials: dict[Scope, list[Denial]] = field(default_factory=dict)
    """Positions ascend."""
    asked: dict[Scope, list[Asked]] = field(default_factory=dict)
    """Positions ascend."""
    latest: dict[Scope, Denial] = field(default_factory=dict)
    """Of the denials of a scope the latest to have happened, of several the one recorded last."""

    def deny(self, scope: Scope, denial: Denial) -> None:
        """Add a denial; its position is the greatest."""
        self.denials.setdefault(scope, []).append(denial)
        latest = self.latest.get(scope)
        if latest is None or denial.occur_time >= latest.occur_time:
            self.latest[scope] = denial


class Terms(Protocol):
    """What ends a grant, and whether it counts at all, beyond what the consents themselves say."""

    def end_of(self, grant: Grant, at: int, purpose: str = "") -> int:
        """Return the first instant at which a grant holds no longer for a purpose, as far as is known at `at`.

        Microseconds. The earliest of its own term, the limits of the law, and whatever else ends it.
        """
        ...

    def admits(self, grant: Grant, at: int, purpose: str = "") -> bool:
        """Tell whether who gave a grant could give it: one that is not admitted is as if it were not there."""
        ...


class _Plain:
    """The grant's own term by time, and nothing else."""

    __slots__ = ()

    def end_of(self, grant: Grant, at: int, purpose: str = "") -> int:  # noqa: ARG002  # As the protocol has it.
        return grant.until

    def admits(self, grant: Grant, at: int, purpose: str = "") -> bool:  # noqa: ARG002  # As the protocol has it.
        return True


PLAIN: Final[Terms] = _Plain()
"""Only the term by time that each grant states ends it, and whoever spoke could speak."""


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
    grant: Grant | None = None
    """The grant that decides: of a live consent, or the one that expired."""
    denied: Denial | None = None
    """The denial of greatest position, where the cell is denied."""
    unconfirmed: tuple[int, ...] = ()
    """Positions of the grants that would count if they were confirmed, ascending."""
    expired: tuple[int, ...] = ()
    """Positions of the grants that would count if they had not ended, ascending."""
    unspecific: tuple[int, ...] = ()
    """Positions of the grants of a parent that would count if their notice listed the purpose, ascending."""
    changes_at: int | None = None
    """Earliest later instant at which the verdict could differ by the clock alone; a lower bound. None: never."""


def permits(status: int) -> bool:
    """Tell whether a status permits processing: only GIVEN and RENEWED do."""
    return status in LIVE


def named_cells(acts: Acts) -> list[Cell]:
    """Return every cell that an act named, in order."""
    scopes = chain(acts.grants, acts.denials, acts.asked)
    return sorted({cell for scope in scopes for cell in scope.named_cells()})


def cell_verdict(acts: Acts, cell: Cell, at: int, terms: Terms = PLAIN) -> CellVerdict:
    """Return the status of a cell at an instant, in microseconds, at or after that of every act."""
    return person_verdict(acts, (), cell, at, terms)


def person_verdict(own: Acts, linked: Sequence[Acts], cell: Cell, at: int, terms: Terms = PLAIN) -> CellVerdict:
    """Return the status of a cell for a person who has several customer ids (consent.md 6 and 7).

    The denials of all ids count, and the grants of the one asked about; those of another id count only where they were
    given for the contact point asked about. `at`: microseconds, at or after every act.
    """
    bar = _Bar.over((own, *linked), cell)
    found = _Found(cell, at, terms, bar)
    for scope, grants in own.grants.items():
        found.look_at(scope, grants)
    for acts in linked:
        for scope, grants in acts.grants.items():
            if cell.contact_point_id in scope.contact_point_ids:
                found.look_at(scope, grants)
    return found.verdict(own)


class _Found:
    """What the grants of a person amount to for a cell at an instant."""

    __slots__ = (
        "_at",
        "_bar",
        "_cell",
        "_changes_at",
        "_counting",
        "_expired",
        "_terms",
        "_unconfirmed",
        "_unspecific",
    )

    def __init__(self, cell: Cell, at: int, terms: Terms, bar: "_Bar") -> None:
        self._cell = cell
        self._at = at
        self._terms = terms
        self._bar = bar
        self._counting: list[_Ending] = []
        self._expired: list[_Ending] = []
        self._unconfirmed: list[_Ending] = []
        self._unspecific: list[_Ending] = []
        self._changes_at = END_OF_TIME

    def look_at(self, scope: Scope, grants: Sequence[Grant]) -> None:
        """Sort out the grants of one scope."""
        covers = scope.grants(self._cell)
        if not (covers or scope.is_of_parent(self._cell)):
            return
        for grant in reversed(grants):
            if grant.position < self._bar.position:
                break  # Positions ascend: none of the others comes after the last no.
            if grant.occur_time > self._bar.occur_time:
                if covers:
                    self._weigh(grant)
                elif self._end_in_force(grant, lacking=False, ended=[]) is not None:
                    self._unspecific.append(_Ending(0, grant.position, grant))

    def verdict(self, own: Acts) -> CellVerdict:
        """Return the status, first match, with everything that a reader may want to know about it."""
        bar, grant = self._bar, None
        if self._counting:
            # Of several, the one that holds longest: the cell stays live until then.
            end, _, grant = max(self._counting)
            status, basis = RENEWED if grant.renewed else GIVEN, grant.legal_basis
            told = CellVerdict(status, grant.occur_time, _told(end), basis, grant.evidence, grant)
        elif bar.last is not None:
            told = CellVerdict(bar.last.status, bar.last.occur_time, evidence=bar.positions, denied=bar.last)
        elif self._unconfirmed:
            _, position, grant = max(self._unconfirmed, key=_position)
            told = CellVerdict(REQUESTED, grant.occur_time, evidence=(position,), grant=grant)
        elif self._expired:
            end, _, grant = max(self._expired)
            told = CellVerdict(EXPIRED, grant.occur_time, _told(end), evidence=grant.evidence, grant=grant)
        else:
            told = _question(own, self._cell)
        return told._replace(
            unconfirmed=_positions(self._unconfirmed),
            expired=_positions(self._expired),
            unspecific=_positions(self._unspecific),
            changes_at=_told(self._changes_at),
        )

    def _weigh(self, grant: Grant) -> None:
        lacking = grant.lacks_confirmation(self._cell.purpose)
        end = self._end_in_force(grant, lacking=lacking, ended=self._expired)
        if end is not None:
            (self._unconfirmed if lacking else self._counting).append(_Ending(end, grant.position, grant))

    def _end_in_force(self, grant: Grant, *, lacking: bool, ended: "list[_Ending]") -> int | None:
        """Return the end of a grant that would count if it covered the cell and were confirmed; else None.

        One that has ended is put on the list `ended`.
        """
        at, purpose = self._at, self._cell.purpose
        if not self._terms.admits(grant, at, purpose):
            return None
        end = self._terms.end_of(grant, at, purpose)
        if end <= at:
            ended.append(_Ending(end, grant.position, grant))
            return None
        start = grant.valid_from if lacking else grant.start
        self._changes_at = min(self._changes_at, end if start <= at else min(start, end))
        return end if start <= at else None


class _Ending(NamedTuple):
    """A grant with its end, to be compared by that and by its position."""

    end: int
    """Microseconds."""
    position: int
    grant: Grant


def _position(ending: _Ending) -> int:
    return ending.position


def _positions(endings: Sequence[_Ending]) -> tuple[int, ...]:
    return tuple(sorted(map(_position, endings))) if endings else ()


def _told(instant: int) -> int | None:
    return None if instant == END_OF_TIME else instant


def _question(acts: Acts, cell: Cell) -> CellVerdict:
    """Return what follows for a cell from having been asked, or having put it off, where nothing else decides."""
    asked = [each for scope, questions in acts.asked.items() if scope.asks(cell) for each in questions]
    for status in (REQUEST_DEFERRED, REQUESTED):
        last = max(((each.occur_time, each.position) for each in asked if each.status == status), default=None)
        if last is not None:
            return CellVerdict(status, last[0], evidence=(last[1],))
    return CellVerdict(UNKNOWN)


class _Bar(NamedTuple):
    """What a grant must be later than, to count."""

    last: Denial | None = None
    """The denial of greatest position."""
    latest: Denial | None = None
    """The denial of latest occur time; of several the one of greatest position."""
    position: int = -1
    """Of the last."""
    occur_time: int = START_OF_TIME - 1
    """Of the latest."""

    @classmethod
    def over(cls, several: Iterable[Acts], cell: Cell) -> "_Bar":
        last = latest = None
        for acts in several:
            for scope, denials in acts.denials.items():
                if scope.denies(cell):
                    if last is None or denials[-1].position > last.position:
                        last = denials[-1]
                    found = acts.latest[scope]
                    if latest is None or (found.occur_time, found.position) > (latest.occur_time, latest.position):
                        latest = found
        if last is None or latest is None:
            return cls()
        return cls(last, latest, last.position, latest.occur_time)

    @property
    def positions(self) -> tuple[int, ...]:
        return tuple(sorted({denial.position for denial in (self.last, self.latest) if denial is not None}))
