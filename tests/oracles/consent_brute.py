"""Rules 1 to 4 of consent.md 1 read word by word, over a plain list of acts. No caches, no folds, no classes of ours.

Written from the design alone (settled.md 59 to 64 where it is more exact), so that it and the ledger can check each
other. Slow: every question looks at every act.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

DENIALS = {"REFUSED", "WITHDRAWN", "REVOKED", "INVALIDATED"}
GRANTS = {"GIVEN", "RENEWED"}
FOR_EVER = 10**18


class Cell(NamedTuple):
    """What is asked about; empty parts mean any."""

    purpose: str
    channel: int = 0
    point: str = ""
    brand: str = ""


class Act(NamedTuple):
    """One act in plain values. Times are whatever integers the caller counts in."""

    kind: str
    """GIVEN, RENEWED, CONFIRMED, REFUSED, WITHDRAWN, REVOKED, INVALIDATED, REQUESTED or REQUEST_DEFERRED."""
    position: int
    occur: int
    purposes: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    points: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    """Purposes in the notice shown."""
    start: int | None = None
    """First instant of a grant. None: its occur time."""
    until: int = FOR_EVER
    unconfirmed: bool = False
    """The grant asks for a confirmation."""
    confirms: int = 0
    """Position of the grant that is confirmed."""
    by: str = ""
    """Guardian who spoke; empty: the customer."""


def is_below(child: str, parent: str) -> bool:
    return child.startswith(parent + ".")


def is_narrowing_met(act: Act, cell: Cell) -> bool:
    """A denial is met by a question that leaves a part open (settled.md 61)."""
    pairs = ((act.channels, cell.channel), (act.points, cell.point), (act.brands, cell.brand))
    return all(not named or not asked or asked in named for named, asked in pairs)


def is_narrowing_held(act: Act, cell: Cell) -> bool:
    """A grant that is narrowed does not cover a question that leaves the part open."""
    pairs = ((act.channels, cell.channel), (act.points, cell.point), (act.brands, cell.brand))
    return all(not named or asked in named for named, asked in pairs)


def denies(act: Act, cell: Cell) -> bool:
    purpose = not act.purposes or any(cell.purpose == each or is_below(cell.purpose, each) for each in act.purposes)
    return purpose and is_narrowing_met(act, cell)


def reaches(act: Act, purpose: str) -> bool:
    """A purpose that the act names, or a child of one that its notice lists."""
    return purpose in act.purposes or (
        purpose in act.listed and any(is_below(purpose, parent) for parent in act.purposes)
    )


def grants(act: Act, cell: Cell) -> bool:
    return reaches(act, cell.purpose) and is_narrowing_held(act, cell)


def confirmed_at(acts: Iterable[Act], grant: Act, purpose: str) -> int | None:
    """Return when the grant was confirmed for a purpose. None: it was not."""
    for act in acts:
        if act.kind == "CONFIRMED" and act.confirms == grant.position:
            named = act.purposes or grant.purposes
            # A purpose that the consent names and the confirmation leaves out was left out, whatever the notice lists.
            listed = purpose in grant.listed and purpose not in grant.purposes
            if purpose in named or (listed and any(is_below(purpose, each) for each in named)):
                return act.occur
    return None


def statuses(acts: Iterable[Act], cell: Cell, at: int) -> set[str]:
    """Return the status of a cell at an instant. Where a given and a renewed consent both count, either will do."""
    happened = [act for act in acts if act.occur <= at]
    against = [act for act in happened if act.kind in DENIALS and denies(act, cell)]
    covering = [act for act in happened if act.kind in GRANTS and grants(act, cell)]
    # Rule 1.
    later = [
        grant
        for grant in covering
        if all(grant.occur > denial.occur and grant.position > denial.position for denial in against)
    ]
    in_force = [grant for grant in later if (grant.occur if grant.start is None else grant.start) <= at < grant.until]
    # Rule 2; a confirmation makes a grant count from then on, and an unconfirmed grant lifts no denial (settled.md 60).
    counting = [
        grant for grant in in_force if not grant.unconfirmed or confirmed_at(happened, grant, cell.purpose) is not None
    ]
    if counting:
        return {grant.kind for grant in counting}
    if in_force and not against:
        return {"REQUESTED"}
    # Rule 3.
    if against:
        return {max(against, key=lambda denial: denial.position).kind}
    # Rule 4.
    if any(grant.until <= at for grant in covering):
        return {"EXPIRED"}
    asked = {act.kind for act in happened if act.kind in {"REQUESTED", "REQUEST_DEFERRED"} and grants(act, cell)}
    if "REQUEST_DEFERRED" in asked:
        return {"REQUEST_DEFERRED"}
    return {"REQUESTED"} if asked else {"UNKNOWN"}
