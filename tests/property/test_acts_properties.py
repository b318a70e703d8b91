"""The fold of acts against a reading of the whole history, after every fact, in any order of occur times.

The reading shares nothing with the fold but the shape of facts: it goes through everything each time it is asked.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from google.protobuf.message import Message

from ledger.domain.fact import Fact
from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME
from ledger.log.topics import MESSAGE_BY_TOPIC
from ledger.measure.existence import formed_at
from ledger.measure.measured import Measured
from ledger.measure.outlook import Outlook, outlook_of
from ledger.measure.record import Record
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.identity_pb2 import IdentifierRevoked, IdentifierVerified
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.relationship_policy_pb2 import CadenceRules, RelationshipPolicy
from rapport.type.v1 import levels_pb2 as levels

HISTORIES = 24
FACTS = 50
DAY = 86_400_000_000
STEP = DAY // 4
SPAN = 200
"""Instants, in steps, that occur times are drawn from: few, so that many are equal."""
START = 1_767_225_600_000_000
"""2026-01-01T00:00Z."""
WINDOW = 30 * DAY
POLICY = RelationshipPolicy(
    window_days=30, cadence=CadenceRules(days_min=1, days_max=20, days_default=4, gaps_max=3, gaps_min=2)
)
STRONG = {3, 5, 14, 1, 9, 28, 19}
"""Kinds among those drawn that weigh enough to date involvement."""
REOPENING = {14, 28, 9, 1, 3}
ADDRESSED = {1, 3, 9, 19, 20}
KINDS = (14, 14, 14, 15, 15, 35, 28, 29, 5, 6, 7, 1, 1, 9, 3, 19, 20, 31)
TOPIC_OF = {message: topic for topic, message in MESSAGE_BY_TOPIC.items()}
OUT, IN, MUTUAL, SEEN = i.DIRECTION_OUTBOUND, i.DIRECTION_INBOUND, i.DIRECTION_MUTUAL, i.DIRECTION_OBSERVED


class Draw:
    """Draws facts of one relationship, in the order in which they are recorded."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.facts: list[Fact] = []
        self.position = 0

    def fact(self) -> Fact:
        self.position += self.random.randrange(1, 3)
        event = self._event()
        time = START + self.random.randrange(SPAN) * STEP
        if isinstance(event, x.ExchangeRecorded | x.ExchangePosted | x.ExchangeReversed):
            # What ends an exchange is never earlier than it, and a view of the past must find the same one first.
            known = [f.occur_time for f in self.facts if getattr(f.event, "exchange_id", "") == event.exchange_id]
            time = max([time, *known])
        fact = Fact(self.position, self.position, START, time, TOPIC_OF[type(event)], event, EventMetadata())
        self.facts.append(fact)
        return fact

    def _event(self) -> Message:
        draw = self.random
        match draw.randrange(20):
            case 0 | 1:
                return InteractionCorrected(original_position=self._one(), replacement=self._interaction())
            case 2:
                return InteractionRetracted(original_position=self._one())
            case 3 | 4:
                return self._exchange()
            case 5:
                return x.ExchangeReversed(exchange_id=self._name("x"), reversal_id=f"r{self.position}")
            case 6:
                units = draw.choice([[1, 1, 1], [1, 0, 1], [1, 1, 0]])
                return x.ExchangePosted(exchange_id=self._name("x"), units=units)
            case 7:
                return IdentifierVerified(contact_point_id=self._name("c"), kind="email")
            case 8:
                return IdentifierRevoked(contact_point_id=self._name("c"))
            case 9:
                provenance: Any = draw.choice([1, 3])
                return r.CommonGroundDeclared(item_id=self._name("g"), ground="gardens", provenance=provenance)
            case 10:
                return r.CommonGroundEnded(item_id=self._name("g"))
            case 11 if draw.random() < 0.3:
                return r.RelationshipEnded(by=x.PARTY_CUSTOMER)
            case _:
                return self._interaction()

    def _name(self, of: str) -> str:
        return f"{of}{self.random.randrange(3 if of != 'x' else 8)}"

    def _one(self) -> int:
        return self.random.choice(self.facts).position if self.facts and self.random.random() < 0.9 else 99_999

    def _interaction(self) -> InteractionRecorded:
        draw = self.random
        event = InteractionRecorded(
            kind=draw.choice(KINDS),  # type: ignore[arg-type]  # Numbers of kinds.
            direction=draw.choice([IN, IN, SEEN, SEEN, OUT, MUTUAL]),
            initiator=draw.choice([i.INITIATOR_CUSTOMER] * 4 + [i.INITIATOR_ORGANIZATION]),
            attention=draw.choice([i.ATTENTION_UNSPECIFIED, i.ATTENTION_PARTIAL]),
            refers_to=self._one(),
            partial=draw.random() < 0.2,
            order_id=draw.choice(["", "o1", "o2"]),
            programme=draw.choice(["", "club"]),
        )
        if draw.random() < 0.3:
            event.incentivised = draw.random() < 0.5
        if draw.random() < 0.2:
            event.sentiment.value = draw.choice([1, 2, 3])  # type: ignore[assignment]
            event.sentiment.provenance = draw.choice([1, 3])  # type: ignore[assignment]
        return event

    def _exchange(self) -> x.ExchangeRecorded:
        draw = self.random
        category = draw.choice([x.CATEGORY_GOODS, x.CATEGORY_DISCOUNT, x.CATEGORY_POINTS_REDEEM])
        other = draw.choice([x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION, x.PARTY_ORGANIZATION])
        event = x.ExchangeRecorded(exchange_id=self._name("x"), cause_ref=draw.choice(["", "o1", "o2"]))
        for party, kind in ((x.PARTY_CUSTOMER, x.CATEGORY_MONEY_PAYMENT), (other, category), (other, x.CATEGORY_GOODS)):
            leg = event.legs.add(giver=party, category=kind)
            leg.amount.units, leg.amount.asset = 1, "EUR/2"
        if draw.random() < 0.4:
            event.pending_until.FromMicroseconds(START + 2 * SPAN * STEP)
        return event


class Known(NamedTuple):
    """What counts for an original."""

    time: int
    position: int
    event: InteractionRecorded
    told: int


class Reading:
    """Everything, read from all facts each time it is asked."""

    def __init__(self, facts: list[Fact], until: int) -> None:
        self.facts, self.until = facts, until
        self.original: dict[int, int] = {}
        forms: dict[int, Known] = {}
        gone: set[int] = set()
        for fact in facts:
            event = fact.event
            if isinstance(event, InteractionRecorded):
                forms[fact.position] = Known(fact.occur_time, fact.position, event, fact.position)
            elif isinstance(event, InteractionCorrected):
                if event.original_position in forms and event.original_position not in gone:
                    self.original[fact.position] = event.original_position
                    forms[event.original_position] = Known(
                        fact.occur_time, event.original_position, event.replacement, fact.position
                    )
            elif isinstance(event, InteractionRetracted) and event.original_position in forms:
                gone.add(event.original_position)
        self.rows = sorted(
            (row for row in forms.values() if row.position not in gone and row.time <= until), key=lambda row: row[:2]
        )

    def about(self, row: Known) -> int:
        reference = row.event.refers_to
        return self.original.get(reference, reference) if reference < row.told else 0

    @cached_property
    def acts(self) -> list[Known]:
        return [
            row
            for row in self.rows
            if row.event.direction != OUT
            and (row.event.initiator == i.INITIATOR_CUSTOMER or row.event.kind in {28, 29})
        ]

    @cached_property
    def begun(self) -> list[Known]:
        return [row for row in self.acts if row.event.kind in STRONG]

    @property
    def starts(self) -> list[int]:
        times = [row.time for row in self.begun]
        return times[:1] + [later for earlier, later in pairwise(times) if later - earlier >= DAY]

    @property
    def cadence(self) -> tuple[int, int]:
        gaps = sorted([later - earlier for earlier, later in pairwise(self.starts)][-3:])
        if len(gaps) < 2:
            return 4 * DAY, 0
        middle = sum(gaps) // 2 if len(gaps) == 2 else gaps[1]
        return min(max(middle, DAY), 20 * DAY), len(gaps)

    @property
    def days(self) -> dict[int, Counter[int]]:
        found: dict[int, Counter[int]] = {}
        for row in self.acts:
            code = 2 * row.event.kind + (row.event.attention == i.ATTENTION_PARTIAL)
            found.setdefault(row.time // DAY, Counter())[code] += 1
        return found

    @property
    def tones(self) -> list[tuple[int, int, int]]:
        found = []
        for row in self.rows:
            if row.event.kind == 19 and row.event.direction != OUT:
                found.append((row.position, -1, 0))
            elif row.event.sentiment.value in {1, 3}:
                found.append((row.position, 2 - row.event.sentiment.value, row.event.sentiment.provenance))
        return sorted(found)

    @property
    def purchases(self) -> list[Known]:
        returned = {
            self.about(row)
            for row in self.rows
            if row.event.kind == 15 and row.event.direction != OUT and not row.event.partial
        }
        bought = [row for row in self.rows if row.event.kind == 14 and row.event.direction != OUT]
        return [row for row in bought if row.position not in returned]

    def incited(self, row: Known) -> bool:
        if row.event.HasField("incentivised"):
            return row.event.incentivised
        return any(
            event.cause_ref == row.event.order_id != "" and {legs[1] for legs in given} & {4, 8}
            for event, _, _, given in self.exchanges()
        )

    @property
    def memberships(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self.rows:
            if row.event.direction == OUT or row.event.kind not in {28, 29}:
                continue
            if row.event.kind == 29:
                found.pop(row.event.programme, None)
            else:
                found.setdefault(row.event.programme, row.position)
        return found

    def exchanges(self) -> list[tuple[x.ExchangeRecorded, int, int, list[tuple[int, int]]]]:
        """Return exchanges in force: event, when and by which position they took effect, (giver, category) of legs."""
        found: dict[str, tuple[x.ExchangeRecorded, int, int, list[tuple[int, int]]]] = {}
        pending: dict[str, x.ExchangeRecorded] = {}
        known, taken = set[str](), set[str]()
        for fact in self.facts:
            event: Any = fact.event
            if isinstance(event, x.ExchangeRecorded) and event.exchange_id not in known:
                known.add(event.exchange_id)
                if event.HasField("pending_until"):
                    pending[event.exchange_id] = event
                else:
                    legs = [(int(leg.giver), int(leg.category)) for leg in event.legs]
                    found[event.exchange_id] = event, fact.occur_time, fact.position, legs
            elif isinstance(event, x.ExchangePosted) and event.exchange_id in pending:
                held = pending.pop(event.exchange_id)
                posted = [leg for leg, units in zip(held.legs, event.units, strict=True) if units]
                legs = [(int(leg.giver), int(leg.category)) for leg in posted]
                found[event.exchange_id] = held, fact.occur_time, fact.position, legs
            elif (
                isinstance(event, x.ExchangeReversed)
                and event.exchange_id in found
                and event.exchange_id not in taken
                and fact.occur_time <= self.until
            ):
                taken.add(event.exchange_id)
        return [each for name, each in found.items() if name not in taken and each[1] <= self.until]

    @property
    def both(self) -> list[tuple[int, int]]:
        return sorted(
            (time, position) for _, time, position, legs in self.exchanges() if {1, 2} <= {p for p, _ in legs}
        )

    def words(self, verified: type[Message], ended: type[Message], name: str) -> dict[str, Message]:
        """Return the latest word on each thing, where it is no end."""
        latest: dict[str, Fact] = {}
        for fact in sorted(self.facts, key=lambda each: (each.occur_time, each.position)):
            if isinstance(fact.event, verified | ended) and fact.occur_time <= self.until:
                latest[getattr(fact.event, name)] = fact
        return {key: fact.event for key, fact in latest.items() if isinstance(fact.event, verified)}

    @property
    def exists(self) -> bool:
        ground: dict[str, Any] = self.words(r.CommonGroundDeclared, r.CommonGroundEnded, "item_id")
        shared = any(each.provenance == 1 for each in ground.values()) or self.both or self.memberships
        known = self.words(IdentifierVerified, IdentifierRevoked, "contact_point_id") and self.begun
        bounced = {self.about(row) for row in self.rows if row.event.kind == 31}
        said = [
            row.event.direction
            for row in self.rows
            if row.event.kind in ADDRESSED
            and row.time > self.until - WINDOW
            and not (row.event.direction == OUT and row.position in bounced)
        ]
        return bool(known and shared and {IN, MUTUAL} & {*said} and {OUT, MUTUAL} & {*said})

    def stands(self, at: int) -> int:
        """Return the lifecycle of who has begun something."""
        ends = [
            (f.occur_time, f.position)
            for f in self.facts
            if isinstance(f.event, r.RelationshipEnded) and f.occur_time <= self.until
        ]
        back = [row[:2] for row in self.begun if row.event.kind in REOPENING]
        if ends and max(ends) > max(back, default=(0, 0)):
            return levels.LIFECYCLE_ENDED
        silence, cadence = at - self.begun[-1].time, self.cadence[0]
        if silence < 2 * cadence:
            return levels.LIFECYCLE_ACTIVE
        return levels.LIFECYCLE_AT_RISK if silence < 4 * cadence else levels.LIFECYCLE_LAPSED


@pytest.fixture(scope="module")
def outlook() -> Outlook:
    return outlook_of(PolicyState(), START, POLICY)


@pytest.mark.parametrize("number", range(HISTORIES))
def test_the_fold_agrees_with_a_reading_of_everything_after_every_fact(
    outlook: Outlook, seed: int, number: int
) -> None:
    draw = Draw(seed + number)
    until = END_OF_TIME if number % 3 else START + draw.random.randrange(SPAN) * STEP
    at = min(until, START + SPAN * STEP)
    record = Record(until)

    for _ in range(FACTS):
        record.evolve(draw.fact())
        reading = Reading(draw.facts, until)

        assert seen(record) == read(reading)
        if draw.random.random() < 0.5:  # Who asks now and then is answered as who asks always.
            assert measured(Measured(record, outlook, at)) == told(reading, at)
            assert Measured(fresh(draw.facts, until), outlook, at).lifecycle == Measured(record, outlook, at).lifecycle


def fresh(facts: list[Fact], until: int) -> Record:
    record = Record(until)
    for fact in facts:
        record.evolve(fact)
    return record


def seen(record: Record) -> list[object]:
    """Return what the fold holds."""
    acts = record.acts
    buying = acts.buying
    tones = [
        (position, sign, provenance)
        for (sign, provenance), moments in acts.tones.items()
        for position in moments.positions
    ]
    return [
        list(zip(acts.times, acts.positions, acts.codes, strict=True)),
        {day: Counter(counts) for day, counts in acts.days.items()},
        acts.day_numbers,
        sorted(tones),
        list(zip(buying.counting.times, buying.counting.positions, strict=True)),
        [buying.had_incentive(position, by_legs=True) for position in buying.counting.positions],
        buying.incentivised(by_legs=True),
        sorted(zip(buying.both.times, buying.both.positions, strict=True)),
        list(buying.elsewhere.positions),
        {name: position for name, (_, position) in acts.memberships.joined.items()},
    ]


def read(reading: Reading) -> list[object]:
    """Return the same as it is read."""
    days, bought = reading.days, reading.purchases
    incited = [reading.incited(row) for row in bought]
    return [
        [(row.time, row.position, 2 * row.event.kind + (row.event.attention == 2)) for row in reading.acts],
        days,
        sorted(days),
        reading.tones,
        [row[:2] for row in bought],
        incited,
        sum(incited),
        reading.both,
        [row.position for row in reading.rows if row.event.kind == 35 and row.event.direction != OUT],
        reading.memberships,
    ]


def measured(m: Measured) -> list[object]:
    """Return what is measured."""
    life, likes = m.lifecycle, m.preference
    return [
        m.existence.exists,
        (life.sessions, life.cadence, life.gaps, life.last_position),
        life.lifecycle if life.sessions else None,
        (likes.repeats, likes.unincentivised, likes.elsewhere),
    ]


def told(reading: Reading, at: int) -> list[object]:
    """Return the same as it is read."""
    begun, bought = reading.begun, reading.purchases
    repeats = bought[1:]
    elsewhere = sum(1 for row in reading.rows if row.event.kind == 35 and row.event.direction != OUT)
    # The reading looks at the window that ends at `until`.
    asked = Reading(reading.facts, at)
    return [
        asked.exists,
        (len(reading.starts), *reading.cadence, begun[-1].position if begun else 0),
        reading.stands(at) if begun else None,
        (len(repeats), sum(not reading.incited(row) for row in repeats), elsewhere),
    ]


@pytest.mark.parametrize("number", range(HISTORIES))
def test_it_was_formed_at_the_first_instant_of_which_all_legs_are_told(
    outlook: Outlook, seed: int, number: int
) -> None:
    draw = Draw(seed + number)
    for _ in range(FACTS):
        draw.fact()
    # What bounced counts in no instant, while a reading as of one before the bounce does not know of it.
    facts = [fact for fact in draw.facts if _kind_of(fact) != 31]
    record = Record()
    for fact in facts:
        record.evolve(fact)

    instants = sorted({fact.occur_time for fact in facts})
    first = next((at for at in instants if Reading(facts, at).exists), None)

    assert first == formed_at(record, outlook)


def _kind_of(fact: Fact) -> int:
    event = fact.event
    if isinstance(event, InteractionCorrected):
        return event.replacement.kind
    return event.kind if isinstance(event, InteractionRecorded) else 0


@pytest.mark.parametrize("number", range(HISTORIES // 2))
def test_since_when_it_is_active_is_the_first_instant_from_which_on_it_was(
    outlook: Outlook, seed: int, number: int
) -> None:
    draw = Draw(seed + number)
    for _ in range(FACTS):
        draw.fact()
    facts = [fact for fact in draw.facts if isinstance(fact.event, InteractionRecorded | r.RelationshipEnded)]
    record, at = Record(), START + SPAN * STEP // 2
    for fact in facts:
        if fact.occur_time <= at:
            record.evolve(fact)
    found = Measured(record, outlook, at).lifecycle
    if found.lifecycle != levels.LIFECYCLE_ACTIVE:
        return

    begun = Reading(facts, at).begun
    times = [row.time for row in begun if (row.time, row.position) <= (at, draw.position)]
    since, ends = times[-1], {fact.occur_time for fact in facts if isinstance(fact.event, r.RelationshipEnded)}
    for time in reversed(times):
        if Reading(facts, time).stands(time) != levels.LIFECYCLE_ACTIVE:
            break
        since = time
        before = Reading(facts, time - 1)
        # One that ended at an instant and began anew at the same one is active only since then.
        if time in ends or not before.begun or before.stands(time - 1) != levels.LIFECYCLE_ACTIVE:
            break
    assert since == found.since


@pytest.mark.parametrize("gap_days", [1, 6])
@pytest.mark.parametrize("number", range(HISTORIES // 2))
def test_what_is_remembered_of_a_run_survives_whatever_comes_late(seed: int, number: int, gap_days: int) -> None:
    policy = RelationshipPolicy()
    policy.CopyFrom(POLICY)
    policy.cadence.session_gap_seconds = gap_days * 86_400
    # With longer sessions a run may end within one, as long as there is no cadence but the default.
    policy.cadence.days_default = 4 if gap_days == 1 else 1
    rules = outlook_of(PolicyState(), START, policy).rules
    draw, record = Draw(seed + number), Record()

    for _ in range(FACTS):
        record.evolve(draw.fact())
        if record.acts.sessions(rules).acts and draw.random.random() < 0.6:
            anew = fresh(draw.facts, END_OF_TIME).acts.sessions(rules)
            assert anew.active_since(rules) == record.acts.sessions(rules).active_since(rules)
