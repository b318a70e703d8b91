"""`rapport consent show`: what a customer allows."""

from __future__ import annotations

from argparse import Namespace

from services.cli.arguments import Commands, add_common, add_relationship, add_view, client_of, view_of
from services.cli.output import print_json, print_pairs
from services.cli.relationship import show_consents, view_text


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    nouns = commands.add_parser("consent", help="what a customer allows")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    show = verbs.add_parser("show", help="show the status of every cell the customer ever spoke of")
    add_relationship(show)
    add_view(show)
    add_common(show)
    show.set_defaults(run=run)


async def run(arguments: Namespace) -> int:
    """Print the consents of a relationship."""
    async with client_of(arguments) as client:
        answer = await client.get_consents(arguments.organization, arguments.customer, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return 0
    print_pairs([("view", view_text(answer.as_of))])
    print()
    show_consents(answer.consents)
    return 0
