"""Personae: defined by one, approved by several functions, retired; which version counts."""

from __future__ import annotations

import pytest

from ledger.domain.attribute_catalogue import ATTRIBUTES_PUBLISHED
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.persona_acts import faults_of_persona, required
from ledger.domain.policy import PolicyState
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import contact_policy_pb2 as contact
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.persona_pb2 import PersonaClause, PersonaDefined, PersonaRetired, StateClause
from rapport.type.v1 import levels_pb2 as levels
from tests.relationship_policies import (
    APPROVERS,
    NOW,
    Publications,
    approval,
    has,
    own_type,
    persona,
    published,
    stands,
    types,
)

RETIRE = PersonaRetired(persona_id="regulars")


def defined(*more: PersonaDefined) -> Publications:
    stream = Publications()
    for each in more or (persona(),):
        stream.do(each)
    return stream


def active(stream: Publications, needed: int = 3) -> list[tuple[str, int]]:
    return [(each.message.persona_id, each.message.version) for each in stream.state.personae.active(needed)]


def refusal(state: PolicyState, persona_id: str = "regulars", version: int = 0, needed: int = 3) -> Rejected:
    with pytest.raises(Rejected) as refused:
        required(state, persona_id, version, needed)
    return refused.value


def with_catalogue(*definitions: contact.AttributeDefinition) -> PolicyState:
    state = PolicyState()
    event = contact.AttributesPublished(catalogue=contact.AttributeCatalogue(version=1, attributes=list(definitions)))
    state.evolve(Fact(1, 1, NOW, NOW, ATTRIBUTES_PUBLISHED, event, EventMetadata()))
    return state


def faults(asked: PersonaDefined, state: PolicyState | None = None) -> dict[str, str]:
    found = faults_of_persona(asked, state or PolicyState())
    return {each.violation.field: reasons.ErrorReason.Name(each.violation.reason)[13:] for each in found}


# --- Approving -------------------------------------------------------------------------------------------------------


def test_a_persona_is_active_once_three_different_functions_approved_it() -> None:
    stream = defined()

    found = []
    for function in APPROVERS:
        stream.approve(function)
        found.append(active(stream))

    assert [[], [], [("regulars", 1)]] == found


def test_one_function_counts_once_and_the_second_time_changes_nothing() -> None:
    stream = defined()
    stream.approve(APPROVERS[0])
    stream.approve(APPROVERS[0])

    assert () == stream.decision.facts
    assert [] == active(stream, 2)
    found = stream.state.personae.get("regulars")
    assert found is not None
    assert (APPROVERS[0],) == found.functions


def test_one_approval_of_three_is_a_failed_precondition() -> None:
    stream = defined()
    stream.approve(APPROVERS[0])

    refused = refusal(stream.state)

    assert reasons.ERROR_REASON_PERSONA_NOT_ACTIVE == refused.reason
    assert {"persona_id": "regulars", "version": "1", "approvals": "1", "needed": "3"} == refused.metadata


def test_what_is_not_defined_is_not_approved_and_not_retired() -> None:
    stream = defined()

    for asked in (
        approval(APPROVERS[0], version=2),
        approval(APPROVERS[0], persona_id="nobody"),
        PersonaRetired(persona_id="nobody"),
    ):
        with pytest.raises(Rejected) as refused:
            stream.do(asked)
        assert reasons.ERROR_REASON_PERSONA_UNKNOWN == refused.value.reason
    assert reasons.ERROR_REASON_PERSONA_UNKNOWN == refusal(stream.state, "nobody").reason
    assert reasons.ERROR_REASON_PERSONA_UNKNOWN == refusal(stream.state, version=9).reason


def test_how_many_functions_it_takes_the_policy_says() -> None:
    stream = defined()
    stream.approve(APPROVERS[0])

    assert [("regulars", 1)] == active(stream, 1)


# --- Versions --------------------------------------------------------------------------------------------------------


def test_a_new_version_needs_approvals_of_its_own_and_until_then_the_one_before_counts() -> None:
    stream = defined()
    stream.approve(*APPROVERS)
    stream.do(persona(stands(exists=True)))

    assert [("regulars", 1)] == active(stream)
    refused = refusal(stream.state, version=2)
    assert (reasons.ERROR_REASON_PERSONA_NOT_ACTIVE, "2") == (refused.reason, refused.metadata["version"])
    assert 1 == required(stream.state, "regulars", 0, 3).message.version

    stream.approve(*APPROVERS, version=2)

    assert [("regulars", 2)] == active(stream)
    assert 2 == required(stream.state, "regulars", 0, 3).message.version


def test_the_same_content_under_its_number_changes_nothing_and_other_content_is_refused() -> None:
    stream = defined(persona(version=1))

    stream.do(persona(version=1))
    assert () == stream.decision.facts
    with pytest.raises(Rejected) as refused:
        stream.do(persona(stands(exists=True), version=1))

    assert reasons.ERROR_REASON_POLICY_VERSION_TAKEN == refused.value.reason


def test_personae_are_numbered_apart() -> None:
    stream = defined(persona(), persona(persona_id="others"), persona(persona_id="others"))

    versions = [(each.message.persona_id, each.message.version) for each in stream.state.personae.all()]
    assert [("others", 2), ("regulars", 1)] == versions


# --- Retiring --------------------------------------------------------------------------------------------------------


def test_a_retired_persona_counts_no_more_in_any_version() -> None:
    stream = defined()
    stream.approve(*APPROVERS)
    stream.do(persona(stands(exists=True)))
    stream.do(RETIRE)

    assert [] == active(stream)
    assert reasons.ERROR_REASON_PERSONA_NOT_ACTIVE == refusal(stream.state).reason
    assert reasons.ERROR_REASON_PERSONA_NOT_ACTIVE == refusal(stream.state, version=1).reason
    stream.approve(*APPROVERS, version=2)
    assert [] == active(stream)


def test_retiring_twice_changes_nothing() -> None:
    stream = defined()
    stream.do(RETIRE)
    stream.do(RETIRE)

    assert () == stream.decision.facts


def test_a_new_version_brings_a_retired_persona_back_once_it_is_approved() -> None:
    stream = defined()
    stream.do(RETIRE)
    stream.do(persona(stands(exists=True)))
    stream.approve(*APPROVERS, version=2)

    assert [("regulars", 2)] == active(stream)


# --- Faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked, field, reason",
    [
        (persona(PersonaClause()), "clauses[0]", "REQUEST_INVALID"),
        (persona(PersonaClause(state=StateClause())), "clauses[0].state", "REQUEST_INVALID"),
        (
            persona(PersonaClause(state=StateClause(exists=True), attribute=has("tea").attribute)),
            "clauses[0]",
            "REQUEST_INVALID",
        ),
        (persona(has("tea", "green"), has("tea", "green")), "clauses[1]", "POLICY_RULES_CONFLICT"),
        (persona(has("tea"), has("tea", negated=True)), "clauses[1]", "POLICY_RULES_CONFLICT"),
        (persona(has("tea", "green", "green")), "clauses[0].attribute.codes[1]", "REQUEST_INVALID"),
        (persona(expected_types=["no:type"]), "expected_types[0]", "TYPE_UNKNOWN"),
    ],
)
def test_a_persona_that_nobody_could_belong_to_or_names_what_is_not_there_is_refused(
    asked: PersonaDefined, field: str, reason: str
) -> None:
    assert {field: reason} == faults(asked)
    with pytest.raises(Rejected):
        published(asked)


def test_attributes_and_codes_are_those_of_the_catalogue() -> None:
    asked = persona(has("tea", "black", "green"), has("cup"), has("seat", "any"))
    state = with_catalogue(
        contact.AttributeDefinition(key="tea", codes=["green"]), contact.AttributeDefinition(key="seat")
    )

    expected = {"clauses[0].attribute.codes[0]": "ATTRIBUTE_UNKNOWN", "clauses[1].attribute.key": "ATTRIBUTE_UNKNOWN"}
    assert expected == faults(asked, state)
    assert {} == faults(asked)


def test_expected_types_may_be_an_organizations_own() -> None:
    asked = persona(expected_types=["house:regular", "hbr:buddies"])

    assert {} == faults(asked, published(types(own_type())))


def test_every_level_of_a_clause_is_kept_as_it_was_asked() -> None:
    asked = persona(stands(lifecycles=[levels.LIFECYCLE_LAPSED], broadcast=False, exists=False, negated=True))
    found = published(asked).personae.get("regulars")

    assert found is not None
    asked.version = 1
    assert asked == found.message
    assert i.OurFunction.Value("OUR_FUNCTION_MARKETING") not in found.approvals
