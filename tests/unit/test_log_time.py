"""Marks of the log's time: one where something is due, none where the log is past it (settled.md 41)."""

from ledger.domain.identifiers import LEDGER_STREAM
from ledger.domain.log_time import MarkTime
from ledger.domain.times import MICROSECONDS
from rapport.events.v1.ledger_pb2 import LedgerCreated
from tests.stepping import Steps

NOW = 1_772_366_400 * MICROSECONDS


def test_a_mark_is_made_once_the_clock_is_past_the_instant_that_is_due() -> None:
    steps = Steps(NOW)

    assert [()] == [decision.facts for decision in steps.do(MarkTime(NOW))]
    steps.now += 1
    steps.do(MarkTime(NOW))

    (fact,) = steps.facts[LEDGER_STREAM]
    assert ("ledger.time_marked.v1", NOW + 1, NOW + 1) == (fact.topic, fact.occur_time, fact.record_time)


def test_where_another_mark_is_past_the_instant_none_is_made() -> None:
    steps = Steps(NOW)
    steps.do(MarkTime(NOW - 5))

    steps.now += 10
    steps.do(MarkTime(NOW - 1))
    assert 1 == len(steps.facts[LEDGER_STREAM])
    steps.do(MarkTime(NOW))
    assert 2 == len(steps.facts[LEDGER_STREAM])


def test_what_else_stands_in_the_logs_own_stream_is_no_mark() -> None:
    steps = Steps(NOW)
    steps.put(LEDGER_STREAM, "ledger.created.v1", LedgerCreated(log_id="l"))

    steps.do(MarkTime(NOW - 1))

    state = steps.state(LEDGER_STREAM)
    assert (2, 2, NOW) == (state.version, state.last_position, state.marked_time)
