"""What commands that record one fact of a relationship share: each sends its event by its own method of the client."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any, Final

from rapport.events.v1 import disclosure_pb2, exchange_pb2, interaction_pb2
from services.cli.arguments import Commands, Parser, position
from services.cli.exits import OK
from services.cli.words import words_of
from services.cli.writing import add_write, print_recorded, record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

    Event = Callable[[Namespace], Message]
    """Makes the event from what was typed."""
    Method = Callable[..., Awaitable[Any]]
    """Of the client: records it."""

PROVENANCES: Final = words_of(disclosure_pb2.Provenance.DESCRIPTOR)
FUNCTIONS: Final = words_of(interaction_pb2.OurFunction.DESCRIPTOR)
PARTIES: Final = words_of(exchange_pb2.Party.DESCRIPTOR)


def add_recording(verbs: Commands, name: str, text: str, *, event: Event, method: Method) -> Parser:
    """Add a command that records one fact; who calls adds what the fact is made of."""
    command: Parser = verbs.add_parser(name, help=text)
    add_write(command)
    command.set_defaults(run=run, event=event, method=method)
    return command


async def run(arguments: Namespace) -> int:
    """Record a fact; print where."""
    answer = await record(arguments, arguments.method, arguments.event(arguments))
    print_recorded(arguments, answer)
    return OK


def add_told_in(parser: Parser) -> None:
    """Add the interaction in which something was said."""
    parser.add_argument(
        "--told-in", metavar="POSITION", type=position, default=0, help="the interaction it was in (default: none)"
    )


def add_text(parser: Parser, what: str) -> None:
    """Add words, which are sealed."""
    parser.add_argument("--text", metavar="WORDS", default="", help=f"{what}, in words; sealed")


def add_reason(parser: Parser, what: str = "why") -> None:
    """Add a reason."""
    parser.add_argument("--reason", metavar="CODE", default="", help=what)


def add_function(parser: Parser, what: str) -> None:
    """Add one of the organization's functions."""
    parser.add_argument(
        "--function", metavar="NAME", type=str.lower, choices=FUNCTIONS, help=f"{what}: {', '.join(FUNCTIONS)}"
    )
