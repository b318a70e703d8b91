"""`rapport balance` as people use it, over the full example of the design (11.1) and its two time axes (11.3, 11.4)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from rapport.events.v1 import exchange_pb2 as events
from rapport.events.v1 import valuation_pb2 as valuation
from rapport.events.v1.policy_pb2 import AssetKind, AssetRegistered
from rapport.exchange.v1.operation_pb2 import Exchange, Operation, Reversal
from services.client import Client, Unavailable, amount, balances, timestamp, view_spec
from services.client import view as as_of
from services.client.frames import read_frames
from tests import example_balance as example
from tests.e2e.test_cli import environment_for, messages, rapport
from tests.server import ROOT, ServerProcess

C, O = events.PARTY_CUSTOMER, events.PARTY_ORGANIZATION  # noqa: E741  # As in the tables of the design.
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
KINDS = {"EUR/2": "MONEY", "MIN/0": "TIME", "DATAPT/0": "DATA", "REVIEW/0": "ADVOCACY", "POINT/0": "POINTS"}
BANDS = (
    (10**7, 10**7),
    (8 * 10**6, 10**7),
    (6 * 10**7, 24 * 10**7),
    (10**8, 2 * 10**9),
    (6 * 10**8, 12 * 10**8),
    (10**9, 5 * 10**9),
)
"""Low and high rates of the example's legs."""


class Ledger(NamedTuple):
    """A running server, and positions to look back to."""

    server: ServerProcess
    before: int
    """Where the customer of two time axes stood at position 19 of the example."""
    after: int
    """Where at position 21."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with ServerProcess(tmp_path_factory.mktemp("balance") / "data") as server:
        before, after = asyncio.run(fill(server.target))
        yield Ledger(server, before, after)


async def fill(target: str) -> tuple[int, int]:
    async with Client(target) as client:
        for organization in ("acme", "axes", "bare"):
            await client.register_assets(organization, [asset(name, kind) for name, kind in KINDS.items()])
        await client.publish_valuation_policy("acme", full_policy())
        await record(client, "acme", "c-1", "buy", 1, leg(C, "MONEY_PAYMENT", "47.50 EUR/2"), GOODS)
        await record(client, "acme", "c-1", "read", 3, leg(C, "ATTENTION", "25 MIN/0"))
        await record(client, "acme", "c-1", "told", 5, leg(C, "DATA_DISCLOSED", "6 DATAPT/0"))
        await record(client, "acme", "c-1", "call", 8, leg(O, "SERVICE_SUPPORT", "12 MIN/0"))
        await record(client, "acme", "c-1", "praise", 11, leg(C, "ADVOCACY", "1 REVIEW/0"))
        await record(client, "acme", "c-1", "queue", 12, leg(C, "WAITING", "15 MIN/0"))
        await record(client, "acme", "c-1", "points", 13, leg(O, "POINTS_GRANT", "300 POINT/0"))
        await record(client, "acme", "c-1", "mistake", 14, leg(C, "MONEY_PAYMENT", "9.99 EUR/2"))
        mistake = Reversal(exchange_id="mistake", reversal_id="undo", at_original=True)
        await client.reverse_exchange("acme", "c-1", mistake)
        await record(client, "bare", "c-1", "read", 3, leg(C, "ATTENTION", "25 MIN/0"))
        return await two_axes(client)


async def two_axes(client: Client) -> tuple[int, int]:
    """Record section 11.3 from its position 5 on; return what its positions 19 and 21 are here."""
    rules = [rule("pay", C, 10**7, "EUR/2"), rule("goods", O, 10**7, "EUR/2"), rule("support", O, 9 * 10**8, "MIN/0")]
    attention = rule("attention", C, 10**8, "MIN/0")
    await client.publish_valuation_policy("axes", policy(datetime(2026, 1, 1, tzinfo=UTC), *rules, attention))
    paid = leg(C, "MONEY_PAYMENT", "40.00 EUR/2")
    await record(client, "axes", "c-1", "x1", 0, paid, leg(O, "GOODS", "50.00 EUR/2"))
    await record(client, "axes", "c-1", "x2", 9, leg(C, "ATTENTION", "30 MIN/0"))
    await record(client, "axes", "c-1", "x3", 4, leg(O, "SERVICE_SUPPORT", "10 MIN/0"))
    undo = Reversal(exchange_id="x2", reversal_id="r2", at_original=True)
    anew = exchange("x5", 9, leg(C, "ATTENTION", "20 MIN/0"))
    anew.replaces = "x2"
    batch = [Operation(customer_id="c-1", reverse=undo), Operation(customer_id="c-1", record=anew)]
    before = (await client.apply_exchanges("axes", batch)).results[-1].position
    dearer = rule("attention", C, 2 * 10**8, "MIN/0")
    await client.publish_valuation_policy("axes", policy(MARCH + timedelta(days=7), *rules, dearer))
    late = Reversal(exchange_id="x1", reversal_id="r1", at=timestamp(MARCH + timedelta(days=27)))
    return before, (await client.reverse_exchange("axes", "c-1", late)).result.position


def asset(name: str, kind: str) -> AssetRegistered:
    return AssetRegistered(asset=name, kind=AssetKind.Value(f"ASSET_KIND_{kind}"), max_units_per_leg=10**6)


def leg(giver: events.Party.ValueType, category: str, text: str) -> events.Leg:
    return events.Leg(giver=giver, category=events.Category.Value(f"CATEGORY_{category}"), amount=amount(text))


GOODS = leg(O, "GOODS", "50.00 EUR/2")


def exchange(exchange_id: str, day: int, *legs: events.Leg) -> Exchange:
    """Return an exchange of a day in March 2026, from 0; of one leg it is marked as unobserved on the other side."""
    one_sided = events.ONE_SIDED_UNOBSERVED if len(legs) == 1 else events.ONE_SIDED_UNSPECIFIED
    time = timestamp(MARCH + timedelta(days=day))
    return Exchange(exchange_id=exchange_id, occur_time=time, one_sided=one_sided, legs=legs)


async def record(
    client: Client, organization: str, customer: str, exchange_id: str, day: int, *legs: events.Leg
) -> None:
    await client.record_exchange(organization, customer, exchange(exchange_id, day, *legs))


def rule(
    rule_id: str,
    giver: events.Party.ValueType,
    rate: int,
    asset_name: str,
    category: events.Category.ValueType | None = None,
    band: tuple[int, int] | None = None,
    method: valuation.ValuationMethod.ValueType = valuation.VALUATION_METHOD_FACE,
) -> valuation.ValuationRule:
    """Return the customer's opinion of what that party gives: of one category, or of any."""
    low, high = band or (rate, rate)
    found = valuation.ValuationRule(
        rule_id=rule_id,
        perspective=C,
        side=valuation.SIDE_GIVE if giver == C else valuation.SIDE_GET,
        asset=asset_name,
        rate_nanos=rate,
        low_nanos=low,
        high_nanos=high,
        method=method,
        source="the example of the design",
    )
    if category is None:
        found.any_category = True
    else:
        found.category = category
    return found


def policy(effective_from: datetime, *rules: valuation.ValuationRule) -> valuation.ValuationPolicy:
    return valuation.ValuationPolicy(
        policy_id="retail", unit_of_account="EUR", effective_from_time=timestamp(effective_from), rules=rules
    )


def full_policy() -> valuation.ValuationPolicy:
    rules = [
        rule(f"rule-{number}", row.giver, row.rate_nanos, row.asset, row.category, band, row.method)
        for number, (row, band) in enumerate(zip(example.LEGS, BANDS, strict=True), start=1)
    ]
    points = rule("points", O, 10**7, "POINT/0", events.CATEGORY_POINTS_GRANT)
    points.redemption_ppm = 800_000
    return policy(datetime(2026, 1, 1, tzinfo=UTC), *rules, points)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the names and values of the first block that was printed."""
    assert 0 == done.returncode, done.stderr
    lines = [line.partition("  ") for line in done.stdout.split("\n\n", maxsplit=1)[0].splitlines()]
    return {name: value.strip() for name, _, value in lines}


def blocks(done: subprocess.CompletedProcess[str]) -> list[list[list[str]]]:
    assert 0 == done.returncode, done.stderr
    return [[line.split("\t") for line in block.splitlines()] for block in done.stdout.strip("\n").split("\n\n")]


def test_the_full_example_is_told_to_the_unit(ledger: Ledger) -> None:
    shown = told(rapport(ledger.server, "balance acme c-1 --as-of 2026-03-30"))

    assert {
        "got": "60.80 EUR",
        "gave": "57.50 EUR",
        "net": "+3.30 EUR",
        "index": "+0.024 (23,861 ppm), exactly 11/461",
        "label": "BALANCED",
        "band": "-0.169 (-169,208 ppm) to +0.102 (102,222 ppm)",
        "customer gains": "uncertain, it depends on the true rates",
        "confidence": "0.855 (855,387 ppm); 10.00 EUR each way are assumed",
        "raw": "+0.028 (27,895 ppm)",
        "promised": "2.40 EUR",
        "unvalued": "WAITING 15 MIN (1 leg)",
        "policies": "retail@1",
    }.items() <= shown.items()


def test_the_explanation_lists_what_counts_and_what_does_not(ledger: Ledger) -> None:
    done = rapport(ledger.server, "balance explain acme c-1 --as-of 2026-03-30 --drivers 2")

    _, entries, exclusions, lots, drivers, _ = blocks(done)
    assert ["-343,456", "+361,533", "-21,692", "-21,692", "+78,091", "-28,923"] == [row[-1] for row in entries[1:]]
    assert {("UNVALUED", "queue/1"), ("POINTS", "points/1"), ("REVERSED", "mistake/1")} == {
        (row[0], row[2]) for row in exclusions[1:]
    }
    assert ["9.99 EUR", "-9.99 EUR"] == sorted(
        (row[-1] for row in exclusions[1:] if row[0] == "REVERSED"), reverse=True
    )
    assert [["points/1", "300 POINT", "2.40 EUR"]] == [[row[0], row[1], row[-1]] for row in lots[1:]]
    assert [["2", "-528,879 ppm"], ["1", "559,471 ppm"]] == drivers[1:]  # The greater change first.
    assert "index    11/461, the sum of all contributions" in done.stdout


def test_json_has_one_message_a_line(ledger: Ledger) -> None:
    (shown,) = messages(rapport(ledger.server, "balance acme c-1 --as-of 2026-03-30 --json"))
    parts = messages(rapport(ledger.server, "balance explain acme c-1 --as-of 2026-03-30 --json"))
    pages = messages(rapport(ledger.server, "balance statement acme c-1 --as-of 2026-03-30 --json"))

    assert ("60800000000", 23861) == (shown["balance"]["gotNanos"], shown["balance"]["indexPpm"])
    assert ("balance", "trailer") == (next(iter(parts[0])), next(iter(parts[-1])))
    assert shown["balance"] == parts[0]["balance"]
    assert ("7", 6) == (pages[0]["linesCount"], len(pages[0]["days"]))


@pytest.mark.parametrize("broken_after", [1, 2, 7, 9, 11])
async def test_an_explanation_that_breaks_is_the_same_in_the_end(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, broken_after: int
) -> None:
    view = view_spec(as_of=as_of(occur_time=datetime(2026, 3, 30, tzinfo=UTC)))
    async with Client(ledger.server.target) as client:
        whole = [part async for part in client.explain_balance("acme", "c-1", view=view, drivers=3)]
        breaks = [broken_after, broken_after, None]

        async def breaking(call: Any, idle_timeout_s: float) -> AsyncGenerator[Any, None]:
            left = breaks.pop(0)
            async for frame in read_frames(call, idle_timeout_s):
                if left == 0:
                    raise Unavailable("broken by the test", code=grpc.StatusCode.UNAVAILABLE)
                left = None if left is None else left - 1
                yield frame

        monkeypatch.setattr(balances, "read_frames", breaking)
        broken = [part async for part in client.explain_balance("acme", "c-1", view=view, drivers=3)]

    assert (
        len(breaks) < 2
    )  # It broke once at least; what is left after six entries may be shorter than what came before.
    assert whole == broken
    assert "trailer" == broken[-1].WhichOneof("part")


def test_a_token_gives_the_same_bytes_after_any_writes(ledger: Ledger) -> None:
    first = rapport(ledger.server, "balance acme c-1 --json")
    token = json.loads(first.stdout)["balance"]["view"]["token"]

    asyncio.run(write_more(ledger.server.target))

    assert first.stdout == rapport(ledger.server, "balance acme c-1 --json --token", token).stdout
    assert first.stdout != rapport(ledger.server, "balance acme c-1 --json").stdout
    assert 1 == rapport(ledger.server, "balance axes c-1 --token", token).returncode


async def write_more(target: str) -> None:
    async with Client(target) as client:
        await record(client, "acme", "c-1", "later", 40, leg(C, "ATTENTION", "1 MIN/0"))


def test_two_views_differ_by_policy_and_correction(ledger: Ledger) -> None:
    done = rapport(
        ledger.server,
        f"balance diff axes c-1 --a-as-of 2026-03-12T00:00:00Z --a-known-at {ledger.before} "
        f"--b-as-of 2026-03-30T00:00:00Z --b-known-at {ledger.after} --legs 5",
    )

    assert [
        ["POLICY", "-2.00", "-92/4961"],
        ["CORRECTION", "-10.00", "40/1353"],
        ["all", "-12.00", "4/363"],
    ] == [[row[0], row[1], row[3]] for row in blocks(done)[1][1:]]
    assert "x5/1" in done.stdout


@pytest.mark.parametrize(
    "time, known, expected",
    [
        ("2026-03-04T00:00:00Z", "before", ("50.00 EUR", "40.00 EUR", "90,909")),
        ("2026-03-12T00:00:00Z", "before", ("59.00 EUR", "42.00 EUR", "140,496")),
        ("2026-03-12T00:00:00Z", "after", ("59.00 EUR", "44.00 EUR", "121,951")),
        ("2026-03-30T00:00:00Z", "after", ("9.00 EUR", "4.00 EUR", "151,515")),
    ],
)
def test_both_time_axes_can_be_asked_for(ledger: Ledger, time: str, known: str, expected: tuple[str, ...]) -> None:
    position = getattr(ledger, known)
    shown = told(rapport(ledger.server, f"balance axes c-1 --as-of {time} --known-at {position}"))

    assert expected[:2] == (shown["got"], shown["gave"])
    assert f"({expected[2]} ppm)" in shown["index"]


def test_a_statement_tells_days_of_a_zone_from_opening_to_closing(ledger: Ledger) -> None:
    done = rapport(
        ledger.server,
        "balance statement acme c-1 --as-of 2026-03-30 --from 2026-03-05 --to 2026-03-13 --time-zone Pacific/Auckland",
    )

    header, lines, closing, *_ = blocks(done)
    assert "got 50.00 EUR, gave 50.50 EUR, net -0.50 EUR" == told(done)["opening"]
    # Midnight UTC is one in the afternoon there, on the same day.
    assert [
        ["2026-03-06", "13:00", "DATA_DISCLOSED", "6 DATAPT", "", "3.00 EUR", "-3.50"],
        ["2026-03-09", "13:00", "SERVICE_SUPPORT", "12 MIN", "10.80 EUR", "", "+7.30"],
        ["2026-03-12", "13:00", "ADVOCACY", "1 REVIEW", "", "4.00 EUR", "+3.30"],
        ["2026-03-13", "13:00", "WAITING", "15 MIN", "", "no value", "+3.30"],
    ] == lines[1:]
    assert "got 60.80 EUR, gave 57.50 EUR, net +3.30 EUR" in closing[0][0]
    assert header


def test_plots_go_to_files_and_to_the_terminal(ledger: Ledger, tmp_path: Path) -> None:
    drawn = [
        rapport(ledger.server, "balance acme c-1 --as-of 2026-03-30 --plot", str(tmp_path / name))
        for name in ("a.svg", "a.png")
    ]
    printed = rapport(ledger.server, "balance acme c-1 --as-of 2026-03-30 --plot")

    assert [0, 0, 0] == [done.returncode for done in (*drawn, printed)], [done.stderr for done in drawn]
    assert "got 60.80 EUR, gave 57.50 EUR, net +3.30 EUR" in (tmp_path / "a.svg").read_text()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert " 60.80 ┤" in printed.stdout


def test_nothing_is_drawn_by_a_server_or_another_command(ledger: Ledger) -> None:
    """matplotlib costs half a second and 120 MB: only a plot in a file imports it."""
    program = "import sys, services.cli.__main__ as m, services.standalone; sys.exit('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment_for(None), check=False)
    assert 0 == done.returncode


def test_without_a_policy_it_is_said_how_to_publish_one(ledger: Ledger) -> None:
    shown = told(rapport(ledger.server, "balance bare c-1"))
    assert "rapport policy valuation publish" in shown["index"]


REFUSED: dict[str, Any] = {
    "acme nobody": ("RELATIONSHIP_UNKNOWN", "check both ids"),
    "acme c-1 --known-at 999999": ("KNOWN_AT_IN_FUTURE", "rapport log head"),
    "acme c-1 --known-at 2126-01-01T00:00:00Z": ("KNOWN_AT_NOT_SETTLED", "earlier time"),
    "acme c-1 --policy other": ("POLICY_UNKNOWN", "rapport policy valuation"),
    "acme c-1 --from 2026-03-09 --to 2026-03-08": ("WINDOW_INVALID", "--from"),
    "acme c-1 --token AAAA": ("VIEW_TOKEN_INVALID", "token"),
}


@pytest.mark.parametrize("asked", REFUSED)
def test_what_is_refused_ends_with_1_and_says_what_to_do(ledger: Ledger, asked: str) -> None:
    done = rapport(ledger.server, f"balance {asked}")

    assert (1, "") == (done.returncode, done.stdout)
    assert all(words in done.stderr for words in REFUSED[asked]), done.stderr
