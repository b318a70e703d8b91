"""Common ground: the latest word on an item holds, as of an instant (relationship.md 3)."""

import pytest

from ledger.domain.common_ground import DeclareCommonGround, EndCommonGround
from ledger.domain.interaction import RecordInteraction, RetractInteraction
from ledger.domain.times import MICROSECONDS
from rapport.events.v1 import disclosure_pb2
from rapport.events.v1.interaction_pb2 import InteractionRecorded, InteractionRetracted
from rapport.events.v1.relationship_pb2 import CommonGroundDeclared, CommonGroundEnded
from tests.stepping import Steps

DAY = 86_400 * MICROSECONDS
NOW = 1_772_366_400 * MICROSECONDS
STREAM = "acme/c-1"
DECLARED, INFERRED = disclosure_pb2.PROVENANCE_DECLARED, disclosure_pb2.PROVENANCE_INFERRED


@pytest.fixture
def steps() -> Steps:
    return Steps(NOW)


def declare(item_id: str, at: int, ground: str = "gardens", position: int = 0) -> DeclareCommonGround:
    event = CommonGroundDeclared(
        item_id=item_id, ground=ground, provenance=DECLARED, interaction_position=position, text="in their words"
    )
    return DeclareCommonGround(STREAM, event, at)


def end(item_id: str, at: int) -> EndCommonGround:
    return EndCommonGround(STREAM, CommonGroundEnded(item_id=item_id), at)


def live(steps: Steps, at: int = NOW) -> list[tuple[str, str]]:
    return [(each.item_id, each.ground) for each in steps.as_of(STREAM, at).common_ground.live()]


def test_ground_is_shared_from_its_declaration_until_its_end(steps: Steps) -> None:
    steps.do(declare("g-1", NOW - 3 * DAY))
    steps.do(end("g-1", NOW - DAY))

    assert [] == live(steps, NOW - 3 * DAY - 1)
    assert [("g-1", "gardens")] == live(steps, NOW - 3 * DAY) == live(steps, NOW - DAY - 1)
    assert [] == live(steps, NOW - DAY)


def test_declared_again_it_is_replaced_by_the_later_word_whichever_was_recorded_first(steps: Steps) -> None:
    steps.do(declare("g-1", NOW - DAY, "chess"))
    steps.do(declare("g-1", NOW - 2 * DAY, "gardens"))
    steps.do(declare("g-2", NOW - 3 * DAY, "boats"))

    assert [("g-2", "boats"), ("g-1", "chess")] == live(steps)
    (boats, chess) = steps.state(STREAM).common_ground.live()
    assert (3, NOW - 3 * DAY, DECLARED) == (boats.position, boats.occur_time, boats.provenance)
    assert 1 == chess.position


def test_of_two_words_at_one_instant_the_one_recorded_later_holds(steps: Steps) -> None:
    steps.do(declare("g-1", NOW - DAY))
    steps.do(end("g-1", NOW - DAY))
    steps.do(declare("g-1", NOW - DAY, "chess"))

    assert [("g-1", "chess")] == live(steps)


def test_what_is_not_shared_by_then_cannot_end(steps: Steps) -> None:
    steps.do(declare("g-1", NOW - DAY))

    expected = ("COMMON_GROUND_UNKNOWN", {"item_id": "g-1"})
    assert expected == steps.refused(end("g-1", NOW - 2 * DAY))
    steps.do(end("g-1", NOW - DAY))
    assert expected == steps.refused(end("g-1", NOW))
    assert "COMMON_GROUND_UNKNOWN" == steps.refused(end("g-2", NOW))[0]


def test_the_interaction_in_which_it_was_said_is_one_of_the_relationship_and_counts(steps: Steps) -> None:
    assert "INTERACTION_UNKNOWN" == steps.refused(declare("g-1", NOW, position=1))[0]
    steps.do(RecordInteraction(STREAM, InteractionRecorded(), NOW - DAY))
    steps.do(declare("g-1", NOW, position=1))

    steps.do(RetractInteraction(STREAM, InteractionRetracted(original_position=1)))
    assert "INTERACTION_RETRACTED" == steps.refused(declare("g-2", NOW, position=1))[0]


def test_nothing_is_shared_in_the_future(steps: Steps) -> None:
    assert "OCCUR_TIME_IN_FUTURE" == steps.refused(declare("g-1", NOW + DAY))[0]
