"""Wished and assessed types: kept apart, each with its own last word (relationship.md 8)."""

import pytest

from ledger.domain.relationship_type import AssessRelationshipType, DeclareRelationshipType
from ledger.domain.times import MICROSECONDS, timestamp
from rapport.events.v1 import interaction_pb2
from rapport.events.v1.relationship_pb2 import RelationshipTypeAssessed, RelationshipTypeDeclared
from rapport.events.v1.relationship_types_pb2 import RelationshipType, TypeCatalogue, TypesPublished
from tests.stepping import Steps

DAY = 86_400 * MICROSECONDS
NOW = 1_772_366_400 * MICROSECONDS
TERM = 180 * DAY
STREAM, POLICY = "acme/c-1", "acme/@policy"
EXCHANGE, FLING = "hbr:basic-exchange", "fournier:fling"
SALES, SERVICE = interaction_pb2.OUR_FUNCTION_SALES, interaction_pb2.OUR_FUNCTION_SERVICE


@pytest.fixture
def steps() -> Steps:
    return Steps(NOW)


def declare(slug: str, at: int = NOW) -> DeclareRelationshipType:
    return DeclareRelationshipType(STREAM, RelationshipTypeDeclared(slug=slug), at)


def assess(
    slug: str, at: int = NOW, function: interaction_pb2.OurFunction.ValueType = SALES, until: int | None = None
) -> AssessRelationshipType:
    event = RelationshipTypeAssessed(slug=slug, assessor_id="ben", our_function=function)
    if until is not None:
        event.until.CopyFrom(timestamp(until))
    return AssessRelationshipType(STREAM, event, at)


def judged(steps: Steps, at: int) -> list[tuple[str, int]]:
    return [(each.slug, each.our_function) for each in steps.as_of(STREAM, at).wishes.assessed(at, TERM)]


def test_the_latest_wish_holds_by_occur_time_and_a_judgement_never_overwrites_it(steps: Steps) -> None:
    assert None is steps.state(STREAM).wishes.desired
    steps.do(declare(FLING, NOW - DAY))
    steps.do(declare(EXCHANGE, NOW - 2 * DAY))
    steps.do(assess("fournier:enmity"))

    wishes = steps.state(STREAM).wishes
    assert (FLING, 1, NOW - DAY) == wishes.desired
    assert [EXCHANGE, FLING] == [wish.slug for wish in wishes.history()]
    before = steps.as_of(STREAM, NOW - 2 * DAY).wishes.desired
    assert before is not None
    assert EXCHANGE == before.slug


def test_a_judgement_holds_for_the_term_of_the_policy_unless_it_says_until_when(steps: Steps) -> None:
    steps.do(assess(EXCHANGE, NOW - TERM))
    steps.do(assess(FLING, NOW - TERM, SERVICE, until=NOW - DAY))

    wishes = steps.state(STREAM).wishes
    assert [(EXCHANGE, SALES), (FLING, SERVICE)] == judged(steps, NOW - DAY - 1)
    assert NOW - DAY == wishes.changes_after(NOW - DAY - 1, TERM)
    assert [(EXCHANGE, SALES)] == judged(steps, NOW - DAY)
    assert NOW == wishes.changes_after(NOW - DAY, TERM)
    assert [] == judged(steps, NOW)
    assert None is wishes.changes_after(NOW, TERM)


def test_each_function_has_one_judgement_and_a_later_one_takes_its_place_even_if_it_ends_sooner(steps: Steps) -> None:
    steps.do(assess(EXCHANGE, NOW - 3 * DAY))
    steps.do(assess(FLING, NOW - 2 * DAY, until=NOW - DAY))
    steps.do(assess("fournier:enmity", NOW - 4 * DAY))

    assert [(FLING, SALES)] == judged(steps, NOW - DAY - 1)
    assert [] == judged(steps, NOW - DAY)


def test_a_type_is_of_the_shipped_catalogue_or_of_one_that_is_published(steps: Steps) -> None:
    assert ("TYPE_UNKNOWN", {"slug": "own:guest"}) == steps.refused(declare("own:guest"))
    assert "TYPE_UNKNOWN" == steps.refused(assess("own:guest"))[0]

    own = TypeCatalogue(version=1, types=[RelationshipType(slug="own:guest", source="ours")])
    steps.put(POLICY, "policy.types_published.v1", TypesPublished(catalogue=own))
    steps.do(declare("own:guest"))
    steps.do(assess("own:guest"))


def test_a_judgement_ends_later_than_it_is_made(steps: Steps) -> None:
    assert "REQUEST_INVALID" == steps.refused(assess(EXCHANGE, NOW - DAY, until=NOW - DAY))[0]
    steps.do(assess(EXCHANGE, NOW - DAY, until=NOW - DAY + 1))
