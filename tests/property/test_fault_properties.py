"""What went wrong is the same whenever it is asked for: after every fact, or once at the end."""

from __future__ import annotations

import pytest

from ledger.contact.report import contact_report
from ledger.measure.measured import Measured
from ledger.measure.outlook import outlook_of
from ledger.measure.penalties import events
from ledger.measure.record import Record
from tests.contact_histories import stream
from tests.measured_histories import MeasuredDraw, MeasuredHistory
from tests.random_contact_histories import START as CONTACTS_START
from tests.random_contact_histories import random_history


def drawn(seed: int, events: int) -> tuple[MeasuredHistory, int]:
    """Return a history drawn to be measured, or, with an odd seed, one drawn for decisions about contacts."""
    if seed % 2:
        made, _, at = random_history(seed, events, welcome=seed % 4 == 1)
        history = MeasuredHistory()
        history.facts = made.facts
        return history, max(at, made.facts[-1][1].record_time, CONTACTS_START)
    draw = MeasuredDraw(seed)
    return draw.history, draw.fill(events)


@pytest.mark.parametrize("seed", range(40))
def test_judging_after_every_fact_finds_what_judging_at_the_end_does(seed: int) -> None:
    history, at = drawn(seed, 60)
    outlook, record = outlook_of(history.published(), at), Record()
    for name, fact in history.facts:
        if name == stream("c"):
            record.evolve(fact)
            events(Measured(record, outlook, fact.record_time))

    measured = Measured(record, outlook, at)

    assert events(history.measured(at)) == events(measured)
    assert history.measured(at).permission == measured.permission


@pytest.mark.parametrize("seed", range(1, 40, 2))
def test_dishonoured_contacts_are_those_of_the_contact_report(seed: int) -> None:
    history, at = drawn(seed, 60)
    m = history.measured(at)
    report = contact_report(m.record.state, m.outlook.contact_policy, at, purposes=m.outlook.purposes)

    judged = m.record.faults.contacts(
        m.record.state, m.outlook.contact_policy, m.outlook.contact_policy_version, m.outlook.purposes
    )

    assert {each.position for each in report.dishonoured} == {each.position for each in judged}
