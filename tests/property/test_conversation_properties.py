"""The fold of what was said against a reading of the whole history, after every fact, in any order of occur times."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

from ledger.domain.conversation import Conversation
from ledger.domain.fact import Fact
from ledger.domain.responses import OptOut, Response
from ledger.domain.times import END_OF_TIME
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted
from rapport.events.v1.metadata_pb2 import EventMetadata

HISTORIES = 120
FACTS = 80
SPAN = 400
"""Instants that occur times are drawn from: few, so that many are equal."""
ATTRIBUTIONS = (1, 30, 90)
ADDRESSED = frozenset({1, 2, 3, 4, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 24, 33, 34})
"""Numbers of the kinds that relationship.md 2 lists."""
TOO_WEAK = frozenset({11, 16, 20, 33})
KINDS = (1, 1, 1, 8, 9, 10, 14, 12, 6, 7, 19, 20, 30, 30, 31, 32, 29, 36, 33, 3)
OUT, IN, MUTUAL = i.DIRECTION_OUTBOUND, i.DIRECTION_INBOUND, i.DIRECTION_MUTUAL


class Known(NamedTuple):
    """What counts for an original."""

    position: int
    time: int
    event: InteractionRecorded
    imported: bool


class Slow:
    """The same, read from all facts each time it is asked."""

    def __init__(self, facts: list[Fact], until: int) -> None:
        self.corrections: dict[int, int] = {}
        forms: dict[int, tuple[int, InteractionRecorded]] = {}
        imported: dict[int, bool] = {}
        retracted: set[int] = set()
        for fact in facts:
            event = fact.event
            if isinstance(event, InteractionRecorded):
                forms[fact.position] = fact.occur_time, event
                imported[fact.position] = fact.metadata.historical_import
            elif isinstance(event, InteractionCorrected):
                original = event.original_position
                if original in forms and original not in retracted:
                    seen = forms[original][0] <= until
                    forms[original] = fact.occur_time, event.replacement
                    imported[original] = fact.metadata.historical_import or (seen and imported[original])
                    self.corrections[fact.position] = original
            elif isinstance(event, InteractionRetracted) and event.original_position in forms:
                retracted.add(event.original_position)
        self.rows = {
            position: Known(position, time, event, imported[position])
            for position, (time, event) in forms.items()
            if position not in retracted and time <= until
        }
        self.order = sorted(self.rows.values(), key=lambda row: (row.time, row.position))

    def original(self, reference: int) -> int:
        return self.corrections.get(reference, reference)

    def about(self, kind: int) -> set[int]:
        return {self.original(row.event.refers_to) for row in self.order if row.event.kind == kind}

    def answers(self, row: Known) -> bool:
        answered = self.rows.get(self.original(row.event.in_reply_to))
        return bool(row.event.in_reply_to) and answered is not None and answered.event.direction in {IN, MUTUAL}

    @property
    def contacts(self) -> list[Known]:
        bounced = self.about(i.INTERACTION_KIND_BOUNCED)
        return [
            row
            for row in self.order
            if row.event.direction == OUT and row.event.kind in ADDRESSED and row.position not in bounced
        ]

    @property
    def solicitations(self) -> list[Known]:
        return [row for row in self.contacts if row.event.message_class != 3 and not self.answers(row)]

    def streak(self, at: int, since: int) -> list[int]:
        spoken = [
            (row.time, row.position)
            for row in self.order
            if row.event.kind in ADDRESSED - TOO_WEAK
            and row.event.direction != OUT
            and row.event.initiator == i.INITIATOR_CUSTOMER
            and row.time <= at
        ]
        last = max(spoken, default=(-1, 0))
        return [
            row.position for row in self.solicitations if since < row.time <= at and (row.time, row.position) > last
        ]

    def open_complaints(self) -> list[int]:
        resolved = self.about(i.INTERACTION_KIND_COMPLAINT_RESOLVED)
        return [
            row.position
            for row in self.order
            if row.event.kind == i.INTERACTION_KIND_COMPLAINT
            and row.event.direction != OUT
            and row.position not in resolved
        ]

    def latest_fact(self, kinds: set[int], at: int) -> tuple[int, int] | None:
        acts = [row for row in self.order if row.event.kind in kinds and row.event.direction != OUT and row.time <= at]
        return (acts[-1].position, acts[-1].time) if acts else None

    def topic_time(self, topic: str, after: int) -> int | None:
        return min((row.time for row in self.order if row.event.topic == topic and row.time > after), default=None)

    def contact_of(self, decision_id: int) -> int | None:
        using = [
            row.position
            for row in self.order
            if row.event.decision_id == decision_id and row.event.direction in {OUT, MUTUAL}
        ]
        return min(using, default=None)

    def response(self, at: int, attribution: int, opt_outs: list[OptOut]) -> Response:
        delivered = {
            row.position: min(
                (
                    report.time
                    for report in self.order
                    if report.event.kind == i.INTERACTION_KIND_DELIVERED
                    and self.original(report.event.refers_to) == row.position
                ),
                default=row.time,
            )
            for row in self.solicitations
        }
        sent = sorted((time, position) for position, time in delivered.items())
        outcomes = dict.fromkeys(delivered, 0)
        for act in self.order:
            outcome = outcome_of(act.event)
            found = self.credited(act, sent) if outcome else None
            if found is not None and act.time < found[0] + attribution:
                outcomes[found[1]] = max(outcomes[found[1]], outcome)
        for time, position in opt_outs:
            found = max((each for each in sent if each < (time, position)), default=None)
            if found is not None and time < found[0] + attribution:
                outcomes[found[1]] = max(outcomes[found[1]], 1)
        matured = [outcomes[position] for time, position in sent if time + attribution <= at]
        waiting = [time + attribution for time, _ in sent if time + attribution > at]
        bought, replied, opted_out, none = (matured.count(each) for each in (3, 2, 1, 0))
        return Response(len(matured), bought, replied, opted_out, none, min(waiting, default=None))

    def credited(self, act: Known, sent: list[tuple[int, int]]) -> tuple[int, int] | None:
        event = act.event
        reference = (event.kind == i.INTERACTION_KIND_MARKED_SPAM and event.refers_to) or event.in_reply_to
        named = [
            each
            for each in sent
            if reference and each[1] == self.original(reference) and self.rows[each[1]].time <= act.time
        ]
        campaign = [
            each
            for each in sent
            if event.campaign
            and self.rows[each[1]].event.campaign == event.campaign
            and each < (act.time, act.position)
        ]
        before = [each for each in sent if each < (act.time, act.position)]
        for found in (named, campaign, before):
            if found:
                return max(found)
        return None


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

    return InteractionRecorded(
        kind=draw.choice(KINDS),  # type: ignore[arg-type]  # Numbers of kinds.
        direction=draw.choice((1, 1, 2, 2, 2, 3, 4)),  # type: ignore[arg-type]
        initiator=draw.choice((0, 1, 1, 2)),  # type: ignore[arg-type]
        channel=draw.choice((1, 2)),  # type: ignore[arg-type]
        message_class=draw.choice((0, 1, 1, 2, 3, 5)),  # type: ignore[arg-type]
        in_reply_to=some_position() if draw.random() < 0.6 else 0,
        refers_to=some_position(),
        decision_id=draw.choice((0, 0, 1, 2, 3)),
        topic=draw.choice(("", "", "garden", "shoes")),
        campaign=draw.choice(("", "", "spring", "autumn")),
        brand=draw.choice(("", "north")),
    )


def history(draw: random.Random) -> list[Fact]:
    """Return facts that refer to facts before them, corrections included."""
    facts: list[Fact] = []
    known: list[int] = []
    orderly = draw.random() < 0.5
    for version in range(1, FACTS):
        position = 2 * version + 3
        # In order, as most come, or in any.
        time = SPAN * version // FACTS if orderly and draw.random() < 0.9 else draw.randrange(SPAN)
        metadata = EventMetadata(historical_import=draw.random() < 0.1)
        event = interaction(draw, known)
        topic = "interaction.recorded.v1"
        changed: InteractionRecorded | InteractionCorrected | InteractionRetracted = event
        original = draw.choice([*known[-8:], 4])
        if draw.random() < 0.2:
            topic, changed = (
                "interaction.corrected.v1",
                InteractionCorrected(original_position=original, replacement=event),
            )
        elif draw.random() < 0.1:
            topic, changed = "interaction.retracted.v1", InteractionRetracted(original_position=original)
        facts.append(Fact(position, version, SPAN, time, topic, changed, metadata))
        known.append(position)
    return facts


@pytest.mark.parametrize("number", range(HISTORIES))
def test_the_fold_says_what_the_whole_history_says(seed: int, number: int) -> None:
    draw = random.Random(f"{seed}/conversation/{number}")
    until = END_OF_TIME if draw.random() < 0.7 else draw.randrange(SPAN)
    facts = history(draw)
    fold = Conversation(until)
    asks_often = draw.random() < 0.5

    for count, fact in enumerate(facts, 1):
        fold.evolve(fact)
        if asks_often or draw.random() < 0.1 or count == len(facts):
            compare(fold, Slow(facts[:count], until), draw)


def compare(fold: Conversation, slow: Slow, draw: random.Random) -> None:
    at, since = SPAN + draw.randrange(SPAN), draw.randrange(-1, SPAN)
    most = draw.choice((1, 5, 100))
    contacts = slow.contacts
    assert [(row.position, row.time, row.event.channel, row.event.topic, row.imported) for row in contacts] == [
        (each.position, each.occur_time, each.channel, each.topic, each.historical_import)
        for each in fold.contacts(-1, SPAN)
    ]
    assert [slow.answers(row) for row in contacts] == [each.answers for each in fold.contacts(-1, SPAN)]
    for channel, topic, message_class in ((0, "", 0), (1, "", 0), (2, "garden", 0), (0, "", 1)):
        expected = [
            row.position
            for row in reversed(contacts)
            if since <= row.time < SPAN - 9
            and row.event.message_class != 3
            and channel in {0, row.event.channel}
            and topic in {"", row.event.topic}
            and message_class in {0, row.event.message_class}
        ][:most]
        assert expected == fold.latest_contacts(since, SPAN - 9, most, channel, topic, message_class)
    assert slow.streak(at, since)[::-1][:most] == [each.position for each in fold.streak(at, since, most)]
    assert slow.open_complaints() == fold.open_complaints()[::-1]
    for kinds in ({36}, {14, 12}, {6}, {7, 9}):
        assert slow.latest_fact(kinds, since) == fold.latest_fact(kinds, since)
    for topic in ("garden", "shoes", "none"):
        assert slow.topic_time(topic, since) == fold.topic_time(topic, since)
    for decision_id in (1, 2, 3, 4):
        assert slow.contact_of(decision_id) == fold.contact_of(decision_id)
    opt_outs = [OptOut(draw.randrange(SPAN), 10_000)] if draw.random() < 0.5 else []
    for attribution in ATTRIBUTIONS[: draw.randrange(4)]:
        instant = draw.randrange(SPAN + 100)
        assert slow.response(instant, attribution, opt_outs) == fold.response(instant, attribution, opt_outs)
