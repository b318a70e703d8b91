"""`rapport relationship`: relationships, now or as of a past moment. What explains them has files of its own."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Final

from rapport.consent.v1.consent_cell_pb2 import CellStatus
from rapport.events.v1 import consent_pb2, exchange_pb2, interaction_pb2
from rapport.relationship.v1 import relationship_service_pb2 as messages
from services.cli import policy_types, relationship_explain, relationship_report
from services.cli.arguments import (
    Commands,
    add_common,
    add_min_position,
    add_relationship,
    add_view,
    client_of,
    position,
    view_of,
)
from services.cli.balance_filter import HEADINGS, ORDERS, add_balance_filter, by_balance, cells, fill
from services.cli.exits import UsageFault
from services.cli.measure_options import add_measures, add_scope, add_under, measures_of, scope_of, under_of
from services.cli.measure_tables import show_measures
from services.cli.output import Rows, amount_cell, enum_cell, print_json, print_pairs, time_cell, view_text
from services.cli.standing_filter import HEADINGS as STANDING
from services.cli.standing_filter import ORDERS as STANDING_ORDERS
from services.cli.standing_filter import add_standing_filter, by_standing, fill_standing, standing_cells

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.relationship.v1.relationship_pb2 import Quantity, Relationship

_ORDERS: Final = {
    "customer": messages.RELATIONSHIP_ORDER_CUSTOMER_ID,
    "last": messages.RELATIONSHIP_ORDER_LAST_OCCUR_TIME_DESCENDING,
    "interactions": messages.RELATIONSHIP_ORDER_INTERACTIONS_DESCENDING,
    "units": messages.RELATIONSHIP_ORDER_UNITS_DESCENDING,
    **ORDERS,
    **STANDING_ORDERS,
}


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    nouns = commands.add_parser("relationship", help="relationships, now or as of a past moment")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    get = verbs.add_parser("get", help="show one relationship and its measures")
    add_relationship(get)
    add_measures(get)
    add_under(get)
    add_scope(get)
    add_view(get)
    add_common(get)
    get.set_defaults(run=run_get)
    listing = verbs.add_parser("list", help="list the relationships of an organization")
    listing.add_argument("organization", metavar="ORGANIZATION", help="company side")
    listing.add_argument("--prefix", metavar="TEXT", default="", help="customer ids that begin with this")
    listing.add_argument(
        "--order",
        choices=_ORDERS,
        default="customer",
        help="default: %(default)s; index and net: lowest first, crossing: earliest first, others: most first",
    )
    listing.add_argument("--giver", choices=("customer", "organization"), default="customer", help="with --order units")
    listing.add_argument("--asset", metavar="CODE/SCALE", help="which total to order by, with --order units")
    listing.add_argument("--limit", metavar="N", type=position, default=0, help="at most so many (default: all)")
    add_standing_filter(listing)
    add_balance_filter(listing)
    add_view(listing)
    add_min_position(listing)
    add_common(listing)
    listing.set_defaults(run=run_list)
    relationship_explain.add(verbs)
    relationship_report.add(verbs)
    policy_types.add_list(verbs, "types", "list the types of relationship that there are")


async def run_get(arguments: Namespace) -> int:
    """Print one relationship."""
    async with client_of(arguments) as client:
        answer = await client.get_relationship(
            arguments.organization,
            arguments.customer,
            as_of=view_of(arguments),
            measures=measures_of(arguments),
            under=under_of(arguments),
            scope=scope_of(arguments),
        )
    if arguments.json:
        print_json(answer)
    else:
        _show(answer.relationship)
    return 0


async def run_list(arguments: Namespace) -> int:
    """Print the relationships of an organization, page by page."""
    if (arguments.order == "units") != bool(arguments.asset):
        raise UsageFault("--order units and --asset go together: it orders by how much of one asset was given")
    headings: tuple[str, ...] = ("CUSTOMER", "FIRST", "LAST", "INTERACTIONS", "EXCHANGES", "CUSTOMER GAVE", "WE GAVE")
    if by_balance(arguments):
        headings = ("CUSTOMER", *HEADINGS, *headings[1:])
    if by_standing(arguments):
        headings = ("CUSTOMER", *STANDING, *headings[1:])
    rows = None if arguments.json else Rows(*headings)
    async with client_of(arguments) as client:
        listed = client.list_relationships(
            arguments.organization,
            filter=_filter(arguments),
            order_by=_ORDERS[arguments.order],
            as_of=view_of(arguments),
            min_position=arguments.min_position,
            page_size=min(arguments.limit, 500) or 500,
        )
        left = arguments.limit
        async for relationship in listed:
            if rows is None:
                print_json(relationship)
            else:
                _add_row(rows, relationship, by_balance(arguments), by_standing(arguments))
            left -= 1
            if left == 0:
                break
    if rows is not None:
        rows.end()
    return 0


def _filter(arguments: Namespace) -> messages.RelationshipFilter:
    selected = messages.RelationshipFilter(customer_id_prefix=arguments.prefix)
    if arguments.asset:
        selected.units.asset = arguments.asset
        selected.units.giver = exchange_pb2.Party.Value(f"PARTY_{arguments.giver.upper()}")
    if by_balance(arguments):
        fill(selected.balance, arguments)
    if by_standing(arguments):
        fill_standing(selected.standing, arguments)
    return selected


def _add_row(rows: Rows, relationship: Relationship, with_balance: bool, with_standing: bool) -> None:
    rows.add(
        relationship.customer_id,
        *(standing_cells(relationship.standing) if with_standing else ()),
        *(cells(relationship.balance) if with_balance else ()),
        time_cell(relationship.first_occur_time),
        time_cell(relationship.last_occur_time),
        relationship.interactions.count,
        relationship.exchanges.count,
        gave(relationship.quantities, exchange_pb2.PARTY_CUSTOMER),
        gave(relationship.quantities, exchange_pb2.PARTY_ORGANIZATION),
    )


def gave(quantities: Iterable[Quantity], party: exchange_pb2.Party.ValueType) -> str:
    """Return what a party gave, posted less reversed, summed over categories. Example: `89.00 USD, 6 CD`."""
    totals: dict[str, int] = {}
    for quantity in quantities:
        if quantity.giver == party:
            totals[quantity.asset] = totals.get(quantity.asset, 0) + quantity.posted - quantity.reversed
    return ", ".join(amount_cell(units, asset) for asset, units in sorted(totals.items()))


def _show(relationship: Relationship) -> None:
    interactions, exchanges = relationship.interactions, relationship.exchanges
    directions = f"{interactions.inbound} inbound, {interactions.outbound} outbound, {interactions.observed} observed"
    print_pairs(
        [
            ("relationship", f"{relationship.organization_id}/{relationship.customer_id}"),
            ("view", view_text(relationship.as_of)),
            *relationship_explain.policy_pairs(relationship.measures),
            ("version", relationship.version),
            ("first fact", time_cell(relationship.first_occur_time)),
            ("last fact", time_cell(relationship.last_occur_time)),
            ("interactions", f"{interactions.count} ({directions})"),
            ("kinds", _counts((each.kind, each.count) for each in interactions.by_kind)),
            ("attention", f"{interactions.attention_seconds} s" if interactions.attention_seconds else ""),
            (
                "exchanges",
                f"{exchanges.count} ({exchanges.one_sided} one-sided), and {exchanges.reversed} reversed",
            ),
            ("pending", f"{exchanges.pending} exchanges" if exchanges.pending else ""),
        ]
    )
    if relationship.HasField("measures"):
        print()
        show_measures(relationship.measures)
    if relationship.quantities:
        print()
        show_quantities(relationship.quantities)
    if relationship.consents:
        print()
        show_consents(relationship.consents)


def show_quantities(quantities: Iterable[Quantity]) -> None:
    """Print gross totals as a table; what was ever pending has columns of its own, if there is any."""
    listed = list(quantities)
    holds = any(each.pended for each in listed)
    rows = Rows("GIVER", "CATEGORY", "POSTED", "REVERSED", *(("PENDED", "VOIDED", "EXPIRED") if holds else ()))
    for each in listed:
        pended = (each.pended, each.hold_voided, each.hold_expired) if holds else ()
        rows.add(
            enum_cell(exchange_pb2.Party.DESCRIPTOR, each.giver),
            enum_cell(exchange_pb2.Category.DESCRIPTOR, each.category),
            amount_cell(each.posted, each.asset),
            *(amount_cell(units, each.asset) if units else "" for units in (each.reversed, *pended)),
        )
    rows.end()


def show_consents(cells: Iterable[CellStatus]) -> None:
    """Print the status of consent cells as a table."""
    rows = Rows("PURPOSE", "CHANNEL", "POINT", "BRAND", "STATUS", "SINCE", "UNTIL", "BASIS")
    for each in cells:
        channel, basis = each.cell.channel, each.legal_basis
        rows.add(
            each.cell.purpose or "any",
            enum_cell(interaction_pb2.Channel.DESCRIPTOR, channel) if channel else "any",
            each.cell.contact_point_id or "any",
            each.cell.brand or "any",
            enum_cell(consent_pb2.ConsentStatus.DESCRIPTOR, each.status),
            time_cell(each.since_time),
            time_cell(each.until_time),
            enum_cell(consent_pb2.LegalBasis.DESCRIPTOR, basis) if basis else "",
        )
    rows.end()


def _counts(counts: Iterable[tuple[int, int]]) -> str:
    kinds = interaction_pb2.InteractionKind.DESCRIPTOR
    return ", ".join(f"{enum_cell(kinds, kind)} {count}" for kind, count in counts)
