"""Penalties: what lowers the strength, one line for each event (relationship.md 5), and changes of trust (section 15).

Event penalties fade with age, state penalties stand while the state stands. What they are made of:

- a withdrawal that ended at least one live cell, a mark as spam, a complaint that nothing resolved, an open obstacle;
- a promise that was not kept in time, from the instant at which it was due;
- a preference dishonoured: a contact without the decision that it needs, after its permit had ended, against what was
  declared, or against a denial;
- trust fractured: a disclosure that no grant covered, a contact that names a decision that denied it (beside what that
  dishonours, consent.md 6), the second breach of promises about one topic.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from ledger.domain.amounts import half_even
from ledger.domain.decay import FULL, decay_table
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


class Seen(NamedTuple):
    """How much of what grows at its end only was looked at."""

    disturbed: int
    """As `Faults.disturbed` then: as long as it is the same, all else is as it was."""
    contacts: int
    disclosures: int


def seen(m: Measured) -> Seen:
    """Return that all of it is."""
    faults = m.record.faults
    return Seen(faults.disturbed, len(m.judged), len(faults.disclosures))


def breaches(m: Measured, before: Seen | None = None) -> list[PenaltyEvent]:
    """Return breaches of trust, and contacts against a decision or what was declared, by (position, kind).

    `before`: what was seen before is left out, but for promises; None: nothing is.
    """
    contacts, disclosures = m.judged, m.record.faults.disclosures
    if before is not None and before.disturbed == m.record.faults.disturbed:
        contacts, disclosures = contacts[before.contacts :], disclosures[before.disclosures :]
    found = [*_contacts(contacts), *_disclosures(disclosures)]
    if "promises" in m.record.state.parts:
        found += [event for event in _promises(m, START_OF_TIME) if event.kind == TRUST_FRACTURED]
    return sorted(found, key=_place)


def penalties(m: Measured) -> tuple[Penalty, ...]:
    """Return the lines that have not faded to 0, by (position, kind)."""
    rules, today = m.outlook.rules, m.at // DAY
    bases, found = bases_of(rules), []
    for event in events(m, (today - len(rules.decay)) * DAY):
        base = bases[event.kind]
        fades = _fades(base, rules.half_life_days)
        ppm = base if event.kind in STANDING else _at(fades, today - event.occur_time // DAY)
        if ppm:
            found.append(Penalty(event, base, ppm))
    return tuple(found)


class Injuries(NamedTuple):
    """What penalties come to on any day from that of a measure on, if nothing more happens and no promise falls due."""

    standing: int
    """Of states, in ppm: they do not fade."""
    fading: tuple[tuple[Sequence[int], Mapping[int, int]], ...]
    """For each kind: what one comes to by its age in days, and how many there were on UTC days that had any."""

    def on(self, today: int) -> int:
        """Return the sum on a UTC day, in ppm, above 0 where the strength is lowered."""
        total = self.standing
        if not self.fading:
            return total
        for fades, days in self.fading:
            end = len(fades)
            total += sum([fades[today - day] * count for day, count in days.items() if today - day < end])
        return total


_UNHARMED: Final = Injuries(0, ())


def injuries(m: Measured) -> Injuries:
    """Return the sums of the lines without the lines: the score alone is asked for after every event."""
    if _unharmed(m):
        return _UNHARMED
    half_life = m.outlook.rules.half_life_days
    fading = ((base, times) for base, times in _fading(m) if times)
    return Injuries(
        _standing(m), tuple((_fades(base, half_life), Counter(time // DAY for time in times)) for base, times in fading)
    )


def _unharmed(m: Measured) -> bool:
    """Tell whether nothing ever went wrong, as with most customers."""
    state, faults = m.record.state, m.record.faults
    conversation = state.conversation
    return not (
        m.judged
        or faults.withdrawals
        or faults.disclosures
        or "promises" in state.parts
        or "obstacles" in state.parts
        or conversation.complaints
        or conversation.acts_of(INTERACTION_KIND_MARKED_SPAM)
    )


def _standing(m: Measured) -> int:
    rules, state = m.outlook.rules, m.record.state
    obstacles = len(state.obstacles.open()) if "obstacles" in state.parts else 0
    return rules.penalty_complaint * len(state.conversation.complaints) + rules.penalty_obstacle * obstacles


def _fading(m: Measured) -> Iterator[tuple[int, Sequence[int]]]:
    """Yield penalties before decay, each with the times, in microseconds, of the events that have one and may weigh."""
    rules, faults = m.outlook.rules, m.record.faults
    since = (m.at // DAY - len(rules.decay)) * DAY
    judged = _from(m.judged, since)
    broken = list(_promises(m, since)) if "promises" in m.record.state.parts else []
    yield rules.penalty_withdrawal, [time for time, _ in _from(faults.withdrawals, since)]
    yield rules.penalty_spam, m.record.state.conversation.acts_of(INTERACTION_KIND_MARKED_SPAM).times
    yield rules.penalty_promise, [event.occur_time for event in broken if event.kind == PROMISE_BROKEN]
    yield rules.penalty_preference, [time for time, _, _ in judged]
    yield rules.penalty_trust, [time for time, _ in _from(faults.disclosures, since)]
    yield rules.penalty_trust, [time for time, _, denied in judged if denied]
    yield rules.penalty_trust, [event.occur_time for event in broken if event.kind == TRUST_FRACTURED]


@lru_cache(maxsize=256)
def _fades(base: int, half_life_days: int) -> tuple[int, ...]:
    """Return what a penalty comes to by its age in UTC days, in ppm; beyond the end 0."""
    return tuple(half_even(base * decay, FULL) for decay in decay_table(half_life_days))


def _at(fades: Sequence[int], age: int) -> int:
    return fades[age] if age < len(fades) else 0


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
    yield from _disclosures(_from(faults.disclosures, since))
    yield from _contacts(_from(m.judged, since))
    yield from _interactions(m, since)
    for obstacle in m.record.state.obstacles.open() if "obstacles" in m.record.state.parts else ():
        yield PenaltyEvent(OBSTACLE, obstacle.position, obstacle.occur_time, obstacle.obstacle_id)
    if "promises" in m.record.state.parts:
        yield from _promises(m, since)


def _disclosures(found: Iterable[Fault]) -> Iterator[PenaltyEvent]:
    for time, position in found:
        yield PenaltyEvent(TRUST_FRACTURED, position, time, "disclosure")


def _contacts(found: Iterable[Judged]) -> Iterator[PenaltyEvent]:
    for time, position, denied in found:
        yield PenaltyEvent(PREFERENCE_DISHONOURED, position, time, "")
        if denied:
            yield PenaltyEvent(TRUST_FRACTURED, position, time, "contact")


def judged(m: Measured) -> Sequence[Judged]:
    """Return the contacts that went against something, by (occur_time, position). Not to be changed."""
    record, outlook = m.record, m.outlook
    return record.faults.contacts(
        record.state, outlook.contact_policy, outlook.contact_policy_version, outlook.purposes
    )


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
