"""Permission: consent cells that are live among those that the customer was ever asked about (relationship.md 5).

Asked about is what was requested, put off, refused or granted (settled.md 46); live is what the contact policy and the
customer's words leave in force at the instant, as contact decisions read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.contact.picture import Picture
from ledger.contact.terms import ContactTerms
from ledger.domain.consent_scope import Cell, Scope
from ledger.domain.consent_status import REFUSED, Acts, cell_verdict, permits
from ledger.measure.results import Ratio, unknown
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


class CellStanding(NamedTuple):
    """A cell that the customer was asked about."""

    cell: Cell
    live: bool
    evidence: tuple[int, ...]
    """Positions of the acts that decide it, ascending."""


class Permission(NamedTuple):
    """The cells, and how long they stand so."""

    cells: tuple[CellStanding, ...]
    """In order."""
    changes_at: int | None
    """The earliest later instant at which the clock alone may change one, in microseconds; None: it will not."""

    @property
    def ratio(self) -> Ratio:
        """Live / asked; unknown where nothing was ever asked."""
        if not self.cells:
            return _NOTHING
        return Ratio(sum(each.live for each in self.cells), len(self.cells))


_NOTHING: Final = unknown(UNKNOWN_REASON_NO_EVIDENCE)


class _Remembered(NamedTuple):
    """An answer, and what it rests on."""

    key: tuple[int, ...]
    since: int
    permission: Permission


NOTHING = Permission((), None)
"""Of a customer who was never asked."""


def permission(m: Measured) -> Permission:
    """Return where the cells stand.

    Remembered until an act of consent or what bears on it is recorded, or the clock may change something.
    """
    if "consents" not in m.record.state.parts:
        return NOTHING
    acts, memo = m.record.state.consents.acts, m.record.memo
    faults, any_fact = m.record.faults, m.record.state.last_position
    key = (faults.terms_position, m.outlook.contact_policy_version, any_fact if faults.used_up else 0)
    known: _Remembered | None = memo.get("permission")
    if known is not None and known.key == key and known.since <= m.at:
        ends = known.permission.changes_at
        if ends is None or m.at < ends:
            return known.permission
    found = _permission(m, acts)
    memo["permission"] = _Remembered(key, m.at, found)
    return found


def _permission(m: Measured, acts: Acts) -> Permission:
    outlook, at = m.outlook, m.at
    terms = ContactTerms(Picture("", m.record.state, outlook.contact_policy, outlook.purposes))
    cells, changes = [], []
    for cell in sorted({cell for scope in _asked(acts) for cell in scope.named_cells()}):
        verdict = cell_verdict(acts, cell, at, terms)
        cells.append(CellStanding(cell, permits(verdict.status), verdict.evidence))
        changes.append(verdict.changes_at)
    changes.append(terms.changes_after(at))
    return Permission(tuple(cells), min((each for each in changes if each is not None), default=None))


def _asked(acts: Acts) -> Iterator[Scope]:
    yield from acts.grants
    yield from acts.asked
    for scope, denials in acts.denials.items():
        if any(denial.status == REFUSED for denial in denials):
            yield scope
