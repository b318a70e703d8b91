"""Points of contact and their shape: examples and fixtures of relationship.md 11."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from ledger.measure.contacts import Risk, risks
from ledger.measure.results import Contacts, Edge, PersonShare, Ratio
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.relationship_policy_pb2 import ContactShapeRules, RelationshipPolicy
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import DAY, did, moment, sent
from tests.measured_histories import MeasuredHistory, acted, told

T = moment("2026-03-01T12:00Z")
W = 180 * DAY
NONE, BOW_TIE = levels.CONTACT_SHAPE_NONE, levels.CONTACT_SHAPE_BOW_TIE
TRANSITIONAL, DIAMOND = levels.CONTACT_SHAPE_TRANSITIONAL, levels.CONTACT_SHAPE_DIAMOND
SALES, SERVICE, FINANCE = i.OUR_FUNCTION_SALES, i.OUR_FUNCTION_SERVICE, i.OUR_FUNCTION_FINANCE
OURS, THEIRS = x.PARTY_ORGANIZATION, x.PARTY_CUSTOMER


def met(made: MeasuredHistory, person: str, function: int, at: int = T, **values: Any) -> int:
    """Record an interaction between a person on the customer's side and one of our functions."""
    return made.add(told(customer_person_id=person, our_function=function, **values), at)


def edges(*weights: tuple[str, int, int]) -> MeasuredHistory:
    """Return a history with so many interactions of each edge."""
    made = MeasuredHistory()
    for person, function, count in weights:
        for _ in range(count):
            met(made, person, function)
    return made


def shaped(made: MeasuredHistory, at: int = T, **values: Any) -> Contacts:
    return made.measured(at, **values).contacts


def even(persons: int, functions: int, count: int = 1) -> Iterable[tuple[str, int, int]]:
    return [(f"p{person}", function, count) for person in range(persons) for function in range(1, functions + 1)]


def test_edges_of_18_1_and_1_are_a_bow_tie() -> None:
    found = shaped(edges(("buyer", SALES, 18), ("engineer", SERVICE, 1), ("bookkeeper", FINANCE, 1)))

    assert (BOW_TIE, 900_000, 815_000) == (found.shape, found.single_point.ppm, found.concentration.ppm)
    assert (20, 3, 3) == (found.interactions, found.persons, found.functions)
    assert Edge("buyer", SALES, 18) == found.edges[0]
    assert 1 + 1 + 18 == len(found.evidence)


def test_three_by_three_of_equal_weight_are_a_diamond() -> None:
    found = shaped(edges(*even(3, 3, 2)))

    assert (DIAMOND, 111_111, 111_111) == (found.shape, found.single_point.ppm, found.concentration.ppm)


def test_a_consumer_is_one_person_and_a_bow_tie() -> None:
    assert BOW_TIE == shaped(edges(*[("", function, 1) for function in range(1, 6)])).shape


@pytest.mark.parametrize(
    "weights, shape",
    [
        ([], NONE),
        ([("a", SALES, 1)], BOW_TIE),
        ([("a", SALES, 1), ("b", SALES, 1), ("c", SALES, 1)], BOW_TIE),
        ([("a", SALES, 1), ("a", SERVICE, 1), ("a", FINANCE, 1)], BOW_TIE),
        ([("a", SALES, 4), ("b", SERVICE, 1)], BOW_TIE),  # 800,000 exactly.
        ([("a", SALES, 79), ("b", SERVICE, 21)], TRANSITIONAL),
        ([("a", SALES, 1), ("b", SERVICE, 1)], TRANSITIONAL),
        (even(3, 2), TRANSITIONAL),
        (even(2, 3), TRANSITIONAL),
        ([("a", SALES, 2), ("b", SERVICE, 1), ("c", FINANCE, 1)], DIAMOND),  # 500,000 exactly.
        ([("a", SALES, 51), ("b", SERVICE, 25), ("c", FINANCE, 24)], TRANSITIONAL),
        (even(4, 4), DIAMOND),
    ],
)
def test_shapes(weights: Iterable[tuple[str, int, int]], shape: int) -> None:
    assert shape == shaped(edges(*weights)).shape


def test_nobody_is_not_known() -> None:
    found = shaped(MeasuredHistory())

    assert UNKNOWN_REASON_NO_EVIDENCE == found.single_point.unknown == found.concentration.unknown
    assert ((), (), None) == (found.edges, found.shares, found.changes_at)


def test_thresholds_are_those_of_the_policy() -> None:
    made = edges(("a", SALES, 3), ("b", SERVICE, 1))
    for rules, shape in (
        (ContactShapeRules(), TRANSITIONAL),
        (ContactShapeRules(bow_tie_from_ppm=750_000), BOW_TIE),
        (ContactShapeRules(diamond_persons=2, diamond_functions=2, diamond_up_to_ppm=750_000), DIAMOND),
    ):
        assert shape == shaped(made, under=RelationshipPolicy(contact_shape=rules)).shape


def test_the_wanted_shape_is_a_setting_of_the_relationship() -> None:
    made = edges(("a", SALES, 1))
    assert levels.CONTACT_SHAPE_UNSPECIFIED == shaped(made).wanted_shape
    made.add(r.ContactShapeWanted(shape=DIAMOND), T)
    assert (BOW_TIE, DIAMOND) == (shaped(made).shape, shaped(made).wanted_shape)


def test_what_names_no_function_makes_no_edge_and_what_bounced_counts_nowhere() -> None:
    made = edges(("a", SALES, 1), ("b", SERVICE, 1))
    made.add(did("MESSAGE", customer_person_id="c"), T)
    lost = met(made, "c", FINANCE)
    made.add(acted("VISIT", our_function=i.OUR_FUNCTION_STORE, customer_person_id="a"), T)
    assert (4, 3, 4) == shaped(made)[2:3] + shaped(made)[5:7]

    made.add(did("BOUNCED", refers_to=lost), T)
    assert (3, 2, 3) == shaped(made)[2:3] + shaped(made)[5:7]


# Shares of persons.


def test_the_share_of_a_person_is_of_what_names_somebody_on_their_side() -> None:
    made = MeasuredHistory()
    for person, ours, count in (("a", "ann", 3), ("b", "bob", 1), ("b", "", 2)):
        for _ in range(count):
            met(made, person, SALES, point_of_contact_id=ours)
    made.add(sent(point_of_contact_id="bob"), T)

    assert (
        PersonShare("a", THEIRS, 3, Ratio(3, 6), risk=False),
        PersonShare("b", THEIRS, 3, Ratio(3, 6), risk=False),
        PersonShare("ann", OURS, 3, Ratio(3, 5), risk=False),
        PersonShare("bob", OURS, 2, Ratio(2, 5), risk=False),
    ) == shaped(made).shares


def closed(made: MeasuredHistory, person: str, at: int, **values: Any) -> int:
    return made.add(r.PointOfContactClosed(point_of_contact_id=person), at, **values)


def test_somebody_with_half_of_it_who_leaves_is_a_risk_and_one_with_less_is_none() -> None:
    made = MeasuredHistory()
    for ours in ("ann", "ann", "bob", "eve"):
        met(made, "a", SALES, point_of_contact_id=ours)
    assert not any(share.risk for share in shaped(made).shares)

    closed(made, "bob", T + DAY)
    left = closed(made, "ann", T + DAY)
    measured = made.measured(T + DAY)

    assert {"ann"} == {share.person_id for share in measured.contacts.shares if share.risk}
    assert (Risk("ann", OURS, Ratio(2, 4), left, T + DAY),) == risks(measured)


def test_a_risk_is_judged_by_the_share_at_the_leaving_and_ends_when_they_are_back() -> None:
    made = MeasuredHistory()
    met(made, "buyer", SALES)
    closed(made, "buyer", T + DAY)
    for _ in range(9):
        met(made, "other", SALES, T + 2 * DAY)

    found = {share.person_id: (share.share.ppm, share.risk) for share in shaped(made, T + 2 * DAY).shares}
    assert {"buyer": (100_000, True), "other": (900_000, False)} == found
    assert 1 == len(risks(made.measured(T + 2 * W)))

    made.add(r.PointOfContactOpened(point_of_contact_id="buyer", side=THEIRS), T + 3 * DAY)
    assert () == risks(made.measured(T + 3 * DAY))


# Corrections, and the clock.


def test_corrections_and_retractions_move_edges() -> None:
    made = edges(("a", SALES, 1), ("b", SERVICE, 1))
    assert TRANSITIONAL == shaped(made).shape

    wrong = met(made, "a", FINANCE)
    right = told(customer_person_id="c", our_function=FINANCE)
    made.add(i.InteractionCorrected(original_position=wrong, replacement=right), T)
    assert (DIAMOND, 3) == (shaped(made).shape, shaped(made).persons)

    made.add(i.InteractionRetracted(original_position=1), T)
    assert (TRANSITIONAL, 2) == (shaped(made).shape, shaped(made).interactions)


def test_a_bow_tie_of_one_person_lasts_until_nothing_is_left() -> None:
    made = MeasuredHistory()
    met(made, "a", SALES)
    met(made, "a", SERVICE, T + DAY)

    assert T + DAY + W == shaped(made, T + DAY).changes_at
    assert (BOW_TIE, 1) == (shaped(made, T + DAY + W - 1).shape, shaped(made, T + DAY + W - 1).interactions)
    assert (NONE, None) == (shaped(made, T + DAY + W).shape, shaped(made, T + DAY + W).changes_at)


def test_another_shape_may_change_with_every_leaving() -> None:
    made = edges(*even(3, 3))
    met(made, "p0", 1, T + DAY)
    assert (DIAMOND, T + W) == (shaped(made, T + DAY).shape, shaped(made, T + DAY).changes_at)
    assert (BOW_TIE, T + DAY + W) == (shaped(made, T + W).shape, shaped(made, T + W).changes_at)


def test_a_late_word_is_put_in_its_place() -> None:
    made = edges(("a", SALES, 1))
    made.add(told(customer_person_id="b", our_function=SERVICE), T - W + 1, recorded=T)

    assert (TRANSITIONAL, T + 1) == (shaped(made).shape, shaped(made).changes_at)
    assert BOW_TIE == shaped(made, T + 1).shape
