"""What commands that record something share: when it happened, who records it, and the answer."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from rapport.type.v1.event_context_pb2 import EventContext
from services.cli.arguments import add_common, add_relationship, client_of, instant
from services.cli.output import print_json, print_pairs, time_cell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from google.protobuf.message import Message

A = TypeVar("A")


def add_write(parser: ArgumentParser, *, relationship: bool = True, timed: bool = True) -> None:
    """Add what every command that records an act takes; `timed`: it may have happened earlier."""
    if relationship:
        add_relationship(parser)
    if timed:
        parser.add_argument(
            "--at",
            metavar="TIME",
            type=instant,
            help="when it happened: 2026-03-31T12:00:00Z (default: the server's clock)",
        )
    parser.add_argument(
        "--actor", metavar="ID", default="", help="who records it: a system or an employee, never a name"
    )
    parser.add_argument(
        "--request-id", metavar="UUID", type=request_id, help="repeat a command with it, and it is recorded once"
    )
    add_common(parser)


def write_of(arguments: Namespace) -> dict[str, Any]:
    """Return the keyword arguments of a client method that come from `add_write`."""
    context = EventContext(actor=arguments.actor) if arguments.actor else None
    timed = {"occur_time": arguments.at} if "at" in arguments else {}
    return {**timed, "context": context, "request_id": arguments.request_id}


async def record(arguments: Namespace, method: Callable[..., Awaitable[A]], event: Message) -> A:
    """Record an event of the relationship that a command names; `method`: of the client. Return the answer."""
    async with client_of(arguments) as client:
        return await method(client, arguments.organization, arguments.customer, event, **write_of(arguments))


def request_id(text: str) -> str:
    """Return a request id as it is sent."""
    try:
        return str(UUID(text))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no UUID; `uuidgen` makes one") from None


def print_recorded(
    arguments: Namespace, answer: Message, *more: tuple[str, object], names: Iterable[str] = ("position", "version")
) -> None:
    """Print where an act was recorded, and what else the answer says."""
    if arguments.json:
        print_json(answer)
        return
    told: Any = answer
    print_pairs(
        [
            *((name.replace("_", " "), getattr(told, name)) for name in names),
            ("recorded", time_cell(told.record_time)),
            *more,
            ("replayed", "yes, it was recorded by an earlier request with this id" if told.replayed else ""),
        ]
    )
