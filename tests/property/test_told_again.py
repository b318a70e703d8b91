"""Whoever asks again before anything was recorded is answered as who asks first: what is remembered is never old.

Random histories, all in; each is asked about at instants that follow each other, near those at which something leaves a
window, matures, is due or ages, and each answer is compared with that of a record that was asked nothing before.
"""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from ledger.domain.fact import Fact
from ledger.domain.times import timestamp
from ledger.measure.involvement import DAY
from ledger.measure.measured import Measured
from ledger.measure.outlook import Outlook, outlook_of
from ledger.measure.record import Record
from ledger.measure.rules import Rules
from ledger.measure.steady import steady_until
from ledger.views import Look, View
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.relationship.v1 import measures_pb2 as pb
from rapport.relationship.v1.relationship_pb2 import Relationship
from services.relationship.measure_translate import tell_measures
from services.relationship.measures import tell_now
from services.relationship.measuring import Sight
from services.relationship.translate import tell
from tests.contact_histories import HOUR, sent, stream
from tests.measured_histories import START, MeasuredDraw, MeasuredHistory, traded
from tests.property.test_past_views import RicherDraw, published
from tests.property.test_relationship_by_brute_reading import SHORT

ASKED = 25


def folded(facts: Sequence[Fact]) -> Record:
    record = Record()
    for fact in facts:
        record.evolve(fact)
    return record


def told(record: Record, outlook: Outlook, at: int) -> pb.Measures:
    return shown(record, outlook, at).measures


def spans(rules: Rules) -> list[int]:
    """Return after how long something may change."""
    cadences = (rules.at_risk_factor, rules.lapsed_factor)
    return [
        rules.window, rules.valence_window, rules.attribution, rules.answer_within, rules.assessment_term,
        rules.promise_term, DAY, 0, *(factor * rules.cadence_default for factor in cadences),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("under", [None, SHORT], ids=["default", "short"])
def test_who_asks_again_is_answered_as_who_asks_first(seed: int, under: RelationshipPolicy | None) -> None:
    draw = RicherDraw(seed)
    for _ in range(draw.random.choice([3, 15, 40])):
        draw.fact()
    last = max(fact.occur_time for fact in draw.facts)
    outlook = outlook_of(published(), last, under)
    kept, later = folded(draw.facts), spans(outlook.rules)
    near = {
        fact.occur_time + span + draw.random.choice([-1, 0, 1]) for fact in draw.facts for span in later
    }  # fmt: skip
    drawn = [each for each in near if each >= last]
    instants = sorted([last, *draw.random.sample(sorted(drawn), min(ASKED, len(drawn)))])

    for at in instants:
        assert told(kept, outlook, at) == told(folded(draw.facts), outlook, at), at


@pytest.mark.parametrize("seed", range(20))
def test_a_consent_that_ends_is_told_at_once(seed: int) -> None:
    draw = MeasuredDraw(seed)
    draw.fill(40)
    facts = [fact for name, fact in draw.history.facts if name == stream("c")]
    at: int | None = max(fact.occur_time for fact in facts)
    assert at is not None
    outlook, kept = outlook_of(draw.history.published(), at), folded(facts)
    for _ in range(5):
        at = Measured(folded(facts), outlook, at).permission.changes_at
        if at is None:
            return
        told(kept, outlook, at - 1)
        assert told(kept, outlook, at) == told(folded(facts), outlook, at)


def test_what_was_decided_and_who_was_contacted_is_told_until_it_leaves_the_window() -> None:
    made, noon = MeasuredHistory(), START // DAY * DAY + DAY // 2
    made.add(sent(), noon)
    made.decide_and_record(noon + HOUR)
    outlook, kept = made.measured(noon + DAY).outlook, made.record()

    def conduct_at(at: int) -> tuple[int, int]:
        found = told(kept, outlook, at).conduct
        return found.contact_count, found.avoided_count

    contacted, avoided = noon + outlook.rules.window, noon + HOUR + outlook.rules.window
    assert [(1, 1), (0, 1)] == [conduct_at(contacted - 1), conduct_at(contacted)]
    assert [(0, 1), (0, 0)] == [conduct_at(avoided - 1), conduct_at(avoided)]


@pytest.mark.parametrize("seed", range(30))
def test_a_relationship_asked_for_again_is_shown_as_to_who_asks_first(seed: int) -> None:
    draw = MeasuredDraw(seed)
    kept, known, at = Record(), 0, START
    for _ in range(6):
        for _ in range(draw.random.choice([1, 5, 10])):
            at += draw.random.randrange(1, 3 * DAY)
            draw.add(at)
        held = traded(f"held-{len(draw.history.facts)}", paid=500)
        held.pending_until.CopyFrom(timestamp(at + 5 * DAY))
        draw.history.add(held, at)
        facts = [fact for name, fact in draw.history.facts if name == stream("c")]
        for fact in facts[known:]:
            kept.evolve(fact)
        known = len(facts)
        outlook = outlook_of(draw.history.published(), at)
        for later in (0, 1, DAY, 5 * DAY - 1, 5 * DAY, 400 * DAY):
            assert shown(kept, outlook, at + later) == shown(folded(facts), outlook, at + later), later


def shown(record: Record, outlook: Outlook, at: int) -> Relationship:
    """Return what is told of a relationship of now, and let it be what a past view would tell."""
    look = Look(record.state, View(at, 1_000), record.version, record.state.last_position)
    now, past = Relationship(), Relationship()
    tell_now(now, "acme", "c", Sight(Measured(record, outlook, at), look, ("c",)))
    tell(past, "acme", "c", look, 1_000)
    tell_measures(past.measures, Measured(record, outlook, at), ())
    assert past == now
    return now


@pytest.mark.parametrize("seed", range(20))
def test_nothing_changes_before_the_instant_that_is_told(seed: int) -> None:
    draw = RicherDraw(1_000 + seed)
    for _ in range(25):
        draw.fact()
    at = max(fact.occur_time for fact in draw.facts)
    outlook = outlook_of(published(), at, SHORT)
    instants = [at]
    for _ in range(20):
        instants.append(steady_until(Measured(folded(draw.facts), outlook, instants[-1])))

    for since, until in pairwise(instants):
        assert since < until <= (since // DAY + 1) * DAY
        first, last = told(folded(draw.facts), outlook, since), told(folded(draw.facts), outlook, until - 1)
        for each in (first, last):
            each.lifecycle.ClearField("gap_ratio")
        assert first == last
