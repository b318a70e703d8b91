"""Balances through the client: views, exact text, explanations that come whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction

import grpc
import pytest

from rapport.events.v1.exchange_pb2 import PARTY_ORGANIZATION
from rapport.relationship.v1.balance_pb2 import Ratio
from rapport.relationship.v1.statement_pb2 import Statement
from services.client import (
    Client,
    RapportError,
    RetryPolicy,
    ServerFault,
    Unavailable,
    fraction,
    nanos_text,
    ppm_text,
    ratio_text,
    to_nanos,
    token_bytes,
    token_text,
    view,
    view_spec,
    view_token,
)
from tests import example_balance as example
from tests.example_balance import Part
from tests.unit.fake_server import FakeServer, fake_server

QUICK = RetryPolicy(first_delay_s=0.001)
WHOLE = example.explanation()
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as fake:
        yield fake


async def explained(server: FakeServer, *scripts: Sequence[object]) -> list[Part]:
    server.relationships.explanations = [list(script) for script in scripts]
    async with Client(server.target, retry=QUICK) as client:
        return [part async for part in client.explain_balance("acme", "c-1", view=view_spec(), drivers=1)]


@pytest.mark.parametrize(
    "nanos, text",
    [
        (3_300_000_000, "3.30 EUR"),
        (-2_000_000_000, "-2.00 EUR"),
        (0, "0.00 EUR"),
        (1, "0.000000001 EUR"),
        (-1_234_500_000, "-1.2345 EUR"),
        (9_223_372_036_854_775_807, "9223372036.854775807 EUR"),
    ],
)
def test_values_are_told_exactly_and_read_back(nanos: int, text: str) -> None:
    assert text == nanos_text(nanos, "EUR")
    assert nanos == to_nanos(text.removesuffix(" EUR"))


def test_a_difference_is_told_with_its_sign() -> None:
    assert ["+3.30", "0.00", "-0.50"] == [nanos_text(nanos, signed=True) for nanos in (33 * 10**8, 0, -5 * 10**8)]


def test_more_than_nine_decimals_are_no_value() -> None:
    with pytest.raises(ValueError, match="more than 9 decimals"):
        to_nanos("0.0000000001")


@pytest.mark.parametrize(
    "ppm, text",
    [
        (23_861, "+0.024 (23,861 ppm)"),
        (-169_208, "-0.169 (-169,208 ppm)"),
        (0, "0.000 (0 ppm)"),
        (500, "+0.000 (500 ppm)"),  # Half to even: 0.0005 lies between 0.000 and 0.001.
        (1_500, "+0.002 (1,500 ppm)"),
        (-2_500, "-0.002 (-2,500 ppm)"),
        (999_500, "+1.000 (999,500 ppm)"),
        (-1_000_000, "-1.000 (-1,000,000 ppm)"),
    ],
)
def test_millionths_are_rounded_half_to_even_and_told_in_full(ppm: int, text: str) -> None:
    assert text == ppm_text(ppm)


def test_ratios_are_reduced_and_absent_ones_are_empty() -> None:
    assert Fraction(11, 461) == fraction(example.balance().index)
    assert "11/461" == ratio_text(example.balance().index)
    assert "" == ratio_text(Ratio())
    with pytest.raises(ValueError, match="no ratio"):
        fraction(Ratio(numerator="1", denominator="0"))


def test_tokens_are_read_as_json_and_urls_and_hexadecimal_digits_have_them() -> None:
    token = bytes(range(190, 256))

    assert "+" in token_text(token)
    assert [token] * 4 == [
        token_bytes(text)
        for text in (
            token_text(token),
            token_text(token).replace("+", "-").replace("/", "_"),
            token_text(token).rstrip("="),
            token.hex(),
        )
    ]
    assert token == view_token(token_text(token)).token == view_token(token).token


@pytest.mark.parametrize("text", ["", "  ", "no token!", "abcde"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="token"):
        token_bytes(text)


def test_a_view_says_only_what_was_asked_for() -> None:
    march = datetime(2026, 3, 1, tzinfo=UTC)

    full = view_spec(
        as_of=view(occur_time=march, position=21),
        perspective=PARTY_ORGANIZATION,
        window_from=datetime(2026, 2, 1, tzinfo=UTC),
        window_to=march,
        half_life_days=90,
        policy_id="retail",
        policy_version=2,
    ).spec

    assert view_spec().HasField("spec")
    assert 0 == view_spec().spec.ByteSize()
    assert (21, 1_772_323_200) == (full.as_of.position, full.as_of.occur_time.seconds)
    assert (1_769_904_000, 1_772_323_200) == (getattr(full.window, "from").seconds, full.window.to.seconds)
    assert (PARTY_ORGANIZATION, 90) == (full.perspective, full.half_life_days)
    assert ("retail", 2) == (full.valuation.policy_id, full.valuation.version)


async def test_a_balance_is_asked_for_by_its_view(server: FakeServer) -> None:
    server.relationships.balance = example.balance()

    async with Client(server.target) as client:
        answer = await client.get_balance("acme", "c-1", view=view_token(example.TOKEN), min_position=7)

    (request,) = server.relationships.asked
    assert ("acme", "c-1", 7, example.TOKEN) == (
        request.organization_id,
        request.customer_id,
        request.min_position,
        request.view.token,
    )
    assert example.balance() == answer.balance


async def test_an_explanation_comes_in_order_to_its_trailer(server: FakeServer) -> None:
    server.relationships.explanations = [[*WHOLE]]

    async with Client(server.target) as client:
        explanation = client.explain_balance("acme", "c-1", drivers=1)
        parts = [part async for part in explanation]

    assert WHOLE == parts
    assert example.balance() == explanation.balance
    assert example.trailer() == explanation.trailer
    assert 1 == server.relationships.asked[0].drivers


async def test_an_explanation_without_a_trailer_is_an_error(server: FakeServer) -> None:
    with pytest.raises(Unavailable, match="ended before it was finished"):
        # Each time it breaks off at the same place, the stream got no further.
        await explained(server, WHOLE[:-1], *[[WHOLE[0], *WHOLE[7:-1]] for _ in range(4)])


@pytest.mark.parametrize("broken_after", range(1, len(WHOLE)))
async def test_a_broken_explanation_goes_on_under_its_token_after_the_last_entry(
    server: FakeServer, broken_after: int
) -> None:
    entries = max(0, min(broken_after - 1, 6))

    parts = await explained(
        server, [*WHOLE[:broken_after], UNAVAILABLE], [UNAVAILABLE], [WHOLE[0], *WHOLE[1 + entries :]]
    )

    assert WHOLE == parts
    first, _, again = server.relationships.asked
    assert ("spec", 0) == (first.view.WhichOneof("ref"), first.start_after)
    assert (example.TOKEN, entries) == (again.view.token, again.start_after)
    assert [1, 1] == [first.drivers, again.drivers]


async def test_an_explanation_that_broke_before_its_header_begins_anew(server: FakeServer) -> None:
    assert WHOLE == await explained(server, [UNAVAILABLE], [*WHOLE])
    assert ["spec", "spec"] == [request.view.WhichOneof("ref") for request in server.relationships.asked]


async def test_an_explanation_is_not_taken_up_again_with_another_balance(server: FakeServer) -> None:
    other = example.balance()
    other.got_nanos += 1

    with pytest.raises(ServerFault, match="another balance"):
        await explained(server, [*WHOLE[:3], UNAVAILABLE], [Part(balance=other), *WHOLE[3:]])


@pytest.mark.parametrize("field", ["entries", "got_nanos", "gave_nanos"])
async def test_an_explanation_whose_trailer_does_not_fit_is_an_error(server: FakeServer, field: str) -> None:
    trailer = example.trailer()
    setattr(trailer, field, getattr(trailer, field) + 1)

    with pytest.raises(ServerFault, match="does not add up"):
        await explained(server, [*WHOLE[:-1], Part(trailer=trailer)])


async def test_an_explanation_whose_contributions_are_not_the_index_is_an_error(server: FakeServer) -> None:
    trailer = example.trailer()
    trailer.index.numerator = str(int(trailer.index.numerator) - 1)

    with pytest.raises(ServerFault, match="does not add up"):
        await explained(server, [*WHOLE[:-1], Part(trailer=trailer)])


@pytest.mark.parametrize("field", ["got_nanos", "gave_nanos"])
async def test_an_explanation_of_another_balance_than_its_header_is_an_error(server: FakeServer, field: str) -> None:
    header = example.balance()
    setattr(header, field, getattr(header, field) + 1)

    with pytest.raises(ServerFault, match="does not add up"):
        await explained(server, [Part(balance=header), *WHOLE[1:]])


async def test_a_missing_entry_is_an_error(server: FakeServer) -> None:
    with pytest.raises(ServerFault, match="entry 3 came where 2 was due"):
        await explained(server, [*WHOLE[:2], *WHOLE[3:]])


async def test_a_stream_that_does_not_begin_with_a_balance_is_an_error(server: FakeServer) -> None:
    with pytest.raises(ServerFault, match="begin with a balance"):
        await explained(server, [*WHOLE[1:]])


async def test_what_waiting_does_not_mend_is_raised_at_once(server: FakeServer) -> None:
    with pytest.raises(RapportError, match="EXPLANATION_MISMATCH"):
        await explained(server, [(grpc.StatusCode.DATA_LOSS, "EXPLANATION_MISMATCH")])
    assert 1 == len(server.relationships.asked)


async def test_views_are_compared_as_given(server: FakeServer) -> None:
    async with Client(server.target) as client:
        await client.diff_views("acme", "c-1", view_spec(half_life_days=3), view_token(b"b"), entries_max=5)

    (request,) = server.relationships.asked
    assert (3, b"b", 5) == (request.a.spec.half_life_days, request.b.token, request.entries_max)


async def test_a_statement_comes_page_by_page(server: FakeServer) -> None:
    server.relationships.statements = [Statement(lines_count=5), Statement(lines_count=5, time_zone="UTC")]

    async with Client(server.target) as client:
        pages = [page async for page in client.get_statement("acme", "c-1", time_zone="Europe/Berlin", page_size=3)]

    assert server.relationships.statements == pages
    assert ["", "1"] == [request.page_token for request in server.relationships.asked]
    assert {("Europe/Berlin", 3)} == {(each.time_zone, each.page_size) for each in server.relationships.asked}
