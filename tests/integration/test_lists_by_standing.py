"""ListRelationships by how relationships stand: what a fold from zero measures, now and as of the past."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from ledger.domain.identifiers import policy_stream, relationship_stream
from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME, microseconds, timestamp
from ledger.measure.measured import Measured
from ledger.measure.outlook import outlook_of
from ledger.measure.reciprocity import exact_index
from ledger.measure.record import Record
from rapport.events.v1 import relationship_pb2 as facts
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.explaining_pb2 import Standing
from rapport.relationship.v1.relationship_pb2 import Relationship
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1 import levels_pb2 as levels
from rapport.type.v1.as_of_pb2 import AsOf
from services.relationship import lists, servicer
from services.runtime.run import ServiceModule
from services.runtime.settings import Secret
from tests.changed_histories import ChangedHistory
from tests.contact_histories import DAY
from tests.measured_histories import START, MeasuredDraw
from tests.refusals import fields_of, status_of
from tests.server import Serving, serving
from tests.told_histories import Clock, begun, clock_of_tests, log_of, tell

MODULES: tuple[ServiceModule, ...] = (servicer,)
CUSTOMERS: Final = [f"c-{number:02}" for number in range(24)]
WISHES: Final = ("hbr:basic-exchange", "hbr:one-night-stand", "hbr:old-friends", "hbr:best-friends")
CROSSING: Final = pb.RELATIONSHIP_ORDER_NEXT_CROSSING_ASCENDING
INTERACTIONS: Final = pb.RELATIONSHIP_ORDER_INTERACTIONS_DESCENDING


class Draw(MeasuredDraw):
    """Draws the histories of many customers, some of whom say what they wish."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, 200)
        self.history = begun(START)
        self.history.value_euros()
        self.by_customer: dict[str, list[int]] = {}

    def add(self, recorded: int) -> None:
        draw = self.random
        # The first ones do most of it, and the last ones next to nothing.
        customer = CUSTOMERS[min(draw.randrange(24), draw.randrange(24))]
        self.interactions = self.by_customer.setdefault(customer, [])
        late = 0 if draw.random() < 0.9 else draw.randrange(10) * DAY
        event = draw.choice(self._kinds())(recorded)
        if draw.random() < 0.06:
            event = facts.RelationshipTypeDeclared(slug=draw.choice(WISHES))
        position = self.history.add(event, max(START, recorded - late), customer=customer, recorded=recorded)
        if type(event).__name__ == "InteractionRecorded":
            self.interactions.append(position)


def drawn(seed: int, events: int = 420) -> ChangedHistory:
    draw = Draw(seed)
    end = draw.fill(events)
    assert isinstance(draw.history, ChangedHistory)
    draw.history.mark(end + 20 * DAY)
    return draw.history


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clock_of_tests(monkeypatch)


@pytest.fixture
async def server(tmp_path: Path, clock: Clock, seed: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    monkeypatch.setattr(lists, "_ASKED_AT_ONCE", 5)
    async with serving(tmp_path, MODULES) as running:
        await tell(running, clock, drawn(seed))
        yield running


class FromZero:
    """How customers stand by a fold of the log from its first event."""

    def __init__(self, server: Serving, at: int, position: int) -> None:
        self.at = at
        self.records: dict[str, Record] = {}
        published = PolicyState()
        for stream_id, fact in log_of(server.app.ledger.store):
            if fact.position <= position and stream_id == policy_stream("acme"):
                published.evolve(fact)
            for customer in CUSTOMERS:
                if fact.position <= position and stream_id == relationship_stream("acme", customer):
                    self.records.setdefault(customer, Record(at)).evolve(fact)
        self.published = published
        self.standings = {customer: self.levels(customer, at) for customer in self.records}

    def measured(self, customer: str, at: int) -> Measured:
        return Measured(self.records[customer], outlook_of(self.published, at), at)

    def levels(self, customer: str, at: int) -> Standing:
        """Return the levels, without when they change next."""
        m = self.measured(customer, at)
        index = exact_index(m)
        return Standing(
            exists=m.existence.exists,
            lifecycle=m.lifecycle.lifecycle,
            band=m.strength.band,
            broadcast=m.conversation.broadcast,
            imbalanced=index is not None and index < m.outlook.rules.imbalance_below,
            mismatched=bool(m.types.mismatches),
            shape=m.contacts.shape,
            desired_slug=m.types.desired_slug,
            actual_slug=m.types.actual_slug,
            personae=[each.persona_id for each in m.personae],
        )

    def interactions(self, customer: str) -> int:
        return self.records[customer].state.interactions.totals().count


Question = tuple[dict[str, Any], Callable[[Standing], bool]]
QUESTIONS: Final[list[Question]] = [
    ({}, lambda _: True),
    *(({"lifecycles": [each]}, lambda s, each=each: s.lifecycle == each) for each in levels.Lifecycle.values()[1:]),
    ({"lifecycles": [2, 3]}, lambda s: s.lifecycle in {2, 3}),
    *(({"bands": [each]}, lambda s, each=each: s.band == each) for each in levels.StrengthBand.values()[1:]),
    *(({"shapes": [each]}, lambda s, each=each: s.shape == each) for each in levels.ContactShape.values()[1:]),
    *(
        ({name: wanted}, lambda s, name=name, wanted=wanted: getattr(s, name) == wanted)
        for name in ("exists", "broadcast", "imbalanced", "mismatched")
        for wanted in (True, False)
    ),
    *(({"desired_slug": slug}, lambda s, slug=slug: s.desired_slug == slug) for slug in WISHES),
    *(({"actual_slug": slug}, lambda s, slug=slug: s.actual_slug == slug) for slug in WISHES),
    ({"exists": True, "bands": [1], "imbalanced": False}, lambda s: s.exists and s.band == 1 and not s.imbalanced),
]


def listing(**more: Any) -> pb.ListRelationshipsRequest:
    return pb.ListRelationshipsRequest(organization_id="acme", page_size=7, **more)


async def all_pages(server: Serving, request: pb.ListRelationshipsRequest) -> list[Relationship]:
    found: list[Relationship] = []
    stub = RelationshipServiceStub(server.channel)
    while True:
        page = await stub.ListRelationships(request)
        found += page.relationships
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def without_crossing(told: Standing) -> Standing:
    bare = Standing()
    bare.CopyFrom(told)
    bare.ClearField("next_crossing_time")
    return bare


async def check_lists(server: Serving, zero: FromZero, questions: Sequence[Question] = QUESTIONS, **where: Any) -> int:
    """Ask questions in three orders, with and without another filter; return how many answers were not empty."""
    some = 0
    for number, (chosen, admits) in enumerate(questions):
        expected = {name for name, each in zero.standings.items() if admits(each)}
        for narrow in (0, 8) if number % 4 == 0 else (0,):
            names = sorted(name for name in expected if zero.interactions(name) >= narrow)
            chosen_filter = {"standing": chosen, "interactions_min": narrow}
            found = await all_pages(server, listing(filter=chosen_filter, **where))
            assert names == [each.customer_id for each in found], (chosen, narrow)
            for each in found:
                assert zero.standings[each.customer_id] == without_crossing(each.standing), each.customer_id
            by_count = await all_pages(server, listing(filter=chosen_filter, order_by=INTERACTIONS, **where))
            ranked = sorted(names, key=lambda name: (-zero.interactions(name), name))
            assert ranked == [each.customer_id for each in by_count], (chosen, narrow)
            await check_crossings(server, zero, found, chosen_filter, where)
            some += bool(names)
    return some


async def check_crossings(
    server: Serving, zero: FromZero, found: list[Relationship], chosen: Any, where: dict[str, Any]
) -> None:
    """Hold the order by next crossing, and a bound on it, to what a list told."""
    crossings = {
        each.customer_id: microseconds(each.standing.next_crossing_time)
        for each in found
        if each.standing.HasField("next_crossing_time")
    }
    ranked = sorted(crossings, key=lambda name: (crossings[name], name))
    told = await all_pages(server, listing(filter=chosen, order_by=CROSSING, **where))
    assert ranked == [each.customer_id for each in told]
    if crossings:
        bound = sorted(crossings.values())[len(crossings) // 2]
        before = {**chosen, "standing": {**chosen["standing"], "next_crossing_time_before": timestamp(bound)}}
        told = await all_pages(server, listing(filter=before, order_by=CROSSING, **where))
        assert [name for name in ranked if crossings[name] < bound] == [each.customer_id for each in told]


async def check_that_nothing_changes_before(zero: FromZero, found: list[Relationship]) -> None:
    for each in found:
        name, crossing = each.customer_id, END_OF_TIME
        if each.standing.HasField("next_crossing_time"):
            crossing = microseconds(each.standing.next_crossing_time)
        assert crossing > zero.at, name
        last = min(crossing - 1, zero.at + 400 * DAY)
        for at in (last, zero.at + (last - zero.at) // 2):
            assert zero.standings[name] == zero.levels(name, at), (name, at)


async def test_every_list_says_what_a_fold_from_zero_measures(server: Serving) -> None:
    head = server.app.ledger.head
    zero = FromZero(server, head.record_time, head.position)

    some = await check_lists(server, zero, min_position=head.position)

    assert some > len(QUESTIONS) / 2  # Most of them have somebody to tell of.
    assert len(set(map(str, zero.standings.values()))) > 5
    everybody = await all_pages(server, listing(filter={"standing": {}}))
    await check_that_nothing_changes_before(zero, everybody)


async def test_lists_of_the_past_say_what_a_fold_from_zero_measures(server: Serving, seed: int) -> None:
    chance = random.Random(seed)
    log = log_of(server.app.ledger.store)
    for position, days in ((chance.randrange(150, 300), 0), (len(log), 60)):
        at = log[position - 1][1].record_time - days * DAY
        zero = FromZero(server, at, position)
        view = AsOf(occur_time=timestamp(at), position=position)

        await check_lists(server, zero, [QUESTIONS[0], *chance.sample(QUESTIONS, 7)], as_of=view)
        everybody = await all_pages(server, listing(filter={"standing": {}}, as_of=view))
        await check_that_nothing_changes_before(zero, everybody)


async def test_a_list_about_something_else_tells_no_standing(server: Serving) -> None:
    for found in await all_pages(server, listing()):
        assert not found.HasField("standing")
        assert not found.HasField("measures")


async def test_an_order_by_crossing_needs_the_filter(server: Serving) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await all_pages(server, listing(order_by=CROSSING))

    assert ["filter.standing"] == fields_of(status_of(refused.value))


async def test_a_position_that_was_not_looked_through_is_waited_for(server: Serving) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await RelationshipServiceStub(server.channel).ListRelationships(
            listing(filter={"standing": {}}, min_position=10_000), timeout=1
        )

    assert "PROJECTION_BEHIND" in (refused.value.details() or "")


@pytest.mark.postgres
async def test_it_is_the_same_on_postgresql(
    tmp_path: Path, postgres_url: str, clock: Clock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_ASKED_AT_ONCE", 5)
    async with serving(tmp_path, MODULES, store_url=Secret(postgres_url)) as running:
        await tell(running, clock, drawn(seed + 1, 200))
        head = running.app.ledger.head
        await check_lists(running, FromZero(running, head.record_time, head.position), min_position=head.position)
