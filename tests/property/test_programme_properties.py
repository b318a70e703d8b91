"""Reports of now are those of a fold from zero, to the byte, whatever the batches, and as a hand counts them."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from ledger.measure.outlook import outlook_of
from ledger.measure.results import Ratio
from ledger.measure.visits import visits
from ledger.report.campaigns import Campaigns, CampaignsAsked
from ledger.report.conducting import Maturity, Pressures
from ledger.report.consistency import Consistency
from ledger.report.rows import Folded, rows_of
from ledger.report.visiting import Visiting, VisitsAsked
from rapport.report.v1 import report_service_pb2 as pb
from tests.contact_histories import DAY
from tests.programme_histories import (
    CUSTOMERS,
    by_fold,
    drawn_programmes,
    everybody,
    facts_of,
    latest_time,
    published_at,
)

SEEDS = range(6)


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_serve_every_later_instant_as_a_fold_at_that_instant_does(seed: int) -> None:
    history = drawn_programmes(seed)
    latest = latest_time(history, history.head)
    folds = {customer: Folded() for customer in CUSTOMERS}
    for customer, folded in folds.items():
        folded.feed(facts_of(history, customer, history.head))
    outlook = outlook_of(published_at(history, history.head), latest)
    rules = outlook.rules
    rows = by_fold(history, history.head)

    for days in (0, 1, 7, 13, 14, 29, 30, 100, 179, 180, 400):
        at = latest + days * DAY
        anew = [
            rows_of(customer, folded.record, outlook, at - rules.window)
            for customer, folded in folds.items()
            if folded.recorded
        ]
        told: tuple[list[Any], list[Any]] = ([], [])
        for answers, source in zip(told, (rows, anew), strict=True):
            pressures, maturity, consistency = Pressures(rules, at), Maturity(rules, at), Consistency(at, 9)
            campaigns = Campaigns(CampaignsAsked(pb.SOLICITATION_GROUPING_CAMPAIGN), rules, at)
            for each in source:
                for report in (pressures, maturity, consistency, campaigns):
                    report.add(each)
            answers += [pressures.pressures(), maturity.decided, maturity.honoured, maturity.answered]
            answers += [maturity.contacts, consistency.found, campaigns.groups()]
        assert told[0] == told[1], days


@pytest.mark.parametrize("seed", SEEDS)
def test_reports_add_up_what_is_measured_of_each_relationship(seed: int) -> None:
    history = drawn_programmes(seed)
    latest = latest_time(history, history.head)
    at = latest + random.Random(seed).randrange(20) * DAY
    outlook = outlook_of(published_at(history, history.head), at)
    campaigns = Campaigns(CampaignsAsked(pb.SOLICITATION_GROUPING_UNSPECIFIED), outlook.rules, at)
    pressures, maturity = Pressures(outlook.rules, at), Maturity(outlook.rules, at)
    visiting, inconsistent = Visiting(VisitsAsked((7, 30))), Consistency(at, 9)
    for customer in CUSTOMERS:
        folded = Folded()
        folded.feed(facts_of(history, customer, history.head))
        if folded.recorded:
            rows = rows_of(customer, folded.record, outlook, at - outlook.rules.window)
            for report in (campaigns, pressures, maturity, visiting, inconsistent):
                report.add(rows)

    sums: Counter[str] = Counter()
    costs: Counter[str] = Counter()
    pressing = {True: [0, 0], False: [0, 0]}
    came, back = Counter[int](), []
    differing = {}
    for customer, m in everybody(history, history.head, at):
        sent, conduct, talk, visit = m.solicitations, m.conduct, m.conversation, visits(m)
        for name in ("delivered", "matured", "wasted_seconds", "uncosted", "rated", "relevant"):
            sums[name] += getattr(sent, name)
        for outcome in ("bought", "replied", "opted_out", "no_response"):
            sums[outcome] += getattr(sent, outcome)
        costs.update(dict(sent.wasted_costs))
        pressing[sent.prospect][0] += 1
        pressing[sent.prospect][1] += sent.pressure_per_30_days.n // (30 * DAY)
        for name in ("contacts", "honoured_count", "needing_decision", "decided_count"):
            sums[name] += getattr(conduct, name)
        sums["needing"] += talk.needing
        sums["answered"] += talk.answered_count
        if visit.times:
            came[min(visit.times, 8)] += 1
            back.append(visit.back_after)
        judged = {(each.our_function, each.slug, each.position) for each in m.types.assessed}
        if len({slug for _, slug, _ in judged}) > 1:
            differing[customer] = judged

    (group,) = campaigns.groups()
    assert [sums[name] for name in ("delivered", "matured", "wasted_seconds", "uncosted", "rated", "relevant")] == [
        group.delivered, group.matured, group.wasted_seconds, group.uncosted, group.rated, group.relevant,
    ]  # fmt: skip
    outcomes = [sums[name] for name in ("bought", "replied", "opted_out", "no_response")]
    assert outcomes == [group.outcomes[number] for number in range(1, 5)]
    assert sums["matured"] == sum(outcomes)
    assert +costs == +group.wasted_costs
    assert [pressing[True], pressing[False]] == [
        [each.relationships, each.solicitations] for each in pressures.pressures()
    ]
    assert (sums["contacts"], sums["honoured_count"]) == (maturity.contacts, maturity.honoured.n)
    assert (sums["needing_decision"], sums["decided_count"]) == (_d(maturity.decided), maturity.decided.n)
    assert (sums["needing"], sums["answered"]) == (_d(maturity.answered), maturity.answered.n)
    assert [came[times] for times in range(1, 9)] == [count for _, _, count in visiting.distribution()]
    assert [
        (days, sum(after is not None and after <= days for after in back)) for days in (7, 30)
    ] == visiting.returned()
    assert differing == {
        each.customer_id: {(judged.our_function, judged.slug, judged.position) for judged in each.judgements}
        for each in inconsistent.found
    }


def _d(ratio: Ratio) -> int:
    return ratio.d if ratio.unknown is None else 0
