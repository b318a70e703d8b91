"""Balances through gRPC: now and as of, on both axes of time, with the versions they rest on."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ledger.domain.times import timestamp
from rapport.relationship.v1 import balance_pb2 as b
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from tests.balance_calls import (
    EUR,
    GIFT,
    RULES,
    ask,
    asked,
    attention,
    by_token,
    compared,
    day,
    exchange,
    full_example,
    get,
    minutes,
    pays,
    publish,
    quick,
    ratio,
    record,
    server,
    spec,
    stub,
    two_axes,
    window,
)
from tests.balance_facts import CUSTOMER, ORGANIZATION, policy
from tests.refusals import metadata_of, reason_of, refusal
from tests.server import Serving

__all__ = ["ask", "quick", "server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


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
