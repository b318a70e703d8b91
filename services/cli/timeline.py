"""`rapport timeline`: what happened in one relationship."""

from __future__ import annotations

from argparse import Namespace

from services.cli.arguments import Commands, add_common, add_relationship, add_view, client_of, view_of
from services.cli.facts import summary
from services.cli.output import Rows, print_json, time_cell


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("timeline", help="what happened in one relationship, by the time it happened")
    add_relationship(parser)
    add_view(parser)
    add_common(parser)
    parser.set_defaults(run=run)


async def run(arguments: Namespace) -> int:
    """Print the entries in the order they happened."""
    rows = None if arguments.json else Rows("OCCURRED", "POSITION", "TOPIC", "FACT", "UNDONE BY")
    async with client_of(arguments) as client:
        async for entry in client.timeline(arguments.organization, arguments.customer, as_of=view_of(arguments)):
            if rows is None:
                print_json(entry)
                continue
            which = entry.WhichOneof("event")
            rows.add(
                time_cell(entry.metadata.occur_time),
                entry.position,
                entry.topic,
                "" if which is None else summary(getattr(entry, which)),
                entry.undone_by_position or "",
            )
    if rows is not None:
        rows.end()
    return 0
