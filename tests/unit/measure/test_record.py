"""Records: little while they are empty, and the same whenever they are asked."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from ledger.domain.interaction import InteractionTotals
from ledger.domain.moments import Moments
from ledger.measure.record import Record
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRetracted
from tests.contact_histories import DAY, HOUR, did, moment
from tests.measured_histories import MeasuredHistory, acted, told

T = moment("2026-03-01T12:00Z")


def pairs(moments: Moments) -> list[tuple[int, int]]:
    return list(zip(moments.times, moments.positions, strict=True))


def answers(record: Record) -> tuple[dict[str, Any], InteractionTotals]:
    """Return what a record works out when it is asked."""
    talk, acts = record.talk, record.acts
    spoken = {
        "in": pairs(talk.inbound), "out": pairs(talk.outbound), "both": pairs(talk.mutual),
        "together": pairs(talk.together), "spoken": {kind: pairs(each) for kind, each in talk.spoken.items() if each},
        "days": {day: dict(counts) for day, counts in acts.days.items()}, "numbers": list(acts.day_numbers),
    }  # fmt: skip
    return spoken, record.state.interactions.totals()


@pytest.fixture
def history() -> MeasuredHistory:
    made = MeasuredHistory()
    facts = (
        (told(), T),
        (did("QUESTION", needs_reply=True), T + HOUR),
        (acted("VISIT"), T + 2 * DAY),
        (told("BOUNCED", refers_to=1), T + 2 * DAY),
        (did("CALL"), T + 3 * DAY),
        (acted("VIEW"), T + DAY),
        (told("MEETING"), T + 4 * DAY),
        (InteractionCorrected(original_position=3, replacement=did("MESSAGE")), T + 5 * DAY),
        (acted("VISIT"), T + 6 * DAY),
        (InteractionRetracted(original_position=4), T + 7 * DAY),
        (told("BOUNCED", refers_to=7), T + 7 * DAY),
        (InteractionRetracted(original_position=5), T + 8 * DAY),
        (did("PRAISE"), T + 8 * DAY),
    )
    for event, at in facts:
        made.add(event, at, recorded=T + 9 * DAY)
    return made


def test_an_empty_record_is_little() -> None:
    Record()
    gc.collect()
    before = len(gc.get_objects())
    records = [Record() for _ in range(100)]
    assert (len(gc.get_objects()) - before) / len(records) < 15


def test_it_says_the_same_whether_asked_after_every_fact_or_at_the_end(history: MeasuredHistory) -> None:
    asked = Record()
    for position, (_, fact) in enumerate(history.facts, 1):
        asked.evolve(fact)
        assert answers(history.record(position=position)) == answers(asked)
    assert [(T + HOUR, 2), (T + 5 * DAY, 3), (T + 8 * DAY, 13)] == pairs(asked.talk.inbound)
    assert [(T, 1)] == pairs(asked.talk.outbound)


def test_it_may_be_asked_once_in_between(history: MeasuredHistory) -> None:
    for first in range(len(history.facts)):
        asked = Record()
        for position, (_, fact) in enumerate(history.facts):
            if position == first:
                answers(asked)
            asked.evolve(fact)
        assert answers(history.record()) == answers(asked)
