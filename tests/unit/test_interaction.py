"""What recording, correcting and retracting an interaction does, what it refuses, and what the counts become."""

from collections.abc import Callable

import pytest

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision
from ledger.domain.interaction import CorrectInteraction, InteractionTotals, RecordInteraction, RetractInteraction
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted
from rapport.type.v1.event_context_pb2 import EventContext
from tests.relationship_history import DAY, NOON, STREAM, History

QUESTION = InteractionRecorded(
    kind=i.INTERACTION_KIND_QUESTION,
    direction=i.DIRECTION_INBOUND,
    channel=i.CHANNEL_EMAIL,
    attention_seconds=60,
)
ANSWER = InteractionRecorded(
    kind=i.INTERACTION_KIND_ANSWER, direction=i.DIRECTION_OUTBOUND, channel=i.CHANNEL_EMAIL, attention_seconds=5
)
MEETING = InteractionRecorded(
    kind=i.INTERACTION_KIND_MEETING,
    direction=i.DIRECTION_MUTUAL,
    channel=i.CHANNEL_IN_PERSON,
    attention_seconds=3600,
)
VISIT = InteractionRecorded(kind=i.INTERACTION_KIND_VISIT, direction=i.DIRECTION_OBSERVED)
NOTHING = InteractionTotals(
    count=0,
    inbound=0,
    outbound=0,
    observed=0,
    by_kind=(),
    by_channel=(),
    attention_seconds=0,
    last_inbound_time=None,
    last_outbound_time=None,
)


@pytest.fixture
def history() -> History:
    return History()


def totals(history: History, until: int | None = None, position: int | None = None) -> InteractionTotals:
    state = history.state(position=position) if until is None else history.state(until, position)
    return state.interactions.totals()


def correct(position: int, replacement: InteractionRecorded, occur_time: int | None = None) -> CorrectInteraction:
    event = InteractionCorrected(original_position=position, replacement=replacement)
    return CorrectInteraction(STREAM, event, occur_time)


def retract(position: int) -> RetractInteraction:
    return RetractInteraction(STREAM, InteractionRetracted(original_position=position))


def correct_to_visit(position: int) -> CorrectInteraction:
    return correct(position, VISIT)


Make = Callable[[int], CorrectInteraction | RetractInteraction]


def span(history: History) -> tuple[int | None, int | None]:
    state = history.state().interactions
    return state.first_time, state.last_time


def test_an_interaction_is_recorded_as_it_is_told() -> None:
    context = EventContext(actor="till-7", historical_import=True)

    decision = RecordInteraction(STREAM, QUESTION, NOON - DAY, context).decide(None, Setting(NOON, {}))

    (fact,) = decision.facts
    assert Decision((fact,)) == decision
    assert ("interaction.recorded.v1", QUESTION) == (fact.topic, fact.event)
    assert (NOON - DAY, False, False) == (fact.occur_time, fact.defaulted, fact.clamped)
    assert context == fact.context


def test_an_interaction_without_a_time_happened_now() -> None:
    (fact,) = RecordInteraction(STREAM, QUESTION).decide(None, Setting(NOON, {})).facts

    assert (NOON, True, False) == (fact.occur_time, fact.defaulted, fact.clamped)


def test_an_interaction_of_the_future_is_refused() -> None:
    with pytest.raises(Rejected) as refusal:
        RecordInteraction(STREAM, QUESTION, NOON + DAY).decide(None, Setting(NOON, {}))

    assert reasons.ERROR_REASON_OCCUR_TIME_IN_FUTURE == refusal.value.reason


def test_recording_needs_no_state_and_no_other_stream() -> None:
    step = RecordInteraction(STREAM, QUESTION)

    assert (False, ()) == (step.needs_state, step.reads)


def test_totals_count_by_direction_kind_and_channel(history: History) -> None:
    for days, interaction in enumerate((QUESTION, ANSWER, MEETING, VISIT, QUESTION)):
        history.record(RecordInteraction(STREAM, interaction, NOON - (5 - days) * DAY))

    expected = InteractionTotals(
        count=5,
        inbound=3,
        outbound=2,
        observed=1,
        by_kind=(
            (i.INTERACTION_KIND_MEETING, 1),
            (i.INTERACTION_KIND_VISIT, 1),
            (i.INTERACTION_KIND_QUESTION, 2),
            (i.INTERACTION_KIND_ANSWER, 1),
        ),
        by_channel=((i.CHANNEL_UNSPECIFIED, 1), (i.CHANNEL_EMAIL, 3), (i.CHANNEL_IN_PERSON, 1)),
        attention_seconds=3725,
        last_inbound_time=NOON - DAY,
        last_outbound_time=NOON - 3 * DAY,
    )
    assert expected == totals(history)


def test_a_mutual_interaction_counts_once_in_and_once_out(history: History) -> None:
    history.record(RecordInteraction(STREAM, MEETING))

    counted = totals(history)
    assert (1, 1, 1) == (counted.count, counted.inbound, counted.outbound)
    assert (NOON, NOON) == (counted.last_inbound_time, counted.last_outbound_time)


def test_an_observed_act_is_heard_from_the_customer_and_is_not_inbound(history: History) -> None:
    history.record(RecordInteraction(STREAM, VISIT))

    counted = totals(history)
    assert (0, 1, NOON, None) == (
        counted.inbound,
        counted.observed,
        counted.last_inbound_time,
        counted.last_outbound_time,
    )


def test_what_arrives_late_does_not_move_the_last_time(history: History) -> None:
    history.record(RecordInteraction(STREAM, QUESTION, NOON))
    history.record(RecordInteraction(STREAM, QUESTION, NOON - DAY))

    assert (NOON - DAY, NOON) == span(history)
    assert NOON == totals(history).last_inbound_time


def test_a_correction_replaces_what_was_counted(history: History) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION, NOON - DAY))

    fact = history.record(correct(original.position, MEETING))

    alone = History()
    alone.record(RecordInteraction(STREAM, MEETING, NOON - DAY))
    assert totals(alone) == totals(history)
    assert {original.position: fact.position} == history.state().interactions.undone


def test_a_correction_without_a_time_happened_when_the_original_says(history: History) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION, NOON - DAY))
    history.record(correct(original.position, MEETING, NOON - 2 * DAY))

    (fact,) = history.decide(correct(original.position, VISIT)).facts

    # The server's clock was not taken, so nothing was defaulted.
    assert (NOON - DAY, False, False) == (fact.occur_time, fact.defaulted, fact.clamped)


def test_a_correction_is_not_refused_for_the_time_of_its_original_by_a_clock_that_lags(history: History) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION, NOON))
    history.now = NOON - DAY

    assert NOON == history.record(correct(original.position, VISIT)).occur_time


def test_a_correction_of_the_future_is_refused(history: History) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION))

    with pytest.raises(Rejected) as refusal:
        history.decide(correct(original.position, VISIT, NOON + DAY))

    assert reasons.ERROR_REASON_OCCUR_TIME_IN_FUTURE == refusal.value.reason


def test_the_last_recorded_correction_counts_whatever_its_time(history: History) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION, NOON))
    first = history.record(correct(original.position, MEETING, NOON))
    second = history.record(correct(original.position, VISIT, NOON - DAY))

    state = history.state().interactions
    assert ((i.INTERACTION_KIND_VISIT, 1),) == state.totals().by_kind
    assert NOON - DAY == state.last_time
    assert {original.position: first.position, first.position: second.position} == state.undone


def test_a_retraction_leaves_nothing_to_count(history: History) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION))

    fact = history.record(retract(original.position))

    state = history.state().interactions
    assert NOTHING == state.totals()
    assert (None, None, 0) == (state.first_time, state.last_time, state.count)
    assert {original.position: fact.position} == state.undone


def test_a_retraction_happens_now(history: History) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION, NOON - DAY))

    (fact,) = history.decide(retract(original.position)).facts

    assert (NOON, True) == (fact.occur_time, fact.defaulted)


def test_a_retraction_takes_the_corrections_with_it(history: History) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION))
    correction = history.record(correct(original.position, MEETING))
    retraction = history.record(retract(original.position))

    state = history.state().interactions
    assert NOTHING == state.totals()
    assert {original.position: correction.position, correction.position: retraction.position} == state.undone


@pytest.mark.parametrize("make", [retract, correct_to_visit])
def test_a_position_that_is_no_interaction_of_the_relationship_is_refused(history: History, make: Make) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION))
    correction = history.record(correct(original.position, MEETING))

    for position in (0, original.position - 1, original.position + 1, correction.position, 2**64 - 1):
        with pytest.raises(Rejected) as refusal:
            history.decide(make(position))

        assert reasons.ERROR_REASON_INTERACTION_UNKNOWN == refusal.value.reason
        assert {"original_position": str(position)} == refusal.value.metadata


@pytest.mark.parametrize("make", [retract, correct_to_visit])
def test_a_retracted_interaction_is_refused_and_the_first_retraction_named(history: History, make: Make) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION))
    first = history.record(retract(original.position))

    with pytest.raises(Rejected) as refusal:
        history.decide(make(original.position))

    assert reasons.ERROR_REASON_INTERACTION_RETRACTED == refusal.value.reason
    assert {
        "original_position": str(original.position),
        "retracted_position": str(first.position),
    } == refusal.value.metadata


def test_the_next_in_time_becomes_the_last_when_the_last_is_taken_out(history: History) -> None:
    facts = [history.record(RecordInteraction(STREAM, QUESTION, NOON - days * DAY)) for days in (2, 0, 3, 1)]

    assert (NOON - 3 * DAY, NOON) == span(history)
    history.record(retract(facts[1].position))
    assert (NOON - 3 * DAY, NOON - DAY) == span(history)
    history.record(correct(facts[2].position, VISIT, NOON - DAY // 2))
    assert (NOON - 2 * DAY, NOON - DAY // 2) == span(history)


def test_only_the_first_of_many_alike_is_taken_out(history: History) -> None:
    facts = [history.record(RecordInteraction(STREAM, QUESTION, NOON - days * DAY)) for days in (3, 2, 1)]

    history.record(retract(facts[0].position))

    assert (NOON - 2 * DAY, NOON - DAY) == span(history)


def test_a_replacement_of_one_in_the_middle_may_become_the_last(history: History) -> None:
    facts = [history.record(RecordInteraction(STREAM, QUESTION, NOON - days * DAY)) for days in (3, 2, 1)]

    history.record(correct(facts[1].position, QUESTION, NOON))

    assert (NOON - 3 * DAY, NOON) == span(history)


def test_a_replacement_that_became_the_last_is_taken_out_too(history: History) -> None:
    facts = [history.record(RecordInteraction(STREAM, QUESTION, NOON - days * DAY)) for days in (3, 2, 1)]
    history.record(correct(facts[1].position, QUESTION, NOON))

    history.record(retract(facts[1].position))

    assert (NOON - 3 * DAY, NOON - DAY) == span(history)


def test_the_last_inbound_falls_back_when_a_correction_turns_it_around(history: History) -> None:
    history.record(RecordInteraction(STREAM, QUESTION, NOON - DAY))
    last = history.record(RecordInteraction(STREAM, QUESTION, NOON))
    history.record(correct(last.position, ANSWER))

    counted = totals(history)
    assert (NOON - DAY, NOON) == (counted.last_inbound_time, counted.last_outbound_time)


def test_a_view_before_the_replacements_time_counts_neither(history: History) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION, NOON - 2 * DAY))
    history.record(correct(original.position, MEETING, NOON))

    assert NOTHING == totals(history, NOON - DAY)
    assert 1 == totals(history, NOON).count


def test_a_replacement_moved_to_before_the_view_counts_in_it(history: History) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION, NOON))
    history.record(correct(original.position, MEETING, NOON - 2 * DAY))

    assert ((i.INTERACTION_KIND_MEETING, 1),) == totals(history, NOON - DAY).by_kind


def test_a_view_known_before_the_correction_still_counts_the_original(history: History) -> None:
    original = history.record(RecordInteraction(STREAM, QUESTION, NOON - DAY))
    history.record(retract(original.position))

    assert 1 == totals(history, NOON, original.position).count


def test_unknown_numbers_of_a_later_release_are_counted_as_they_are(history: History) -> None:
    later = InteractionRecorded(direction=i.DIRECTION_INBOUND)
    later.MergeFromString(b"\x08\x89\x27\x20\xff\xff\xff\xff\x07\x38\xff\xff\xff\xff\x0f")  # Kind 5001 and so on.

    original = history.add("interaction.recorded.v1", later, NOON)
    assert (((5001, 1),), ((2**31 - 1, 1),), 2**32 - 1) == (
        totals(history).by_kind,
        totals(history).by_channel,
        totals(history).attention_seconds,
    )

    history.add("interaction.retracted.v1", InteractionRetracted(original_position=original.position), NOON)
    assert NOTHING == totals(history)


def test_facts_that_no_decision_would_make_leave_the_counts_alone(history: History) -> None:
    history.add("interaction.corrected.v1", InteractionCorrected(original_position=77, replacement=VISIT), NOON)
    history.add("interaction.retracted.v1", InteractionRetracted(original_position=77), NOON)
    original = history.record(RecordInteraction(STREAM, QUESTION))
    first = history.record(retract(original.position))
    event = InteractionCorrected(original_position=original.position, replacement=VISIT)
    late = history.add("interaction.corrected.v1", event, NOON)
    history.add("interaction.retracted.v1", InteractionRetracted(original_position=original.position), NOON)

    state = history.state().interactions
    assert NOTHING == state.totals()
    assert {original.position: first.position, late.position: first.position} == state.undone
