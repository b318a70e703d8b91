"""Which measures a command is about, under which policy, and whose facts are folded."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.relationship.v1 import explaining_pb2 as messages
from rapport.type.v1 import levels_pb2 as levels
from services.cli.arguments import count, known_at, time
from services.cli.contact_policy_file import read_message
from services.cli.exits import UsageFault
from services.cli.words import words_of
from services.client import relationship_view, view

if TYPE_CHECKING:
    from rapport.type.v1.as_of_pb2 import AsOf

GROUPS: Final = words_of(messages.MeasureGroup.DESCRIPTOR)
SCOPES: Final = words_of(levels.ViewScope.DESCRIPTOR)
_DIGITS_MAX: Final = 10


def add_measures(parser: ArgumentParser) -> None:
    """Add which groups of measures are shown."""
    parser.add_argument(
        "--measures",
        metavar="GROUP",
        nargs="+",
        action="extend",
        type=str.lower,
        choices=GROUPS,
        help=f"only these: {', '.join(GROUPS)} (default: all of them)",
    )


def measures_of(arguments: Namespace) -> list[messages.MeasureGroup.ValueType]:
    """Return the groups asked for; empty: all of them."""
    return [cast("messages.MeasureGroup.ValueType", GROUPS[name]) for name in arguments.measures or ()]


def add_under(parser: Any, side: str = "") -> None:
    """Add a what-if; `side` is `a` or `b` where two views are compared."""
    dash = f"--{side}-" if side else "--"
    parser.add_argument(
        f"{dash}under",
        metavar="FILE|VERSION",
        help="what if: by a published version of the relationship policy, 0 for the built-in one, or by a TOML file",
    )


def add_scope(parser: Any, side: str = "") -> None:
    """Add whose facts are folded."""
    parser.add_argument(
        f"--{side}-scope" if side else "--scope",
        choices=SCOPES,
        help="person: fold the facts of all customer ids that are one person (default: relationship)",
    )


def under_of(arguments: Namespace, side: str = "") -> RelationshipPolicy | int | None:
    """Return the policy of a what-if, or None.

    Raises:
        UsageFault: It is no version, and no file that can be read.
    """
    text: str | None = getattr(arguments, f"{side}_under" if side else "under")
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX:
        return count(text)
    if not Path(text).is_file():
        raise UsageFault(f"{text!r} is no version of the relationship policy, and there is no such file")
    file = read_message(Path(text), RelationshipPolicy())
    if file.faults:
        raise UsageFault("\n  ".join(map(file.told, file.faults)))
    return file.message


def scope_of(arguments: Namespace, side: str = "") -> levels.ViewScope.ValueType:
    """Return whose facts are folded."""
    name: str | None = getattr(arguments, f"{side}_scope" if side else "scope")
    return cast("levels.ViewScope.ValueType", SCOPES[name] if name else levels.VIEW_SCOPE_UNSPECIFIED)


def add_side(parser: ArgumentParser, side: str) -> None:
    """Add one of two views that are compared."""
    options = parser.add_argument_group(f"view {side}")
    options.add_argument(
        f"--{side}-as-of", metavar="TIME", type=time, help="only what had happened by then counts (default: now)"
    )
    options.add_argument(
        f"--{side}-known-at",
        metavar="TIME|POSITION",
        type=known_at,
        help="only what was recorded by then, or up to there",
    )
    add_under(options, side)
    add_scope(options, side)


def side_of(arguments: Namespace, side: str) -> messages.RelationshipView:
    """Return one of two views that are compared."""
    return relationship_view(
        as_of=_as_of(getattr(arguments, f"{side}_as_of"), getattr(arguments, f"{side}_known_at")),
        under=under_of(arguments, side),
        scope=scope_of(arguments, side),
    )


def _as_of(occurred: Any, known: Any) -> AsOf | None:
    if occurred is None and known is None:
        return None
    if isinstance(known, int):
        return view(occur_time=occurred, position=known)
    return view(occur_time=occurred, record_time=known)
