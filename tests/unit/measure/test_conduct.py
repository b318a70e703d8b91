"""How contacts agree with their decision and what was declared, over the window (relationship.md 10)."""

from __future__ import annotations

from typing import Any

from ledger.domain.times import START_OF_TIME
from ledger.measure import penalties
from ledger.measure.results import Conduct
from ledger.report.rows import rows_of
from ledger.report.shapes import Conduct as Row
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2 as f
from rapport.events.v1.contact_pb2 import DECISION_OUTCOME_DENY
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE
from tests.contact_histories import DAY, MINUTE, did, given, moment, preferred, sent, withdrawn
from tests.measured_histories import MeasuredHistory, told

T = moment("2026-05-01T12:00Z")
W = 180 * DAY


def conducted(made: MeasuredHistory, at: int, **values: Any) -> Conduct:
    return made.measured(at, **values).conduct


def test_four_numbers_equal_the_hand_count() -> None:
    made = MeasuredHistory()
    made.add(given(), T - 10 * DAY)
    permit, _ = made.decide_and_record(T)
    made.add(sent(decision_id=permit), T + MINUTE)
    undecided = made.add(sent(), T + 2 * MINUTE)
    made.add(told(), T + 3 * MINUTE)
    made.add(preferred(channels=f.ChannelPreference(averse=[i.CHANNEL_SMS])), T + 4 * MINUTE)
    averse = made.add(told(channel=i.CHANNEL_SMS), T + 5 * MINUTE)
    made.add(did("QUESTION"), T + 6 * MINUTE)

    found = conducted(made, T + DAY)

    assert (4, 2, 500_000) == (found.contacts, found.honoured_count, found.honoured.ppm)
    assert (2, 1, 500_000) == (found.needing_decision, found.decided_count, found.decided.ppm)
    assert (undecided, averse) == found.dishonoured


def test_a_contact_against_its_decision_names_one_and_is_not_honoured() -> None:
    made = MeasuredHistory()
    denied, _ = made.decide_and_record(T)
    position = made.add(sent(decision_id=denied), T + MINUTE)

    found = conducted(made, T + DAY)

    assert (1, 1, 0, (position,)) == (
        found.needing_decision, found.decided_count, found.honoured_count, found.dishonoured
    )  # fmt: skip


def test_a_contact_that_needs_no_decision_is_not_honoured_against_a_no_and_trust_is_fractured() -> None:
    made = MeasuredHistory()
    service = {"message_class": i.MESSAGE_CLASS_SERVICE}
    denied, decision = made.decide_and_record(T)
    assert decision.outcome == DECISION_OUTCOME_DENY
    against = made.add(sent(decision_id=denied, **service), T + MINUTE)
    made.add(given(), T + 2 * MINUTE)
    permit, _ = made.decide_and_record(T + 3 * MINUTE)
    made.add(sent(decision_id=permit, **service), T + 4 * MINUTE)
    made.add(sent(**service), T + 5 * MINUTE)

    found = conducted(made, T + DAY)

    assert (3, 2, (against,)) == (found.contacts, found.honoured_count, found.dishonoured)
    assert 0 == found.needing_decision
    m = made.measured(T + DAY)
    rows = rows_of("c", m.record, m.outlook, START_OF_TIME, (Row,)).of(Row)
    assert [0, 1, 1] == [each.honoured for each in rows], "reports of many count the same"
    faults = [(each.kind, each.position) for each in penalties.events(m)]
    assert [(penalties.PREFERENCE_DISHONOURED, against), (penalties.TRUST_FRACTURED, against)] == faults


def test_contacts_avoided_are_the_noes_that_no_contact_followed() -> None:
    made = MeasuredHistory()
    made.decide_and_record(T)
    made.add(given(), T + MINUTE)
    made.decide_and_record(T + 2 * MINUTE)
    assert 1 == conducted(made, T + DAY).avoided

    made.add(withdrawn(), T + DAY)
    made.decide_and_record(T + DAY)
    assert 2 == conducted(made, T + DAY).avoided
    made.add(sent(), T + 2 * DAY)
    assert 0 == conducted(made, T + 2 * DAY).avoided


def test_it_is_of_the_window_and_nothing_is_not_known() -> None:
    made = MeasuredHistory()
    made.add(sent(), T)

    assert (1, 0) == (conducted(made, T + W - 1).contacts, conducted(made, T + W).contacts)
    nothing = conducted(made, T + W)
    assert UNKNOWN_REASON_NO_EVIDENCE == nothing.honoured.unknown == nothing.decided.unknown
    assert (0, 0, 0, ()) == (nothing.needing_decision, nothing.decided_count, nothing.avoided, nothing.dishonoured)
