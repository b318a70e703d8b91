"""`rapport balance`: what a relationship is worth to a party, explained, compared, drawn, and as a customer sees it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Final

from rapport.relationship.v1 import balance_pb2
from services.cli import balance_diff, balance_explain, balance_statement, exits, plotting
from services.cli.arguments import Commands, add_common, add_relationship, client_of
from services.cli.balance_tables import category_cell, legs_text, show_lines
from services.cli.balance_view import (
    add_balance_view,
    add_perspective,
    balance_view_of,
    perspective_text,
    view_pairs,
)
from services.cli.exits import UsageFault
from services.cli.output import amount_cell, print_json, print_pairs, time_cell, warn
from services.cli.relationship import show_quantities
from services.client import nanos_text, ppm_text, ratio_text, view_token

if TYPE_CHECKING:
    from rapport.relationship.v1.balance_pb2 import Balance, Share
    from services.client import Client

DESCRIPTION: Final = """\
What a relationship is worth to a party: what it got, what it gave, and how far from balance that is.
`rapport balance ORGANIZATION CUSTOMER` is short for `rapport balance show ORGANIZATION CUSTOMER`."""
PUBLISH: Final = "publish a policy with `rapport policy valuation publish ORGANIZATION FILE.toml`"

_GAINS: Final = {
    balance_pb2.CUSTOMER_GAINS_YES: "yes, whatever the true rates",
    balance_pb2.CUSTOMER_GAINS_NO: "no, whatever the true rates",
    balance_pb2.CUSTOMER_GAINS_UNCERTAIN: "uncertain, it depends on the true rates",
}
_NO_INDEX: Final = {
    balance_pb2.BALANCE_STATUS_NO_VALUED_EXCHANGES: "none: nothing of value is on record in this view",
    balance_pb2.BALANCE_STATUS_NO_POLICY: f"none: no policy was in force, so nothing has a value; {PUBLISH}",
}


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    nouns = commands.add_parser(
        "balance", help="got, gave and index of a relationship, explained", description=DESCRIPTION
    )
    nouns.default_command = "show"
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    show = verbs.add_parser("show", help="show a balance, or draw it; the default")
    _add_view(show)
    show.add_argument(
        "--plot",
        metavar="FILE",
        nargs="?",
        const=plotting.TERMINAL,
        type=plotting.destination,
        help="draw got, gave and net over time: in FILE.svg or FILE.png, or here (-, or no FILE: then write it last)",
    )
    add_common(show)
    show.set_defaults(run=run_show)
    explain = verbs.add_parser("explain", help="show every leg that makes it up, and every one left out")
    _add_view(explain)
    balance_explain.add(explain)
    diff = verbs.add_parser("diff", help="show what made two views differ")
    balance_diff.add(diff)
    statement = verbs.add_parser("statement", help="show what could be shown to the customer, by day")
    balance_statement.add(statement)


def _add_view(parser: ArgumentParser) -> None:
    add_relationship(parser)
    add_perspective(parser)
    add_balance_view(parser)


async def run_show(arguments: Namespace) -> int:
    """Print a balance, and draw it where that was asked for."""
    if arguments.plot == plotting.TERMINAL and arguments.json:
        raise UsageFault("--json prints messages and nothing else; give --plot a FILE")
    if arguments.plot is not None:
        plotting.check(arguments.plot)
    async with client_of(arguments) as client:
        view = balance_view_of(arguments)
        answer = await client.get_balance(arguments.organization, arguments.customer, view=view)
        if arguments.json:
            print_json(answer)
        else:
            show(answer.balance, f"{arguments.organization}/{arguments.customer}")
        if arguments.plot is not None:
            return await _draw(client, arguments, answer.balance)
    return exits.OK


async def _draw(client: Client, arguments: Namespace, balance: Balance) -> int:
    """Draw the balance that was printed: under its token, whatever was recorded meanwhile."""
    explanation = client.explain_balance(
        arguments.organization, arguments.customer, view=view_token(balance.view.token)
    )
    entries = [part.entry async for part in explanation if part.HasField("entry")]
    if not entries:
        warn("nothing of value is on record in this view, so there is nothing to draw")
        return exits.REFUSED
    plotting.draw(plotting.chart(f"{arguments.organization}/{arguments.customer}", balance, entries), arguments.plot)
    return exits.OK


def show(balance: Balance, relationship: str) -> None:
    """Print a balance for people."""
    *view, token = view_pairs(balance.view)
    has_values = balance.status != balance_pb2.BALANCE_STATUS_NO_POLICY
    print_pairs(
        [
            ("relationship", relationship),
            *view,
            *(_value_pairs(balance) if has_values else []),
            *_index_pairs(balance),
            *(_promise_pairs(balance) if has_values else []),
            *_coverage_pairs(balance),
            ("last got", time_cell(balance.last_got_time)),
            ("last gave", time_cell(balance.last_gave_time)),
            token,
        ]
    )
    if has_values and balance.lines:
        print()
        show_lines(balance)
    elif balance.quantities:
        print()
        show_quantities(balance.quantities)


def _value_pairs(balance: Balance) -> list[tuple[str, object]]:
    unit = balance.unit_of_account
    return [
        ("got", nanos_text(balance.got_nanos, unit)),
        ("gave", nanos_text(balance.gave_nanos, unit)),
        ("net", nanos_text(balance.net_nanos, unit, signed=True)),
    ]


def _index_pairs(balance: Balance) -> list[tuple[str, object]]:
    if not balance.HasField("index_ppm"):
        return [("index", _NO_INDEX.get(balance.status, "none"))]
    band = balance.band
    trend = ppm_text(balance.trend_ppm) if balance.HasField("trend_ppm") else ""
    kappa = nanos_text(balance.kappa_nanos, balance.unit_of_account)
    return [
        ("index", f"{ppm_text(balance.index_ppm)}, exactly {ratio_text(balance.index)}"),
        ("label", balance.label),
        ("band", f"{ppm_text(band.low_ppm)} to {ppm_text(band.high_ppm)}"),
        (f"{perspective_text(balance.view)} gains", _GAINS.get(balance.customer_gains, "")),
        ("confidence", f"{ppm_text(balance.confidence_ppm, signed=False)}; {kappa} each way are assumed"),
        ("raw", ppm_text(balance.raw_ppm) if balance.HasField("raw_ppm") else ""),
        ("trend", trend),
    ]


def _promise_pairs(balance: Balance) -> list[tuple[str, object]]:
    unit = balance.unit_of_account
    unvalued = (
        f", and {balance.unvalued_lots} {'lot' if balance.unvalued_lots == 1 else 'lots'} without a rate"
        if balance.unvalued_lots
        else ""
    )
    promised = nanos_text(balance.promised_nanos, unit) + unvalued
    pending = f"to get {nanos_text(balance.pending_got_nanos, unit)}, to give " + nanos_text(
        balance.pending_gave_nanos, unit
    )
    return [
        ("pending", pending if balance.pending_got_nanos or balance.pending_gave_nanos else "nothing"),
        ("promised", promised if balance.promised_nanos or unvalued else "nothing"),
    ]


def _coverage_pairs(balance: Balance) -> list[tuple[str, object]]:
    coverage, unit = balance.coverage, balance.unit_of_account
    legs = coverage.valued_legs + coverage.unvalued_legs
    share = f": {ppm_text(coverage.coverage_ppm, signed=False)}" if coverage.HasField("coverage_ppm") else ""
    return [
        (
            "coverage",
            f"{coverage.valued_legs} of {legs_text(legs)} with a value{share}" if legs else "no legs to value",
        ),
        ("unvalued", "; ".join(map(_unvalued, coverage.unvalued))),
        ("methods", "; ".join(f"{each.key} {ppm_text(each.share_ppm, signed=False)}" for each in coverage.by_method)),
        (
            "one-sided",
            "; ".join(
                f"{each.key} {nanos_text(each.value_nanos, unit) if unit else ''} ({legs_text(each.legs)})"
                for each in coverage.one_sided
            ),
        ),
        (
            "observed",
            "; ".join(f"{category_cell(each.category)} since {time_cell(each.since)}" for each in coverage.observed),
        ),
    ]


def _unvalued(share: Share) -> str:
    """Return what has no value, and how much. Example: `WAITING 15 MIN (2 legs)`."""
    category, _, asset = share.key.partition(" ")
    return f"{category} {amount_cell(share.units, asset)} ({legs_text(share.legs)})"
