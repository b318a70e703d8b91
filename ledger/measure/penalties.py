"""Penalties: what lowers the strength, one line for each event (relationship.md 5), and changes of trust (section 15).

Event penalties fade with age, state penalties stand while the state stands. What they are made of:

- a withdrawal that ended at least one live cell, a mark as spam, a complaint that nothing resolved, an open obstacle;
- a promise that was not kept in time, from the instant at which it was due;
- a preference dishonoured: a contact without the decision that it needs, after its permit had ended, or against what
  was declared;
- trust fractured: a disclosure that no grant covered, a contact that names a decision that denied it, the second breach
  of promises about one topic.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from ledger.domain.amounts import half_even
from ledger.domain.decay import FULL
from ledger.domain.times import START_OF_TIME
from ledger.measure import promises
from ledger.measure.faults import Fault, Judged
from ledger.measure.involvement import DAY
from rapport.events.v1.interaction_pb2 import INTERACTION_KIND_MARKED_SPAM
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from ledger.measure.measured import Measured
    from ledger.measure.rules import Rules

_F = TypeVar("_F", Fault, Judged)

WITHDRAWAL: Final = levels.STRENGTH_COMPONENT_WITHDRAWAL
SPAM: Final = levels.STRENGTH_COMPONENT_SPAM
COMPLAINT: Final = levels.STRENGTH_COMPONENT_COMPLAINT
OBSTACLE: Final = levels.STRENGTH_COMPONENT_OBSTACLE
PROMISE_BROKEN: Final = levels.STRENGTH_COMPONENT_PROMISE_BROKEN
PREFERENCE_DISHONOURED: Final = levels.STRENGTH_COMPONENT_PREFERENCE_DISHONOURED
TRUST_FRACTURED: Final = levels.STRENGTH_COMPONENT_TRUST_FRACTURED
STANDING: Final = frozenset({COMPLAINT, OBSTACLE})
"""Penalties that stand while the state stands; all others fade with age."""
BREACHES: Final = 2
"""So many breaches of promises about one topic fracture trust (relationship.md 15)."""


class PenaltyEvent(NamedTuple):
    """Something that lowers the strength."""

    kind: levels.StrengthComponent.ValueType
    position: int
    """Of what did it; of a promise, and of trust broken by one, that of its making."""
    occur_time: int
    """When it happened; of a promise when it was due. Microseconds."""
    name: str
    """Of a promise broken its id; of an obstacle its id; of trust `disclosure`, `contact` or `promise`; else empty."""


class Penalty(NamedTuple):
    """A line of the strength."""

    event: PenaltyEvent
    base: int
    """Before decay, in ppm."""
    ppm: int
    """Above 0: what the strength is lowered by."""


def events(m: Measured, since: int = START_OF_TIME) -> tuple[PenaltyEvent, ...]:
    """Return everything that went wrong since a time, in microseconds, faded or not, by (position, kind).

    States that stand are among them whenever they began. Something that comes late, or a correction, may add events of
    the past, and take others away.
    """
    return tuple(sorted(_events(m, since), key=_place))


def penalties(m: Measured) -> tuple[Penalty, ...]:
    """Return the lines that have not faded to 0, by (position, kind)."""
    rules, today = m.outlook.rules, m.at // DAY
    bases = bases_of(rules)
    found = []
    for event in events(m, (today - len(rules.decay)) * DAY):
        ppm = faded(bases[event.kind], event, today, rules)
        if ppm:
            found.append(Penalty(event, bases[event.kind], ppm))
    return tuple(found)


def faded(base: int, event: PenaltyEvent, today: int, rules: Rules) -> int:
    """Return a penalty in ppm on a UTC day that is not before the event."""
    if event.kind in STANDING:
        return base
    return half_even(base * rules.decay_of(today - event.occur_time // DAY), FULL)


def bases_of(rules: Rules) -> dict[int, int]:
    """Return the penalties before decay, in ppm, by component."""
    return {
        WITHDRAWAL: rules.penalty_withdrawal,
        SPAM: rules.penalty_spam,
        COMPLAINT: rules.penalty_complaint,
        OBSTACLE: rules.penalty_obstacle,
        PROMISE_BROKEN: rules.penalty_promise,
        PREFERENCE_DISHONOURED: rules.penalty_preference,
        TRUST_FRACTURED: rules.penalty_trust,
    }


def _events(m: Measured, since: int) -> Iterator[PenaltyEvent]:
    faults = m.record.faults
    for time, position in _from(faults.withdrawals, since):
        yield PenaltyEvent(WITHDRAWAL, position, time, "")
    for time, position in _from(faults.disclosures, since):
        yield PenaltyEvent(TRUST_FRACTURED, position, time, "disclosure")
    yield from _contacts(m, since)
    yield from _interactions(m, since)
    for obstacle in m.record.state.obstacles.open() if "obstacles" in m.record.state.parts else ():
        yield PenaltyEvent(OBSTACLE, obstacle.position, obstacle.occur_time, obstacle.obstacle_id)
    if "promises" in m.record.state.parts:
        yield from _promises(m, since)


def _contacts(m: Measured, since: int) -> Iterator[PenaltyEvent]:
    outlook, record = m.outlook, m.record
    version, purposes = outlook.contact_policy_version, outlook.purposes
    judged = record.faults.contacts(record.state, outlook.contact_policy, version, purposes)
    for time, position, denied, dishonoured in _from(judged, since):
        if denied:
            yield PenaltyEvent(TRUST_FRACTURED, position, time, "contact")
        if dishonoured:
            yield PenaltyEvent(PREFERENCE_DISHONOURED, position, time, "")


def _interactions(m: Measured, since: int) -> Iterator[PenaltyEvent]:
    conversation = m.record.state.conversation
    marks = conversation.acts_of(INTERACTION_KIND_MARKED_SPAM)
    for place in range(marks.before(since), len(marks)):
        yield PenaltyEvent(SPAM, marks.positions[place], marks.times[place], "")
    complaints = conversation.complaints
    for time, position in zip(complaints.times, complaints.positions, strict=True):
        yield PenaltyEvent(COMPLAINT, position, time, "")


def _promises(m: Measured, since: int) -> Iterator[PenaltyEvent]:
    breaches: Counter[str] = Counter()
    for promise_id, topic, due, position in promises.broken(m):
        breaches[topic] += 1
        if due < since:
            continue
        yield PenaltyEvent(PROMISE_BROKEN, position, due, promise_id)
        if topic and breaches[topic] == BREACHES:
            yield PenaltyEvent(TRUST_FRACTURED, position, due, "promise")


def _from(faults: Sequence[_F], since: int) -> Sequence[_F]:
    """Return what is not before a time, of what is ordered by time."""
    return faults[bisect_left(faults, (since,)) :] if faults else ()


def _place(event: PenaltyEvent) -> tuple[int, int]:
    return event.position, event.kind
