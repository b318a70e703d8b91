"""`rapport contact`: may we contact them now, and why; what became of it; what another policy would have said."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Final

from rapport.contact.v1 import contact_service_pb2 as messages
from rapport.contact.v1.decision_pb2 import PermitStatus
from services.cli import contact_policy_simulation
from services.cli.arguments import Commands, add_common, add_relationship, add_view, client_of, position, view_of
from services.cli.contact_policy_simulation import add_other_policy, other_policy_of
from services.cli.decision_tables import exit_of, outcome_cell, reason_cell, show_decision
from services.cli.exits import OK
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, view_text
from services.cli.question import add_question, question_of
from services.cli.spans import add_span, span_of
from services.cli.writing import add_write, print_recorded, write_of
from services.client import ppm_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.contact.v1.contact_service_pb2 import ExplainDecisionResponse, GetContactReportResponse

_DECIDE: Final = """\
Asks, and records the answer: a PERMIT can be used until it expires, by the contact that names the decision.
Exit code: 0 PERMIT, 5 DENY, 6 DEFER."""
_SIMULATE: Final = """\
Asks without recording anything; the answer is no permit. Exit code: 0 PERMIT, 5 DENY, 6 DEFER."""


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    nouns = commands.add_parser("contact", help="may we contact them now, and why")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    decide = verbs.add_parser("decide", help="decide one contact, and record the answer", description=_DECIDE)
    add_question(decide)
    add_write(decide, timed=False)
    decide.set_defaults(run=run_decide)
    simulate = verbs.add_parser("simulate", help="decide without recording, as of any moment", description=_SIMULATE)
    add_relationship(simulate)
    add_question(simulate)
    add_other_policy(simulate)
    add_view(simulate)
    add_common(simulate)
    simulate.set_defaults(run=run_simulate)
    explain = verbs.add_parser("explain", help="show a decision, what became of it, and what is known since")
    add_relationship(explain)
    explain.add_argument("decision", metavar="DECISION", type=position, help="its number, as `decide` answered it")
    add_view(explain)
    add_common(explain)
    explain.set_defaults(run=run_explain)
    abort = verbs.add_parser("abort", help="give a permit back that will not be used")
    add_write(abort)
    abort.add_argument("decision", metavar="DECISION", type=position, help="its number, as `decide` answered it")
    abort.add_argument("--reason", metavar="CODE", default="", help="why")
    abort.set_defaults(run=run_abort)
    report = verbs.add_parser("report", help="count contacts: decided, honoured, avoided")
    add_relationship(report)
    add_span(report, "contacts and decisions")
    add_view(report)
    add_common(report)
    report.set_defaults(run=run_report)
    contact_policy_simulation.add(verbs)


async def run_decide(arguments: Namespace) -> int:
    """Decide a contact; print the answer."""
    async with client_of(arguments) as client:
        answer = await client.decide(
            arguments.organization, arguments.customer, question_of(arguments), **write_of(arguments)
        )
    if arguments.json:
        print_json(answer)
    else:
        show_decision(answer.decision)
    return exit_of(answer.decision)


async def run_simulate(arguments: Namespace) -> int:
    """Simulate a decision; print the answer."""
    async with client_of(arguments) as client:
        answer = await client.simulate_decision(
            arguments.organization,
            arguments.customer,
            question_of(arguments),
            as_of=view_of(arguments),
            **other_policy_of(arguments),
        )
    if arguments.json:
        print_json(answer)
    else:
        show_decision(answer.decision)
    return exit_of(answer.decision)


async def run_explain(arguments: Namespace) -> int:
    """Print a recorded decision, and whether it stands."""
    async with client_of(arguments) as client:
        answer = await client.explain_decision(
            arguments.organization, arguments.customer, arguments.decision, as_of=view_of(arguments)
        )
    if arguments.json:
        print_json(answer)
    else:
        _show_explanation(answer)
    return OK


async def run_abort(arguments: Namespace) -> int:
    """Give a permit back; print where that is recorded."""
    async with client_of(arguments) as client:
        answer = await client.abort_contact(
            arguments.organization, arguments.customer, arguments.decision, arguments.reason, **write_of(arguments)
        )
    print_recorded(arguments, answer)
    return OK


async def run_report(arguments: Namespace) -> int:
    """Print a customer's contacts, counted."""
    async with client_of(arguments) as client:
        answer = await client.get_contact_report(
            arguments.organization, arguments.customer, as_of=view_of(arguments), window=span_of(arguments)
        )
    if arguments.json:
        print_json(answer)
    else:
        _show_report(answer)
    return OK


def _show_explanation(answer: ExplainDecisionResponse) -> None:
    show_decision(answer.recorded)
    replay = "gives the same bytes" if answer.identical else f"DIFFERS in {', '.join(answer.differs_in)}"
    print()
    print_pairs(
        [
            ("recorded", time_cell(answer.record_time)),
            ("asked by", answer.actor),
            ("permit", enum_cell(PermitStatus.DESCRIPTOR, answer.permit_status)),
            ("by what is at", answer.permit_position or ""),
            ("a replay", replay),
            ("with later knowledge", _later(answer)),
            ("changed by", ", ".join(map(str, answer.changed_by_positions))),
        ]
    )


def _later(answer: ExplainDecisionResponse) -> str:
    later = answer.later
    reason = f" {reason_cell(later.decisive_reason)}" if later.decisive_reason else ""
    stands = "" if answer.changed_by_positions else ": the answer stands"
    return f"{outcome_cell(later.outcome)}{reason}{stands}"


def _show_report(answer: GetContactReportResponse) -> None:
    honoured = f" ({ppm_text(answer.honoured_ppm, signed=False)})" if answer.HasField("honoured_ppm") else ""
    print_pairs(
        [
            ("view", view_text(answer.as_of)),
            ("contacts", answer.contacts),
            ("need a decision", answer.needing_decision),
            ("decided", answer.decided),
            ("undecided", answer.undecided),
            ("against a decision", answer.against_decision),
            ("honoured", f"{answer.honoured}{honoured}"),
            ("decisions", ", ".join(f"{outcome_cell(each.outcome)} {each.count}" for each in answer.decisions)),
            ("contacts avoided", answer.contacts_avoided),
            ("permits not used", answer.permits_unused),
            ("permits void", answer.permits_void),
        ]
    )
    if answer.dishonoured:
        print()
        _show_dishonoured(answer.dishonoured)


def _show_dishonoured(contacts: Iterable[messages.DishonouredContact]) -> None:
    rows = Rows("POSITION", "OCCURRED", "PERMIT", "AGAINST")
    for each in contacts:
        rows.add(
            each.position,
            time_cell(each.occur_time),
            enum_cell(PermitStatus.DESCRIPTOR, each.permit_status) if each.permit_status else "none",
            ", ".join(map(reason_cell, each.reasons)),
        )
    rows.end()
