"""`rapport audience find`: who asked for a topic, and may be contacted for it now."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Final

from rapport.events.v1 import contact_pb2 as ev
from services.cli.arguments import Commands, add_common, add_min_position, client_of, position
from services.cli.decision_tables import outcome_cell, reason_cell
from services.cli.exits import OK
from services.cli.output import Rows, print_json, print_pairs, time_cell
from services.cli.question import add_question, question_of
from services.cli.words import words_of

if TYPE_CHECKING:
    from rapport.contact.v1.contact_service_pb2 import AudienceMember, AudienceProgress

_OUTCOMES: Final = words_of(ev.DecisionOutcome.DESCRIPTOR)
_DESCRIPTION: Final = """\
Finds the customers who asked for a topic, each with a simulated answer. It is no permit: ask `rapport contact decide`
before each contact."""


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    nouns = commands.add_parser("audience", help="who asked for a topic, and may be contacted for it now")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    find = verbs.add_parser("find", help="find them, in order of their ids", description=_DESCRIPTION)
    find.add_argument("organization", metavar="ORGANIZATION", help="company side")
    add_question(find, topic_needed=True)
    find.add_argument(
        "--outcome", metavar="NAME", nargs="+", choices=_OUTCOMES, default=[], help="only these (default: permit)"
    )
    find.add_argument("--after", metavar="CUSTOMER", default="", help="go on after this one (default: from the first)")
    find.add_argument("--limit", metavar="N", type=position, default=0, help="at most so many (default: all)")
    add_min_position(find)
    add_common(find)
    find.set_defaults(run=run)


async def run(arguments: Namespace) -> int:
    """Print who may be contacted, as they are found, and then how many there are."""
    rows = None if arguments.json else Rows("CUSTOMER", "OUTCOME", "REASON", "UNTIL", "BASIS FACTS")
    progress: AudienceProgress | None = None
    left = arguments.limit
    async with client_of(arguments) as client:
        frames = client.find_audience(
            arguments.organization,
            question_of(arguments),
            outcomes=[_OUTCOMES[name] for name in arguments.outcome],  # type: ignore[misc]  # Numbers of the enum.
            after_customer_id=arguments.after,
            min_position=arguments.min_position,
        )
        async for frame in frames:
            if rows is None:
                print_json(frame)
            elif frame.HasField("member"):
                _add(rows, frame.member)
            else:
                progress = frame.progress
            left -= frame.HasField("member")
            if arguments.limit and not left:
                break
    if rows is not None:
        rows.end()
        _show_total(progress)
    return OK


def _add(rows: Rows, member: AudienceMember) -> None:
    decision = member.decision
    rows.add(
        member.customer_id,
        outcome_cell(decision.outcome),
        reason_cell(decision.decisive_reason),
        time_cell(decision.defer_until) or time_cell(decision.permit_expires_time),
        ", ".join(map(str, decision.basis_positions)),
    )


def _show_total(progress: AudienceProgress | None) -> None:
    """Print the counts; none where enough were found before all were looked at."""
    if progress is None or not progress.done:
        return
    print()
    print_pairs(
        [
            ("asked for it", progress.looked_at_count),
            ("now", progress.permit_count),
            ("later", progress.defer_count),
            ("not", progress.deny_count),
            ("at position", progress.position),
        ]
    )
