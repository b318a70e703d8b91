"""Points of contact and their shape (relationship.md 11): how many people and functions carry a relationship.

An edge is a person on the customer's side and one of our functions; whoever is not named there is the customer. What
names no function makes no edge. Shares of persons are of what names somebody on their side; on the customer's side
that is every edge, and whatever else names a person.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.measure.evidence import EVIDENCE_MAX
from ledger.measure.results import Contacts, Edge, PersonShare, Ratio, unknown
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.domain.relationship import RelationshipState
    from ledger.measure.measured import Measured
    from ledger.measure.rules import Rules

LISTED_MAX: Final = 64
"""Most edges, and most persons, that are listed: the heaviest."""


class Risk(NamedTuple):
    """Somebody left on whom much of the relationship hung."""

    person_id: str
    side: int
    """A `Party`."""
    share: Ratio
    """In the window that ended when they left."""
    position: int
    """Of the event that says so."""
    occur_time: int
    """Microseconds."""


_NOBODY: Final = Contacts(
    shape=levels.CONTACT_SHAPE_NONE,
    wanted_shape=levels.CONTACT_SHAPE_UNSPECIFIED,
    interactions=0,
    concentration=unknown(UNKNOWN_REASON_NO_EVIDENCE),
    single_point=unknown(UNKNOWN_REASON_NO_EVIDENCE),
    persons=0,
    functions=0,
    edges=(),
    shares=(),
    evidence=(),
    changes_at=None,
)
"""Where no interaction names anybody."""


def contacts(m: Measured) -> Contacts:
    """Return the measure."""
    rules, state, talk = m.outlook.rules, m.record.state, m.record.talk
    if not (talk.edges or talk.ours or talk.named):
        return _NOBODY if "shape_wanted" not in state.parts else _NOBODY._replace(wanted_shape=_wanted(state))
    everyone = _counts(m, m.at)
    edges = {edge: count for edge, count in everyone.items() if edge[1]}
    total, most = sum(edges.values()), max(edges.values(), default=0)
    persons, functions = len({person for person, _ in edges}), len({function for _, function in edges})
    single_point = Ratio(most, total) if total else unknown(UNKNOWN_REASON_NO_EVIDENCE)
    squares = sum(count * count for count in edges.values())
    named = talk.named
    first, last = named.until(m.at - rules.window), named.until(m.at)
    heaviest = sorted(edges.items(), key=lambda each: (-each[1], each[0]))[:LISTED_MAX]
    return Contacts(
        shape=shape_of(rules, total, single_point, persons, functions),
        wanted_shape=_wanted(state),
        interactions=total,
        concentration=Ratio(squares, total * total) if total else unknown(UNKNOWN_REASON_NO_EVIDENCE),
        single_point=single_point,
        persons=persons,
        functions=functions,
        edges=tuple(Edge(person, function, count) for (person, function), count in heaviest),
        shares=_shares(m, everyone),
        evidence=tuple(sorted(named.positions[max(first, last - EVIDENCE_MAX) : last])),
        changes_at=_changes_at(m, first, last, persons, functions),
    )


def _wanted(state: RelationshipState) -> levels.ContactShape.ValueType:
    return levels.ContactShape.ValueType(state.shape_wanted.shape)


def shape_of(
    rules: Rules, total: int, single_point: Ratio, persons: int, functions: int
) -> levels.ContactShape.ValueType:
    """Return the shape: the first that matches."""
    if not total:
        return levels.CONTACT_SHAPE_NONE
    if single_point.ppm >= rules.bow_tie_from or persons == 1 or functions == 1:
        return levels.CONTACT_SHAPE_BOW_TIE
    many = persons >= rules.diamond_persons and functions >= rules.diamond_functions
    if many and single_point.ppm <= rules.diamond_up_to:
        return levels.CONTACT_SHAPE_DIAMOND
    return levels.CONTACT_SHAPE_TRANSITIONAL


def risks(m: Measured) -> tuple[Risk, ...]:
    """Return who takes part no more and had, when they left, as large a share as the policy calls a risk.

    By (occur time, position). The share is that of the window up to their leaving, whatever happened since.
    """
    found = []
    for person_id, side, position, occur_time in m.record.state.points_of_contact.closed():
        share = _share_at(m, person_id, side, occur_time)
        if share.unknown is None and share.ppm >= m.outlook.rules.continuity_from:
            found.append(Risk(person_id, side, share, position, occur_time))
    return tuple(found)


def _share_at(m: Measured, person_id: str, side: int, at: int) -> Ratio:
    """Return the share of a person in the window that ends at an instant."""
    counts = _by_person(m, side, _counts(m, at), at)
    whole = sum(counts.values())
    return Ratio(counts.get(person_id, 0), whole) if whole else unknown(UNKNOWN_REASON_NO_EVIDENCE)


def _counts(m: Measured, at: int) -> dict[tuple[str, int], int]:
    """Return how many interactions of the window that ends at an instant name a person and function."""
    start, found = at - m.outlook.rules.window, {}
    for edge, moments in m.record.talk.edges.items():
        count = moments.until(at) - moments.until(start)
        if count:
            found[edge] = count
    return found


def _by_person(m: Measured, side: int, everyone: Mapping[tuple[str, int], int], at: int) -> Mapping[str, int]:
    """Return how many interactions of the window name each person of a side."""
    counts: Counter[str] = Counter()
    if side == PARTY_CUSTOMER:
        for (person, _), count in everyone.items():
            counts[person] += count
        return counts
    start = at - m.outlook.rules.window
    for person, moments in m.record.talk.ours.items():
        counts[person] = moments.until(at) - moments.until(start)
    return counts


def _shares(m: Measured, everyone: Mapping[tuple[str, int], int]) -> tuple[PersonShare, ...]:
    """Return the persons of both sides, the heaviest first."""
    at_risk = {(risk.person_id, risk.side) for risk in risks(m)}
    found = []
    for side in (PARTY_CUSTOMER, PARTY_ORGANIZATION):
        counts = _by_person(m, side, everyone, m.at)
        whole = sum(counts.values())
        found += [
            PersonShare(person, side, count, Ratio(count, whole), (person, side) in at_risk)
            for person, count in counts.items()
            if count
        ]
    found.sort(key=lambda each: (-each.interactions, each.side, each.person_id))
    return tuple(found[:LISTED_MAX])


def _changes_at(m: Measured, first: int, last: int, persons: int, functions: int) -> int | None:
    """Return when the shape may change by the clock.

    With one person or one function it stays a BOW_TIE until nothing is left; else the next to leave the window may
    change it.
    """
    if first == last:
        return None
    leaves = last - 1 if persons == 1 or functions == 1 else first
    return m.record.talk.named.times[leaves] + m.outlook.rules.window
