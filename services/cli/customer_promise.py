"""`rapport customer promise`: what the organization promised, such as to tell when something happens, and kept."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Final

from rapport.customer.v1 import customer_service_pb2 as messages
from rapport.events.v1 import identity_pb2
from rapport.events.v1.identity_pb2 import PromiseCancelled, PromiseKept, PromiseMade, PromiseTriggered
from services.cli.arguments import (
    Commands,
    Parser,
    add_common,
    add_relationship,
    add_view,
    client_of,
    count,
    position,
    view_of,
)
from services.cli.exits import OK
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, view_text
from services.cli.words import words_of
from services.cli.writing import add_write, print_recorded, record
from services.client import Client, ppm_text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

_KINDS: Final = words_of(identity_pb2.PromiseKind.DESCRIPTOR)
_CANCEL_REASONS: Final = words_of(identity_pb2.PromiseCancelReason.DESCRIPTOR)


def add(verbs: Commands) -> None:
    """Add the commands to those about customers."""
    nouns = verbs.add_parser("promise", help="what the organization promised, and kept")
    kinds = nouns.add_subparsers(metavar="COMMAND", required=True)
    make = _add(kinds, "make", "record a promise", run_make)
    make.add_argument("--kind", choices=_KINDS, default="notify_me", help="default: %(default)s")
    make.add_argument("--topic", metavar="CODE", default="", help="what about; needed for notify_me")
    make.add_argument(
        "--within", metavar="SECONDS", type=count, default=0, help="from its trigger (default: the policy's, 7 days)"
    )
    make.add_argument("--text", metavar="WORDS", default="", help="what was promised; sealed")
    _add(kinds, "trigger", "record that what was awaited has happened", run_trigger)
    keep = _add(kinds, "keep", "record that it was kept, in time or late", run_keep)
    keep.add_argument("--by", metavar="POSITION", type=position, default=0, help="the interaction that kept it")
    cancel = _add(kinds, "cancel", "record that it was given up with a reason", run_cancel)
    cancel.add_argument("--reason", choices=_CANCEL_REASONS, required=True, help="why")
    cancel.add_argument("--decision", metavar="N", type=position, default=0, help="the decision that forbade it")
    show = kinds.add_parser("show", help="show the promises, and how many were kept")
    add_relationship(show)
    add_view(show)
    add_common(show)
    show.set_defaults(run=run_show)


def _add(kinds: Commands, name: str, text: str, run: Callable[[Namespace], Coroutine[None, None, int]]) -> Parser:
    command: Parser = kinds.add_parser(name, help=text)
    add_write(command)
    command.add_argument("promise", metavar="PROMISE_ID", help="names the promise")
    command.set_defaults(run=run)
    return command


async def run_make(arguments: Namespace) -> int:
    """Record a promise; print where."""
    promise = PromiseMade(
        promise_id=arguments.promise,
        kind=_KINDS[arguments.kind],  # type: ignore[arg-type]  # A number of the enum.
        topic=arguments.topic,
        sla_seconds=arguments.within,
        text=arguments.text,
    )
    answer = await record(arguments, Client.make_promise, promise)
    print_recorded(arguments, answer)
    return OK


async def run_trigger(arguments: Namespace) -> int:
    """Record that what was awaited has happened; print by when to keep the promise."""
    trigger = PromiseTriggered(promise_id=arguments.promise)
    answer = await record(arguments, Client.trigger_promise, trigger)
    print_recorded(arguments, answer, ("keep it by", time_cell(answer.due_time)))
    return OK


async def run_keep(arguments: Namespace) -> int:
    """Record that a promise was kept; print whether in time."""
    kept = PromiseKept(promise_id=arguments.promise, interaction_position=arguments.by)
    answer = await record(arguments, Client.keep_promise, kept)
    print_recorded(arguments, answer, ("state", _state(answer.state)))
    return OK


async def run_cancel(arguments: Namespace) -> int:
    """Record that a promise was given up; print where."""
    cancellation = PromiseCancelled(
        promise_id=arguments.promise,
        reason=_CANCEL_REASONS[arguments.reason],  # type: ignore[arg-type]  # A number of the enum.
        decision_id=arguments.decision,
    )
    answer = await record(arguments, Client.cancel_promise, cancellation)
    print_recorded(arguments, answer)
    return OK


async def run_show(arguments: Namespace) -> int:
    """Print the promises, and the rate of those kept."""
    async with client_of(arguments) as client:
        answer = await client.get_promises(arguments.organization, arguments.customer, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return OK
    rate = ppm_text(answer.kept_rate_ppm, signed=False) if answer.HasField("kept_rate_ppm") else "none fell due"
    print_pairs(
        [
            ("view", view_text(answer.as_of)),
            ("kept", answer.kept_count),
            ("broken", answer.broken_count),
            ("kept rate", rate),
        ]
    )
    print()
    _show(answer.promises)
    return OK


def _show(promises: Iterable[messages.Promise]) -> None:
    rows = Rows("PROMISE", "KIND", "TOPIC", "STATE", "MADE", "TRIGGERED", "DUE", "ENDED", "BY POSITION", "WHY")
    for each in promises:
        promise, why = each.promise, each.cancel_reason
        rows.add(
            promise.promise_id,
            enum_cell(identity_pb2.PromiseKind.DESCRIPTOR, promise.kind),
            promise.topic,
            _state(each.state),
            time_cell(each.made_time),
            time_cell(each.triggered_time),
            time_cell(each.due_time),
            time_cell(each.ended_time),
            each.ended_position or "",
            enum_cell(identity_pb2.PromiseCancelReason.DESCRIPTOR, why) if why else "",
        )
    rows.end()


def _state(state: int) -> str:
    return enum_cell(messages.PromiseState.DESCRIPTOR, state)
