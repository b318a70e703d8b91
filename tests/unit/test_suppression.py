"""Suppressions: what stands, what lifts it, and lists that are imported twice."""

import pytest
from google.protobuf.message import Message

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.relationship import RelationshipState
from ledger.domain.suppression import (
    KNOWN,
    SUPPRESSION_ADDED,
    SUPPRESSION_LIFTED,
    AddSuppression,
    ImportSuppression,
    LiftSuppression,
    SuppressionState,
)
from ledger.domain.times import END_OF_TIME, MICROSECONDS
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import (
    SUPPRESSION_REASON_EXTERNAL_LIST,
    SUPPRESSION_REASON_HARD_BOUNCE,
    SUPPRESSION_REASON_LEGAL,
    SuppressionAdded,
    SuppressionLifted,
)
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS
from rapport.events.v1.metadata_pb2 import EventMetadata

NOW = 1_800_000_000 * MICROSECONDS
STREAM = "acme/c-1"
LEGAL = SuppressionAdded(reason=SUPPRESSION_REASON_LEGAL)
BOUNCE = SuppressionAdded(reason=SUPPRESSION_REASON_HARD_BOUNCE, channel=CHANNEL_EMAIL, contact_point_id="cp-1")


def entry(**fields: object) -> SuppressionAdded:
    values: dict[str, object] = {
        "reason": SUPPRESSION_REASON_EXTERNAL_LIST,
        "list_name": "register",
        "list_version": "7",
        "channel": CHANNEL_SMS,
    }
    return SuppressionAdded(**{**values, **fields})  # type: ignore[arg-type]


def fact(position: int, topic: str, event: Message, occur_time: int = NOW) -> Fact:
    return Fact(position, position, NOW, occur_time, topic, event, EventMetadata())


def added(position: int, event: SuppressionAdded, occur_time: int = NOW) -> Fact:
    return fact(position, SUPPRESSION_ADDED, event, occur_time)


def lifted(position: int, added_position: int, occur_time: int = NOW) -> Fact:
    return fact(position, SUPPRESSION_LIFTED, SuppressionLifted(added_position=added_position, reason="x"), occur_time)


def folded(*facts: Fact, until: int = END_OF_TIME) -> SuppressionState:
    state = SuppressionState(until)
    for each in facts:
        state.evolve(each)
    return state


def relationship(*facts: Fact) -> RelationshipState:
    state = RelationshipState()
    for each in facts:
        state.evolve(each)
    return state


def test_what_was_added_stands_in_the_order_of_positions_until_it_is_lifted() -> None:
    state = folded(added(3, LEGAL), added(5, BOUNCE), added(6, LEGAL), lifted(7, 5))

    assert [3, 6] == [each.position for each in state.standing()]
    assert [3, 5, 6] == [each.position for each in state.all()]
    assert (5, 7, NOW) == (
        (found := state.all()[1]).position,
        found.lifted_position,
        found.lifted_time,
    )


def test_a_lifting_ends_one_suppression_and_no_other_of_the_same_content() -> None:
    state = folded(added(3, LEGAL), added(4, LEGAL), lifted(5, 3))

    assert [4] == [each.position for each in state.standing()]


def test_the_first_lifting_counts_and_one_of_nothing_does_nothing() -> None:
    state = folded(lifted(1, 3), added(3, LEGAL), lifted(4, 9), lifted(5, 3), lifted(6, 3))

    found = state.find(3)
    assert found is not None
    assert 5 == found.lifted_position
    assert () == state.standing()


def test_a_view_sees_what_had_occurred_by_its_time() -> None:
    facts = (added(1, LEGAL, NOW - 10), added(2, BOUNCE, NOW), lifted(3, 1, NOW - 5))

    assert [1] == [each.position for each in folded(*facts, until=NOW - 6).standing()]
    assert [] == [each.position for each in folded(*facts, until=NOW - 5).standing()]
    assert [2] == [each.position for each in folded(*facts).standing()]


def test_a_lifting_names_a_suppression_that_stands() -> None:
    lift = LiftSuppression(STREAM, SuppressionLifted(added_position=1, reason="mistake"))

    ((recorded,), _) = lift.decide(relationship(added(1, LEGAL)), Setting(NOW, {}))
    assert (SUPPRESSION_LIFTED, NOW, True) == (recorded.topic, recorded.occur_time, recorded.defaulted)
    for state in (relationship(), relationship(added(2, LEGAL)), relationship(added(1, LEGAL), lifted(2, 1))):
        with pytest.raises(Rejected) as refused:
            lift.decide(state, Setting(NOW, {}))
        assert (reasons.ERROR_REASON_SUPPRESSION_UNKNOWN, {"added_position": "1"}) == (
            refused.value.reason,
            refused.value.metadata,
        )


def test_what_was_added_may_lie_in_the_past_but_not_in_the_future() -> None:
    ((recorded,), _) = AddSuppression(STREAM, LEGAL, NOW - 7).decide(None, Setting(NOW, {}))

    assert (SUPPRESSION_ADDED, NOW - 7, LEGAL) == (recorded.topic, recorded.occur_time, recorded.event)
    with pytest.raises(Rejected) as refused:
        AddSuppression(STREAM, LEGAL, NOW + 10**12).decide(None, Setting(NOW, {}))
    assert reasons.ERROR_REASON_OCCUR_TIME_IN_FUTURE == refused.value.reason


@pytest.mark.parametrize(
    "other, facts",
    [
        pytest.param(entry(), 0, id="the same"),
        pytest.param(entry(list_sha256=b"x" * 32), 0, id="another digest of the same version"),
        pytest.param(entry(list_version="8"), 1, id="the next version"),
        pytest.param(entry(list_name="other"), 1, id="another list"),
        pytest.param(entry(channel=CHANNEL_EMAIL), 1, id="another channel"),
        pytest.param(entry(contact_point_id="cp-1"), 1, id="one contact point"),
    ],
)
def test_an_entry_is_recorded_once_for_each_version_of_a_list(other: SuppressionAdded, facts: int) -> None:
    decision = ImportSuppression(STREAM, other).decide(relationship(added(1, entry())), Setting(NOW, {}))

    assert (facts, b"" if facts else KNOWN) == (len(decision.facts), decision.note)


def test_an_entry_that_was_lifted_is_not_brought_back_by_the_same_version() -> None:
    state = relationship(added(1, entry()), lifted(2, 1))

    assert ((), KNOWN) == ImportSuppression(STREAM, entry()).decide(state, Setting(NOW, {}))


def test_a_suppression_is_something_known_of_the_customer() -> None:
    assert relationship(added(1, LEGAL)).known
