"""What is remembered between two events is what a fold from nothing measures, told as messages too."""

from __future__ import annotations

import random

import pytest

from ledger.domain.times import END_OF_TIME
from ledger.measure.measured import Measured
from ledger.measure.outlook import Outlook, outlook_of
from ledger.measure.record import Record
from rapport.relationship.v1.measures_pb2 import Measures
from services.relationship.measure_translate import tell_measures
from tests.contact_histories import DAY, stream
from tests.measured_histories import MeasuredDraw

HOUR = DAY // 24
READS = 5
"""Between two events."""
STEPS = (1, HOUR, 9 * HOUR, DAY, 20 * DAY)


def told(record: Record, outlook: Outlook, at: int) -> Measures:
    measures = Measures()
    tell_measures(measures, Measured(record, outlook, at), ())
    return measures


@pytest.mark.parametrize("seed", range(6))
def test_a_record_read_often_tells_what_a_fresh_one_does(seed: int) -> None:
    rng, draw = random.Random(seed), MeasuredDraw(seed)
    draw.fill(40)
    published = draw.history.published()
    facts = [fact for name, fact in draw.history.facts if name == stream("c")]
    latest, read = 0, Record()

    for count, fact in enumerate(facts, 1):
        read.evolve(fact)
        latest = max(latest, fact.occur_time)
        at = latest
        for _ in range(READS if count % 4 == 0 else 1):
            fresh = Record(END_OF_TIME)
            for each in facts[:count]:
                fresh.evolve(each)
            outlook = outlook_of(published, at)
            assert told(fresh, outlook, at) == told(read, outlook, at)
            at += rng.choice(STEPS)
