"""`rapport balance diff`: what made two views of a balance differ, cause by cause."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from rapport.relationship.v1 import balance_pb2
from services.cli.arguments import add_common, add_relationship, client_of
from services.cli.balance_tables import ENTRIES, entry_cells
from services.cli.balance_view import (
    add_balance_view,
    add_perspective,
    balance_view_of,
    perspective_text,
    policies_text,
)
from services.cli.output import Rows, enum_cell, print_json, print_pairs, view_text
from services.client import fraction, nanos_text, ppm_text, ratio_text, token_text

if TYPE_CHECKING:
    from rapport.relationship.v1.balance_pb2 import DiffStep, View
    from rapport.relationship.v1.relationship_service_pb2 import DiffViewsResponse

_MOST_LEGS: Final = 1000
_PPM: Final = 1_000_000
DESCRIPTION: Final = """\
What made view b differ from view a. Each is the customer's, now, unless its options say otherwise: `--a-known-at
2026-04-01` compares what was known on 1 April with what is known now."""


def add(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = DESCRIPTION
    add_relationship(parser)
    add_perspective(parser)
    add_balance_view(parser, "a")
    add_balance_view(parser, "b")
    parser.add_argument(
        "--legs", metavar="N", type=_legs, default=0, help=f"list up to N legs of each cause, at most {_MOST_LEGS}"
    )
    add_common(parser)
    parser.set_defaults(run=run)


def _legs(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() else 0
    if not 1 <= number <= _MOST_LEGS:
        raise ArgumentTypeError(f"{text!r} is no number of legs; write 1 to {_MOST_LEGS}")
    return number


async def run(arguments: Namespace) -> int:
    """Print the causes in order, and what they add up to."""
    async with client_of(arguments) as client:
        answer = await client.diff_views(
            arguments.organization,
            arguments.customer,
            balance_view_of(arguments, "a"),
            balance_view_of(arguments, "b"),
            entries_max=arguments.legs,
        )
    if arguments.json:
        print_json(answer)
    else:
        show(answer, f"{arguments.organization}/{arguments.customer}", list_legs=arguments.legs > 0)
    return 0


def show(answer: DiffViewsResponse, relationship: str, *, list_legs: bool) -> None:
    """Print a difference for people."""
    print_pairs(
        [
            ("relationship", relationship),
            ("perspective", perspective_text(answer.b)),
            ("from a", _view_text(answer.a)),
            ("to b", _view_text(answer.b)),
            ("token of a", token_text(answer.a.token)),
            ("token of b", token_text(answer.b.token)),
        ]
    )
    print()
    if not answer.steps:
        print("nothing differs")
        return
    _show_steps(list(answer.steps))
    for step in answer.steps if list_legs else []:
        _show_legs(step)


def _view_text(view: View) -> str:
    policies = policies_text(view)
    return view_text(view.resolved.as_of) + (f", by {policies}" if policies else "")


def _show_steps(steps: list[DiffStep]) -> None:
    rows = Rows("CAUSE", "NET", "INDEX", "EXACTLY", "PROMISED", "PENDING", "LEGS")
    for step in steps:
        change = _index_change(step)
        rows.add(
            _cause(step),
            nanos_text(step.net_nanos, signed=True),
            _index_text(change),
            ratio_text(change),
            nanos_text(step.promised_nanos, signed=True) if step.promised_nanos else "",
            nanos_text(step.pending_nanos, signed=True) if step.pending_nanos else "",
            step.entries_count,
        )
    # Promised and pending have no sum: what else changed them than EXPIRY has no step.
    total = sum(map(_index_change, steps), Fraction())
    rows.add(
        "all",
        nanos_text(sum(step.net_nanos for step in steps), signed=True),
        _index_text(total),
        ratio_text(total),
        "",
        "",
        "",
    )
    rows.end()


def _index_change(step: DiffStep) -> Fraction:
    return fraction(step.index) if step.index.denominator else Fraction()


def _index_text(change: Fraction) -> str:
    return ppm_text(round(change * _PPM))  # Of a Fraction: half to even, exactly.


def _cause(step: DiffStep) -> str:
    return enum_cell(balance_pb2.DiffCause.DESCRIPTOR, step.cause)


def _show_legs(step: DiffStep) -> None:
    if not step.entries:
        return
    left = step.entries_count - len(step.entries)
    print()
    print(f"{_cause(step)}, {nanos_text(step.net_nanos, signed=True)}" + (f", {left} more legs" if left else ""))
    rows = Rows(*ENTRIES[1:-1])  # An entry has its number and its part of the index in an explanation only.
    for entry in step.entries:
        rows.add(*entry_cells(entry, "")[1:-1])
    rows.end()
