"""Balances through gRPC: now and as of, by token, explained, compared, and as a statement."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import uuid
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ledger.balance import numbers
from ledger.balance.book import Book
from ledger.balance.viewed import legs_in_view
from ledger.domain.decider import Step
from ledger.domain.exchange import RecordExchange, ReverseExchange
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import RegisterAsset
from ledger.domain.times import timestamp
from ledger.domain.valuation_policy import PublishValuationPolicy
from ledger.requests import Request
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1.valuation_pb2 import ValuationPolicy, ValuationRule
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from rapport.relationship.v1 import balance_pb2 as b
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.window_pb2 import Window
from services.relationship import servicer, view_tokens
from services.relationship.balances import Balances
from services.runtime.books import Books
from services.runtime.run import ServiceModule
from services.runtime.settings import Secret
from tests.balance_facts import CUSTOMER, ORGANIZATION, grant, leg, policy, rule
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import Serving, serving

MODULES: tuple[ServiceModule, ...] = (servicer,)
EUR = 10**9
DAY = 86_400 * 10**6
MARCH = 1_772_323_200 * 10**6
"""2026-03-01, 00:00 UTC."""
GIFT = x.ONE_SIDED_GIFT
KINDS = {
    "EUR/2": p.ASSET_KIND_MONEY,
    "MIN/0": p.ASSET_KIND_TIME,
    "PT/0": p.ASSET_KIND_POINTS,
    "DATAPT/0": p.ASSET_KIND_DATA,
    "REVIEW/0": p.ASSET_KIND_ADVOCACY,
}
RULES = (
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2", 10**7),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_GOODS, "EUR/2", 10**7, 8 * 10**6, 10**7, method=2),
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_DATA_DISCLOSED, "DATAPT/0", 5 * 10**8, 10**8, 2 * 10**9, method=4),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, "MIN/0", 9 * 10**8, 6 * 10**8, 12 * 10**8, method=3),
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_ADVOCACY, "REVIEW/0", 4 * 10**9, 10**9, 5 * 10**9, method=7),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_POINTS_GRANT, "PT/0", 10**7, redemption_ppm=800_000),
)


def day(number: int) -> int:
    """Return the start of a day of March."""
    return MARCH + (number - 1) * DAY


def attention(rate: int) -> ValuationRule:
    return rule(CUSTOMER, CUSTOMER, x.CATEGORY_ATTENTION, "MIN/0", rate, rate // 2, 2 * rate, method=4)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def server(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Serving]:
    store = {} if request.param == "sqlite" else {"store_url": Secret(request.getfixturevalue("postgres_url"))}
    async with serving(tmp_path, MODULES, **store) as running:
        await prepare(running)
        yield running


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[Serving]:
    """A server for what does not depend on the store. Nothing finds changes beside it: that has books of its own."""
    async with serving(tmp_path, MODULES, detector="off") as running:
        await prepare(running)
        yield running


@pytest.fixture
def stub(server: Serving) -> RelationshipServiceStub:
    return RelationshipServiceStub(server.channel)


@pytest.fixture
def ask(quick: Serving) -> RelationshipServiceStub:
    return RelationshipServiceStub(quick.channel)


async def prepare(server: Serving) -> None:
    stream = policy_stream("acme")
    assets = [p.AssetRegistered(asset=name, kind=kind, max_units_per_leg=10**6) for name, kind in KINDS.items()]
    await record(server, *(RegisterAsset(stream_id=stream, asset=asset) for asset in assets))


async def record(server: Serving, *steps: Step) -> int:
    """Record all in one request; return the position of the last."""
    request = Request("/test/Record", "acme", uuid.uuid4().bytes, RecordInteractionRequest())
    return (await server.app.ledger.execute(request, steps)).position


async def publish(server: Serving, made: ValuationPolicy) -> int:
    made.digest = b""
    return await record(server, PublishValuationPolicy(stream_id=policy_stream("acme"), policy=made))


def exchange(exchange_id: str, *legs: x.Leg, at: int, customer: str = "anna", **values: Any) -> RecordExchange:
    event = x.ExchangeRecorded(exchange_id=exchange_id, legs=legs, **values)
    return RecordExchange(stream_id=f"acme/{customer}", event=event, occur_time=at)


def reversal(exchange_id: str, at: int | None = None) -> ReverseExchange:
    event = x.ExchangeReversed(exchange_id=exchange_id, reversal_id=f"r-{exchange_id}")
    if at is None:
        event.at_original = True
    else:
        event.at.CopyFrom(timestamp(at))
    return ReverseExchange(stream_id="acme/anna", event=event)


def pays(cents: int) -> x.Leg:
    return leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, cents, "EUR/2")


def goods(cents: int) -> x.Leg:
    return leg(ORGANIZATION, x.CATEGORY_GOODS, cents, "EUR/2")


def minutes(units: int) -> x.Leg:
    return leg(CUSTOMER, x.CATEGORY_ATTENTION, units, "MIN/0")


def full_example() -> RecordExchange:
    return exchange(
        "x1",
        pays(4_750),
        goods(5_000),
        minutes(25),
        leg(CUSTOMER, x.CATEGORY_DATA_DISCLOSED, 6, "DATAPT/0"),
        leg(ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, 12, "MIN/0"),
        leg(CUSTOMER, x.CATEGORY_ADVOCACY, 1, "REVIEW/0"),
        at=day(5),
    )


def spec(at: int | None = None, position: int | None = None, **more: Any) -> b.ViewRef:
    made = b.ViewSpec(**more)
    if at is not None:
        made.as_of.occur_time.CopyFrom(timestamp(at))
    if position is not None:
        made.as_of.position = position
    return b.ViewRef(spec=made)


def window(begin: int | None, end: int | None) -> Window:
    made = Window()
    if begin is not None:
        getattr(made, "from").CopyFrom(timestamp(begin))
    if end is not None:
        made.to.CopyFrom(timestamp(end))
    return made


def asked(view: b.ViewRef | None = None, customer: str = "anna", **more: Any) -> pb.GetBalanceRequest:
    return pb.GetBalanceRequest(organization_id="acme", customer_id=customer, view=view, **more)


def explained(view: b.ViewRef | None = None, **more: Any) -> pb.ExplainBalanceRequest:
    return pb.ExplainBalanceRequest(organization_id="acme", customer_id="anna", view=view, **more)


def compared(one: b.ViewRef | None, other: b.ViewRef | None, **more: Any) -> pb.DiffViewsRequest:
    return pb.DiffViewsRequest(organization_id="acme", customer_id="anna", a=one, b=other, **more)


def statement(view: b.ViewRef | None = None, **more: Any) -> pb.GetStatementRequest:
    return pb.GetStatementRequest(organization_id="acme", customer_id="anna", view=view, **more)


async def get(stub: RelationshipServiceStub, view: b.ViewRef | None = None, **more: Any) -> b.Balance:
    return (await stub.GetBalance(asked(view, **more))).balance


async def parts(stub: RelationshipServiceStub, request: pb.ExplainBalanceRequest) -> list[pb.ExplainBalanceResponse]:
    return [part async for part in stub.ExplainBalance(request)]


def by_token(balance: b.Balance) -> b.ViewRef:
    return b.ViewRef(token=balance.view.token)


def ratio(of: b.Ratio) -> Fraction:
    return Fraction(int(of.numerator), int(of.denominator))


async def two_axes(server: Serving) -> dict[str, int]:
    """Record example 11.3; return the position of each event by its number there."""
    at: dict[str, int] = {}
    support = leg(ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, 10, "MIN/0")
    await publish(server, policy(1, *RULES, attention(10**8), effective_from=day(-58)))
    at["10"] = await record(server, exchange("x1", pays(4_000), goods(5_000), at=day(1)))
    at["12"] = await record(server, exchange("x2", minutes(30), at=day(10), one_sided=GIFT))
    at["15"] = await record(server, exchange("x3", support, at=day(5), one_sided=GIFT))
    corrected = exchange("x5", minutes(20), at=day(10), replaces="x2", one_sided=GIFT)
    at["19"] = await record(server, reversal("x2"), corrected)
    at["20"] = await publish(server, policy(2, *RULES, attention(2 * 10**8), effective_from=day(8)))
    at["21"] = await record(server, reversal("x1", at=day(28)))
    return at


# --- Balances ---------------------------------------------------------------------------------------------------------


async def test_the_balance_of_now(server: Serving, stub: RelationshipServiceStub) -> None:
    await publish(server, policy(1, *RULES, attention(12 * 10**7), effective_from=day(1)))
    position = await record(server, full_example())

    told = await get(stub)

    assert (60_800_000_000, 57_500_000_000, 3_300_000_000) == (told.got_nanos, told.gave_nanos, told.net_nanos)
    assert (23_861, 27_895, 855_387) == (told.index_ppm, told.raw_ppm, told.confidence_ppm)
    assert Fraction(11, 461) == ratio(told.index)
    assert (Fraction(-233, 1377), Fraction(23, 225)) == (ratio(told.band.low), ratio(told.band.high))
    assert (-169_208, 102_222, False) == (told.band.low_ppm, told.band.high_ppm, told.band.sign_certain)
    assert (b.BALANCE_STATUS_OK, "EUR", "BALANCED") == (told.status, told.unit_of_account, told.label)
    assert (b.CUSTOMER_GAINS_UNCERTAIN, 10 * EUR) == (told.customer_gains, told.kappa_nanos)
    assert (6, 0, 1_000_000) == (
        told.coverage.valued_legs,
        told.coverage.unvalued_legs,
        told.coverage.coverage_ppm,
    )
    assert ["FACE", "LIST_PRICE", "MARGINAL_COST", "SURVEY_WTA", "IMPUTED"] == [
        each.key for each in told.coverage.by_method
    ]
    assert told.got_nanos == sum(each.value_nanos for each in told.lines if each.giver == ORGANIZATION)
    assert 6 == len(told.quantities)
    assert (timestamp(day(5)), timestamp(day(5))) == (told.last_got_time, told.last_gave_time)
    view = told.view
    assert (position, position, 1) == (view.position, view.resolved.as_of.position, view.model_version)
    assert (CUSTOMER, "standard", 0) == (
        view.resolved.perspective,
        view.resolved.valuation.policy_id,
        view.resolved.valuation.version,
    )
    assert [("standard", 1)] == [(each.policy_id, each.version) for each in view.policies]
    assert 32 == len(view.policies[0].digest)
    assert view.token
    assert view.resolved.as_of.HasField("occur_time")


@pytest.mark.parametrize("number, month_day, got, gave, ppm", [
    (number, when, *cell)
    for number, row in {
        "12": ((50, 40, 90_909), (50, 43, 61_947), (50, 43, 61_947)),
        "15": ((50, 40, 90_909), (59, 43, 131_148), (59, 43, 131_148)),
        "19": ((50, 40, 90_909), (59, 42, 140_496), (59, 42, 140_496)),
        "20": ((50, 40, 90_909), (59, 44, 121_951), (59, 44, 121_951)),
        "21": ((50, 40, 90_909), (59, 44, 121_951), (9, 4, 151_515)),
    }.items()
    for when, cell in zip((4, 12, 30), row, strict=True)
])  # fmt: skip
async def test_both_time_axes(
    quick: Serving, ask: RelationshipServiceStub, number: str, month_day: int, got: int, gave: int, ppm: int
) -> None:
    at = await two_axes(quick)

    told = await get(ask, spec(day(month_day), at[number]))

    assert (got * EUR, gave * EUR, ppm) == (told.got_nanos, told.gave_nanos, told.index_ppm)
    assert at[number] == told.view.position


async def test_both_time_axes_on_either_store(server: Serving, stub: RelationshipServiceStub) -> None:
    at = await two_axes(server)

    cells = [await get(stub, spec(day(when), at[number])) for number in ("12", "19", "21") for when in (4, 12, 30)]
    latest = await get(stub, spec(day(30)))
    inside = await refusal(stub.GetBalance(asked(spec(day(12), at["19"] - 1))))

    assert [90_909, 61_947, 61_947, 90_909, 140_496, 140_496, 90_909, 121_951, 151_515] == [c.index_ppm for c in cells]
    assert 151_515 == latest.index_ppm
    assert ("KNOWN_AT_INSIDE_BATCH", str(at["19"])) == (reason_of(inside), metadata_of(inside)["last_position"])


async def test_versions_that_values_rest_on_are_listed(quick: Serving, ask: RelationshipServiceStub) -> None:
    at = await two_axes(quick)

    listed = [
        [each.version for each in (await get(ask, view)).view.policies]
        for view in (
            spec(day(4), at["21"]),
            spec(day(12), at["21"]),
            spec(day(12), at["19"]),
            spec(day(-70)),
            spec(day(4), valuation=b.PolicyVersion(version=2)),
        )
    ]

    assert [[1], [1, 2], [1], [], [2]] == listed


async def test_a_policy_that_was_not_yet_published_is_not_known_though_nothing_else_was_recorded_since(
    server: Serving, stub: RelationshipServiceStub
) -> None:
    await publish(server, policy(1, *RULES, attention(10**8), effective_from=day(1)))
    position = await record(server, exchange("x1", minutes(30), at=day(2), one_sided=GIFT))
    before = await get(stub)
    await publish(server, policy(2, *RULES, attention(2 * 10**8), effective_from=day(1)))

    then, now = await get(stub, spec(day(3), position)), await get(stub)
    difference = await stub.DiffViews(compared(by_token(before), None))

    assert (3 * EUR, 3 * EUR, 6 * EUR) == (before.gave_nanos, then.gave_nanos, now.gave_nanos)
    assert before == await get(stub, by_token(before))
    assert [(b.DIFF_CAUSE_POLICY, -3 * EUR)] == [(step.cause, step.net_nanos) for step in difference.steps]


async def test_under_one_version_every_leg_is_valued_by_it(quick: Serving, ask: RelationshipServiceStub) -> None:
    at = await two_axes(quick)

    told = await get(ask, spec(day(12), at["12"]))
    what_if = await get(ask, spec(day(12), at["20"], valuation=b.PolicyVersion(policy_id="standard", version=1)))
    by_digest = await get(ask, spec(day(12), at["20"], valuation=what_if.view.resolved.valuation))

    assert (43 * EUR, 42 * EUR) == (told.gave_nanos, what_if.gave_nanos)
    assert what_if.view.policies[0].digest == what_if.view.resolved.valuation.digest
    assert what_if == by_digest


async def test_without_a_policy_there_are_quantities_only(quick: Serving, ask: RelationshipServiceStub) -> None:
    await record(quick, full_example())

    told = await get(ask)

    assert (b.BALANCE_STATUS_NO_POLICY, "", 0, 6) == (
        told.status,
        told.unit_of_account,
        told.got_nanos,
        len(told.quantities),
    )
    assert not told.HasField("index")
    assert not told.HasField("index_ppm")
    assert [] == list(told.view.policies)


async def test_a_window_perspective_and_half_life_are_echoed_and_taken(
    quick: Serving, ask: RelationshipServiceStub
) -> None:
    await two_axes(quick)
    of = window(day(1), day(6))

    told = await get(ask, spec(day(12), window=of, perspective=ORGANIZATION, half_life_days=7))
    customers = await get(ask, spec(day(12), window=of, half_life_days=7))

    assert (of, ORGANIZATION, 7) == (
        told.view.resolved.window,
        told.view.resolved.perspective,
        told.view.resolved.half_life_days,
    )
    assert b.BALANCE_STATUS_NO_VALUED_EXCHANGES == told.status  # No rule of theirs.
    assert (9 * EUR, 0) == (customers.got_nanos, customers.gave_nanos)
    assert 495_049 > customers.index_ppm > 0


async def test_a_balance_follows_what_is_written_and_waits_for_it(quick: Serving, ask: RelationshipServiceStub) -> None:
    await publish(quick, policy(1, *RULES, effective_from=day(1)))
    nets = []
    for number in range(4):
        position = await record(quick, exchange(f"x{number}", pays(100), at=day(2), one_sided=GIFT))
        nets.append((await get(ask, min_position=position)).net_nanos)

    assert [-EUR, -2 * EUR, -3 * EUR, -4 * EUR] == nets


# --- Tokens -----------------------------------------------------------------------------------------------------------


async def test_a_token_gives_the_same_bytes_for_ever(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULES) as running:
        await prepare(running)
        stub = RelationshipServiceStub(running.channel)
        at = await two_axes(running)
        first = [
            await get(stub),
            await get(stub, spec(day(12), at["19"])),
            await get(stub, spec(day(12), window=window(day(2), None), half_life_days=30)),
            await get(stub, spec(day(12), at["20"], valuation=b.PolicyVersion(version=1))),
            await get(stub, spec(perspective=ORGANIZATION)),
        ]
        before = [each.SerializeToString(deterministic=True) for each in first]
        whole = await parts(stub, explained(by_token(first[1])))
        # Late events, a reversal, and a policy that corrects the one that was in force.
        await record(running, exchange("late", pays(900), at=day(2), one_sided=GIFT), reversal("x5"))
        await publish(running, policy(3, *RULES, attention(7 * 10**8), effective_from=day(-58)))

        after = [(await get(stub, by_token(each))).SerializeToString(deterministic=True) for each in first]

        assert before == after
        assert whole == await parts(stub, explained(by_token(first[1])))
    async with serving(tmp_path, MODULES) as running:
        stub = RelationshipServiceStub(running.channel)

        restarted = [(await get(stub, by_token(each))).SerializeToString(deterministic=True) for each in first]

    assert before == restarted


async def test_a_resolved_view_asked_for_again_gives_the_same_bytes(
    quick: Serving, ask: RelationshipServiceStub
) -> None:
    await two_axes(quick)
    told = await get(ask, spec(window=window(day(1), day(9)), half_life_days=3, valuation=b.PolicyVersion(version=1)))

    again = await get(ask, b.ViewRef(spec=told.view.resolved))

    assert told == again


async def test_a_token_that_is_damaged_or_of_another_relationship_is_refused(
    quick: Serving, ask: RelationshipServiceStub
) -> None:
    await two_axes(quick)
    await record(quick, exchange("x1", pays(100), at=day(2), customer="bert", one_sided=GIFT))
    token = (await get(ask)).view.token
    broken = [token[:place] + bytes([token[place] ^ 1]) + token[place + 1 :] for place in range(0, len(token), 7)]
    broken += [b"", b"x" * 200, token[:-1], token + b"x"]
    said = view_tokens.read("acme/anna", token, "view")
    made_up = said._replace(view=said.view._replace(half_life_days=3_651))
    broken.append(view_tokens.write("acme/anna", made_up))

    answers = [await refusal(ask.GetBalance(asked(b.ViewRef(token=each)))) for each in broken]
    other = await refusal(ask.GetBalance(asked(b.ViewRef(token=token), customer="bert")))

    assert {"VIEW_TOKEN_INVALID"} == {reason_of(each) for each in (*answers, other)}
    assert ["view.token"] == fields_of(other)


async def test_a_view_that_gives_another_balance_than_its_token_says_is_data_loss(
    quick: Serving, ask: RelationshipServiceStub
) -> None:
    await two_axes(quick)
    told = await get(ask)
    token = view_tokens.read("acme/anna", told.view.token, "view")
    balance = view_tokens.write("acme/anna", token._replace(balance_digest=b"\x00" * 32))
    policies = view_tokens.write("acme/anna", token._replace(policies_digest=b"\x00" * 32))
    model = view_tokens.write("acme/anna", token._replace(model_version=2))

    answers = [await refusal(ask.GetBalance(asked(b.ViewRef(token=each)))) for each in (balance, policies, model)]

    assert ["VIEW_DIGEST_MISMATCH", "VIEW_DIGEST_MISMATCH", "VIEW_MODEL_UNSUPPORTED"] == list(map(reason_of, answers))
    assert {"position": str(told.view.position)} == metadata_of(answers[0])
    assert {"model_version": "2"} == metadata_of(answers[2])
    assert token == view_tokens.read("acme/anna", told.view.token, "view")


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "view, reason, field",
    [
        (spec(day(9), window=window(day(2), day(2))), "WINDOW_INVALID", "view.spec.window"),
        (spec(day(9), window=window(day(3), day(2))), "WINDOW_INVALID", "view.spec.window"),
        (spec(day(9), window=window(day(9), None)), "WINDOW_INVALID", "view.spec.window"),
        (spec(day(9), window=window(None, day(9) + 1)), "WINDOW_INVALID", "view.spec.window.to"),
        (spec(half_life_days=-1), "HALF_LIFE_INVALID", "view.spec.half_life_days"),
        (spec(half_life_days=3651), "HALF_LIFE_INVALID", "view.spec.half_life_days"),
        (spec(perspective=7), "REQUEST_INVALID", "view.spec.perspective"),
        (spec(valuation=b.PolicyVersion(version=-1)), "REQUEST_INVALID", "view.spec.valuation.version"),
        (spec(valuation=b.PolicyVersion(digest=b"x" * 32)), "REQUEST_INVALID", "view.spec.valuation.digest"),
    ],
)
async def test_a_view_that_cannot_be_is_refused_with_the_field_at_fault(
    quick: Serving, ask: RelationshipServiceStub, view: b.ViewRef, reason: str, field: str
) -> None:
    await two_axes(quick)

    answer = await refusal(ask.GetBalance(asked(view)))

    assert (reason, [field]) == (reason_of(answer), fields_of(answer))


async def test_of_several_refusals_the_first_in_the_order_of_the_table_is_given(
    quick: Serving, ask: RelationshipServiceStub
) -> None:
    """Invalid before not found, not found before a precondition (settled.md 37)."""
    await two_axes(quick)
    ends_later, other = spec(window=window(None, day(9_999))), spec(perspective=ORGANIZATION)
    begins_late = spec(day(9), perspective=ORGANIZATION, window=window(day(9), None))

    of_nobody = compared(None, other)
    of_nobody.customer_id = "nobody"

    answers = [
        await refusal(ask.GetBalance(asked(ends_later, customer="nobody"))),
        await refusal(ask.DiffViews(compared(None, begins_late))),
        await refusal(ask.DiffViews(of_nobody)),
    ]

    assert ["WINDOW_INVALID"] * 2 + ["RELATIONSHIP_UNKNOWN"] == [reason_of(each) for each in answers]


async def test_nothing_is_answered_from_the_nearest_view(quick: Serving, ask: RelationshipServiceStub) -> None:
    at = await two_axes(quick)
    head = quick.app.ledger.head
    of_head = AsOf(record_time=timestamp(head.record_time))

    answers = {
        "KNOWN_AT_IN_FUTURE": asked(spec(None, head.position + 1)),
        "KNOWN_AT_NOT_SETTLED": asked(b.ViewRef(spec=b.ViewSpec(as_of=of_head))),
        "RELATIONSHIP_UNKNOWN": asked(spec(day(30), at["10"] - 1)),
        "POLICY_UNKNOWN": asked(spec(valuation=b.PolicyVersion(policy_id="other"))),
    }
    unknown = [
        asked(customer="nobody"),
        asked(spec(None, at["10"]), customer="nobody"),
        asked(spec(day(30), at["19"], valuation=b.PolicyVersion(version=2))),
        asked(spec(valuation=b.PolicyVersion(version=9))),
        asked(spec(valuation=b.PolicyVersion(version=1, digest=b"\x01" * 32))),
    ]

    for reason, request in answers.items():
        assert reason == reason_of(await refusal(ask.GetBalance(request)))
    reasons = [reason_of(await refusal(ask.GetBalance(request))) for request in unknown]
    assert ["RELATIONSHIP_UNKNOWN"] * 2 + ["POLICY_UNKNOWN"] * 3 == reasons


async def test_a_position_that_does_not_come_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, MODULES) as running:
        await prepare(running)
        await two_axes(running)
        running.app.ledger._present.wait_s = 0.05
        stub = RelationshipServiceStub(running.channel)
        token = (await get(stub)).view.token

        for view in (None, spec(day(4)), b.ViewRef(token=token)):
            answer = await refusal(stub.GetBalance(asked(view, min_position=1_000)))
            assert ("PROJECTION_BEHIND", "1000") == (reason_of(answer), metadata_of(answer)["wanted"])


# --- Explanations -----------------------------------------------------------------------------------------------------


async def test_an_explanation_tells_every_leg_and_adds_up(server: Serving, stub: RelationshipServiceStub) -> None:
    await publish(server, policy(1, *RULES, attention(12 * 10**7), effective_from=day(1)))
    await record(server, full_example())
    waited = leg(CUSTOMER, x.CATEGORY_WAITING, 4, "MIN/0")
    await record(server, exchange("x2", grant(300, expires_at=day(40)), waited, at=day(6)))
    await record(server, exchange("x3", pays(700), at=day(7), one_sided=GIFT), reversal("x3", at=day(8)))

    told = await parts(stub, explained(spec(day(9)), drivers=2))

    kinds = [part.WhichOneof("part") for part in told]
    assert ["balance", *["entry"] * 6, *["exclusion"] * 4, "lot", *["driver"] * 2, "trailer"] == kinds
    entries = [part.entry for part in told if part.HasField("entry")]
    assert [-343_456, 361_533, -21_692, -21_692, 78_091, -28_923] == [each.contribution_ppm for each in entries]
    header, trailer = told[0].balance, told[-1].trailer
    assert header.index.numerator == str(sum(int(each.contribution_numerator) for each in entries))
    assert ("1-1-1-eur.2", "standard", 1, 10**7, 1, 1_000_000, 47_500_000_000) == (
        entries[0].rule_id,
        entries[0].policy.policy_id,
        entries[0].policy.version,
        entries[0].rate_nanos,
        entries[0].method,
        entries[0].weight_ppm,
        entries[0].value_nanos,
    )
    assert [2, 1] == [part.driver.ordinal for part in told if part.HasField("driver")]
    assert [-528_879, 559_471] == [part.driver.index_without_ppm for part in told if part.HasField("driver")]
    out = [part.exclusion for part in told if part.HasField("exclusion")]
    assert [
        (b.EXCLUSION_REASON_POINTS, 3 * EUR),
        (b.EXCLUSION_REASON_UNVALUED, 0),
        (b.EXCLUSION_REASON_REVERSED, 7 * EUR),
        (b.EXCLUSION_REASON_REVERSED, -7 * EUR),
    ] == [(each.reason, each.entry.value_nanos) for each in out]
    assert [timestamp(day(7)), timestamp(day(8))] == [each.entry.effective_time for each in out[2:]]
    assert (300, 300, 2_400_000_000) == (told[11].lot.granted, told[11].lot.outstanding, told[11].lot.promised_nanos)
    assert (6, header.got_nanos, header.gave_nanos, header.index) == (
        trailer.entries,
        trailer.got_nanos,
        trailer.gave_nanos,
        trailer.index,
    )
    header.view.token = b""
    assert hashlib.sha256(header.SerializeToString(deterministic=True)).digest() == trailer.digest


async def test_an_explanation_goes_on_under_the_same_token(quick: Serving, ask: RelationshipServiceStub) -> None:
    await publish(quick, policy(1, *RULES, attention(12 * 10**7), effective_from=day(1)))
    await record(quick, full_example())
    whole = await parts(ask, explained())
    await record(quick, exchange("x2", pays(100), at=day(6), one_sided=GIFT))

    rest = await parts(ask, explained(by_token(whole[0].balance), start_after=4))
    none = await parts(ask, explained(by_token(whole[0].balance), start_after=400))

    assert [whole[0], *whole[5:]] == rest
    assert [whole[0], *whole[7:]] == none


async def test_an_explanation_that_does_not_add_up_is_never_sent(
    quick: Serving, ask: RelationshipServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_axes(quick)
    monkeypatch.setattr(
        "services.relationship.balances.legs_in_view",
        lambda *of: [each for each in legs_in_view(*of) if each.exchange_id != "x3"],
    )

    explanation = ask.ExplainBalance(explained())
    answer = await refusal(explanation.read())
    difference = await refusal(ask.DiffViews(compared(spec(day(4)), None)))

    assert ["EXPLANATION_MISMATCH"] * 2 == [reason_of(answer), reason_of(difference)]
    assert 15 == answer.code  # DATA_LOSS


async def test_a_long_explanation_leaves_turns_to_others(quick: Serving, ask: RelationshipServiceStub) -> None:
    await publish(quick, policy(1, *RULES, effective_from=day(1)))
    for batch in range(5):
        steps = [exchange(f"x{batch}-{number}", pays(5), goods(6), at=day(2)) for number in range(300)]
        await record(quick, *steps)

    told = await parts(ask, explained(drivers=3))
    paged = (await ask.GetStatement(statement(page_size=1_000))).statement

    assert 3_000 == told[-1].trailer.entries
    assert told[0].balance.index_ppm == sum(part.entry.contribution_ppm for part in told)
    assert (3_000, 15 * EUR) == (paged.lines_count, paged.closing.net_nanos)
    assert [] == (await ask.DiffViews(compared(None, None))).steps[:]


# --- Differences ------------------------------------------------------------------------------------------------------


async def test_what_made_two_views_differ(server: Serving, stub: RelationshipServiceStub) -> None:
    at = await two_axes(server)

    first = await stub.DiffViews(compared(spec(day(12), at["19"]), spec(day(30), at["21"])))
    second = await stub.DiffViews(compared(spec(day(12), at["12"]), spec(day(30), at["21"]), entries_max=1))

    assert [(b.DIFF_CAUSE_POLICY, -2), (b.DIFF_CAUSE_CORRECTION, -10)] == [
        (step.cause, step.net_nanos // EUR) for step in first.steps
    ]
    assert [Fraction(-92, 4961), Fraction(40, 1353)] == [ratio(step.index) for step in first.steps]
    assert [(b.DIFF_CAUSE_CORRECTION, -11, 4, 1), (b.DIFF_CAUSE_LATE_EVENT, 9, 1, 1)] == [
        (step.cause, step.net_nanos // EUR, step.entries_count, len(step.entries)) for step in second.steps
    ]
    assert (at["19"], at["21"]) == (first.a.position, first.b.position)
    a, other = await get(stub, b.ViewRef(token=first.a.token)), await get(stub, b.ViewRef(token=first.b.token))
    assert other.net_nanos - a.net_nanos == sum(step.net_nanos for step in first.steps)
    assert ratio(other.index) - ratio(a.index) == sum(ratio(step.index) for step in first.steps)
    assert [("x5", "1-1-9-min.0", 2 * 10**8, 4 * EUR, "-4000000000000000")] == [
        (each.exchange_id, each.rule_id, each.rate_nanos, each.value_nanos, each.contribution_numerator)
        for each in first.steps[0].entries
    ]
    assert ["x1", "x1"] == [each.exchange_id for each in first.steps[1].entries]


async def test_two_views_of_now_are_one(quick: Serving, ask: RelationshipServiceStub) -> None:
    await two_axes(quick)

    told = await ask.DiffViews(compared(None, None))

    assert [] == list(told.steps)
    assert told.a == told.b


async def test_views_of_another_perspective_or_unit_are_not_compared(
    quick: Serving, ask: RelationshipServiceStub
) -> None:
    await two_axes(quick)
    dollars = policy(1, *RULES, effective_from=day(1), policy_id="dollars")
    dollars.unit_of_account = "USD"
    await publish(quick, dollars)

    perspective = await refusal(ask.DiffViews(compared(spec(), spec(perspective=ORGANIZATION))))
    unit = await refusal(ask.DiffViews(compared(spec(), spec(valuation=b.PolicyVersion(policy_id="dollars")))))
    before = await ask.DiffViews(compared(spec(day(-70)), spec(day(4))))

    assert ["VIEWS_NOT_COMPARABLE"] * 2 == [reason_of(perspective), reason_of(unit)]
    assert ["perspective", "unit_of_account"] == [metadata_of(each)["field"] for each in (perspective, unit)]
    assert [(b.DIFF_CAUSE_AS_OF_MOVED, 10 * EUR)] == [(step.cause, step.net_nanos) for step in before.steps]


# --- Statements -------------------------------------------------------------------------------------------------------


async def test_a_statement_is_paged_by_lines_in_a_view_that_stays(
    server: Serving, stub: RelationshipServiceStub
) -> None:
    await publish(server, policy(1, *RULES, effective_from=day(1)))
    for number in range(1, 6):
        legs = [pays(100 * number), goods(150 * number)]
        await record(server, exchange(f"x{number}", *legs, at=day(number) + 23 * DAY // 24))
    await record(server, exchange("points", grant(10), at=day(5), one_sided=GIFT))
    request = statement(spec(day(7), window=window(day(2), day(6))), time_zone="Europe/Berlin", page_size=3)

    pages = [await stub.GetStatement(request)]
    while pages[-1].next_page_token:
        await record(server, exchange(f"late-{len(pages)}", pays(9), at=day(3), one_sided=GIFT))
        pages.append(await stub.GetStatement(_with(request, page_token=pages[-1].next_page_token)))

    told = [page.statement for page in pages]
    # 23:00 UTC of a day is the next day in Berlin.
    assert [["2026-03-03", "2026-03-04"], ["2026-03-04", "2026-03-05"], ["2026-03-06"]] == [
        [each.date for each in page.days] for page in told
    ]
    lines = [line for page in told for each in page.days for line in each.lines]
    assert ["x2", "x2", "x3", "x3", "x4", "x4", "x5", "x5"] == [line.exchange_id for line in lines]
    assert (50, 750) == (told[0].opening.net_nanos * 100 // EUR, told[0].closing.net_nanos * 100 // EUR)
    signs = {CUSTOMER: -1, ORGANIZATION: 1}
    assert told[0].closing.net_nanos == told[0].opening.net_nanos + sum(
        signs[line.giver] * line.value_nanos for line in lines
    )
    assert told[0].closing.net_nanos == lines[-1].running_net_nanos
    assert [8, 8, 8] == [page.lines_count for page in told]
    assert 1 == len({page.view.token for page in told})
    assert [1, 1, 1] == [len(page.lots) for page in told]
    assert {("EUR", "Europe/Berlin")} == {(page.unit_of_account, page.time_zone) for page in told}


def _with(request: pb.GetStatementRequest, **fields: Any) -> pb.GetStatementRequest:
    made = pb.GetStatementRequest(**fields)
    changed = pb.GetStatementRequest()
    changed.CopyFrom(request)
    changed.MergeFrom(made)
    return changed


async def test_a_statement_tells_what_no_rule_values_in_no_sum(quick: Serving, ask: RelationshipServiceStub) -> None:
    await publish(quick, policy(1, *RULES, effective_from=day(1)))
    waited = leg(CUSTOMER, x.CATEGORY_WAITING, 4, "MIN/0")
    await record(quick, exchange("x1", pays(100), waited, goods(100), at=day(2)))

    told = (await ask.GetStatement(statement())).statement

    assert "UTC" == told.time_zone
    (only,) = told.days
    assert [True, False, True] == [line.HasField("value_nanos") for line in only.lines]
    assert [-EUR, -EUR, 0] == [line.running_net_nanos for line in only.lines]


async def test_a_statement_is_for_the_customer_in_a_zone_that_there_is(
    quick: Serving, ask: RelationshipServiceStub
) -> None:
    await two_axes(quick)
    theirs = by_token(await get(ask, spec(perspective=ORGANIZATION)))
    page = await ask.GetStatement(statement(page_size=1))

    answers = [
        await refusal(ask.GetStatement(request))
        for request in (
            statement(spec(perspective=ORGANIZATION)),
            statement(theirs),
            statement(time_zone="Europe/Atlantis"),
            statement(time_zone="../../etc/passwd"),
            statement(time_zone="localtime"),
            statement(page_token=page.next_page_token + "x"),
            statement(page_token=page.next_page_token, time_zone="Europe/Berlin"),
        )
    ]

    assert ["REQUEST_INVALID"] * 5 + ["PAGE_TOKEN_INVALID"] * 2 == [reason_of(each) for each in answers]
    assert [["view.spec.perspective"], ["view.token"], *[["time_zone"]] * 3] == [fields_of(e) for e in answers[:5]]


# --- Books kept -------------------------------------------------------------------------------------------------------


def counted(server: Serving, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return what will be fed to books from now on: stream, and after which version."""
    fed: list[tuple[str, int]] = []
    feed = server.app.ledger.feed

    async def watched(stream_id: str, view: Any, evolve: Any, after_version: int = 0) -> None:
        fed.append((stream_id, after_version))
        await asyncio.sleep(0.05)  # As on PostgreSQL, others come in between.
        await feed(stream_id, view, evolve, after_version)

    monkeypatch.setattr(server.app.ledger, "feed", watched)
    return fed


async def test_a_book_is_read_on_from_where_it_was_and_only_once(
    quick: Serving, ask: RelationshipServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = await two_axes(quick)
    fed = counted(quick, monkeypatch)

    answers = await asyncio.gather(*(get(ask, spec(day(12), at["21"])) for _ in range(8)))
    await record(quick, exchange("x9", pays(100), at=day(11), one_sided=GIFT))
    later = await asyncio.gather(*(get(ask, spec(day(12))) for _ in range(8)))

    assert [("acme/anna", 0), ("acme/anna", 6)] == fed
    assert {121_951} == {each.index_ppm for each in answers}
    assert {14 * EUR} == {each.net_nanos for each in later}
    await get(ask, spec(day(12), at["19"]))
    assert ("acme/anna", 0) == fed[-1]  # The past is folded by itself.


async def test_the_books_kept_are_bounded(quick: Serving) -> None:
    await record(quick, *(exchange(f"x{n}", pays(1), at=day(2), one_sided=GIFT) for n in range(10)))
    others = [exchange("x", pays(1), at=day(2), customer=f"c-{n}", one_sided=GIFT) for n in range(20)]
    head = await record(quick, *others)
    books = Books(quick.app.ledger, pieces_max=42)

    sizes = []
    for customer, version in (("anna", 10), *((f"c-{n}", 1) for n in range(20))):
        book = await books.at_version(f"acme/{customer}", version, head)
        assert book is not None
        assert version == book.version
        sizes.append((len(books), books.pieces))

    assert (1, 25) == sizes[0]
    assert max(pieces for _, pieces in sizes) <= 42
    assert (6, 42) == sizes[-1]


async def test_a_book_counts_for_its_legs_too(quick: Serving) -> None:
    wide = [exchange("x", *[pays(1)] * 64, at=day(2), customer=f"c-{n}", one_sided=GIFT) for n in range(4)]
    head = await record(quick, *wide)
    books = Books(quick.app.ledger, pieces_max=200)

    for n in range(4):
        assert await books.at_version(f"acme/c-{n}", 1, head) is not None

    assert (2, 140) == (len(books), books.pieces)


async def test_balances_kept_hold_no_book_that_was_dropped(quick: Serving) -> None:
    await record(quick, *(exchange("x", pays(1), at=day(2), customer=f"c-{n}", one_sided=GIFT) for n in range(9)))
    answers = Balances(quick.app.ledger, Books(quick.app.ledger, pieces_max=1))

    for n in range(9):
        await answers.get(asked(customer=f"c-{n}"))

    assert 1 == len(answers._books)
    gc.collect()
    assert 1 == sum(isinstance(each, Book) for each in gc.get_objects())


async def test_a_book_that_others_continued_is_not_the_one_asked_for(quick: Serving) -> None:
    first = await record(quick, exchange("x1", pays(1), at=day(2), one_sided=GIFT))
    second = await record(quick, exchange("x2", pays(1), at=day(2), one_sided=GIFT))
    books = Books(quick.app.ledger)

    assert await books.at_version("acme/anna", 1, first) is not None
    assert await books.at_version("acme/anna", 2, second) is not None
    assert await books.at_version("acme/anna", 1, first) is None


async def test_a_book_that_cannot_be_read_is_not_kept(quick: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    position = await record(quick, exchange("x1", pays(1), at=day(2), one_sided=GIFT))
    books = Books(quick.app.ledger)
    failing = [True]
    feed = quick.app.ledger.feed

    async def half(*given: Any) -> None:
        await feed(*given)
        if failing.pop():
            raise RuntimeError("the rest could not be read")

    monkeypatch.setattr(quick.app.ledger, "feed", half)
    with pytest.raises(RuntimeError):
        await books.at_version("acme/anna", 1, position)

    assert (0, 0) == (len(books), books.pieces)
    failing.append(False)
    assert await books.at_version("acme/anna", 1, position) is not None


async def test_a_balance_of_now_is_made_once_and_anew_when_time_a_fact_or_a_policy_changes_it(
    quick: Serving, ask: RelationshipServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(quick, policy(1, *RULES, effective_from=day(1)))
    now = quick.app.ledger.head.record_time
    held = exchange("x1", pays(500), at=day(2), one_sided=GIFT, pending_until=timestamp(now + 5 * DAY))
    await record(quick, held)
    made: list[int] = []
    right = numbers.balance

    def counted(*given: Any) -> Any:
        made.append(1)
        return right(*given)

    monkeypatch.setattr("services.relationship.balances.balance", counted)

    async def pending(later: int, view: b.ViewRef | None = None) -> tuple[int, int]:
        quick.app.ledger.clock = lambda: now + later
        told = await get(ask, view)
        assert now + later == told.view.resolved.as_of.occur_time.ToMicroseconds()
        assert told == await get(ask, by_token(told))  # Made without what is kept.
        made.pop()
        return told.pending_gave_nanos, len(made)

    assert [(5 * EUR, 1), (5 * EUR, 1), (0, 2), (0, 2)] == [
        await pending(later) for later in (DAY, 5 * DAY - 1, 5 * DAY, 6 * DAY)
    ]
    await record(quick, exchange("other", pays(5), at=day(2), customer="bert", one_sided=GIFT))
    assert (0, 2) == await pending(7 * DAY)
    assert (0, 3) == await pending(7 * DAY, spec(perspective=ORGANIZATION))
    await publish(quick, policy(2, *RULES, effective_from=day(1)))
    assert (0, 4) == await pending(7 * DAY)
    await record(quick, exchange("x2", pays(5), at=day(2), one_sided=GIFT))
    assert (0, 5) == await pending(7 * DAY)
