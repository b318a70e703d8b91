"""What each event adds to the lines of the strength (relationship.md 5): the shares of a line sum to it, always.

A line is split in proportion to what the events contribute, with largest remainders; of equal remainders the lower
position is first. Involvement by mass; reciprocity by the value of what the customer got; preference over the repeats
without incentive; balance over what the customer said; answering over the requests that were answered in time;
permission over the live cells, by the grant that decides each; a penalty is one event's, and a clamp nobody's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Final

from ledger.balance.view import BalanceView
from ledger.balance.viewed import SELECTED, legs_in_view
from ledger.domain.amounts import split
from ledger.measure import involvement
from ledger.measure.involvement import DAY
from ledger.measure.results import Contribution, Share
from ledger.measure.strength import CLAMP, COMPONENTS
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER

if TYPE_CHECKING:
    from ledger.measure.measured import Measured

Parts = Mapping[tuple[int, int], Fraction | int]
"""What events contribute, in any unit of the line, by (position, occur time)."""


def shares(m: Measured) -> Iterator[tuple[Contribution, tuple[Share, ...]]]:
    """Yield each line of the strength with its shares, by position; a line of 0 has none.

    Costs in proportion to the events: for explanations.
    """
    for line in m.strength.contributions:
        find = _PARTS.get(line.component)
        if find is not None:
            yield line, _split(line.ppm, find(m)) if line.ppm else ()
        elif line.component == CLAMP:
            yield line, ()
        else:
            yield line, tuple(_penalty(m, line))


def _split(total: int, parts: Parts) -> tuple[Share, ...]:
    """Return a total in shares that are as the parts, of which one at least is above 0."""
    ordered = sorted(parts)
    unit = lcm(*(Fraction(parts[each]).denominator for each in ordered))
    found = split(total, [int(parts[each] * unit) for each in ordered])
    return tuple(Share(position, time, ppm) for (position, time), ppm in zip(ordered, found, strict=True))


def _penalty(m: Measured, line: Contribution) -> Iterator[Share]:
    for event, _, _ in m.penalties:
        if (event.kind, event.position) == (line.component, line.evidence[0]):
            yield Share(event.position, event.occur_time, line.ppm)
            return


def _involvement(m: Measured) -> Parts:
    """Return the mass of each act: of a day with more than the cap its part of the cap."""
    rules, acts, weights, today = m.outlook.rules, m.record.acts, m.outlook.rules.act_weights, m.at // DAY
    days = {day: (raw, capped * rules.decay_of(today - day)) for day, raw, capped in involvement.days_of(m)}
    found: dict[tuple[int, int], Fraction | int] = {}
    for time, position, code in zip(acts.times, acts.positions, acts.codes, strict=True):
        if time // DAY in days and code in weights:
            raw, mass = days[time // DAY]
            found[position, time] = Fraction(weights[code] * mass, raw)
    return found


def _reciprocity(m: Measured) -> Parts:
    """Return what the customer got in each exchange, with decay."""
    assert m.outlook.opinion is not None, "something has a value"
    view = BalanceView(m.at, PARTY_CUSTOMER, half_life_days=m.outlook.rules.half_life_days)
    found: Counter[tuple[int, int]] = Counter()
    for each in legs_in_view(m.record.book, m.outlook.opinion, view):
        if each.reason == SELECTED and each.got(PARTY_CUSTOMER):
            found[each.position, each.effective_time] += each.value * each.weight
    return found


def _preference(m: Measured) -> Parts:
    buying, by_legs = m.record.acts.buying, m.outlook.rules.incentive_by_legs
    places = range(1, len(buying.counting))
    repeats = ((buying.counting.positions[place], buying.counting.times[place]) for place in places)
    return _each(repeat for repeat in repeats if not buying.had_incentive(repeat[0], by_legs=by_legs))


def _balance(m: Measured) -> Parts:
    said, start = m.record.talk.inbound, m.at - m.outlook.rules.window
    return _each((said.positions[place], said.times[place]) for place in range(said.until(start), said.until(m.at)))


def _answering(m: Measured) -> Parts:
    talk, rules = m.record.talk, m.outlook.rules
    asked, found = talk.requests, []
    for place in range(asked.until(m.at - rules.window), asked.until(m.at)):
        position, time = asked.positions[place], asked.times[place]
        if talk.replied_within(position, time, rules.answer_within):
            found.append((position, time))
    return _each(found)


def _permission(m: Measured) -> Parts:
    """Return how many cells each grant keeps live; a confirmation counts for the grant that it confirms."""
    acts = m.record.state.consents.acts
    times = {grant.position: grant.occur_time for grants in acts.grants.values() for grant in grants}
    deciding = (min(each.evidence) for each in m.permission.cells if each.live)
    return _each((position, times[position]) for position in deciding)


def _each(events: Iterable[tuple[int, int]]) -> Parts:
    """Return one part for each time that an event is named."""
    return Counter(events)


_PARTS: Final[dict[int, Callable[[Measured], Parts]]] = dict(
    zip(COMPONENTS, (_involvement, _reciprocity, _preference, _balance, _answering, _permission), strict=True)
)
