"""Arguments that several commands share, and how they are read."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter, _SubParsersAction
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from services.client import DEFAULT_TARGET, Client, view
from services.client.targets import parse_targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rapport.type.v1.as_of_pb2 import AsOf

Commands: TypeAlias = "_SubParsersAction[Parser]"
"""Where a command adds itself."""
_DAY: Final = timedelta(days=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_POSITION_MAX: Final = 2**63 - 1
_COUNT_MAX: Final = 2**32 - 1
_DIGITS_MAX: Final = 100
"""More than any number here has; Python refuses to read thousands of digits."""


class Parser(ArgumentParser):
    """A parser whose descriptions keep their line feeds, and which takes no abbreviations."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**{"formatter_class": RawDescriptionHelpFormatter, "allow_abbrev": False, **settings})  # type: ignore[arg-type]  # Passed on as they come.
        self.default_command = ""
        """Name of the command meant where a line does not begin with one of this parser's. Empty: it must."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]  # Its overloads say no more than this.
        """Parse, with the default command put in where none is named."""
        if self.default_command and args and args[0] not in {"-h", "--help", *self._names()}:
            args = [self.default_command, *args]
        return super().parse_known_args(args, namespace)

    def _names(self) -> Iterable[str]:
        return (name for action in self._actions if isinstance(action, _SubParsersAction) for name in action.choices)


def add_common(parser: ArgumentParser) -> None:
    """Add what every command that asks a server takes."""
    parser.add_argument(
        "--target",
        metavar="HOST:PORT",
        type=target,
        default=os.environ.get("RAPPORT_TARGET") or DEFAULT_TARGET,
        help="server to ask; services that stand apart: HOST:PORT,audit=HOST:PORT (default: RAPPORT_TARGET, "
        f"else {DEFAULT_TARGET})",
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, default=10.0, help="for each answer (default: %(default)g)"
    )
    parser.add_argument("--json", action="store_true", help="print proto3 JSON, one message a line")


def add_view(parser: ArgumentParser) -> None:
    """Add the point of view, on both time axes."""
    parser.add_argument(
        "--as-of",
        metavar="TIME",
        type=time,
        help="only what had happened by then counts: 1997-03-31 (the whole day, UTC) or 1997-03-31T12:00:00Z",
    )
    parser.add_argument(
        "--known-at", metavar="TIME|POSITION", type=known_at, help="only what was recorded by then, or up to there"
    )


def add_min_position(parser: ArgumentParser) -> None:
    """Add how much of the log the answer must know, for commands whose answers may be some milliseconds behind it."""
    parser.add_argument(
        "--min-position",
        metavar="POSITION",
        type=position,
        default=0,
        help="wait until the answer knows the log up to there: the position that your own write printed",
    )


def add_relationship(parser: ArgumentParser) -> None:
    """Add the two ids of a relationship."""
    parser.add_argument("organization", metavar="ORGANIZATION", help="company side")
    parser.add_argument("customer", metavar="CUSTOMER", help="customer side")


def view_of(arguments: Namespace) -> AsOf | None:
    """Return the point of view that was asked for; None: now, with everything recorded."""
    known = arguments.known_at
    if arguments.as_of is None and known is None:
        return None
    if isinstance(known, int):
        return view(occur_time=arguments.as_of, position=known)
    return view(occur_time=arguments.as_of, record_time=known)


def client_of(arguments: Namespace) -> Client:
    """Return the client for a command."""
    return Client(arguments.target, timeout_s=arguments.timeout)


def time(text: str) -> datetime:
    """Return a time: ISO 8601 with a zone, or a date, which means the last microsecond of that day in UTC."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return instant(text)
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + (_DAY - _MICROSECOND)


def instant(text: str) -> datetime:
    """Return an instant: ISO 8601 with a zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no time; write 1997-03-31 or 1997-03-31T12:00:00Z") from error
    if found.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} names no zone; add Z for UTC, or an offset such as +02:00")
    return found


def known_at(text: str) -> datetime | int:
    """Return a log position where the text is nothing but digits, else a time."""
    return position(text) if text.isdecimal() else time(text)


def position(text: str) -> int:
    """Return a log position, or the number of a change or of rows, from 0."""
    found = _whole(text)
    if found is None or found > _POSITION_MAX:
        raise ArgumentTypeError(f"{text!r} is no position or number; write a whole number from 0")
    return found


def count(text: str) -> int:
    """Return how many of something, or a version, from 0: a number that every field for such takes."""
    found = _whole(text)
    if found is None or found > _COUNT_MAX:
        raise ArgumentTypeError(f"{text!r} cannot be used; write a whole number from 0 to {_COUNT_MAX}")
    return found


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX else None


def seconds(text: str) -> float:
    """Return a positive number of seconds."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < 1e6:
        raise ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return number


def target(text: str) -> str:
    """Return a target as it is, once it can be read."""
    try:
        parse_targets(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    return text
