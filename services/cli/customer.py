"""`rapport customer`: who a customer is as far as decisions need it, what is known of them and was promised to them."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, Final

from rapport.events.v1 import disclosure_pb2
from rapport.events.v1.identity_pb2 import (
    AdultFrom,
    IdentifierRevoked,
    IdentifierVerified,
    IdentityLinked,
    IdentityUnlinked,
    ProfileDeclared,
)
from services.cli import customer_attribute, customer_course, customer_promise, customer_wishes
from services.cli.arguments import Commands, Parser, add_common, add_relationship, add_view, client_of, view_of
from services.cli.exits import OK
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, view_text
from services.cli.preference import show_preferences
from services.cli.words import words_of
from services.cli.writing import add_write, print_recorded, record, write_of
from services.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.customer.v1.customer_service_pb2 import GetCustomerResponse, Identifier, Link

_PROVENANCES: Final = words_of(disclosure_pb2.Provenance.DESCRIPTOR)
_LINK: Final = """\
Says that two customer ids are one person. Their refusals unite at once; their consents do not. A wrong link is taken
back with `unlink`, and leaves no trace in any answer."""


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    nouns = commands.add_parser("customer", help="who a customer is, what is known of them, promised and wished")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    show = verbs.add_parser("show", help="show profile, contact points, links and preferences")
    add_relationship(show)
    add_view(show)
    add_common(show)
    show.set_defaults(run=run_show)
    _add_profile(verbs)
    _add_identifier(verbs)
    _add_links(verbs)
    customer_attribute.add(verbs)
    customer_promise.add(verbs)
    customer_wishes.add(verbs)
    customer_course.add(verbs)


def _add_profile(verbs: Commands) -> None:
    profile = verbs.add_parser("profile", help="record where the customer lives and is of age; replaces the one before")
    add_write(profile)
    profile.add_argument("--jurisdiction", metavar="CODE", default="", help="whose law applies, such as IE or US-CA")
    profile.add_argument("--country", metavar="CODE", default="", help="where the customer lives")
    profile.add_argument(
        "--adult-from",
        metavar="CODE=DATE",
        nargs="+",
        type=_adult_from,
        default=[],
        help="from when on they may consent alone, by jurisdiction: AT=2030-05-17; never a date of birth",
    )
    profile.add_argument("--provenance", metavar="NAME", choices=_PROVENANCES, help="where this comes from")
    profile.set_defaults(run=run_profile)


def _add_identifier(verbs: Commands) -> None:
    nouns = verbs.add_parser("identifier", help="contact points that are the customer's")
    kinds = nouns.add_subparsers(metavar="COMMAND", required=True)
    verify = kinds.add_parser("verify", help="record that one was checked to be the customer's")
    _add_point(verify)
    verify.add_argument("--kind", metavar="CODE", required=True, help="email, phone, postal, device or account")
    verify.add_argument("--method", metavar="CODE", default="", help="how it was checked")
    verify.add_argument("--country", metavar="CODE", default="", help="where it is")
    verify.add_argument("--time-zone", metavar="ZONE", nargs="+", default=[], help="zones that it may be in")
    verify.add_argument("--shared", action="store_true", help="several people use it; it links nobody")
    verify.add_argument("--address", metavar="TEXT", default="", help="the address or number itself; sealed")
    verify.set_defaults(run=run_verify)
    revoke = kinds.add_parser("revoke", help="record that one is no longer the customer's")
    _add_point(revoke)
    revoke.add_argument("--reason", metavar="CODE", default="", help="why")
    revoke.set_defaults(run=run_revoke)


def _add_point(parser: Parser) -> None:
    add_write(parser)
    parser.add_argument("contact_point", metavar="CONTACT_POINT", help="an opaque id, never the address")


def _add_links(verbs: Commands) -> None:
    link = verbs.add_parser("link", help="record that two customer ids are one person", description=_LINK)
    _add_pair(link)
    link.add_argument("--evidence", metavar="CODE", required=True, help="on what grounds")
    link.add_argument("--rule", metavar="CODE", default="", help="which rule proposed it (default: a person did)")
    link.set_defaults(run=run_link)
    unlink = verbs.add_parser("unlink", help="record that a link was wrong")
    _add_pair(unlink)
    unlink.add_argument("--reason", metavar="CODE", required=True, help="why")
    unlink.set_defaults(run=run_unlink)


def _add_pair(parser: Parser) -> None:
    parser.add_argument("organization", metavar="ORGANIZATION", help="company side")
    parser.add_argument("customer", metavar="CUSTOMER", help="one customer id")
    parser.add_argument("other", metavar="OTHER", help="the other one")
    parser.add_argument("--link-id", metavar="ID", required=True, help="names the link")
    add_write(parser, relationship=False)


async def run_show(arguments: Namespace) -> int:
    """Print who a customer is."""
    async with client_of(arguments) as client:
        answer = await client.get_customer(arguments.organization, arguments.customer, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
    else:
        _show(answer)
    return OK


async def run_profile(arguments: Namespace) -> int:
    """Record a profile; print where."""
    profile = ProfileDeclared(
        jurisdiction=arguments.jurisdiction,
        country=arguments.country,
        adult_from=arguments.adult_from,
        provenance=_PROVENANCES.get(arguments.provenance, 0),  # type: ignore[arg-type]  # A number of the enum.
    )
    answer = await record(arguments, Client.declare_profile, profile)
    print_recorded(arguments, answer)
    return OK


async def run_verify(arguments: Namespace) -> int:
    """Record a contact point; print where."""
    identifier = IdentifierVerified(
        contact_point_id=arguments.contact_point,
        kind=arguments.kind,
        method=arguments.method,
        country=arguments.country,
        time_zones=arguments.time_zone,
        shared=arguments.shared,
        address=arguments.address,
    )
    answer = await record(arguments, Client.verify_identifier, identifier)
    print_recorded(arguments, answer)
    return OK


async def run_revoke(arguments: Namespace) -> int:
    """Record that a contact point is the customer's no more; print where."""
    revocation = IdentifierRevoked(contact_point_id=arguments.contact_point, reason=arguments.reason)
    answer = await record(arguments, Client.revoke_identifier, revocation)
    print_recorded(arguments, answer)
    return OK


async def run_link(arguments: Namespace) -> int:
    """Record a link; print where."""
    link = IdentityLinked(
        link_id=arguments.link_id,
        customer_a_id=arguments.customer,
        customer_b_id=arguments.other,
        evidence=arguments.evidence,
        rule=arguments.rule,
    )
    async with client_of(arguments) as client:
        answer = await client.link_customers(arguments.organization, link, **write_of(arguments))
    print_recorded(arguments, answer, names=("position_a", "position_b"))
    return OK


async def run_unlink(arguments: Namespace) -> int:
    """Record that a link was wrong; print where."""
    unlink = IdentityUnlinked(link_id=arguments.link_id, reason=arguments.reason)
    async with client_of(arguments) as client:
        answer = await client.unlink_customers(
            arguments.organization, arguments.customer, arguments.other, unlink, **write_of(arguments)
        )
    print_recorded(arguments, answer, names=("position_a", "position_b"))
    return OK


def _show(answer: GetCustomerResponse) -> None:
    profile = answer.profile
    print_pairs(
        [
            ("view", view_text(answer.as_of)),
            ("person", ", ".join(answer.person_customer_ids)),
            ("jurisdiction", profile.jurisdiction),
            ("country", profile.country),
            ("of age from", ", ".join(f"{each.jurisdiction} {each.date}" for each in profile.adult_from)),
            ("profile from", _provenance(profile)),
            ("profile at", answer.profile_position or "no profile was declared"),
            ("time zones", ", ".join(answer.time_zones) or "nothing is known"),
        ]
    )
    if answer.identifiers:
        print()
        _show_identifiers(answer.identifiers)
    if answer.links:
        print()
        _show_links(answer.links)
    if answer.preferences:
        print()
        show_preferences(answer.preferences)


def _provenance(profile: ProfileDeclared) -> str:
    return enum_cell(disclosure_pb2.Provenance.DESCRIPTOR, profile.provenance) if profile.provenance else ""


def _show_identifiers(identifiers: Iterable[Identifier]) -> None:
    rows = Rows("CONTACT POINT", "KIND", "METHOD", "COUNTRY", "ZONES", "SHARED", "VERIFIED", "POSITION")
    for each in identifiers:
        told = each.identifier
        rows.add(
            told.contact_point_id,
            told.kind,
            told.method,
            told.country,
            ", ".join(told.time_zones),
            "yes" if told.shared else "",
            time_cell(each.verified_time),
            each.position,
        )
    rows.end()


def _show_links(links: Iterable[Link]) -> None:
    rows = Rows("LINK", "CUSTOMER", "OTHER", "EVIDENCE", "RULE", "SINCE", "POSITION")
    for each in links:
        link = each.link
        rows.add(
            link.link_id,
            link.customer_a_id,
            link.customer_b_id,
            link.evidence,
            link.rule,
            time_cell(each.linked_time),
            each.position,
        )
    rows.end()


def _adult_from(text: str) -> AdultFrom:
    jurisdiction, equals, date = text.partition("=")
    if not (jurisdiction and equals and date):
        raise ArgumentTypeError(f"{text!r} is no jurisdiction with a day; write AT=2030-05-17")
    return AdultFrom(jurisdiction=jurisdiction, date=date)
