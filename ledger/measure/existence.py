"""Whether there is a relationship: the two know each other, share something, and communicate (relationship.md 3).

Absence of evidence is absence: no leg is unknown. Each names the earliest event of what makes it hold, `communicate`
the latest of each direction (settled.md 49); so removing an event that a leg names never makes that leg true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.domain.times import END_OF_TIME
from ledger.measure.results import Existence, Leg
from ledger.measure.ties import Interval, spans
from rapport.events.v1.disclosure_pb2 import PROVENANCE_DECLARED
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from ledger.measure.measured import Measured
    from ledger.measure.outlook import Outlook
    from ledger.measure.record import Record
    from ledger.measure.rules import Rules


class _Formed(NamedTuple):
    """When all legs first held, under one policy and up to the event at a position."""

    rules: Rules
    position: int
    at: int | None


def existence(m: Measured) -> Existence:
    """Return the legs at the instant; only `communicate` ends by the clock."""
    know, common, communicate = legs = _know(m), _common(m), _communicate(m)
    return Existence(know.holds and common.holds and communicate.holds, legs, communicate.until)


def formed_at(record: Record, outlook: Outlook) -> int | None:
    """Return the first occur time at which all legs held, in microseconds, or None: at none.

    For each leg the spans of time in which it held are put together, and the first instant that all have is looked
    for; O(n log n) in what was recorded, and once between two events. A communication that bounced counts in none, as
    it does at present.
    """
    position = record.state.last_position
    known: _Formed | None = record.memo.get("formed")
    if known is None or known.position != position or known.rules is not outlook.rules:
        known = record.memo["formed"] = _Formed(outlook.rules, position, _formed_at(record, outlook.rules))
    return known.at


def _formed_at(record: Record, rules: Rules) -> int | None:
    acts, talk = record.acts, record.talk
    begun = acts.sessions(rules).acts.times
    if not (begun and acts.ties.identifiers and talk.inbound and talk.outbound):
        return None
    ties, programmes = acts.ties, acts.memberships.programmes
    legs = (
        [(begun[0], END_OF_TIME)],
        chain.from_iterable(map(spans, ties.identifiers.values())),
        chain(
            chain.from_iterable(map(spans, ties.grounds.values())),
            acts.buying.spans(),
            chain.from_iterable(spans(programme.words()) for programme in programmes.values()),
        ),
        _lasting(talk.inbound.times, rules.window),
        _lasting(talk.outbound.times, rules.window),
    )
    return _first_common([_joined(leg) for leg in legs])


def _know(m: Measured) -> Leg:
    """We know them: a verified contact point. They know us: they began something once."""
    begun, state = m.sessions.acts.positions, m.record.state
    points = state.profile.identifiers.values() if "profile" in state.parts else ()
    if not (points and begun):
        return _NOT_KNOWN
    _, position = min((known.verified_time, known.position) for known in points)
    return Leg(levels.EXISTENCE_LEG_KNOW, True, tuple(sorted((position, begun[0]))), None)


def _common(m: Measured) -> Leg:
    """Share declared ground, an exchange with a leg from each side, or a membership."""
    record = m.record
    grounds = record.state.common_ground.live() if "common_ground" in record.state.parts else ()
    ground = next((each.position for each in grounds if each.provenance == PROVENANCE_DECLARED), None)
    exchanges = record.acts.buying.both.positions
    found = ground, exchanges[0] if exchanges else None, record.acts.memberships.earliest()
    evidence = tuple(sorted([position for position in found if position is not None]))
    return Leg(levels.EXISTENCE_LEG_COMMON, True, evidence, None) if evidence else _NOTHING_COMMON


def _communicate(m: Measured) -> Leg:
    """Both have addressed the other within the window, which an event leaves exactly at its time and the window."""
    inbound, outbound = m.record.talk.inbound, m.record.talk.outbound
    if not (inbound.times and outbound.times):
        return _SILENT
    until = min(inbound.times[-1], outbound.times[-1]) + m.outlook.rules.window
    if until <= m.at:
        return _SILENT
    # A mutual communication may be the latest of both.
    evidence = tuple(sorted({inbound.positions[-1], outbound.positions[-1]}))
    return Leg(levels.EXISTENCE_LEG_COMMUNICATE, holds=True, evidence=evidence, until=until)


_NOT_KNOWN: Final = Leg(levels.EXISTENCE_LEG_KNOW, holds=False, evidence=(), until=None)
_NOTHING_COMMON: Final = Leg(levels.EXISTENCE_LEG_COMMON, holds=False, evidence=(), until=None)
_SILENT: Final = Leg(levels.EXISTENCE_LEG_COMMUNICATE, holds=False, evidence=(), until=None)


def _lasting(times: Iterable[int], window: int) -> Iterator[Interval]:
    return ((time, time + window) for time in times)


def _joined(intervals: Iterable[Interval]) -> list[Interval]:
    """Return what some intervals cover together, as intervals that do not touch, in order."""
    joined: list[Interval] = []
    for since, until in sorted(intervals):
        if joined and since <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], until)
        elif since < until:
            joined.append((since, until))
    return joined


def _first_common(many: Sequence[Sequence[Interval]]) -> int | None:
    """Return the first instant that all lists of intervals cover, each in order and without overlap, or None."""
    places = [0] * len(many)
    while all(place < len(each) for place, each in zip(places, many, strict=True)):
        current = [each[place] for place, each in zip(places, many, strict=True)]
        latest = max(since for since, _ in current)
        if all(until > latest for _, until in current):
            return latest
        places = [place + (until <= latest) for place, (_, until) in zip(places, current, strict=True)]
    return None
