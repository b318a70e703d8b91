"""Strength is a published sum: its lines and what they rest on (relationship.md 5, settled.md 45 to 50)."""

from __future__ import annotations

import pytest

from ledger.domain.decay import decay
from ledger.measure import involvement, reciprocity
from ledger.measure.measured import Measured
from ledger.measure.results import Ratio, Strength
from ledger.measure.strength import COMPONENTS, band_of
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.relationship_policy_pb2 import Penalties, RelationshipPolicy, StrengthRules
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import DAY, HOUR, did, given, moment, withdrawn
from tests.measured_histories import MeasuredHistory, acted, in_the_way, told, traded

NOW = moment("2026-06-01T18:00Z")


def days_ago(days: int, hour: int = 12) -> int:
    """Return an instant so many days before the day of NOW."""
    return NOW // DAY * DAY - days * DAY + hour * HOUR


def by_component(strength: Strength) -> dict[str, int]:
    """Return what each kind of line adds."""
    found: dict[str, int] = {}
    for line in strength.contributions:
        name = levels.StrengthComponent.Name(line.component).removeprefix("STRENGTH_COMPONENT_")
        found[name] = found.get(name, 0) + line.ppm
    return found


def example_a() -> MeasuredHistory:
    """Return the history of Example A; settled.md 50 says what it takes."""
    history = MeasuredHistory()
    history.value_euros()
    history.add(did("COMPLAINT"), days_ago(2_000))
    for cell in ("a", "b", "c", "d"):
        history.add(given(f"marketing.{cell}"), days_ago(300))
    for hour, discounted in enumerate((False, True, True, False), start=8):
        history.add(acted("PURCHASE", incentivised=discounted), days_ago(180, hour), recorded=days_ago(180, 20))
    asked = [history.add(did("GREETING", needs_reply=True), days_ago(100)) for _ in range(2)]
    history.add(did("GREETING"), days_ago(100))
    history.add(told("ANSWER", in_reply_to=asked[0]), days_ago(99))
    for _ in range(4):
        history.add(told(), days_ago(96))
    history.add(acted("PURCHASE", incentivised=False), days_ago(90))
    history.add(acted("VISIT"), days_ago(90))
    history.add(acted("PURCHASE_ELSEWHERE"), days_ago(80))
    history.add(withdrawn("marketing.d"), days_ago(45))
    history.add(acted("PURCHASE", incentivised=False), days_ago(30))
    history.add(traded("x", paid=4_750, got=3_800), days_ago(20))
    question = history.add(did("QUESTION", needs_reply=True), days_ago(0))
    history.add(acted("VISIT", attention=i.ATTENTION_PARTIAL), days_ago(0))
    history.add(told("ANSWER", in_reply_to=question), days_ago(0, 13))
    return history


def test_example_a_adds_up_to_the_last_ppm() -> None:
    measured = example_a().measured(NOW)

    strength = measured.strength

    assert 3_990_550_000_000_000_000 == measured.mass.mass
    assert 532_745 == involvement.involvement(measured).ppm
    assert 524_468 == strength.score
    assert levels.STRENGTH_BAND_MODERATE == strength.band
    assert 1_000_000 == strength.coverage
    assert {
        "INVOLVEMENT": 159_823,
        "RECIPROCITY": 200_000,
        "PREFERENCE": 75_000,
        "BALANCE": 50_000,
        "ANSWERING": 50_000,
        "PERMISSION": 75_000,
        "WITHDRAWAL": -35_355,
        "COMPLAINT": -50_000,
    } == by_component(strength)


def test_example_b_takes_no_shortcut_to_involvement() -> None:
    many, few = MeasuredHistory(), MeasuredHistory()
    for second in range(1_000):
        many.add(acted("PURCHASE"), days_ago(0, 8) + second)
    for hour in (9, 10):
        few.add(acted("PURCHASE"), days_ago(0, hour))

    found = [history.measured(NOW) for history in (many, few)]

    assert [461_538, 461_538] == [involvement.involvement(each).ppm for each in found]
    assert [138_462, 138_462] == [each.strength.contributions[0].ppm for each in found]


def test_of_what_is_not_known_nothing_is_added_and_coverage_says_so() -> None:
    nothing = MeasuredHistory().measured(NOW).strength

    assert (0, 0, None) == (nothing.score, nothing.coverage, nothing.changes_at)
    assert levels.STRENGTH_BAND_WEAK == nothing.band
    assert list(COMPONENTS) == [line.component for line in nothing.contributions]
    assert all(line.ratio.unknown for line in nothing.contributions)


def test_partial_attention_gives_exactly_half_the_mass() -> None:
    full, partial = MeasuredHistory(), MeasuredHistory()
    full.add(acted("VISIT"), days_ago(3))
    partial.add(acted("VISIT", attention=i.ATTENTION_PARTIAL), days_ago(3))

    masses = [history.measured(NOW).mass.mass for history in (full, partial)]

    assert masses[0] == 2 * masses[1] == 300_000 * 1_000_000 * decay(3, 90)


def test_acts_weigh_as_long_as_the_table_of_decay_goes() -> None:
    history = MeasuredHistory()
    for age in (1_794, 1_793, 1_700, 1_694):
        history.add(acted("VISIT"), days_ago(age))

    assert 1 == decay(1_793, 90)
    weights = sum(decay(age, 90) for age in (1_793, 1_700, 1_694))
    assert 300_000 * 1_000_000 * weights == history.measured(NOW).mass.mass


def test_an_act_that_has_faded_to_nothing_leaves_involvement_known() -> None:
    history = MeasuredHistory()
    history.add(acted("PURCHASE"), days_ago(1_794))

    assert Ratio(0, 3_500_000 * 10**12) == involvement.involvement(history.measured(NOW))


def test_views_of_no_weight_leave_it_unknown() -> None:
    history = MeasuredHistory()
    history.add(acted("CHECKOUT_STARTED"), days_ago(1))

    assert involvement.involvement(history.measured(NOW)).unknown


@pytest.mark.parametrize(
    "paid, got, share", [(1_000, 3_000, 250_000), (4_750, 3_800, 200_000), (0, 100, 250_000), (100, 0, 0)]
)
def test_generosity_beyond_one_earns_no_more_and_costs_nothing(paid: int, got: int, share: int) -> None:
    history = MeasuredHistory()
    history.value_euros()
    history.add(traded("x", paid=paid, got=got), days_ago(5))

    assert share == by_component(history.measured(NOW).strength)["RECIPROCITY"]


def test_got_against_nothing_given_is_unbounded() -> None:
    history = MeasuredHistory()
    history.value_euros()
    history.add(traded("x", got=100), days_ago(5))

    assert history.measured(NOW).reciprocity.unbounded


def test_legs_without_a_value_are_not_nothing() -> None:
    history = MeasuredHistory()
    history.add(traded("x", paid=100, got=100), days_ago(5))

    line = history.measured(NOW).strength.contributions[1]

    assert (0, True) == (line.ppm, bool(line.ratio.unknown))


def test_the_exact_index_has_a_prior_and_no_half_life() -> None:
    history = MeasuredHistory()
    history.value_euros()
    history.add(traded("x", paid=4_750, got=3_800), days_ago(1_000))

    assert -90_047 == round(1e6 * (38 - 47.5) / (38 + 47.5 + 2 * 10))
    assert -90_047 == reciprocity.exact_index(history.measured(NOW))


def test_a_view_of_the_past_knows_nothing_of_exchanges_that_came_later() -> None:
    history = MeasuredHistory()
    history.value_euros()
    history.add(traded("x", paid=4_750, got=3_800), days_ago(10))

    past = history.measured(days_ago(20), until=days_ago(20))

    assert (None, None) == (reciprocity.exact_index(past), past.next_crossing)
    assert not past.record.book.exchanges


def test_an_obstacle_lowers_the_sum_by_exactly_its_line_and_its_removal_restores_it() -> None:
    history = example_a()
    before = history.measured(NOW).strength.score
    history.add(in_the_way("stairs"), days_ago(0, 14))
    open_one = history.measured(NOW).strength.score
    history.add(r.ObstacleRemoved(obstacle_id="stairs"), days_ago(0, 15))

    assert before - 30_000 == open_one
    assert before == history.measured(NOW).strength.score


def test_penalties_are_lines_by_position_that_name_their_event() -> None:
    history = example_a()
    spam = history.add(did("MARKED_SPAM"), days_ago(0, 14))
    obstacle = history.add(in_the_way("stairs"), days_ago(0, 14))

    lines = history.measured(NOW).strength.contributions[len(COMPONENTS) :]

    positions = [line.evidence for line in lines]
    assert sorted(positions) == positions
    assert (spam,) in positions
    assert (obstacle,) in positions
    assert [-50_000, -35_355, -100_000, -30_000] == [line.ppm for line in lines]


def test_a_sum_below_nothing_is_closed_by_a_clamp() -> None:
    history = MeasuredHistory()
    history.add(did("MARKED_SPAM"), days_ago(0))

    strength = history.measured(NOW).strength

    assert 0 == strength.score == sum(line.ppm for line in strength.contributions)
    assert levels.STRENGTH_COMPONENT_CLAMP == strength.contributions[-1].component
    assert 100_000 == strength.contributions[-1].ppm


def test_penalties_of_a_policy_that_has_none_are_no_lines() -> None:
    none = RelationshipPolicy(
        strength=StrengthRules(
            penalties=Penalties(
                withdrawal_ppm=0, spam_ppm=0, complaint_ppm=0, obstacle_ppm=0, promise_ppm=0, preference_ppm=0,
                trust_ppm=0,
            )
        )
    )  # fmt: skip

    strength = example_a().measured(NOW, under=none).strength

    assert 524_468 + 35_355 + 50_000 == strength.score
    assert len(COMPONENTS) == len(strength.contributions)


@pytest.mark.parametrize(
    "score, band",
    [(339_999, "WEAK"), (340_000, "MODERATE"), (669_999, "MODERATE"), (670_000, "STRONG"), (0, "WEAK")],
)
def test_bands_begin_at_their_thresholds(score: int, band: str) -> None:
    rules = MeasuredHistory().measured(NOW).outlook.rules

    assert levels.StrengthBand.Value(f"STRENGTH_BAND_{band}") == band_of(score, rules)


def test_permission_counts_cells_that_were_asked_about_in_any_way() -> None:
    history = MeasuredHistory()
    history.add(given("marketing", NOW - DAY), days_ago(10))
    history.add(given("service.care"), days_ago(10))
    history.add(c.ConsentRequested(scope=c.ConsentScope(purposes=["community"])), days_ago(9))
    history.add(c.ConsentDeferred(scope=c.ConsentScope(purposes=["research"])), days_ago(9))
    history.add(c.ConsentRefused(purposes=["partners"]), days_ago(9))
    history.add(withdrawn("never.asked"), days_ago(9))

    permission = history.measured(NOW).permission

    assert Ratio(1, 5) == permission.ratio
    assert ["service.care"] == [each.cell.purpose for each in permission.cells if each.live]


def test_permission_is_remembered_until_something_bears_on_it() -> None:
    history = MeasuredHistory()
    history.add(given("marketing", NOW + DAY), days_ago(10))
    history.add(given("service.care"), days_ago(10))
    record, outlook = history.record(), history.measured(NOW).outlook

    first = Measured(record, outlook, NOW).permission
    assert first is Measured(record, outlook, NOW + HOUR).permission
    assert NOW + DAY == first.changes_at
    assert Ratio(1, 2) == Measured(record, outlook, NOW + DAY).permission.ratio

    history.add(withdrawn("service.care"), NOW + HOUR)
    record.evolve(history.facts[-1][1])
    assert Ratio(0, 2) == Measured(record, outlook, NOW + 2 * DAY).permission.ratio


def test_a_consent_of_one_use_is_live_until_a_permit_takes_it() -> None:
    history = MeasuredHistory()
    consent = history.add(c.ConsentGiven(purposes=["marketing"], validity=c.Validity(uses=1)), days_ago(10))
    record, outlook = history.record(), history.measured(NOW).outlook
    assert Ratio(1, 1) == Measured(record, outlook, NOW).permission.ratio

    permit = contact_pb2.ContactDecided(outcome=contact_pb2.DECISION_OUTCOME_PERMIT, basis_positions=[consent])
    permit.permit_expires_time.FromMicroseconds(NOW + DAY)
    history.add(permit, days_ago(0))
    record.evolve(history.facts[-1][1])

    permission = Measured(record, outlook, NOW).permission
    assert (Ratio(0, 1), NOW + DAY) == (permission.ratio, permission.changes_at)


def test_what_occurred_after_a_view_of_the_past_is_no_part_of_it() -> None:
    history = example_a()

    past = history.measured(days_ago(46), until=days_ago(46)).strength

    assert Ratio(4, 4) == past.contributions[5].ratio
    assert [levels.STRENGTH_COMPONENT_COMPLAINT] == [line.component for line in past.contributions[6:]]
    assert past.contributions[1].ratio.unknown
