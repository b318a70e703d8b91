"""Promises kept: relationship.md 12, settled.md 43 and 48."""

from __future__ import annotations

import pytest

from ledger.measure.promises import Broken, broken
from ledger.measure.results import Promises
from rapport.events.v1 import identity_pb2
from rapport.events.v1.identity_pb2 import PromiseCancelled, PromiseKept, PromiseTriggered
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE, UNKNOWN_REASON_NOTHING_MATURED
from tests.contact_histories import DAY, moment
from tests.measured_histories import MeasuredHistory, promised

MAY_1 = moment("2026-05-01T00:00Z")
MAY_8 = moment("2026-05-08T00:00Z")


def history(*promise_ids: str) -> MeasuredHistory:
    """Return a history of promises about books, each made in April and triggered on the first of May."""
    made = MeasuredHistory()
    for promise_id in promise_ids:
        made.add(promised(promise_id, "books"), MAY_1 - 20 * DAY)
    for promise_id in promise_ids:
        made.add(PromiseTriggered(promise_id=promise_id), MAY_1)
    return made


def kept(made: MeasuredHistory, at: int) -> Promises:
    return made.measured(at).promises


def test_the_next_chabon_is_broken_at_the_due_instant_and_not_before() -> None:
    made = history("chabon")

    before, due = kept(made, MAY_8 - 1), kept(made, MAY_8)

    assert (0, 0, 1, MAY_8) == (before.kept, before.broken, before.due, before.changes_at)
    assert UNKNOWN_REASON_NOTHING_MATURED == before.kept_rate.unknown
    assert (0, 1, 0, 0, None) == (due.kept, due.broken, due.kept_rate.ppm, due.due, due.changes_at)
    assert (1,) == due.evidence
    assert [] == broken(made.measured(MAY_8 - 1))
    assert [Broken("chabon", "books", MAY_8, 1)] == broken(made.measured(MAY_8))


@pytest.mark.parametrize("at, expected", [(MAY_8 - 1, (1, 0)), (MAY_8, (0, 1)), (MAY_8 + DAY, (0, 1))])
def test_kept_at_the_due_instant_is_kept_late_and_the_breach_stays(at: int, expected: tuple[int, int]) -> None:
    made = history("chabon")
    made.add(PromiseKept(promise_id="chabon"), at)

    found = kept(made, MAY_8 + 2 * DAY)

    assert expected == (found.kept, found.broken)
    assert expected[1] == len(broken(made.measured(MAY_8 + 2 * DAY)))
    assert (0, None) == (found.due, found.changes_at)


def test_no_promise_fell_due_is_not_known() -> None:
    assert UNKNOWN_REASON_NO_EVIDENCE == kept(MeasuredHistory(), MAY_1).kept_rate.unknown
    made = MeasuredHistory()
    made.add(promised("never"), MAY_1)
    assert (UNKNOWN_REASON_NO_EVIDENCE, None) == (kept(made, MAY_8).kept_rate.unknown, kept(made, MAY_8).changes_at)


def test_one_that_is_given_up_in_time_is_neither_and_given_up_late_it_is_broken() -> None:
    made = history("denied", "forgotten")
    denied = identity_pb2.PROMISE_CANCEL_REASON_CONTACT_DENIED
    made.add(PromiseCancelled(promise_id="denied", reason=denied), MAY_1 + DAY)
    made.add(PromiseCancelled(promise_id="forgotten", reason=denied), MAY_8)

    assert (0, 1) == (kept(made, MAY_8).kept, kept(made, MAY_8).broken)
    assert ["forgotten"] == [each.promise_id for each in broken(made.measured(MAY_8))]


def test_the_rate_is_of_all_that_fell_due_and_breaches_come_in_the_order_of_their_instants() -> None:
    made = history("a", "b", "c")
    made.add(promised("d", days=1), MAY_1)
    made.add(PromiseTriggered(promise_id="d"), MAY_1)
    made.add(PromiseKept(promise_id="a"), MAY_1 + 3 * DAY)
    made.add(PromiseKept(promise_id="b"), MAY_8)

    found = kept(made, MAY_8)

    assert (1, 3, 250_000) == (found.kept, found.broken, found.kept_rate.ppm)
    assert ["d", "b", "c"] == [each.promise_id for each in broken(made.measured(MAY_8))]
    assert MAY_8 == kept(made, MAY_8 - 1).changes_at


def test_the_kept_rate_agrees_with_that_of_the_state() -> None:
    made = history("a", "b", "c")
    made.add(PromiseKept(promise_id="b"), MAY_1)
    for at in (MAY_8 - 1, MAY_8, MAY_8 + DAY):
        state = made.record().state.promises
        found = kept(made, at)
        assert state.kept_rate(at) == (found.kept, found.broken)
        assert {promise.message.promise_id for promise in state.broken(at)} == {
            each.promise_id for each in broken(made.measured(at))
        }
