"""`rapport programme report`: what all relationships of an organization come to."""

from __future__ import annotations

import asyncio
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rapport.report.v1 import report_service_pb2 as messages
from services.cli.arguments import Commands, add_common, add_min_position, add_view, client_of, count, view_of
from services.cli.exits import OK, UsageFault
from services.cli.output import print_json, warn
from services.cli.programme_tables import SHOW
from services.cli.spans import add_span, span_of

if TYPE_CHECKING:
    from services.client import Client

Answer = TypeVar("Answer")

REPORTS: Final = ("returns", "solicitations", "visits", "pressure", "maturity", "consistency", "standing")
TIMEOUT_S: Final = 300.0
"""A report of the past folds the whole organization."""
PATIENCE_S: Final = 3.0
"""Seconds after which a person who waits is told so, and then again."""
_GROUPINGS: Final = {
    "campaign": messages.SOLICITATION_GROUPING_CAMPAIGN,
    "tactic": messages.SOLICITATION_GROUPING_TACTIC,
    "legal-basis": messages.SOLICITATION_GROUPING_LEGAL_BASIS,
    "opt-in": messages.SOLICITATION_GROUPING_OPT_IN,
    "programme": messages.SOLICITATION_GROUPING_PROGRAMME,
}
_BY: Final = ("month", *_GROUPINGS)
_DESCRIPTION: Final = """\
Reports on all relationships of an organization:

  returns        who came back, by cohort, with a 95 % interval
  solicitations  response, waste and cost
  visits         how often customers came, and how many came back within some days
  pressure       solicitations that prospects and customers get
  maturity       how far contacts are decided, honoured and answered
  consistency    relationships that two functions judge differently
  standing       how many relationships stand where"""


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    nouns = commands.add_parser("programme", help="programmes and cohorts: what all relationships come to")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    report = verbs.add_parser("report", help="report on an organization", description=_DESCRIPTION)
    report.add_argument("organization", metavar="ORGANIZATION", help="company side")
    report.add_argument(
        "report", metavar="REPORT", nargs="?", choices=REPORTS, default="returns", help="which one (default: returns)"
    )
    _add_choices(report)
    add_span(report, "who joined, or what was delivered,")
    add_view(report)
    add_min_position(report)
    add_common(report)
    report.set_defaults(run=run, timeout=TIMEOUT_S)


def _add_choices(report: ArgumentParser) -> None:
    report.add_argument(
        "--by",
        choices=_BY,
        help="returns: by month; solicitations: by campaign, tactic, legal basis, opt-in, programme",
    )
    report.add_argument("--programme", metavar="CODE", default="", help="returns: only this programme")
    report.add_argument("--campaign", metavar="CODE", default="", help="solicitations: only this campaign")
    report.add_argument(
        "--days", metavar="FROM-UNTIL", type=days, default=(0, 0), help="returns: days that count, such as 7-35"
    )
    report.add_argument(
        "--first-act", action="store_true", help="returns: all customers, who join by the first thing they do"
    )
    report.add_argument(
        "--within",
        metavar="DAYS",
        type=count,
        nargs="+",
        default=[],
        help="visits: came back within (default: 7 30 90)",
    )
    report.add_argument("--purchases", action="store_true", help="visits: count purchases, not sessions")


def days(text: str) -> tuple[int, int]:
    """Return the first day that counts, and the first that counts no more."""
    first, dash, last = text.partition("-")
    if not dash:
        raise ArgumentTypeError(f"{text!r} is no span of days; write 7-35")
    return count(first), count(last)


async def run(arguments: Namespace) -> int:
    """Print a report."""
    _refuse_what_is_of_others(arguments)
    async with client_of(arguments) as client:
        if arguments.report == "consistency":
            return await _run_consistency(arguments, client)
        answer = await patiently(_ask(arguments, client))
    if arguments.json:
        print_json(answer)
    else:
        SHOW[arguments.report](answer)
    return OK


async def _run_consistency(arguments: Namespace, client: Client) -> int:
    found = await patiently(_all(client, arguments))
    if arguments.json:
        for each in found:
            print_json(each)
    else:
        SHOW["consistency"](found)
    return OK


async def _all(client: Client, arguments: Namespace) -> list[messages.Inconsistency]:
    return [each async for each in client.consistency_report(arguments.organization, **_seen(arguments))]


def _ask(arguments: Namespace, client: Client) -> Awaitable[Any]:
    organization, seen = arguments.organization, _seen(arguments)
    asks: dict[str, Callable[[], Awaitable[Any]]] = {
        "returns": lambda: client.get_return_rate(
            organization,
            programme=arguments.programme,
            joined=span_of(arguments),
            from_days=arguments.days[0],
            until_days=arguments.days[1],
            by_month=arguments.by == "month",
            from_first_act=arguments.first_act,
            **seen,
        ),
        "solicitations": lambda: client.get_solicitation_report(
            organization,
            grouping=_GROUPINGS.get(arguments.by, messages.SOLICITATION_GROUPING_UNSPECIFIED),
            delivered=span_of(arguments),
            campaign=arguments.campaign,
            **seen,
        ),
        "visits": lambda: client.get_visit_report(
            organization, within_days=arguments.within, purchases_only=arguments.purchases, **seen
        ),
        "pressure": lambda: client.get_pressure_report(organization, **seen),
        "maturity": lambda: client.get_maturity_report(organization, **seen),
        "standing": lambda: client.get_standing_report(organization, **seen),
    }
    return asks[arguments.report]()


def _seen(arguments: Namespace) -> dict[str, Any]:
    """Return from where, and with how much of the log, every report is seen."""
    return {"as_of": view_of(arguments), "min_position": arguments.min_position}


def _refuse_what_is_of_others(arguments: Namespace) -> None:
    """Refuse options that the report does not look at: an answer to another question would go unnoticed."""
    of_returns = arguments.programme or arguments.days != (0, 0) or arguments.first_act or arguments.by == "month"
    of_solicitations = arguments.campaign or arguments.by in _GROUPINGS
    of_visits = arguments.within or arguments.purchases
    spanned = span_of(arguments) is not None
    given = {
        "--programme, --days, --first-act and --by month": (of_returns, ("returns",)),
        "--campaign and --by with anything but month": (of_solicitations, ("solicitations",)),
        "--within and --purchases": (of_visits, ("visits",)),
        "--from and --to": (spanned, ("returns", "solicitations")),
    }
    for names, (is_given, reports) in given.items():
        if is_given and arguments.report not in reports:
            raise UsageFault(f"{names} are for {' and '.join(reports)}, not for {arguments.report}")


async def patiently(work: Awaitable[Answer]) -> Answer:
    """Return an answer; tell who waits at a terminal for long that it is under way."""
    telling = asyncio.ensure_future(_tell_time()) if sys.stderr.isatty() else None
    try:
        return await work
    finally:
        if telling is not None:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling


async def _tell_time() -> None:
    waited = 0.0
    while True:
        await asyncio.sleep(PATIENCE_S)
        waited += PATIENCE_S
        warn(f"adding up all relationships, {waited:.0f} s so far")
