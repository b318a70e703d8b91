"""Wished, assessed and inferred types, and how a relationship differs from the wish (relationship.md 8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.domain.times import timestamp
from ledger.measure.measured import Measured
from ledger.measure.results import Axes, Ratio
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_policy_pb2 as p
from rapport.events.v1 import relationship_types_pb2 as t
from rapport.events.v1.disclosure_pb2 import PROVENANCE_ASSESSED, PROVENANCE_INFERRED
from rapport.events.v1.relationship_pb2 import RelationshipTypeAssessed, RelationshipTypeDeclared
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NOT_COMPARABLE, UNKNOWN_REASON_NOT_DECLARED
from rapport.type.v1 import levels_pb2 as levels
from services.cli.contact_policy_file import read_message
from tests.contact_histories import DAY, moment
from tests.measured_histories import MeasuredHistory, acted, traded

NOW = moment("2026-06-01T12:00Z")
STRANGER = levels.LIFECYCLE_STRANGER


def axes(valence: str = "", closeness: str = "", intensity: str = "") -> Axes:
    """Return axes at levels given by their names; those that are left out are not known."""
    value = Ratio(0, 1)
    return Axes(
        levels.Valence.Value(f"VALENCE_{valence or 'UNSPECIFIED'}"),
        value,
        levels.Closeness.Value(f"CLOSENESS_{closeness or 'UNSPECIFIED'}"),
        value,
        levels.Intensity.Value(f"INTENSITY_{intensity or 'UNSPECIFIED'}"),
        value,
        {"valence": (7,), "closeness": (8,), "intensity": (9,)},
        None,
    )


def met(**values: Any) -> MeasuredHistory:
    """Return a history of a customer who is no stranger; `paid` and `got` in cents, and how many `days` ago."""
    history = MeasuredHistory()
    history.value_euros()
    history.add(acted("VISIT"), NOW - 300 * DAY)
    if values:
        history.add(
            traded("x", paid=values.get("paid", 0), got=values.get("got", 0)), NOW - values.get("days", 1) * DAY
        )
    return history


def standing(history: MeasuredHistory, at: int = NOW, under: RelationshipPolicy | None = None, **on: str) -> Measured:
    """Return the measures of a history, the axes as they are given."""
    m = history.measured(at, under=under)
    vars(m)["axes"] = axes(**on)
    return m


def wishing(slug: str, history: MeasuredHistory | None = None) -> MeasuredHistory:
    found = history or met()
    found.add(RelationshipTypeDeclared(slug=slug), NOW - DAY)
    return found


def directions(m: Measured) -> dict[str, str]:
    prefix = len("MISMATCH_DIRECTION_")
    return {each.axis: levels.MismatchDirection.Name(each.direction)[prefix:] for each in m.types.mismatches}


# --- Three provenances -----------------------------------------------------------------------------------------------


def test_what_is_inferred_never_stands_in_for_what_was_declared() -> None:
    found = standing(met(), valence="POSITIVE", closeness="DISTANT", intensity="WEAK").types

    assert ("", 0) == (found.desired_slug, found.desired_position)
    assert ("fournier:casual-friend", PROVENANCE_INFERRED) == (found.actual_slug, found.actual_provenance)


def test_what_was_declared_and_what_is_inferred_stand_side_by_side() -> None:
    found = standing(wishing("hbr:best-friends"), valence="NEGATIVE", intensity="INTENSE").types

    assert ("hbr:best-friends", "fournier:enmity") == (found.desired_slug, found.inferred_slug)


def test_the_latest_wish_counts_whenever_it_was_heard_of() -> None:
    history = wishing("hbr:buddies")
    history.add(RelationshipTypeDeclared(slug="hbr:fling"), NOW - 2 * DAY, recorded=NOW)

    assert "hbr:buddies" == standing(history).types.desired_slug


def test_a_judgement_holds_for_the_days_of_the_policy_and_then_what_is_inferred_counts() -> None:
    history = met()
    history.add(RelationshipTypeAssessed(slug="hbr:buddies", assessor_id="u"), NOW - DAY)
    end = NOW - DAY + 180 * DAY

    before, after = standing(history, end - 1).types, standing(history, end).types

    assert ("hbr:buddies", PROVENANCE_ASSESSED) == (before.actual_slug, before.actual_provenance)
    assert ("hbr:basic-exchange", PROVENANCE_INFERRED) == (after.actual_slug, after.actual_provenance)
    assert "hbr:basic-exchange" == before.inferred_slug
    assert before.changes_at is not None
    assert before.changes_at <= end


def test_a_judgement_may_say_until_when_it_holds() -> None:
    history, end = met(), NOW + 5 * DAY
    assessed = RelationshipTypeAssessed(slug="hbr:buddies", assessor_id="u", until=timestamp(end))
    history.add(assessed, NOW - DAY)

    slugs = [standing(history, at).types.actual_slug for at in (end - 1, end)]
    assert ["hbr:buddies", "hbr:basic-exchange"] == slugs


def test_functions_judge_for_themselves_and_the_latest_judgement_is_the_actual_type() -> None:
    history = met()
    for days, slug, function in (
        (5, "hbr:buddies", i.OUR_FUNCTION_SERVICE),
        (4, "hbr:fling", i.OUR_FUNCTION_MARKETING),
        (6, "hbr:ex-friends", i.OUR_FUNCTION_MARKETING),
    ):
        history.add(
            RelationshipTypeAssessed(slug=slug, assessor_id="u", our_function=function), NOW - days * DAY, recorded=NOW
        )

    found = standing(history).types

    assert "hbr:fling" == found.actual_slug
    judged = [(each.our_function, each.slug) for each in found.assessed]
    assert [(i.OUR_FUNCTION_MARKETING, "hbr:fling"), (i.OUR_FUNCTION_SERVICE, "hbr:buddies")] == judged


# --- Rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "on, expected, rule",
    [
        (("NEGATIVE", "", "INTENSE"), "fournier:enmity", 2),
        (("NEGATIVE", "INTIMATE", "WEAK"), "hbr:basic-exchange", 0),
        (("POSITIVE", "DISTANT", "WEAK"), "fournier:casual-friend", 4),
        (("POSITIVE", "DISTANT", ""), "hbr:basic-exchange", 0),
        (("POSITIVE", "INTIMATE", "INTENSE"), "fournier:best-friendship", 3),
        (("NEUTRAL", "INTIMATE", "INTENSE"), "hbr:basic-exchange", 0),
        (("", "", ""), "hbr:basic-exchange", 0),
    ],
)
def test_the_first_rule_whose_conditions_hold_names_the_type(
    on: tuple[str, str, str], expected: str, rule: int
) -> None:
    valence, closeness, intensity = on
    m = standing(met(paid=100, got=100), valence=valence, closeness=closeness, intensity=intensity)
    found = m.types

    assert (expected, rule) == (found.inferred_slug, found.inferred_rule)


def test_who_did_nothing_yet_is_a_stranger_whatever_else_there_is() -> None:
    found = standing(MeasuredHistory(), valence="NEGATIVE", intensity="INTENSE").types

    assert ("rapport:stranger", 1) == (found.inferred_slug, found.inferred_rule)
    assert [("lifecycle", "STRANGER", ())] == [tuple(each) for each in found.clauses]


@pytest.mark.parametrize(
    "paid, got, friends",
    [(1_000, 800, True), (1_000, 799, False), (1_000, 1_250, True), (1_000, 1_251, False), (0, 1_000, False)],
)
def test_best_friends_give_about_as_much_as_they_get(paid: int, got: int, *, friends: bool) -> None:
    found = standing(met(paid=paid, got=got), valence="POSITIVE", closeness="INTIMATE", intensity="INTENSE").types

    assert friends is (found.inferred_slug == "fournier:best-friendship")


def test_without_anything_of_value_nobody_is_a_best_friend() -> None:
    found = standing(met(), valence="POSITIVE", closeness="INTIMATE", intensity="INTENSE").types

    assert "hbr:basic-exchange" == found.inferred_slug


def test_each_condition_of_the_rule_is_told_with_its_value_and_evidence() -> None:
    history = met(paid=1_000, got=900)
    found = standing(history, valence="POSITIVE", closeness="INTIMATE", intensity="INTENSE").types

    position = history.facts[-1][1].position
    assert [
        ("valence", "POSITIVE", (7,)),
        ("closeness", "INTIMATE", (8,)),
        ("intensity", "INTENSE", (9,)),
        ("reciprocity", "900000", (position,)),
    ] == [tuple(each) for each in found.clauses]


def test_a_rule_without_an_upper_bound_takes_who_only_got() -> None:
    rule = p.TypeRule(slug="fournier:dependency", reciprocity_min_ppm=1)
    under = RelationshipPolicy(types=p.TypeRules(rules=[rule]))
    found = standing(met(got=500), under=under).types

    assert "fournier:dependency" == found.inferred_slug
    assert ["UNBOUNDED"] == [each.value for each in found.clauses]


def test_rules_are_looked_at_in_the_order_of_the_policy() -> None:
    rules = [p.TypeRule(slug=slug, valence=levels.VALENCE_POSITIVE) for slug in ("hbr:buddies", "hbr:fling")]
    rules[1].lifecycles.append(levels.LIFECYCLE_LAPSED)
    history = met()

    orders = [rules, rules[::-1]]
    slugs = [
        standing(
            history, under=RelationshipPolicy(types=p.TypeRules(rules=order)), valence="POSITIVE"
        ).types.actual_slug
        for order in orders
    ]

    assert levels.LIFECYCLE_LAPSED == history.measured(NOW).lifecycle.lifecycle
    assert ["hbr:buddies", "hbr:fling"] == slugs


def test_how_long_a_ratio_stays_in_its_bounds_is_known_in_advance() -> None:
    friends: dict[str, Any] = {"valence": "POSITIVE", "closeness": "INTIMATE", "intensity": "INTENSE"}

    far = standing(met(paid=1_000, got=1_000), **friends).types
    near = standing(met(paid=1_000, got=800), **friends).types

    assert far.changes_at is not None
    assert far.changes_at > NOW + 365 * DAY
    assert near.changes_at is not None
    assert near.changes_at > NOW


# --- Mismatch --------------------------------------------------------------------------------------------------------


def test_closer_than_wished() -> None:
    m = standing(wishing("hbr:basic-exchange"), valence="NEUTRAL", closeness="INTIMATE", intensity="WEAK")

    assert {"closeness": "CLOSER_THAN_WISHED"} == directions(m)
    assert m.types.mismatch_unknown is None


@pytest.mark.parametrize(
    "slug, on, expected",
    [
        ("hbr:best-friends", ("POSITIVE", "DISTANT", "INTENSE"), {"closeness": "MORE_DISTANT_THAN_WISHED"}),
        ("hbr:best-friends", ("POSITIVE", "INTIMATE", "WEAK"), {"intensity": "WEAKER_THAN_WISHED"}),
        ("hbr:best-friends", ("NEUTRAL", "INTIMATE", "INTENSE"), {"valence": "WORSE_THAN_WISHED"}),
        ("hbr:best-friends", ("NEGATIVE", "", ""), {"valence": "WORSE_THAN_WISHED"}),
        ("hbr:basic-exchange", ("", "DISTANT", "INTENSE"), {"intensity": "MORE_INTENSE_THAN_WISHED"}),
        ("fournier:enslavement", ("NEUTRAL", "", ""), {"valence": "BETTER_THAN_WISHED"}),
        ("fournier:enslavement", ("POSITIVE", "", ""), {"valence": "BETTER_THAN_WISHED"}),
        ("hbr:best-friends", ("POSITIVE", "INTIMATE", "INTENSE"), {}),
        (
            "fournier:enmity",
            ("POSITIVE", "INTIMATE", "WEAK"),
            {"valence": "BETTER_THAN_WISHED", "intensity": "WEAKER_THAN_WISHED"},
        ),
    ],
)
def test_each_axis_is_told_with_its_direction(slug: str, on: tuple[str, str, str], expected: dict[str, str]) -> None:
    m = standing(wishing(slug), valence=on[0], closeness=on[1], intensity=on[2])

    assert expected == directions(m)
    assert m.types.mismatch_unknown is None


@pytest.mark.parametrize(
    "history, why",
    [
        (met(), UNKNOWN_REASON_NOT_DECLARED),
        (wishing("fournier:kinship"), UNKNOWN_REASON_NOT_COMPARABLE),
        (wishing("hbr:business-partners"), UNKNOWN_REASON_NOT_COMPARABLE),
        (wishing("no:longer-published"), UNKNOWN_REASON_NOT_COMPARABLE),
    ],
)
def test_without_a_wish_or_an_axis_to_compare_no_mismatch_can_be_told(history: MeasuredHistory, why: int) -> None:
    found = standing(history, closeness="INTIMATE").types

    assert ((), why) == (found.mismatches, found.mismatch_unknown)


# --- A list of one's own ---------------------------------------------------------------------------------------------


def test_a_file_of_29_types_is_data_to_be_wished_inferred_and_compared_without_any_change_of_code(
    tmp_path: Path,
) -> None:
    rows = [
        f'[[types]]\nslug = "list:type-{number:02}"\ntitle = "Type {number}"\nsource = "a list of our own"\n'
        f'axes = {{ closeness = "{"DISTANT" if number % 2 else "INTIMATE"}" }}\n'
        for number in range(1, 30)
    ]
    path = tmp_path / "list.toml"
    path.write_text("\n".join(rows))
    catalogue = t.TypeCatalogue()
    assert [] == read_message(path, catalogue).faults
    rule = p.TypeRule(slug="list:type-07", closeness=levels.CLOSENESS_INTIMATE)
    history = wishing("list:type-29")
    history.publish(t.TypesPublished(catalogue=catalogue))

    under = RelationshipPolicy(types=p.TypeRules(rules=[rule], fallback_slug="list:type-08"))
    m = standing(history, under=under, closeness="INTIMATE")

    assert 29 + 23 == len(m.outlook.types)
    assert ("list:type-29", "list:type-07") == (m.types.desired_slug, m.types.inferred_slug)
    assert {"closeness": "CLOSER_THAN_WISHED"} == directions(m)
    assert "list:type-08" == standing(history, under=under).types.inferred_slug
