"""Obstacles, assessments, ends and wanted shapes: what was said last, as of an instant."""

import pytest

from ledger.domain.assessment import RecordAssessment
from ledger.domain.ending import EndRelationship
from ledger.domain.obstacle import RemoveObstacle, ReportObstacle
from ledger.domain.point_of_contact import WantContactShape
from ledger.domain.times import MICROSECONDS
from rapport.events.v1 import exchange_pb2
from rapport.events.v1.relationship_pb2 import (
    AssessmentRecorded,
    ContactShapeWanted,
    ObstacleRemoved,
    ObstacleReported,
    RelationshipEnded,
)
from rapport.type.v1 import levels_pb2
from tests.stepping import Steps

DAY = 86_400 * MICROSECONDS
NOW = 1_772_366_400 * MICROSECONDS
STREAM = "acme/c-1"


@pytest.fixture
def steps() -> Steps:
    return Steps(NOW)


def report(obstacle_id: str = "o-1", at: int = NOW) -> ReportObstacle:
    return ReportObstacle(STREAM, ObstacleReported(obstacle_id=obstacle_id, obstacle="late.parcel"), at)


def remove(obstacle_id: str = "o-1", at: int = NOW) -> RemoveObstacle:
    return RemoveObstacle(STREAM, ObstacleRemoved(obstacle_id=obstacle_id), at)


def assess(score: int, low: int = 0, high: int = 10, at: int = NOW, dimension: str = "trust") -> RecordAssessment:
    event = AssessmentRecorded(instrument="q1", dimension=dimension, score=score, scale_min=low, scale_max=high)
    return RecordAssessment(STREAM, event, at)


def standing(steps: Steps, at: int = NOW) -> list[str]:
    return [each.obstacle_id for each in steps.as_of(STREAM, at).obstacles.open()]


def test_an_obstacle_stands_from_its_report_until_its_removal(steps: Steps) -> None:
    steps.do(report("o-1", NOW - 3 * DAY))
    steps.do(report("o-2", NOW - 4 * DAY))
    steps.do(remove("o-1", NOW - DAY))

    assert ["o-2"] == standing(steps, NOW - 3 * DAY - 1)
    assert ["o-2", "o-1"] == standing(steps, NOW - 3 * DAY) == standing(steps, NOW - DAY - 1)
    assert ["o-2"] == standing(steps, NOW - DAY)


def test_an_obstacle_is_reported_once_and_removed_only_while_it_stands(steps: Steps) -> None:
    steps.do(report(at=NOW - DAY))
    assert ("OBSTACLE_ID_TAKEN", {"obstacle_id": "o-1", "position": "1"}) == steps.refused(report())
    assert ("OBSTACLE_UNKNOWN", {"obstacle_id": "o-1"}) == steps.refused(remove(at=NOW - DAY - 1))
    assert "OBSTACLE_UNKNOWN" == steps.refused(remove("o-2"))[0]

    steps.do(remove(at=NOW - DAY))
    assert "OBSTACLE_UNKNOWN" == steps.refused(remove())[0]


def test_a_fold_takes_a_removal_that_comes_before_its_report(steps: Steps) -> None:
    steps.put(STREAM, "obstacle.removed.v1", ObstacleRemoved(obstacle_id="o-1"), NOW - 2 * DAY)
    steps.put(STREAM, "obstacle.reported.v1", ObstacleReported(obstacle_id="o-1"), NOW - DAY)

    assert ["o-1"] == standing(steps)


def test_an_id_that_two_customer_ids_of_a_person_used_stands_again_with_the_second_report(steps: Steps) -> None:
    steps.do(report(at=NOW - 3 * DAY), remove(at=NOW - 2 * DAY))
    steps.put(STREAM, "obstacle.reported.v1", report().event, NOW - DAY)

    assert ([], ["o-1"]) == (standing(steps, NOW - 2 * DAY), standing(steps))


def test_of_each_dimension_the_latest_answer_is_told(steps: Steps) -> None:
    steps.do(assess(7, at=NOW - DAY))
    steps.do(assess(3, at=NOW - 2 * DAY))
    steps.do(assess(5, dimension="commitment"))

    latest = steps.state(STREAM).assessments.latest()

    assert [("commitment", 5, 3), ("trust", 7, 1)] == [
        (each.message.dimension, each.message.score, each.position) for each in latest
    ]
    (earlier,) = steps.as_of(STREAM, NOW - 2 * DAY).assessments.latest()
    assert 3 == earlier.message.score


@pytest.mark.parametrize("score, low, high", [(0, 0, 0), (0, 5, 1), (11, 0, 10), (-1, 0, 10), (3, -2, 2)])
def test_an_answer_lies_on_a_scale_that_is_not_empty(steps: Steps, score: int, low: int, high: int) -> None:
    values = {"score": str(score), "scale_min": str(low), "scale_max": str(high)}
    assert ("SCALE_INVALID", values) == steps.refused(assess(score, low, high))


@pytest.mark.parametrize("score, low, high", [(0, 0, 1), (1, 0, 1), (-2, -2, 2)])
def test_the_ends_of_a_scale_belong_to_it(steps: Steps, score: int, low: int, high: int) -> None:
    steps.do(assess(score, low, high))


def test_the_last_end_and_the_last_wanted_shape_hold_by_occur_time(steps: Steps) -> None:
    assert (0, 0, None) == (
        steps.state(STREAM).shape_wanted.shape,
        steps.state(STREAM).shape_wanted.position,
        steps.state(STREAM).ending.latest,
    )
    for at, by, shape in (
        (NOW - DAY, exchange_pb2.PARTY_CUSTOMER, levels_pb2.CONTACT_SHAPE_DIAMOND),
        (NOW - 2 * DAY, exchange_pb2.PARTY_ORGANIZATION, levels_pb2.CONTACT_SHAPE_BOW_TIE),
    ):
        steps.do(EndRelationship(STREAM, RelationshipEnded(by=by), at))
        steps.do(WantContactShape(STREAM, ContactShapeWanted(shape=shape), at))

    state, before = steps.state(STREAM), steps.as_of(STREAM, NOW - 2 * DAY)
    assert (1, NOW - DAY, exchange_pb2.PARTY_CUSTOMER) == state.ending.latest
    assert (levels_pb2.CONTACT_SHAPE_DIAMOND, 2) == (state.shape_wanted.shape, state.shape_wanted.position)
    assert (3, NOW - 2 * DAY, exchange_pb2.PARTY_ORGANIZATION) == before.ending.latest
    assert levels_pb2.CONTACT_SHAPE_BOW_TIE == before.shape_wanted.shape


def test_a_wanted_shape_alone_tells_nothing_of_the_customer(steps: Steps) -> None:
    steps.do(WantContactShape(STREAM, ContactShapeWanted(shape=levels_pb2.CONTACT_SHAPE_DIAMOND)))
    assert not steps.state(STREAM).known

    steps.do(report())
    assert steps.state(STREAM).known
