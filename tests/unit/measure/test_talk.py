"""What was said between the two where it comes late, is corrected, taken back or judged twice (settled.md 8 and 47)."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from ledger.domain.fact import Fact
from ledger.measure.measured import Measured
from ledger.measure.record import Record
from ledger.measure.solicitations import each
from ledger.measure.talk import Sent, Talk
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRetracted
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import DAY, HOUR, did, moment, objected, sent
from tests.measured_histories import MeasuredHistory, acted, told

T = moment("2026-03-01T12:00Z")
A = 14 * DAY


def talk(made: MeasuredHistory) -> Talk:
    return made.record().talk


class Kept:
    """A record that is asked after every fact, as a detector does."""

    def __init__(self) -> None:
        self.history = MeasuredHistory()
        self.record = self.history.record()
        self.outlook = self.history.measured(T).outlook

    def add(self, *facts: tuple[Message, int]) -> None:
        for event, at in facts:
            self.history.add(event, at, recorded=T + 9 * DAY)
            self.record.evolve(self.history.facts[-1][1])

    def outcomes(self) -> list[int]:
        return [row.outcome for row in each(Measured(self.record, self.outlook, T + 99 * DAY))]


def test_what_counts_for_nothing_leaves_nothing_but_its_position() -> None:
    made = MeasuredHistory()
    for event in (acted("VIEW"), acted("PURCHASE"), did("VISIT"), did("RETURN")):
        made.add(event, T)

    assert [None] * 4 == [talk(made).said(position) for position in range(1, 5)]
    made.add(InteractionCorrected(original_position=1, replacement=did("QUESTION")), T)
    assert 1 == len(talk(made).inbound)


def test_a_reference_to_what_was_not_there_yet_names_nothing() -> None:
    made = MeasuredHistory()
    made.add(told("ANSWER", in_reply_to=2), T + HOUR)
    made.add(did("QUESTION", needs_reply=True), T, recorded=T + HOUR)
    assert 0 == talk(made).replied_within(2, T, DAY)

    made.add(InteractionCorrected(original_position=1, replacement=told("ANSWER", in_reply_to=2)), T + HOUR)
    assert 1 == talk(made).replied_within(2, T, DAY)


def test_after_a_retraction_no_correction_counts() -> None:
    made = MeasuredHistory()
    made.add(did("QUESTION"), T)
    made.add(InteractionRetracted(original_position=1), T)
    made.add(InteractionCorrected(original_position=1, replacement=did("QUESTION")), T)
    made.add(InteractionCorrected(original_position=77, replacement=did("QUESTION")), T)
    made.add(InteractionRetracted(original_position=78), T)

    assert 0 == len(talk(made).inbound)


def test_an_interaction_that_a_view_does_not_see_may_be_corrected_into_it() -> None:
    made = MeasuredHistory()
    made.add(sent(tactic=i.TACTIC_SURVEY), T + DAY)
    earlier = sent(tactic=i.TACTIC_SURVEY, programme="club", attention_seconds=5)
    made.add(InteractionCorrected(original_position=1, replacement=earlier), T, recorded=T + 2 * DAY)
    seen = made.record(until=T).talk

    assert {1: Sent(i.TACTIC_SURVEY, "club", 5, "", 0)} == seen.sent
    assert [T] == list(seen.outbound.times)
    assert {} == made.record(until=T - 1).talk.sent


def test_an_incentive_is_corrected_with_its_act() -> None:
    made = MeasuredHistory()
    offer = made.add(did("OFFER_ACCEPTED", incentivised=True), T)
    assert {offer} == talk(made).incited
    made.add(InteractionCorrected(original_position=offer, replacement=did("OFFER_ACCEPTED")), T)
    assert set() == talk(made).incited
    made.add(InteractionCorrected(original_position=offer, replacement=did("REPLY", incentivised=True)), T)
    assert {offer} == talk(made).incited


def test_two_bounces_of_one_message_take_it_out_once_and_both_must_go_to_bring_it_back() -> None:
    made = MeasuredHistory()
    message = made.add(told(our_function=i.OUR_FUNCTION_SALES), T)
    bounces = [made.add(did("BOUNCED", refers_to=message), T) for _ in range(2)]
    assert (0, 0) == (len(talk(made).outbound), len(talk(made).named))

    made.add(InteractionRetracted(original_position=bounces[0]), T)
    assert 0 == len(talk(made).outbound)
    made.add(InteractionRetracted(original_position=bounces[1]), T)
    assert (1, 1) == (len(talk(made).outbound), len(talk(made).named))


def test_a_message_that_comes_back_by_a_correction_has_still_bounced() -> None:
    made = MeasuredHistory()
    message = made.add(told(), T)
    made.add(did("BOUNCED", refers_to=message), T)
    made.add(InteractionCorrected(original_position=message, replacement=told("ANSWER")), T)
    assert 0 == len(talk(made).outbound)
    made.add(InteractionCorrected(original_position=message, replacement=did("MESSAGE")), T)
    assert (1, 0) == (len(talk(made).inbound), len(talk(made).outbound))


@pytest.mark.parametrize("about", [1, 2])
def test_bounces_that_speak_of_each_other_come_to_an_end(about: int) -> None:
    made = MeasuredHistory()
    made.add(told(), T)
    made.add(told("BOUNCED", refers_to=1), T)
    made.add(InteractionCorrected(original_position=1, replacement=told("BOUNCED", refers_to=about)), T)

    assert 0 == len(talk(made).outbound)


def test_kinds_of_another_version_of_the_events_pass_by() -> None:
    record = Record()
    for kind, direction in ((999, 2), (1, 7), (2**31 - 1, 1)):
        event = i.InteractionRecorded(kind=kind, direction=direction)  # type: ignore[arg-type]  # On purpose.
        record.evolve(Fact(1, 1, T, T, "interaction.recorded.v1", event, EventMetadata()))

    assert (0, 0) == (len(record.talk.inbound), len(record.talk.outbound))


def test_an_opt_out_moves_to_what_is_heard_of_late_and_back() -> None:
    kept = Kept()
    none, out = levels.SOLICITATION_OUTCOME_NO_RESPONSE, levels.SOLICITATION_OUTCOME_OPTED_OUT
    kept.add((sent(), T))
    assert [none] == kept.outcomes()
    kept.add((objected(), T + 5 * DAY))
    assert [out] == kept.outcomes()
    kept.add((sent(), T + 3 * DAY))
    assert [none, out] == kept.outcomes()
    kept.add((InteractionRetracted(original_position=3), T + 3 * DAY))
    assert [out] == kept.outcomes()
