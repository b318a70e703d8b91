"""Questions about value, each answered once at most (relationship.md 10)."""

import pytest

from ledger.domain.times import MICROSECONDS
from ledger.domain.value_definition import AskValueDefinition, DeclareValueDefinition
from rapport.events.v1.relationship_pb2 import ValueDefinitionAsked, ValueDefinitionDeclared
from tests.stepping import Steps

DAY = 86_400 * MICROSECONDS
NOW = 1_772_366_400 * MICROSECONDS
STREAM = "acme/c-1"


@pytest.fixture
def steps() -> Steps:
    return Steps(NOW)


def ask(at: int = NOW, position: int = 0) -> AskValueDefinition:
    return AskValueDefinition(STREAM, ValueDefinitionAsked(interaction_position=position), at)


def answer(asked_position: int = 0, at: int = NOW, values: tuple[str, ...] = ("quiet",)) -> DeclareValueDefinition:
    event = ValueDefinitionDeclared(asked_position=asked_position, values=values)
    return DeclareValueDefinition(STREAM, event, at)


def test_each_question_is_answered_once_and_what_is_said_unasked_does_not_count(steps: Steps) -> None:
    steps.do(ask(NOW - 3 * DAY), ask(NOW - 2 * DAY))
    steps.do(answer(1, NOW - 2 * DAY), answer(1, NOW - DAY, ("time",)), answer(values=("price",)))

    questions = steps.state(STREAM).value_questions
    assert ((1, 2), 1) == (questions.asked, questions.declared)
    assert [["quiet"], ["time"], ["price"]] == [list(each.message.values) for each in questions.definitions()]

    before = steps.as_of(STREAM, NOW - 3 * DAY).value_questions
    assert ((1,), 0) == (before.asked, before.declared)


def test_an_answer_names_a_question_that_was_asked_by_then(steps: Steps) -> None:
    steps.do(ask(NOW - DAY))
    steps.do(answer())

    assert ("VALUE_QUESTION_UNKNOWN", {"asked_position": "2"}) == steps.refused(answer(2))
    assert "VALUE_QUESTION_UNKNOWN" == steps.refused(answer(1, NOW - DAY - 1))[0]
    assert "INTERACTION_UNKNOWN" == steps.refused(ask(position=1))[0]
    steps.do(answer(1, NOW - DAY))
