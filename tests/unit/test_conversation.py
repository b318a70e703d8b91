"""What was said between the two: the examples of relationship.md 10, and what corrections do to references."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.domain.conversation import Contact, Conversation
from ledger.domain.fact import Fact
from ledger.domain.responses import OptOut, Response
from ledger.domain.times import END_OF_TIME
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted
from rapport.events.v1.metadata_pb2 import EventMetadata

DAY = 86_400_000_000
A = 14 * DAY
TOPICS = {
    InteractionRecorded: "interaction.recorded.v1",
    InteractionCorrected: "interaction.corrected.v1",
    InteractionRetracted: "interaction.retracted.v1",
}


class Talk:
    """A conversation that is told fact by fact."""

    def __init__(self, until: int = END_OF_TIME) -> None:
        self.fold = Conversation(until)
        self.position = 0

    def tell(self, event: Message, at: int, *, imported: bool = False) -> int:
        self.position += 1
        topic = TOPICS[type(event)]
        metadata = EventMetadata(historical_import=imported)
        self.fold.evolve(Fact(self.position, self.position, at, at, topic, event, metadata))
        return self.position

    def sent(self, at: int, **values: Any) -> int:
        return self.tell(message(**values), at)

    def did(self, kind: str, at: int, **values: Any) -> int:
        return self.tell(act(kind, **values), at)

    def correct(self, position: int, event: InteractionRecorded, at: int) -> int:
        return self.tell(InteractionCorrected(original_position=position, replacement=event), at)

    def retract(self, position: int, at: int) -> int:
        return self.tell(InteractionRetracted(original_position=position), at)


def message(**values: Any) -> InteractionRecorded:
    return InteractionRecorded(
        **{
            "kind": i.INTERACTION_KIND_MESSAGE,
            "direction": i.DIRECTION_OUTBOUND,
            "message_class": i.MESSAGE_CLASS_MARKETING,
            **values,
        }
    )


def act(kind: str, **values: Any) -> InteractionRecorded:
    number = i.InteractionKind.Value(f"INTERACTION_KIND_{kind}")
    return InteractionRecorded(
        **{"kind": number, "direction": i.DIRECTION_INBOUND, "initiator": i.INITIATOR_CUSTOMER, **values}
    )


def test_the_four_outcomes_of_the_example_add_up_to_the_hundred_that_matured() -> None:
    talk = Talk()
    sent = [talk.sent(number * 2 * A) for number in range(1, 101)]
    for place, kind in ((0, "PURCHASE"), (1, "OFFER_ACCEPTED"), (2, "REPLY"), (3, "LEAVE")):
        talk.did(kind, (place + 1) * 2 * A + DAY)

    response = talk.fold.response(300 * A, A)

    assert response == Response(matured=100, bought=2, replied=1, opted_out=1, none=96, next_maturity=None)
    assert (response.answered, len(sent)) == (3, 100)


def test_an_early_reply_counts_once_the_solicitation_matures_and_at_its_maturity_it_is_too_late() -> None:
    talk = Talk()
    talk.sent(0)
    talk.did("REPLY", DAY)
    talk.sent(2 * A)
    talk.did("PURCHASE", 3 * A)  # Exactly 14 days later.

    assert talk.fold.response(A - 1, A) == Response(0, 0, 0, 0, 0, A)
    assert talk.fold.response(A, A) == Response(1, 0, 1, 0, 0, 3 * A)
    assert talk.fold.response(3 * A, A) == Response(2, 0, 1, 0, 1, None)


def test_an_act_is_credited_to_what_it_names_else_to_the_latest_before_it() -> None:
    def answered(**named: Any) -> list[int]:
        talk = Talk()
        talk.sent(DAY, campaign="spring")
        talk.sent(2 * DAY, campaign="summer")
        talk.did("PURCHASE", 3 * DAY, **named)
        return [talk.fold.response(days * DAY + A, A).bought for days in (1, 2)]

    assert answered() == [0, 1]
    assert answered(in_reply_to=1) == [1, 1]
    assert answered(campaign="spring") == [1, 1]
    assert answered(in_reply_to=2, campaign="spring") == [0, 1]
    assert answered(campaign="never-sent") == [0, 1]


def test_the_highest_outcome_counts_whatever_comes_first() -> None:
    for kinds in (("REPLY", "PURCHASE", "LEAVE"), ("LEAVE", "REPLY", "PURCHASE"), ("PURCHASE", "LEAVE", "REPLY")):
        talk = Talk()
        talk.sent(0)
        for days, kind in enumerate(kinds, 1):
            talk.did(kind, days * DAY)

        assert talk.fold.response(A, A) == Response(1, 1, 0, 0, 0, None)


def test_a_withdrawal_answers_a_solicitation_that_nothing_else_does() -> None:
    talk = Talk()
    talk.sent(0)
    talk.sent(DAY)
    talk.did("REPLY", 2 * DAY)
    opt_outs = [OptOut(DAY - 1, 9), OptOut(3 * DAY, 9)]

    assert talk.fold.response(2 * A, A, opt_outs) == Response(2, 0, 1, 1, 0, None)
    assert talk.fold.response(2 * A, A) == Response(2, 0, 1, 0, 1, None)


def test_what_is_delivered_late_matures_late_and_what_bounced_counts_nowhere() -> None:
    talk = Talk()
    first, second = talk.sent(0), talk.sent(DAY)
    assert talk.fold.response(A, A).matured == 1

    talk.did("DELIVERED", 3 * DAY, direction=i.DIRECTION_OUTBOUND, refers_to=first)
    bounce = talk.did("BOUNCED", 3 * DAY, refers_to=second)

    assert talk.fold.response(A + 3 * DAY - 1, A) == Response(0, 0, 0, 0, 0, A + 3 * DAY)
    assert talk.fold.response(A + 3 * DAY, A).matured == 1
    assert [each.position for each in talk.fold.contacts(0, A)] == [first]
    talk.retract(bounce, 4 * DAY)
    assert [each.position for each in talk.fold.contacts(0, A)] == [first, second]
    assert talk.fold.response(A + 3 * DAY, A).matured == 2


def test_one_more_that_nobody_answers_never_lowers_the_waste() -> None:
    talk = Talk()
    wasted = []
    for number in range(20):
        talk.sent(number * A)
        if number % 3 == 0:
            talk.did("REPLY", number * A + DAY)
        response = talk.fold.response((number + 1) * A, A)
        wasted.append(response.none + response.opted_out)

    assert wasted == sorted(wasted)


def test_a_complaint_that_is_corrected_stays_resolved_and_one_resolved_by_mistake_opens_again() -> None:
    talk = Talk()
    complaint = talk.did("COMPLAINT", 0)
    resolution = talk.tell(message(kind=i.INTERACTION_KIND_COMPLAINT_RESOLVED, refers_to=complaint), DAY)
    correction = talk.correct(complaint, act("COMPLAINT", channel=i.CHANNEL_EMAIL), 2 * DAY)
    assert talk.fold.open_complaints() == []

    talk.retract(resolution, 3 * DAY)
    assert talk.fold.open_complaints() == [complaint]
    talk.tell(message(kind=i.INTERACTION_KIND_COMPLAINT_RESOLVED, refers_to=correction), 4 * DAY)
    assert talk.fold.open_complaints() == []


def test_an_answer_becomes_a_solicitation_where_what_it_answers_was_never_asked() -> None:
    talk = Talk()
    query = talk.did("QUESTION", 0)
    answer = talk.sent(DAY, in_reply_to=query)
    assert talk.fold.contact_at(answer).answers  # type: ignore[union-attr]
    assert talk.fold.streak(2 * DAY, -1, 9) == []

    talk.retract(query, 2 * DAY)

    assert [each.position for each in talk.fold.streak(2 * DAY, -1, 9)] == [answer]
    assert not talk.fold.contact_at(answer).answers  # type: ignore[union-attr]


def test_a_correction_stands_in_the_place_and_under_the_position_of_its_original() -> None:
    talk = Talk()
    original = talk.sent(5 * DAY, topic="tea", decision_id=0)
    later = talk.sent(6 * DAY)
    correction = talk.correct(original, message(topic="rum", channel=i.CHANNEL_SMS), 7 * DAY)
    reply = talk.sent(8 * DAY, in_reply_to=correction)

    assert [each.position for each in talk.fold.contacts(0, 9 * DAY)] == [later, original, reply]
    assert talk.fold.topic_time("rum", 0) == 7 * DAY
    assert talk.fold.topic_time("tea", 0) is None
    talk.retract(original, 9 * DAY)
    talk.correct(original, message(), 9 * DAY)  # Too late.
    assert talk.fold.contact_at(original) is None


def test_what_uses_a_permit_is_the_first_outbound_that_names_it_bounced_or_not() -> None:
    talk = Talk()
    for _ in range(4):
        talk.did("VIEW", 0, direction=i.DIRECTION_OBSERVED)
    talk.did("REPLY", DAY, decision_id=2)
    first, second = talk.sent(DAY, decision_id=2), talk.sent(DAY, decision_id=2)
    talk.did("BOUNCED", DAY, refers_to=first)
    assert talk.fold.contact_of(2) == first

    talk.retract(first, DAY)

    assert talk.fold.contact_of(2) == second
    assert talk.fold.contact_of(3) is None


def test_a_talk_that_goes_both_ways_is_no_contact_but_may_end_a_streak_and_use_a_permit() -> None:
    talk = Talk()
    talk.sent(0)
    mutual = {"direction": i.DIRECTION_MUTUAL, "initiator": i.INITIATOR_CUSTOMER, "decision_id": 1}
    meeting = talk.did("MEETING", DAY, **mutual)

    assert [each.position for each in talk.fold.contacts(0, A)] == [1]
    assert talk.fold.streak(2 * DAY, -1, 5) == []
    assert talk.fold.contact_of(1) == meeting


def test_views_and_clicks_are_facts_that_may_make_a_basis_and_can_be_taken_back() -> None:
    talk = Talk()
    for _ in range(3):
        talk.did("CLICK", DAY, direction=i.DIRECTION_OBSERVED)
    assert talk.fold.latest_fact([i.INTERACTION_KIND_CLICK], A) == (3, DAY)

    talk.retract(3, DAY)
    talk.did("CLICK", 2 * DAY, direction=i.DIRECTION_OBSERVED)
    talk.correct(2, message(), 3 * DAY)

    assert talk.fold.latest_fact([i.INTERACTION_KIND_CLICK], A) == (5, 2 * DAY)
    assert talk.fold.latest_fact([i.INTERACTION_KIND_CLICK], DAY) == (1, DAY)
    assert [each.position for each in talk.fold.contacts(0, A)] == [2]


def test_imported_contacts_stay_imported_when_they_are_corrected() -> None:
    talk = Talk()
    talk.tell(message(), DAY, imported=True)
    talk.correct(1, message(topic="tea"), DAY)

    assert [each.historical_import for each in talk.fold.contacts(0, A)] == [True]


def test_who_looks_for_one_contact_pays_for_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    talk, made = Talk(), []
    for number in range(100):
        talk.sent(number * DAY)
    make = Conversation._contact

    def counted(fold: Conversation, position: int) -> Contact:
        made.append(position)
        return make(fold, position)

    monkeypatch.setattr(Conversation, "_contact", counted)

    assert any(each.position == 3 for each in talk.fold.contacts(0, 100 * DAY))
    assert made == [1, 2, 3]


def test_what_is_later_than_a_view_is_not_in_it_unless_a_correction_brings_it_there() -> None:
    talk = Talk(until=2 * DAY)
    later = talk.sent(3 * DAY)
    assert list(talk.fold.contacts(0, A)) == []

    talk.correct(later, message(topic="tea"), DAY)

    assert [(each.position, each.occur_time) for each in talk.fold.contacts(0, A)] == [(later, DAY)]


def test_references_to_nothing_and_numbers_beyond_every_position_are_no_facts() -> None:
    talk = Talk()
    most = 2**64 - 1
    talk.sent(DAY, in_reply_to=most, refers_to=most, decision_id=most)
    talk.did("BOUNCED", DAY, refers_to=most)
    talk.did("COMPLAINT", DAY, in_reply_to=7, refers_to=8)
    talk.tell(InteractionCorrected(original_position=99, replacement=message()), DAY)
    talk.retract(98, DAY)

    (contact,) = talk.fold.contacts(0, A)
    assert (contact.in_reply_to, contact.decision_id) == (0, 0)
    assert talk.fold.open_complaints() == [3]
