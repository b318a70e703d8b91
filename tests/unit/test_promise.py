"""Promises: due by the clock, broken without an event, kept late, given up (relationship.md 12)."""

from typing import Any

import pytest

from ledger.domain.fact import Fact
from ledger.domain.interaction import RecordInteraction
from ledger.domain.promise import (
    CancelPromise,
    KeepPromise,
    MakePromise,
    PromiseState,
    Standing,
    TriggerPromise,
    noted_due,
)
from ledger.domain.times import MICROSECONDS, text, timestamp
from rapport.events.v1 import contact_pb2, identity_pb2
from rapport.events.v1.contact_pb2 import ContactDecided
from rapport.events.v1.identity_pb2 import PromiseCancelled, PromiseKept, PromiseMade, PromiseTriggered
from rapport.events.v1.interaction_pb2 import InteractionRecorded
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, RelationshipPolicyPublished
from tests.stepping import Steps

DAY = 86_400 * MICROSECONDS
MAY_1 = 1_777_593_600 * MICROSECONDS
"""2026-05-01T00:00Z."""
NOW = MAY_1 + 30 * DAY
STREAM, POLICY = "acme/c-1", "acme/@policy"
IMPOSSIBLE = identity_pb2.PROMISE_CANCEL_REASON_IMPOSSIBLE


@pytest.fixture
def steps() -> Steps:
    return Steps(NOW)


def make(promise_id: str = "p-1", at: int | None = MAY_1 - DAY, **more: Any) -> MakePromise:
    fields: dict[str, Any] = {"kind": identity_pb2.PROMISE_KIND_NOTIFY_ME, "topic": "chabon", **more}
    return MakePromise(STREAM, PromiseMade(promise_id=promise_id, **fields), at)


def trigger(promise_id: str = "p-1", at: int | None = MAY_1) -> TriggerPromise:
    return TriggerPromise(STREAM, PromiseTriggered(promise_id=promise_id), at)


def keep(promise_id: str = "p-1", at: int | None = None, interaction_position: int = 0) -> KeepPromise:
    return KeepPromise(STREAM, PromiseKept(promise_id=promise_id, interaction_position=interaction_position), at)


def cancel(
    promise_id: str = "p-1",
    at: int | None = None,
    reason: Any = identity_pb2.PROMISE_CANCEL_REASON_CUSTOMER_ASKED,
    decision_id: int = 0,
) -> CancelPromise:
    event = PromiseCancelled(promise_id=promise_id, reason=reason, decision_id=decision_id)
    return CancelPromise(STREAM, event, at)


def published(version: int, promise_days: int, since: int) -> RelationshipPolicyPublished:
    policy = RelationshipPolicy(version=version, promise_days=promise_days, effective_from_time=timestamp(since))
    return RelationshipPolicyPublished(policy=policy)


def decided(steps: Steps, outcome: Any) -> int:
    """Put a contact decision on record; return its decision_id."""
    return steps.put(STREAM, "contact.decided.v1", ContactDecided(outcome=outcome))


def standing(steps: Steps, at: int, promise_id: str = "p-1") -> str:
    """Return where a promise stands in a view as of an instant."""
    promise = steps.as_of(STREAM, at).promises.find(promise_id)
    assert promise is not None
    return promise.standing(at).name


def test_what_was_promised_to_the_reader_of_chabon_is_broken_at_the_eighth_of_may(steps: Steps) -> None:
    steps.do(make())
    (decision,) = steps.do(trigger())

    due = noted_due(decision.note)
    assert "2026-05-08T00:00:00.000000Z" == text(due)
    assert ["OPEN", "TRIGGERED", "TRIGGERED", "BROKEN", "BROKEN"] == [
        standing(steps, at) for at in (MAY_1 - 1, MAY_1, due - 1, due, NOW)
    ]
    assert 2 == len(steps.facts[STREAM])


@pytest.mark.parametrize(
    "after, expected",
    [(0, Standing.KEPT), (7 * DAY - 1, Standing.KEPT), (7 * DAY, Standing.KEPT_LATE), (8 * DAY, Standing.KEPT_LATE)],
)
def test_at_due_it_is_too_late_and_kept_later_it_is_kept_late(steps: Steps, after: int, expected: Standing) -> None:
    steps.do(make())
    steps.do(trigger())

    (decision,) = steps.do(keep(at=MAY_1 + after))

    assert bytes((expected,)) == decision.note
    assert expected.name == standing(steps, NOW)


def test_a_breach_stays_in_history_when_the_promise_is_kept_late(steps: Steps) -> None:
    steps.do(make(), trigger())
    steps.do(keep(at=MAY_1 + 9 * DAY))

    assert "BROKEN" == standing(steps, MAY_1 + 8 * DAY)
    assert "KEPT_LATE" == standing(steps, MAY_1 + 9 * DAY)
    assert (0, 1) == steps.state(STREAM).promises.kept_rate(NOW)


def test_a_promise_that_waits_is_open_for_ever(steps: Steps) -> None:
    steps.do(make())

    assert "OPEN" == standing(steps, NOW)
    assert None is steps.state(STREAM).promises.kept_rate(NOW).ppm


def test_the_time_that_a_promise_allows_itself_is_its_own(steps: Steps) -> None:
    steps.do(make(sla_seconds=60), trigger())

    assert "TRIGGERED" == standing(steps, MAY_1 + 60 * MICROSECONDS - 1)
    assert "BROKEN" == standing(steps, MAY_1 + 60 * MICROSECONDS)


def test_a_promise_without_a_time_of_its_own_has_that_of_the_policy_in_force_and_keeps_it(steps: Steps) -> None:
    steps.put(POLICY, "policy.relationship_published.v1", published(1, promise_days=3, since=MAY_1 - 2 * DAY))
    steps.do(make("before", at=MAY_1 - 3 * DAY), make("since"), make("own", sla_seconds=60))
    steps.put(POLICY, "policy.relationship_published.v1", published(2, promise_days=9, since=MAY_1 - 2 * DAY))

    found = {name: steps.state(STREAM).promises.find(name) for name in ("before", "since", "own")}

    days = 86_400
    assert {"before": 7 * days, "since": 3 * days, "own": 60} == {
        name: promise.message.sla_seconds for name, promise in found.items() if promise is not None
    }


def test_the_rate_counts_what_was_kept_in_time_of_what_fell_due(steps: Steps) -> None:
    for name in ("kept", "late", "broken", "waiting", "open", "given-up"):
        steps.do(make(name))
    for name in ("kept", "late", "broken", "given-up"):
        steps.do(trigger(name))
    steps.do(trigger("waiting", NOW - DAY))
    steps.do(keep("kept", MAY_1 + DAY), keep("late", MAY_1 + 7 * DAY), cancel("given-up", MAY_1 + DAY))

    rate = steps.state(STREAM).promises.kept_rate(NOW)

    assert ((1, 2), 333_333) == (rate, rate.ppm)
    assert (1, 0) == steps.as_of(STREAM, MAY_1 + 7 * DAY - 1).promises.kept_rate(MAY_1 + 7 * DAY - 1)


def test_the_rate_of_none_is_unknown_and_of_all_kept_is_whole(steps: Steps) -> None:
    assert PromiseState().kept_rate(NOW).ppm is None
    steps.do(make(), trigger(), keep(at=MAY_1 + 1))
    assert 1_000_000 == steps.state(STREAM).promises.kept_rate(NOW).ppm


def test_an_id_is_used_once(steps: Steps) -> None:
    steps.do(make())

    assert ("PROMISE_ID_TAKEN", {"promise_id": "p-1", "position": "1"}) == steps.refused(make())


def test_what_was_not_promised_by_then_is_unknown(steps: Steps) -> None:
    steps.do(make())

    for step in (trigger("p-2"), keep("p-2"), cancel("p-2"), trigger(at=MAY_1 - 2 * DAY), cancel(at=MAY_1 - 2 * DAY)):
        assert "PROMISE_UNKNOWN" == steps.refused(step)[0]


def test_a_promise_is_triggered_once(steps: Steps) -> None:
    steps.do(make(), trigger())

    reason, values = steps.refused(trigger(at=NOW))

    assert ("PROMISE_NOT_OPEN", "BROKEN") == (reason, values["state"])


def test_a_promise_is_not_kept_before_what_it_waits_for(steps: Steps) -> None:
    steps.do(make())
    assert ("PROMISE_NOT_OPEN", "OPEN") == _told(steps.refused(keep()))
    steps.do(trigger())
    assert ("PROMISE_NOT_OPEN", "OPEN") == _told(steps.refused(keep(at=MAY_1 - 1)))
    steps.do(keep(at=MAY_1))


def test_what_is_over_is_over(steps: Steps) -> None:
    steps.do(make("kept"), trigger("kept"), keep("kept", MAY_1 + 1))
    steps.do(make("late"), trigger("late"), keep("late"))
    steps.do(make("given-up"), cancel("given-up"))

    states = {"kept": "KEPT", "late": "KEPT_LATE", "given-up": "CANCELLED"}
    for promise_id, state in states.items():
        for step in (trigger(promise_id), keep(promise_id), cancel(promise_id)):
            assert ("PROMISE_NOT_OPEN", state) == _told(steps.refused(step))


def test_a_promise_is_given_up_before_it_is_due_and_a_breach_stays_one(steps: Steps) -> None:
    steps.do(make(), trigger())
    due = MAY_1 + 7 * DAY

    assert ("PROMISE_NOT_OPEN", "BROKEN") == _told(steps.refused(cancel(at=due)))
    assert ("PROMISE_NOT_OPEN", "BROKEN") == _told(steps.refused(cancel()))
    steps.do(cancel(at=due - 1))

    assert "CANCELLED" == standing(steps, NOW)
    assert "TRIGGERED" == standing(steps, due - 2)
    assert (0, 0) == steps.state(STREAM).promises.kept_rate(NOW)


def test_a_denied_contact_gives_up_a_promise_and_only_with_a_decision_that_denied(steps: Steps) -> None:
    denied, permitted = (decided(steps, outcome) for outcome in (
        contact_pb2.DECISION_OUTCOME_DENY, contact_pb2.DECISION_OUTCOME_PERMIT,
    ))  # fmt: skip
    steps.do(make())
    because = identity_pb2.PROMISE_CANCEL_REASON_CONTACT_DENIED

    assert ("DECISION_UNKNOWN", {"decision_id": "99"}) == steps.refused(cancel(reason=because, decision_id=99))
    assert "REQUEST_INVALID" == steps.refused(cancel(reason=because, decision_id=permitted))[0]
    steps.do(cancel(reason=because, decision_id=denied))
    assert "CANCELLED" == standing(steps, NOW)


def test_the_interaction_that_kept_a_promise_is_one_of_the_relationship(steps: Steps) -> None:
    steps.do(make(), trigger())
    steps.do(RecordInteraction(STREAM, InteractionRecorded()))

    assert "INTERACTION_UNKNOWN" == steps.refused(keep(interaction_position=1))[0]
    steps.do(keep(interaction_position=3))


def test_a_fold_takes_whatever_was_recorded(steps: Steps) -> None:
    state = PromiseState()
    for position, (topic, event) in enumerate((
        ("promise.kept.v1", PromiseKept(promise_id="never-made")),
        ("promise.made.v1", PromiseMade(promise_id="p-1")),
        ("promise.made.v1", PromiseMade(promise_id="p-1", sla_seconds=5)),
        ("promise.triggered.v1", PromiseTriggered(promise_id="p-1")),
        ("promise.triggered.v1", PromiseTriggered(promise_id="p-1")),
        ("promise.cancelled.v1", PromiseCancelled(promise_id="p-1", reason=IMPOSSIBLE)),
        ("promise.kept.v1", PromiseKept(promise_id="p-1")),
    ), start=1):  # fmt: skip
        state.evolve(Fact(position, position, NOW, MAY_1 + position * DAY * 2, topic, event, EventMetadata()))

    (promise,) = state.all()
    assert (0, MAY_1 + 8 * DAY, MAY_1 + 15 * DAY) == (
        promise.message.sla_seconds,
        promise.triggered_time,
        promise.due_time,
    )
    assert (6, Standing.CANCELLED) == (promise.ended_position, promise.standing(NOW))


def test_a_promise_that_was_given_up_after_its_time_stays_broken() -> None:
    state = PromiseState()
    for position, (topic, at, event) in enumerate((
        ("promise.made.v1", 0, PromiseMade(promise_id="p-1")),
        ("promise.triggered.v1", 0, PromiseTriggered(promise_id="p-1")),
        ("promise.cancelled.v1", 7 * DAY, PromiseCancelled(promise_id="p-1", reason=IMPOSSIBLE)),
    ), start=1):  # fmt: skip
        state.evolve(Fact(position, position, NOW, MAY_1 + at, topic, event, EventMetadata()))

    assert (0, 1) == state.kept_rate(NOW)


def _told(refused: tuple[str, dict[str, str]]) -> tuple[str, str]:
    reason, values = refused
    return reason, values["state"]
