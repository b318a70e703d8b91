"""The fold of a relationship against counting by hand: over corrections, corrections of corrections, and late facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.decider import Setting, Step
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.interaction import (
    CorrectInteraction,
    InteractionTotals,
    RecordInteraction,
    RetractInteraction,
)
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentRefused
from rapport.events.v1.exchange_pb2 import ExchangeRecorded, ExchangeReversed, Leg
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.type.v1.amount_pb2 import Amount
from tests.relationship_history import STREAM, fold

NOW = 6
"""Facts occur at instants 1 to 6, recorded in any order."""

MESSAGE = InteractionRecorded(
    kind=i.INTERACTION_KIND_MESSAGE, direction=i.DIRECTION_INBOUND, channel=i.CHANNEL_EMAIL, attention_seconds=7
)
# Half of them alike, so that one of many of a kind is taken out as often as the only one.
interactions = st.just(MESSAGE) | st.builds(
    InteractionRecorded,
    kind=st.sampled_from((i.INTERACTION_KIND_MESSAGE, i.INTERACTION_KIND_VISIT, i.INTERACTION_KIND_MEETING)),
    direction=st.sampled_from(i.Direction.values()[1:]),
    channel=st.sampled_from((i.CHANNEL_UNSPECIFIED, i.CHANNEL_EMAIL)),
    attention_seconds=st.sampled_from((0, 1, 60, 1_000_000)),
)
instants = st.integers(1, NOW)
places = st.integers(1, 6)


def correction(position: int, replacement: InteractionRecorded) -> InteractionCorrected:
    return InteractionCorrected(original_position=position, replacement=replacement)


records = st.builds(RecordInteraction, st.just(STREAM), interactions, instants)
steps = st.one_of(
    records,
    st.builds(CorrectInteraction, st.just(STREAM), st.builds(correction, places, interactions), st.none() | instants),
    st.builds(RetractInteraction, st.just(STREAM), st.builds(InteractionRetracted, original_position=places)),
)


class Counted(NamedTuple):
    """An interaction that counts in a view."""

    occur_time: int
    event: InteractionRecorded


def by_hand(facts: Sequence[Fact], until: int = END_OF_TIME) -> dict[int, Counted]:
    """Return what counts, by the position of its original."""
    last: dict[int, Counted] = {}
    retracted = {fact.event.original_position for fact in facts if isinstance(fact.event, InteractionRetracted)}
    for fact in facts:
        if isinstance(fact.event, InteractionRecorded):
            last[fact.position] = Counted(fact.occur_time, fact.event)
        elif isinstance(fact.event, InteractionCorrected):
            last[fact.event.original_position] = Counted(fact.occur_time, fact.event.replacement)
    return {
        position: counted
        for position, counted in last.items()
        if position not in retracted and counted.occur_time <= until
    }


def totals_by_hand(facts: Sequence[Fact], until: int = END_OF_TIME) -> InteractionTotals:
    counted = by_hand(facts, until).values()

    def of(*directions: int) -> list[int]:
        return [each.occur_time for each in counted if each.event.direction in directions]

    return InteractionTotals(
        count=len(counted),
        inbound=len(of(i.DIRECTION_INBOUND, i.DIRECTION_MUTUAL)),
        outbound=len(of(i.DIRECTION_OUTBOUND, i.DIRECTION_MUTUAL)),
        observed=len(of(i.DIRECTION_OBSERVED)),
        by_kind=tuple(sorted(Counter(each.event.kind for each in counted).items())),
        by_channel=tuple(sorted(Counter(each.event.channel for each in counted).items())),
        attention_seconds=sum(each.event.attention_seconds for each in counted),
        last_inbound_time=max(of(i.DIRECTION_INBOUND, i.DIRECTION_MUTUAL, i.DIRECTION_OBSERVED), default=None),
        last_outbound_time=max(of(i.DIRECTION_OUTBOUND, i.DIRECTION_MUTUAL), default=None),
    )


def recorded(asked: Sequence[Step]) -> list[Fact]:
    """Decide commands one after the other; return the facts of those that were not refused."""
    state, facts = RelationshipState(), list[Fact]()
    for step in asked:
        try:
            (new,) = step.decide(state, Setting(NOW, {})).facts
        except Rejected:
            continue
        place = len(facts) + 1
        facts.append(Fact(place, place, NOW, new.occur_time, new.topic, new.event, EventMetadata()))
        state.evolve(facts[-1])
    return facts


# Some interactions first, so that there is something to correct.
commands = st.builds(list[Step].__add__, st.lists(records, max_size=4), st.lists(steps, max_size=8))
histories = commands.map(recorded)


@given(commands)
def test_a_command_is_refused_exactly_when_its_original_is_not_there_or_gone(asked: list[Step]) -> None:
    state, facts = RelationshipState(), list[Fact]()
    for step in asked:
        originals = {fact.position for fact in facts if isinstance(fact.event, InteractionRecorded)}
        position = 0
        if isinstance(step, CorrectInteraction):
            position = step.correction.original_position
        elif isinstance(step, RetractInteraction):
            position = step.retraction.original_position
        expected = None
        if position and position not in originals:
            expected = reasons.ERROR_REASON_INTERACTION_UNKNOWN
        elif position and position not in by_hand(facts):
            expected = reasons.ERROR_REASON_INTERACTION_RETRACTED

        if expected is not None:
            with pytest.raises(Rejected) as refusal:
                step.decide(state, Setting(NOW, {}))
            assert expected == refusal.value.reason
            continue
        (new,) = step.decide(state, Setting(NOW, {})).facts
        place = len(facts) + 1
        facts.append(Fact(place, place, NOW, new.occur_time, new.topic, new.event, EventMetadata()))
        state.evolve(facts[-1])


@given(histories)
@settings(max_examples=300)
def test_totals_equal_a_count_by_hand_after_every_fact(facts: list[Fact]) -> None:
    state = RelationshipState()
    for number, fact in enumerate(facts, start=1):
        state.evolve(fact)
        assert totals_by_hand(facts[:number]) == state.interactions.totals()
        times = [counted.occur_time for counted in by_hand(facts[:number]).values()]
        assert (min(times, default=None), max(times, default=None)) == (state.first_occur_time, state.last_occur_time)


@given(histories, st.integers(0, 12), st.integers(0, NOW))
@settings(max_examples=300)
def test_a_view_equals_a_count_by_hand_on_both_axes(facts: list[Fact], position: int, until: int) -> None:
    known = facts[:position]
    state = fold(known, until)

    times = [counted.occur_time for counted in by_hand(known, until).values()]
    assert totals_by_hand(known, until) == state.interactions.totals()
    assert len(times) == state.interactions.count
    assert (min(times, default=None), max(times, default=None)) == (
        state.interactions.first_time,
        state.interactions.last_time,
    )
    assert (len(known), len(known)) == (state.version, state.last_position)


@given(histories, st.integers(0, NOW))
def test_a_view_as_of_a_time_is_the_fold_of_what_it_admits(facts: list[Fact], until: int) -> None:
    # A later correction admits nothing, yet leaves its original out: then only the last one of an original is known.
    last = {fact.event.original_position: fact for fact in facts if isinstance(fact.event, InteractionCorrected)}
    gone = {position for position, fact in last.items() if fact.occur_time > until}
    gone |= {fact.event.original_position for fact in facts if isinstance(fact.event, InteractionRetracted)}

    admitted = RelationshipState()
    for fact in facts:
        original = getattr(fact.event, "original_position", fact.position)
        if original in gone or (original not in last and fact.occur_time > until):
            continue
        admitted.evolve(fact)

    assert admitted.interactions.totals() == fold(facts, until).interactions.totals()


@given(histories)
def test_what_is_undone_is_everything_recorded_that_does_not_count(facts: list[Fact]) -> None:
    undone = fold(facts).interactions.undone

    last = {
        getattr(fact.event, "original_position", fact.position): fact.position
        for fact in facts
        if not isinstance(fact.event, InteractionRetracted)
    }
    counting = {last[original] for original in by_hand(facts)}
    told = {fact.position for fact in facts if not isinstance(fact.event, InteractionRetracted)}
    assert told - counting == set(undone)
    # Whoever follows the chain comes to what counts, or to the retraction.
    for position, successor in undone.items():
        assert position < successor
        assert successor in undone or successor in counting or successor not in told


LEG = Leg(giver=x.PARTY_CUSTOMER, category=x.CATEGORY_GOODS, amount=Amount(units=1, asset="CD/0"))
others = st.one_of(
    st.tuples(st.just("consent.given.v1"), st.just(ConsentGiven(purposes=["service"])), instants),
    st.tuples(st.just("consent.refused.v1"), st.just(ConsentRefused()), instants),
    st.tuples(
        st.just("exchange.recorded.v1"),
        st.integers(1, 3).map(lambda n: ExchangeRecorded(exchange_id=f"x{n}", legs=[LEG])),
        instants,
    ),
    st.tuples(
        st.just("exchange.reversed.v1"),
        st.integers(1, 3).map(lambda n: ExchangeReversed(exchange_id=f"x{n}", reversal_id=f"r{n}")),
        instants,
    ),
    st.tuples(st.just("interaction.recorded.v1"), interactions, instants),
)


def plausible(rows: Sequence[tuple[str, Message, int]]) -> list[Fact]:
    """Return the facts that decisions could have made: ids are used once, reversals name what stands before them."""
    facts: list[Fact] = []
    sold: dict[str, int] = {}
    gone: set[str] = set()
    for topic, event, occur_time in rows:
        if isinstance(event, ExchangeRecorded):
            if event.exchange_id in sold:
                continue
            sold[event.exchange_id] = occur_time
        if isinstance(event, ExchangeReversed):
            if event.exchange_id in gone or sold.get(event.exchange_id, NOW + 1) > occur_time:
                continue
            gone.add(event.exchange_id)
        place = len(facts) + 1
        facts.append(Fact(place, place, NOW, occur_time, topic, event, EventMetadata()))
    return facts


@given(st.lists(others, max_size=10).map(plausible), st.integers(0, NOW))
def test_the_span_is_that_of_the_facts_that_count(facts: list[Fact], until: int) -> None:
    reversed_by = {fact.event.exchange_id: fact for fact in facts if isinstance(fact.event, ExchangeReversed)}

    def counts(fact: Fact) -> bool:
        if isinstance(fact.event, ExchangeReversed) or fact.occur_time > until:
            return False
        if not isinstance(fact.event, ExchangeRecorded):
            return True
        reversal = reversed_by.get(fact.event.exchange_id)
        return reversal is None or reversal.occur_time > until

    state = fold(facts, until)

    times = [fact.occur_time for fact in facts if counts(fact)]
    assert (min(times, default=None), max(times, default=None)) == (state.first_occur_time, state.last_occur_time)
    for fact in facts:
        if isinstance(fact.event, ExchangeRecorded) and fact.occur_time <= until:
            assert counts(fact) == (state.undone_by(fact) == 0)
