"""`rapport asset register|list`: what exchanges may be counted in."""

from __future__ import annotations

from argparse import Namespace
from typing import Final

from rapport.events.v1.policy_pb2 import AssetKind, AssetRegistered
from rapport.policy.v1.policy_service_pb2 import RegisteredAsset
from services.cli.arguments import Commands, add_common, add_view, client_of, position, view_of
from services.cli.output import Rows, amount_cell, enum_cell, print_json

KINDS: Final = [name.removeprefix("ASSET_KIND_").lower() for name in AssetKind.keys()[1:]]


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    nouns = commands.add_parser("asset", help="assets: what exchanges may be counted in")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    register = verbs.add_parser("register", help="register an asset, or raise its limit")
    register.add_argument("organization", metavar="ORGANIZATION", help="company side")
    register.add_argument("asset", metavar="CODE/SCALE", help="such as EUR/2: cents of euros")
    register.add_argument("--kind", choices=KINDS, required=True, help="final")
    register.add_argument(
        "--max-units", metavar="N", type=position, required=True, help="most units in one leg; only rises"
    )
    add_common(register)
    register.set_defaults(run=run_register)
    listing = verbs.add_parser("list", help="list the assets of an organization")
    listing.add_argument("organization", metavar="ORGANIZATION", help="company side")
    add_view(listing)
    add_common(listing)
    listing.set_defaults(run=run_list)


async def run_register(arguments: Namespace) -> int:
    """Register one asset; print it as it now stands."""
    asset = AssetRegistered(
        asset=arguments.asset,
        kind=AssetKind.Value(f"ASSET_KIND_{arguments.kind.upper()}"),
        max_units_per_leg=arguments.max_units,
    )
    async with client_of(arguments) as client:
        answer = await client.register_assets(arguments.organization, [asset])
    if arguments.json:
        print_json(answer)
    else:
        _print(list(answer.assets))
    return 0


async def run_list(arguments: Namespace) -> int:
    """Print the registry."""
    async with client_of(arguments) as client:
        answer = await client.list_assets(arguments.organization, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
    else:
        _print(list(answer.assets))
    return 0


def _print(assets: list[RegisteredAsset]) -> None:
    rows = Rows("ASSET", "KIND", "MOST IN ONE LEG", "POSITION")
    for each in assets:
        kind = enum_cell(AssetKind.DESCRIPTOR, each.asset.kind)
        rows.add(each.asset.asset, kind, amount_cell(each.asset.max_units_per_leg, each.asset.asset), each.position)
    rows.end()
