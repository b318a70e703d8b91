"""What was said, as folds count it, against a reading of the whole history; and properties of relationship.md 10 to 12.

Histories have few of everything and come in any order, with corrections, retractions and bounces, so that much meets.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, NamedTuple

import pytest

from ledger.domain.fact import Fact
from ledger.domain.policy import PolicyState
from ledger.domain.relationship_policy import filled
from ledger.domain.times import END_OF_TIME
from ledger.measure import solicitations
from ledger.measure.contacts import contacts
from ledger.measure.conversation import moves_at
from ledger.measure.measured import Measured
from ledger.measure.outlook import Outlook, outlook_of
from ledger.measure.record import Record
from ledger.measure.results import ConversationMeasure
from ledger.measure.tactics import tactics
from rapport.events.v1 import consent_pb2, identity_pb2
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.relationship_policy_pb2 import (
    ContactShapeRules,
    ConversationRules,
    RelationshipPolicy,
    SolicitationRules,
)
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_UNSPECIFIED
from rapport.type.v1.amount_pb2 import Amount

HISTORIES = 40
FACTS = 70
HOUR, DAY = 3_600_000_000, 86_400_000_000
SPAN = 40
"""Days in which everything happens."""
W, A, SLA = 20 * DAY, 3 * DAY, 12 * HOUR
POLICY = RelationshipPolicy(
    window_days=20,
    solicitations=SolicitationRules(attribution_days=3),
    conversation=ConversationRules(answer_hours=12, broadcast_streak=3, broadcast_out_min=6),
    contact_shape=ContactShapeRules(bow_tie_from_ppm=700_000, diamond_persons=2, diamond_functions=2),
)
ADDRESSED = frozenset({1, 2, 3, 4, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 24, 33, 34})
TOO_WEAK = frozenset({11, 16, 20, 33})
KINDS = (1, 1, 1, 9, 9, 10, 2, 12, 14, 5, 6, 29, 30, 31, 31, 32, 33, 26, 37, 37, 38, 38)
IN, OUT, MUTUAL = i.DIRECTION_INBOUND, i.DIRECTION_OUTBOUND, i.DIRECTION_MUTUAL
SECONDS = {i.CHANNEL_EMAIL: 8, i.CHANNEL_SMS: 5}
TOPICS = {
    InteractionRecorded: "interaction.recorded.v1",
    InteractionCorrected: "interaction.corrected.v1",
    InteractionRetracted: "interaction.retracted.v1",
    consent_pb2.ConsentWithdrawn: "consent.withdrawn.v1",
    consent_pb2.ObjectionRaised: "objection.raised.v1",
}


def outlook() -> Outlook:
    return outlook_of(PolicyState(), 0, filled(POLICY))


class Row(NamedTuple):
    """What counts for an original."""

    position: int
    time: int
    event: InteractionRecorded

    @property
    def place(self) -> tuple[int, int]:
        return self.time, self.position


class Slow:
    """The same measures, read from all facts."""

    def __init__(self, facts: list[Fact], at: int, until: int) -> None:
        self.at = at
        self.corrections: dict[int, int] = {}
        forms: dict[int, Row] = {}
        retracted = set()
        for fact in facts:
            event: Any = fact.event
            if isinstance(event, InteractionRecorded):
                forms[fact.position] = Row(fact.position, fact.occur_time, event)
            elif isinstance(event, InteractionCorrected):
                original = event.original_position
                if original in forms and original not in retracted:
                    forms[original] = Row(original, fact.occur_time, event.replacement)
                    self.corrections[fact.position] = original
            elif isinstance(event, InteractionRetracted) and event.original_position in forms:
                retracted.add(event.original_position)
        self.told = {position: max(o for o in (position, *self.forms_of(position))) for position in forms}
        rows = [row for row in forms.values() if row.position not in retracted and row.time <= until]
        self.all = sorted(rows, key=lambda row: row.place)
        bounced = {self.refers(row) for row in rows if row.event.kind == i.INTERACTION_KIND_BOUNCED}
        self.rows = [
            row
            for row in self.all
            if not (
                row.event.direction == OUT and row.event.kind != i.INTERACTION_KIND_BOUNCED and row.position in bounced
            )
        ]
        self.by_position = {row.position: row for row in self.all}
        self.window = [row for row in self.rows if at - W < row.time <= at]
        self.opt_outs = [
            (fact.occur_time, fact.position)
            for fact in facts
            if isinstance(fact.event, consent_pb2.ConsentWithdrawn | consent_pb2.ObjectionRaised)
            and fact.occur_time <= until
        ]

    def forms_of(self, position: int) -> list[int]:
        return [correction for correction, original in self.corrections.items() if original == position]

    def reference(self, row: Row, named: int) -> int:
        """Return what a row names; a reference to something later names nothing."""
        return self.corrections.get(named, named) if named < self.told[row.position] else 0

    def refers(self, row: Row) -> int:
        return self.reference(row, row.event.refers_to)

    def replies(self, row: Row) -> int:
        return self.reference(row, row.event.in_reply_to)

    def addressed(self, rows: list[Row], *directions: int) -> list[Row]:
        return [row for row in rows if row.event.kind in ADDRESSED and row.event.direction in directions]

    @property
    def solicitations(self) -> list[Row]:
        return [
            row
            for row in self.addressed(self.rows, OUT)
            if row.event.message_class != i.MESSAGE_CLASS_TRANSACTIONAL
            and not (
                self.replies(row) in self.by_position
                and self.by_position[self.replies(row)].event.direction in {IN, MUTUAL}
            )
        ]

    def streak(self) -> int:
        spoken = [
            row.place
            for row in self.rows
            if row.event.kind in ADDRESSED - TOO_WEAK
            and row.event.direction != OUT
            and row.event.initiator == i.INITIATOR_CUSTOMER
        ]
        last = max(spoken, default=(-1, 0))
        return sum(row.place > last and self.at - W < row.time <= self.at for row in self.solicitations)

    def answers(self) -> tuple[int, int]:
        answered = needing = 0
        for row in self.window:
            if row.event.needs_reply and row.event.direction in {IN, MUTUAL}:
                in_time = any(
                    self.replies(each) == row.position and row.time <= each.time < row.time + SLA
                    for each in self.addressed(self.rows, OUT, MUTUAL)
                )
                answered += in_time
                needing += in_time or row.time + SLA <= self.at
        return answered, needing

    def verdicts(self) -> tuple[int, int]:
        last: dict[int, Row] = {}
        for row in self.rows:
            if row.event.kind in {i.INTERACTION_KIND_CONTRIBUTION_ACCEPTED, i.INTERACTION_KIND_CONTRIBUTION_REJECTED}:
                last[self.refers(row) or row.position] = row
        kinds = Counter(row.event.kind for row in last.values() if self.at - W < row.time)
        return kinds[i.INTERACTION_KIND_CONTRIBUTION_ACCEPTED], kinds[i.INTERACTION_KIND_CONTRIBUTION_REJECTED]

    def delivered(self) -> list[tuple[int, int]]:
        """Return deliveries and positions of the solicitations, in order."""
        reports: dict[int, int] = {}
        for row in self.all:
            if row.event.kind == i.INTERACTION_KIND_DELIVERED:
                reports.setdefault(self.refers(row), row.time)
        return sorted((reports.get(row.position, row.time), row.position) for row in self.solicitations)

    def outcomes(self) -> dict[int, int]:
        """Return the outcome of each solicitation by position, as conversations number them."""
        sent = self.delivered()
        found = {position: 0 for _, position in sent}
        for row in self.rows:
            outcome = outcome_of(row.event)
            credited = self.credited(row, sent) if outcome else None
            if credited is not None and row.time < credited[0] + A:
                found[credited[1]] = max(found[credited[1]], outcome)
        for place in self.opt_outs:
            credited = max((each for each in sent if each < place), default=None)
            if credited is not None and place[0] < credited[0] + A:
                found[credited[1]] = max(found[credited[1]], 1)
        return found

    def credited(self, row: Row, sent: list[tuple[int, int]]) -> tuple[int, int] | None:
        spam = row.event.kind == i.INTERACTION_KIND_MARKED_SPAM
        reference = (spam and self.refers(row)) or self.replies(row)
        named = [each for each in sent if each[1] == reference and self.by_position[reference].time <= row.time]
        before = [each for each in sent if each < row.place]
        campaign = [
            each
            for each in before
            if row.event.campaign and self.by_position[each[1]].event.campaign == row.event.campaign
        ]
        return max(named or campaign or before, default=None)


def outcome_of(event: InteractionRecorded) -> int:
    if event.direction == OUT:
        return 0
    if event.kind in {i.INTERACTION_KIND_PURCHASE, i.INTERACTION_KIND_OFFER_ACCEPTED}:
        return 3
    if event.kind in {i.INTERACTION_KIND_MARKED_SPAM, i.INTERACTION_KIND_LEAVE}:
        return 1
    return 2 if event.kind in ADDRESSED and event.direction in {IN, MUTUAL} else 0


def interaction(draw: random.Random, known: list[int]) -> InteractionRecorded:
    def some_position() -> int:
        return draw.choice(known[-8:]) if known and draw.random() < 0.8 else 0

    event = InteractionRecorded(
        kind=draw.choice(KINDS),  # type: ignore[arg-type]  # Numbers of kinds.
        direction=draw.choice((1, 1, 2, 2, 2, 2, 3, 4)),  # type: ignore[arg-type]
        initiator=draw.choice((0, 1, 1, 2)),  # type: ignore[arg-type]
        channel=draw.choice((1, 2, 15)),  # type: ignore[arg-type]
        message_class=draw.choice((0, 1, 1, 2, 3, 5)),  # type: ignore[arg-type]
        in_reply_to=some_position() if draw.random() < 0.6 else 0,
        refers_to=some_position(),
        needs_reply=draw.random() < 0.4,
        attention_seconds=draw.choice((0, 0, 11)),
        campaign=draw.choice(("", "", "spring", "autumn")),
        tactic=draw.choice((0, 1, 6)),  # type: ignore[arg-type]
        our_function=draw.choice((0, 0, 2, 3)),  # type: ignore[arg-type]
        customer_person_id=draw.choice(("", "", "ann", "bob")),
        point_of_contact_id=draw.choice(("", "", "eve")),
    )
    if draw.random() < 0.4:
        event.cost.CopyFrom(Amount(units=draw.randrange(1, 9), asset=draw.choice(("EUR/2", "USD/2"))))
    if draw.random() < 0.8:
        event.relevant = draw.random() < 0.5
    return event


def history(draw: random.Random) -> list[Fact]:
    facts: list[Fact] = []
    known: list[int] = []
    orderly = draw.random() < 0.5
    for version in range(1, FACTS):
        position = 2 * version + 3
        hours = SPAN * 24 * version // FACTS if orderly and draw.random() < 0.9 else draw.randrange(SPAN * 24)
        event: Any = interaction(draw, known)
        original = draw.choice([*known[-8:], 4])
        chance = draw.random()
        if chance < 0.15:
            event = InteractionCorrected(original_position=original, replacement=event)
        elif chance < 0.22:
            event = InteractionRetracted(original_position=original)
        elif chance < 0.3:
            event = draw.choice((consent_pb2.ConsentWithdrawn(), consent_pb2.ObjectionRaised()))
        topic = TOPICS[type(event)]
        facts.append(Fact(position, version, SPAN * DAY, hours * HOUR, topic, event, EventMetadata()))
        known.append(position)
    return facts


@pytest.mark.parametrize("number", range(HISTORIES))
def test_measures_say_what_the_whole_history_says(seed: int, number: int) -> None:
    draw = random.Random(f"{seed}/talk/{number}")
    until = END_OF_TIME if draw.random() < 0.7 else draw.randrange(SPAN * 24) * HOUR
    facts, published = history(draw), outlook()
    record = Record(until)

    for count, fact in enumerate(facts, 1):
        record.evolve(fact)
        if draw.random() < 0.15 or count == len(facts):
            at = (SPAN + draw.randrange(30)) * DAY
            compare(Measured(record, published, at), Slow(facts[:count], at, until))


def compare(m: Measured, slow: Slow) -> None:
    said = m.conversation
    inbound, outbound = slow.addressed(slow.window, IN, MUTUAL), slow.addressed(slow.window, OUT, MUTUAL)
    assert (len(inbound), len(outbound)) == (said.inbound, said.outbound)
    assert slow.streak() == said.streak
    assert slow.answers() == (said.answered_count, said.needing)
    assert slow.verdicts() == (said.accepted, said.rejected)
    assert {row.position for row in (*inbound, *outbound)} >= set(said.evidence["listening"])
    compare_solicitations(m, slow)
    compare_contacts(m, slow)


def compare_solicitations(m: Measured, slow: Slow) -> None:
    found, sent, outcomes = m.solicitations, slow.delivered(), slow.outcomes()
    matured = [position for time, position in sent if time + A <= m.at]
    counts = Counter(outcomes[position] for position in matured)
    assert (len(sent), len(matured)) == (found.delivered, found.matured)
    assert (counts[3], counts[2], counts[1], counts[0]) == found[2:6]
    assert found.matured == sum(found[2:6])
    wasted = [slow.by_position[position].event for position in matured if outcomes[position] < 2]
    assert sum(each.attention_seconds or SECONDS.get(each.channel, 0) for each in wasted) == found.wasted_seconds
    costs: Counter[str] = Counter()
    for each in wasted:
        costs[each.cost.asset] += each.cost.units if each.HasField("cost") else 1
    assert costs.pop("", 0) == found.uncosted
    assert tuple(sorted(costs.items())) == found.wasted_costs
    last: dict[int, bool] = {}
    for row in slow.rows:
        if row.event.kind == i.INTERACTION_KIND_RELEVANCE_RATED and row.event.HasField("relevant"):
            last[slow.refers(row)] = row.event.relevant
    ratings = [last[position] for _, position in sent if position in last]
    assert (len(ratings), sum(ratings)) == (found.rated, found.relevant)
    assert sum(m.at - W < slow.by_position[position].time for _, position in sent) == round(
        found.pressure_per_30_days.n / found.pressure_per_30_days.d * W / (30 * DAY)
    )
    if not found.social_breakeven.unknown and not found.breakeven.unknown:
        assert found.social_breakeven.ppm >= found.breakeven.ppm
    compare_rows(m, sent, outcomes)


def compare_rows(m: Measured, sent: list[tuple[int, int]], outcomes: dict[int, int]) -> None:
    rows = list(solicitations.each(m))
    assert sent == [(row.delivered_time, row.position) for row in rows]
    names = {0: 4, 1: 3, 2: 2, 3: 1}
    assert [names[outcomes[row.position]] if row.matured_at <= m.at else 0 for row in rows] == [
        row.outcome for row in rows
    ]
    parts: dict[str, list[int]] = {}
    for row in rows:
        if row.campaign:
            part = parts.setdefault(row.campaign, [0, 0, 0])
            part[0] += 1
            part[1] += row.matured_at <= m.at
            part[2] += row.outcome in {3, 4}
    assert parts == {campaign: list(part[:3]) for campaign, part in solicitations.campaigns(m).items()}
    waiting = [row.matured_at for row in rows if row.matured_at > m.at]
    assert min(waiting, default=None) == solicitations.next_maturity(m)
    by_tactic = Counter((row.tactic, row.followed) for row in rows if row.outcome and row.tactic)
    for effect in tactics(m):
        yes, no = by_tactic[effect.tactic, True], by_tactic[effect.tactic, False]
        assert (yes + no, yes) == (effect.matured, effect.followed)


def compare_contacts(m: Measured, slow: Slow) -> None:
    found = contacts(m)
    edges = Counter(
        (row.event.customer_person_id, row.event.our_function) for row in slow.window if row.event.our_function
    )
    assert dict(edges) == {(edge.customer_person_id, edge.our_function): edge.interactions for edge in found.edges}
    assert edges.total() == found.interactions
    if edges:
        assert (max(edges.values()), edges.total()) == found.single_point[:2]
        assert sum(count * count for count in edges.values()) == found.concentration.n
    theirs = Counter(
        row.event.customer_person_id for row in slow.window if row.event.our_function or row.event.customer_person_id
    )
    ours = Counter(row.event.point_of_contact_id for row in slow.window if row.event.point_of_contact_id)
    for side, counts in ((1, theirs), (2, ours)):
        assert {person: (count, counts.total()) for person, count in counts.items()} == {
            share.person_id: (share.interactions, share.share.d) for share in found.shares if share.side == side
        }


# The clock.


@pytest.mark.parametrize("number", range(HISTORIES // 5))
def test_between_now_and_the_next_change_no_level_changes(seed: int, number: int) -> None:
    draw = random.Random(f"{seed}/clock/{number}")
    record = Record()
    for fact in history(draw):
        record.evolve(fact)
    promise(record, draw)
    published = outlook()
    before = Measured(record, published, SPAN * DAY)

    for hours in range(SPAN * 24 + 1, (SPAN + 30) * 24):  # Everything happens on the hour, so its consequences do.
        now = Measured(record, published, hours * HOUR)
        due = {
            "talk": (before.conversation.changes_at, levels(before.conversation), levels(now.conversation)),
            "counts": (moves_at(before), counts(before.conversation), counts(now.conversation)),
            "shape": (before.contacts.changes_at, before.contacts.shape, now.contacts.shape),
            "promises": (before.promises.changes_at, before.promises[:2], now.promises[:2]),
            "campaigns": (next_maturity(before), matured(before), matured(now)),
        }
        for name, (changes_at, then, since) in due.items():
            assert changes_at is None or changes_at > before.at, name
            if changes_at is None or now.at < changes_at:
                assert then == since, name
        before = now


def promise(record: Record, draw: random.Random) -> None:
    position = 10_000
    for number in range(4):
        made = identity_pb2.PromiseMade(promise_id=str(number), sla_seconds=draw.randrange(1, 20) * 86_400)
        triggered = identity_pb2.PromiseTriggered(promise_id=str(number))
        for topic, event in (("promise.made.v1", made), ("promise.triggered.v1", triggered)):
            position += 1
            record.evolve(Fact(position, position, SPAN * DAY, SPAN * DAY, topic, event, EventMetadata()))


def levels(said: ConversationMeasure) -> tuple[bool, bool]:
    """Return whether it is a broadcast, and whether one would be left (relationship.md 15)."""
    listens = said.listening.unknown is None and said.listening.ppm >= 150_000
    return said.broadcast, said.streak == 0 and (said.outbound < 6 or listens)


def counts(said: ConversationMeasure) -> tuple[Any, ...]:
    return said.inbound, said.outbound, said.needing, said.answered_count


def matured(m: Measured) -> Any:
    return {name: part[:3] for name, part in solicitations.campaigns(m).items()}, m.solicitations.matured


def next_maturity(m: Measured) -> int | None:
    return solicitations.next_maturity(m)


# Properties.


@pytest.mark.parametrize("number", range(HISTORIES // 5))
def test_an_unanswered_solicitation_never_lowers_the_waste(seed: int, number: int) -> None:
    draw = random.Random(f"{seed}/waste/{number}")
    facts, published, at = history(draw), outlook(), (SPAN + 9) * DAY
    record, more = Record(), Record()
    for fact in facts:
        record.evolve(fact)
        more.evolve(fact)
    before = Measured(record, published, at).solicitations
    ignored = InteractionRecorded(kind=i.INTERACTION_KIND_MESSAGE, direction=OUT, message_class=i.MESSAGE_CLASS_SURVEY)
    # After everything else, so that no act is credited to it instead.
    more.evolve(Fact(10_000, 1, SPAN * DAY, SPAN * DAY, TOPICS[InteractionRecorded], ignored, EventMetadata()))
    after = Measured(more, published, at).solicitations

    assert before.matured + 1 == after.matured
    assert not after.waste.unknown
    if before.waste.unknown in {None, UNKNOWN_REASON_UNSPECIFIED}:
        assert before.waste.ppm <= after.waste.ppm


@pytest.mark.parametrize("number", range(HISTORIES // 5))
def test_two_orders_of_recording_the_same_facts_come_to_the_same(seed: int, number: int) -> None:
    draw = random.Random(f"{seed}/orders/{number}")
    facts = [fact for fact in history(draw) if isinstance(fact.event, InteractionRecorded)]
    published, at = outlook(), (SPAN + 2) * DAY
    for fact in facts:
        fact.event.ClearField("in_reply_to")  # They could name what is recorded later.
        fact.event.ClearField("refers_to")
    # Positions order what happened at once, so instants are parted.
    facts = [fact._replace(occur_time=fact.occur_time + place) for place, fact in enumerate(facts)]
    shuffled = draw.sample(facts, len(facts))
    both = []
    for order in (facts, shuffled):
        record = Record()
        for position, fact in enumerate(order, 1):
            record.evolve(fact._replace(position=position))
        m = Measured(record, published, at)
        both.append((m.conversation[:13], m.solicitations[:-1], m.contacts[:9]))

    assert both[0] == both[1]
