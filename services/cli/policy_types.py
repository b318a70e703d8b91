"""`rapport policy types publish|list` and `rapport relationship types`: which types of relationship there are."""

from __future__ import annotations

from argparse import Namespace

from rapport.events.v1.relationship_types_pb2 import RelationshipType, TypeAxes, TypeCatalogue
from rapport.type.v1 import levels_pb2 as levels
from services.cli import exits
from services.cli.arguments import Commands, add_view, client_of, view_of
from services.cli.contact_policy_file import read_message
from services.cli.output import Rows, enum_cell, print_json, print_pairs
from services.cli.policy_registries import published, refused
from services.cli.publishing import add_command, add_file, told_faults
from services.client import Refused


def add(kinds: Commands) -> None:
    """Add the commands below `rapport policy`."""
    types = kinds.add_parser("types", help="types of relationship: shipped ones, and an organization's own")
    verbs = types.add_subparsers(metavar="COMMAND", required=True)
    publish = add_file(verbs, "publish", "publish the types in a file", "docs/concepts/relationship-types.md")
    publish.set_defaults(run=run_publish)
    add_list(verbs, "list", "list the types")


def add_list(verbs: Commands, name: str, text: str) -> None:
    """Add the command that lists types."""
    listing = add_command(verbs, name, text)
    listing.add_argument("--industry", metavar="CODE", default="", help="only types for it")
    listing.add_argument("--brand", metavar="CODE", default="", help="only types for it")
    listing.add_argument("--country", metavar="CC", default="", help="only types for it, ISO 3166-1: DE, or DE-BY")
    add_view(listing)
    listing.set_defaults(run=run_list)


async def run_publish(arguments: Namespace) -> int:
    """Publish the types in a file."""
    file = read_message(arguments.file, TypeCatalogue())
    if told_faults(file):
        return exits.USAGE
    async with client_of(arguments) as client:
        try:
            answer = await client.publish_types(arguments.organization, file.message)
        except Refused as refusal:
            return refused(file, refusal)
    return published(answer, f"{len(file.message.types)} types", as_json=arguments.json)


async def run_list(arguments: Namespace) -> int:
    """Print the types, shipped and own."""
    async with client_of(arguments) as client:
        answer = await client.list_types(
            arguments.organization,
            industry=arguments.industry,
            brand=arguments.brand,
            country=arguments.country,
            as_of=view_of(arguments),
        )
    if arguments.json:
        print_json(answer)
        return exits.OK
    print_pairs([("version", answer.version or "none is published: these are the shipped ones")])
    rows = Rows("TYPE", "OF", "AXES", "CALLED", "FOR", "TITLE", "SOURCE")
    for each in answer.types:
        found = each.type
        owner = "shipped" if each.shipped else "own"
        called = found.neutral_alias or found.slug
        rows.add(found.slug, owner, _axes(found.axes), called, _scope(found), found.title, found.source)
    rows.end()
    return exits.OK


def _axes(axes: TypeAxes) -> str:
    cells = [
        enum_cell(enum.DESCRIPTOR, value)
        for enum, value in (
            (levels.Valence, axes.valence),
            (levels.Closeness, axes.closeness),
            (levels.Intensity, axes.intensity),
            (levels.Horizon, axes.horizon),
        )
        if value
    ]
    for name, no in (("voluntary", "involuntary"), ("symmetric", "asymmetric")):
        if axes.HasField(name):  # type: ignore[arg-type]  # One of the two.
            cells.append(name if getattr(axes, name) else no)
    return ", ".join(cells)


def _scope(found: RelationshipType) -> str:
    return ", ".join([*found.industries, *found.brands, *found.countries]) or "all"
