"""Why measures are what they are, and how two views differ (relationship.md 5, 8 and 10)."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from ledger.domain.amounts import half_even
from ledger.measure.contacts import LISTED_MAX
from ledger.measure.differing import Change, Delta, changes, deltas
from ledger.measure.explaining import EVIDENCE_MAX, Explained, evidence, told
from ledger.measure.results import Ratio, unknown
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.identity_pb2 import IdentifierVerified
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_TOO_FEW, Measures
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import DAY, did
from tests.measured_histories import START, MeasuredDraw, MeasuredHistory, acted, in_the_way, traded
from tests.measured_histories import told as said
from tests.unit.measure.test_strength import NOW, example_a

ARITHMETIC = re.compile(r"[0-9 +*/()^-]+\Z")


def explained(history: MeasuredHistory, at: int) -> dict[str, Explained]:
    """Return the explanation of each measure, by path."""
    rows = list(evidence(history.measured(at)))
    found = {row.measure: row for row in rows}
    assert len(rows) == len(found), "a path is told once"
    return found


def worth(formula: str) -> Fraction:
    """Return what a formula comes to."""
    exact = re.sub(r"(\d+)", r"Fraction(\1)", formula).replace("^", "**")
    value = eval(exact, {"Fraction": Fraction})  # Nothing but digits and signs.
    return Fraction(value)


def test_example_a_is_explained_with_its_numbers_in_place() -> None:
    found = explained(example_a(), NOW)

    assert "159823 + 200000 + 75000 + 50000 + 50000 + 75000 - 50000 - 35355" == found["strength.score_ppm"].formula
    assert ("524468", "MODERATE") == (found["strength.score_ppm"].value, found["strength.band"].value)
    assert ("375000", "3 / (6 + 2)") == found["preference.preference"][1:3]
    assert ("666667", "2 / 3") == found["conversation.answered"][1:3]
    assert ("400000", "4 / (4 + 6)") == found["conversation.listening"][1:3]
    assert ("-50000", (2,)) == (
        found["strength.contributions.complaint"].value,
        found["strength.contributions.complaint"].positions,
    )
    assert ("INTENSE", "532745") == (found["axes.intensity"].value, found["axes.intensity_value"].value)


@pytest.mark.parametrize("seed", range(12))
def test_formulas_come_to_their_values(seed: int) -> None:
    draw = MeasuredDraw(seed)
    checked = 0

    for row in explained(draw.history, draw.fill(60)).values():
        if row.formula and ARITHMETIC.match(row.formula) and re.fullmatch(r"-?\d+", row.value):
            scale = 1 if row.measure.startswith("strength.") else 1_000_000
            exact = worth(row.formula) * scale
            assert half_even(exact.numerator, exact.denominator) == int(row.value), row
            checked += 1

    assert checked > 10


@pytest.mark.parametrize("seed", range(6))
def test_positions_are_in_order_and_few_and_counted(seed: int) -> None:
    draw = MeasuredDraw(seed)

    for row in explained(draw.history, draw.fill(60)).values():
        assert list(row.positions) == sorted(row.positions), row
        assert len(row.positions) <= min(row.found, EVIDENCE_MAX), row


def test_paths_begin_with_fields_of_measures() -> None:
    draw = MeasuredDraw(3)

    heads = {path.partition(".")[0] for path in explained(draw.history, draw.fill(80))}

    assert heads <= set(Measures.DESCRIPTOR.fields_by_name)


def test_what_is_not_known_says_why() -> None:
    assert "UNKNOWN TOO_FEW" == told(unknown(UNKNOWN_REASON_TOO_FEW))
    assert "333333" == told(Ratio(1, 3))
    assert "UNKNOWN NO_EVIDENCE" == explained(MeasuredHistory(), NOW)["promises.kept_rate"].value


def test_two_equal_views_do_not_differ() -> None:
    history = example_a()

    assert [] == list(changes(history.measured(NOW), history.measured(NOW)))


def test_a_difference_is_told_by_path_and_by_line() -> None:
    history = example_a()
    before = history.measured(NOW)
    history.add(in_the_way("stairs"), NOW)

    after = history.measured(NOW)

    assert [
        Change("strength.score_ppm", "524468", "494468"),
        Change("strength.contributions.obstacle", "", "-30000"),
        Change("obstacles", "0", "1"),
    ] == list(changes(before, after))
    assert (Delta(levels.STRENGTH_COMPONENT_OBSTACLE, -30_000),) == deltas(
        before.strength.contributions, after.strength.contributions
    )


def test_what_only_the_first_view_has_is_told_too() -> None:
    history = MeasuredHistory()
    history.add(did("MARKED_SPAM"), START)
    history.add(acted("PURCHASE"), START)
    one, other = history.measured(START), history.measured(START + 3_000 * DAY)

    found = {each.measure: each for each in changes(one, other)}

    assert Change("strength.contributions.spam", "-100000", "") == found["strength.contributions.spam"]
    assert Change("lifecycle.lifecycle", "ACTIVE", "LAPSED") == found["lifecycle.lifecycle"]


@pytest.mark.parametrize("seed", range(20))
def test_deltas_sum_to_the_difference_of_the_scores(seed: int) -> None:
    draw = MeasuredDraw(seed)
    at = draw.fill(40)
    draw.history.add(said(), at)
    draw.history.add(traded("new", paid=100, got=100), at)
    one = draw.history.measured(at, position=draw.random.randrange(1, draw.history.head))
    other = draw.history.measured(at + draw.random.randrange(100) * DAY)

    found = deltas(one.strength.contributions, other.strength.contributions)

    assert other.strength.score - one.strength.score == sum(each.ppm for each in found)
    assert all(each.ppm for each in found)


# What decided, and not what was there beside it.


def test_an_end_is_explained_as_such_and_the_silence_by_the_last_act() -> None:
    history = MeasuredHistory()
    act = history.add(acted("PURCHASE"), START)
    end = history.add(r.RelationshipEnded(by=x.PARTY_CUSTOMER), START + DAY)

    found = explained(history, START + 2 * DAY)

    assert ("ENDED", "ended, and no act since that reopens", (end,)) == found["lifecycle.lifecycle"][1:4]
    assert ("172800 s / 2592000 s", (act,)) == found["lifecycle.gap_ratio"][2:4]


def test_who_is_only_known_has_no_silence_and_no_events_of_one() -> None:
    history = MeasuredHistory()
    known = history.add(IdentifierVerified(contact_point_id="cp", kind="email"), START)

    found = explained(history, START + DAY)

    assert ("ACQUAINTED", (known,)) == (found["lifecycle.lifecycle"].value, found["lifecycle.lifecycle"].positions)
    assert found["lifecycle.lifecycle"].formula.startswith("no act begun")
    assert () == found["lifecycle.gap_ratio"].positions


def test_the_actual_type_names_the_judgement_that_it_follows_and_the_others_have_theirs() -> None:
    history = MeasuredHistory()
    sales, service = (
        history.add(r.RelationshipTypeAssessed(slug=slug, assessor_id="eve", our_function=function), START + n)
        for n, (slug, function) in enumerate(
            [("hbr:fling", i.OUR_FUNCTION_SALES), ("hbr:buddies", i.OUR_FUNCTION_SERVICE)]
        )
    )

    found = explained(history, START + DAY)

    assert ("hbr:buddies", "ASSESSED", (service,)) == found["types.actual_slug"][1:4]
    assert ("hbr:fling", (sales,)) == (found["types.assessed.sales"].value, found["types.assessed.sales"].positions)


def test_shares_of_persons_come_to_their_formulas_and_sides_are_told_apart() -> None:
    history = MeasuredHistory()
    for ours in ("ben", "", "", ""):
        history.add(said(customer_person_id="ben", point_of_contact_id=ours, our_function=i.OUR_FUNCTION_SALES), START)

    found = explained(history, START)

    assert ("1000000", "4 / 4") == found["contacts.persons.customer.ben"][1:3]
    assert ("1000000", "1 / 1") == found["contacts.persons.organization.ben"][1:3]


def test_concentration_of_more_edges_than_are_listed_still_comes_to_its_formula() -> None:
    history = MeasuredHistory()
    for person in range(LISTED_MAX + 1):
        history.add(said(customer_person_id=f"p{person}", our_function=i.OUR_FUNCTION_SALES), START)

    found = explained(history, START)["contacts.concentration"]

    assert round(worth(found.formula) * 1_000_000) == int(found.value)


def test_open_vectors_are_a_number() -> None:
    history = MeasuredHistory()
    for vector in ("v", "w"):
        history.add(r.VectorOpened(vector_id=vector, goal="learn"), START)

    assert "2" == explained(history, START)["vectors.open_count"].value
