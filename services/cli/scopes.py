"""What an act of consent is about: purposes, channels, contact points and brands, on the command line and in tables."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from rapport.events.v1 import interaction_pb2
from services.cli.output import enum_cell
from services.cli.words import CHANNELS, METHODS, SPEAKERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.events.v1.consent_pb2 import ConsentScope


def add_scope(parser: ArgumentParser, *, purposes_needed: bool = False) -> None:
    """Add what an act may be narrowed to; each option takes several values, and may be given several times."""
    nothing = "" if purposes_needed else " (default: every one)"
    parser.add_argument(
        "--purpose", metavar="SLUG", nargs="+", action="extend", required=purposes_needed, help=f"what for{nothing}"
    )
    parser.add_argument(
        "--channel",
        metavar="NAME",
        nargs="+",
        action="extend",
        choices=CHANNELS,
        help="by which ways, such as email (default: every one)",
    )
    parser.add_argument(
        "--contact-point", metavar="ID", nargs="+", action="extend", help="to which contact points (default: every one)"
    )
    parser.add_argument(
        "--brand", metavar="CODE", nargs="+", action="extend", help="under which brands (default: every one)"
    )


def scope_of(arguments: Namespace) -> dict[str, Any]:
    """Return the fields of a message that come from `add_scope`."""
    return {
        "purposes": arguments.purpose or [],
        "channels": [CHANNELS[name] for name in arguments.channel or []],
        "contact_point_ids": arguments.contact_point or [],
        "brands": arguments.brand or [],
    }


def add_speaker(parser: ArgumentParser) -> None:
    """Add who spoke, and how."""
    parser.add_argument("--method", choices=METHODS, metavar="HOW", help=f"how it was said: {', '.join(METHODS)}")
    parser.add_argument(
        "--indicated-by",
        choices=SPEAKERS,
        metavar="WHO",
        help="who spoke: subject (default), guardian, agent, infomediary",
    )
    parser.add_argument("--indicated-by-id", metavar="ID", default="", help="which guardian, agent or infomediary")


def speaker_of(arguments: Namespace) -> dict[str, Any]:
    """Return the fields of a message that come from `add_speaker`."""
    return {
        "method": METHODS.get(arguments.method, 0),
        "indicated_by": SPEAKERS.get(arguments.indicated_by, 0),
        "indicated_by_id": arguments.indicated_by_id,
    }


def scope_text(scope: ConsentScope) -> str:
    """Return a scope in a few words. Example: `marketing.direct by EMAIL, SMS to cp-1`."""
    channels = (enum_cell(interaction_pb2.Channel.DESCRIPTOR, channel) for channel in scope.channels)
    parts = (
        ("by", channels),
        ("to", scope.contact_point_ids),
        ("under", scope.brands),
    )
    purposes = ", ".join(scope.purposes) or "everything"
    return " ".join([purposes, *(f"{word} {found}" for word, each in parts if (found := _list(each)))])


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
