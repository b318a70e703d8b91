"""Involvement vectors: opened once, fulfilled, renewed with a new reason (relationship.md 9)."""

import random
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.domain.times import MICROSECONDS
from ledger.domain.vector import FulfilVector, OpenVector, RenewVector, VectorState
from ledger.measure.vectors import vectors
from rapport.events.v1.relationship_pb2 import VectorFulfilled, VectorOpened, VectorRenewed
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE
from rapport.type.v1.levels_pb2 import VectorStatus
from tests.stepping import Steps

DAY = 86_400 * MICROSECONDS
NOW = 1_772_366_400 * MICROSECONDS
STREAM = "acme/c-1"


@pytest.fixture
def steps() -> Steps:
    return Steps(NOW)


def opened(vector_id: str = "v-1", at: int = NOW - 9 * DAY, **more: Any) -> OpenVector:
    event = VectorOpened(vector_id=vector_id, goal="learn.guitar", next_reason="first.lesson", **more)
    return OpenVector(STREAM, event, at)


def renewed(vector_id: str = "v-1", at: int = NOW, reason: str = "second.lesson") -> RenewVector:
    return RenewVector(STREAM, VectorRenewed(vector_id=vector_id, next_reason=reason), at)


def fulfilled(vector_id: str = "v-1", at: int = NOW, position: int = 0) -> FulfilVector:
    return FulfilVector(STREAM, VectorFulfilled(vector_id=vector_id, interaction_position=position), at)


def stands(steps: Steps, at: int = NOW) -> list[tuple[str, str]]:
    """Return status and next reason of each vector as of an instant."""
    return [
        (VectorStatus.Name(each.status).removeprefix("VECTOR_STATUS_"), each.next_reason)
        for each in steps.as_of(STREAM, at).vectors.all()
    ]


def measured(steps: Steps) -> Any:
    return vectors(SimpleNamespace(record=SimpleNamespace(state=steps.state(STREAM))))  # type: ignore[arg-type]


def test_a_vector_is_open_until_it_is_fulfilled_and_open_again_when_it_is_renewed(steps: Steps) -> None:
    steps.do(opened(at=NOW - 4 * DAY))
    steps.do(fulfilled(at=NOW - 3 * DAY))
    steps.do(renewed(at=NOW - 2 * DAY))

    assert [] == stands(steps, NOW - 4 * DAY - 1)
    assert [("OPEN", "first.lesson")] == stands(steps, NOW - 4 * DAY)
    assert [("FULFILLED", "")] == stands(steps, NOW - 3 * DAY)
    assert [("RENEWED", "second.lesson")] == stands(steps, NOW - 2 * DAY)


def test_where_it_stands_follows_the_order_in_which_things_occurred(steps: Steps) -> None:
    steps.do(opened(at=NOW - 4 * DAY))
    steps.do(renewed(at=NOW - DAY, reason="third"))
    steps.do(fulfilled(at=NOW - 2 * DAY))
    steps.do(renewed(at=NOW - 3 * DAY, reason="second"))

    (vector,) = steps.state(STREAM).vectors.all()
    assert [("RENEWED", "third")] == stands(steps)
    assert (NOW - 4 * DAY, NOW - DAY, (1, 4, 3, 2), 2) == (
        vector.opened_time,
        vector.changed_time,
        vector.positions,
        vector.changed_position,
    )


@pytest.mark.parametrize("seed", range(20))
def test_two_orders_of_recording_the_same_facts_end_in_the_same_state(seed: int) -> None:
    chance = random.Random(seed)
    makers: list[Any] = [renewed, fulfilled]
    acts = [(NOW - day * DAY, chance.choice(makers)) for day in range(1, 6)]

    def end(order: list[int]) -> list[VectorState]:
        steps = Steps(NOW)
        steps.do(opened())
        for at, make in (acts[each] for each in order):
            step = make(at=at)
            steps.put(STREAM, step.topic, step.event, at)
        return [each._replace(positions=(), changed_position=0) for each in steps.state(STREAM).vectors.all()]

    assert end([4, 3, 2, 1, 0]) == end(chance.sample(range(5), 5))


def test_an_id_is_used_once_and_only_an_opened_vector_goes_on(steps: Steps) -> None:
    steps.do(opened(at=NOW - DAY))

    assert ("VECTOR_ID_TAKEN", {"vector_id": "v-1", "position": "1"}) == steps.refused(opened(at=NOW - 2 * DAY))
    assert ("VECTOR_UNKNOWN", {"vector_id": "v-2"}) == steps.refused(renewed("v-2"))
    assert "VECTOR_UNKNOWN" == steps.refused(fulfilled("v-2"))[0]
    assert "VECTOR_UNKNOWN" == steps.refused(fulfilled(at=NOW - DAY - 1))[0]
    assert "VECTOR_UNKNOWN" == steps.refused(renewed(at=NOW - DAY - 1))[0]


def test_what_is_fulfilled_cannot_be_fulfilled_again_until_it_is_renewed(steps: Steps) -> None:
    steps.do(opened(at=NOW - 9 * DAY))
    steps.do(fulfilled(at=NOW - 5 * DAY))
    expected = ("VECTOR_NOT_OPEN", {"vector_id": "v-1", "position": "2"})
    assert expected == steps.refused(fulfilled())
    assert expected == steps.refused(fulfilled(at=NOW - 6 * DAY))

    steps.do(renewed(at=NOW - 2 * DAY))
    assert expected == steps.refused(fulfilled(at=NOW - 3 * DAY))
    assert "INTERACTION_UNKNOWN" == steps.refused(fulfilled(position=1))[0]
    steps.do(fulfilled())


def test_a_vector_can_go_on_at_the_instant_of_its_opening(steps: Steps) -> None:
    steps.do(opened(at=NOW - DAY), fulfilled(at=NOW - DAY), renewed(at=NOW - DAY))

    assert [("RENEWED", "second.lesson")] == stands(steps, NOW - DAY)


def test_what_was_fulfilled_twice_is_so_since_the_first_time(steps: Steps) -> None:
    steps.do(opened(), fulfilled(at=NOW - 3 * DAY))
    steps.put(STREAM, "vector.fulfilled.v1", VectorFulfilled(vector_id="v-1"), NOW - DAY)

    (vector,) = steps.state(STREAM).vectors.all()
    assert (NOW - 3 * DAY, (1, 2, 3)) == (vector.changed_time, vector.positions)


def test_an_id_that_two_customer_ids_of_a_person_used_is_open_again_with_the_second_opening(steps: Steps) -> None:
    steps.do(opened(at=NOW - 9 * DAY), fulfilled(at=NOW - 8 * DAY))
    second = VectorOpened(vector_id="v-1", goal="learn.lute", next_reason="strings")
    steps.put(STREAM, "vector.opened.v1", second, NOW - DAY)

    (vector,) = steps.state(STREAM).vectors.all()
    assert [("OPEN", "strings")] == stands(steps)
    assert ("learn.lute", NOW - 9 * DAY, (1, 2, 3)) == (vector.goal, vector.opened_time, vector.positions)


def test_open_vectors_are_those_not_fulfilled_and_unknown_where_none_was_ever_opened(steps: Steps) -> None:
    assert (UNKNOWN_REASON_NO_EVIDENCE, ()) == (measured(steps).open_count.unknown, measured(steps).vectors)

    steps.do(opened("v-1"), opened("v-2"), opened("v-3"))
    steps.do(fulfilled("v-1"), fulfilled("v-2"), renewed("v-2"))

    found = measured(steps)
    assert (2, 1, None) == found.open_count
    assert ["v-1", "v-2", "v-3"] == [each.vector_id for each in found.vectors]
    first = found.vectors[0]
    assert ("learn.guitar", NOW - 9 * DAY, NOW, (1, 4)) == (
        first.goal,
        first.opened_time,
        first.changed_time,
        first.evidence,
    )
    steps.do(fulfilled("v-2"), fulfilled("v-3"))
    assert (0, 1, None) == measured(steps).open_count
