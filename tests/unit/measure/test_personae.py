"""Who belongs to a persona, and why: clauses, evidence, and what of it was inferred (relationship.md 11)."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.measure import personae
from ledger.measure.measured import Measured
from ledger.measure.personae import Explained
from rapport.events.v1 import attribute_pb2 as a
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_policy_pb2 as contact
from rapport.events.v1 import disclosure_pb2 as d
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.persona_pb2 import PersonaClause, PersonaDefined, PersonaRetired
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import DAY, did, moment
from tests.measured_histories import MeasuredHistory, acted, told
from tests.relationship_policies import APPROVERS, approval, has, persona, stands

NOW = moment("2026-06-01T12:00Z")


def visited(days: int = 1) -> MeasuredHistory:
    """Return a history of a customer who came so many days ago."""
    history = MeasuredHistory()
    history.add(acted("VISIT"), NOW - days * DAY)
    return history


def declared(key: str, code: str = "", **values: Any) -> a.AttributeDisclosed:
    return a.AttributeDisclosed(
        key=key, code=code, indicated_by=c.INDICATED_BY_SUBJECT, interaction_position=1, **values
    )


def inferred(key: str, code: str) -> a.AttributeInferred:
    return a.AttributeInferred(key=key, code=code, legal_basis=c.LEGAL_BASIS_LEGITIMATE_INTEREST_CONTROLLER)


def explained(history: MeasuredHistory, *clauses: PersonaClause, at: int = NOW) -> Explained:
    return personae.explain(history.measured(at), persona(*clauses))


def holds(history: MeasuredHistory, clause: PersonaClause, at: int = NOW) -> bool:
    return explained(history, clause, at=at).member


def active(history: MeasuredHistory, *found: PersonaDefined) -> MeasuredHistory:
    """Publish personae and have them approved."""
    for each in found:
        each.version = each.version or 1
        history.publish(each)
        for function in APPROVERS:
            history.publish(approval(function, each.persona_id, each.version))
    return history


def names(m: Measured) -> list[tuple[str, int]]:
    return [(each.persona_id, each.version) for each in m.personae]


# --- Attributes ------------------------------------------------------------------------------------------------------


def test_a_value_that_the_customer_told_makes_a_clause_hold() -> None:
    history = visited()
    position = history.add(declared("tea", "green"), NOW - DAY)

    (found,) = explained(history, has("tea", "green", "black")).findings

    assert (1, True, "tea: green (DECLARED)", False, (position,)) == tuple(found)


@pytest.mark.parametrize(
    "clause, expected",
    [
        (has("tea", "green"), True),
        (has("tea"), True),
        (has("tea", "black"), False),
        (has("cup"), False),
        (has("tea", "green", provenances=(d.PROVENANCE_DECLARED,)), True),
        (has("tea", "green", provenances=(d.PROVENANCE_INFERRED,)), False),
        (has("tea", "black", negated=True), True),
        (has("cup", negated=True), True),
        (has("tea", negated=True), False),
    ],
)
def test_keys_values_and_provenances_decide(clause: PersonaClause, *, expected: bool) -> None:
    history = visited()
    history.add(declared("tea", "green"), NOW - DAY)

    assert expected is holds(history, clause)


def test_a_value_in_words_only_is_a_value_but_no_code() -> None:
    history = visited()
    history.add(declared("tea", text="a strong one"), NOW - DAY)

    (found,) = explained(history, has("tea")).findings
    assert (True, "tea: in words (DECLARED)") == (found.holds, found.value)
    assert not holds(history, has("tea", "green"))


def test_what_was_inferred_counts_where_it_is_admitted_and_is_told() -> None:
    history = visited()
    history.add(inferred("tea", "green"), NOW - DAY)

    found = explained(history, has("tea", "green"), stands(exists=False))

    assert [True, False] == [each.inferred for each in found.findings]
    assert 500_000 == found.inferred_share.ppm
    assert not holds(history, has("tea", "green", provenances=(d.PROVENANCE_DECLARED,)))


def test_a_clause_rests_on_what_was_declared_where_that_is_enough() -> None:
    history = visited()
    history.add(inferred("tea", "green"), NOW - DAY)
    history.add(declared("tea", "green"), NOW - DAY)

    found = explained(history, has("tea", "green"))

    assert ("tea: green (DECLARED)", 0) == (found.findings[0].value, found.inferred_share.ppm)


def test_a_declared_value_does_not_hide_that_another_one_was_inferred() -> None:
    history = visited()
    history.add(declared("tea", "black"), NOW - DAY)
    history.add(inferred("tea", "green"), NOW - DAY)

    (found,) = explained(history, has("tea", "green")).findings
    assert (True, "tea: green (INFERRED)", True) == (found.holds, found.value, found.inferred)


@pytest.mark.parametrize(
    "event",
    [
        a.AttributeWithdrawn(key="tea", provenance=d.PROVENANCE_DECLARED),
        declared("tea", "black"),
    ],
)
def test_an_undone_clause_ends_membership(event: Any) -> None:
    history = active(visited(), persona(has("tea", "green")))
    history.add(declared("tea", "green"), NOW - DAY)
    before = names(history.measured(NOW))

    history.add(event, NOW)

    assert [("regulars", 1)] == before
    assert [] == names(history.measured(NOW))


def test_an_observation_without_legal_basis_makes_nobody_belong() -> None:
    history = visited()
    history.add(a.AttributeObserved(key="tea", code="green"), NOW - DAY)

    (found,) = explained(history, has("tea", "green")).findings
    assert (False, "tea: not known") == (found.holds, found.value)


def test_a_value_is_used_no_longer_than_the_catalogue_keeps_it() -> None:
    history = active(visited(), persona(has("tea", "green")))
    kept = contact.AttributeDefinition(key="tea", retention_days=10, purposes=["service.care"])
    history.publish(contact.AttributesPublished(catalogue=contact.AttributeCatalogue(version=1, attributes=[kept])))
    history.add(declared("tea", "green"), NOW)
    end = NOW + 10 * DAY

    last = history.measured(end - 1)
    assert ([("regulars", 1)], end) == (names(last), personae.changes_at(last))
    assert end == last.next_crossing
    after = history.measured(end)
    assert ([], None) == (names(after), personae.changes_at(after))


# --- State -----------------------------------------------------------------------------------------------------------


def test_levels_of_the_relationship_are_clauses_with_their_evidence() -> None:
    history = visited()
    (found,) = explained(history, stands(lifecycles=[levels.LIFECYCLE_ACTIVE, levels.LIFECYCLE_AT_RISK])).findings

    assert (True, "ACTIVE", False) == (found.holds, found.value, found.inferred)
    assert found.evidence
    assert not holds(history, stands(lifecycles=[levels.LIFECYCLE_LAPSED]))


@pytest.mark.parametrize(
    "values, value, expected",
    [
        ({"bands": [levels.STRENGTH_BAND_WEAK]}, "WEAK", True),
        ({"bands": [levels.STRENGTH_BAND_STRONG]}, "WEAK", False),
        ({"shapes": [levels.CONTACT_SHAPE_BOW_TIE]}, "BOW_TIE", True),
        ({"shapes": [levels.CONTACT_SHAPE_DIAMOND]}, "BOW_TIE", False),
        ({"exists": False}, "does not exist", True),
        ({"exists": True}, "does not exist", False),
        ({"broadcast": True}, "broadcast", True),
        ({"broadcast": False}, "broadcast", False),
        ({"valence": levels.VALENCE_POSITIVE}, "valence: not known", False),
        ({"closeness": levels.CLOSENESS_DISTANT}, "DISTANT", True),
        ({"closeness": levels.CLOSENESS_INTIMATE}, "DISTANT", False),
        ({"intensity": levels.INTENSITY_WEAK}, "intensity: not known", False),
        ({"lifecycles": [levels.LIFECYCLE_ACTIVE], "exists": True}, "ACTIVE, does not exist", False),
        ({"lifecycles": [levels.LIFECYCLE_ACTIVE], "exists": False}, "ACTIVE, does not exist", True),
    ],
)
def test_each_level_that_is_set_has_to_be_the_relationships(
    values: dict[str, Any], value: str, *, expected: bool
) -> None:
    history = visited()
    for _ in range(6):
        history.add(told(our_function=i.OUR_FUNCTION_SERVICE, message_class=i.MESSAGE_CLASS_MARKETING), NOW - DAY // 2)

    (found,) = explained(history, stands(**values)).findings
    assert (expected, value) == (found.holds, found.value)


def test_a_negated_clause_of_an_unknown_level_holds() -> None:
    assert holds(visited(), stands(valence=levels.VALENCE_NEGATIVE, negated=True))


def test_silence_ends_membership_by_the_clock_alone() -> None:
    history = active(visited(), persona())
    end = history.measured(NOW).lifecycle.changes_at

    assert end is not None
    assert [[("regulars", 1)], []] == [names(history.measured(at)) for at in (end - 1, end)]
    crossing = history.measured(NOW).next_crossing
    assert crossing is not None
    assert crossing <= end


# --- Membership ------------------------------------------------------------------------------------------------------


def test_every_clause_has_to_hold_and_explaining_goes_on_after_the_first_that_does_not() -> None:
    found = explained(visited(), has("tea"), stands(lifecycles=[levels.LIFECYCLE_ACTIVE]))

    assert not found.member
    assert [(1, False), (2, True)] == [(each.number, each.holds) for each in found.findings]


def test_nobody_belongs_to_a_persona_that_too_few_functions_approved() -> None:
    history = visited()
    history.publish(persona(version=1))
    found = []
    for function in APPROVERS:
        history.publish(approval(function))
        found.append(names(history.measured(NOW)))

    assert [[], [], [("regulars", 1)]] == found


def test_customers_belong_to_the_latest_version_that_is_active_and_to_none_that_is_retired() -> None:
    history = active(visited(), persona())
    history.publish(persona(stands(exists=True), version=2))
    first = names(history.measured(NOW))
    active(history, persona(stands(exists=False), version=3))
    second = names(history.measured(NOW))
    history.publish(PersonaRetired(persona_id="regulars"))

    assert [("regulars", 1)] == first
    assert [("regulars", 3)] == second
    assert [] == names(history.measured(NOW))


def test_memberships_are_told_by_id_with_the_share_that_is_inferred() -> None:
    history = visited()
    history.add(inferred("tea", "green"), NOW - DAY)
    tea = persona(has("tea"), persona_id="a-tea")
    active(history, persona(persona_id="regulars"), tea, persona(has("cup"), persona_id="b-cup"))

    found = [(each.persona_id, each.inferred_share.ppm) for each in history.measured(NOW).personae]
    assert [("a-tea", 1_000_000), ("regulars", 0)] == found


def test_a_clause_that_an_inferred_value_does_not_break_rests_on_it_wherever_that_is_told() -> None:
    history = visited()
    history.add(inferred("tea", "green"), NOW - DAY)
    others = persona(has("tea", "black", negated=True), persona_id="others")
    active(history, others)
    m = history.measured(NOW)

    assert 1_000_000 == personae.explain(m, others).inferred_share.ppm
    assert [("others", 1_000_000)] == [(each.persona_id, each.inferred_share.ppm) for each in m.personae]


def test_a_persona_rests_on_codes_and_never_on_sealed_words() -> None:
    history = visited()
    history.add(did("MESSAGE"), NOW - DAY)
    history.add(declared("tea", "green", text="secret words"), NOW - DAY)

    assert "secret" not in str(explained(history, has("tea")))
