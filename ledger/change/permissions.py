"""Changes of permissions, cell by cell (consent.md 1, relationship.md 15): no hysteresis, no dwell.

`opted_in` and `opted_out` are the customer's acts. A permission that ends by its term, or what else its terms say, has
`consent_expired`, and before that `consent_expiring`. What others end (a revocation, a finding that it is not valid) is
told by its own event. A withdrawal that is recorded late and ends a yes of later occur time is a `consent_conflict`:
the customer must be asked again.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from ledger.change.look import Draft, Look
from ledger.contact.picture import Picture
from ledger.contact.terms import ContactTerms
from ledger.domain import consent
from ledger.domain.consent_scope import Cell
from ledger.domain.consent_state import CONSENT_REFUSED, CONSENT_RENEWED, CONSENT_WITHDRAWN
from ledger.domain.consent_status import EXPIRED, LIVE, UNKNOWN, CellVerdict
from ledger.domain.exchange_state import EXCHANGE_RECORDED
from ledger.domain.relationship import RelationshipState
from ledger.measure.measured import Measured
from rapport.change.v1 import change_pb2 as pb
from rapport.events.v1.consent_pb2 import ConsentStatus
from rapport.events.v1.interaction_pb2 import Channel

_DENYING: Final = frozenset({CONSENT_REFUSED, CONSENT_WITHDRAWN})
_STATUS, _UNTIL, _WARNED, _SINCE = range(4)


def permissions(look: Look) -> Iterator[Draft]:
    """Announce what became of each permission that an act of the customer named."""
    state, levels = look.measured.record.state, look.levels
    if "consents" not in state.parts or not _may_differ(look):
        return
    expiring = look.measured.outlook.rules.consent_expiring
    terms, dues = _terms(look.stream_id, state, look.measured), list[int | None]()
    for cell in consent.cells(state.consents):
        verdict = consent.status(state.consents, cell, look.at, terms)
        name = cell_name(cell)
        known = levels.cells.setdefault(name, [UNKNOWN, 0, 0, 0])
        yield from _cell(look, f"consent:{name}", known, verdict, expiring)
        dues += _dues(known, verdict, expiring)
    dues.append(terms.changes_after(look.at))
    levels.cells_due = min((due for due in dues if due is not None), default=0)


def moved(look: Look, before: Measured) -> Iterator[tuple[str, str, str]]:
    """Set the permissions that a new policy moves, and yield each with what it was and is; the clock moves others.

    `before`: the same record at the same instant under the old policy.
    """
    state, levels = look.measured.record.state, look.levels
    if "consents" not in state.parts:
        return
    cells, expiring = consent.cells(state.consents), look.measured.outlook.rules.consent_expiring
    old = verdicts(look.stream_id, state, before, cells)
    terms, dues = _terms(look.stream_id, state, look.measured), list[int | None]()
    for cell in cells:
        verdict = consent.status(state.consents, cell, look.at, terms)
        known = levels.cells.setdefault(cell_name(cell), [UNKNOWN, 0, 0, 0])
        if verdict.status != old[cell].status:
            yield f"consent:{cell_name(cell)}", status_name(known[_STATUS]), status_name(verdict.status)
            known[_STATUS], known[_UNTIL], known[_SINCE] = verdict.status, verdict.until or 0, verdict.since or 0
        dues += _dues(known, verdict, expiring)
    dues.append(terms.changes_after(look.at))
    if 0 < levels.cells_due <= look.at:
        return  # What the clock changes at this very instant is found next.
    # What was to be warned of by now under the new policy is warned of with the next look.
    levels.cells_due = min((max(due, look.at + 1) for due in dues if due is not None), default=0)


def _dues(known: list[int], verdict: CellVerdict, expiring: int) -> Iterator[int | None]:
    """Yield when the clock may change a permission, or its end is to be announced."""
    yield verdict.changes_at
    if verdict.status in LIVE and verdict.until is not None and known[_WARNED] != verdict.until:
        yield verdict.until - expiring


def _may_differ(look: Look) -> bool:
    """Tell whether a permission may be another than it was: most events say nothing about them."""
    if 0 < look.levels.cells_due <= look.at:
        return True
    return look.fact is not None and look.topic != EXCHANGE_RECORDED


def _cell(look: Look, measure: str, known: list[int], verdict: CellVerdict, expiring: int) -> Iterator[Draft]:
    """Announce what became of one permission, and take note of it."""
    before, status = known[_STATUS], verdict.status
    was, live = before in LIVE, status in LIVE
    told = (status_name(before), status_name(status), look.cause)
    renewed = (
        live and look.fact is not None and look.topic == CONSENT_RENEWED and look.fact.position in verdict.evidence
    )
    if renewed:
        yield Draft(pb.CHANGE_KIND_CONSENT_RENEWED, measure, *told, pair=measure)
    elif live and not was:
        yield Draft(pb.CHANGE_KIND_OPTED_IN, measure, *told, pair=measure)
    elif was and not live:
        if look.topic in _DENYING:
            yield Draft(pb.CHANGE_KIND_OPTED_OUT, measure, *told, pair=measure)
            if look.fact is not None and look.fact.occur_time < known[_SINCE]:
                yield Draft(pb.CHANGE_KIND_CONSENT_CONFLICT, measure, "CLEAR", "LATE_WITHDRAWAL", look.cause)
        elif look.fact is None or status == EXPIRED:
            yield Draft(pb.CHANGE_KIND_CONSENT_EXPIRED, measure, *told, pair=measure)
    known[_STATUS] = status
    known[_UNTIL] = verdict.until or 0
    known[_SINCE] = verdict.since or 0
    if live and verdict.until is not None and verdict.until - expiring <= look.at and known[_WARNED] != verdict.until:
        known[_WARNED] = verdict.until
        yield Draft(pb.CHANGE_KIND_CONSENT_EXPIRING, measure, told[1], "EXPIRING", look.cause)


def verdicts(
    stream_id: str, state: RelationshipState, measured: Measured, cells: Iterable[Cell]
) -> dict[Cell, CellVerdict]:
    """Return the status of some cells of one customer id, by its own acts."""
    terms = _terms(stream_id, state, measured)
    return {cell: consent.status(state.consents, cell, measured.at, terms) for cell in cells}


def cell_name(cell: Cell) -> str:
    """Return a cell as text, open parts at its end left out. Example: `marketing/EMAIL`."""
    channel = Channel.Name(cell.channel).removeprefix("CHANNEL_") if cell.channel else "ANY"  # type: ignore[arg-type]
    parts = [cell.purpose or "ANY", channel, cell.brand or "ANY", cell.contact_point_id or "ANY"]
    while len(parts) > 1 and parts[-1] == "ANY":
        parts.pop()
    return "/".join(parts)


def status_name(status: int) -> str:
    """Return the word for a status. Example: `GIVEN`."""
    return ConsentStatus.Name(status).removeprefix("CONSENT_STATUS_")  # type: ignore[arg-type]  # A number of the enum.


def _terms(stream_id: str, state: RelationshipState, measured: Measured) -> ContactTerms:
    outlook = measured.outlook
    return ContactTerms(Picture(stream_id, state, outlook.contact_policy, outlook.purposes))
