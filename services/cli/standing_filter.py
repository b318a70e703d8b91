"""Lists by levels: how `rapport relationship list` asks for them, and what it shows then."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Final

from rapport.relationship.v1 import relationship_service_pb2 as messages
from rapport.type.v1 import levels_pb2 as levels
from services.cli.arguments import time
from services.cli.output import enum_cell, time_cell
from services.cli.words import words_of
from services.client import timestamp

if TYPE_CHECKING:
    from rapport.relationship.v1.explaining_pb2 import Standing, StandingFilter

ORDERS: Final = {"crossing": messages.RELATIONSHIP_ORDER_NEXT_CROSSING_ASCENDING}
HEADINGS: Final = (
    "EXISTS", "LIFECYCLE", "BAND", "BROADCAST", "IMBALANCED", "MISMATCHED", "SHAPE", "WISHED", "ACTUAL", "PERSONAE",
    "CROSSING",
)  # fmt: skip
_LEVELS: Final = {
    "lifecycle": ("lifecycles", words_of(levels.Lifecycle.DESCRIPTOR)),
    "band": ("bands", words_of(levels.StrengthBand.DESCRIPTOR)),
    "shape": ("shapes", words_of(levels.ContactShape.DESCRIPTOR)),
}
"""Fields of the filter, and words, by argument."""
_FLAGS: Final = {
    "exists": "whether there is a relationship",
    "broadcast": "whether they are talked at, and say nothing",
    "imbalanced": "whether they give more than they get",
    "mismatched": "whether it differs from what they wish",
}


def add_standing_filter(parser: ArgumentParser) -> None:
    """Add levels by which relationships are listed."""
    options = parser.add_argument_group("by levels, those of the last event that the list reflects")
    for name, (_, words) in _LEVELS.items():
        options.add_argument(
            f"--{name}",
            metavar="LEVEL",
            nargs="+",
            action="extend",
            type=str.lower,
            choices=words,
            help=", ".join(words),
        )
    for name, text in _FLAGS.items():
        options.add_argument(f"--{name}", choices=("yes", "no"), help=text)
    options.add_argument("--desired", metavar="TYPE", default="", help="this type is wished: hbr:best-friends")
    options.add_argument("--actual", metavar="TYPE", default="", help="this is the actual type")
    options.add_argument(
        "--crossing-before", metavar="TIME", type=time, help="the clock may change a level by then, that day included"
    )


def by_standing(arguments: Namespace) -> bool:
    """Tell whether a list is about levels."""
    names = (*_LEVELS, *_FLAGS, "desired", "actual", "crossing_before")
    return arguments.order in ORDERS or any(getattr(arguments, name) for name in names)


def fill_standing(selected: StandingFilter, arguments: Namespace) -> None:
    """Put the levels that were given into a filter."""
    selected.SetInParent()
    for name, (field, words) in _LEVELS.items():
        getattr(selected, field).extend(words[word] for word in dict.fromkeys(getattr(arguments, name) or ()))
    for name in _FLAGS:
        if getattr(arguments, name):
            setattr(selected, name, getattr(arguments, name) == "yes")
    selected.desired_slug, selected.actual_slug = arguments.desired, arguments.actual
    if arguments.crossing_before is not None:
        selected.next_crossing_time_before.CopyFrom(timestamp(arguments.crossing_before))


def standing_cells(standing: Standing) -> tuple[str, ...]:
    """Return levels as cells under HEADINGS."""
    return (
        _yes(standing.exists),
        enum_cell(levels.Lifecycle.DESCRIPTOR, standing.lifecycle),
        enum_cell(levels.StrengthBand.DESCRIPTOR, standing.band),
        _yes(standing.broadcast),
        _yes(standing.imbalanced),
        _yes(standing.mismatched),
        enum_cell(levels.ContactShape.DESCRIPTOR, standing.shape),
        standing.desired_slug,
        standing.actual_slug,
        ", ".join(standing.personae),
        time_cell(standing.next_crossing_time),
    )


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
