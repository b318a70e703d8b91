"""Statements through gRPC: paged by lines, in days of a time zone, for the customer."""

from __future__ import annotations

from typing import Any

from rapport.events.v1 import exchange_pb2 as x
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from tests.balance_calls import (
    DAY,
    EUR,
    GIFT,
    RULES,
    ask,
    by_token,
    day,
    exchange,
    get,
    goods,
    pays,
    publish,
    quick,
    record,
    server,
    spec,
    statement,
    stub,
    two_axes,
    window,
)
from tests.balance_facts import CUSTOMER, ORGANIZATION, grant, leg, policy
from tests.refusals import fields_of, reason_of, refusal
from tests.server import Serving

__all__ = ["ask", "quick", "server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


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
