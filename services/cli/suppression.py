"""`rapport suppression add|lift|import|show`: who cannot or must not be reached."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Final

from rapport.events.v1 import consent_pb2, interaction_pb2
from rapport.events.v1.consent_pb2 import SuppressionAdded, SuppressionLifted
from rapport.type.v1.event_context_pb2 import EventContext
from services.cli import suppression_list
from services.cli.arguments import Commands, add_common, add_relationship, add_view, client_of, position, view_of
from services.cli.exits import OK, UsageFault
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, view_text
from services.cli.words import CHANNELS, words_of
from services.cli.writing import add_write, print_recorded, record, write_of
from services.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.contact.v1.contact_service_pb2 import Suppression

_REASONS: Final = words_of(consent_pb2.SuppressionReason.DESCRIPTOR)
_LIFT: Final = """\
Records that a suppression no longer stands. Nothing else ends one, a new consent least of all; so it needs an actor and
a reason."""


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    nouns = commands.add_parser("suppression", help="who cannot or must not be reached")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    adding = verbs.add_parser("add", help="record that a customer cannot or must not be reached")
    add_write(adding)
    adding.add_argument("--reason", choices=_REASONS, metavar="NAME", required=True, help=", ".join(_REASONS))
    adding.add_argument("--channel", choices=CHANNELS, metavar="NAME", help="by this way only (default: by every one)")
    adding.add_argument("--contact-point", metavar="ID", default="", help="this one only (default: every one)")
    adding.add_argument("--list", metavar="CODE", default="", help="the list it is on, for external_list")
    adding.add_argument("--list-version", metavar="TEXT", default="", help="which version of the list")
    adding.set_defaults(run=run_add)
    lift = verbs.add_parser("lift", help="record that a suppression no longer stands", description=_LIFT)
    add_write(lift)
    lift.add_argument("position", metavar="POSITION", type=position, help="of the suppression; see `show`")
    lift.add_argument("--reason", metavar="CODE", required=True, help="why")
    lift.set_defaults(run=run_lift)
    suppression_list.add(verbs)
    show = verbs.add_parser("show", help="show the suppressions of a customer, lifted ones too")
    add_relationship(show)
    add_view(show)
    add_common(show)
    show.set_defaults(run=run_show)


async def run_add(arguments: Namespace) -> int:
    """Record a suppression; print where."""
    suppression = SuppressionAdded(
        reason=_REASONS[arguments.reason],  # type: ignore[arg-type]  # A number of the enum.
        channel=CHANNELS.get(arguments.channel, 0),  # type: ignore[arg-type]  # The same.
        contact_point_id=arguments.contact_point,
        list_name=arguments.list,
        list_version=arguments.list_version,
    )
    answer = await record(arguments, Client.add_suppression, suppression)
    print_recorded(arguments, answer)
    return OK


async def run_lift(arguments: Namespace) -> int:
    """Record that a suppression no longer stands; print where."""
    if not arguments.actor:
        raise UsageFault("a suppression is lifted by somebody; say by whom with --actor")
    lift = SuppressionLifted(added_position=arguments.position, reason=arguments.reason)
    told = {**write_of(arguments), "context": EventContext(actor=arguments.actor)}
    async with client_of(arguments) as client:
        answer = await client.lift_suppression(arguments.organization, arguments.customer, lift, **told)
    print_recorded(arguments, answer)
    return OK


async def run_show(arguments: Namespace) -> int:
    """Print the suppressions of a customer."""
    async with client_of(arguments) as client:
        answer = await client.get_suppressions(arguments.organization, arguments.customer, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return OK
    print_pairs([("view", view_text(answer.as_of))])
    print()
    _show(answer.suppressions)
    return OK


def _show(suppressions: Iterable[Suppression]) -> None:
    rows = Rows("POSITION", "REASON", "CHANNEL", "POINT", "LIST", "SINCE", "LIFTED", "BY POSITION")
    for each in suppressions:
        told = each.suppression
        channel = enum_cell(interaction_pb2.Channel.DESCRIPTOR, told.channel) if told.channel else "any"
        rows.add(
            each.position,
            enum_cell(consent_pb2.SuppressionReason.DESCRIPTOR, told.reason),
            channel,
            told.contact_point_id or "any",
            " ".join(filter(None, (told.list_name, told.list_version))),
            time_cell(each.added_time),
            time_cell(each.lifted_time) or "stands",
            each.lifted_position or "",
        )
    rows.end()
