"""`rapport balance statement`: what could be shown to the customer, line by line, by day."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER
from services.cli.arguments import add_common, add_relationship, client_of
from services.cli.balance_tables import category_cell, show_lots
from services.cli.balance_view import add_balance_view, balance_view_of, view_pairs
from services.cli.output import Rows, amount_cell, print_json, print_pairs
from services.client import moment, nanos_text

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.relationship.v1.statement_pb2 import Statement, StatementLine, StatementTotal


def add(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    add_relationship(parser)
    add_balance_view(parser)
    parser.add_argument(
        "--time-zone", metavar="ZONE", default="", help="days of this zone, such as Europe/Berlin (default: UTC)"
    )
    add_common(parser)
    parser.set_defaults(run=run, perspective=None)


async def run(arguments: Namespace) -> int:
    """Print a statement, page by page."""
    last: Statement | None = None
    rows: Rows | None = None
    async with client_of(arguments) as client:
        pages = client.get_statement(
            arguments.organization,
            arguments.customer,
            view=balance_view_of(arguments),
            time_zone=arguments.time_zone,
        )
        async for page in pages:
            if arguments.json:
                print_json(page)
                continue
            if rows is None:
                rows = _begin(page, f"{arguments.organization}/{arguments.customer}")
            _add(rows, page)
            last = page
    if last is not None and rows is not None:
        rows.end()
        _end(last)
    return 0


def _begin(page: Statement, relationship: str) -> Rows:
    print_pairs(
        [
            ("relationship", relationship),
            *view_pairs(page.view),
            ("time zone", page.time_zone),
            ("opening", _total(page.opening, page.unit_of_account)),
        ]
    )
    print()
    return Rows("DAY", "TIME", "CATEGORY", "AMOUNT", "GOT", "GAVE", "NET SO FAR")


def _add(rows: Rows, page: Statement) -> None:
    for day in page.days:
        for line in day.lines:
            got, gave = _sides(line, page.unit_of_account)
            rows.add(
                day.date,
                _clock(line.effective_time, page.time_zone),
                category_cell(line.category),
                amount_cell(line.amount.units, line.amount.asset),
                got,
                gave,
                nanos_text(line.running_net_nanos, signed=True),
            )


def _sides(line: StatementLine, unit: str) -> tuple[str, str]:
    value = nanos_text(line.value_nanos, unit) if line.HasField("value_nanos") else "no value"
    return ("", value) if line.giver == PARTY_CUSTOMER else (value, "")


def _clock(time: Timestamp, time_zone: str) -> str:
    """Return the time of day in the zone that the days are told in."""
    return f"{moment(time).astimezone(ZoneInfo(time_zone or 'UTC')):%H:%M}"


def _end(page: Statement) -> None:
    print()
    print_pairs([("closing", _total(page.closing, page.unit_of_account)), ("lines", page.lines_count)])
    if page.lots:
        print()
        show_lots(page.lots, page.unit_of_account)


def _total(total: StatementTotal, unit: str) -> str:
    got, gave = nanos_text(total.got_nanos, unit), nanos_text(total.gave_nanos, unit)
    return f"got {got}, gave {gave}, net {nanos_text(total.net_nanos, unit, signed=True)}"
