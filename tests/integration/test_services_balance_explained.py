"""Balances explained through gRPC: leg by leg, and why two views of one differ."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import pytest

from ledger.balance.viewed import legs_in_view
from ledger.domain.times import timestamp
from rapport.events.v1 import exchange_pb2 as x
from rapport.relationship.v1 import balance_pb2 as b
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from tests.balance_calls import (
    EUR,
    GIFT,
    RULES,
    ask,
    attention,
    by_token,
    compared,
    day,
    exchange,
    explained,
    full_example,
    get,
    goods,
    parts,
    pays,
    publish,
    quick,
    ratio,
    record,
    reversal,
    server,
    spec,
    statement,
    stub,
    two_axes,
)
from tests.balance_facts import CUSTOMER, ORGANIZATION, grant, leg, policy
from tests.refusals import metadata_of, reason_of, refusal
from tests.server import Serving

__all__ = ["ask", "quick", "server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


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
