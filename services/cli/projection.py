"""`rapport projection list|rebuild`: the caches behind lists."""

from __future__ import annotations

from argparse import Namespace

from rapport.projection.v1 import projection_service_pb2 as messages
from services.cli.arguments import Commands, add_common, client_of
from services.cli.output import Rows, enum_cell, print_json, time_cell


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    nouns = commands.add_parser("projection", help="projections: where they stand, rebuilt from the log")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    listing = verbs.add_parser("list", help="list the projections with where they stand")
    add_common(listing)
    listing.set_defaults(run=run_list)
    rebuild = verbs.add_parser("rebuild", help="rebuild one beside the live one, compare, swap; reads go on meanwhile")
    rebuild.add_argument("name", metavar="NAME", help="which one, see `rapport projection list`")
    rebuild.add_argument(
        "--replace-different", action="store_true", help="swap also where it differs from the live one"
    )
    add_common(rebuild)
    rebuild.set_defaults(run=run_rebuild)


async def run_list(arguments: Namespace) -> int:
    """Print the projections."""
    async with client_of(arguments) as client:
        answer = await client.list_projections()
    if arguments.json:
        print_json(answer)
        return 0
    rows = Rows("NAME", "FOLD", "POSITION", "BEHIND", "ROWS", "BUILT", "REBUILDING")
    for each in answer.projections:
        rows.add(
            each.name,
            each.fold_version,
            each.position,
            max(0, answer.head - each.position),
            each.rows,
            time_cell(each.built_time),
            "yes" if each.rebuilding else "",
        )
    rows.end()
    return 0


async def run_rebuild(arguments: Namespace) -> int:
    """Rebuild a projection; print its progress, at most a line a second."""
    async with client_of(arguments) as client:
        frames = client.rebuild_projection(arguments.name, replace_different=arguments.replace_different)
        async for frame in frames:
            if arguments.json:
                print_json(frame)
            else:
                print(_progress(frame), flush=True)
    return 0


def _progress(frame: messages.RebuildProjectionResponse) -> str:
    phase = enum_cell(messages.RebuildPhase.DESCRIPTOR, frame.phase).lower()
    different = f", {frame.rows_different:,} rows differ" if frame.rows_different else ""
    return f"{phase}: {frame.position:,} of {frame.head:,} events, {frame.events_per_second:,}/s{different}"
