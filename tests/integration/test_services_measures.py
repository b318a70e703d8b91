"""Measures of relationships through gRPC: live and on demand, what-ifs, persons, explanations; nothing unknown as 0."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from ledger.domain.times import timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import persona_pb2 as p
from rapport.events.v1.exchange_pb2 import ExchangePosted
from rapport.events.v1.identity_pb2 import PromiseKept, PromiseTriggered
from rapport.events.v1.relationship_pb2 import ObstacleRemoved, ObstacleReported, VectorFulfilled, VectorOpened
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, RelationshipPolicyPublished, StrengthRules
from rapport.relationship.v1 import explaining_pb2 as why
from rapport.relationship.v1 import measures_pb2 as m
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.relationship_pb2 import Relationship
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1 import levels_pb2 as levels
from rapport.type.v1.as_of_pb2 import AsOf
from services.relationship import servicer
from services.runtime.run import ServiceModule
from services.runtime.settings import Secret
from tests.changed_histories import ChangedHistory
from tests.contact_histories import DAY, instant
from tests.measured_histories import MeasuredDraw, acted, promised, told, traded
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import Serving, serving
from tests.told_histories import Clock, begun, clock_of_tests, tell

MODULES: tuple[ServiceModule, ...] = (servicer,)
BEGIN: Final = instant("2026-01-01")
PERSON: Final = levels.VIEW_SCOPE_PERSON
RECIPROCITY: Final = levels.STRENGTH_COMPONENT_RECIPROCITY
ALWAYS: Final = {
    "next_crossing_time", "relationship_policy_version", "contact_policy_version", "types_version", "scope",
    "valuation_policy_id", "what_if", "person_customer_ids",
}  # fmt: skip
"""Fields of every answer, whatever groups are asked for."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clock_of_tests(monkeypatch)


@pytest.fixture
async def server(tmp_path: Path, clock: Clock) -> AsyncIterator[Serving]:
    clock.now = BEGIN
    async with serving(tmp_path, MODULES) as running:
        yield running


def a_draw(seed: int, customers: str = "ab") -> MeasuredDraw:
    """Return a draw of a history of some customers."""

    class Draw(MeasuredDraw):
        def add(self, recorded: int) -> None:
            customer = self.random.choice(customers)
            late = 0 if self.random.random() < 0.8 else self.random.randrange(30) * DAY
            event = self.random.choice(self._kinds())(recorded)
            at = max(BEGIN, recorded - late)
            position = self.history.add(event, at, customer=customer, recorded=recorded)
            if isinstance(event, i.InteractionRecorded):
                self.interactions.append(position)

    draw = Draw(seed)
    draw.history = begun(BEGIN)
    draw.history.value_euros()
    return draw


def ask(customer: str = "a", **more: Any) -> pb.GetRelationshipRequest:
    return pb.GetRelationshipRequest(organization_id="acme", customer_id=customer, **more)


async def get(server: Serving, customer: str = "a", **more: Any) -> Relationship:
    return (await RelationshipServiceStub(server.channel).GetRelationship(ask(customer, **more))).relationship


def view(at: int | str, position: int = 0) -> AsOf:
    found = AsOf(occur_time=timestamp(instant(at)))
    if position:
        found.position = position
    return found


def ids(customer: str = "a") -> dict[str, Any]:
    return {"organization_id": "acme", "customer_id": customer}


# --- Live and on demand -----------------------------------------------------------------------------------------------


async def check_every_position(server: Serving, clock: Clock, seed: int, events: int) -> None:
    draw = a_draw(seed)
    draw.fill(events)
    history = draw.history
    assert isinstance(history, ChangedHistory)
    live: list[Relationship] = []
    for number, (stream_id, fact) in enumerate(history.facts[1:], 1):
        await tell(server, clock, history, number, number + 1)
        if stream_id.rpartition("/")[2] in {"a", "b"}:
            clock.now = fact.record_time + (number % 3) * DAY // 7
            live.append(await get(server, stream_id.rpartition("/")[2]))
            clock.now = fact.record_time

    assert len(live) > events / 2
    for then in live:
        again = await get(server, then.customer_id, as_of=then.as_of)
        assert then == again, f"position {then.position} of {then.customer_id}"
        assert then.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)


async def test_what_was_live_is_what_is_folded_on_demand_at_every_position(
    server: Serving, clock: Clock, seed: int
) -> None:
    await check_every_position(server, clock, seed, 70)


@pytest.mark.postgres
async def test_it_is_so_on_postgresql(tmp_path: Path, postgres_url: str, clock: Clock, seed: int) -> None:
    clock.now = BEGIN
    async with serving(tmp_path, MODULES, store_url=Secret(postgres_url)) as running:
        await check_every_position(running, clock, seed + 1, 30)


async def test_the_past_is_seen_on_both_axes(server: Serving, clock: Clock) -> None:
    history = begun(BEGIN)
    history.add(acted("PURCHASE"), "2026-01-10", customer="a")
    late = history.add(acted("PURCHASE"), "2026-01-05", customer="a", recorded="2026-02-01")
    await tell(server, clock, history)

    async def sessions(as_of: AsOf) -> int:
        return (await get(server, as_of=as_of)).measures.lifecycle.sessions

    assert 2 == await sessions(view("2026-01-10T12:00Z"))
    assert 1 == await sessions(view("2026-01-10T12:00Z", late - 1))
    assert 1 == await sessions(view("2026-01-06"))
    assert 0 == await sessions(view("2026-01-06", late - 1))


# --- Groups -----------------------------------------------------------------------------------------------------------


async def filled(server: Serving, clock: Clock, seed: int = 1) -> ChangedHistory:
    draw = a_draw(seed)
    draw.fill(80)
    history = draw.history
    assert isinstance(history, ChangedHistory)
    await tell(server, clock, history)
    return history


async def test_all_groups_come_by_default_and_chosen_ones_alone(server: Serving, clock: Clock) -> None:
    await filled(server, clock)
    whole = (await get(server)).measures
    groups = [group for group in why.MeasureGroup.values() if group]

    every = {field.name for field, _ in whole.ListFields()} - ALWAYS
    seen: set[str] = set()
    for group in groups:
        part = (await get(server, measures=[group])).measures
        fields = {field.name for field, _ in part.ListFields()} - ALWAYS
        for name in fields:
            assert getattr(whole, name) == getattr(part, name), name
        assert not fields & seen, "no measure is of two groups"
        seen |= fields

    assert every == seen
    singular = {field.name for field in m.Measures.DESCRIPTOR.fields if field.message_type and not field.is_repeated}
    assert singular - ALWAYS <= every
    assert whole == (await get(server, measures=groups)).measures


async def test_a_group_that_is_not_said_is_refused(server: Serving) -> None:
    status = await refusal(get(server, measures=[why.MEASURE_GROUP_UNSPECIFIED]))

    assert ["measures[0]"] == fields_of(status)


async def test_what_is_not_known_says_why_and_is_never_0(server: Serving, clock: Clock) -> None:
    history = begun(BEGIN)
    history.add(told(message_class=i.MESSAGE_CLASS_MARKETING), "2026-01-02", customer="a")
    await tell(server, clock, history)

    measures = (await get(server)).measures

    expected = [
        (measures.lifecycle.gap_ratio, m.UNKNOWN_REASON_NO_EVIDENCE),
        (measures.preference.preference, m.UNKNOWN_REASON_NO_EVIDENCE),
        (measures.vectors.open_count, m.UNKNOWN_REASON_NO_EVIDENCE),
        (measures.conversation.answered, m.UNKNOWN_REASON_NO_EVIDENCE),
        (measures.solicitations.response, m.UNKNOWN_REASON_NOTHING_MATURED),
        (measures.solicitations.breakeven, m.UNKNOWN_REASON_NO_MARGIN),
        (measures.promises.kept_rate, m.UNKNOWN_REASON_NO_EVIDENCE),
    ]
    for measure, reason in expected:
        assert ("unknown", reason) == (measure.WhichOneof("value"), measure.unknown)
    assert m.UNKNOWN_REASON_NOT_DECLARED == measures.types.mismatch_unknown
    assert 0 == measures.strength.score_ppm or measures.strength.coverage_ppm < 1_000_000
    assert not measures.HasField("existence") or not measures.existence.HasField("formed_time")


# --- What-ifs ---------------------------------------------------------------------------------------------------------


def policy(version: int = 1, **rules: Any) -> RelationshipPolicy:
    return RelationshipPolicy(version=version, strength=StrengthRules(half_mass_ppm=9_000_000, **rules))


async def test_a_what_if_says_so_and_is_what_publishing_would_say(server: Serving, clock: Clock) -> None:
    history = await filled(server, clock)
    at = clock.now
    built_in = (await get(server)).measures
    unpublished = (await get(server, under=why.UnderPolicy(unpublished=policy()))).measures
    assert (False, True) == (built_in.what_if, unpublished.what_if)
    assert built_in.strength != unpublished.strength

    history.publish(RelationshipPolicyPublished(policy=policy()), at)
    await tell(server, clock, history, len(history.facts) - 1)
    clock.now = at

    published = (await get(server)).measures
    assert (False, 1) == (published.what_if, published.relationship_policy_version)
    unpublished.what_if, unpublished.relationship_policy_version = False, 1
    assert published == unpublished
    by_number = (await get(server, under=why.UnderPolicy(version=1))).measures
    assert published == by_number, "the version in force is no what-if"
    before = (await get(server, under=why.UnderPolicy(version=0))).measures
    assert (True, 0) == (before.what_if, before.relationship_policy_version)
    assert built_in.strength == before.strength


async def test_an_unknown_version_and_a_policy_with_faults_are_refused(server: Serving, clock: Clock) -> None:
    await filled(server, clock)

    unknown = await refusal(get(server, under=why.UnderPolicy(version=9)))
    broken = policy(moderate_from_ppm=800_000, strong_from_ppm=100_000)
    broken.strength.weights.involvement_ppm = 1
    broken.valuation_policy_id = "nobody"
    faulty = await refusal(get(server, under=why.UnderPolicy(unpublished=broken)))

    assert reasons.ErrorReason.Name(reasons.ERROR_REASON_POLICY_UNKNOWN).endswith(reason_of(unknown))
    assert "9" in metadata_of(unknown).values()
    assert len(fields_of(faulty)) >= 2, "every fault is told at once"
    empty = await refusal(get(server, under=why.UnderPolicy()))
    assert ["under.policy"] == fields_of(empty)


# --- Persons ----------------------------------------------------------------------------------------------------------


def of_person(found: Relationship) -> list[str]:
    return list(found.measures.person_customer_ids)


def without_place(found: Relationship) -> bytes:
    """Return what does not depend on where the links stand."""
    for name in ("position", "version", "last_position", "as_of"):
        found.ClearField(name)
    return found.SerializeToString(deterministic=True)


async def test_a_link_that_is_taken_back_leaves_no_trace_in_any_view(tmp_path: Path, clock: Clock, seed: int) -> None:
    answers: list[list[bytes]] = []
    people: list[list[str]] = []
    for linked in (True, False):
        draw = a_draw(seed)
        history = draw.history
        assert isinstance(history, ChangedHistory)
        for second in sorted(draw.random.randrange(100 * 86_400) for _ in range(60)):
            draw.add(BEGIN + second * 1_000_000)
            if len(history.facts) in {30, 45}:
                change = (history.link if len(history.facts) == 30 else history.unlink) if linked else None
                at = BEGIN + second * 1_000_000
                # The other run has marks of time in the same places, so that positions are the same.
                _ = change("a", "b", at) if change is not None else [history.mark(at), history.mark(at)]
        clock.now = BEGIN
        async with serving(tmp_path / str(linked), MODULES) as server:
            await tell(server, clock, history, to=40)
            people.append(of_person(await get(server, scope=PERSON)))
            await tell(server, clock, history, 40)
            clock.now = BEGIN + 101 * DAY
            found = []
            for customer in "ab":
                for scope in (PERSON, levels.VIEW_SCOPE_RELATIONSHIP):
                    found += [await get(server, customer, scope=scope)]
                    found += [await get(server, customer, scope=scope, as_of=view(BEGIN + 99 * DAY))]
            assert {("a",), ("b",), ()} == {tuple(of_person(each)) for each in found}
            answers.append([without_place(each) for each in found])

    assert [["a", "b"], ["a"]] == people
    assert answers[0] == answers[1]


async def test_of_a_chain_one_link_taken_back_leaves_the_other(server: Serving, clock: Clock) -> None:
    history = begun(BEGIN)
    for number, customer in enumerate("abc"):
        history.add(acted("PURCHASE"), f"2026-01-0{number + 2}", customer=customer)
    before = history.head
    history.link("a", "b", "2026-01-06", "ab")
    history.link("b", "c", "2026-01-07", "bc")
    await tell(server, clock, history)
    whole = await get(server, "a", scope=PERSON)
    assert ["a", "b", "c"] == of_person(whole)
    assert 3 == whole.interactions.count == whole.measures.lifecycle.sessions
    assert 1 == (await get(server, "a")).interactions.count

    history.unlink("a", "b", "2026-01-08", "ab")
    await tell(server, clock, history, len(history.facts) - 2)

    assert ["a"] == of_person(await get(server, "a", scope=PERSON))
    assert ["b", "c"] == of_person(await get(server, "b", scope=PERSON))
    assert ["b", "c"] == of_person(await get(server, "c", scope=PERSON))
    assert ["a"] == of_person(await get(server, "a", scope=PERSON, as_of=view("2026-01-05T12:00Z")))
    assert ["a"] == of_person(await get(server, "a", scope=PERSON, as_of=view("2026-01-09", before)))
    assert ["a", "b", "c"] == of_person(await get(server, "a", scope=PERSON, as_of=view("2026-01-07T12:00Z")))

    identity = await RelationshipServiceStub(server.channel).ExplainIdentity(why.ExplainIdentityRequest(**ids("b")))
    assert ["b", "c"] == list(identity.person_customer_ids)
    told_links = [(each.link.link_id, each.live, each.unlink_reason) for each in identity.links]
    assert [("ab", False, "wrong"), ("bc", True, "")] == told_links
    lower = [before + 1, before + 3]
    assert lower == [each.position for each in identity.links], "of the two streams, whosever person is asked for"
    assert history.head - 1 == identity.links[0].unlinked_position


async def test_exchanges_and_promises_of_one_name_are_those_of_their_own_relationships(
    server: Serving, clock: Clock
) -> None:
    history = begun(BEGIN)
    history.value_euros()
    for number, customer in enumerate("ab"):
        hold = traded("order-1", paid=500, got=700 * number)
        hold.pending_until.FromMicroseconds(BEGIN + 90 * DAY)
        units = [leg.amount.units for leg in hold.legs]
        history.add(hold, "2026-01-02", customer=customer)
        history.add(ExchangePosted(exchange_id="order-1", units=units), "2026-01-03", customer=customer)
        history.add(promised("news"), "2026-01-04", customer=customer)
        history.add(PromiseTriggered(promise_id="news"), f"2026-01-{5 + number:02}", customer=customer)
    history.add(PromiseKept(promise_id="news"), "2026-01-06", customer="a")
    history.link("a", "b", "2026-01-07")
    await tell(server, clock, history)

    for customer in "ab":
        whole = (await get(server, customer, scope=PERSON, as_of=view("2026-01-20"))).measures
        (ratio,) = (each.ratio for each in whole.strength.contributions if each.component == RECIPROCITY)
        assert 700_000 == ratio.ppm, "7 euros for 10"
        assert (1, 1) == (whole.promises.kept_count, whole.promises.broken_count)


async def test_a_person_is_the_same_whichever_id_is_asked_for_and_tells_whose_each_name_is(
    server: Serving, clock: Clock
) -> None:
    history = begun(BEGIN)
    for customer in "ab":
        history.add(VectorOpened(vector_id="v", goal="learn"), "2026-01-02", customer=customer)
        history.add(ObstacleReported(obstacle_id="o", obstacle="stairs"), "2026-01-03", customer=customer)
    history.add(VectorFulfilled(vector_id="v"), "2026-01-04", customer="b")
    history.add(ObstacleRemoved(obstacle_id="o"), "2026-01-05", customer="a")
    history.link("a", "b", "2026-01-07")
    await tell(server, clock, history)

    one, other = [(await get(server, customer, scope=PERSON)).measures for customer in "ab"]

    assert one == other
    vectors = [(each.vector_id, levels.VectorStatus.Name(each.status)) for each in one.vectors.vectors]
    assert [("a/v", "VECTOR_STATUS_OPEN"), ("b/v", "VECTOR_STATUS_FULFILLED")] == vectors
    assert ["b/o"] == [each.obstacle_id for each in one.obstacles]
    alone = (await get(server, "a")).measures
    assert (["v"], []) == ([each.vector_id for each in alone.vectors.vectors], list(alone.obstacles))


# --- Many, and why ----------------------------------------------------------------------------------------------------


async def test_many_have_the_measures_that_each_has_alone(server: Serving, clock: Clock) -> None:
    await filled(server, clock)
    stub = RelationshipServiceStub(server.channel)
    groups = [why.MEASURE_GROUP_STRENGTH, why.MEASURE_GROUP_LIFECYCLE]
    for more in ({}, {"as_of": view(BEGIN + 60 * DAY)}, {"under": why.UnderPolicy(unpublished=policy())}):
        asked: dict[str, Any] = {"measures": groups, **more}
        answer = await stub.BatchGetRelationships(
            pb.BatchGetRelationshipsRequest(organization_id="acme", customer_ids=["b", "nobody", "a"], **asked)
        )

        assert ["nobody"] == list(answer.unknown_customer_ids)
        assert [await get(server, customer, **asked) for customer in "ba"] == list(answer.relationships)
    plain = await stub.BatchGetRelationships(
        pb.BatchGetRelationshipsRequest(organization_id="acme", customer_ids=["a"])
    )
    assert not plain.relationships[0].HasField("measures")


async def test_an_explanation_adds_up_to_what_is_shown(server: Serving, clock: Clock) -> None:
    await filled(server, clock)
    stub = RelationshipServiceStub(server.channel)
    for more in ({}, {"scope": PERSON}, {"under": why.UnderPolicy(unpublished=policy())}):
        shown = await get(server, **more)
        call = stub.ExplainRelationship(why.ExplainRelationshipRequest(**ids(), as_of=shown.as_of, **more))
        parts = [part async for part in call]

        assert shown.measures == parts[0].header.measures
        lines = [part.contribution.contribution_ppm for part in parts if part.HasField("contribution")]
        assert shown.measures.strength.score_ppm == sum(lines) == parts[-1].trailer.score_ppm
        assert sum(part.HasField("share") for part in parts) == parts[-1].trailer.shares_count
        evidence = {part.evidence.measure: part.evidence for part in parts if part.HasField("evidence")}
        assert str(shown.measures.strength.score_ppm) == evidence["strength.score_ppm"].value


async def test_a_difference_adds_up_and_names_the_events(server: Serving, clock: Clock) -> None:
    history = await filled(server, clock)
    position = history.head - 20
    then = why.RelationshipView(as_of=view(clock.now, position))

    found = await RelationshipServiceStub(server.channel).DiffRelationship(why.DiffRelationshipRequest(**ids(), a=then))

    mine = [fact.position for name, fact in history.facts if name == "acme/a" and fact.position > position]
    assert mine == list(found.only_in_b_positions)
    assert (len(mine), 0) == (found.only_in_b_count, found.only_in_a_count)
    scores = found.b_measures.strength.score_ppm - found.a_measures.strength.score_ppm
    assert scores == sum(delta.delta_ppm for delta in found.strength_deltas)
    assert (await get(server)).measures == found.b_measures
    same = await RelationshipServiceStub(server.channel).DiffRelationship(why.DiffRelationshipRequest(**ids()))
    assert not same.changes
    assert not same.strength_deltas


async def test_a_persona_is_explained_clause_by_clause(server: Serving, clock: Clock) -> None:
    history = begun(BEGIN)
    bought = history.add(acted("PURCHASE"), "2026-01-02", customer="a")
    clauses = [
        p.PersonaClause(state=p.StateClause(lifecycles=[levels.LIFECYCLE_ACTIVE])),
        p.PersonaClause(state=p.StateClause(exists=True), negated=True),
    ]
    persona = p.PersonaDefined(persona_id="new", version=1, title="New", clauses=clauses)
    history.publish(persona, "2026-01-03")
    await tell(server, clock, history)
    stub = RelationshipServiceStub(server.channel)
    request = why.ExplainPersonaRequest(**ids(), persona_id="new")
    inactive = await refusal(stub.ExplainPersona(request))
    assert "PERSONA_NOT_ACTIVE" == reason_of(inactive)
    first = len(history.facts)
    functions = (i.OUR_FUNCTION_MARKETING, i.OUR_FUNCTION_SALES, i.OUR_FUNCTION_SERVICE)
    for number, function in enumerate(functions):
        approved = p.PersonaApproved(persona_id="new", version=1, our_function=function, approver_id=f"u-{number}")
        history.publish(approved, "2026-01-04")
    await tell(server, clock, history, first)

    found = await stub.ExplainPersona(request)

    assert (True, 1, 0) == (found.member, found.version, found.inferred_share.ppm)
    assert [(1, True, "ACTIVE"), (2, True, "does not exist")] == [
        (each.number, each.holds, each.value) for each in found.clauses
    ]
    assert [bought] == list(found.clauses[0].evidence_positions)
    assert list(functions) == list(found.approved_functions)
    assert ["new"] == [each.persona_id for each in (await get(server)).measures.personae]
    unknown = await refusal(stub.ExplainPersona(why.ExplainPersonaRequest(**ids(), persona_id="other")))
    assert "PERSONA_UNKNOWN" == reason_of(unknown)


@pytest.mark.parametrize("rpc", ["GetRelationship", "ExplainIdentity", "ExplainPersona", "DiffRelationship"])
async def test_of_a_stranger_nothing_is_told(server: Serving, rpc: str) -> None:
    stub: Any = RelationshipServiceStub(server.channel)
    request: Any = {
        "GetRelationship": ask("nobody"),
        "ExplainIdentity": why.ExplainIdentityRequest(**ids("nobody")),
        "ExplainPersona": why.ExplainPersonaRequest(**ids("nobody"), persona_id="new"),
        "DiffRelationship": why.DiffRelationshipRequest(**ids("nobody")),
    }[rpc]

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(stub, rpc)(request)

    assert grpc.StatusCode.NOT_FOUND == refused.value.code()
