"""`rapport balance`: what is asked for, what is printed, what is refused before a server is asked."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from rapport.events.v1 import exchange_pb2 as exchange
from rapport.relationship.v1 import balance_pb2 as balances
from rapport.relationship.v1 import relationship_service_pb2 as messages
from rapport.relationship.v1.statement_pb2 import Statement
from rapport.type.v1.amount_pb2 import Amount
from services.cli import exits
from services.cli.__main__ import main
from services.client import RapportError, token_text
from tests import example_balance as example
from tests.unit.command_line import run_line
from tests.unit.fake_server import FakeServer, fake_server

TOKEN = token_text(example.TOKEN)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as fake:
        fake.relationships.balance = example.balance()
        yield fake


async def run(server: FakeServer, command: str) -> int:
    """Run a command inside this event loop, as `main` would in one of its own."""
    return await run_line(server.target, *command.split())


def pairs(printed: str) -> dict[str, str]:
    """Return the names and values of a printed block."""
    lines = [line.partition("  ") for line in printed.split("\n\n", maxsplit=1)[0].splitlines()]
    return {name: value.strip() for name, _, value in lines}


def blocks(printed: str) -> list[list[list[str]]]:
    """Return the cells of every block of lines."""
    return [[line.split("\t") for line in block.splitlines()] for block in printed.strip("\n").split("\n\n")]


async def test_a_balance_is_told_in_full(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.OK == await run(server, "balance acme c-1")

    told = pairs(capsys.readouterr().out)
    assert {
        "relationship": "acme/c-1",
        "view": "as of 2026-03-30T00:00:00Z, known at position 21",
        "perspective": "customer",
        "policies": "retail@1",
        "got": "60.80 EUR",
        "gave": "57.50 EUR",
        "net": "+3.30 EUR",
        "index": "+0.024 (23,861 ppm), exactly 11/461",
        "label": "BALANCED",
        "band": "-0.169 (-169,208 ppm) to +0.102 (102,222 ppm)",
        "customer gains": "uncertain, it depends on the true rates",
        "confidence": "0.855 (855,387 ppm); 10.00 EUR each way are assumed",
        "raw": "+0.028 (27,895 ppm)",
        "trend": "0.000 (0 ppm)",
        "pending": "to get 1.00 EUR, to give 2.50 EUR",
        "promised": "4.40 EUR",
        "coverage": "6 of 8 legs with a value: 0.750 (750,000 ppm)",
        "unvalued": "WAITING 15 MIN (2 legs)",
        "methods": "FACE 0.402 (401,522 ppm)",
        "one-sided": "UNOBSERVED 10.80 EUR (3 legs)",
        "last got": "2026-03-05T00:00:00Z",
        "last gave": "2026-03-06T00:00:00Z",
        "observed": "ATTENTION since 2026-03-01T00:00:00Z",
        "token": TOKEN,
    } == told


async def test_lines_tell_got_before_gave_with_units_and_what_has_no_value(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(server, "balance acme c-1")

    _, (_, *rows) = blocks(capsys.readouterr().out)
    assert ["GOT"] * 2 + ["GAVE"] * 5 == [row[0] for row in rows]
    assert ["GOT", "GOODS", "50.00 EUR", "1", "50.00 EUR", "50.00 EUR", "50.00 EUR", ""] == rows[0]
    assert ["GAVE", "WAITING", "", "0", "", "", "", "15 MIN (2 legs)"] == rows[-1]


async def test_the_perspective_turns_the_sides(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.relationships.balance.view.resolved.perspective = exchange.PARTY_ORGANIZATION
    server.relationships.balance.customer_gains = balances.CUSTOMER_GAINS_UNSPECIFIED

    await run(server, "balance acme c-1 --perspective organization")

    printed = capsys.readouterr().out
    assert "organization" == pairs(printed)["perspective"]
    assert not [name for name in pairs(printed) if name.endswith("gains")]
    assert ["GOT", "MONEY_PAYMENT"] == blocks(printed)[1][1][:2]
    assert exchange.PARTY_ORGANIZATION == server.relationships.asked[0].view.spec.perspective


@pytest.mark.parametrize(
    "gains, words",
    [
        (balances.CUSTOMER_GAINS_YES, "yes, whatever the true rates"),
        (balances.CUSTOMER_GAINS_NO, "no, whatever the true rates"),
    ],
)
async def test_who_gains_is_told_in_words(
    server: FakeServer,
    capsys: pytest.CaptureFixture[str],
    gains: balances.CustomerGains.ValueType,
    words: str,
) -> None:
    server.relationships.balance.customer_gains = gains
    await run(server, "balance acme c-1")
    assert words == pairs(capsys.readouterr().out)["customer gains"]


async def test_without_a_policy_there_are_quantities_and_the_command_that_publishes_one(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    without = balances.Balance(view=example.view(), status=balances.BALANCE_STATUS_NO_POLICY)
    without.quantities.add(
        giver=exchange.PARTY_CUSTOMER, category=exchange.CATEGORY_ATTENTION, asset="MIN/0", posted=25
    )
    server.relationships.balance = without

    await run(server, "balance acme c-1")

    printed = capsys.readouterr().out
    assert "rapport policy valuation publish" in pairs(printed)["index"]
    assert not {"got", "gave", "net", "band", "promised"} & set(pairs(printed))
    assert ["CUSTOMER", "ATTENTION", "25 MIN", ""] == blocks(printed)[1][1]


async def test_without_anything_of_value_no_index_is_made_up(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.relationships.balance = balances.Balance(
        view=example.view(), status=balances.BALANCE_STATUS_NO_VALUED_EXCHANGES, unit_of_account="EUR"
    )

    await run(server, "balance acme c-1")

    told = pairs(capsys.readouterr().out)
    assert ("none: nothing of value is on record in this view", "0.00 EUR") == (told["index"], told["got"])
    assert not {"band", "label", "trend", "confidence"} & set(told)


async def test_all_of_a_view_can_be_asked_for(server: FakeServer) -> None:
    await run(
        server,
        "balance show acme c-1 --as-of 2026-03-31 --known-at 21 --from 2026-03-01 --to 2026-03-30T12:00:00Z "
        "--half-life 90 --policy retail@2 --perspective organization",
    )

    spec = server.relationships.asked[0].view.spec
    day = 86_400
    assert (example.FIRST_S + 31 * day - 1, 999_999_000) == (spec.as_of.occur_time.seconds, spec.as_of.occur_time.nanos)
    assert 21 == spec.as_of.position
    # A day counts whole: the window opens right before it.
    begin = getattr(spec.window, "from")
    assert (example.FIRST_S - 1, 999_999_000) == (begin.seconds, begin.nanos)
    assert example.FIRST_S + 29 * day + day // 2 == spec.window.to.seconds
    assert (90, "retail", 2, exchange.PARTY_ORGANIZATION) == (
        spec.half_life_days,
        spec.valuation.policy_id,
        spec.valuation.version,
        spec.perspective,
    )


async def test_knowledge_can_be_that_of_a_time_and_a_version_that_of_the_default_policy(server: FakeServer) -> None:
    await run(server, "balance acme c-1 --known-at 2026-03-01T00:00:00Z --policy @3")

    spec = server.relationships.asked[0].view.spec
    assert ("record_time", example.FIRST_S) == (spec.as_of.WhichOneof("known_at"), spec.as_of.record_time.seconds)
    assert not spec.as_of.HasField("occur_time")
    assert ("", 3) == (spec.valuation.policy_id, spec.valuation.version)


@pytest.mark.parametrize("text", [TOKEN, example.TOKEN.hex()])
async def test_a_token_asks_for_its_view_again(server: FakeServer, text: str) -> None:
    await run(server, f"balance acme c-1 --token {text}")
    assert example.TOKEN == server.relationships.asked[0].view.token


async def test_the_first_word_after_balance_may_be_a_command_or_an_organization(server: FakeServer) -> None:
    await run(server, "balance --half-life 7 acme c-1")
    await run(server, "balance show explain c-1")  # An organization that is called as a command is.

    assert ["acme", "explain"] == [request.organization_id for request in server.relationships.asked]


@pytest.mark.parametrize(
    "command",
    [
        "balance",
        "balance acme",
        "balance acme c-1 --as-of soon",
        "balance acme c-1 --half-life 0",
        "balance acme c-1 --half-life 4000",
        "balance acme c-1 --policy Retail",
        "balance acme c-1 --policy retail@0",
        "balance acme c-1 --token !",
        "balance acme c-1 --perspective both",
        "balance acme c-1 --plot a.pdf",
        "balance --plot acme c-1",
        "balance explain acme c-1 --drivers 101",
        "balance diff acme c-1 --legs 0",
        "balance diff acme c-1 --as-of 2026-01-01",
        "balance statement acme c-1 --perspective organization",
    ],
)
def test_what_is_not_understood_ends_with_2(command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    assert exits.USAGE == ended.value.code


@pytest.mark.parametrize(
    "command, named",
    [
        (f"balance acme c-1 --token {TOKEN} --as-of 2026-01-01 --half-life 3", "--as-of, --half-life"),
        (f"balance acme c-1 --token {TOKEN} --perspective customer", "--perspective"),
        (f"balance diff acme c-1 --a-token {TOKEN} --a-known-at 3", "--a-known-at"),
        ("balance acme c-1 --json --plot", "--json"),
        ("balance acme c-1 --plot nowhere/a.svg", "no such folder"),
    ],
)
def test_what_contradicts_itself_ends_with_2_and_says_why(
    command: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits.USAGE == main(command.split())
    assert named in capsys.readouterr().err


async def test_json_is_the_answer_as_it_came(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    await run(server, "balance acme c-1 --json")

    (line,) = capsys.readouterr().out.splitlines()
    assert ("60800000000", 23861, TOKEN) == (
        json.loads(line)["balance"]["gotNanos"],
        json.loads(line)["balance"]["indexPpm"],
        json.loads(line)["balance"]["view"]["token"],
    )


@pytest.mark.parametrize("what", ["show", "explain", "diff", "statement"])
async def test_what_the_server_refuses_is_raised_for_main_to_tell(server: FakeServer, what: str) -> None:
    server.relationships.failure = (grpc.StatusCode.NOT_FOUND, "RELATIONSHIP_UNKNOWN")

    with pytest.raises(RapportError) as refused:
        await run(server, f"balance {what} acme c-1")

    assert "check both ids, and the point of view" in exits.message(refused.value, server.target)
    assert exits.REFUSED == exits.exit_code(refused.value)


def test_what_a_refusal_names_is_told_though_its_letters_stand_in_the_message() -> None:
    names = {"customer_id": "a", "organization_id": "acme", "version": "3"}
    refused = RapportError("no version 3 is available in this view", code=grpc.StatusCode.NOT_FOUND, metadata=names)

    told = exits.message(refused, "server")

    assert ["  customer_id: a", "  organization_id: acme"] == told.splitlines()[1:]


async def test_an_explanation_has_a_table_for_each_kind_of_part_and_ends_with_its_trailer(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.relationships.explanations = [[*example.explanation()]]

    assert exits.OK == await run(server, "balance explain acme c-1 --drivers 1")

    header, entries, exclusions, lots, drivers, trailer = capsys.readouterr().out.strip().split("\n\n")
    assert TOKEN == pairs(header)["token"]
    rows = [line.split("\t") for line in entries.splitlines()]
    assert 7 == len(rows)
    assert [
        *("1", "2026-03-01T00:00:00Z", "x1/1", "CUSTOMER", "MONEY_PAYMENT", "47.50 EUR", "0.01", "FACE"),
        *("rule-1 of retail@1", "47.50 EUR", "-343,456"),
    ] == rows[1]
    assert "+78,091" == rows[5][-1]
    assert [["UNVALUED", "x7/1"], ["PENDING", "x8/1"]] == [
        line.split("\t")[0:3:2] for line in exclusions.splitlines()[1:]
    ]
    assert ["g1/1", "300 POINT", "250 POINT", "50 POINT", "0 POINT", "0 POINT", "", "never", "4.40 EUR"] == (
        lots.splitlines()[1].split("\t")
    )
    assert ["1", "559,471 ppm"] == drivers.splitlines()[1].split("\t")
    assert {
        "entries": "6, complete",
        "got": "60.80 EUR",
        "gave": "57.50 EUR",
        "index": "11/461, the sum of all contributions",
        "digest": "09" * 32,
    } == pairs(trailer)
    assert 1 == server.relationships.asked[0].drivers


async def test_weights_stand_beside_values_where_there_is_a_half_life(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = example.explanation()
    parts[1].entry.weight_ppm = 500_000
    server.relationships.explanations = [parts]

    await run(server, "balance explain acme c-1 --half-life 90")

    assert "47.50 EUR x 500,000 ppm" in capsys.readouterr().out


async def test_an_explanation_that_breaks_off_is_an_error_not_a_short_table(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.relationships.explanations = [example.explanation()[:-1]]
    server.relationships.explanations += [[example.Part(balance=example.balance())] for _ in range(3)]

    with pytest.raises(RapportError, match="ended before it was finished"):
        await run(server, "balance explain acme c-1")
    assert "complete" not in capsys.readouterr().out


async def test_json_of_an_explanation_is_one_part_a_line(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.relationships.explanations = [[*example.explanation()]]

    await run(server, "balance explain acme c-1 --json")

    kinds = [next(iter(json.loads(line))) for line in capsys.readouterr().out.splitlines()]
    assert ["balance", *["entry"] * 6, *["exclusion"] * 2, "lot", "driver", "trailer"] == kinds


def difference() -> messages.DiffViewsResponse:
    """From (T 12 Mar, P 19) to (T 30 Mar, P 21): the numbers of section 11.4."""
    answer = messages.DiffViewsResponse(a=example.view(), b=example.view())
    answer.a.resolved.as_of.position = 19
    first, second = example.ratio(-92, 4961), example.ratio(40, 1353)
    answer.steps.add(
        cause=balances.DIFF_CAUSE_POLICY,
        net_nanos=-2 * 10**9,
        index=first,
        entries=[example.entry(3)],
        entries_count=4,
    )
    answer.steps.add(cause=balances.DIFF_CAUSE_CORRECTION, net_nanos=-10 * 10**9, index=second, entries_count=2)
    answer.steps.add(cause=balances.DIFF_CAUSE_EXPIRY, promised_nanos=-4 * 10**8, pending_nanos=10**9, entries_count=1)
    return answer


async def test_a_difference_is_told_cause_by_cause_and_adds_up(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.relationships.difference = difference()

    assert exits.OK == await run(server, "balance diff acme c-1 --a-as-of 2026-03-12 --a-known-at 19 --b-half-life 9")

    printed = capsys.readouterr().out
    assert "as of 2026-03-30T00:00:00Z, known at position 19, by retail@1" == pairs(printed)["from a"]
    assert [
        ["CAUSE", "NET", "INDEX", "EXACTLY", "PROMISED", "PENDING", "LEGS"],
        ["POLICY", "-2.00", "-0.019 (-18,545 ppm)", "-92/4961", "", "", "4"],
        ["CORRECTION", "-10.00", "+0.030 (29,564 ppm)", "40/1353", "", "", "2"],
        ["EXPIRY", "0.00", "0.000 (0 ppm)", "0", "-0.40", "+1.00", "1"],
        # 17/121 -> 5/33, exactly.
        ["all", "-12.00", "+0.011 (11,019 ppm)", "4/363", "", "", ""],
    ] == blocks(printed)[1]
    (request,) = server.relationships.asked
    assert (19, 9) == (request.a.spec.as_of.position, request.b.spec.half_life_days)


async def test_legs_of_a_difference_are_listed_on_demand(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.relationships.difference = difference()

    await run(server, "balance diff acme c-1 --legs 1")

    printed = capsys.readouterr().out
    assert "POLICY, -2.00, 3 more legs" in printed
    assert "x3/1" in printed
    assert 1 == server.relationships.asked[0].entries_max


async def test_views_that_do_not_differ_are_said_so(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.relationships.difference = messages.DiffViewsResponse(a=example.view(), b=example.view())
    await run(server, "balance diff acme c-1")
    assert capsys.readouterr().out.endswith("\n\nnothing differs\n")


def statement(*days: tuple[str, int]) -> Statement:
    """Return a page with one line a day, of a paid amount in cents; 0: goods without a value."""
    page = Statement(view=example.view(), time_zone="Europe/Berlin", unit_of_account="EUR", lines_count=3)
    page.opening.gave_nanos, page.opening.net_nanos = 10**9, -(10**9)
    page.closing.gave_nanos, page.closing.net_nanos = 4 * 10**9, -4 * 10**9
    page.lots.append(example.lot())
    for date, cents in days:
        line = page.days.add(date=date).lines.add(
            effective_time=example.at(0), exchange_id="x", leg_no=1, running_net_nanos=-(10**9) - cents * 10**7
        )
        line.giver = exchange.PARTY_CUSTOMER if cents else exchange.PARTY_ORGANIZATION
        line.category = exchange.CATEGORY_MONEY_PAYMENT if cents else exchange.CATEGORY_GOODS
        line.amount.CopyFrom(Amount(units=cents or 2, asset="EUR/2" if cents else "BOOK/0"))
        if cents:
            line.value_nanos = cents * 10**7
    return page


async def test_a_statement_goes_from_opening_by_days_to_closing(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.relationships.statements = [
        statement(("2026-03-01", 100), ("2026-03-02", 0)),
        statement(("2026-03-02", 200)),
    ]

    assert exits.OK == await run(server, "balance statement acme c-1 --time-zone Europe/Berlin --from 2026-03-01")

    header, lines, closing, lots = capsys.readouterr().out.strip().split("\n\n")
    assert ("got 0.00 EUR, gave 1.00 EUR, net -1.00 EUR", "Europe/Berlin") == (
        pairs(header)["opening"],
        pairs(header)["time zone"],
    )
    assert [
        ["DAY", "TIME", "CATEGORY", "AMOUNT", "GOT", "GAVE", "NET SO FAR"],
        ["2026-03-01", "01:00", "MONEY_PAYMENT", "1.00 EUR", "", "1.00 EUR", "-2.00"],
        ["2026-03-02", "01:00", "GOODS", "2 BOOK", "no value", "", "-1.00"],
        ["2026-03-02", "01:00", "MONEY_PAYMENT", "2.00 EUR", "", "2.00 EUR", "-3.00"],
    ] == [line.split("\t") for line in lines.splitlines()]
    assert {"closing": "got 0.00 EUR, gave 4.00 EUR, net -4.00 EUR", "lines": "3"} == pairs(closing)
    assert lots.splitlines()[1].startswith("g1/1\t300 POINT")
    assert ["Europe/Berlin"] * 2 == [request.time_zone for request in server.relationships.asked]


async def test_json_of_a_statement_is_one_page_a_line(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.relationships.statements = [statement(("2026-03-01", 100)), statement()]
    await run(server, "balance statement acme c-1 --json")
    assert [1, 0] == [len(json.loads(line).get("days", [])) for line in capsys.readouterr().out.splitlines()]


async def test_a_plot_is_of_the_very_balance_that_was_printed(
    server: FakeServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    server.relationships.explanations = [[*example.explanation()], [*example.explanation()]]

    assert exits.OK == await run(server, f"balance acme c-1 --json --plot {tmp_path / 'a.svg'}")
    assert exits.OK == await run(server, "balance acme c-1 --plot")

    (_, explained, _, again) = server.relationships.asked
    assert example.TOKEN == explained.view.token == again.view.token
    assert "acme/c-1: what the customer got and gave" in (tmp_path / "a.svg").read_text()
    printed = capsys.readouterr().out
    assert "\n\nacme/c-1: what the customer got and gave\n" in printed
    assert " got, gave\n" in printed


async def test_where_nothing_has_a_value_nothing_is_drawn_and_that_is_said(
    server: FakeServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    empty = balances.Balance(view=example.view(), status=balances.BALANCE_STATUS_NO_VALUED_EXCHANGES)
    server.relationships.balance = empty
    server.relationships.explanations = [[example.Part(balance=empty), example.Part(trailer=balances.Trailer())]]

    assert exits.REFUSED == await run(server, f"balance acme c-1 --plot {tmp_path / 'a.png'}")

    assert "nothing to draw" in capsys.readouterr().err
    assert [] == os.listdir(tmp_path)
