"""Facts of two customer ids as those of one person: what only has the same name stays apart (relationship.md 14)."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from ledger.domain.times import timestamp
from ledger.measure.joining import apart
from ledger.measure.measured import Measured
from ledger.measure.outlook import outlook_of
from ledger.measure.record import Record
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import identity_pb2 as identity
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.disclosure_pb2 import PROVENANCE_DECLARED
from rapport.type.v1 import levels_pb2 as levels
from tests.balance_facts import CUSTOMER, leg
from tests.contact_histories import DAY, sent, stream
from tests.measured_histories import START, MeasuredHistory, acted, in_the_way, promised, traded

NOW = START + 60 * DAY


def person(history: MeasuredHistory, customers: str = "ab") -> Measured:
    """Return the measures of some customers as of one person."""
    record, told_apart = Record(), {stream(each): apart(each) for each in customers}
    for name, fact in history.facts:
        if name in told_apart:
            record.evolve(told_apart[name](fact))
    return Measured(record, outlook_of(history.published(), NOW), NOW)


def both(*events: Message, then: Message | None = None) -> MeasuredHistory:
    """Return a history in which the same was recorded of a and of b, a day apart, and then something of b alone."""
    history = MeasuredHistory()
    history.value_euros()
    for number, event in enumerate(events):
        history.add(event, START + number * DAY, customer="a")
        history.add(event, START + number * DAY + DAY // 2, customer="b")
    if then is not None:
        history.add(then, START + 30 * DAY, customer="b")
    return history


def test_a_vector_of_one_is_not_fulfilled_with_that_of_the_other() -> None:
    vectors = person(both(r.VectorOpened(vector_id="v", goal="learn"), then=r.VectorFulfilled(vector_id="v"))).vectors

    open_, fulfilled = levels.VECTOR_STATUS_OPEN, levels.VECTOR_STATUS_FULFILLED
    assert [("a/v", open_), ("b/v", fulfilled)] == [(each.vector_id, each.status) for each in vectors.vectors]
    assert 1 == vectors.open_count.n


def test_an_obstacle_of_one_is_not_removed_with_that_of_the_other() -> None:
    m = person(both(in_the_way("stairs"), then=r.ObstacleRemoved(obstacle_id="stairs")))

    assert ["a/stairs"] == [each.obstacle_id for each in m.record.state.obstacles.open()]


def test_common_ground_of_one_does_not_end_with_that_of_the_other() -> None:
    ground = r.CommonGroundDeclared(item_id="g", ground="gardens", provenance=PROVENANCE_DECLARED)
    m = person(both(ground, then=r.CommonGroundEnded(item_id="g")))

    assert ["a/g"] == [each.item_id for each in m.record.state.common_ground.live()]
    assert m.existence.legs[1].holds


def test_a_point_of_contact_of_one_does_not_leave_with_that_of_the_other() -> None:
    opened = r.PointOfContactOpened(point_of_contact_id="p", side=CUSTOMER)
    m = person(both(opened, then=r.PointOfContactClosed(point_of_contact_id="p")))

    assert ["a/p"] == [each.point_of_contact_id for each in m.record.state.points_of_contact.open()]


def test_people_of_one_name_are_as_many_people_and_the_customer_is_one() -> None:
    named = sent(our_function=i.OUR_FUNCTION_SALES, customer_person_id="p", point_of_contact_id="emma")
    plain = sent(our_function=i.OUR_FUNCTION_SALES)
    history = both(named, plain)
    of_b = next(fact.position for name, fact in history.facts if name == stream("b"))
    history.add(i.InteractionCorrected(original_position=of_b, replacement=named), START + 2 * DAY, customer="b")

    contacts = person(history).contacts

    assert [("", 2), ("a/p", 1), ("b/p", 1)] == [
        (each.customer_person_id, each.interactions) for each in contacts.edges
    ]
    ours = [each.person_id for each in contacts.shares if each.side == x.PARTY_ORGANIZATION]
    assert ["a/emma", "b/emma"] == sorted(ours)


def test_a_promise_of_one_is_not_kept_with_that_of_the_other() -> None:
    m = person(
        both(
            promised("news", days=40),
            identity.PromiseTriggered(promise_id="news"),
            then=identity.PromiseKept(promise_id="news"),
        )
    )

    assert (1, 1) == (m.promises.kept, m.promises.broken)


def test_an_exchange_of_one_is_not_taken_back_with_that_of_the_other() -> None:
    reversal = x.ExchangeReversed(exchange_id="x", reversal_id="r", at_original=True)
    m = person(both(traded("x", paid=500, got=500), then=reversal))

    assert (500, 500) == (m.reciprocity.got_fresh // 10_000_000, m.reciprocity.gave_fresh // 10_000_000)


def test_an_order_of_one_had_no_incentive_because_that_of_the_other_had() -> None:
    discount = x.ExchangeRecorded(exchange_id="x", cause_ref="order-1")
    discount.legs.append(leg(x.PARTY_ORGANIZATION, x.CATEGORY_DISCOUNT, 100, "EUR/2"))
    m = person(both(acted("PURCHASE"), acted("PURCHASE", order_id="order-1"), then=discount))

    assert (3, 2) == (m.preference.repeats, m.preference.unincentivised)


def test_a_guardian_of_one_is_not_released_with_that_of_the_other() -> None:
    appointed = c.GuardianAppointed(guardian_id="g", verification_method="card")
    given = c.ConsentGiven(purposes=["marketing"], indicated_by=c.INDICATED_BY_GUARDIAN, indicated_by_id="g")
    m = person(both(appointed, given, then=c.GuardianReleased(guardian_id="g")))

    live = [each.guardian_id for each in m.record.state.guardians.live(NOW)]
    granted = [each.indicated_by_id for found in m.record.state.consents.acts.grants.values() for each in found]
    assert (["a/g"], ["a/g", "b/g"]) == (live, sorted(granted))


def test_lots_are_those_of_the_own_exchange() -> None:
    redeemed = x.ExchangeRecorded(exchange_id="x-2", replaces="x-1")
    redeemed.lot_uses.add(exchange_id="x-1", grant_leg_no=1, units=5)
    history = both(redeemed)

    told = apart("b")(history.facts[-1][1]).event

    assert isinstance(told, x.ExchangeRecorded)
    assert ("b/x-2", "b/x-1", "b/x-1") == (told.exchange_id, told.replaces, told.lot_uses[0].exchange_id)


@pytest.mark.parametrize(
    "event",
    [
        acted("PURCHASE"),
        identity.IdentifierVerified(contact_point_id="cp", kind="email"),
        c.ConsentGiven(purposes=["marketing"], contact_point_ids=["cp"]),
        r.RelationshipTypeAssessed(slug="hbr:buddies", assessor_id="eva", until=timestamp(NOW)),
    ],
)
def test_what_has_no_name_of_its_relationship_passes_as_it_is(event: Message) -> None:
    fact = both(event).facts[-1][1]

    assert fact is apart("b")(fact)
