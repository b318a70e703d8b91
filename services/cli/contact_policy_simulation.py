"""`rapport contact simulate-policy`: what another contact policy would have answered to the questions of the past."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from services.cli.arguments import Commands, add_common, client_of, count
from services.cli.contact_policy_file import read_message
from services.cli.decision_tables import outcome_cell, reason_cell
from services.cli.exits import OK, UsageFault
from services.cli.output import Rows, print_json, print_pairs
from services.cli.spans import add_span, span_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rapport.contact.v1.contact_service_pb2 import (
        ChangedDecision,
        SimulatePolicyResponse,
        SimulationProgress,
    )
    from rapport.contact.v1.decision_pb2 import Decision


def add(verbs: Commands) -> None:
    """Add the command to those about contacts."""
    command = verbs.add_parser("simulate-policy", help="replay recorded decisions under another contact policy")
    command.add_argument("organization", metavar="ORGANIZATION", help="company side")
    add_other_policy(command, needed=True)
    add_span(command, "decisions recorded")
    command.add_argument("--all", action="store_true", help="print also those that stay the same")
    add_common(command)
    command.set_defaults(run=run)


def add_other_policy(parser: ArgumentParser, *, needed: bool = False) -> None:
    """Add by which contact policy to decide."""
    other = parser.add_mutually_exclusive_group(required=needed)
    default = "" if needed else " (default: the one in force)"
    other.add_argument(
        "--policy-version", metavar="N", type=count, default=0, help=f"under this published version{default}"
    )
    other.add_argument("--policy", metavar="FILE.toml", type=Path, help="under the policy in a file, published or not")


def other_policy_of(arguments: Namespace) -> dict[str, Any]:
    """Return the keyword arguments of a client method that name another contact policy.

    Raises:
        UsageFault: the file holds none; every fault of it is named.
    """
    if arguments.policy is None:
        return {"contact_policy_version": arguments.policy_version}
    file = read_message(arguments.policy, ContactPolicy())
    if file.faults:
        raise UsageFault("\n".join(map(file.told, file.faults)))
    return {"contact_policy": file.message}


async def run(arguments: Namespace) -> int:
    """Print the decisions that change, as they are found, and then how many there are."""
    async with client_of(arguments) as client:
        frames = client.simulate_policy(
            arguments.organization, window=span_of(arguments), all=arguments.all, **other_policy_of(arguments)
        )
        await _show(arguments, frames)
    return OK


async def _show(arguments: Namespace, frames: AsyncIterator[SimulatePolicyResponse]) -> None:
    rows = None if arguments.json else Rows("CUSTOMER", "DECISION", "RECORDED", "SIMULATED")
    console = Console(file=sys.stderr)
    with console.status("replaying decisions") as status:
        async for frame in frames:
            if rows is None:
                print_json(frame)
            elif frame.HasField("changed"):
                _add(rows, frame.changed)
            elif frame.progress.done:
                status.stop()
                rows.end()
                _show_total(frame.progress)
            else:
                status.update(_progress(frame.progress))


def _add(rows: Rows, changed: ChangedDecision) -> None:
    rows.add(changed.customer_id, changed.recorded.decision_id, _answer(changed.recorded), _answer(changed.simulated))


def _answer(decision: Decision) -> str:
    return f"{outcome_cell(decision.outcome)} {reason_cell(decision.decisive_reason)}".strip()


def _progress(progress: SimulationProgress) -> str:
    return (
        f"position {progress.position:,} of {progress.head_position:,}: "
        f"{progress.decisions_count:,} decisions, {progress.changed_count:,} change"
    )


def _show_total(progress: SimulationProgress) -> None:
    print()
    moves = (
        (f"{outcome_cell(each.recorded)} to {outcome_cell(each.simulated)}", each.count) for each in progress.moves
    )
    print_pairs([("decisions", progress.decisions_count), ("changed", progress.changed_count), *moves])
