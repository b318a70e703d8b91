"""What a denial ends: whether any cell at all was live before it and is not after; and what becomes of each act.

A grant covers a box of cells, purposes x channels x contact points x brands, and so does each denial. Something ends
where the part of a live grant's box that the withdrawal covers is not covered already by the denials that keep the
grant from counting. Listing the cells would not do: an open part stands for values that nobody has named.
"""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final

from ledger.domain.consent_scope import Scope
from ledger.domain.consent_status import PLAIN, Acts, Denial, Grant, Terms

BOXES_MAX: Final = 10_000
"""Most boxes looked at. Beyond, the answer is that something ended: it may have, and the customer asked for it."""

_Box = tuple[frozenset[object], ...]
_UNNAMED: Final = frozenset({object()})
"""Stands for all values of a part that no act names."""


def ends_anything(acts: Acts, withdrawal: Scope, at: int) -> bool:
    """Tell whether a withdrawal recorded now ends at least one cell that is live at an instant, in microseconds.

    The instant is at or after that of every act. When the withdrawal is said to have happened does not matter: it is
    recorded after every grant there is.
    """
    bars = {scope: _Extremes(denials[-1], acts.latest[scope]) for scope, denials in acts.denials.items()}
    universe = _universe((*acts.grants, *bars, withdrawal))
    for scope, grants in acts.grants.items():
        box = _intersection(_granted(scope, universe), _denied(withdrawal, scope, universe))
        if not all(box):
            continue
        for grant in reversed(grants):  # The latest is the likeliest to count.
            if grant.start <= at < grant.until:
                cuts = [_denied(denied, scope, universe) for denied, bar in bars.items() if bar.stops(grant)]
                if _leaves_anything(_confirmed(box, grant), cuts):
                    return True
    return False


def ended_by(acts: Acts, scope: Scope, grant: Grant) -> int:
    """Return the position of the denial from which on no cell of a grant is left; 0: there are such.

    What is not confirmed of a grant is not part of it.
    """
    bars = {denied: _first_against(grant, denials) for denied, denials in acts.denials.items()}
    against = sorted(((position, denied) for denied, position in bars.items() if position), key=itemgetter(0))
    universe = _universe((scope, *bars))
    box, cuts = _confirmed(_granted(scope, universe), grant), [_denied(each, scope, universe) for _, each in against]
    return _first_that_leaves_nothing(box, cuts, [position for position, _ in against])


def lifted_by(acts: Acts, scope: Scope, denial: Denial, at: int, terms: Terms = PLAIN) -> int:
    """Return the position of the grant from which on every cell that a denial names is allowed again; 0: it stands.

    Only grants that are in force at an instant, in microseconds, lift; a denial of everything no grant can lift.
    """
    if not scope.purposes:
        return 0
    lifting = [
        (grant.position, granted, grant)
        for granted, grants in acts.grants.items()
        for grant in grants
        if grant.position > denial.position and grant.occur_time > denial.occur_time and is_in_force(grant, at, terms)
    ]
    lifting.sort(key=itemgetter(0))
    universe = _universe((scope, *(granted for _, granted, _ in lifting)))
    box = (scope.purposes, *(_named(scope[part], universe[part - 1]) for part in (1, 2, 3)))
    cuts = [_confirmed(_granted(granted, universe), grant) for _, granted, grant in lifting]
    return _first_that_leaves_nothing(box, cuts, [position for position, _, _ in lifting])


def is_in_force(grant: Grant, at: int, terms: Terms = PLAIN) -> bool:
    """Tell whether a grant holds at an instant, in microseconds, but for denials: what is confirmed of it."""
    if grant.confirmation_required and not grant.confirmed_position:
        return False
    return terms.admits(grant, at) and grant.start <= at < terms.end_of(grant, at)


def _first_against(grant: Grant, denials: Sequence[Denial]) -> int:
    """Return the position of the first denial that a grant does not come after; 0: it comes after all of them."""
    against = (
        denial.position
        for denial in denials
        if denial.position > grant.position or denial.occur_time >= grant.occur_time
    )
    return next(against, 0)


def _first_that_leaves_nothing(box: _Box, cuts: Sequence[_Box], positions: Sequence[int]) -> int:
    if _leaves_anything(box, cuts):
        return 0
    return next((positions[last] for last in range(len(cuts)) if not _leaves_anything(box, cuts[: last + 1])), 0)


def _confirmed(box: _Box, grant: Grant) -> _Box:
    """Return what is left of a grant's box where only some of its purposes were confirmed, or none."""
    return (box[0] & grant.confirmed, *box[1:]) if grant.confirmation_required else box


class _Extremes:
    """The greatest position and the latest occur time of the denials of one scope."""

    __slots__ = ("occur_time", "position")

    def __init__(self, last: Denial, latest: Denial) -> None:
        self.position = last.position
        self.occur_time = latest.occur_time

    def stops(self, grant: Grant) -> bool:
        return grant.position < self.position or grant.occur_time <= self.occur_time


def _universe(scopes: Sequence[Scope]) -> tuple[frozenset[object], ...]:
    """Return, for channels, contact points and brands, every value that a scope names and one for all the others."""
    return tuple(_UNNAMED.union(*(scope[part] for scope in scopes)) for part in (1, 2, 3))


def _granted(grant: Scope, universe: Sequence[frozenset[object]]) -> _Box:
    return (frozenset(grant.purposes | grant.listed), *(_named(grant[part], universe[part - 1]) for part in (1, 2, 3)))


def _denied(denial: Scope, grant: Scope, universe: Sequence[frozenset[object]]) -> _Box:
    """Return the box of a denial, as far as it concerns the purposes of a grant."""
    purposes = frozenset(filter(denial.denies_purpose, grant.purposes | grant.listed))
    return (purposes, *(_named(denial[part], universe[part - 1]) for part in (1, 2, 3)))


def _named(part: frozenset[object], universe: frozenset[object]) -> frozenset[object]:
    return part or universe


def _intersection(box: _Box, other: _Box) -> _Box:
    return tuple(mine & theirs for mine, theirs in zip(box, other, strict=True))


def _leaves_anything(box: _Box, cuts: Sequence[_Box]) -> bool:
    """Tell whether a cell of the box lies outside every cut."""
    pending = [(box, 0)] if all(box) else []
    for _ in range(BOXES_MAX):
        if not pending:
            return False
        rest, index = pending.pop()
        while index < len(cuts) and not all(_intersection(rest, cuts[index])):
            index += 1
        if index == len(cuts):
            return True
        pending += [(piece, index + 1) for piece in _outside(rest, cuts[index])]
    return True


def _outside(box: _Box, cut: _Box) -> Iterator[_Box]:
    """Yield boxes that together hold each cell of `box` outside `cut` once."""
    inside = _intersection(box, cut)
    for part, values in enumerate(box):
        left = values - cut[part]
        if left:
            yield (*inside[:part], left, *box[part + 1 :])
