"""Facts of relationships in any order: the same state, whatever was recorded first, and as of any instant."""

from __future__ import annotations

import random
from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.domain.fact import Fact
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME, MICROSECONDS, timestamp
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION
from rapport.events.v1.interaction_pb2 import (
    OUR_FUNCTION_SALES,
    OUR_FUNCTION_STORE,
    OUR_FUNCTION_UNSPECIFIED,
    InteractionRecorded,
)
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.type.v1.levels_pb2 import CONTACT_SHAPE_BOW_TIE, CONTACT_SHAPE_DIAMOND

START = 1_772_366_400 * MICROSECONDS
NOW = START + 10**12
TERM = 30
SHAPES = (CONTACT_SHAPE_BOW_TIE, CONTACT_SHAPE_DIAMOND)
Happened = tuple[int, str, Message]
"""Occur time, topic, event."""


def happened(chance: random.Random, at: int) -> Happened:
    """Return something that may happen; ids are few, so that much of it concerns the same."""
    one, code = chance.choice("abc"), chance.choice(["x", "y", "z"])
    side = chance.choice([PARTY_CUSTOMER, PARTY_ORGANIZATION])
    function = chance.choice([OUR_FUNCTION_UNSPECIFIED, OUR_FUNCTION_SALES, OUR_FUNCTION_STORE])
    until = timestamp(at + chance.randrange(1, 60)) if chance.random() < 0.5 else None
    events: list[tuple[str, Message]] = [
        ("common_ground.declared.v1", r.CommonGroundDeclared(item_id=one, ground=code)),
        ("common_ground.ended.v1", r.CommonGroundEnded(item_id=one)),
        ("relationship_type.declared.v1", r.RelationshipTypeDeclared(slug=code)),
        ("relationship_type.assessed.v1", r.RelationshipTypeAssessed(slug=code, our_function=function, until=until)),
        ("assessment.recorded.v1", r.AssessmentRecorded(instrument=one, dimension=code, score=at % 7)),
        ("vector.renewed.v1", r.VectorRenewed(vector_id=one, next_reason=code)),
        ("vector.fulfilled.v1", r.VectorFulfilled(vector_id=one)),
        ("obstacle.removed.v1", r.ObstacleRemoved(obstacle_id=one)),
        ("value_definition.declared.v1", r.ValueDefinitionDeclared(values=[code])),
        ("point_of_contact.opened.v1", r.PointOfContactOpened(point_of_contact_id=one, side=side, role=code)),
        ("point_of_contact.closed.v1", r.PointOfContactClosed(point_of_contact_id=one)),
        ("contact_shape.wanted.v1", r.ContactShapeWanted(shape=chance.choice(SHAPES))),
        ("relationship.ended.v1", r.RelationshipEnded(by=side)),
        ("interaction.recorded.v1", InteractionRecorded(customer_person_id=one)),
    ]
    return (at, *chance.choice(events))


def history(chance: random.Random) -> list[Happened]:
    """Return what happened, no two things at one instant; each id is opened once, as decisions see to."""
    times = [START + each for each in chance.sample(range(200), 60)]
    opened: list[Happened] = []
    for name in "abc":
        opened.append((times.pop(), "vector.opened.v1", r.VectorOpened(vector_id=name, goal="g")))
        opened.append((times.pop(), "obstacle.reported.v1", r.ObstacleReported(obstacle_id=name, obstacle="o")))
    return opened + [happened(chance, at) for at in times]


def folded(happenings: list[Happened], until: int = END_OF_TIME) -> RelationshipState:
    state = RelationshipState(until)
    for position, (at, topic, event) in enumerate(happenings, start=1):
        state.evolve(Fact(position, position, NOW, at, topic, event, EventMetadata()))
    return state


def told(state: RelationshipState, at: int) -> dict[str, Any]:
    """Return what the folds answer, without positions."""
    wishes, questions, shape, end = state.wishes, state.value_questions, state.shape_wanted, state.ending.latest
    return {
        "ground": [(each.item_id, each.ground, each.occur_time) for each in state.common_ground.live()],
        "wishes": [(each.slug, each.occur_time) for each in wishes.history()],
        "desired": wishes.desired and wishes.desired.slug,
        "assessed": [each._replace(position=0) for each in wishes.assessed(at, TERM)],
        "changes": wishes.changes_after(at, TERM),
        "assessments": [(each.message.score, each.occur_time) for each in state.assessments.latest()],
        "vectors": sorted((each[:6], len(each.positions)) for each in state.vectors.all()),
        "obstacles": [each.obstacle_id for each in state.obstacles.open()],
        "definitions": [each.occur_time for each in questions.definitions()],
        "open": [each._replace(position=0) for each in state.points_of_contact.open()],
        "closed": [each._replace(position=0) for each in state.points_of_contact.closed()],
        "shape": shape.shape,
        "end": end and (end.by, end.occur_time),
    }


@pytest.mark.parametrize("seed", range(60))
def test_two_orders_of_recording_the_same_facts_end_in_the_same_state(seed: int) -> None:
    chance = random.Random(seed)
    happenings = history(chance)
    at = START + chance.randrange(250)

    expected = told(folded(happenings), at)

    assert expected == told(folded(chance.sample(happenings, len(happenings))), at)
    assert expected == told(folded(sorted(happenings, key=lambda each: each[0])), at)


@pytest.mark.parametrize("seed", range(60))
def test_as_of_an_instant_is_the_fold_of_what_had_happened_by_then(seed: int) -> None:
    chance = random.Random(seed)
    happenings, at = history(chance), START + chance.randrange(200)

    assert told(folded([each for each in happenings if each[0] <= at]), at) == told(folded(happenings, at), at)


@pytest.mark.parametrize("seed", range(60))
def test_in_order_each_fold_says_what_a_plain_reading_of_the_history_says(seed: int) -> None:
    chance = random.Random(seed)
    happenings = sorted(history(chance), key=lambda each: each[0])
    at = happenings[-1][0]

    def last(*topics: str, **values: str) -> Any:
        found = [
            event
            for _, topic, event in happenings
            if topic in topics and all(getattr(event, name) == value for name, value in values.items())
        ]
        return found[-1] if found else None

    answered = told(folded(happenings), at)
    ground = {name: last("common_ground.declared.v1", "common_ground.ended.v1", item_id=name) for name in "abc"}
    assert {name: each.ground for name, each in ground.items() if isinstance(each, r.CommonGroundDeclared)} == {
        item: ground for item, ground, _ in answered["ground"]
    }
    people = {
        name: last("point_of_contact.opened.v1", "point_of_contact.closed.v1", point_of_contact_id=name)
        for name in "abc"
    }
    assert {name for name, each in people.items() if isinstance(each, r.PointOfContactClosed)} == {
        each.point_of_contact_id for each in answered["closed"]
    }
    blocked = {name for name in "abc" if last("obstacle.reported.v1", "obstacle.removed.v1", obstacle_id=name)}
    assert {
        name
        for name in blocked
        if isinstance(last("obstacle.reported.v1", "obstacle.removed.v1", obstacle_id=name), r.ObstacleReported)
    } == set(answered["obstacles"])
    wished = last("relationship_type.declared.v1")
    assert (wished and wished.slug) == answered["desired"]
