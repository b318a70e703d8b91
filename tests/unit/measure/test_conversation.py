"""Who speaks and who answers: formulas, examples and tests of relationship.md 10, settled.md 43 and 45."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.measure.conversation import moves_at
from ledger.measure.results import ConversationMeasure, Ratio
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.relationship_policy_pb2 import ConversationRules, KindWeight, RelationshipPolicy, StrengthRules
from rapport.relationship.v1 import measures_pb2 as why
from tests.contact_histories import DAY, HOUR, did, moment, sent
from tests.measured_histories import MeasuredHistory, told

T = moment("2026-06-01T12:00Z")
W = 180 * DAY
SLA = 48 * HOUR
MUTUAL, OUTBOUND = i.DIRECTION_MUTUAL, i.DIRECTION_OUTBOUND
NOTHING, NOT_YET = why.UNKNOWN_REASON_NO_EVIDENCE, why.UNKNOWN_REASON_NOTHING_MATURED


def history(*sends: int) -> MeasuredHistory:
    """Return a history in which something was sent so many days before T."""
    made = MeasuredHistory()
    for days in sorted(sends, reverse=True):
        made.add(sent(), T - days * DAY)
    return made


def talked(made: MeasuredHistory, at: int = T, **values: Any) -> ConversationMeasure:
    return made.measured(at, **values).conversation


def test_twenty_out_and_one_in_is_a_broadcast() -> None:
    made = history(*range(1, 21))
    made.add(did("MESSAGE"), T)

    found = talked(made)

    assert (1, 20, 47_619, True) == (found.inbound, found.outbound, found.listening.ppm, found.broadcast)
    assert 0 == found.streak


def test_five_out_and_none_in_is_a_broadcast() -> None:
    found = talked(history(1, 2, 3, 4, 5))

    assert (0, 5, 0, 5, True) == (
        found.inbound, found.outbound, found.listening.ppm, found.streak, found.broadcast
    )  # fmt: skip


def test_the_fifth_unanswered_solicitation_flips_it_and_not_the_fourth() -> None:
    made = history(9)
    made.add(did("QUESTION"), T - 8 * DAY)
    flips = []
    for days in range(5, 0, -1):
        made.add(sent(), T - days * DAY)
        flips.append((talked(made).streak, talked(made).broadcast))

    assert [(1, False), (2, False), (3, False), (4, False), (5, True)] == flips


def test_a_reply_to_the_customers_question_does_not_lengthen_the_streak() -> None:
    made = history(9, 8, 7, 6)
    question = made.add(did("QUESTION", initiator=i.INITIATOR_ORGANIZATION), T - DAY)
    made.add(sent(in_reply_to=question), T)

    assert (4, False) == (talked(made).streak, talked(made).broadcast)
    made.add(sent(), T)
    assert (5, True) == (talked(made).streak, talked(made).broadcast)


@pytest.mark.parametrize(
    "event, ends",
    [
        (did("MESSAGE"), True),
        (did("PRAISE", direction=i.DIRECTION_OBSERVED), True),
        (did("CALL", direction=MUTUAL), True),
        (did("CALL", direction=MUTUAL, initiator=i.INITIATOR_ORGANIZATION), False),
        (did("MESSAGE", initiator=i.INITIATOR_UNSPECIFIED), False),
        (did("GREETING"), False),
        (did("PURCHASE"), False),
        (did("VISIT"), False),
    ],
)
def test_what_ends_a_streak(event: i.InteractionRecorded, ends: bool) -> None:
    made = history(3, 2)
    made.add(event, T - DAY)

    assert (0 if ends else 2) == talked(made).streak


def test_which_kinds_end_a_streak_is_for_the_policy_to_say() -> None:
    made = history(3, 2)
    made.add(did("GREETING"), T - DAY)
    weights = StrengthRules(kind_weights=[KindWeight(kind=i.INTERACTION_KIND_GREETING, weight_ppm=300_000)])

    assert 0 == talked(made, under=RelationshipPolicy(strength=weights)).streak
    weights.kind_weights[0].weight_ppm = 299_999
    assert 2 == talked(made, under=RelationshipPolicy(strength=weights)).streak


def test_what_bounced_and_what_is_transactional_lengthens_no_streak() -> None:
    made = history(3)
    made.add(sent(message_class=i.MESSAGE_CLASS_TRANSACTIONAL), T - 2 * DAY)
    lost = made.add(sent(), T - 2 * DAY)
    assert (2, 3) == (talked(made).streak, talked(made).outbound)

    bounce = made.add(did("BOUNCED", refers_to=lost), T - DAY)
    assert (1, 2) == (talked(made).streak, talked(made).outbound)

    made.add(i.InteractionRetracted(original_position=bounce), T)
    assert (2, 3) == (talked(made).streak, talked(made).outbound)


def test_a_mutual_communication_counts_once_as_in_and_once_as_out() -> None:
    made = history(5)
    made.add(told("MEETING", direction=MUTUAL), T - DAY)

    found = talked(made)

    assert (1, 2, Ratio(1, 3)) == (found.inbound, found.outbound, found.listening)
    assert (1, 2) == found.evidence["listening"]


def test_nothing_said_is_not_known_and_no_broadcast() -> None:
    made = MeasuredHistory()
    made.add(did("VISIT", direction=i.DIRECTION_OBSERVED, needs_reply=True), T)

    found = talked(made)

    assert (NOTHING, NOTHING, NOTHING) == (
        found.listening.unknown,
        found.answered.unknown,
        found.value_answered.unknown,
    )
    assert NOTHING == found.accepted_share.unknown
    assert (False, None) == (found.broadcast, found.changes_at)


def test_what_leaves_the_window_leaves_at_its_time_and_the_window() -> None:
    made = MeasuredHistory()
    made.add(did("MESSAGE"), T)
    made.add(sent(), T + DAY)

    assert (1, 1) == talked(made, T + W - 1)[:2]
    assert (0, 1) == talked(made, T + W)[:2]
    assert (0, 0) == talked(made, T + W + DAY)[:2]


# Answers.


def answered(made: MeasuredHistory, at: int = T + 30 * DAY) -> tuple[int, int]:
    found = talked(made, at)
    return found.answered_count, found.needing


@pytest.mark.parametrize("after, expected", [(0, (1, 1)), (SLA - 1, (1, 1)), (SLA, (0, 1)), (5 * DAY, (0, 1))])
def test_an_answer_counts_before_its_time_is_over_and_not_at_it(after: int, expected: tuple[int, int]) -> None:
    made = MeasuredHistory()
    question = made.add(did("QUESTION", needs_reply=True), T)
    made.add(told("ANSWER", in_reply_to=question), T + after)

    assert expected == answered(made)


def test_an_open_request_inside_its_time_is_in_neither() -> None:
    made = MeasuredHistory()
    first = made.add(did("QUESTION", needs_reply=True), T)
    made.add(did("SUPPORT_CASE", needs_reply=True), T + HOUR)

    assert NOT_YET == talked(made, T + HOUR).answered.unknown
    assert (0, 0) == answered(made, T + SLA - 1)
    assert (0, 1) == answered(made, T + SLA)
    made.add(told("ANSWER", in_reply_to=first), T + HOUR)
    assert (1, 1) == answered(made, T + HOUR)
    assert (1, 2) == answered(made, T + HOUR + SLA)


def test_what_answers_is_addressed_comes_from_us_and_arrives() -> None:
    made = MeasuredHistory()
    asked = [made.add(did("MESSAGE", needs_reply=True), T) for _ in range(5)]
    made.add(did("MESSAGE", in_reply_to=asked[0]), T + HOUR)
    lost = made.add(told("ANSWER", in_reply_to=asked[1]), T + HOUR)
    made.add(did("BOUNCED", refers_to=lost), T + HOUR)
    made.add(told("VISIT", in_reply_to=asked[2]), T + HOUR)
    made.add(told("CALL", direction=MUTUAL, in_reply_to=asked[3]), T + HOUR)
    made.add(told("REPLY", in_reply_to=asked[4]), T + HOUR)
    made.add(sent(needs_reply=True), T + HOUR)

    assert (2, 5) == answered(made)


def test_the_first_answer_in_time_counts_whatever_else_follows() -> None:
    made = MeasuredHistory()
    question = made.add(did("QUESTION", needs_reply=True), T)
    late = made.add(told("ANSWER", in_reply_to=question), T + SLA)
    assert (0, 1) == answered(made)

    early = made.add(told("ANSWER", in_reply_to=question), T + HOUR, recorded=T + SLA)
    assert (1, 1) == answered(made)

    made.add(i.InteractionRetracted(original_position=early), T + SLA)
    assert (0, 1) == answered(made)
    made.add(i.InteractionRetracted(original_position=late), T + SLA)
    assert (0, 1) == answered(made)


def test_answers_to_a_corrected_request_follow_its_replacement() -> None:
    made = MeasuredHistory()
    question = made.add(did("QUESTION", needs_reply=True), T)
    moved = did("QUESTION", needs_reply=True)
    correction = made.add(
        i.InteractionCorrected(original_position=question, replacement=moved), T + DAY, recorded=T + 2 * DAY
    )
    made.add(told("ANSWER", in_reply_to=correction), T + 2 * DAY)
    assert (1, 1) == answered(made)

    made.add(i.InteractionCorrected(original_position=question, replacement=did("QUESTION")), T + 2 * DAY)
    assert (0, 0) == answered(made)


def test_answering_of_the_strength_is_answered_of_the_conversation() -> None:
    made = MeasuredHistory()
    asked = [made.add(did("QUESTION", needs_reply=True), T) for _ in range(3)]
    for question in asked[:2]:
        made.add(told("ANSWER", in_reply_to=question), T + HOUR)

    measured = made.measured(T + SLA)

    assert (666_667, 50_000) == (measured.conversation.answered.ppm, measured.strength.contributions[4].ppm)


# Definitions of value, and contributions.


def test_asked_four_times_and_answered_once() -> None:
    made = MeasuredHistory()
    asked = [made.add(r.ValueDefinitionAsked(), T - 400 * DAY + k) for k in range(4)]
    made.add(r.ValueDefinitionDeclared(asked_position=asked[1], values=["quiet"]), T)
    made.add(r.ValueDefinitionDeclared(values=["unasked"]), T)

    found = talked(made)

    assert (4, 250_000) == (found.asked, found.value_answered.ppm)
    assert tuple(asked) == found.evidence["value_answered"]


def test_the_accepted_share_equals_the_hand_count() -> None:
    made = MeasuredHistory()
    given = [made.add(did("CONTRIBUTION_SUBMITTED"), T - 9 * DAY) for _ in range(5)]
    made.add(told("CONTRIBUTION_ACCEPTED", refers_to=given[0]), T - 200 * DAY, recorded=T - 8 * DAY)
    made.add(told("CONTRIBUTION_ACCEPTED", refers_to=given[1]), T - 8 * DAY)
    made.add(told("CONTRIBUTION_REJECTED", refers_to=given[2]), T - 8 * DAY)
    made.add(told("CONTRIBUTION_REJECTED", refers_to=given[3]), T - 8 * DAY)
    made.add(told("CONTRIBUTION_ACCEPTED", refers_to=given[3]), T - 7 * DAY)  # They thought again.
    second = made.add(told("CONTRIBUTION_ACCEPTED", refers_to=given[4]), T - 6 * DAY)

    assert (3, 1, 750_000) == (talked(made).accepted, talked(made).rejected, talked(made).accepted_share.ppm)
    made.add(i.InteractionRetracted(original_position=second), T)
    assert (2, 1) == (talked(made).accepted, talked(made).rejected)


# When the clock changes something.


def test_a_broadcast_by_its_streak_ends_when_the_fifth_newest_leaves_and_may_be_left_with_the_newest() -> None:
    made = history(30, 25, 20, 15, 10, 5)
    ends, left = T - 25 * DAY + W, T - 5 * DAY + W
    assert T - 25 * DAY + W == talked(made).changes_at

    before, after = talked(made, ends - 1), talked(made, ends)

    assert ((5, True), (4, False)) == ((before.streak, before.broadcast), (after.streak, after.broadcast))
    assert left == after.changes_at
    assert (1, 0) == (talked(made, left - 1).streak, talked(made, left).streak)
    assert None is talked(made, left).changes_at


def test_with_ten_out_listening_counts_so_every_leaving_may_change_it() -> None:
    made = history(*range(10, 21))
    made.add(did("QUESTION"), T - 21 * DAY, recorded=T)
    made.add(did("QUESTION"), T - DAY)

    assert (2, 11, 0) == (*talked(made)[:2], talked(made).streak)
    assert T - 21 * DAY + W == talked(made).changes_at
    after = talked(made, T - 21 * DAY + W)
    assert (Ratio(1, 12), True) == (after.listening, after.broadcast)


def test_the_strength_has_to_look_at_every_change_of_a_count() -> None:
    made = MeasuredHistory()
    made.add(did("QUESTION", needs_reply=True), T)
    assert T + SLA == moves_at(made.measured(T))
    assert T + W == moves_at(made.measured(T + SLA))
    assert None is moves_at(made.measured(T + W))


def test_thresholds_are_those_of_the_policy() -> None:
    made = history(1, 2)
    rules = ConversationRules(broadcast_streak=2, answer_hours=1)
    made.add(told(needs_reply=True, direction=MUTUAL), T - 2 * HOUR)

    found = talked(made, under=RelationshipPolicy(conversation=rules))

    assert (2, True, 1) == (found.streak, found.broadcast, found.needing)
    assert (False, 0) == (talked(made).broadcast, talked(made).needing)
