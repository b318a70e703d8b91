"""`rapport policy persona define|approve|retire|list`: groups of customers that several functions agreed on."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from rapport.events.v1.interaction_pb2 import OurFunction
from rapport.events.v1.persona_pb2 import PersonaDefined
from services.cli import exits
from services.cli.arguments import Commands, add_view, client_of, count, view_of
from services.cli.contact_policy_file import read_message
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell
from services.cli.policy_registries import published, refused
from services.cli.publishing import add_command, add_file, told_faults
from services.cli.words import words_of
from services.client import Refused

if TYPE_CHECKING:
    from rapport.policy.v1.relationship_policies_pb2 import PersonaOnRecord

_FUNCTIONS = tuple(words_of(OurFunction.DESCRIPTOR))


def add(kinds: Commands) -> None:
    """Add the commands below `rapport policy`."""
    personae = kinds.add_parser("persona", help="personae: who they are for is derived, and functions approve them")
    verbs = personae.add_subparsers(metavar="COMMAND", required=True)
    page = "docs/concepts/relationship-types.md"
    define = add_file(verbs, "define", "define a version, which nobody has approved yet", page)
    define.set_defaults(run=run_define)
    approve = add_command(verbs, "approve", "approve a version for a function")
    approve.add_argument("persona", metavar="PERSONA_ID", help="which persona")
    approve.add_argument("version", metavar="VERSION", type=count, help="the version that was read")
    approve.add_argument(
        "--function", metavar="NAME", type=str.lower, choices=_FUNCTIONS, required=True, help=", ".join(_FUNCTIONS)
    )
    approve.add_argument("--approver", metavar="ID", required=True, help="who approves, an opaque id")
    approve.set_defaults(run=run_approve)
    retire = add_command(verbs, "retire", "use a persona no more")
    retire.add_argument("persona", metavar="PERSONA_ID", help="which persona")
    retire.add_argument("--reason", metavar="CODE", default="", help="why")
    retire.set_defaults(run=run_retire)
    listing = add_command(verbs, "list", "list personae with their approvals")
    add_view(listing)
    listing.set_defaults(run=run_list)


async def run_define(arguments: Namespace) -> int:
    """Define the persona in a file."""
    file = read_message(arguments.file, PersonaDefined())
    if told_faults(file):
        return exits.USAGE
    async with client_of(arguments) as client:
        try:
            answer = await client.define_persona(arguments.organization, file.message)
        except Refused as refusal:
            return refused(file, refusal)
    return published(answer, f"{len(file.message.clauses)} clauses", as_json=arguments.json)


async def run_approve(arguments: Namespace) -> int:
    """Approve a version for a function; print whether the persona is active now."""
    function = OurFunction.Value(f"OUR_FUNCTION_{arguments.function.upper()}")
    async with client_of(arguments) as client:
        answer = await client.approve_persona(
            arguments.organization, arguments.persona, arguments.version, function, arguments.approver
        )
    if arguments.json:
        print_json(answer)
        return exits.OK
    print_pairs(
        [
            ("approved by", f"{answer.approvals_count} functions"),
            ("active", "yes" if answer.active else "no"),
            ("recorded", time_cell(answer.record_time)),
        ]
    )
    return exits.OK


async def run_retire(arguments: Namespace) -> int:
    """Retire a persona."""
    async with client_of(arguments) as client:
        answer = await client.retire_persona(arguments.organization, arguments.persona, reason=arguments.reason)
    if arguments.json:
        print_json(answer)
        return exits.OK
    print_pairs([("retired", time_cell(answer.record_time))])
    return exits.OK


async def run_list(arguments: Namespace) -> int:
    """Print the latest version of each persona."""
    async with client_of(arguments) as client:
        answer = await client.list_personae(arguments.organization, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return exits.OK
    rows = Rows("PERSONA", "VERSION", "STANDS", "APPROVED BY", "CLAUSES", "TITLE")
    for each in answer.personae:
        functions = ", ".join(enum_cell(OurFunction.DESCRIPTOR, a.our_function) for a in each.approvals)
        persona = each.persona
        rows.add(persona.persona_id, persona.version, _stands(each), functions, len(persona.clauses), persona.title)
    rows.end()
    return exits.OK


def _stands(each: PersonaOnRecord) -> str:
    if each.retired:
        return "retired"
    if each.active:
        return "active"
    return f"not approved, {each.active_version} counts" if each.active_version else "not approved"
