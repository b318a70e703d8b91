"""Campaigns, visits, pressure, maturity, consistency, levels: the worked figures, and what only the clock changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ledger.domain.amounts import INT64_MAX
from ledger.domain.built_in_relationship_policy import BUILT_IN_RELATIONSHIP_POLICY
from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME
from ledger.measure.outlook import outlook_of
from ledger.measure.rules import rules_of
from ledger.report.basis import basis_of
from ledger.report.campaigns import Campaigns, CampaignsAsked, Group
from ledger.report.conducting import Maturity, Pressures
from ledger.report.consistency import Consistency
from ledger.report.levels import Levels, Stands
from ledger.report.rows import Rows
from ledger.report.shapes import NOT_BACK, Conduct, Judgement, Person, Request, Solicitation
from ledger.report.spans import DAY, Span
from ledger.report.visiting import Visiting, VisitsAsked
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import interaction_pb2 as i
from rapport.relationship.v1 import measures_pb2 as why
from rapport.report.v1 import report_service_pb2 as pb
from rapport.type.v1 import levels_pb2 as levels

RULES = rules_of(BUILT_IN_RELATIONSHIP_POLICY)
SENT = 1_000 * DAY
BOUGHT, REPLIED, OPTED_OUT, NOTHING = range(1, 5)
ALL = CampaignsAsked(pb.SOLICITATION_GROUPING_UNSPECIFIED)


def solicitation(outcome: int = NOTHING, **values: Any) -> Solicitation:
    row = Solicitation(
        position=1, campaign="", programme="", asset="EUR/2", delivered_time=SENT, outcome=outcome, tactic=0, seconds=8,
        units=2, legal_basis=0, followed=0, rated=0, relevant=0,
    )  # fmt: skip
    return row._replace(**values)


def groups(rows: list[Solicitation], at: int = SENT + 14 * DAY, asked: CampaignsAsked = ALL) -> list[Group]:
    campaigns = Campaigns(asked, RULES, at)
    campaigns.add(Rows("c", {Solicitation: rows}))
    return campaigns.groups()


def test_the_worked_campaign_wastes_776_seconds_and_970000_millionths() -> None:
    rows = [solicitation(outcome) for outcome in (BOUGHT, BOUGHT, REPLIED, OPTED_OUT)] + [solicitation()] * 96

    (group,) = groups(rows)

    assert (30_000, 970_000, 776, {"EUR/2": 194}, 0) == (
        group.response.ppm, group.waste.ppm, group.wasted_seconds, dict(group.wasted_costs), group.uncosted,
    )  # fmt: skip
    assert group.matured == sum(group.outcomes.values()) == 100


def test_only_matured_ones_are_judged_from_their_instant_on() -> None:
    (early,) = groups([solicitation(BOUGHT)], SENT + 14 * DAY - 1)
    (mature,) = groups([solicitation(BOUGHT)], SENT + 14 * DAY)
    (unsent,) = groups([solicitation(BOUGHT)], SENT - 1)

    assert (1, 0, why.UNKNOWN_REASON_NOTHING_MATURED) == (early.delivered, early.matured, early.response.unknown)
    assert (1, 1_000_000) == (mature.matured, mature.response.ppm)
    assert (0, why.UNKNOWN_REASON_NO_EVIDENCE) == (unsent.delivered, unsent.waste.unknown)


def test_one_relevant_of_ten_thousand_is_a_hundred() -> None:
    (group,) = groups([solicitation(rated=1, relevant=1)] + [solicitation()] * 9_999)

    assert (1, 1, 100) == (group.rated, group.relevant, group.relevance.ppm)


def test_costs_that_nobody_recorded_are_counted_and_sums_are_held() -> None:
    (group,) = groups([solicitation(asset="", units=0), solicitation(units=INT64_MAX), solicitation(units=9)])

    assert (1, {"EUR/2": INT64_MAX}) == (group.uncosted, dict(group.wasted_costs))


def test_solicitations_are_grouped_by_what_is_asked() -> None:
    rows = [
        solicitation(BOUGHT, campaign="spring", tactic=i.TACTIC_SURVEY, legal_basis=c.LEGAL_BASIS_CONSENT),
        solicitation(campaign="fall", programme="club", legal_basis=c.LEGAL_BASIS_CONTRACT_PERFORMANCE),
        solicitation(tactic=999),
    ]
    expected = {
        pb.SOLICITATION_GROUPING_UNSPECIFIED: [""],
        pb.SOLICITATION_GROUPING_CAMPAIGN: ["", "fall", "spring"],
        pb.SOLICITATION_GROUPING_PROGRAMME: ["", "club"],
        pb.SOLICITATION_GROUPING_TACTIC: ["", "999", "SURVEY"],
        pb.SOLICITATION_GROUPING_LEGAL_BASIS: ["", "CONSENT", "CONTRACT_PERFORMANCE"],
        pb.SOLICITATION_GROUPING_OPT_IN: ["NO_OPT_IN", "OPT_IN"],
    }
    for grouping, keys in expected.items():
        assert keys == [group.key for group in groups(rows, asked=CampaignsAsked(grouping))]
    with_and_without = groups(rows, asked=CampaignsAsked(pb.SOLICITATION_GROUPING_OPT_IN))
    assert [0, 1_000_000] == [group.response.ppm for group in with_and_without]
    assert [1] == [group.delivered for group in groups(rows, asked=ALL._replace(campaign="fall"))]
    assert [0] == [group.delivered for group in groups(rows, asked=ALL._replace(delivered=Span(SENT, None)))]


def person(**values: int) -> Rows:
    found = Person(bought=0, sessions=1, back_after=NOT_BACK, purchases=0, bought_back_after=NOT_BACK)
    return Rows("c", {Person: [found._replace(**values)]})


def test_visits_are_laid_out_with_a_last_row_for_all_above() -> None:
    visiting = Visiting(VisitsAsked((30, 7, 7), counts_max=3))
    for back, sessions in ((1, 2), (7, 3), (8, 9), (NOT_BACK, 1)):
        visiting.add(person(sessions=sessions, back_after=back))
    visiting.add(person(sessions=0))

    assert 4 == visiting.customers
    assert [(1, False, 1), (2, False, 1), (3, True, 2)] == visiting.distribution()
    assert [(7, 2), (30, 3)] == visiting.returned()


def test_purchases_are_counted_where_they_are_asked_for() -> None:
    visiting = Visiting(VisitsAsked((7,), purchases_only=True))
    visiting.add(person(sessions=5, back_after=1, purchases=2, bought_back_after=30))
    visiting.add(person(sessions=5, back_after=1))

    assert (1, (2, False, 1), [(7, 0)]) == (visiting.customers, visiting.distribution()[1], visiting.returned())


def test_prospects_and_customers_are_pressed_apart_over_the_window() -> None:
    pressures = Pressures(RULES, SENT)
    times = [SENT - RULES.window, SENT - RULES.window + 1, SENT, SENT + 1]  # Two of them are in it.
    for bought, count in ((0, 4), (0, 0), (1, 4)):
        rows = person(bought=bought)
        rows.by_kind[Solicitation] = [solicitation(delivered_time=time) for time in times[:count]]
        pressures.add(rows)

    prospects, customers = pressures.pressures()

    assert (2, 2, 166_667) == (prospects.relationships, prospects.solicitations, prospects.per_30_days.ppm)
    assert (1, 2, 333_333) == (customers.relationships, customers.solicitations, customers.per_30_days.ppm)
    nobody, _ = Pressures(RULES, SENT).pressures()
    assert why.UNKNOWN_REASON_NO_EVIDENCE == nobody.per_30_days.unknown


def test_maturity_counts_contacts_of_the_window_and_requests_whose_time_is_over() -> None:
    hour, at = DAY // 24, SENT
    maturity = Maturity(RULES, at)
    contacts = [Conduct(1, at, 1, 1, 1), Conduct(2, at - 1, 1, 0, 0), Conduct(3, at - RULES.window, 1, 0, 0),
                Conduct(4, at - 2, 0, 0, 1)]  # fmt: skip
    asked = at - 48 * hour
    requests = [
        Request(5, asked, asked + 48 * hour - 1),
        Request(6, asked, asked + 48 * hour),  # Too late.
        Request(7, asked + 1, END_OF_TIME),  # Still open.
    ]
    maturity.add(Rows("c", {Conduct: contacts, Request: requests}))

    assert (3, 666_667, 500_000) == (maturity.contacts, maturity.honoured.ppm, maturity.decided.ppm)
    assert (1, 2) == maturity.answered[:2]


def test_what_is_open_is_no_answer_and_nothing_is_nothing() -> None:
    maturity = Maturity(RULES, SENT)
    assert why.UNKNOWN_REASON_NO_EVIDENCE == maturity.answered.unknown == maturity.decided.unknown
    maturity.add(Rows("c", {Request: [Request(7, SENT - 1, END_OF_TIME)]}))
    assert why.UNKNOWN_REASON_NOTHING_MATURED == maturity.answered.unknown


def test_two_functions_with_two_types_that_hold_are_inconsistent() -> None:
    sales, service = Judgement(1, "hbr:fling", 1, SENT + 1), Judgement(2, "hbr:buddies", 2, SENT)
    same = Judgement(2, "hbr:fling", 3, SENT + 1)
    for at, judged, found in ((SENT - 1, [sales, service], 1), (SENT, [sales, service], 0), (SENT, [sales, same], 0)):
        consistency = Consistency(at, 1)
        consistency.add(Rows("c", {Judgement: judged}))
        assert found == len(consistency.found)
        assert bool(found) == consistency.full


def test_levels_are_counted_in_the_order_of_the_enum_with_what_was_exchanged_by_band() -> None:
    found = Levels()
    found.add(Stands(True, levels.LIFECYCLE_ACTIVE, levels.STRENGTH_BAND_STRONG, levels.CONTACT_SHAPE_DIAMOND, 500))
    found.add(Stands(False, levels.LIFECYCLE_LAPSED, levels.STRENGTH_BAND_WEAK, levels.CONTACT_SHAPE_NONE, -700))
    found.add(Stands(False, levels.LIFECYCLE_LAPSED, levels.STRENGTH_BAND_WEAK, levels.CONTACT_SHAPE_BOW_TIE, 100))

    assert (3, 1) == (found.relationships, found.existing)
    assert [("WEAK", 2, -600), ("MODERATE", 0, 0), ("STRONG", 1, 500)] == found.bands()
    assert ["STRANGER", "ACQUAINTED", "ACTIVE", "AT_RISK", "LAPSED", "ENDED", "ERASED"] == [
        each.level for each in found.lifecycles()
    ]
    assert (1, 2) == found.diamond[:2]
    assert why.UNKNOWN_REASON_NO_EVIDENCE == Levels().diamond.unknown


def test_rows_rest_on_what_they_ask_of_a_policy_and_on_nothing_else() -> None:
    outlook = outlook_of(PolicyState(), SENT)

    def of_rules(**values: Any) -> int:
        return basis_of(outlook._replace(rules=replace(outlook.rules, **values)))

    basis = basis_of(outlook)
    assert basis == of_rules(version=7, waste_above=1, return_alarm_below=1, answer_within=1)
    changes: list[dict[str, Any]] = [
        {"attribution": 1},
        {"window": 1},
        {"session_gap": 1},
        {"assessment_term": 1},
        {"kind_weights": {}},
    ]
    for values in changes:
        assert basis != of_rules(**values)
    assert basis != basis_of(outlook._replace(purposes={}))
