"""Views of a balance through gRPC: by tokens that keep them for ever, and those that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.domain.times import timestamp
from rapport.relationship.v1 import balance_pb2 as b
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from services.relationship import view_tokens
from tests.balance_calls import (
    GIFT,
    MODULES,
    RULES,
    ask,
    asked,
    attention,
    by_token,
    compared,
    day,
    exchange,
    explained,
    get,
    parts,
    pays,
    prepare,
    publish,
    quick,
    record,
    reversal,
    spec,
    two_axes,
    window,
)
from tests.balance_facts import ORGANIZATION, policy
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import Serving, serving

__all__ = ["ask", "quick"]
"""Fixtures of all tests of the service; a test has them by their names."""


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
