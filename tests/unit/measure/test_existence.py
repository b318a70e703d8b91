"""Existence: three tests, each with its evidence, and when there first was a relationship (relationship.md 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.measure.existence import formed_at
from ledger.measure.measured import Measured
from ledger.measure.outlook import outlook_of
from ledger.measure.results import Existence, Leg
from rapport.events.v1 import disclosure_pb2
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.identity_pb2 import IdentifierRevoked, IdentifierVerified
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.type.v1 import levels_pb2 as levels
from tests.balance_facts import CUSTOMER, ORGANIZATION, leg
from tests.contact_histories import DAY, HOUR, did, moment, sent
from tests.measured_histories import START, MeasuredHistory, acted, traded

KNOW, COMMON, COMMUNICATE = (
    levels.EXISTENCE_LEG_KNOW,
    levels.EXISTENCE_LEG_COMMON,
    levels.EXISTENCE_LEG_COMMUNICATE,
)
W = 180 * DAY


def verified(name: str = "mail") -> IdentifierVerified:
    return IdentifierVerified(contact_point_id=name, kind="email")


def ground(item_id: str = "g", provenance: str = "DECLARED") -> r.CommonGroundDeclared:
    kind = disclosure_pb2.Provenance.Value(f"PROVENANCE_{provenance}")
    return r.CommonGroundDeclared(item_id=item_id, ground="gardens", provenance=kind)


def at_once(*events: tuple[Message, int]) -> MeasuredHistory:
    """Return a history of some events with their times."""
    history = MeasuredHistory()
    for event, at in events:
        history.add(event, at, recorded=max(at, history.facts[-1][1].record_time if history.facts else at))
    return history


def example() -> MeasuredHistory:
    history = MeasuredHistory()
    history.add(verified(), "2026-01-05")
    asked = history.add(did("QUESTION"), "2026-01-10T12:00Z")
    history.add(sent(kind=i.INTERACTION_KIND_ANSWER, in_reply_to=asked), "2026-01-10T15:00Z")
    history.add(ground(), "2026-01-20")
    return history


def exists(history: MeasuredHistory, at: int | str, **more: Any) -> Existence:
    return history.measured(at, until=moment(at) if isinstance(at, str) else at, **more).existence


def formed(history: MeasuredHistory, **more: Any) -> int | None:
    return formed_at(history.record(**more), outlook_of(history.published(), START))


# The example of the page.


def test_the_example_exists_from_the_declaration_of_common_ground_on() -> None:
    history = example()

    before, after = exists(history, moment("2026-01-20") - 1), exists(history, "2026-01-20")

    assert (False, (COMMON,)) == (before.exists, before.missing)
    assert (True, ()) == (after.exists, after.missing)
    assert moment("2026-01-20") == formed(history)


def test_the_example_ends_by_the_clock_when_its_question_leaves_the_window() -> None:
    history, until = example(), moment("2026-07-09T12:00Z")

    last, gone = exists(history, until - 1), exists(history, until)

    assert (True, until) == (last.exists, last.changes_at)
    assert Leg(COMMUNICATE, True, (2, 3), until) == last.legs[2]
    assert (False, (COMMUNICATE,), None) == (gone.exists, gone.missing, gone.changes_at)
    assert moment("2026-01-20") == formed(history), "it was formed, whatever became of it"


def test_each_leg_of_the_example_names_its_events() -> None:
    assert (
        Leg(KNOW, True, (1, 2), None),
        Leg(COMMON, True, (4,), None),
        Leg(COMMUNICATE, True, (2, 3), moment("2026-07-09T12:00Z")),
    ) == exists(example(), "2026-02-01").legs


def test_five_hundred_messages_and_a_row_of_a_crm_are_no_relationship() -> None:
    history = MeasuredHistory()
    imported = i.InteractionRecorded(kind=i.INTERACTION_KIND_VIEW, direction=i.DIRECTION_OBSERVED)
    history.add(imported, START)
    for number in range(500):
        history.add(sent(), START + number * HOUR)

    found = exists(history, START + 500 * HOUR)

    assert (False, (KNOW, COMMON, COMMUNICATE)) == (found.exists, found.missing)
    assert formed(history) is None


# Know.


def test_a_contact_point_and_an_act_that_the_customer_began_make_them_known() -> None:
    only_point = at_once((verified(), START))
    only_act = at_once((acted("VISIT"), START))
    both = at_once((acted("VISIT"), START), (acted("VISIT"), START + 1), (verified(), START + 2))

    assert not exists(only_point, START).legs[0].holds
    assert not exists(only_act, START).legs[0].holds
    assert Leg(KNOW, True, (1, 3), None) == exists(both, START + 2).legs[0]


@pytest.mark.parametrize(
    "event",
    [
        acted("VIEW"),
        acted("CLICK"),
        did("QUESTION", initiator=i.INITIATOR_ORGANIZATION),
        did("QUESTION", direction=i.DIRECTION_OUTBOUND),
    ],
)
def test_what_is_weak_or_not_begun_by_the_customer_makes_nobody_known(event: i.InteractionRecorded) -> None:
    history = at_once((verified(), START), (event, START))

    assert not exists(history, START).legs[0].holds


def test_a_revoked_contact_point_is_known_no_more_and_the_earliest_of_several_is_named() -> None:
    history = at_once(
        (acted("VISIT"), START),
        (verified("one"), START),
        (verified("two"), START + 1),
        (IdentifierRevoked(contact_point_id="one"), START + 2),
        (IdentifierRevoked(contact_point_id="two"), START + 3),
    )

    known = [exists(history, START + later).legs[0] for later in range(4)]

    assert [(1, 2), (1, 2), (1, 3), ()] == [leg.evidence for leg in known]


def test_a_join_is_the_customers_whoever_is_said_to_have_begun_it() -> None:
    joined = i.InteractionRecorded(
        kind=i.INTERACTION_KIND_JOIN, direction=i.DIRECTION_OBSERVED, initiator=i.INITIATOR_ORGANIZATION
    )

    assert exists(at_once((verified(), START), (joined, START)), START).legs[0].holds


# Common.


@pytest.mark.parametrize("provenance", ["INFERRED", "OBSERVED", "THIRD_PARTY", "ASSESSED", "IMPORTED"])
def test_only_declared_ground_is_common(provenance: str) -> None:
    inferred = at_once((ground(provenance=provenance), START))
    replaced = at_once((ground(), START), (ground(provenance=provenance), START + 1))

    assert not exists(inferred, START).legs[1].holds
    assert exists(replaced, START).legs[1].holds
    assert not exists(replaced, START + 1).legs[1].holds


def test_an_exchange_is_common_while_it_stands_and_each_side_gave() -> None:
    one_sided, two_sided = traded("gift", got=100), traded("x", paid=100, got=100)
    reversal = x.ExchangeReversed(exchange_id="x", reversal_id="r")
    history = at_once((one_sided, START), (two_sided, START + 1), (reversal, START + 2))

    found = [exists(history, START + later).legs[1] for later in range(3)]

    assert [(), (2,), ()] == [leg.evidence for leg in found]


def test_a_pending_exchange_is_common_from_its_posting_on_as_far_as_it_was_posted() -> None:
    def held(units: list[int]) -> MeasuredHistory:
        hold = traded("x", paid=100, got=100)
        hold.pending_until.FromMicroseconds(START + DAY)
        return at_once((hold, START), (x.ExchangePosted(exchange_id="x", units=units), START + 5))

    assert not exists(held([100, 100]), START + 4).legs[1].holds
    assert Leg(COMMON, True, (2,), None) == exists(held([100, 100]), START + 5).legs[1]
    assert not exists(held([100, 0]), START + 5).legs[1].holds


def test_a_membership_is_common_until_it_is_left_and_names_the_join_that_began_it() -> None:
    history = at_once(
        (acted("JOIN", programme="club"), START),
        (acted("LEAVE", programme="club"), START + 1),
        (acted("JOIN", programme="club"), START + 2),
        (acted("JOIN", programme="club"), START + 3),
        (acted("LEAVE", programme="forum"), START + 4),
    )

    found = [exists(history, START + later).legs[1].evidence for later in range(5)]

    assert [(1,), (), (3,), (3,), (3,)] == found


def test_each_thing_in_common_is_named_by_its_earliest_event() -> None:
    history = at_once(
        (ground("a"), START),
        (ground("b"), START),
        (traded("x", paid=1, got=1), START),
        (traded("y", paid=1, got=1), START),
        (acted("JOIN"), START),
    )

    assert (1, 3, 5) == exists(history, START).legs[1].evidence


# Communicate.


@pytest.mark.parametrize("age, holds", [(W - 1, True), (W, False), (W + 1, False)])
def test_an_inbound_counts_until_it_is_exactly_as_old_as_the_window(age: int, *, holds: bool) -> None:
    history = at_once((did("MESSAGE"), START), (sent(), START + DAY))

    assert holds is exists(history, START + age).legs[2].holds


def test_a_mutual_communication_goes_both_ways() -> None:
    history = at_once((did("MEETING", direction=i.DIRECTION_MUTUAL), START))

    assert Leg(COMMUNICATE, True, (1,), START + W) == exists(history, START).legs[2]


def test_what_bounced_or_is_addressed_to_nobody_communicates_nothing() -> None:
    bounced = acted("BOUNCED", refers_to=2, initiator=i.INITIATOR_UNSPECIFIED)
    history = at_once((did("MESSAGE"), START), (sent(), START), (bounced, START + 1))
    viewed = at_once((acted("VIEW"), START), (sent(), START))

    assert not exists(history, START + 1).legs[2].holds
    assert not exists(viewed, START).legs[2].holds


def test_the_window_is_that_of_the_policy() -> None:
    history = at_once((did("MESSAGE"), START), (sent(), START))
    short = RelationshipPolicy(window_days=2)

    at = START + 2 * DAY

    assert history.measured(at - 1, under=short).existence.legs[2].until == at
    assert not history.measured(at, under=short).existence.legs[2].holds


def test_who_only_receives_never_has_a_relationship() -> None:
    history = at_once((verified(), START), (ground(), START), *((sent(), START + n * DAY) for n in range(30)))

    assert not any(exists(history, START + n * DAY).exists for n in range(30))
    assert formed(history) is None


# What is taken back.


def test_removing_an_event_that_a_leg_names_never_makes_that_leg_true() -> None:
    history = example()
    whole = exists(history, "2026-02-01")

    for number, leg_ in enumerate(whole.legs):
        for position in leg_.evidence:
            rest = MeasuredHistory()
            rest.facts = [each for each in history.facts if each[1].position != position]
            assert not exists(rest, "2026-02-01").legs[number].holds


def test_a_correction_moves_and_a_retraction_removes_what_a_leg_rests_on() -> None:
    history = example()
    later = did("QUESTION", direction=i.DIRECTION_INBOUND)
    history.add(
        i.InteractionCorrected(original_position=2, replacement=later), "2026-01-12T12:00Z", recorded="2026-01-21"
    )

    corrected = exists(history, "2026-02-01").legs[2]
    history.add(i.InteractionRetracted(original_position=2), "2026-01-22")
    retracted = exists(history, "2026-02-01")

    assert Leg(COMMUNICATE, True, (2, 3), moment("2026-07-09T15:00Z")) == corrected, "the answer is the older one now"
    assert (KNOW, COMMUNICATE) == retracted.missing


# When it was formed.


@pytest.mark.parametrize(
    "arrange",
    [
        lambda: at_once((verified(), START + 9), (did("CALL"), START), (sent(), START + 1), (ground(), START + 2)),
        lambda: at_once((sent(), START + 9), (verified(), START), (did("CALL"), START + 1), (acted("JOIN"), START)),
        lambda: at_once((did("CALL"), START + 9), (verified(), START), (sent(), START + 1), (ground(), START + 2)),
        lambda: at_once(
            (acted("VISIT"), START + 9),
            (verified(), START),
            (did("CALL", initiator=i.INITIATOR_ORGANIZATION, direction=i.DIRECTION_MUTUAL), START + 1),
            (ground(), START + 2),
        ),
        lambda: at_once(
            (traded("x", paid=1, got=1), START + 9), (verified(), START), (did("CALL"), START), (sent(), START + 3)
        ),
    ],
)
def test_it_is_formed_when_the_last_leg_begins_however_late_it_was_heard_of(
    arrange: Callable[[], MeasuredHistory],
) -> None:
    history = arrange()

    assert START + 9 == formed(history)
    assert exists(history, START + 9).exists
    assert not exists(history, START + 8).exists


def test_it_is_formed_though_what_made_it_ended_before_now() -> None:
    history = at_once(
        (verified(), START),
        (did("CALL"), START + 1),
        (sent(), START + 2),
        (ground(), START + 3),
        (r.CommonGroundEnded(item_id="g"), START + 4),
        (IdentifierRevoked(contact_point_id="mail"), START + 5),
    )

    assert START + 3 == formed(history)
    assert not exists(history, START + 4).exists


def test_legs_that_never_held_together_form_nothing() -> None:
    history = at_once(
        (verified(), START),
        (did("CALL"), START + 1),
        (sent(), START + 2),
        (IdentifierRevoked(contact_point_id="mail"), START + 3),
        (ground(), START + 3),
    )

    assert formed(history) is None


def test_an_exchange_reversed_at_its_own_time_formed_nothing() -> None:
    events = (
        (verified(), START),
        (did("CALL"), START),
        (sent(), START),
        (traded("x", paid=1, got=1), START + 1),
        (x.ExchangeReversed(exchange_id="x", reversal_id="r", at_original=True), START + 1),
    )

    assert formed(at_once(*events)) is None
    assert START + 1 == formed(at_once(*events[:-1]))


def test_measures_of_a_record_without_exchanges_of_both_sides_look_at_each_side() -> None:
    legs = [leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 1, "EUR/2"), leg(CUSTOMER, x.CATEGORY_GOODS, 1, "EUR/2")]
    other = [leg(ORGANIZATION, x.CATEGORY_GOODS, 1, "EUR/2"), leg(ORGANIZATION, x.CATEGORY_DISCOUNT, 1, "EUR/2")]
    history = at_once(
        (x.ExchangeRecorded(exchange_id="a", legs=legs), START),
        (x.ExchangeRecorded(exchange_id="b", legs=other), START),
    )

    measured: Measured = history.measured(START)

    assert not measured.existence.legs[1].holds
