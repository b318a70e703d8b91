"""Lifecycle by personal cadence (relationship.md 4, settled.md 38).

ACTIVE, AT_RISK and LAPSED follow from what the customer began, alone: who only buys can be ACTIVE without there being a
relationship. No probability of being alive is made up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ledger.domain.consent_scope import Scope
from ledger.domain.consent_status import WITHDRAWN
from ledger.measure.results import LifecycleMeasure, Ratio, unknown
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from ledger.measure.measured import Measured
    from ledger.measure.sessions import Cadence, Sessions

_NEVER = (-(1 << 63), 0)
"""Before every occur time and position."""
_EVERYTHING = Scope(frozenset(), frozenset(), frozenset(), frozenset())

Moment = tuple[int, int]
"""Occur time, in microseconds, and position."""


class _Standing(NamedTuple):
    lifecycle: levels.Lifecycle.ValueType
    since: int | None
    evidence: Sequence[int]
    changes_at: int | None = None


class _Ends(NamedTuple):
    """What ended the relationship, whether or not the customer came back."""

    latest: Moment
    first: Moment
    """Of those that the customer did not come back after; `latest` if they did."""
    evidence: tuple[int, ...]
    """Positions of what made up the first."""


def lifecycle(m: Measured) -> LifecycleMeasure:
    """Return the lifecycle at the instant, with the cadence that it rests on."""
    rules = m.outlook.rules
    sessions = m.sessions
    cadence, acts = sessions.cadence(rules), sessions.acts
    standing = _standing(m, sessions, cadence)
    last = acts.times[-1] if acts.times else None
    return LifecycleMeasure(
        lifecycle=standing.lifecycle,
        since=standing.since,
        cadence=cadence.length,
        cadence_source=cadence.source,
        gaps=cadence.gaps,
        sessions=len(sessions.starts),
        last_time=last,
        last_position=0 if last is None else acts.positions[-1],
        gap_ratio=unknown(UNKNOWN_REASON_NO_EVIDENCE) if last is None else Ratio(m.at - last, cadence.length),
        evidence=tuple(standing.evidence),
        changes_at=standing.changes_at,
    )


def _standing(m: Measured, sessions: Sessions, cadence: Cadence) -> _Standing:
    state = m.record.state
    if state.erased_position:
        return _Standing(levels.LIFECYCLE_ERASED, None, (state.erased_position,))
    reopened = sessions.reopenings
    came_back = (reopened.times[-1], reopened.positions[-1]) if reopened.times else _NEVER
    ends = _ends(m, came_back)
    if ends is not None and ends.latest > came_back:
        return _Standing(levels.LIFECYCLE_ENDED, ends.first[0], ends.evidence)
    if not sessions.acts.times:
        return _not_begun(m)
    return _by_silence(m, sessions, cadence, ends)


def _not_begun(m: Measured) -> _Standing:
    """Return where it stands while the customer has begun nothing: ACQUAINTED where anything is known of them."""
    state, existence = m.record.state, m.existence
    known = []
    if "profile" in state.parts:
        known += [each.position for each in state.profile.identifiers.values()]
    if "points_of_contact" in state.parts:
        known += [each.position for each in state.points_of_contact.open() if each.side == PARTY_CUSTOMER]
    legs = [position for leg in existence.legs if leg.holds for position in leg.evidence]
    if not known and not legs:
        return _Standing(levels.LIFECYCLE_STRANGER, None, ())
    evidence = sorted({*legs, min(known)}) if known else sorted(set(legs))
    lasts = known or existence.legs[1].holds
    return _Standing(levels.LIFECYCLE_ACQUAINTED, None, evidence, None if lasts else existence.changes_at)


def _by_silence(m: Measured, sessions: Sessions, cadence: Cadence, ends: _Ends | None) -> _Standing:
    """Return where it stands by the time since the last act that the customer began."""
    rules, last = m.outlook.rules, sessions.acts.times[-1]
    evidence = _evidence(sessions, cadence)
    at_risk, lapsed = (last + factor * cadence.length for factor in (rules.at_risk_factor, rules.lapsed_factor))
    if m.at >= lapsed:
        return _Standing(levels.LIFECYCLE_LAPSED, lapsed, evidence)
    if m.at >= at_risk:
        return _Standing(levels.LIFECYCLE_AT_RISK, at_risk, evidence, lapsed)
    since = sessions.active_since(rules)
    if ends is not None:
        reopened = sessions.reopenings
        since = max(since, reopened.times[reopened.place(*ends.latest)])
    return _Standing(levels.LIFECYCLE_ACTIVE, since, evidence, at_risk)


def _evidence(sessions: Sessions, cadence: Cadence) -> list[int]:
    """Return the positions of the last act, and of the first acts of the sessions whose gaps make the cadence."""
    starts = sessions.starts.positions
    used = starts[len(starts) - cadence.gaps - 1 :] if cadence.gaps else ()
    return sorted({*used, sessions.acts.positions[-1]})


def _ends(m: Measured, came_back: Moment) -> _Ends | None:
    """Return what ended it: a declared end, or a withdrawal of everything with an objection to everything that stands.

    Of a pair the later act ends it. A lifted objection ends nothing (settled.md 48).
    """
    found, declared = [], m.record.acts.ties.ends
    if declared:
        first = _after(declared, came_back)
        found.append(_Ends(declared[-1], first, (first[1],)))
    if (withdrawn := _withdrawn(m)) and (objected := _objected(m)):
        pairs = ((_after(withdrawn, came_back), objected[0]), (withdrawn[0], _after(objected, came_back)))
        later = [pair for pair in pairs if max(pair) > came_back]
        pair = min(later or pairs, key=max)
        both = tuple(sorted(position for _, position in pair))
        found.append(_Ends(max(withdrawn[-1], objected[-1]), max(pair), both))
    if not found:
        return None
    latest = max(each.latest for each in found)
    standing = [each for each in found if each.first > came_back]
    return min(standing or found, key=lambda each: each.first)._replace(latest=latest)


def _after(moments: Sequence[Moment], moment: Moment) -> Moment:
    """Return the first of some moments, in order, that is later than another; the last where none is."""
    return moments[min(bisect_right(moments, moment), len(moments) - 1)]


def _withdrawn(m: Measured) -> list[Moment]:
    """Return the withdrawals of everything, in order."""
    state = m.record.state
    if "consents" not in state.parts:
        return []
    denials = state.consents.acts.denials.get(_EVERYTHING, ())
    return sorted((each.occur_time, each.position) for each in denials if each.status == WITHDRAWN)


def _objected(m: Measured) -> list[Moment]:
    """Return the objections to everything that stand, in order."""
    state = m.record.state
    standing = state.objections.standing() if "objections" in state.parts else ()
    return sorted((each.occur_time, each.position) for each in standing if each.scope == _EVERYTHING)
