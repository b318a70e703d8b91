"""Who takes part: opened, closed, or merely named by interactions that count (relationship.md 11)."""

from typing import Any

import pytest

from ledger.domain.interaction import CorrectInteraction, RecordInteraction, RetractInteraction
from ledger.domain.point_of_contact import ClosePointOfContact, OpenPointOfContact
from ledger.domain.times import MICROSECONDS
from rapport.events.v1 import exchange_pb2
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted
from rapport.events.v1.relationship_pb2 import PointOfContactClosed, PointOfContactOpened
from tests.stepping import Steps

DAY = 86_400 * MICROSECONDS
NOW = 1_772_366_400 * MICROSECONDS
STREAM = "acme/c-1"
CUSTOMER, ORGANIZATION = exchange_pb2.PARTY_CUSTOMER, exchange_pb2.PARTY_ORGANIZATION


@pytest.fixture
def steps() -> Steps:
    return Steps(NOW)


def open_(name: str, at: int = NOW, side: exchange_pb2.Party.ValueType = CUSTOMER) -> OpenPointOfContact:
    return OpenPointOfContact(STREAM, PointOfContactOpened(point_of_contact_id=name, side=side, role="buyer"), at)


def close(name: str, at: int = NOW) -> ClosePointOfContact:
    return ClosePointOfContact(STREAM, PointOfContactClosed(point_of_contact_id=name), at)


def talk(at: int = NOW - 5 * DAY, **people: Any) -> RecordInteraction:
    return RecordInteraction(STREAM, InteractionRecorded(**people), at)


def told(steps: Steps, at: int = NOW) -> tuple[list[str], list[tuple[str, int]]]:
    state = steps.as_of(STREAM, at).points_of_contact
    opened = [each.point_of_contact_id for each in state.open()]
    return opened, [(each.point_of_contact_id, each.side) for each in state.closed()]


def test_somebody_takes_part_from_their_opening_until_their_closing_and_may_come_back(steps: Steps) -> None:
    steps.do(open_("eve", NOW - 4 * DAY))
    steps.do(close("eve", NOW - 3 * DAY))
    steps.do(open_("eve", NOW - DAY, ORGANIZATION))

    assert ([], []) == told(steps, NOW - 4 * DAY - 1)
    assert (["eve"], []) == told(steps, NOW - 4 * DAY)
    assert ([], [("eve", CUSTOMER)]) == told(steps, NOW - 3 * DAY)
    assert (["eve"], []) == told(steps)


def test_the_latest_word_holds_whichever_was_recorded_first(steps: Steps) -> None:
    steps.do(open_("eve", NOW - 4 * DAY))
    steps.do(close("eve", NOW - DAY))
    steps.put(STREAM, "point_of_contact.opened.v1", open_("eve", side=ORGANIZATION).event, NOW - 2 * DAY)

    (closed,) = steps.state(STREAM).points_of_contact.closed()
    assert ("eve", ORGANIZATION, 2, NOW - DAY) == closed


def test_who_takes_no_part_by_then_cannot_be_closed(steps: Steps) -> None:
    expected = ("POINT_OF_CONTACT_UNKNOWN", {"point_of_contact_id": "eve"})
    assert expected == steps.refused(close("eve"))
    steps.do(open_("eve", NOW - DAY))
    assert expected == steps.refused(close("eve", NOW - DAY - 1))
    steps.do(close("eve", NOW - DAY))
    assert expected == steps.refused(close("eve"))


def test_whom_an_interaction_names_can_be_closed_without_ever_being_opened(steps: Steps) -> None:
    steps.do(talk(point_of_contact_id="ben", customer_person_id="eve"))

    assert "POINT_OF_CONTACT_UNKNOWN" == steps.refused(close("ben", NOW - 6 * DAY))[0]
    steps.do(close("ben", NOW - DAY), close("eve", NOW))
    assert ([], [("ben", ORGANIZATION), ("eve", CUSTOMER)]) == told(steps)


def test_an_interaction_that_was_corrected_or_retracted_names_nobody_any_more(steps: Steps) -> None:
    steps.do(talk(customer_person_id="eve"), talk(customer_person_id="ann"))
    replacement = InteractionRecorded(customer_person_id="bob")
    steps.do(CorrectInteraction(STREAM, InteractionCorrected(original_position=1, replacement=replacement)))
    steps.do(RetractInteraction(STREAM, InteractionRetracted(original_position=2)))

    for name in ("eve", "ann"):
        assert "POINT_OF_CONTACT_UNKNOWN" == steps.refused(close(name))[0]
    steps.do(close("bob"))
    assert ([], [("bob", CUSTOMER)]) == told(steps)
